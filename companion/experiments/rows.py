"""The rows of each table and figure: the settings in which they differ, and what is claimed of them.

A row is a name and the settings in which it differs from the preset. To add one, add a line here, or give it to a
notebook as its `extra_rows` parameter. Thesis chapter 2; nothing here corresponds to published code.
"""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

from companion.analysis.claims import Claim, Row
from companion.analysis.methods import ALPHA, LAMBDA_CON, LAMBDA_ENT, MIXUP_CAM, PLAIN_CAM, regularisers
from companion.settings import Settings, SettingsError


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
    check_plain(settings)
    _check_trained(settings, "Table 2.1")
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
    return rows + rows_of_the_user(extra_rows, rows)


def rows_of_the_user(extra_rows: Mapping[str, dict[str, Any]] | None, rows: Sequence[Row]) -> list[Row]:
    """Rows beside `rows`, each the plain classifier with the given settings.

    Raises:
        SettingsError: a name is taken by one of `rows`, or a row has no settings.
    """
    found = []
    for name, overrides in (extra_rows or {}).items():
        if name in {row.name for row in rows}:
            raise SettingsError(f"extra_rows: the name {name!r} is taken by a row of the table; choose another")
        if not isinstance(overrides, Mapping):
            raise SettingsError(
                f"extra_rows: row {name!r} needs its settings, such as {{'classifier.mixup_alpha': 0.4}}, "
                f"got {overrides!r}"
            )
        found.append(Row(name, PLAIN_CAM.overrides | dict(overrides), control=True))
    return found


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


def check_plain(settings: Settings) -> None:
    """Rows state all regularisers and their round, so one that is set beside them would silently have no effect.

    Raises:
        SettingsError: the settings have a regulariser of chapter 2, or a round of chapter 3.
    """
    for name in (*regularisers(), "subcategories.round"):
        if attrgetter(name)(settings):
            raise SettingsError(
                f"{name} is what the rows of the tables differ in: leave it at 0 and give the notebook's own parameter "
                "(alpha, lambda_ent, lambda_con, rounds), or a row of your own in extra_rows"
            )


def _check_trained(settings: Settings, what: str) -> None:
    if settings.classifier.weights:
        raise SettingsError(f"{what} trains each of its rows: leave classifier.weights empty")


def _other_form(settings: Settings) -> str:
    return {"written": "floored", "floored": "written"}[settings.classifier.concentration_form]
