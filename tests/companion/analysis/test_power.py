"""Power and the seeds that it takes, against published values and against simulation."""

import numpy as np
import pytest
from scipy import stats

from companion.analysis.power import power, power_of, seeds_for_margin, seeds_needed
from companion.analysis.statistics import Interval, equivalence, mean_interval


def of(std, n=3):
    return Interval(0.0, std, -1.0, 1.0, n)


def test_power_is_that_of_other_programs():
    """G*Power and statsmodels' `TTestPower`, one sample, two-sided: 34 for d = 0.5, 15 for 0.8, 199 for 0.2."""
    assert power(0.5, 1.0, 34) == pytest.approx(0.8077775, abs=1e-6)
    assert [seeds_needed(of(1.0), d) for d in (0.5, 0.8, 0.2)] == [34, 15, 199]


@pytest.mark.parametrize(("effect", "std", "n"), [(2.1, 1.5, 5), (0.2, 1.0, 3), (-1.0, 0.5, 4)])
def test_power_is_how_often_the_t_test_rejects(effect, std, n):
    drawn = np.random.default_rng(0).normal(effect, std, (20_000, n))
    assert power(effect, std, n) == pytest.approx(np.mean(stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05), abs=0.01)


@pytest.mark.parametrize("n", [3, 4, 10, 100])
def test_power_grows_with_the_effect_up_to_one(n):
    found = [power(effect, 0.1, n) for effect in np.linspace(0.01, 5, 200)]
    assert np.isfinite(found).all() and np.diff(found).min() > -1e-9 and found[-1] == pytest.approx(1)
    assert seeds_needed(of(0.117), 1.0) == 3


def test_seeds_needed_are_the_fewest():
    for std, effect in ((2.0, 1.0), (1.0, 2.1)):
        n = seeds_needed(of(std), effect)
        assert power(effect, std, n) >= 0.8 > power(effect, std, n - 1)


def test_no_number_where_there_is_no_deviation_or_too_many_are_needed():
    assert seeds_needed(mean_interval([2.0]), 1.0) is None and seeds_needed(None, 1.0) is None
    assert seeds_needed(of(0.0), 1.0) is None and seeds_needed(of(20.0), 0.1) is None
    assert seeds_needed(of(0.01), 1.0) == 3
    assert power_of(of(1.0, n=2), 1.0) is None and power_of(of(0.0), 1.0) is None
    assert power_of(of(1.0), 1.0) == power(1.0, 1.0, 3)


def test_seeds_for_a_margin_show_equivalence_in_four_of_five_experiments():
    n = seeds_for_margin(of(1.0), 1.0)
    drawn = np.random.default_rng(0).normal(0, 1, (4_000, n))
    shown = np.mean([equivalence(mean_interval(each), 1.0) == "holds" for each in drawn])
    assert n == 13 and 0.78 < shown < 0.9
    assert seeds_for_margin(of(0.0), 1.0) is None
