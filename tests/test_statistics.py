"""Intervals and verdicts against scipy and the rule they follow."""

import math

import numpy as np
import pytest
from scipy import stats

from thesislib.statistics import Interval, equivalence, mean_interval, paired_difference, verdict


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_interval_agrees_with_scipy(n):
    values = np.random.default_rng(n).normal(50, 2, n)
    interval = mean_interval(values)
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert interval == pytest.approx((values.mean(), stats.tstd(values), low, high, n))


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
