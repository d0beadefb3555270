"""What the thesis says that its methods do to maps and classifiers, beside raising mIoU: each a paired claim.

Thesis sections 2.2, 2.4 and 3.2: maps become more complete and more even, attention leaves the most discriminative
part, mixed labels calibrate. The thesis shows images and measures none of it; nothing here corresponds to published
code.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from companion.analysis import measures
from companion.analysis.claims import Claim, Verdict, judged, paired, seed_values, versus
from companion.analysis.measures import Measure, Run, Scores
from thesislib import metrics

HEAD, BODY = metrics.PARTS.index("head"), metrics.PARTS.index("body")


class Mechanism(NamedTuple):
    """One thing said of a method: in words, what measures it, and whether that goes up or down."""

    text: str
    measured: str
    measure: Measure
    sign: int = 1


MAPS = (
    Mechanism("Maps are more complete", "share of the objects' area above the fixed threshold", measures.object_share),
    Mechanism("Maps are more complete", "mean recall at the fixed threshold", measures.mean_recall),
    Mechanism("Maps are more even", "coefficient of variation inside the objects, down", measures.variation, -1),
)
CALIBRATES = Mechanism(
    "The classifier is better calibrated", "expected calibration error, down", measures.calibration_error, -1
)


def body_over_head(run: Run, threshold: float) -> float:
    """By how many points the covered share of bodies is above that of heads; NaN where parts are not known."""
    step = measures.step_of(threshold)
    return measures.part_share(run, BODY, step) - measures.part_share(run, HEAD, step)


def averts(threshold: float) -> Mechanism:
    """Attention leaves the head, by which generated classes are told apart most easily."""
    return Mechanism(
        "Attention moves from the most discriminative part",
        "covered share of bodies minus that of heads at the fixed threshold",
        partial(body_over_head, threshold=threshold),
    )


def verdicts(claim: Claim, asked: Sequence[Mechanism], scores: Scores, split: str) -> Iterator[Verdict]:
    """What became of each, in points of a percentage, for the rows of a claim.

    Args:
        claim: the rows; its words are not used.
        asked: what is said of them.
        scores: of `split`.
        split: named.
    """
    for text, measured, measure, sign in asked:
        found = paired(*(seed_values(scores, row.name, measure) for row in (claim.row, claim.reference)))
        words = f"{text} ({measured}, {split}): {versus(claim)}"
        words = words if sign > 0 else words.replace(" > ", " against ")
        yield judged(words, found, sign=sign, of_interest=None)
