"""What a paired t test over seeds could have seen: its power, and the seeds that it would take.

The thesis prints single runs; nothing here corresponds to published code. The difference to be seen is given in
advance, the one that the thesis prints, and never the one that was found: power at the difference found says no more
than its p value does. The deviation is the one seen, so with a handful of seeds the power is an estimate itself.
"""

from typing import overload

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import nct
from scipy.stats import t as student_t

from companion.analysis.statistics import LEVEL, MIN_SEEDS, Interval

ENOUGH = 0.8
"""The power at which a number of seeds counts as enough."""
TOO_LITTLE = 0.5
"""Below this power a claim that stays undecided says that its seeds had less than an even chance."""
OF_INTEREST = 1.0
"""The smallest difference of interest in mIoU points, where the thesis prints none: a decision of this project."""
MOST_SEEDS = 1_000


@overload
def power(effect: float, std: float, n: int, level: float = LEVEL) -> float: ...


@overload
def power(effect: float, std: float, n: Int[np.ndarray, " k"], level: float = LEVEL) -> Float[np.ndarray, " k"]: ...


def power(
    effect: float, std: float, n: int | Int[np.ndarray, " k"], level: float = LEVEL
) -> float | Float[np.ndarray, " k"]:
    """Chance that the two-sided t test of n paired differences tells their mean, `effect`, from 0.

    Args:
        effect: the true difference.
        std: standard deviation of the paired differences, of the same unit; positive.
        n: seeds, at least 2.
        level: of the test.

    >>> round(power(0.5, 1.0, 34), 3)
    0.808
    """
    edge, shift = student_t.isf(level / 2, n - 1), abs(effect) / std * np.sqrt(n)
    wrong_side = np.nan_to_num(nct.cdf(-edge, n - 1, shift))  # scipy's is NaN where it is below 1e-15
    found = nct.sf(edge, n - 1, shift) + wrong_side
    return found if isinstance(n, np.ndarray) else float(found)


def power_of(difference: Interval | None, effect: float, level: float = LEVEL) -> float | None:
    """`power` of the seeds that there are; None where they decide nothing or have no deviation."""
    if difference is None or difference.n < MIN_SEEDS or not difference.std > 0:
        return None
    return power(effect, difference.std, difference.n, level)


def seeds_needed(difference: Interval | None, effect: float, level: float = LEVEL) -> int | None:
    """The fewest seeds, 3 or more, that see a difference of `effect` with a power of 80 %.

    Args:
        difference: of the seeds that there are, whose deviation is taken.
        effect: the difference to be seen, in the same unit.
        level: of the test.

    Returns:
        The number; None if it is above 1,000, or without a deviation or an effect.

    >>> seeds_needed(Interval(mean=7.0, std=2.0, low=2.0, high=12.0, n=3), 1.0)
    34
    """
    if difference is None or not (difference.std > 0 and effect):
        return None
    n = np.arange(MIN_SEEDS, MOST_SEEDS + 1)
    enough = n[power(effect, difference.std, n, level) >= ENOUGH]
    return int(enough[0]) if enough.size else None


def seeds_for_margin(difference: Interval, margin: float) -> int | None:
    """The fewest seeds, 3 or more, whose interval lies within the margin with 80 % power if there is no difference.

    Each end of the interval is on its side of 0 +- margin with the power of a one-sided test; that both are is at least
    twice that power less one (Bonferroni).

    Returns:
        The number; None if it is above 1,000 or the difference has no deviation.

    >>> seeds_for_margin(Interval(mean=7.0, std=1.0, low=2.0, high=12.0, n=3), 1.0)
    13
    """
    if not difference.std > 0:
        return None
    n = np.arange(MIN_SEEDS, MOST_SEEDS + 1)
    each = nct.sf(student_t.isf(LEVEL / 2, n - 1), n - 1, margin / difference.std * np.sqrt(n))
    enough = n[2 * each - 1 >= ENOUGH]
    return int(enough[0]) if enough.size else None
