"""Means over seeds with their confidence intervals, paired differences, and the verdict on a claim.

The thesis prints single runs (Tables 2.1, 3.1, 3.2); nothing here corresponds to published code. Two methods are
compared seed by seed, so that what a seed fixes for both (data order, initialisation) drops out of the difference.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student_t

MIN_SEEDS = 3
VERDICTS = ("holds", "opposite", "undecided")


class Interval(NamedTuple):
    """Mean, standard deviation (n - 1) and confidence interval of `n` values."""

    mean: float
    std: float
    low: float
    high: float
    n: int


def mean_interval(values: Sequence[float] | Float[np.ndarray, " n"], confidence: float = 0.95) -> Interval:
    """Mean of one value per seed and its Student t interval; of a single value, deviation and bounds are NaN.

    Raises:
        ValueError: no values, or one that is not finite.

    >>> interval = mean_interval([50.1, 50.4, 49.8])
    >>> print(f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]")
    50.10 [49.35, 50.85]
    """
    sample = np.asarray(values, np.float64)
    n = len(sample)
    if n == 0 or not np.isfinite(sample).all():
        raise ValueError(f"an interval needs finite values, one per seed; got {sample.tolist()}")
    mean, nan = float(sample.mean()), float("nan")
    if n == 1:
        return Interval(mean, nan, nan, nan, n)
    std = float(sample.std(ddof=1))
    half_width = float(student_t.ppf((1 + confidence) / 2, n - 1)) * std / n**0.5
    return Interval(mean, std, mean - half_width, mean + half_width, n)


def paired_difference(
    a: Sequence[float] | Float[np.ndarray, " n"], b: Sequence[float] | Float[np.ndarray, " n"], confidence: float = 0.95
) -> Interval:
    """Interval of the differences a - b, seed by seed.

    Raises:
        ValueError: different numbers of values, none, or one that is not finite.
    """
    if len(a) != len(b):
        raise ValueError(f"paired values must come from the same seeds, got {len(a)} and {len(b)} values")
    return mean_interval(np.asarray(a, np.float64) - np.asarray(b, np.float64), confidence)


def verdict(difference: Interval, claimed_sign: int = 1) -> str:
    """What seeds say about a claimed difference: `holds`, `opposite` or `undecided`.

    It holds where the whole interval has the claimed sign, the opposite holds where the whole interval has the other
    one. An interval that reaches 0, or fewer than 3 seeds, decide nothing.

    Args:
        difference: from `paired_difference`.
        claimed_sign: +1 if the claim is a > b, -1 if it is a < b.

    Raises:
        ValueError: `claimed_sign` is neither.

    >>> verdict(paired_difference([50.1, 50.4, 49.9], [48.0, 48.2, 48.1]))
    'holds'
    """
    if claimed_sign not in (1, -1):
        raise ValueError(f"claimed_sign must be +1 or -1, got {claimed_sign}")
    if difference.n < MIN_SEEDS or not (difference.low > 0 or difference.high < 0):
        return "undecided"
    return "holds" if difference.mean * claimed_sign > 0 else "opposite"


def equivalence(difference: Interval, margin: float) -> str:
    """What seeds say about "no difference beyond the margin": `holds`, `opposite` or `undecided`.

    It holds where the whole interval lies within the margin of 0, the opposite holds where all of it lies beyond the
    margin on one side. A small difference that seeds cannot tell from a large one is undecided: not to find a
    difference is not to find that there is none.

    Args:
        difference: from `paired_difference`.
        margin: the largest difference that counts as none, in the unit of the difference; positive.

    >>> equivalence(paired_difference([50.1, 50.4, 49.9], [50.0, 50.5, 49.9]), margin=1)
    'holds'
    """
    if not margin > 0:
        raise ValueError(f"the margin must be positive, got {margin}")
    if difference.n < MIN_SEEDS:
        return "undecided"
    if -margin <= difference.low and difference.high <= margin:
        return "holds"
    return "opposite" if difference.low > margin or difference.high < -margin else "undecided"
