"""Rows of the user's own, and settings that no table can start from because its rows differ in them."""

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from companion.analysis.claims import Row
from companion.analysis.methods import PLAIN_CAM, regularisers
from companion.settings import Settings, SettingsError, nearest


def rows_of_the_user(extra_rows: Mapping[str, dict[str, Any]] | None, rows: Iterable[Row]) -> dict[str, Row]:
    """Rows beside `rows` by `own_key` of their name, each the plain classifier with the given settings.

    Raises:
        SettingsError: a name is taken by one of `rows`, or a row has no settings.
    """
    taken = {row.name for row in rows}
    found = {}
    for name, overrides in (extra_rows or {}).items():
        if name in taken:
            raise SettingsError(f"extra_rows: the name {name!r} is taken by a row of the table; choose another")
        if not isinstance(overrides, Mapping):
            raise SettingsError(
                f"extra_rows: row {name!r} needs its settings, such as {{'classifier.mixup_alpha': 0.4}}, "
                f"got {overrides!r}"
            )
        found[own_key(name)] = Row(name, PLAIN_CAM.overrides | dict(overrides), control=True)
    return found


def only(chosen: Sequence[str], rows: Mapping[str, Row], always: Sequence[str], parameter: str) -> dict[str, Row]:
    """The rows with the keys that are chosen by a parameter of the notebook, or all where none is chosen.

    Raises:
        SettingsError: a key that no row has, or one of `always` is left out.
    """
    for key in chosen:
        if key not in rows:
            raise SettingsError(
                f"{parameter}: there is no row {key!r}{nearest(key, list(rows))}; rows: {', '.join(rows)}"
            )
    if missing := [key for key in always if chosen and key not in chosen]:
        raise SettingsError(f"{parameter}: {' and '.join(missing)} is what the other rows are compared with; add it")
    return {key: row for key, row in rows.items() if not chosen or key in chosen}


def own_key(name: str) -> str:
    """The key of a row of the user's own, which no row of a table has.

    >>> own_key("cam")
    'own: cam'
    """
    return f"own: {name}"


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


def check_trained(settings: Settings, what: str) -> None:
    """Refuse a classifier from a file where every row is trained.

    Raises:
        SettingsError: `classifier.weights` names a file.
    """
    if settings.classifier.weights:
        raise SettingsError(f"{what} trains each of its rows: leave classifier.weights empty")


def other_form(settings: Settings) -> str:
    """The form of the concentration term (A5) that the settings do not have."""
    return {"written": "floored", "floored": "written"}[settings.classifier.concentration_form]
