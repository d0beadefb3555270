"""How well a map finds an object whatever the threshold: pixel average precision and boxes (MaxBoxAccV2).

Choe et al., "Evaluating weakly supervised object localization methods right", CVPR 2020; published code:
`evaluation.py` of clovaai/wsolevaluation. A map of a class is compared with the object of that class in one image.

Deliberate differences: average precision is that of each class, because mIoU is a mean over classes too; true boxes
are those of the connected parts of a mask; boxes end where their pixels end, holes have none, and scores are not
rounded to 8 bits; 100 thresholds of a box instead of 1000.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float64, Int64, Integer
from scipy.ndimage import find_objects, label

from thesislib.metrics.counting import Array, check_same_size, count, ratio
from thesislib.metrics.thresholds import thresholds_passed

SCORE_BINS = 1000
"""Equally wide bins of scores from 0 to 1, of which average precision is computed."""
BOX_THRESHOLDS: Float64[np.ndarray, " t"] = np.arange(100) / 100
BOX_IOUS = (0.3, 0.5, 0.7)
"""How well a box has to fit."""


# --- Pixel average precision ------------------------------------------------------------------------------------------


def score_histogram(
    truth: Integer[Array, "..."], normalized_maps: Float[Array, "c height width"]
) -> Int64[np.ndarray, "c 2 b"]:
    """How many pixels off and on the object of each class have which score, in one image; add them up over a split.

    Args:
        truth: label map `(H, W)`; labels above C are ignored.
        normalized_maps: `(C, H, W)` from `cam.normalize`. A class without an object here counts nothing.

    Raises:
        ValueError: sizes differ.
    """
    truth, maps = np.asarray(truth), np.asarray(normalized_maps)
    check_same_size(truth, maps.shape[1:], "response maps")
    valid = (truth >= 0) & (truth <= len(maps))
    histogram = np.zeros((len(maps), 2, SCORE_BINS), np.int64)
    for c in np.unique(truth[valid & (truth > 0)]) - 1:
        bins = np.clip((maps[c][valid] * SCORE_BINS).astype(np.int64), 0, SCORE_BINS - 1)
        histogram[c] = count(((truth[valid] == c + 1).astype(np.int64), bins), (2, SCORE_BINS))
    return histogram


def pixel_average_precision(histogram: Int64[np.ndarray, "*c 2 b"]) -> Float64[np.ndarray, "*c"]:
    """PxAP: the area under the precision-recall curve of the pixels of a class; NaN without an object.

    A map that says nothing has the share of the object in the image.

    >>> pixel_average_precision(score_histogram(np.array([[0, 1, 1]]), np.array([[[0.5, 0.9, 0.2]]])))
    array([0.83333333])
    """
    off, on = histogram[..., 0, ::-1], histogram[..., 1, ::-1]
    hits, kept = on.cumsum(axis=-1), (off + on).cumsum(axis=-1)
    return ratio((on * hits / np.maximum(kept, 1)).sum(axis=-1), hits[..., -1])


# --- Boxes ------------------------------------------------------------------------------------------------------------


def object_boxes(mask: Bool[np.ndarray, "height width"]) -> Int64[np.ndarray, "b 4"]:
    """Boxes (top, left, bottom, right), end exclusive, of the connected parts of a mask; diagonal neighbours connect.

    >>> object_boxes(np.array([[True, False, False], [False, True, False]]))
    array([[0, 0, 2, 2]])
    """
    parts, _ = label(mask, np.ones((3, 3)))
    found = [(rows.start, columns.start, rows.stop, columns.stop) for rows, columns in find_objects(parts)]
    return np.array(found, np.int64).reshape(-1, 4)


def region_boxes(
    scores: Float[np.ndarray, "height width"], thresholds: Float[np.ndarray, " t"] = BOX_THRESHOLDS
) -> Int64[np.ndarray, "t b 4"]:
    """`object_boxes` of `scores > threshold` at every threshold at once; unused places are 0.

    Every pixel belongs to the hill that steepest ascent from it leads to. At a threshold the pixels of a hill that
    exceed it are connected, and two hills are one region where neighbouring pixels of both exceed it: so regions are
    found among a few hills and not once a threshold among all pixels.

    Args:
        scores: at least 0.
        thresholds: ascending.

    Raises:
        ValueError: thresholds do not ascend.
    """
    level = thresholds_passed(scores, thresholds)
    hill, hills = _hills(scores, level)
    box = _boxes_of_hills(hill, level, hills, len(thresholds))
    found = np.full_like(box, scores.size)
    for step, region in enumerate(_regions(hill, level, hills, len(thresholds))):
        np.minimum.at(found[step], region, box[step])
    found[found[..., 0] == scores.size] = 0
    return found * (1, 1, -1, -1)


def _hills(scores: np.ndarray, level: np.ndarray) -> tuple[np.ndarray, int]:
    """The hill of each pixel that passes a threshold `(H, W)`, and their number, at least 1.

    Of equal neighbours the first is always taken, so that no ascent goes in circles.
    """
    surface = torch.from_numpy(np.ascontiguousarray(scores))[None, None]
    up = F.max_pool2d(surface, 3, stride=1, padding=1, return_indices=True)[1].numpy().ravel()
    while not np.array_equal(further := up[up], up):
        up = further
    peaks = np.flatnonzero((up == np.arange(up.size)) & (level.ravel() > 0))
    number = np.zeros(up.size, np.int64)
    number[peaks] = np.arange(len(peaks))
    return number[up].reshape(scores.shape), max(len(peaks), 1)


def _regions(hill: np.ndarray, level: np.ndarray, hills: int, steps: int) -> np.ndarray:
    """The region that each hill is part of at each threshold `(T, hills)`."""
    pairs, highest = _passes(hill, level, hills)
    region, now = np.empty((steps, hills), np.int64), np.arange(hills)
    for step in range(steps, 0, -1):
        for one, other in pairs[highest == step]:
            now[now == now[one]] = now[other]
        region[step - 1] = now
    return region


def _passes(hill: np.ndarray, level: np.ndarray, hills: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of neighbouring hills `(P, 2)`, and the most thresholds that neighbouring pixels of both pass `(P,)`."""
    keys, heights = [], []
    first, last, every = slice(None, -1), slice(1, None), slice(None)
    for one, other in (
        ((every, first), (every, last)),
        ((first, every), (last, every)),
        ((first, first), (last, last)),
        ((first, last), (last, first)),
    ):
        height = np.minimum(level[one], level[other])
        meet = (hill[one] != hill[other]) & (height > 0)
        ends = hill[one][meet], hill[other][meet]
        keys.append(np.minimum(*ends) * hills + np.maximum(*ends))
        heights.append(height[meet])
    pairs, position = np.unique(np.concatenate(keys), return_inverse=True)
    highest = np.zeros(len(pairs), np.int64)
    np.maximum.at(highest, position, np.concatenate(heights))
    return np.stack(np.divmod(pairs, hills), axis=1), highest


