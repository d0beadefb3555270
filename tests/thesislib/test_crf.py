"""The dense CRF against golden vectors, its parameters, and what it refuses."""

import sys

import numpy as np
import pytest
import torch
from golden_formulas import f_image
from refinement_references import vectors

from thesislib.refinement import DEEPLAB, IRN, PSA, CrfMissing, CrfParams, dense_crf


@pytest.fixture(scope="module")
def crf_vectors():
    return vectors("f_crf")


def changed(params, **changes):
    return CrfParams(**{**vars(params), **changes})


CASES = {
    "s3_psa_t10_sf1": PSA,
    "s3_psa_t1": changed(PSA, iterations=1),
    "s3_psa_t10_sf12": changed(PSA, scale_factor=12),
    "s3_deeplab": DEEPLAB,
    "s3_gauss_only_t5": changed(PSA, iterations=5, bilateral_weight=0),
    "s3_bilat_only_t5": changed(PSA, iterations=5, spatial_weight=0),
    "s21_psa_t10_sf1": PSA,
    "s21_deeplab": DEEPLAB,
}


@pytest.mark.parametrize("name", CASES)
def test_dense_crf_agrees_exactly_with_the_published_code(crf_vectors, name):
    pytest.importorskip("pydensecrf")
    image, probabilities = (crf_vectors[f"{name.split('_')[0]}_{part}"] for part in ("image", "probs"))
    before = image.copy(), probabilities.copy()
    refined = dense_crf(image, probabilities, CASES[name])
    assert refined.dtype == np.float32
    np.testing.assert_array_equal(refined, crf_vectors[name])
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(probabilities, before[1])
    tensor = dense_crf(image, torch.from_numpy(probabilities), CASES[name])
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(tensor, refined)


def test_all_vectors_of_the_crf_are_compared(crf_vectors):
    assert {name for name in crf_vectors if name.split("_")[1] not in ("image", "probs")} == set(CASES)


def test_refined_probabilities_sum_to_one_and_follow_the_image():
    pytest.importorskip("pydensecrf")
    image = np.zeros((30, 40, 3), np.uint8)
    image[:, 22:] = 200
    foreground = torch.full((30, 40), 0.4)
    foreground[:, 18:] = 0.7  # spills four columns over the edge
    probabilities = torch.stack([1 - foreground, foreground])
    for params in (PSA, IRN, DEEPLAB):
        refined = dense_crf(image, probabilities, params)
        assert refined.shape == probabilities.shape
        torch.testing.assert_close(refined.sum(0), torch.ones(30, 40))
    labels = dense_crf(image, probabilities, IRN).argmax(0)
    assert labels[:, 22:].all() and not labels[:, :18].any()
    assert not dense_crf(image, probabilities, PSA).argmax(0)[:, 18:22].any()


def test_confidence_of_labels_is_what_irn_uses():
    utils = pytest.importorskip("pydensecrf.utils")
    labels = np.random.default_rng(0).integers(0, 3, (4, 5))
    probabilities = np.where(np.arange(3)[:, None, None] == labels, 0.7, 0.15).astype(np.float32)
    np.testing.assert_allclose(
        utils.unary_from_softmax(probabilities), utils.unary_from_labels(labels, 3, 0.7, zero_unsure=False), rtol=1e-6
    )


def test_a_missing_library_is_named_with_its_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydensecrf", None)
    monkeypatch.setitem(sys.modules, "pydensecrf.densecrf", None)
    with pytest.raises(CrfMissing, match="pip install pydensecrf2"):
        dense_crf(f_image(8, 9, 0), np.full((2, 8, 9), 0.5, np.float32), PSA)


@pytest.mark.parametrize(
    ("image", "probabilities", "message"),
    [
        (f_image(8, 9, 0), np.full((2, 8, 10), 0.5), r"shape \(8, 9, 3\) does not belong to .*\(2, 8, 10\)"),
        (f_image(8, 9, 0)[..., :1], np.full((2, 8, 9), 0.5), r"expected \(8, 9, 3\)"),
        (f_image(8, 9, 0), np.full((1, 8, 9), 0.5), "at least two labels"),
        (f_image(8, 9, 0), np.full((2, 8, 9), np.nan), "finite and not negative"),
        (f_image(8, 9, 0), np.full((2, 8, 9), -0.1), "finite and not negative"),
    ],
)
def test_dense_crf_refuses(image, probabilities, message):
    with pytest.raises(ValueError, match=message):
        dense_crf(image, probabilities.astype(np.float32), PSA)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"iterations": 0}, "iterations must be at least 1, got 0"),
        ({"spatial_sigma": 0}, "spatial_sigma must be positive, got 0"),
        ({"bilateral_weight": -1}, "bilateral_weight must not be negative, got -1"),
        ({"scale_factor": float("nan")}, "scale_factor must be positive, got nan"),
    ],
)
def test_crf_parameters_are_checked(change, message):
    with pytest.raises(ValueError, match=message):
        changed(PSA, **change)
