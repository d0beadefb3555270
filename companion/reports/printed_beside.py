"""The thesis' printed numbers beside those measured here: where each stands, and how far ours is from it.

A notebook says of a table's column, a key number or a verdict which printed number it answers, by a `Place`; the page
"The thesis against here" collects them from the records of all notebooks. The thesis prints single runs on PASCAL VOC
2012, so an interval of a difference to them holds the spread of our seeds alone.
"""

import math
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import pandas as pd

from companion.analysis import maps
from companion.analysis.claims import Place
from companion.analysis.statistics import MIN_SEEDS
from companion.experiments.printed_differences import PrintedDifference, all_printed
from companion.reports import typeset
from companion.reports.record import BesideEntry, Measured, Record, VerdictEntry

DIGITS = 6
"""To which values of seeds are the same: those of the same artefacts, summed in another order."""

Beside = Mapping[str, tuple[str, Place]]
"""By column of measured values: the column of printed ones, and where these stand."""


def numbers(value: Any) -> dict[str, Any]:
    """A value, or the mean and the ends of its interval with the value of each seed, as the fields of `Measured`."""
    if typeset.is_interval(value):
        found = {"value": value.mean, "low": value.low, "high": value.high}
        return found | {name: getattr(value, name, None) for name in ("std", "n", "values")}
    return {"value": value}


def named(place: Place | None, label: str) -> Place | None:
    """The place of a key number or verdict; its row is the label where none is given."""
    return place and replace(place, row=place.row or label)


def of_table(frame: pd.DataFrame, layout: typeset.Layout, beside: Beside) -> list[BesideEntry]:
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
                where = asdict(place) | {"row": place.row or " ".join(headings)}
                found.append(BesideEntry(**where, thesis=thesis, **numbers(value)))
    return found


def _is_number(value: Any) -> bool:
    return bool(pd.api.types.is_number(value)) and not isinstance(value, bool) and bool(pd.notna(value))


# --- The page ---------------------------------------------------------------------------------------------------------


class Distance(NamedTuple):
    """How far a measured number is above a printed one, with the interval of the measured one moved by it."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Answer:
    """A printed number or difference, what was measured beside it, and where that stands.

    Args:
        place, thesis: of what is printed; no number where a claim has none.
        measured: beside it; a verdict where it is a difference.
        notebooks: that show it, each with the same value of every seed.
        claim: of a difference, in words.
    """

    place: Place
    thesis: float | None
    measured: Measured
    notebooks: tuple[str, ...]
    claim: str = ""

    @property
    def verdict(self) -> str:
        """What became of a difference; empty for a score."""
        return self.measured.verdict if isinstance(self.measured, VerdictEntry) else ""

    @property
    def decides(self) -> bool:
        """Whether there are enough seeds for a verdict."""
        return (self.measured.n or 0) >= MIN_SEEDS

    @property
    def reading(self) -> str:
        """How a primary claim on response maps is read, where the thesis prints none; empty for all others."""
        return maps.PRIMARY_IN_WORDS if maps.PRIMARY_IN_WORDS in self.claim else ""

    @property
    def interval(self) -> Distance | None:
        """What was measured, with its ends (NaN without an interval); None where nothing was."""
        here = self.measured
        if here.value is None:
            return None
        return Distance(here.value, *(math.nan if end is None else end for end in (here.low, here.high)))

    @property
    def distance(self) -> Distance | None:
        """Measured minus printed, None where nothing was measured.

        >>> place, here = Place("Table 2.1", "train", "response maps"), Measured(value=49.5, low=44.0, high=55.0)
        >>> Answer(place, 48.0, here, ("21_response_maps",)).distance
        Distance(mean=1.5, low=-4.0, high=7.0)
        """
        here, thesis = self.interval, self.thesis
        return None if here is None or thesis is None else Distance(*(value - thesis for value in here))


def levels(records: Iterable[Record]) -> dict[str, list[Answer]]:
    """Scores with their printed counterpart by table or figure, in the order of the thesis; each number once."""
    found = []
    for record in records:
        for entry in (entry for table in record.tables for entry in table.beside):
            place = Place(entry.source, entry.split, entry.stage, entry.measure, entry.row)
            found.append(Answer(place, entry.thesis, entry, (record.notebook,)))
        for number in record.key_numbers:
            if number.place and number.thesis is not None:
                found.append(Answer(number.place, number.thesis, number, (record.notebook,)))
    return _by_source(once(found))


def differences(records: Iterable[Record]) -> list[Answer]:
    """What became of the differences that the thesis prints or claims; each once, however many notebooks show it."""
    known = {each.place for each in all_printed()}
    return once(
        Answer(entry.place, entry.thesis, entry, (record.notebook,), entry.claim)
        for record in records
        for entry in record.verdicts
        if entry.place and (entry.thesis is not None or entry.place in known)
    )


def once(answers: Iterable[Answer]) -> list[Answer]:
    """Answers of the same place with the same value of every seed as one, under the notebooks that show it.

    Notebooks that read the same artefacts find the same values; another setting or other seeds give others, and then
    both stand there.
    """
    found: dict[Hashable, Answer] = {}
    for answer in answers:
        here = answer.measured
        values = tuple(round(value, DIGITS) for value in here.values or ()) or here.value
        first = found.setdefault((answer.place, values), answer)
        found[answer.place, values] = replace(
            first, notebooks=tuple(dict.fromkeys([*first.notebooks, *answer.notebooks]))
        )
    return list(found.values())


# --- What was not answered --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """A difference that the thesis prints, with what became of it; no answer where no report that is here asks it."""

    printed: PrintedDifference
    answers: Sequence[Answer]


def asked(answers: Sequence[Answer]) -> dict[str, list[Asked]]:
    """Every difference of the thesis within reach by table or figure, with its answers; one that is not printed last.

    Beside an answer of enough seeds for a verdict those of fewer are left out.

    Args:
        answers: from `differences`.
    """
    within = [each for each in all_printed() if not each.out_of_reach]
    known = {each.place for each in within}
    within += [
        PrintedDifference(each.place, each.thesis, each.claim)
        for each in {each.place: each for each in answers if each.place not in known}.values()
    ]
    found: dict[str, list[Asked]] = {}
    for each in sorted(within, key=lambda each: _order(each.place.source)):
        line = Asked(each, _best([answer for answer in answers if answer.place == each.place]))
        found.setdefault(each.place.source, []).append(line)
    return found


def _best(answers: Sequence[Answer]) -> Sequence[Answer]:
    return [answer for answer in answers if answer.decides] or answers


def out_of_reach() -> dict[str, dict[str, list[PrintedDifference]]]:
    """What nothing here can answer, by reason and table."""
    found: dict[str, dict[str, list[PrintedDifference]]] = {}
    for each in all_printed():
        if each.out_of_reach:
            found.setdefault(each.out_of_reach, {}).setdefault(each.place.source, []).append(each)
    return found


def _by_source(answers: Iterable[Answer]) -> dict[str, list[Answer]]:
    by_source: dict[str, list[Answer]] = {}
    for answer in sorted(answers, key=lambda answer: _order(answer.place.source)):
        by_source.setdefault(answer.place.source, []).append(answer)
    return by_source


def _order(source: str) -> tuple[list[int], bool, list[int], str]:
    """Chapter, tables before figures, number: Table 2.1, Table 2.2, Fig. 2.5 a, Table 3.1."""
    numbers = [int(digits) for digits in re.findall(r"\d+", source)]
    return numbers[:1], not source.startswith("Table"), numbers[1:], source
