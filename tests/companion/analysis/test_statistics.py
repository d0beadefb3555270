"""Intervals, tests and verdicts against their formulas, against scipy, and the rule they follow."""

import itertools
import math
import warnings

import numpy as np
import pytest
from scipy import stats

from companion.analysis.statistics import (
    EXACT_PAIRS,
    FLIPS,
    Interval,
    equivalence,
    holm,
    independent_difference,
    mean_interval,
    p_value,
    paired_difference,
    sign_flip_test,
    verdict,
)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_interval_is_that_of_the_t_distribution(n, confidence):
    values = np.random.default_rng(n).normal(50, 2, n)
    interval = mean_interval(values, confidence)
    mean = math.fsum(values) / n
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half_width = stats.t.ppf((1 + confidence) / 2, n - 1) * std / math.sqrt(n)
    assert interval[:5] == pytest.approx((mean, std, mean - half_width, mean + half_width, n), rel=1e-12)
    assert interval.values == tuple(values)


@pytest.mark.parametrize("values", [[50.0] * 3, [0.1] * 3, [0.3, 0.1 + 0.2, 0.3]])
def test_values_that_are_all_but_equal_have_a_narrow_interval_and_no_warning(values):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        interval = mean_interval(values)
    assert interval[:4] == pytest.approx((values[0], 0, values[0], values[0]), abs=1e-15)


def test_intervals_cover_the_true_mean_as_often_as_they_say():
    rng = np.random.default_rng(0)
    intervals = [mean_interval(rng.normal(7, 3, 3), 0.8) for _ in range(800)]
    assert np.mean([i.low <= 7 <= i.high for i in intervals]) == pytest.approx(0.8, abs=0.05)


def test_one_value_has_no_interval():
    interval = mean_interval([48.0])
    assert (interval.mean, interval.n) == (48.0, 1)
    assert math.isnan(interval.std) and math.isnan(interval.low) and math.isnan(interval.high)


def test_paired_difference_agrees_with_the_paired_t_test():
    rng = np.random.default_rng(1)
    b = rng.normal(48, 5, 6)
    a = b + rng.normal(1, 0.3, 6)
    paired = paired_difference(a, b)
    low, high = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert (paired.low, paired.high) == pytest.approx((low, high))
    assert paired.high - paired.low < mean_interval(a).high - mean_interval(a).low


@pytest.mark.parametrize(
    ("low", "high", "n", "claimed_sign", "expected"),
    [
        (0.1, 2.0, 3, 1, "holds"),
        (0.1, 2.0, 3, -1, "opposite"),
        (-2.0, -0.1, 5, 1, "opposite"),
        (-2.0, -0.1, 5, -1, "holds"),
        (-0.1, 2.0, 9, 1, "undecided"),
        (0.0, 2.0, 9, 1, "undecided"),
        (0.1, 2.0, 2, 1, "undecided"),
        (0.5, 0.5, 3, 1, "holds"),
        (0.0, 0.0, 3, 1, "undecided"),
        (float("nan"), float("nan"), 1, 1, "undecided"),
    ],
)
def test_verdict_follows_the_interval(low, high, n, claimed_sign, expected):
    assert verdict(Interval((low + high) / 2, 1.0, low, high, n), claimed_sign) == expected


@pytest.mark.parametrize(
    ("low", "high", "n", "expected"),
    [
        (-0.9, 0.5, 3, "holds"),
        (-1.0, 1.0, 3, "holds"),
        (-0.5, 1.1, 3, "undecided"),
        (1.1, 2.0, 3, "opposite"),
        (-2.0, -1.1, 3, "opposite"),
        (-2.0, 2.0, 9, "undecided"),
        (0.0, 0.0, 2, "undecided"),
        (float("nan"), float("nan"), 1, "undecided"),
    ],
)
def test_equivalence_follows_the_interval_and_the_margin(low, high, n, expected):
    assert equivalence(Interval((low + high) / 2, 1.0, low, high, n), margin=1) == expected


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="same seeds, got 2 and 3 values"):
        paired_difference([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="finite values"):
        mean_interval([])
    with pytest.raises(ValueError, match="finite values"):
        mean_interval([1.0, float("nan")])
    with pytest.raises(ValueError, match=r"must be \+1 or -1, got 0"):
        verdict(Interval(1.0, 0.1, 0.8, 1.2, 3), 0)
    with pytest.raises(ValueError, match="margin must be positive, got 0"):
        equivalence(Interval(1.0, 0.1, 0.8, 1.2, 3), 0)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 5), (8, 4)])
