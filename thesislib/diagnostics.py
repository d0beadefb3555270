"""How a classifier and its response maps behave: average precision, calibration, uncertainty, spread inside objects.

Thesis sections 2.2 and 2.4 argue with softer outputs and maps that cover more of an object, and never measure either;
nothing here corresponds to published code.
"""

import numpy as np
from jaxtyping import Bool, Float, Float64, Shaped
from scipy.optimize import minimize_scalar
from scipy.special import entr
from sklearn.metrics import average_precision_score
from torch import Tensor

Array = np.ndarray | Tensor


def average_precision(labels: Shaped[Array, "n c"], scores: Float[Array, "n c"]) -> Float64[np.ndarray, " c"]:
    """Area under the precision-recall curve of each class over `N` images (scikit-learn); NaN without a positive.

    Args:
        labels: image labels, 0 or 1.
        scores: logits or probabilities.

    The mean over classes, mAP, is `np.nanmean` of the result.
    """
    pairs = zip(np.asarray(labels).T, np.asarray(scores).T, strict=True)
    return np.array([average_precision_score(y, s) if y.any() else np.nan for y, s in pairs], np.float64)


def expected_calibration_error(
    probabilities: Float[Array, "n c"], labels: Shaped[Array, "n c"], bins: int = 15
) -> float:
    """Mean distance between a predicted probability and the frequency with which such predictions come true.

    Every (image, class) is one yes-or-no prediction. They fall into equally wide bins (lower, upper] of their
    probability; each bin counts |mean probability - share of positives| by its number of predictions, as in Guo et
    al., "On Calibration of Modern Neural Networks", 2017.

    >>> expected_calibration_error(np.full((1, 4), 0.75), np.array([[1, 1, 1, 0]]))
    0.0
    """
    p, y = np.asarray(probabilities, np.float64).ravel(), np.asarray(labels, np.float64).ravel()
    index = np.digitize(p, np.linspace(0, 1, bins + 1)[1:-1], right=True)
    return float(np.abs(np.bincount(index, p - y)).sum() / p.size)


def fitted_temperature(logits: Float[Array, "n c"], labels: Shaped[Array, "n c"]) -> float:
    """The temperature by which logits are divided so that their cross-entropy with the labels is least.

    Guo et al., 2017, section 4.2, for yes-or-no predictions. Above 1: the classifier was too sure. It is sought from
    1/100 to 100, one of which it is where more is always better.
    """
    z, y = np.asarray(logits, np.float64), np.asarray(labels, np.float64)

    def cross_entropy(log_t: float) -> float:
        scaled = z / np.exp(log_t)
        return float((np.logaddexp(0, scaled) - y * scaled).mean())

    most = np.log(100)
    return float(np.exp(minimize_scalar(cross_entropy, bounds=(-most, most), method="bounded").x))


def class_calibration_error(
    probabilities: Float[Array, "n c"], labels: Shaped[Array, "n c"], bins: int = 15
) -> Float64[np.ndarray, " c"]:
    """`expected_calibration_error` of each class by itself, which too high for one and too low for another cannot hide.

    Their mean is the class-wise calibration error of Kull et al., "Beyond temperature scaling", 2019.
    """
    columns = zip(np.asarray(probabilities).T, np.asarray(labels).T, strict=True)
    return np.array([expected_calibration_error(p[:, None], y[:, None], bins) for p, y in columns])


def brier_score(probabilities: Float[Array, "n c"], labels: Shaped[Array, "n c"]) -> float:
    """Mean squared distance of a predicted probability from what came true, over the `N * C` yes-or-no predictions.

    0 where all are sure and right, 0.25 where all are 0.5; calibration and discrimination together (Brier, 1950).

    >>> brier_score(np.array([[1.0, 0.5]]), np.array([[1, 0]]))
    0.125
    """
    return float(((np.asarray(probabilities, np.float64) - np.asarray(labels, np.float64)) ** 2).mean())


def prediction_entropy(probabilities: Float[Array, "n c"]) -> float:
    """Mean entropy in nats of the `N * C` yes-or-no predictions: 0 where all are sure, ln 2 where all are 0.5.

    This is the classifier's own uncertainty, not the entropy over classes of the loss (2.3).

    >>> round(prediction_entropy(np.full((2, 3), 0.5)), 4)
    0.6931
    """
    p = np.asarray(probabilities, np.float64)
    return float((entr(p) + entr(1 - p)).mean())


def spatial_variance(response: Float[Array, "height width"], mask: Bool[Array, "height width"]) -> float:
    """Variance of the position of a map's response inside an object, row plus column, in units of the image area.

    (2.4) for the part of the map inside the mask, in pixels, divided by `H * W` (the squared side of a square image).
    Small where the response is a spot; an even response has the variance of the object's own shape. NaN where
    there is no response inside the object.
    """
    inside = np.where(np.asarray(mask), np.asarray(response, np.float64), 0)
    if not inside.any():
        return float("nan")
    q = inside / inside.sum()
    rows, columns = np.indices(q.shape)
    centred = (rows - (q * rows).sum()) ** 2 + (columns - (q * columns).sum()) ** 2
    return float((q * centred).sum() / q.size)


def uniformity(response: Float[Array, "height width"], mask: Bool[Array, "height width"]) -> float:
    """Coefficient of variation (deviation / mean) of a map inside an object: 0 is even, larger is less even.

    NaN where there is no response inside the object.
    """
    values = np.asarray(response, np.float64)[np.asarray(mask)]
    return float(values.std() / values.mean()) if values.any() else float("nan")