def _boxes_of_hills(hill: np.ndarray, level: np.ndarray, hills: int, steps: int) -> np.ndarray:
    """Top, left and negative bottom and right `(T, hills, 4)` of the pixels of each hill that pass each threshold."""
    place = level * hills + hill
    box = np.full((4, (steps + 1) * hills), level.size)
    for axis in (0, 1):
        of_line = (place.T if axis else place).ravel()
        line = np.repeat(np.arange(level.shape[axis]), level.shape[1 - axis])
        box[axis, of_line[::-1]] = line[::-1]  # what is written to a place last stays there: its first line
        box[axis + 2, of_line] = -line - 1  # its last line
    box = box.reshape(4, steps + 1, hills)[:, 1:]
    return np.moveaxis(np.minimum.accumulate(box[:, ::-1], axis=1)[:, ::-1], 0, -1)


def best_box_iou(regions: Int64[np.ndarray, "t r 4"], objects: Int64[np.ndarray, "o 4"]) -> Float64[np.ndarray, " t"]:
    """IoU of the best pair of a region's and an object's box, at each threshold; 0 without one."""
    ours, true = regions[:, :, None], objects[None, None]
    sides = np.minimum(ours[..., 2:], true[..., 2:]) - np.maximum(ours[..., :2], true[..., :2])
    shared = np.maximum(sides, 0).prod(axis=-1)
    ours_area, true_area = ((box[..., 2:] - box[..., :2]).prod(axis=-1) for box in (ours, true))
    return (shared / (ours_area + true_area - shared)).max(axis=(1, 2), initial=0)


def box_accuracy(best_ious: Float[np.ndarray, "n t"], ious: Sequence[float] = BOX_IOUS) -> float:
    """MaxBoxAccV2: share of maps with a box that fits, at the best threshold of each of `ious`, mean over these.

    Args:
        best_ious: `best_box_iou` of every map of a split; NaN without one.
        ious: how well a box has to fit.
    """
    if not len(best_ious):
        return float("nan")
    return float(np.mean([(best_ious >= iou).mean(axis=0).max() for iou in ious]))
