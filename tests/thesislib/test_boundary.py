"""Boundary IoU against distances measured pixel by pixel."""

import numpy as np
import pytest

from thesislib.metrics import boundary_counts, boundary_iou
from thesislib.metrics.boundary import boundary


def boundary_by_distance(mask, width):
    """Pixels of a mask from which a pixel outside it or the image is at most `width` rows and columns away."""
    outside = np.argwhere(~np.pad(mask, 1)) - 1
    found = np.zeros_like(mask)
    for pixel in np.argwhere(mask):
        found[tuple(pixel)] = np.abs(outside - pixel).max(axis=1).min() <= width
    return found


@pytest.mark.parametrize(("shape", "width"), [((9, 12), 1), ((40, 60), 1), ((60, 80), 2)])
def test_a_boundary_is_as_wide_as_its_share_of_the_diagonal_and_the_border_ends_it(shape, width):
    rng = np.random.default_rng(0)
    mask = np.kron(rng.random((3, 4)) < 0.6, np.ones((shape[0] // 3, shape[1] // 4))).astype(bool)
    assert mask[0].any() and mask[:, -1].any()
    np.testing.assert_array_equal(boundary(mask), boundary_by_distance(mask, width))


def test_counts_of_a_split_are_those_of_its_images():
    rng = np.random.default_rng(1)
    total, expected = np.zeros((3, 3), int), np.zeros((3, 3), int)
    for _ in range(3):
        truth, prediction = (np.kron(rng.integers(0, 3, (3, 4)), np.ones((4, 3), int)) for _ in range(2))
        truth[rng.random(truth.shape) < 0.1] = 255
        total += boundary_counts(truth, prediction, num_classes=4)
        for c in (1, 2):
            ours = boundary_by_distance((prediction == c) & (truth != 255), 1)
            true = boundary_by_distance(truth == c, 1)
            expected[c - 1] += (ours & true).sum(), true.sum(), ours.sum()
    np.testing.assert_array_equal(total, expected)
    both, true, ours = expected[:2].T
    np.testing.assert_allclose(boundary_iou(total), [*(both / (true + ours - both)), np.nan])


def test_an_outline_anywhere_in_what_is_ignored_is_right():
    truth = np.zeros((12, 12), int)
    truth[2:10, 2:10] = 255
    truth[4:8, 4:8] = 1
    for margin in (0, 1, 2):
        prediction = np.zeros_like(truth)
        prediction[4 - margin : 8 + margin, 4 - margin : 8 + margin] = 1
        assert boundary_iou(boundary_counts(truth, prediction, 2)).tolist() == [1]


@pytest.mark.parametrize(
    ("truth", "prediction", "expected"),
    [([[1]], [[1]], 1), ([[1]], [[0]], 0), ([[0]], [[1]], np.nan), ([[255]], [[1]], np.nan), ([[0]], [[0]], np.nan)],
)
def test_one_pixel_and_no_object(truth, prediction, expected):
    found = boundary_iou(boundary_counts(np.array(truth), np.array(prediction), 2))
    np.testing.assert_array_equal(found, [expected])


def test_label_maps_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match=r"prediction of size \(2, 3\) .* truth of size \(3, 2\)"):
        boundary_counts(np.zeros((3, 2), int), np.zeros((2, 3), int), 2)
