"""The thesis' printed numbers beside those measured here: where each stands, and how far ours is from it.

A notebook says of a table's column, a key number or a verdict which printed number it answers, by a `Place`; the page
"The thesis against here" collects them from the records of all notebooks. The thesis prints single runs on PASCAL VOC
2012, so an interval of a difference to them holds the spread of our seeds alone.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

import pandas as pd

from companion.analysis.claims import Place
from companion.reports import typeset
from companion.reports.record import Record

Beside = Mapping[str, tuple[str, Place]]
"""By column of measured values: the column of printed ones, and where these stand."""


def numbers(value: Any) -> Record:
    """A value, or the mean and the ends of its interval with the value of each seed, as numbers for `results.json`."""
    if typeset.is_interval(value):
        found = {"value": value.mean, "low": value.low, "high": value.high}
        return found | {name: getattr(value, name, None) for name in ("std", "n", "values")}
    return {"value": value}


def of_key_number(label: str, place: Place) -> Record:
    """The place of a key number; its row is the label where none is given."""
    return asdict(place) | {"row": place.row or label}


def of_table(frame: pd.DataFrame, layout: typeset.Layout, beside: Beside) -> list[Record]:
    """The printed numbers of a table with the measured ones of the same row; rows that lack either are left out.

    Raises:
        ValueError: a column that does not exist.
    """
    found = []
    for measured, (printed, place) in beside.items():
        for column in (measured, printed):
            typeset.require_column(column, frame)
        for (headings, _), value, thesis in zip(layout.rows, frame[measured], frame[printed], strict=True):
            if _is_number(thesis) and (_is_number(value) or typeset.is_interval(value)):
                row = place.row or " ".join(headings)
                found.append(asdict(place) | {"row": row, "thesis": thesis} | numbers(value))
    return found


def _is_number(value: Any) -> bool:
    return bool(pd.api.types.is_number(value)) and not isinstance(value, bool) and bool(pd.notna(value))


# --- The page ---------------------------------------------------------------------------------------------------------


class Distance(NamedTuple):
    """How far a measured number is above a printed one, with the interval of the measured one moved by it."""

    mean: float
    low: float
    high: float


def distance(entry: Record) -> Distance | None:
    """Measured minus printed, None where nothing was measured.

    >>> distance({"thesis": 48.0, "value": 49.5, "low": 44.0, "high": 55.0})
    Distance(mean=1.5, low=-4.0, high=7.0)
    """
    if entry.get("value") is None:
        return None
    ends = [entry.get(end) for end in ("low", "high")]
    low, high = (float("nan") if end is None else end - entry["thesis"] for end in ends)
    return Distance(entry["value"] - entry["thesis"], low, high)


def levels(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Scores with their printed counterpart by table or figure, in the order of the thesis; each number once."""
    found: dict[tuple[str, ...], Record] = {}
    for record in records:
        entries = [entry for table in record["tables"] for entry in table.get("beside", ())]
        for number in record["key_numbers"]:
            if number.get("place") and number["thesis"] is not None:
                entries.append(number["place"] | {name: number.get(name) for name in _NUMBERS})
        for entry in entries:
            key = (*(entry[name] for name in ("source", "row", "split", "stage", "measure")), record["notebook"])
            found.setdefault(key, entry | {"notebook": record["notebook"]})
    return _by_source(found.values())


def differences(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Claimed differences with the printed one beside ours and its verdict, by table or figure."""
    return _by_source(
        entry["place"]
        | {name: entry.get(name) for name in (*_NUMBERS, "verdict")}
        | {"row": entry["claim"], "notebook": record["notebook"]}
        for record in records
        for entry in record["verdicts"]
        if entry.get("place") and entry.get("thesis") is not None
    )


_NUMBERS = ("thesis", "value", "low", "high", "n")


def _by_source(entries: Iterable[Record]) -> dict[str, list[Record]]:
    by_source: dict[str, list[Record]] = {}
    for entry in sorted(entries, key=lambda entry: _order(entry["source"])):
        by_source.setdefault(entry["source"], []).append(entry)
    return by_source


def _order(source: str) -> tuple[list[int], bool, list[int], str]:
    """Chapter, tables before figures, number: Table 2.1, Table 2.2, Fig. 2.5 a, Table 3.1."""
    numbers = [int(digits) for digits in re.findall(r"\d+", source)]
    return numbers[:1], not source.startswith("Table"), numbers[1:], source
