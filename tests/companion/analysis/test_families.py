"""Claims that are decided together: what the correction does to their verdicts, power and seeds."""

import numpy as np
from scipy import stats

from companion.analysis import claims, families
from companion.analysis.statistics import mean_interval


def of(*means: float) -> list[claims.Verdict]:
    return [claims.judged(f"claim {mean}", mean_interval([mean - 0.2, mean, mean + 0.2])) for mean in means]


def test_a_claim_that_holds_alone_may_not_hold_in_its_family() -> None:
    alone, (first, second) = of(0.6)[0], families.corrected(of(0.6, 5.0), unasked=1)
    assert alone.verdict == "holds" and alone.adjusted is None
    assert first.verdict == "undecided" and second.verdict == "holds"
    assert first.adjusted == 2 * (first.p or 0) and second.adjusted == 3 * (second.p or 0)


def test_power_is_that_of_the_strictest_step_of_the_correction() -> None:
    (first, *_), (alone,) = families.corrected(of(0.6, 5.0), unasked=3), of(0.6)
    draws = np.random.default_rng(0).normal(1.0, 0.2, (40_000, 3))  # the difference of interest, the deviation seen
    rejected = np.mean(stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05 / 5)
    assert alone.power is not None and first.power is not None and alone.power > first.power + 0.4
    assert abs(first.power - rejected) < 0.01
    assert (first.seeds or 0) > (alone.seeds or 0)
    assert f"power at least {first.power:.2f} to see 1.0" in claims.tests_in_words(first)
    assert "at least" not in claims.tests_in_words(alone)
