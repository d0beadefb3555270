"""How the response maps depend on one hyper-parameter at a time: the tables behind Fig. 2.5.

Thesis section 2.4.2. Every value is compared with the default and with plain CAM, seed by seed. Nothing here
corresponds to published code; the thesis prints neither its grid nor the values of its curves.
"""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from thesislib import scores as score
from thesislib.experiments import PLAIN_CAM, Sweep
from thesislib.scores import Measure, Scores
from thesislib.statistics import Interval, equivalence, verdict
from thesislib.tables import SIGNS, difference, over_seeds


class Neighbour(NamedTuple):
    """A value next to the default in its grid, and the difference it makes in mIoU points."""

    value: float
    difference: Interval


def table(sweep: Sweep, train: Scores) -> pd.DataFrame:
    """One row a value: mIoU on train at the fixed and the oracle threshold, and against the default and plain CAM."""
    default = sweep.rows[sweep.default].name
    lines = {}
    for value, row in sweep.rows.items():
        from_default = difference(train, row.name, default)
        from_plain = difference(train, row.name, PLAIN_CAM.name)
        plain = row.overrides == PLAIN_CAM.overrides
        lines[f"{value:g}{' (default)' if value == sweep.default else ''}"] = {
            "mIoU train, fixed": over_seeds([score.fixed_miou(run) for run in train[row.name]]),
            "mIoU train, oracle": over_seeds([score.oracle_miou(run) for run in train[row.name]]),
            "fixed, minus default": None if value == sweep.default else from_default,
            "fixed, minus CAM": None if plain else from_plain,
            "above CAM": "" if plain else SIGNS[verdict(from_plain)],
            "thesis, VOC train": sweep.printed.get(value),
        }
    return pd.DataFrame.from_dict(lines, orient="index").astype(object).rename_axis(sweep.name)


def neighbours(sweep: Sweep, train: Scores, measure: Measure = score.fixed_miou) -> list[Neighbour]:
    """The values right below and right above the default, without 0, which leaves the term out."""
    values = list(sweep.rows)
    at = values.index(sweep.default)
    near = [value for value in values[max(0, at - 1) : at] + values[at + 1 : at + 2] if value > 0]
    default = sweep.rows[sweep.default].name
    return [Neighbour(value, difference(train, sweep.rows[value].name, default, measure)) for value in near]


def insensitive(found: Sequence[Neighbour], margin: float) -> str:
    """Verdict on "it makes no difference around the default": holds if it holds for every neighbour.

    `opposite` as soon as one neighbour differs by more than the margin with its whole interval.
    """
    verdicts = {equivalence(each.difference, margin) for each in found}
    if "opposite" in verdicts:
        return "opposite"
    return "holds" if verdicts == {"holds"} else "undecided"


def widest(found: Sequence[Neighbour]) -> Neighbour:
    """The neighbour whose interval reaches farthest from 0; the one with the larger mean without intervals."""
    return max(
        found, key=lambda each: max(abs(end) for end in each.difference[:1] + each.difference[2:4] if end == end)
    )


def above_plain(sweep: Sweep, train: Scores) -> dict[float, str]:
    """Verdict on "above plain CAM" of each value that is not plain CAM itself, at the fixed threshold."""
    rows = {value: row for value, row in sweep.rows.items() if row.overrides != PLAIN_CAM.overrides}
    return {value: verdict(difference(train, row.name, PLAIN_CAM.name)) for value, row in rows.items()}
