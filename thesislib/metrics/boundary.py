"""Boundary IoU: how well the outlines of objects agree, whatever their size.

Cheng et al., "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation", CVPR 2021; published code:
`boundary_iou/utils/boundary_utils.py` of bowenc0221/boundary-iou-api.

Deliberate differences: pixels are counted over a split for each class, as for mIoU, instead of for each object; what
is ignored belongs to no mask, so that an outline that ends anywhere within it is right.
"""

import numpy as np
from jaxtyping import Bool, Float64, Int64, Integer
from scipy.ndimage import minimum_filter

from thesislib.metrics.counting import check_same_size, ratio

WIDTH = 0.02
"""Width of a boundary as a share of the diagonal of the image, at least one pixel."""


def boundary(mask: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """The pixels of a mask within `WIDTH` of its outline, in rows and columns; the image ends a mask.

    >>> boundary(np.ones((4, 4), bool)).astype(int)
    array([[1, 1, 1, 1],
           [1, 0, 0, 1],
           [1, 0, 0, 1],
           [1, 1, 1, 1]])
    """
    width = max(1, round(WIDTH * float(np.hypot(*mask.shape))))
    return mask & ~minimum_filter(mask, 2 * width + 1, mode="constant", cval=0)


def boundary_counts(
    truth: Integer[np.ndarray, "..."], prediction: Integer[np.ndarray, "..."], num_classes: int
) -> Int64[np.ndarray, "c 3"]:
    """Boundary pixels of each object class in both label maps, in the truth, in the prediction; add them up.

    Args:
        truth: label map `(H, W)` of one image; labels from `num_classes` up are ignored.
        prediction: label map `(H, W)`.
        num_classes: with background.

    Raises:
        ValueError: sizes differ.
    """
    check_same_size(truth, prediction.shape, "prediction")
    valid = (truth >= 0) & (truth < num_classes)
    counts = np.zeros((num_classes - 1, 3), np.int64)
    for c in range(1, num_classes):
        ours, true = (prediction == c) & valid, truth == c
        if ours.any() or true.any():
            ours, true = boundary(ours), boundary(true)
            counts[c - 1] = (ours & true).sum(), true.sum(), ours.sum()
    return counts


def boundary_iou(counts: Int64[np.ndarray, "*n c 3"]) -> Float64[np.ndarray, "*n c"]:
    """IoU of the boundaries of each class; NaN for one that is not in the truth."""
    both, true, ours = np.moveaxis(counts, -1, 0)
    return np.where(true > 0, ratio(both, true + ours - both), np.nan)
