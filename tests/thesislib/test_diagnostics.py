"""Classifier and map diagnostics against loops, the concentration loss and values known in advance."""

import math

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.metrics import brier_score_loss

from thesislib.diagnostics import (
    average_precision,
    brier_score,
    class_calibration_error,
    expected_calibration_error,
    fitted_temperature,
    prediction_entropy,
    spatial_variance,
    uniformity,
)
from thesislib.losses import concentration_loss


def test_average_precision_is_the_mean_precision_at_each_positive():
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, (40, 5)), rng.permutation(200).reshape(40, 5) / 200
    expected = []
    for c in range(5):
        ranked = labels[np.argsort(-scores[:, c]), c]
        expected.append(np.mean([ranked[: i + 1].mean() for i in range(40) if ranked[i]]))
    np.testing.assert_allclose(average_precision(labels, scores), expected)
    np.testing.assert_allclose(average_precision(torch.from_numpy(labels), torch.from_numpy(scores)), expected)


def test_average_precision_of_a_class_without_positives_is_undefined():
    values = average_precision(np.array([[1, 0], [0, 0]]), np.array([[0.9, 0.4], [0.1, 0.3]]))
    np.testing.assert_array_equal(values, [1, np.nan])


@pytest.mark.parametrize("bins", [4, 15])
def test_calibration_error_agrees_with_a_loop_over_bins(bins):
    rng = np.random.default_rng(1)
    p, y = rng.choice([0, 0.25, 0.5, 1, *rng.random(30)], (50, 3)), rng.integers(0, 2, (50, 3))
    error = 0.0
    for lower, upper in zip(np.linspace(0, 1, bins + 1)[:-1], np.linspace(0, 1, bins + 1)[1:], strict=True):
        inside = (p > lower) & (p <= upper) | ((p == 0) & (lower == 0))
        if inside.any():
            error += inside.mean() * abs(p[inside].mean() - y[inside].mean())
    assert expected_calibration_error(p, y, bins) == pytest.approx(error)


def test_calibration_of_frequencies_and_of_misplaced_confidence():
    rng = np.random.default_rng(2)
    p = rng.random((20000, 5))
    labels = (rng.random(p.shape) < p).astype(np.uint8)
    assert expected_calibration_error(p, labels) < 0.01
    sure = (p > 0.5).astype(np.float64)
    assert expected_calibration_error(sure, labels) == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_is_the_one_by_which_true_logits_were_multiplied(temperature):
    rng = np.random.default_rng(4)
    logits = rng.normal(0, 2, (5000, 4))
    labels = (rng.random(logits.shape) < expit(logits)).astype(np.uint8)
    assert fitted_temperature(temperature * logits, labels) == pytest.approx(temperature, rel=0.05)


def test_calibration_of_classes_shows_what_cancels_in_all_of_them():
    p = np.full((10, 2), 0.5)
    labels = np.stack([np.ones(10), np.zeros(10)], axis=1)
    assert expected_calibration_error(p, labels) == 0
    np.testing.assert_allclose(class_calibration_error(torch.from_numpy(p), torch.from_numpy(labels)), [0.5, 0.5])


def test_brier_score_agrees_with_scikit_learn_and_is_0_for_the_truth():
    rng = np.random.default_rng(3)
    p, y = rng.random((30, 4)), rng.integers(0, 2, (30, 4))
    expected = np.mean([brier_score_loss(y[:, c], p[:, c]) for c in range(4)])
    assert brier_score(torch.from_numpy(p), torch.from_numpy(y)) == pytest.approx(expected)
    assert brier_score(y.astype(float), y) == 0 and brier_score(1.0 - y, y) == 1


def test_prediction_entropy():
    assert prediction_entropy(np.array([[0.0, 1.0]])) == 0
    p = np.random.default_rng(0).random((6, 4))
    expected = np.mean([-q * math.log(q) - (1 - q) * math.log(1 - q) for q in p.ravel()])
    assert prediction_entropy(torch.from_numpy(p)) == pytest.approx(expected)


def test_spatial_variance_is_the_concentration_of_the_map_inside_the_object():
    rng = np.random.default_rng(0)
    response, mask = rng.random((12, 9)), rng.random((12, 9)) < 0.4
    inside = torch.from_numpy(np.where(mask, response, 0))[None, None]
    expected = concentration_loss(inside, torch.ones(1, 1), eps=0.0).item() / (12 * 9)
    assert spatial_variance(response, mask) == pytest.approx(expected)
    assert spatial_variance(torch.from_numpy(response), torch.from_numpy(mask)) == pytest.approx(expected)


def test_spatial_variance_of_known_maps():
    everywhere, n = np.ones((10, 10), bool), 10
    assert spatial_variance(np.ones((n, n)), everywhere) == pytest.approx((n**2 - 1) / 6 / n**2)
    spot = np.zeros((n, n))
    spot[3, 4] = 5
    assert spatial_variance(spot, everywhere) == 0
    assert math.isnan(spatial_variance(spot, np.zeros((n, n), bool)))
    assert math.isnan(spatial_variance(spot, spot == 0))


def test_uniformity():
    mask = np.array([[True, True, False]])
    assert uniformity(np.array([[0.4, 0.4, 9.0]]), mask) == 0
    assert uniformity(np.array([[1.0, 3.0, 9.0]]), mask) == pytest.approx(0.5)
    assert math.isnan(uniformity(np.array([[0.0, 0.0, 9.0]]), mask))
    assert math.isnan(uniformity(np.ones((1, 3)), np.zeros((1, 3), bool)))
