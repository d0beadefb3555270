"""How the response maps depend on one hyper-parameter at a time: the tables behind Fig. 2.5 and Fig. 3.4.

Thesis sections 2.4.2 and 3.4.2. Every value is compared with the default and with plain CAM, seed by seed. Nothing here
corresponds to published code; the thesis prints neither the grid of Fig. 2.5 nor the values of most points.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from companion.analysis import measures
from companion.analysis.claims import Row, Sweep, Verdict, difference, judged, lines_as_table, seed_values, sign
from companion.analysis.maps import over_seeds
from companion.analysis.measures import Measure, Scores
from companion.analysis.methods import PLAIN_CAM
from companion.analysis.statistics import LEVEL, Interval, equivalence, holm, p_value, verdict


class Point(NamedTuple):
    """A value of the grid, and the difference it makes in mIoU points."""

    value: float
    difference: Interval


def table(sweep: Sweep, scores: Scores, split: str = "train", controls: Sequence[Row] = ()) -> pd.DataFrame:
    """One row a value: mIoU at the fixed and the oracle threshold, and against the default and plain CAM.

    Args:
        sweep: the values.
        scores: of their rows, on `split`.
        split: named in the headings.
        controls: rows without a value, at the end.
    """
    lines = {}
    for value, row in sweep.rows.items():
        name = f"{value:g}{' (default)' if value == sweep.default else ''}"
        lines[name] = _line(sweep, scores, row, split, sweep.printed.get(value))
    lines |= {row.name: _line(sweep, scores, row, split, None) for row in controls}
    return lines_as_table(lines, sweep.name)


def _line(sweep: Sweep, scores: Scores, row: Row, split: str, printed: float | None) -> dict[str, object]:
    default = sweep.rows[sweep.default].name
    from_plain = None if row.overrides == PLAIN_CAM.overrides else difference(scores, row.name, PLAIN_CAM.name)
    return {
        f"mIoU {split}, fixed": over_seeds(seed_values(scores, row.name)),
        f"mIoU {split}, oracle": over_seeds(seed_values(scores, row.name, measures.oracle_miou)),
        "fixed, minus default": None if row.name == default else difference(scores, row.name, default),
        "fixed, minus CAM": from_plain,
        "above CAM": sign(from_plain),
        f"thesis, VOC {split}": printed,
    }


# --- Little change over the grid --------------------------------------------------------------------------------------


def from_default(sweep: Sweep, scores: Scores, measure: Measure = measures.fixed_miou) -> list[Point]:
    """By how much every other value differs from the default; without 0, which leaves the term out, and plain CAM."""
    default = sweep.rows[sweep.default]
    return [
        Point(value, difference(scores, row.name, default.name, measure))
        for value, row in sweep.rows.items()
        if value > 0 and row != default and row.overrides != PLAIN_CAM.overrides
    ]


def insensitive(found: Sequence[Point], margin: float) -> str:
    """Verdict on "it makes no difference over the grid": holds if it holds for every value.

    `opposite` where one value at least differs by more than the margin (`beyond`).
    """
    if beyond(found, -margin, margin):
        return "opposite"
    return all_or_undecided(equivalence(each.difference, margin) for each in found)


def widest(found: Sequence[Point], margin: float) -> Point:
    """The value whose interval reaches farthest from 0, of those surely beyond the margin where there are such.

    Without intervals the one with the larger mean.
    """
    return max(
        [*beyond(found, -margin, margin)] or found,
        key=lambda each: max(abs(end) for end in each.difference[:1] + each.difference[2:4] if end == end),
    )


def beyond(found: Sequence[Point], low: float, high: float = math.inf) -> dict[Point, float]:
    """The values whose difference is surely below `low` or above `high`, with p after Holm over the grid.

    One of many values is soon far from 0 by chance, so that one is does not follow from its own interval.
    """
    tests = [p_value(_moved(each.difference, low, high)) for each in found]
    adjusted = holm([1 if p is None else p for p in tests])
    outside = {each: p for each, p in zip(found, adjusted, strict=True) if not low <= each.difference.mean <= high}
    return {each: p for each, p in outside.items() if p < LEVEL}


def _moved(difference: Interval, low: float, high: float) -> Interval:
    """By how much a difference is outside `low` to `high`; 0 inside."""
    mean = difference.mean
    return difference._replace(mean=mean - min(max(mean, low), high))


def all_or_undecided(verdicts: Iterable[str]) -> str:
    """`holds` if all of one or more hold.

    >>> all_or_undecided(["holds", "opposite"]), all_or_undecided(["holds", "holds"])
    ('undecided', 'holds')
    """
    return "holds" if {*verdicts} == {"holds"} else "undecided"


# --- Above another row ------------------------------------------------------------------------------------------------


def above(sweep: Sweep, scores: Scores, reference: Row, measure: Measure = measures.fixed_miou) -> list[Point]:
    """By how much each value that is not plain CAM itself is above another row."""
    rows = {value: row for value, row in sweep.rows.items() if row.overrides != PLAIN_CAM.overrides}
    return [Point(value, difference(scores, row.name, reference.name, measure)) for value, row in rows.items()]


def above_plain(sweep: Sweep, scores: Scores, measure: Measure = measures.fixed_miou) -> dict[float, str]:
    """Verdict on "above plain CAM" of each value that is not plain CAM itself."""
    return {each.value: verdict(each.difference) for each in above(sweep, scores, PLAIN_CAM, measure)}


def every_above(found: Sequence[Point]) -> str:
    """Verdict on "every value is above it": holds if each holds, opposite where one at least is below (`beyond`)."""
    return "opposite" if beyond(found, 0) else all_or_undecided(verdict(each.difference) for each in found)


def p_of_every(found: Sequence[Point]) -> float | None:
    """p of what is decided about "every value is above it"; None where seeds decide nothing.

    That all are above needs each at 5 % without correction (an intersection-union test), so it is the largest p, that
    of a value which is not above counting as 1. That one at least is below is corrected for their number.
    """
    tests = [(p_value(each.difference), each.difference.mean) for each in found]
    if not found or any(p is None for p, _ in tests):
        return None
    if below := beyond(found, 0):
        return min(below.values())
    return max(1.0 if mean <= 0 else p or 0 for p, mean in tests)


def every(claim: str, found: Sequence[Point], note: str = "", *, primary: bool = False) -> Verdict:
    """The verdict on "every value is above it", with the difference of the one whose interval reaches lowest.

    Where values are surely below, it is one of these. Power and seeds are those of that value alone, so those of the
    whole claim are no better.
    """
    below = beyond(found, 0)
    least = lowest([*below] or found)
    which = "surely below after Holm" if below else "whose interval reaches lowest"
    shown = f"Shown: {least.value:g}, {which}; power and seeds are for it alone."
    alone = judged(claim, least.difference, f"{shown} {note}".rstrip(), primary=primary)
    return replace(alone, verdict=every_above(found), p=p_of_every(found))


def lowest(found: Sequence[Point]) -> Point:
    """The value whose interval reaches lowest; the one with the smallest mean without intervals."""
    return min(found, key=lambda each: each.difference.low if each.difference.n > 1 else each.difference.mean)


def in_words(verdicts: Mapping[float, str]) -> str:
    """The verdict of each value.

    >>> in_words({2: "holds", 5: "undecided"})
    '2 holds; 5 undecided'
    """
    return "; ".join(f"{value:g} {found}" for value, found in verdicts.items())
