"""Which classes a difference in mIoU comes from, and whether it would be there without any one of them.

The thesis prints classes in Tables 2.3 and 3.3 alone; nothing here corresponds to published code. All is computed from
the confusion counts that the scores have kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64

from companion.analysis import measures
from companion.analysis.claims import Verdict, lines_as_table, signed
from companion.analysis.measures import Scores
from companion.analysis.statistics import Interval, mean_interval, verdict
from thesislib import metrics

BACKGROUND = "background"
LEAST, MOST = "least without one class", "most without one class"


class Pair(NamedTuple):
    """Confusion counts of the row that should score higher and of the other one, a matrix a seed."""

    ours: Int64[np.ndarray, "s n n"]
    theirs: Int64[np.ndarray, "s n n"]


def pair(scores: Scores, row: str, reference: str) -> Pair:
    """Two rows at the fixed threshold, or of predicted masks."""
    return Pair(_counts(scores, row), _counts(scores, reference))


def added(after: Scores, before: Scores, row: str) -> Pair:
    """One row after a step and before it."""
    return Pair(_counts(after, row), _counts(before, row))


def _counts(scores: Scores, row: str) -> Int64[np.ndarray, "s n n"]:
    return np.stack([measures.fixed_counts(run) for run in scores[row]])


def differences(both: Pair) -> Float64[np.ndarray, "s n"]:
    """By how many points the IoU of each class differs, by seed; NaN for a class that the truth lacks."""
    found = 100 * (metrics.class_iou(both.ours) - metrics.class_iou(both.theirs))
    return np.where(both.ours.sum(axis=2) > 0, found, np.nan)


def without_each(both: Pair) -> dict[int, Interval]:
    """The difference in mIoU as it would be without a class, for every class of the truth; needs two of them."""
    by_class = differences(both)
    occurs = np.flatnonzero(np.isfinite(by_class).all(axis=0))
    if len(occurs) < 2:
        return {}
    return {int(c): mean_interval(by_class[:, occurs[occurs != c]].mean(axis=1)) for c in occurs}


def recall_change(both: Pair) -> float:
    """By how many points mean recall differs, mean over seeds."""
    ours, theirs = (np.nanmean(metrics.class_recall(counts), axis=1) for counts in both)
    return float(100 * (ours - theirs).mean())


def table(pairs: Mapping[str, Pair], classes: Sequence[str]) -> pd.DataFrame:
    """Each difference without one class, at the least and at the most, and its classes, means over seeds.

    Args:
        pairs: what is compared, by name.
        classes: names of the objects.
    """
    names = [BACKGROUND, *classes]
    lines: dict[str, dict[str, object]] = {}
    for name, both in pairs.items():
        found = differences(both)
        lines[name] = {"mIoU": mean_interval(np.nanmean(found, axis=1)), **_range(both, names)}
        means = found.mean(axis=0)
        lines[name] |= {of: float(mean) for of, mean in zip(names, means, strict=True) if np.isfinite(mean)}
    return lines_as_table(lines)


def _range(both: Pair, names: Sequence[str]) -> dict[str, str]:
    ordered = sorted(without_each(both).items(), key=lambda each: each[1].mean)
    ends = dict(zip((LEAST, MOST), (ordered[:1], ordered[-1:]), strict=True))
    return {heading: f"{signed(left.mean)} ({names[c]})" for heading, end in ends.items() for c, left in end}


def improved(both: Pair) -> tuple[int, ...]:
    """In how many object classes, without background, ours is above the other row, by seed."""
    return tuple(int(count) for count in (differences(both)[:, 1:] > 0).sum(axis=1))


def improved_table(pairs: Mapping[str, Pair], classes: Sequence[str]) -> pd.DataFrame:
    """In how many object classes ours is above the other row, in every reading of "improved".

    Those are: in each seed, in the mean over seeds, with the whole interval over seeds; and how many classes are below
    with their whole interval.

    Args:
        pairs: what is compared, by name.
        classes: names of the objects.
    """
    lines: dict[str, dict[str, object]] = {}
    for name, both in pairs.items():
        by_name = zip(classes, differences(both).T[1:], strict=True)
        known = {c: mean_interval(each) for c, each in by_name if np.isfinite(each).all()}
        signs = [verdict(each) for each in known.values()]
        lines[name] = {
            "each seed": mean_interval(improved(both)),
            "mean of seeds": sum(each.mean > 0 for each in known.values()),
            "whole interval": signs.count("holds"),
            "whole interval below": signs.count("opposite"),
            "of": len(known),
            "in the mean": ", ".join(c for c, each in known.items() if each.mean > 0),
        }
    return lines_as_table(lines)


def remarked(found: Verdict, both: Pair | None, classes: Sequence[str]) -> Verdict:
    """A verdict with a remark where it holds by one class alone, or although recall falls.

    Args:
        found: a verdict on mIoU.
        both: the counts that it was made of; None where there are none.
        classes: names of the objects.
    """
    if both is None or found.verdict != "holds":
        return found
    names = [BACKGROUND, *classes]
    rests = {c: left for c, left in without_each(both).items() if verdict(left) != "holds"}
    said = [f"Rests on class {names[c]}: {_in_words(left)} without it." for c, left in rests.items()]
    recall = recall_change(both)
    if recall < 0:
        said.append(f"Recall falls by {-recall:.1f} points: the gain is one of precision.")
    return replace(found, note=" ".join([found.note, *said] if found.note else said))


def _in_words(found: Interval) -> str:
    return f"{signed(found.mean)} [{signed(found.low)}, {signed(found.high)}]"
