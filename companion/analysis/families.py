"""Claims that are decided together: Holm's correction over the secondary claims of one table.

Every table has one primary claim, declared in its experiment, which stands by itself. The thesis' other claims of the
table are one family, those of the control rows another, those about what the method does to maps and classifier
(`mechanism`) a third, those on maps whatever the threshold (`completeness`) a fourth; what is asked of images, of
failures and of clusters is one for each question. Nothing here corresponds to published code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from companion.analysis.by_class import Pair, remarked
from companion.analysis.claims import Verdict
from companion.analysis.power import power_of, seeds_needed
from companion.analysis.statistics import LEVEL, holm

Judged = tuple[Verdict, Pair | None]
"""A verdict, and the counts that it was made of where it is one on mIoU."""
NOTE = (
    "The first claim is the primary one, a single one that the code of the experiment declares. All others are "
    "secondary and decided by their p after Holm, .05 for a family: the thesis' claims of a table are one, what the "
    "control rows ask is another, what the method does to maps and classifier a third, completeness whatever the "
    "threshold a fourth; what is asked of images, failures and clusters is one for each question. Claims whose rows "
    "were left out count in their family too. Power is that of the correction's strictest step. That something changes "
    "little is read from its interval alone. The interval shown is the 95 % one of a difference by itself, so one that "
    "leaves 0 out may belong to a claim that is undecided. Signs in tables are those of the intervals, not corrected."
)


def corrected(found: Sequence[Verdict], unasked: int = 0) -> list[Verdict]:
    """Verdicts of one family: undecided where p after Holm is not below .05; those without a p are as they were.

    Power and the seeds for 80 % become those of a test at .05 over the number of claims, Holm's strictest step, so the
    power is at least that.

    Args:
        found: the verdicts.
        unasked: how many claims of the family were declared and their rows left out, which makes no other claim easier.
    """
    tested = [each.p for each in found if each.p is not None]
    adjusted, level = iter(holm(tested, unasked)), LEVEL / max(1, len(tested) + unasked)
    return [each if each.p is None else _decided(each, next(adjusted), level) for each in found]


def _decided(found: Verdict, adjusted: float, level: float) -> Verdict:
    decided = replace(found, adjusted=adjusted, verdict=found.verdict if adjusted < LEVEL else "undecided")
    if found.sought is None:
        return decided
    seen = found.difference, found.sought, level
    return replace(decided, power=power_of(*seen), seeds=seeds_needed(*seen))


def together(
    family: Mapping[str, Sequence[Judged]], classes: Sequence[str], unasked: int = 0
) -> dict[str, list[Verdict]]:
    """`corrected` over parts of a family that are shown in different places, with remarks on classes and recall.

    Args:
        family: by where they are shown.
        classes: names of the objects.
        unasked: as in `corrected`.
    """
    decided = iter(corrected([found for part in family.values() for found, _ in part], unasked))
    return {name: [remarked(next(decided), both, classes) for _, both in part] for name, part in family.items()}


def alone(judged: Sequence[Judged], classes: Sequence[str], unasked: int = 0) -> list[Verdict]:
    """`together` for a family that is shown in one place."""
    return together({"all": judged}, classes, unasked)["all"]
