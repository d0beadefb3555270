"""Confusion matrix, IoU, F-scores, and how much too little and too much a label map holds.

Thesis sections 2.4 and 3.4. The confusion matrix corresponds to `tool/iouutils.py` of jiwoon-ahn/psa (and
Juliachang/SC-CAM), the F-scores to Table 3.2 in two readings (misprint S9).

Deliberate difference: a prediction outside the classes is an error instead of a wrong count.
"""

from typing import Any

import numpy as np
from jaxtyping import Float64, Int64, Integer

from thesislib.metrics.counting import Array, Numbers, check_same_size, count, ratio


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
        check_same_size(truth, prediction.shape, "prediction")
        valid = (truth >= 0) & (truth < self.num_classes)
        truth, prediction = truth[valid].astype(np.int64), prediction[valid].astype(np.int64)
        if prediction.size and not 0 <= prediction.min() <= prediction.max() < self.num_classes:
            raise ValueError(
                f"predictions must be classes 0 to {self.num_classes - 1}, "
                f"got values from {prediction.min()} to {prediction.max()}"
            )
        self.counts += count((truth, prediction), (self.num_classes, self.num_classes))

    def iou(self) -> Float64[np.ndarray, " n"]:
        """See `class_iou`."""
        return class_iou(self.counts)

    def miou(self) -> float:
        """See `mean_iou`."""
        return float(mean_iou(self.counts))


def class_iou(counts: Int64[np.ndarray, "*t n n"]) -> Float64[np.ndarray, "*t n"]:
    """TP / (TP + FP + FN) of each class; NaN for a class in neither truth nor prediction."""
    hits, truth, predicted = _margins(counts)
    return ratio(hits, truth + predicted - hits)


def class_precision(counts: Int64[np.ndarray, "*t n n"]) -> Float64[np.ndarray, "*t n"]:
    """TP / (TP + FP); 0 for a class of the truth that is never predicted, NaN for one in neither."""
    hits, truth, predicted = _margins(counts)
    return ratio(hits, np.where(truth > 0, np.maximum(predicted, 1), predicted))


def class_recall(counts: Int64[np.ndarray, "*t n n"]) -> Float64[np.ndarray, "*t n"]:
    """TP / (TP + FN); NaN for a class that is not in the truth."""
    hits, truth, _ = _margins(counts)
    return ratio(hits, truth)


def mean_iou(counts: Int64[np.ndarray, "*t n n"]) -> Float64[Numbers, "*t"]:
    """Mean IoU over the classes that occur in the truth; a class predicted but absent is left out, as published."""
    return _mean_over_true_classes(class_iou(counts), counts)


def macro_f1(counts: Int64[np.ndarray, "*t n n"]) -> Float64[Numbers, "*t"]:
    """Mean over classes of F1 = 2 TP / (2 TP + FP + FN); never more than 2m / (1 + m) at mean IoU m (S9)."""
    hits, truth, predicted = _margins(counts)
    return _mean_over_true_classes(ratio(2 * hits, truth + predicted), counts)


def f_of_means(counts: Int64[np.ndarray, "*t n n"]) -> Float64[Numbers, "*t"]:
    """Harmonic mean of mean precision and mean recall, the reading of "F-Score" that fits Table 3.2 (S9)."""
    precision = _mean_over_true_classes(class_precision(counts), counts)
    recall = _mean_over_true_classes(class_recall(counts), counts)
    return ratio(2 * precision * recall, np.maximum(precision + recall, np.finfo(np.float64).tiny))


def over_activation(counts: Int64[np.ndarray, "*t n n"]) -> Float64[np.ndarray, "*t n-1"]:
    """Pixels of each object class in excess, FP, as a share of all pixels; NaN for a class that is not in the truth.

    SEAM (Wang et al., CVPR 2020) calls false positives over-activation and false negatives under-activation, and
    divides both by TP. Deliberate difference: shares of the image and of the object, which stay within [0, 1] and
    exist where nothing is right. Of the counts of one image they are of that image.
    """
    hits, truth, predicted = _margins(counts)
    excess = ratio(predicted - hits, counts.sum(axis=(-2, -1))[..., None])
    return np.where(truth > 0, excess, np.nan)[..., 1:]


def under_activation(counts: Int64[np.ndarray, "*t n n"]) -> Float64[np.ndarray, "*t n-1"]:
    """Pixels of each object class that are missed, FN, as a share of the object; see `over_activation`."""
    return 1 - class_recall(counts)[..., 1:]


def _margins(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(axis=-1), counts.sum(axis=-2)


def _mean_over_true_classes(values: np.ndarray, counts: np.ndarray) -> Any:
    if counts.ndim > 2:
        return np.array([_mean_over_true_classes(*pair) for pair in zip(values, counts, strict=True)])
    occurs = counts.sum(axis=-1) > 0
    return values[occurs].mean() if occurs.any() else np.float64(np.nan)
