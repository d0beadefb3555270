"""What is claimed and what became of it: rows, claims, paired differences, verdicts, and their wording.

Every table and verdict that says "A minus B" takes its difference, its sign, its words and the printed counterpart from
here; `statistics` has the rule by which an interval becomes a verdict. The thesis prints single runs; nothing here
corresponds to published code.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from companion.analysis import measures
from companion.analysis.measures import Measure, Scores
from companion.analysis.power import MOST_SEEDS, OF_INTEREST, TOO_LITTLE, power_of, seeds_needed
from companion.analysis.statistics import VERDICTS, Interval, equivalence, p_value, paired_difference, verdict

POINTS = "+.1f"
"""The format of a difference in points of a percentage."""
SIGNS = {"holds": "✓", "opposite": "✗", "undecided": "?"}
Printed = Mapping[str, float | None]
"""What the thesis prints, by row name; None for a row that it does not have."""
Readings = Mapping[str, Interval]
"""A difference as read in several ways, such as at the fixed and at the oracle threshold; the first is the main one."""


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


@dataclass(frozen=True)
class Claim:
    """That one row scores above another: said by the thesis, or asked by a control row.

    One claim of an experiment is `primary`: it is read as `maps.PRIMARY` and stands uncorrected; the thesis' others are
    corrected together, and so are those of the controls.
    """

    text: str
    row: Row
    reference: Row
    control: bool = False
    primary: bool = False


@dataclass(frozen=True)
class Sweep:
    """One panel of Fig. 2.5, or Fig. 3.4: rows that differ in one hyper-parameter alone.

    Args:
        name: of the hyper-parameter.
        text: what is fixed beside it.
        rows: by its value, ascending.
        default: the value that the thesis settles on.
        printed: mIoU where the thesis' numbers are known, by value.
    """

    name: str
    text: str
    rows: dict[float, Row]
    default: float
    printed: dict[float, float]


@dataclass(frozen=True)
class Place:
    """Where in the thesis a number is printed, and what it is a number of.

    Args:
        source: the table or figure, such as `Table 2.1` or `Fig. 2.5 a`.
        split: images it was measured on: `train` or `val`.
        stage: what was scored, such as `response maps`.
        measure: the score, in per cent; of a difference in points.
        row: the method; empty where it is the row of a table or the claim of a verdict.
    """

    source: str
    split: str
    stage: str
    measure: str = "mIoU"
    row: str = ""


@dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    Args:
        claim: in words.
        difference: that it speaks of, over seeds; None where there is none.
        verdict: `holds`, `opposite` or `undecided`.
        note: shown beside.
        format: of the difference.
        thesis: the difference that the thesis prints, which `note` says in words.
        place: where the thesis prints it.
        primary: the one claim of its experiment that was declared before it ran; all others are secondary.
        p: of the t test behind the interval, None where seeds decide nothing or the verdict is not of one difference.
        adjusted: p after Holm, together with the other claims of its family; None for one that stands alone.
        power: chance of these seeds to see a difference of `sought`; of a corrected claim at least.
        seeds: how many would see it with a power of 80 %.
        sought: the difference to be seen, without sign: the printed one, else the smallest of interest.
    """

    claim: str
    difference: Interval | None
    verdict: str
    note: str = ""
    format: str = POINTS
    thesis: float | None = None
    place: Place | None = None
    primary: bool = False
    p: float | None = None
    adjusted: float | None = None
    power: float | None = None
    seeds: int | None = None
    sought: float | None = None


# --- Differences ------------------------------------------------------------------------------------------------------


def seed_values(scores: Scores, row: str, measure: Measure = measures.fixed_miou) -> list[float]:
    """A score of one row, one value a seed; by default mIoU at the fixed threshold."""
    return [measure(run) for run in scores[row]]


def seed_differences(scores: Scores, row: str, reference: str, measure: Measure = measures.fixed_miou) -> list[float]:
    """By how much one row is above another, in points, one value a seed."""
    both = seed_values(scores, row, measure), seed_values(scores, reference, measure)
    return [ours - theirs for ours, theirs in zip(*both, strict=True)]


def difference(scores: Scores, row: str, reference: str, measure: Measure = measures.fixed_miou) -> Interval:
    """By how much one row is above another, in points, seed by seed; by default in mIoU at the fixed threshold."""
    return paired_difference(seed_values(scores, row, measure), seed_values(scores, reference, measure))


def added(after: Scores, before: Scores, row: str, measure: Measure = measures.fixed_miou) -> Interval:
    """What a row scores higher in `after` than in `before`, in points, seed by seed."""
    return paired_difference(seed_values(after, row, measure), seed_values(before, row, measure))


def grown(after: Scores, before: Scores, claim: Claim) -> Interval:
    """By how much the lead that a claim speaks of is larger in `after` than in `before`, in mIoU points."""
    ours, theirs = (
        [b - a for a, b in zip(seed_values(before, row.name), seed_values(after, row.name), strict=True)]
        for row in (claim.row, claim.reference)
    )
    return paired_difference(ours, theirs)


def interaction(scores: Scores, both: str, one: str, other: str, neither: str) -> list[float]:
    """By how much more one thing gains where the other is there too, in mIoU points, one value a seed.

    Args:
        scores: of four rows.
        both, one, other, neither: the names of the rows with both things, with either, and without.

    Returns:
        (both - one) - (other - neither); 0 where what the two gain adds up.
    """
    pairs = seed_differences(scores, both, one), seed_differences(scores, other, neither)
    return [there - alone for there, alone in zip(*pairs, strict=True)]


