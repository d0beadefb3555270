"""How many decided verdicts of the demo a repeat would decide again, by the number of seeds.

From the values of the published repeat (12 seeds a claim): mean and standard deviation of each difference are taken for
the true ones, and two runs of n seeds are drawn from normal distributions, each judged by its t test at the level that
Holm's correction left the claim in the published run.

    python -m benchmarks.expected_repeats
"""

from pathlib import Path

import numpy as np
from scipy import stats

from companion.analysis.statistics import MIN_SEEDS
from companion.reports import again
from companion.reports.found import PUBLISHED
from companion.reports.kept import REPORTS
from companion.reports.published import SCORES
from companion.reports.record import FILE, Record, VerdictEntry

LEVEL, LEAST_LEVEL = 0.05, 0.002  # the least: of a family of 25
RUNS = 1000


def main(folder: Path = PUBLISHED / "demo") -> None:
    """Print the expected counts for several numbers of seeds."""
    repeats = [each for each in again.read(folder) if each.together]  # of a grid both runs may show different values
    both = [np.array([*each.values, *each.found]) for each in repeats]
    mean, deviation = (np.array([measure(values) for values in both]) for measure in (np.mean, _deviation))
    level = np.array([_level(each, folder) for each in repeats])
    rng = np.random.default_rng(0)
    print(f"{len(repeats)} verdicts\nseeds decided stays turned")
    for seeds in (MIN_SEEDS, 6, 12, 24, 48):
        first, second = (_signs(mean, deviation, level, seeds, rng) for _ in range(2))
        decided, stay = np.mean(np.sum(first != 0, axis=1)), np.sum((first == second) & (first != 0))
        turned = np.mean(np.sum(first * second < 0, axis=1))
        print(f"{seeds:5} {decided:7.1f} {stay / np.sum(first != 0):5.0%} {turned:6.2f}")


def _signs(
    mean: np.ndarray, deviation: np.ndarray, level: np.ndarray, seeds: int, rng: np.random.Generator
) -> np.ndarray:
    """The sign that each claim is decided with in each of `RUNS` runs, 0 where it is not."""
    shape = RUNS, len(mean)
    means = mean + deviation / np.sqrt(seeds) * rng.standard_normal(shape)
    deviations = deviation * np.sqrt(rng.chisquare(seeds - 1, shape) / (seeds - 1))
    p = 2 * stats.t.sf(np.abs(means) / (deviations / np.sqrt(seeds)), seeds - 1)
    return np.sign(means) * (p < level)


def _level(repeated: again.Again, folder: Path) -> float:
    """What p had to be below, from how far the correction raised it."""
    record = Record.read(folder / SCORES / REPORTS / repeated.notebooks[0] / FILE)
    (entry,) = (entry for entry in record.verdicts if entry.claim == repeated.claim)
    return max(LEVEL * _share(entry), LEAST_LEVEL)


def _share(entry: VerdictEntry) -> float:
    if not entry.p or not entry.adjusted:
        return 1
    return entry.p / entry.adjusted if entry.adjusted < 1 else min(entry.p, 0.2)  # at 1 it is not known further


def _deviation(values: np.ndarray) -> float:
    return float(np.std(values, ddof=1))


if __name__ == "__main__":
    main()
