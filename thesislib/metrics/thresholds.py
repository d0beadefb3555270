"""Scores of response maps at every background threshold: confusion counts and coverage of object parts.

Thesis sections 2.4 and 3.4. Corresponds to running `tool/iouutils.py` of jiwoon-ahn/psa once a threshold.

Deliberate difference: the whole curve comes from one pass over the pixels.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int64, Integer

from thesislib.metrics.counting import Array, check_same_size, count, ratio

THRESHOLDS: Float64[np.ndarray, " t"] = np.arange(61) / 100
"""Background thresholds of the curve, 0.00 to 0.60 (A16)."""
PARTS = ("head", "body", "thin")
"""Object parts of the generated data, in the order of their values 1, 2, 3 in a part map."""


def threshold_confusions(
    truth: Integer[Array, "..."],
    normalized_maps: Float[Array, "c height width"],
    thresholds: Float[np.ndarray, " t"] = THRESHOLDS,
) -> Int64[np.ndarray, "t c+1 c+1"]:
    """Confusion counts of one image at every background threshold; add them up over a split.

    Equal to `cam.label_map` at each threshold followed by `ConfusionMatrix.update`, from one pass over the pixels.

    Args:
        truth: label map `(H, W)`; labels above C are ignored.
        normalized_maps: `(C, H, W)` from `cam.normalize`.
        thresholds: background scores, ascending.

    Raises:
        ValueError: sizes differ, or thresholds do not ascend.

    >>> from thesislib.metrics import mean_iou
    >>> truth, maps = np.array([[1, 0]]), np.array([[[0.5, 0.2]]], np.float32)
    >>> mean_iou(threshold_confusions(truth, maps, np.array([0.1, 0.3, 0.5])))
    array([0.25, 1.  , 0.25])
    """
    truth, maps = np.asarray(truth), np.asarray(normalized_maps)
    check_same_size(truth, maps.shape[1:], "response maps")
    classes, steps = len(maps) + 1, len(thresholds)
    winner, passed = _winner_and_thresholds_passed(maps, thresholds)
    valid = (truth >= 0) & (truth < classes)
    histogram = count((truth[valid], winner[valid], passed[valid]), (classes, classes, steps + 1))
    counts = np.moveaxis(_passed_at_each_threshold(histogram), -1, 0)
    counts[:, :, 0] = histogram.sum(axis=(1, 2)) - counts.sum(axis=2)
    return counts


class PartCoverage(NamedTuple):
    """Pixels of each part that the label map gives their right class, and all pixels of it; add both over a split."""

    covered: Int64[np.ndarray, "t p"]
    total: Int64[np.ndarray, " p"]

    def share(self) -> Float64[np.ndarray, "t p"]:
        """Share of each part that is covered, at each threshold; NaN for a part without pixels."""
        return ratio(self.covered, self.total)


def part_coverage(
    truth: Integer[Array, "..."],
    parts: Integer[Array, "..."],
    normalized_maps: Float[Array, "c height width"],
    thresholds: Float[np.ndarray, " t"] = THRESHOLDS,
) -> PartCoverage:
    """Coverage of the object parts of one image by its class, at every background threshold.

    Args:
        truth: label map `(H, W)`; only pixels of a class 1 to C count.
        parts: part map `(H, W)`: 0 none, then the index in `PARTS` plus 1.
        normalized_maps: `(C, H, W)` from `cam.normalize`.
        thresholds: background scores, ascending.

    Raises:
        ValueError: sizes differ, or thresholds do not ascend.
    """
    truth, parts, maps = np.asarray(truth), np.asarray(parts), np.asarray(normalized_maps)
    check_same_size(truth, parts.shape, "part map")
    check_same_size(truth, maps.shape[1:], "response maps")
    winner, passed = _winner_and_thresholds_passed(maps, thresholds)
    on_part = (truth >= 1) & (truth <= len(maps)) & (parts >= 1) & (parts <= len(PARTS))
    right, part = (winner == truth)[on_part].astype(np.int64), parts[on_part].astype(np.int64) - 1
    histogram = count((right, part, passed[on_part]), (2, len(PARTS), len(thresholds) + 1))
    return PartCoverage(_passed_at_each_threshold(histogram[1]).T, histogram.sum(axis=(0, 2)))


def thresholds_passed(scores: Float[np.ndarray, "*n"], thresholds: Float[np.ndarray, " t"]) -> Int64[np.ndarray, "*n"]:
    """How many thresholds each score exceeds, compared in the precision of the scores, as `cam.label_map` does.

    Raises:
        ValueError: thresholds do not ascend.
    """
    if not (np.diff(thresholds) > 0).all():
        raise ValueError(f"thresholds must ascend, got {thresholds}")
    return np.searchsorted(thresholds.astype(scores.dtype), scores, side="left")


def _winner_and_thresholds_passed(maps: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Strongest class `c + 1` of each pixel, and how many thresholds its score exceeds."""
    return maps.argmax(axis=0) + 1, thresholds_passed(maps.max(axis=0), thresholds)


def _passed_at_each_threshold(histogram: np.ndarray) -> np.ndarray:
    """Counts by thresholds passed `(..., T + 1)` to counts of pixels that pass each threshold `(..., T)`."""
    return histogram[..., :0:-1].cumsum(axis=-1)[..., ::-1]
