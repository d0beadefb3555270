"""Segmentation scores against golden vectors, scikit-learn and pixel-by-pixel counts."""

import json

import numpy as np
import pytest
import torch
from places import GOLDEN
from sklearn import metrics as sklearn_metrics

from thesislib.cam import label_map
from thesislib.metrics import (
    PARTS,
    THRESHOLDS,
    ConfusionMatrix,
    class_iou,
    class_precision,
    class_recall,
    f_of_means,
    macro_f1,
    mean_iou,
    over_activation,
    part_coverage,
    threshold_confusions,
    under_activation,
)


def example(seed=0, classes=4, shape=(20, 30)):
    """A truth with void pixels and a prediction that is right in about half of the pixels."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, shape)
    prediction = np.where(rng.random(shape) < 0.5, truth, rng.integers(0, classes, shape))
    return np.where(rng.random(shape) < 0.1, 255, truth), prediction


def matrix_of(truth, prediction, classes):
    matrix = ConfusionMatrix(classes)
    matrix.update(truth, prediction)
    return matrix


# --- Confusion matrix -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "maps", "dtype"),
    [(0, "1", np.int64), (1, "12", np.int64), (2, "3", np.int64), (3, "12", np.uint8)],
)
def test_iou_agrees_with_the_published_code(case, maps, dtype):
    expected = json.loads((GOLDEN / "e_iou.json").read_text())[case]
    matrix = ConfusionMatrix(expected["n_class"])
    with np.load(GOLDEN / "e_iou_inputs.npz") as inputs:
        for name in maps:
            matrix.update(inputs["g" + name].astype(dtype), inputs["p" + name].astype(dtype))
    iou = [None if np.isnan(value) else value for value in matrix.iou().tolist()]
    assert iou == expected["Class IoU"]
    assert matrix.miou() == expected["Mean IoU"]


def test_scores_agree_with_scikit_learn():
    truth, prediction = example()
    matrix = matrix_of(truth, prediction, 4)
    pair = truth[truth != 255], prediction[truth != 255]
    np.testing.assert_array_equal(matrix.counts, sklearn_metrics.confusion_matrix(*pair))
    np.testing.assert_allclose(matrix.iou(), sklearn_metrics.jaccard_score(*pair, average=None))
    np.testing.assert_allclose(class_precision(matrix.counts), sklearn_metrics.precision_score(*pair, average=None))
    np.testing.assert_allclose(class_recall(matrix.counts), sklearn_metrics.recall_score(*pair, average=None))
    assert macro_f1(matrix.counts) == pytest.approx(sklearn_metrics.f1_score(*pair, average="macro"))


def test_classes_that_are_missing_on_one_side():
    counts = matrix_of(np.array([0, 0, 1, 1]), np.array([0, 2, 0, 0]), 4).counts
    np.testing.assert_allclose(class_iou(counts), [1 / 4, 0, 0, np.nan])
    np.testing.assert_allclose(class_precision(counts), [1 / 3, 0, 0, np.nan])
    np.testing.assert_allclose(class_recall(counts), [1 / 2, 0, np.nan, np.nan])
    assert mean_iou(counts) == 1 / 8
    assert macro_f1(counts) == pytest.approx((2 / 5 + 0) / 2)
    assert f_of_means(counts) == pytest.approx(2 * (1 / 6) * (1 / 4) / (1 / 6 + 1 / 4))


def test_only_the_f_score_of_means_can_exceed_the_bound_of_macro_f1():
    exceeded = False
    for seed in range(50):
        counts = np.random.default_rng(seed).integers(0, 100, (5, 5))
        iou = mean_iou(counts)
        bound = 2 * iou / (1 + iou)
        assert macro_f1(counts) <= bound + 1e-12
        exceeded |= bool(f_of_means(counts) > bound)
    assert exceeded


def test_scores_of_nothing_and_of_complete_failure():
    nothing, failure = np.zeros((3, 3), np.int64), matrix_of(np.array([0, 1]), np.array([1, 0]), 3).counts
    assert all(np.isnan(score(nothing)) for score in (mean_iou, macro_f1, f_of_means))
    assert all(score(failure) == 0 for score in (mean_iou, macro_f1, f_of_means))


def test_over_and_under_activation_agree_with_counting_pixels():
    images = [example(seed) for seed in range(3)]
    counts = np.stack([matrix_of(*pair, 5).counts for pair in images])
    for i, (truth, prediction) in enumerate(images):
        pixels = [pair for pair in zip(truth.flat, prediction.flat, strict=True) if pair[0] != 255]
        for c in range(1, 4):
            objects = [p for t, p in pixels if t == c]
            excess = sum(p == c and t != c for t, p in pixels)
            assert over_activation(counts)[i, c - 1] == pytest.approx(excess / len(pixels))
            assert under_activation(counts)[i, c - 1] == pytest.approx(sum(p != c for p in objects) / len(objects))
    assert np.isnan(over_activation(counts)[:, 3]).all() and np.isnan(under_activation(counts)[:, 3]).all()


@pytest.mark.parametrize(
    ("truth", "prediction", "over", "under"),
    [([1, 0], [1, 0], 0, 0), ([1, 0], [0, 1], 1 / 2, 1), ([1], [0], 0, 1), ([0, 0], [1, 1], *[np.nan] * 2)],
)
def test_activation_of_right_missed_and_missing_objects(truth, prediction, over, under):
    for void in ([], [255, 255]):
        counts = matrix_of(np.array([*truth, *void]), np.array([*prediction, *[1 for _ in void]]), 2).counts
        np.testing.assert_array_equal((*over_activation(counts), *under_activation(counts)), (over, under))
    nothing = np.zeros((2, 2), np.int64)
    assert np.isnan(over_activation(nothing)).all() and np.isnan(under_activation(nothing)).all()


def test_one_matrix_over_the_split_in_any_number_of_updates_and_array_kinds():
    truth, prediction = example()
    matrix = ConfusionMatrix(4)
    for row, predicted in zip(truth, prediction, strict=True):
        matrix.update(torch.from_numpy(row.astype(np.uint8)), torch.from_numpy(predicted.astype(np.uint8)))
    np.testing.assert_array_equal(matrix.counts, matrix_of(truth, prediction, 4).counts)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"prediction of size \(3, 2\) .* truth of size \(2, 3\)"):
        ConfusionMatrix(3).update(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8))
    with pytest.raises(ValueError, match="classes 0 to 2, got values from 1 to 3"):
        ConfusionMatrix(3).update(np.array([0, 0, 255]), np.array([1, 3, 255]))


# --- Curves over the background threshold -----------------------------------------------------------------------------


def maps_on_thresholds(seed, classes, shape, dtype=np.float32):
    """Response maps most of whose values are thresholds, so that ties with the background and among classes abound."""
    rng = np.random.default_rng(seed)
    values = np.concatenate([THRESHOLDS, rng.random(40)])
    maps = rng.choice(values, (classes, *shape)).astype(dtype)
    maps[0] = 0
    return maps


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("classes", [1, 2, 8])
def test_the_curve_is_the_label_map_at_every_threshold(classes, dtype):
    maps = maps_on_thresholds(classes, classes, (20, 30), dtype)
    truth, _ = example(classes, classes + 2)
    confusions = threshold_confusions(truth, maps)
    assert confusions.shape == (61, classes + 1, classes + 1)
    for threshold, counts in zip(THRESHOLDS, confusions, strict=True):
        expected = matrix_of(truth, label_map(torch.from_numpy(maps), float(threshold)), classes + 1)
        np.testing.assert_array_equal(counts, expected.counts)
        np.testing.assert_array_equal(class_iou(counts), expected.iou())
    np.testing.assert_array_equal(mean_iou(confusions), [mean_iou(counts) for counts in confusions])


def test_thresholds_of_the_curve():
    assert len(THRESHOLDS) == 61
    assert THRESHOLDS.tolist() == [float(f"{step / 100:.2f}") for step in range(61)]


def test_the_curve_takes_tensors_and_void_images():
    maps = torch.from_numpy(maps_on_thresholds(3, 3, (6, 5)))
    truth = torch.full((6, 5), 255, dtype=torch.uint8)
    assert not threshold_confusions(truth, maps).any()


def test_curves_refuse_what_does_not_fit():
    maps = np.zeros((2, 4, 5), np.float32)
    with pytest.raises(ValueError, match=r"response maps of size \(4, 5\)"):
        threshold_confusions(np.zeros((5, 4), np.uint8), maps)
    with pytest.raises(ValueError, match=r"part map of size \(4, 4\)"):
        part_coverage(np.zeros((4, 5), np.uint8), np.zeros((4, 4), np.uint8), maps)
    with pytest.raises(ValueError, match="thresholds must ascend"):
        threshold_confusions(np.zeros((4, 5), np.uint8), maps, np.array([0.2, 0.1]))


def test_part_coverage_agrees_with_counting_pixels():
    maps, (truth, _) = maps_on_thresholds(1, 3, (15, 12)), example(1, 4, (15, 12))
    parts = np.random.default_rng(2).integers(0, 4, (15, 12)).astype(np.uint8)
    covered, total = part_coverage(truth.astype(np.uint8), parts, maps)
    expected_covered, expected_total = np.zeros((61, 3)), np.zeros(3)
    for pixel in np.ndindex(truth.shape):
        if truth[pixel] in (0, 255) or not parts[pixel]:
            continue
        expected_total[parts[pixel] - 1] += 1
        for t, threshold in enumerate(THRESHOLDS):
            stack = [np.float32(threshold), *maps[(slice(None), *pixel)]]
            expected_covered[t, parts[pixel] - 1] += np.argmax(stack) == truth[pixel]
    np.testing.assert_array_equal(covered, expected_covered)
    np.testing.assert_array_equal(total, expected_total)


def test_part_coverage_of_a_head_that_hides_its_body():
    truth = np.array([[1, 1, 1, 0]], np.uint8)
    parts = np.array([[1, 2, 2, 0]], np.uint8)
    maps = np.array([[[0.9, 0.3, 0.1, 0.9]]], np.float32)
    share = part_coverage(truth, parts, maps, np.array([0.05, 0.2, 0.5])).share()
    np.testing.assert_allclose(share, [[1, 1, np.nan], [1, 0.5, np.nan], [1, 0, np.nan]])
    assert PARTS == ("head", "body", "thin")