def test_independent_difference_agrees_with_welch(n, m):
    rng = np.random.default_rng(n)
    a, b = rng.normal(50, 3, n), rng.normal(48, 1, m)
    found = independent_difference(mean_interval(a), mean_interval(b))
    low, high = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert (found.mean, found.low, found.high) == pytest.approx((a.mean() - b.mean(), low, high))
    assert found.n == min(n, m)


def test_independent_difference_of_a_single_run_or_of_constant_ones():
    alone = independent_difference(mean_interval([50.0]), mean_interval([48.0, 49.0]))
    assert alone.mean == 1.5 and math.isnan(alone.low) and alone.n == 1
    same = independent_difference(mean_interval([50.0] * 3), mean_interval([48.0] * 3))
    assert (same.low, same.high) == (2.0, 2.0)


# --- What checks a verdict --------------------------------------------------------------------------------------------


def every_pattern(differences):
    """p by its definition: the share of sign patterns whose sum is as far from 0, rounding apart."""
    patterns = itertools.product([-1, 1], repeat=len(differences))
    sums = [abs(math.fsum(np.multiply(signs, differences))) for signs in patterns]
    return np.mean(np.array(sums) > abs(math.fsum(differences)) - 1e-9)


@pytest.mark.parametrize(
    "differences",
    [
        *(np.random.default_rng(n).normal(1, 1.5, n) for n in (1, 2, 3, 5, 9, 12)),
        [0.1, 0.2, -0.3],
        [0.1, 0.2, -0.3, 0.0, 0.6],
        [0.5, 0.5, 0.5, -0.5],
        [0.7, 0.1, 0.2, 0.3, 0.4],
    ],
)
def test_sign_flips_count_every_pattern(differences):
    assert sign_flip_test(differences).p == pytest.approx(every_pattern(differences), rel=1e-12)


def test_three_seeds_never_reach_five_per_cent_and_six_can():
    for n in (3, 5, 6):
        certain = sign_flip_test(np.full(n, 2.0) + 0.1 * np.arange(n))
        assert certain.p == certain.least == 2 / 2**n
        assert (certain.p < 0.05) == (n >= 6)
    assert sign_flip_test([0.0, 0.0, 0.0]).p == 1


def test_drawn_sign_patterns_approach_the_counted_ones():
    values = np.random.default_rng(3).normal(0.4, 1, EXACT_PAIRS + 1)
    drawn = sign_flip_test(values, np.random.default_rng(0))
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    assert drawn.p == pytest.approx(np.mean(np.abs(sums) >= abs(values.sum()) - 1e-9), abs=0.015)
    assert sign_flip_test(np.ones(40), np.random.default_rng(0)).p == drawn.least == 2 / (FLIPS + 1)
    with pytest.raises(ValueError, match="give a generator"):
        sign_flip_test(values)


@pytest.mark.parametrize("values", [[2.0, 2.2, 1.8], [0.3, -0.1, 0.4, 0.2, -0.2]])
def test_p_is_that_of_scipy_and_decides_as_the_interval_does(values):
    found = mean_interval(values)
    assert p_value(found) == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    assert (p_value(found) < 0.05) == (verdict(found) != "undecided")


def test_p_where_seeds_decide_nothing_or_do_not_differ():
    assert p_value(None) is None and p_value(mean_interval([1.0, 2.0])) is None
    assert p_value(mean_interval([1.0] * 3)) == 0 and p_value(mean_interval([0.0] * 3)) == 1


def test_holm_agrees_with_known_values():
    """By hand: the least p times 5, the next times 4, and so on, none below the one before."""
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm([0.9, 0.001, 0.04]) == pytest.approx([0.9, 0.003, 0.08])
    assert holm([0.6, 0.7]) == [1, 1] and holm([]) == []
    p = [0.01, 0.02, 0.3]
    assert holm(p, unasked=2) == pytest.approx(holm([*p, 1, 1])[:3])
