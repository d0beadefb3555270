"""What is said beside a primary claim: whether the interval leaves the printed difference out."""

import pytest

from companion.analysis.claims import judged
from companion.analysis.statistics import mean_interval
from companion.experiments.declared import beside


@pytest.mark.parametrize(
    ("differences", "thesis", "said"),
    [
        ([-1.0, -0.8, -1.2], 2.1, "Thesis +2.1. The interval leaves it out."),
        ([1.9, 2.2, 2.3], 2.1, "Thesis +2.1."),
        ([-1.0, -0.8], 2.1, "Thesis +2.1."),
        ([-1.0, -0.8, -1.2], None, ""),
    ],
)
def test_an_interval_without_the_printed_difference_is_named(
    differences: list[float], thesis: float | None, said: str
) -> None:
    assert beside(judged("a > b", mean_interval(differences), thesis=thesis)) == said
