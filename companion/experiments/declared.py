"""The primary claim of an experiment as a verdict, and the table of the classes behind differences in mIoU.

One claim of each table is declared primary, in the code of its experiment. Of response maps it is read as
`maps.PRIMARY`: nothing is chosen by the truth of the images that are scored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from companion.analysis import by_class, maps
from companion.analysis.by_class import Pair
from companion.analysis.claims import Claim, Place, Verdict, difference, judged, versus
from companion.analysis.measures import Scores
from companion.analysis.statistics import MIN_SEEDS
from companion.experiments.exhibits import Table


def primary(claim: Claim, moved: Scores, classes: Sequence[str], thesis: float | None, place: Place | None) -> Verdict:
    """The primary claim about response maps.

    Args:
        claim: of two rows.
        moved: their counts in the reading, from `maps.moved`.
        classes: names of the objects.
        thesis, place: the printed difference and where it is printed.
    """
    rows = claim.row.name, claim.reference.name
    text = f"{claim.text}: {versus(claim)}, {maps.PRIMARY_IN_WORDS}"
    found = judged(text, difference(moved, *rows), thesis=thesis, place=place, primary=True)
    return by_class.remarked(replace(found, note=beside(found)), by_class.pair(moved, *rows), classes)


def beside(found: Verdict) -> str:
    """The note of a verdict, and whether its interval leaves the printed difference out."""
    interval, thesis = found.difference, found.thesis
    if interval is None or thesis is None or interval.n < MIN_SEEDS or interval.low <= thesis <= interval.high:
        return found.note
    return f"{found.note} The interval leaves it out."


def class_table(pairs: Mapping[str, Pair], classes: Sequence[str], name: str, of: str) -> Table:
    """Differences by class and without each class; `of`: the reading, images and seeds."""
    frame = by_class.table(pairs, classes)
    formats = dict.fromkeys([column for column in frame if column not in (by_class.LEAST, by_class.MOST)], "+.1f")
    return Table(
        frame,
        name,
        f"Where differences come from, in points: of {of}. Beside each what it would be without one class, at "
        "least and at most, with the class left out; then the difference of IoU of each class, mean over seeds.",
        formats=formats,
    )
