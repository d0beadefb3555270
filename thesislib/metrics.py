"""Segmentation scores: confusion matrix, IoU and F-scores, background-threshold curves, coverage of object parts.

Thesis sections 2.4 and 3.4. The confusion matrix corresponds to `tool/iouutils.py` of jiwoon-ahn/psa (and
Juliachang/SC-CAM), the F-scores to Table 3.2 in two readings (misprint S9).

Deliberate differences: a prediction outside the classes is an error instead of a wrong count; the whole threshold
curve comes from one pass over the pixels.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int64, Integer
from torch import Tensor

Array = np.ndarray | Tensor
Numbers = np.ndarray | np.number

THRESHOLDS: Float64[np.ndarray, " t"] = np.arange(61) / 100
"""Background thresholds of the curve, 0.00 to 0.60 (A16)."""
PARTS = ("head", "body", "thin")
"""Object parts of the generated data, in the order of their values 1, 2, 3 in a part map."""


# --- Confusion matrices and the scores read from them -----------------------------------------------------------------


class ConfusionMatrix:
    """Pixel counts `[truth, prediction]` over a whole split.

    Args:
        num_classes: with background. Truth labels from `num_classes` up (255, void) are ignored.

    >>> matrix = ConfusionMatrix(3)
    >>> matrix.update(np.array([[0, 0, 1, 255]]), np.array([[0, 2, 1, 1]]))
    >>> matrix.iou().tolist(), matrix.miou()
    ([0.5, 1.0, 0.0], 0.75)
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.counts: Int64[np.ndarray, "n n"] = np.zeros((num_classes, num_classes), np.int64)

    def update(self, truth: Integer[Array, "..."], prediction: Integer[Array, "..."]) -> None:
        """Add the pixels of one image (or any equally shaped arrays).

        Raises:
            ValueError: sizes differ, or a prediction that counts is no class.
        """
        truth, prediction = np.asarray(truth), np.asarray(prediction)
        _check_same_size(truth, prediction.shape, "prediction")
        valid = (truth >= 0) & (truth < self.num_classes)
        truth, prediction = truth[valid].astype(np.int64), prediction[valid].astype(np.int64)
        if prediction.size and not 0 <= prediction.min() <= prediction.max() < self.num_classes:
            raise ValueError(
                f"predictions must be classes 0 to {self.num_classes - 1}, "
                f"got values from {prediction.min()} to {prediction.max()}"
            )
        self.counts += _count((truth, prediction), (self.num_classes, self.num_classes))

    def iou(self) -> Float64[np.ndarray, " n"]:
        """See `class_iou`."""
        return class_iou(self.counts)

    def miou(self) -> float:
        """See `mean_iou`."""
        return float(mean_iou(self.counts))


def class_iou(counts: Int64[np.ndarray, "*t n n"]) -> Float64[np.ndarray, "*t n"]:
    """TP / (TP + FP + FN) of each class; NaN for a class in neither truth nor prediction."""
    hits, truth, predicted = _margins(counts)
    return _ratio(hits, truth + predicted - hits)


def class_precision(counts: Int64[np.ndarray, "*t n n"]) -> Float64[np.ndarray, "*t n"]:
    """TP / (TP + FP); 0 for a class of the truth that is never predicted, NaN for one in neither."""
    hits, truth, predicted = _margins(counts)
    return _ratio(hits, np.where(truth > 0, np.maximum(predicted, 1), predicted))


def class_recall(counts: Int64[np.ndarray, "*t n n"]) -> Float64[np.ndarray, "*t n"]:
    """TP / (TP + FN); NaN for a class that is not in the truth."""
    hits, truth, _ = _margins(counts)
    return _ratio(hits, truth)


def mean_iou(counts: Int64[np.ndarray, "*t n n"]) -> Float64[Numbers, "*t"]:
    """Mean IoU over the classes that occur in the truth; a class predicted but absent is left out, as published."""
    return _mean_over_true_classes(class_iou(counts), counts)


def macro_f1(counts: Int64[np.ndarray, "*t n n"]) -> Float64[Numbers, "*t"]:
    """Mean over classes of F1 = 2 TP / (2 TP + FP + FN); never more than 2m / (1 + m) at mean IoU m (S9)."""
    hits, truth, predicted = _margins(counts)
    return _mean_over_true_classes(_ratio(2 * hits, truth + predicted), counts)