def paired(ours: Sequence[float], theirs: Sequence[float]) -> Interval | None:
    """By how much values of any kind are above others, seed by seed; None where either does not exist for some seed."""
    exist = len(ours) > 0 and len(theirs) > 0 and np.isfinite([*ours, *theirs]).all()
    return paired_difference(ours, theirs) if exist else None


def printed_difference(claim: Claim, printed: Printed) -> float | None:
    """The difference that the thesis prints for a claim, None where a row takes part that it does not have."""
    row, reference = printed.get(claim.row.name), printed.get(claim.reference.name)
    return None if row is None or reference is None else row - reference


# --- Verdicts ---------------------------------------------------------------------------------------------------------


def judged(
    claim: str,
    difference: Interval | None,
    note: str | None = None,
    *,
    thesis: float | None = None,
    place: Place | None = None,
    sign: int = 1,
    format: str = POINTS,
    of_interest: float | None = OF_INTEREST,
    primary: bool = False,
) -> Verdict:
    """The verdict on "the difference is above 0" (below, with `sign` -1).

    Args:
        claim: in words.
        difference: over seeds, None where there is none.
        note: the printed difference in words if not given.
        thesis: the printed difference, which is the one to be seen.
        place: where it is printed.
        sign: +1 or -1.
        format: of the difference.
        of_interest: the smallest difference of interest, where none is printed; None, or for another format than
            `POINTS`, there is none, as for all that is not mIoU.
        primary: whether it is the primary claim of its experiment.
    """
    sought = abs(thesis or 0) or (of_interest if format == POINTS else None)
    return Verdict(
        claim,
        difference,
        "undecided" if difference is None else verdict(difference, sign),
        in_words(thesis) if note is None else note,
        format,
        thesis,
        place,
        primary=primary,
        p=p_value(difference),
        power=power_of(difference, sought) if sought else None,
        seeds=seeds_needed(difference, sought) if sought else None,
        sought=sought,
    )


def points(margin: float, unit: str = "point") -> str:
    """A margin in words.

    >>> points(1), points(0.5, "mIoU point")
    ('1 point', '0.5 mIoU points')
    """
    return f"{margin:g} {unit}{'' if margin == 1 else 's'}"


def within(claim: str, difference: Interval, margin: float) -> Verdict:
    """The verdict on "the difference is at most the margin, whatever its sign"."""
    return Verdict(claim, difference, equivalence(difference, margin))


def sign(found: Interval | None) -> str:
    """The verdict on "above 0" as one of `SIGNS`, empty where there is no difference."""
    return "" if found is None else SIGNS[verdict(found)]


def signs(found: Readings) -> str:
    """`sign` of each reading."""
    return " ".join(sign(each) for each in found.values())


# --- Words ------------------------------------------------------------------------------------------------------------


def versus(claim: Claim) -> str:
    """The rows of a claim, the one that should be higher first."""
    return f"{claim.row.name} > {claim.reference.name}"


def signed(value: float, digits: int = 1) -> str:
    """A difference with its sign, that of 0 being plus.

    >>> signed(-0.44), signed(-0.04)
    ('−0.4', '+0.0')
    """
    return f"{round(value, digits) + 0:+.{digits}f}".replace("-", "−")


def in_words(printed: float | None) -> str:
    """A printed difference as a remark, empty where there is none.

    >>> in_words(-0.4)
    'Thesis −0.4.'
    """
    return "" if printed is None else f"Thesis {signed(printed)}."


def tests_in_words(found: Verdict) -> str:
    """p, and the power to see what was to be seen, or that it was less than an even chance; empty without a test."""
    if found.p is None or found.difference is None:
        return ""
    said = f"p {_p(found.p)}" + (f", {_p(found.adjusted)} after Holm" if found.adjusted is not None else "")
    if found.power is None or found.sought is None:
        return said
    few = found.verdict == "undecided" and found.power < TOO_LITTLE
    said += f" · less than an even chance with {found.difference.n} seeds: power" if few else " · power"
    said += " at least" if found.adjusted is not None else ""
    enough = f"more than {MOST_SEEDS:,}" if found.seeds is None else found.seeds
    return f"{said} {found.power:.2f} to see {found.sought:.{found.format[-2]}f} ({enough} seeds for 80 %)"


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "< .001"


def remarks(printed: float | None, found: Readings, digits: int = 1) -> str:
    """The printed difference, and what the readings other than the first say: mean and verdict.

    >>> remarks(1.34, {"fixed": Interval(1, 1, 0, 2, 3), "oracle": Interval(-0.5, 0.1, -0.7, -0.3, 3)})
    'thesis +1.3; oracle −0.5 opposite.'
    """
    said = [] if printed is None else [f"thesis {signed(printed, digits)}"]
    said += [f"{way} {signed(each.mean, digits)} {verdict(each)}" for way, each in list(found.items())[1:]]
    return "; ".join(said) + "."


def counted(verdicts: Iterable[str]) -> str:
    """How many of each verdict.

    >>> counted(["undecided", "holds", "holds"])
    '2 holds, 1 undecided'
    """
    found = Counter(verdicts)
    return ", ".join(f"{found[name]} {name}" for name in VERDICTS if found[name])


# --- Tables -----------------------------------------------------------------------------------------------------------


def lines_as_table(lines: Mapping[str, Mapping[str, object]], heading: str = "difference") -> pd.DataFrame:
    """Lines of differences, signs and printed values as a table."""
    return pd.DataFrame.from_dict(dict(lines), orient="index").astype(object).rename_axis(heading)
