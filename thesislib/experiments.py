"""Each table and figure of the thesis as the stages it needs.

A row of a table is a name and the settings in which it differs from the preset. To add one, add a line here, or give
it to a notebook as its `extra_rows` parameter.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from thesislib.settings import Machine, Settings
from thesislib.stages import data as data_stage
from thesislib.stages import response_maps
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
    overrides: Mapping[str, Any] = field(default_factory=dict)
    printed: str | None = None
    control: bool = False


MIXUP = {"classifier.mixup_alpha": 0.2}  # thesis 2.4.1
ENTROPY = {"classifier.lambda_ent": 0.02}
CONCENTRATION = {"classifier.lambda_con": 2e-4}

PLAIN_CAM = Row("CAM", {}, "AffinityNet (plain CAM)")
MIXUP_CAM = Row("Mixup-CAM", MIXUP | ENTROPY | CONCENTRATION, "Mixup L_cls + L_ent + L_con")


def table_2_1(settings: Settings, extra_rows: Mapping[str, Mapping[str, Any]] | None = None) -> list[Row]:
    """The five rows of Table 2.1, two control rows, and the user's own."""
    form = settings.classifier.concentration_form
    other = {"written": "floored", "floored": "written"}[form]
    return [
        PLAIN_CAM,
        Row("mixup", MIXUP, "Mixup L_cls"),
        Row("mixup + entropy", MIXUP | ENTROPY, "Mixup L_cls + L_ent"),
        Row("mixup + concentration", MIXUP | CONCENTRATION, "Mixup L_cls + L_con"),
        MIXUP_CAM,
        Row("entropy + concentration, no mixup", ENTROPY | CONCENTRATION, control=True),
        Row(f"Mixup-CAM, {other} concentration", MIXUP_CAM.overrides | _form(other), control=True),
        *(Row(name, overrides, control=True) for name, overrides in (extra_rows or {}).items()),
    ]


def _form(name: str) -> dict[str, Any]:
    return {"classifier.concentration_form": name}


def response_map_stages(
    settings: Settings, rows: Iterable[Row], seeds: Sequence[int], machine: Machine
) -> dict[tuple[str, int], Stage]:
    """The response maps of every row and training seed, by row name and seed."""
    return {
        (row.name, seed): response_maps.stage(
            settings.override({**row.overrides, "seed": seed}), machine, f"{row.name}, seed {seed}"
        )
        for row in rows
        for seed in seeds
    }


def quickstart(settings: Settings, seeds: Sequence[int], machine: Machine) -> list[Stage]:
    """What `00_quickstart` shows: the plain classifier and Mixup-CAM, one seed."""
    return list(response_map_stages(settings, [PLAIN_CAM, MIXUP_CAM], seeds[:1], machine).values())


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
