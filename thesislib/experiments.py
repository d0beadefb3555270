"""Each table and figure of the thesis as the stages it needs.

A row of a table is a name and the settings in which it differs from the preset. To add one, add a line here, or give
it to a notebook as its `extra_rows` parameter.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from thesislib.settings import Machine, Settings, SettingsError
from thesislib.stages import classifier, response_maps
from thesislib.stages import data as data_stage
from thesislib.store import Stage


@dataclass(frozen=True)
class Row:
    """One row of a table: a way to train, and which printed row it answers.

    Args:
        name: as shown.
        overrides: dotted settings on top of the preset.
        printed: name of the row in the thesis' table, None where it has no such row.
        control: a row the thesis does not have, which tells what a gain comes from.
    """

    name: str
    overrides: dict[str, Any] = field(default_factory=dict)
    printed: str | None = None
    control: bool = False


ALPHA, LAMBDA_ENT, LAMBDA_CON = 0.2, 0.02, 2e-4  # thesis 2.4.1


def regularisers(alpha: float = 0, lambda_ent: float = 0, lambda_con: float = 0) -> dict[str, Any]:
    """The three regularisers of chapter 2 as settings; 0 leaves one out."""
    return {
        "classifier.mixup_alpha": alpha,
        "classifier.lambda_ent": lambda_ent,
        "classifier.lambda_con": lambda_con,
    }


PLAIN_CAM = Row("CAM", regularisers(), "AffinityNet (plain CAM)")
MIXUP_CAM = Row("Mixup-CAM", regularisers(ALPHA, LAMBDA_ENT, LAMBDA_CON), "Mixup L_cls + L_ent + L_con")


def table_2_1(
    settings: Settings,
    extra_rows: Mapping[str, dict[str, Any]] | None = None,
    *,
    alpha: float = ALPHA,
    lambda_ent: float = LAMBDA_ENT,
    lambda_con: float = LAMBDA_CON,
) -> list[Row]:
    """The five rows of Table 2.1, two control rows, and the user's own, which start from the plain classifier.

    Raises:
        SettingsError: a row's name is taken, `classifier.weights` names a file where the rows must be trained, or the
            settings already have a regulariser.
    """
    _check_plain(settings)
    if settings.classifier.weights:
        raise SettingsError("Table 2.1 trains each of its rows: leave classifier.weights empty")
    other = _other_form(settings)
    full = regularisers(alpha, lambda_ent, lambda_con)
    rows = [
        PLAIN_CAM,
        Row("mixup", regularisers(alpha), "Mixup L_cls"),
        Row("mixup + entropy", regularisers(alpha, lambda_ent), "Mixup L_cls + L_ent"),
        Row("mixup + concentration", regularisers(alpha, lambda_con=lambda_con), "Mixup L_cls + L_con"),
        Row("Mixup-CAM", full, MIXUP_CAM.printed),
        Row("both terms, no mixup", regularisers(0, lambda_ent, lambda_con), control=True),
        Row(f"Mixup-CAM, {other} form", full | {"classifier.concentration_form": other}, control=True),
    ]
    for name, overrides in (extra_rows or {}).items():
        if name in {row.name for row in rows}:
            raise SettingsError(f"extra_rows: the name {name!r} is taken by a row of Table 2.1; choose another")
        if not isinstance(overrides, Mapping):
            raise SettingsError(
                f"extra_rows: row {name!r} needs its settings, such as {{'classifier.mixup_alpha': 0.4}}, "
                f"got {overrides!r}"
            )
        rows.append(Row(name, PLAIN_CAM.overrides | dict(overrides), control=True))
    return rows


@dataclass(frozen=True)
class Claim:
    """That one row scores above another: said by the thesis, or asked by a control row."""

    text: str
    row: Row
    reference: Row
    control: bool = False


def claims_of_table_2_1(rows: Sequence[Row]) -> list[Claim]:
    """What the thesis claims with Table 2.1, then what the control rows ask; `rows` as `table_2_1` gives them."""
    plain, mixup, entropy, concentration, full, without_mixup, other_form, *extra = rows
    form = other_form.overrides["classifier.concentration_form"]
    return [
        Claim("Mixup alone improves the response maps", mixup, plain),
        Claim("The entropy term adds to mixup", entropy, mixup),
        Claim("The concentration term adds to mixup", concentration, mixup),
        Claim("All three together improve the response maps", full, plain),
        Claim("Both terms together add to mixup", full, mixup),
        Claim("Mixup adds to both terms together", full, without_mixup, control=True),
        Claim(f"The concentration term does better than in its {form} form", full, other_form, control=True),
        *(Claim(f"{row.name} improves on Mixup-CAM", row, full, control=True) for row in extra),
    ]


def _check_plain(settings: Settings) -> None:
    """Rows state all three regularisers, so one that is set beside them would silently have no effect."""
    for name in regularisers():
        if attrgetter(name)(settings):
            raise SettingsError(
                f"{name} is what the rows of Table 2.1 differ in: leave it at 0 and give the notebook's own parameter "
                "(alpha, lambda_ent, lambda_con), or a row of your own in extra_rows"
            )


def _other_form(settings: Settings) -> str:
    return {"written": "floored", "floored": "written"}[settings.classifier.concentration_form]


def classifier_stages(
    settings: Settings, rows: Iterable[Row], seeds: Sequence[int], machine: Machine
) -> dict[tuple[str, int], Stage]:
    """The classifier of every row and training seed, by row name and seed."""
    return _of_each(classifier.stage, settings, rows, seeds, machine)


def response_map_stages(
    settings: Settings, rows: Iterable[Row], seeds: Sequence[int], machine: Machine
) -> dict[tuple[str, int], Stage]:
    """The response maps of every row and training seed, by row name and seed."""
    return _of_each(response_maps.stage, settings, rows, seeds, machine)


def _of_each(
    step: Callable[[Settings, Machine, str], Stage],
    settings: Settings,
    rows: Iterable[Row],
    seeds: Sequence[int],
    machine: Machine,
) -> dict[tuple[str, int], Stage]:
    return {
        (row.name, seed): step(settings.override(row.overrides | {"seed": seed}), machine, f"{row.name}, seed {seed}")
        for row in rows
        for seed in seeds
    }


def quickstart(settings: Settings, seeds: Sequence[int], machine: Machine) -> list[Stage]:
    """What `00_quickstart` shows: the classifiers of its rows with the first seed; it maps a few images itself."""
    return list(classifier_stages(settings, quickstart_rows(settings), seeds[:1], machine).values())


def quickstart_rows(settings: Settings) -> list[Row]:
    """Plain CAM and Mixup-CAM; plain CAM alone where a trained classifier is given."""
    _check_plain(settings)
    return [PLAIN_CAM] if settings.classifier.weights else [PLAIN_CAM, MIXUP_CAM]


def data(settings: Settings, seeds: Sequence[int], machine: Machine) -> list[Stage]:
    """What `01_data` shows: the data alone."""
    return [data_stage.stage(settings, machine)]


def chapter_2_response_maps(settings: Settings, seeds: Sequence[int], machine: Machine) -> list[Stage]:
    """What `21_response_maps` needs: every row of Table 2.1."""
    return list(response_map_stages(settings, table_2_1(settings), seeds, machine).values())


NOTEBOOKS = {
    "00_quickstart": quickstart,
    "01_data": data,
    "21_response_maps": chapter_2_response_maps,
}
"""The notebooks and what each needs computed, so that `thesis reproduce` can do it beforehand and in parallel."""


def stages_of(names: Iterable[str], settings: Settings, seeds: Sequence[int], machine: Machine) -> list[Stage]:
    """All stages that these notebooks need, each once."""
    wanted = {stage.key: stage for name in names for stage in NOTEBOOKS[name](settings, seeds, machine)}
    return list(wanted.values())
