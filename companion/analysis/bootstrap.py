"""What the choice of images contributes to a mIoU: percentile intervals of a bootstrap, for a single run too.

The thesis prints one number per method (Tables 2.1, 3.1), from one run on one set of images; nothing here corresponds
to published code. mIoU is not a mean over images, so it is computed anew from the counts of every draw.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, Integer

from thesislib.metrics import mean_iou

DRAWS = 2_000


class OverImages(NamedTuple):
    """A score with the percentile interval of a bootstrap over `images`; `std` is the bootstrap's standard error."""

    mean: float
    std: float
    low: float
    high: float
    images: int


def bootstrap_miou(
    counts: Integer[np.ndarray, "s n c c"], generator: np.random.Generator, confidence: float = 0.95
) -> OverImages:
    """mIoU in per cent, mean over runs, and its interval over images: those of the split are drawn again with repeats.

    It says how much hangs on which images were scored; nothing of another training. A class that a draw leaves out is
    left out of its mean, as in `metrics.mean_iou`.

    Args:
        counts: confusion counts `[truth, prediction]` of every image by run (seed), image and class; one run is enough.
        generator: draws the images.

    Raises:
        ValueError: no run or no image.
    """
    return _over_images(_drawn_miou(counts, _drawn_images(counts, generator)), confidence, counts.shape[1])


def bootstrap_difference(
    a: Integer[np.ndarray, "s n c c"],
    b: Integer[np.ndarray, "r m c c"],
    generator: np.random.Generator,
    confidence: float = 0.95,
) -> OverImages:
    """Difference of mIoU a - b in points, with its interval over images: the same images are drawn for both.

    Args:
        a, b: as the counts of `bootstrap_miou`, of the same images in the same order.
        generator: draws the images.

    Raises:
        ValueError: different numbers of images, no run or no image.
    """
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"both must be scored on the same images, got {a.shape[1]} and {b.shape[1]}")
    images = _drawn_images(a, generator)
    return _over_images(_drawn_miou(a, images) - _drawn_miou(b, images), confidence, a.shape[1])


def _drawn_images(counts: Integer[np.ndarray, "s n c c"], generator: np.random.Generator) -> Float64[np.ndarray, "d n"]:
    """How often each image is drawn, for each draw; the first line is the split itself."""
    runs, n = counts.shape[:2]
    if not (runs and n):
        raise ValueError(f"a bootstrap needs at least one run and one image, got {runs} runs of {n} images")
    return np.vstack([np.ones(n), generator.multinomial(n, np.full(n, 1 / n), DRAWS)])


def _drawn_miou(
    counts: Integer[np.ndarray, "s n c c"], images: Float64[np.ndarray, "d n"]
) -> Float64[np.ndarray, " d"]:
    """mIoU in per cent of every draw, mean over runs."""
    of_runs = [mean_iou(_drawn_counts(run, images)) for run in counts]
    return 100 * np.mean(of_runs, axis=0)


def _drawn_counts(
    counts: Integer[np.ndarray, "n c c"], images: Float64[np.ndarray, "d n"]
) -> Int64[np.ndarray, "d c c"]:
    """Sums of counts below 2^53, so exact in float64."""
    sums = images @ counts.reshape(len(counts), -1).astype(np.float64)
    return sums.astype(np.int64).reshape(-1, *counts.shape[1:])


def _over_images(draws: Float64[np.ndarray, " d"], confidence: float, images: int) -> OverImages:
    found, drawn = draws[0], draws[1:]
    low, high = np.percentile(drawn, [50 * (1 - confidence), 50 * (1 + confidence)])
    return OverImages(float(found), float(drawn.std(ddof=1)), float(low), float(high), images)
