"""Means over seeds with their confidence intervals, paired differences, the verdict on a claim, and what checks it.

The thesis prints single runs (Tables 2.1, 3.1, 3.2); nothing here corresponds to published code. Two methods are
compared seed by seed, so that what a seed fixes for both (data order, initialisation) drops out of the difference.
Intervals and tests are those of `scipy.stats`. What the choice of images contributes is another question: see
`bootstrap`.
"""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import permutation_test, ttest_1samp
from scipy.stats import t as student_t

MIN_SEEDS = 3
LEVEL = 0.05
VERDICTS = ("holds", "opposite", "undecided")
ASSUMPTION = (
    "A verdict rests on the 95 % Student t interval over training seeds: of paired differences, seed by seed, where "
    "two rows are compared. It assumes that these are independent draws from one normal distribution, which a handful "
    "of seeds cannot show. It is conditional on what all seeds share: the images, generated or not, and the weights "
    "that training starts from (those of ImageNet, or the demo's own). So it speaks of other trainings from "
    "the same, not of another experiment. A primary claim is decided by its interval alone, secondary ones by p of the "
    "same t test after Holm's correction."
)
EXACT_PAIRS = 16
FLIPS = 20_000


class Interval(NamedTuple):
    """Mean, standard deviation (n - 1) and confidence interval of `n` values, which are kept where they are single."""

    mean: float
    std: float
    low: float
    high: float
    n: int
    values: tuple[float, ...] = ()


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
    mean, nan, values = float(sample.mean()), float("nan"), tuple(sample.tolist())
    if n == 1:
        return Interval(mean, nan, nan, nan, n, values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # scipy's, of values that are all but equal
        low, high = ttest_1samp(sample, 0).confidence_interval(confidence)
    return Interval(mean, float(sample.std(ddof=1)), float(low), float(high), n, values)


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


def independent_difference(a: Interval, b: Interval, confidence: float = 0.95) -> Interval:
    """Welch's interval of the difference a - b of two means from independent runs, `n` the smaller number of runs.

    Mean, deviation and number are enough, since records need not keep the values; `scipy.stats.ttest_ind` asks for
    those, and `ttest_ind_from_stats` has no interval. For runs that share seeds `paired_difference` is the right one.
    Bounds are NaN where either is a single value.
    """
    mean, n, nan = a.mean - b.mean, min(a.n, b.n), float("nan")
    if n < 2:
        return Interval(mean, nan, nan, nan, n)
    errors = np.array([a.std**2 / a.n, b.std**2 / b.n])
    error = float(errors.sum() ** 0.5)
    if error == 0:
        return Interval(mean, 0.0, mean, mean, n)
    freedom = errors.sum() ** 2 / (errors**2 / np.array([a.n - 1, b.n - 1])).sum()
    low, high = student_t.interval(confidence, freedom, loc=mean, scale=error)
    return Interval(mean, error * n**0.5, float(low), float(high), n)


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


# --- What checks a verdict --------------------------------------------------------------------------------------------


class SignFlip(NamedTuple):
    """Two-sided p of a sign-flip test, and the least p that so few differences can give."""

    p: float
    least: float


def p_value(difference: Interval | None) -> float | None:
    """Two-sided p of the t test whose interval this is: below .05 where the 95 % interval leaves 0 out.

    None where seeds decide nothing, that is without a difference or with fewer than 3.

    >>> round(p_value(mean_interval([2.0, 2.2, 1.8])), 4)
    0.0033
    """
    if difference is None or difference.n < MIN_SEEDS:
        return None
    if difference.std == 0:
        return float(difference.mean == 0)
    statistic = abs(difference.mean) / difference.std * difference.n**0.5
    return float(2 * student_t.sf(statistic, difference.n - 1))


def holm(values: Sequence[float], unasked: int = 0) -> list[float]:
    """p values adjusted after Holm (1979): to trust all those below .05 is wrong in at most one family of twenty.

    Args:
        values: p of the claims that were asked.
        unasked: how many claims of the family were declared and not asked, as if p were 1 for each.

    >>> [round(p, 2) for p in holm([0.01, 0.04, 0.03, 0.005])]
    [0.03, 0.06, 0.06, 0.02]
    """
    p = np.asarray(values, np.float64)
    order, n = p.argsort(), len(p)
    adjusted = np.empty(n)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * (unasked + np.arange(n, 0, -1))))
    return [float(each) for each in adjusted]


def sign_flip_test(
    differences: Sequence[float] | Float[np.ndarray, " n"], generator: np.random.Generator | None = None
) -> SignFlip:
    """Permutation test of "no difference" that needs no normal distribution, only one that is symmetric about 0.

    Without a difference each sign is as likely as the other; p is the share of all sign patterns whose mean is at
    least as far from 0 as the one found. Every pattern has its mirror image, so with n differences p is never below
    2 / 2^n: 0.25 with 3 seeds, and below 0.05 from 6 seeds on.

    Args:
        differences: paired, one per seed.
        generator: draws patterns where there are more than 16 differences; up to that all are counted.

    Raises:
        ValueError: no differences, one that is not finite, or more than 16 without a generator.

    >>> sign_flip_test([2.0, 2.2, 1.8])
    SignFlip(p=0.25, least=0.25)
    """
    sample = np.asarray(differences, np.float64)
    n = len(sample)
    if n == 0 or not np.isfinite(sample).all():
        raise ValueError(f"a sign-flip test needs finite differences, one per seed; got {sample.tolist()}")
    if n > EXACT_PAIRS and generator is None:
        raise ValueError(f"{n} differences have too many sign patterns to count; give a generator that draws some")
    if n == 1:
        return SignFlip(1.0, 1.0)
    counted = n <= EXACT_PAIRS
    found = permutation_test(
        (sample / (np.abs(sample).sum() or 1.0),), _sum, permutation_type="samples", vectorized=True,
        n_resamples=2**n if counted else FLIPS, rng=generator,
    )  # fmt: skip
    return SignFlip(float(found.pvalue), 2.0 ** (1 - n) if counted else 2 / (FLIPS + 1))


def _sum(differences: Float[np.ndarray, "*patterns n"], axis: int) -> Float[np.ndarray, "*patterns"]:
    """Rounded, so that sums which differ by the order of their terms alone are as far from 0 as each other."""
    return np.asarray(np.round(differences.sum(axis=axis), 9))