def f_of_means(counts: Int64[np.ndarray, "*t n n"]) -> Float64[Numbers, "*t"]:
    """Harmonic mean of mean precision and mean recall, the reading of "F-Score" that fits Table 3.2 (S9)."""
    precision = _mean_over_true_classes(class_precision(counts), counts)
    recall = _mean_over_true_classes(class_recall(counts), counts)
    return _ratio(2 * precision * recall, np.maximum(precision + recall, np.finfo(np.float64).tiny))


def _margins(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(axis=-1), counts.sum(axis=-2)


def _ratio(numerator: Numbers, denominator: Numbers) -> Any:
    with np.errstate(invalid="ignore"):
        return numerator / denominator


def _mean_over_true_classes(values: np.ndarray, counts: np.ndarray) -> Any:
    if counts.ndim > 2:
        return np.array([_mean_over_true_classes(*pair) for pair in zip(values, counts, strict=True)])
    occurs = counts.sum(axis=-1) > 0
    return values[occurs].mean() if occurs.any() else np.float64(np.nan)


# --- Curves over the background threshold -----------------------------------------------------------------------------


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

    >>> truth, maps = np.array([[1, 0]]), np.array([[[0.5, 0.2]]], np.float32)
    >>> mean_iou(threshold_confusions(truth, maps, np.array([0.1, 0.3, 0.5])))
    array([0.25, 1.  , 0.25])
    """
    truth, maps = np.asarray(truth), np.asarray(normalized_maps)
    _check_same_size(truth, maps.shape[1:], "response maps")
    classes, steps = len(maps) + 1, len(thresholds)
    winner, passed = _winner_and_thresholds_passed(maps, thresholds)
    valid = (truth >= 0) & (truth < classes)
    histogram = _count((truth[valid], winner[valid], passed[valid]), (classes, classes, steps + 1))
    counts = np.moveaxis(_passed_at_each_threshold(histogram), -1, 0)
    counts[:, :, 0] = histogram.sum(axis=(1, 2)) - counts.sum(axis=2)
    return counts


class PartCoverage(NamedTuple):
    """Pixels of each part that the label map gives their right class, and all pixels of it; add both over a split."""

    covered: Int64[np.ndarray, "t p"]
    total: Int64[np.ndarray, " p"]

    def share(self) -> Float64[np.ndarray, "t p"]:
        """Share of each part that is covered, at each threshold; NaN for a part without pixels."""
        return _ratio(self.covered, self.total)


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
    _check_same_size(truth, parts.shape, "part map")
    _check_same_size(truth, maps.shape[1:], "response maps")
    winner, passed = _winner_and_thresholds_passed(maps, thresholds)
    on_part = (truth >= 1) & (truth <= len(maps)) & (parts >= 1) & (parts <= len(PARTS))
    right, part = (winner == truth)[on_part].astype(np.int64), parts[on_part].astype(np.int64) - 1
    histogram = _count((right, part, passed[on_part]), (2, len(PARTS), len(thresholds) + 1))
    return PartCoverage(_passed_at_each_threshold(histogram[1]).T, histogram.sum(axis=(0, 2)))


def _winner_and_thresholds_passed(maps: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Strongest class `c + 1` of each pixel, and how many thresholds its score exceeds."""
    if not (np.diff(thresholds) > 0).all():
        raise ValueError(f"thresholds must ascend, got {thresholds}")
    # Compared in the precision of the maps, as `cam.label_map` does.
    passed = np.searchsorted(thresholds.astype(maps.dtype), maps.max(axis=0), side="left")
    return maps.argmax(axis=0) + 1, passed


def _passed_at_each_threshold(histogram: np.ndarray) -> np.ndarray:
    """Counts by thresholds passed `(..., T + 1)` to counts of pixels that pass each threshold `(..., T)`."""
    return histogram[..., :0:-1].cumsum(axis=-1)[..., ::-1]


def _count(indices: tuple[np.ndarray, ...], shape: tuple[int, ...]) -> Int64[np.ndarray, "..."]:
    flat = np.ravel_multi_index(indices, shape)
    return np.bincount(flat, minlength=int(np.prod(shape))).astype(np.int64).reshape(shape)


def _check_same_size(truth: np.ndarray, size: tuple[int, ...], what: str) -> None:
    if truth.shape != size:
        raise ValueError(f"{what} of size {size} cannot be compared with a truth of size {truth.shape}")
