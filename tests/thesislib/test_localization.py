"""Pixel average precision and boxes against scikit-learn and loops over every threshold."""

import numpy as np
import pytest
import torch
from scipy.ndimage import zoom
from sklearn.metrics import average_precision_score

from thesislib.metrics import (
    BOX_IOUS,
    BOX_THRESHOLDS,
    SCORE_BINS,
    best_box_iou,
    box_accuracy,
    object_boxes,
    pixel_average_precision,
    region_boxes,
    score_histogram,
)


def images(number=3, classes=3, shape=(12, 17)):
    """Truths with void pixels, of which the last class is never there, and maps that know a little of them."""
    rng = np.random.default_rng(0)
    for _ in range(number):
        truth = rng.integers(0, classes, shape)
        truth[rng.random(shape) < 0.1] = 255
        maps = np.stack([0.4 * (truth == c + 1) + 0.59 * rng.random(shape) for c in range(classes)])
        yield truth.astype(np.uint8), maps.astype(np.float32)


# --- Pixel average precision ------------------------------------------------------------------------------------------


def test_pixel_average_precision_agrees_with_scikit_learn_over_a_split():
    found = pixel_average_precision(np.sum([score_histogram(*pair) for pair in images()], axis=0))
    for c in range(2):
        on = np.concatenate([truth[truth != 255] == c + 1 for truth, _ in images()])
        scores = np.concatenate([maps[c][truth != 255] for truth, maps in images()])
        assert found[c] == pytest.approx(average_precision_score(on, np.floor(scores * SCORE_BINS)))
        assert found[c] == pytest.approx(average_precision_score(on, scores), abs=0.005)
    assert np.isnan(found[2])


@pytest.mark.parametrize(
    ("score", "expected"), [([0.9, 0.9, 0.1, 0.0], 1), ([0.0, 0.1, 0.9, 1.0], 5 / 12), ([0.0] * 4, 1 / 2)]
)
def test_pixel_average_precision_of_a_right_a_wrong_and_an_empty_map(score, expected):
    truth = torch.tensor([[1, 1, 0, 0, 255]], dtype=torch.uint8)
    maps = torch.tensor([[[*score, 0.5]]])
    np.testing.assert_allclose(pixel_average_precision(score_histogram(truth, maps)), [expected])


@pytest.mark.parametrize("label", [0, 255])
def test_without_an_object_there_is_no_average_precision(label):
    histogram = score_histogram(np.full((3, 4), label), np.ones((2, 3, 4)))
    assert not histogram.any() and np.isnan(pixel_average_precision(histogram)).all()


def test_maps_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"response maps of size \(3, 4\) .* truth of size \(4, 3\)"):
        score_histogram(np.zeros((4, 3), np.uint8), np.zeros((2, 3, 4)))


# --- Boxes ------------------------------------------------------------------------------------------------------------


def boxes_by_flooding(mask):
    """Boxes of connected pixels, found by walking from each to its eight neighbours."""
    left, found = {tuple(map(int, pixel)) for pixel in np.argwhere(mask)}, []
    while left:
        front = region = {left.pop()}
        while front:
            front = left & {(r + i, c + j) for r, c in front for i in (-1, 0, 1) for j in (-1, 0, 1)}
            left, region = left - front, region | front
        rows, columns = zip(*region, strict=True)
        found.append((min(rows), min(columns), max(rows) + 1, max(columns) + 1))
    return sorted(found)


def surfaces():
    """Maps with one hill and many, plateaus, ties, values that are thresholds, nothing, and a single pixel."""
    rng = np.random.default_rng(1)
    yield zoom(rng.random((3, 4)), 5, order=1)
    yield rng.random((9, 14))
    yield rng.choice(BOX_THRESHOLDS[::20], (13, 8))
    yield rng.choice([0.0, 0.0, 0.5], (7, 7))
    yield np.zeros((4, 5))
    yield np.full((1, 1), 0.3)
    yield rng.random((1, 9))


@pytest.mark.parametrize("surface", surfaces())
def test_boxes_of_all_thresholds_are_those_of_each(surface):
    surface = surface.astype(np.float32)
    for threshold, boxes in zip(BOX_THRESHOLDS, region_boxes(surface), strict=True):
        used = boxes[boxes.any(axis=1)]
        expected = boxes_by_flooding(surface > np.float32(threshold))
        assert sorted(map(tuple, used.tolist())) == expected
        assert sorted(map(tuple, object_boxes(surface > np.float32(threshold)).tolist())) == expected


def iou_by_pixels(one, other):
    """IoU of two boxes drawn on a canvas."""
    canvas = np.zeros((2, 30, 30), bool)
    for layer, (top, left, bottom, right) in zip(canvas, (one, other), strict=True):
        layer[top:bottom, left:right] = True
    return (canvas[0] & canvas[1]).sum() / (canvas[0] | canvas[1]).sum()


def test_the_best_pair_of_boxes_counts_at_each_threshold():
    truth = np.zeros((20, 30), bool)
    truth[0:8, 0:9] = truth[12:20, 15:30] = True  # one touches the border in two sides, one in two others
    surface = zoom(np.random.default_rng(2).random((5, 6)), (4, 5), order=1).clip(0, 0.999)
    found = best_box_iou(region_boxes(surface), object_boxes(truth))
    for threshold, value in zip(BOX_THRESHOLDS, found, strict=True):
        pairs = [(a, b) for a in boxes_by_flooding(surface > threshold) for b in ((0, 0, 8, 9), (12, 15, 20, 30))]
        assert value == pytest.approx(max((iou_by_pixels(*pair) for pair in pairs), default=0))
    assert best_box_iou(region_boxes(truth * 0.5), object_boxes(truth)).tolist() == [1] * 50 + [0] * 50


def test_without_regions_or_objects_no_box_fits():
    thresholds = np.array([0.2, 0.6])
    one = np.pad(np.full((1, 1), 0.5), 2)
    assert best_box_iou(region_boxes(one * 0, thresholds), object_boxes(one > 0)).tolist() == [0, 0]
    assert best_box_iou(region_boxes(one, thresholds), object_boxes(one > 1)).tolist() == [0, 0]
    assert best_box_iou(region_boxes(one, thresholds), object_boxes(one > 0)).tolist() == [1, 0]
    with pytest.raises(ValueError, match="thresholds must ascend"):
        region_boxes(one, thresholds[::-1])


def test_box_accuracy_takes_the_best_threshold_of_the_split_for_each_fit():
    best = np.random.default_rng(3).random((40, 7)).round(1)
    shares = [max(sum(row[t] >= fit for row in best) / 40 for t in range(7)) for fit in BOX_IOUS]
    assert box_accuracy(best) == pytest.approx(sum(shares) / 3)
    assert np.isnan(box_accuracy(best[:0]))
