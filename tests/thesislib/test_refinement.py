"""Background score, affinity loss and labels, and refined maps against golden vectors, loops and properties."""

import numpy as np
import pytest
import torch
from golden_formulas import u01
from refinement_references import generator, random_map, vectors

from thesislib.cam import normalize
from thesislib.data.transforms import Geometry
from thesislib.refinement import (
    affinity_labels,
    affinity_labels_of_crop,
    affinity_loss,
    background_score,
    cell_means,
    pad_to_stride,
    refine_maps,
)


@pytest.fixture(scope="module")
def affinity_vectors():
    return vectors("b_affinity")


# --- Background score -------------------------------------------------------------------------------------------------


def test_background_score_agrees_with_the_published_code():
    expected = vectors("d_fusion_formula")
    maps = torch.from_numpy(expected["norm_cam_present"])
    alphas = [name.removeprefix("bg_alpha") for name in expected if name.startswith("bg_alpha")]
    assert alphas
    for alpha in alphas:
        scores = background_score(maps, float(alpha))
        assert scores.shape == (4, 24, 32)
        np.testing.assert_allclose(scores[0], expected[f"bg_alpha{alpha}"].squeeze(), atol=1e-6, rtol=0)
        assert torch.equal(scores[1:], maps)


@pytest.mark.parametrize(
    ("alpha", "crossover"), [(1, 0.5), (4, 0.276), (8, 0.188), (16, 0.123), (24, 0.094), (32, 0.077)]
)
def test_background_wins_below_the_crossover_of_its_alpha(alpha, crossover):
    maps = torch.tensor([crossover - 0.001, crossover + 0.001]).reshape(1, 1, 2)
    assert background_score(maps, alpha).argmax(0).tolist() == [[0, 1]]


def test_background_of_an_image_without_response_is_certain():
    scores = background_score(normalize(torch.zeros(3, 6, 7)), 16)
    assert (scores[0] == 1).all() and not scores[1:].any()


@pytest.mark.parametrize(
    ("maps", "alpha", "message"),
    [
        (torch.zeros(0, 4, 4), 16, r"empty response: expected maps \(C, H, W\) of at least one class, got \(0, 4, 4\)"),
        (torch.full((1, 4, 4), 3.0), 16, "within 0..1, got 3.0 to 3.0; apply cam.normalize"),
        (torch.full((1, 4, 4), -0.5), 16, "within 0..1, got -0.5"),
        (torch.full((1, 4, 4), torch.nan), 16, "within 0..1, got nan"),
        (torch.zeros(1, 4, 4), 0, "alpha must be positive, got 0"),
    ],
)
def test_background_score_refuses(maps, alpha, message):
    with pytest.raises(ValueError, match=message):
        background_score(maps, alpha)


# --- Affinity loss ----------------------------------------------------------------------------------------------------


@pytest.fixture
def pair_affinity_and_masks(affinity_vectors):
    affinity = torch.from_numpy((0.5 + 0.49 * u01(9004, 34 * 60)).reshape(1, 34, 60).astype(np.float32))
    return affinity, [torch.from_numpy(affinity_vectors[name])[None] for name in ("aff_bg", "aff_fg", "aff_neg")]


def test_affinity_loss_agrees_with_the_published_code(affinity_vectors, pair_affinity_and_masks):
    affinity, masks = pair_affinity_and_masks
    nothing = torch.zeros_like(masks[0])
    parts = [
        affinity_loss(affinity, *(mask if i == part else nothing for i, mask in enumerate(masks))) for part in range(3)
    ]
    expected = [affinity_vectors[f"loss_{name}_loss"] for name in ("bg", "fg", "neg")]
    np.testing.assert_allclose(np.array(parts) * (4, 4, 2), expected, rtol=1e-5)
    np.testing.assert_allclose(affinity_loss(affinity, *masks), affinity_vectors["loss_loss"], rtol=1e-5)
    without_batch = affinity_loss(affinity[0], *(mask[0].bool() for mask in masks))
    np.testing.assert_allclose(without_batch, affinity_vectors["loss_loss"], rtol=1e-5)


def test_the_affinity_loss_of_a_batch_weighs_pairs_not_images(pair_affinity_and_masks):
    affinity, masks = pair_affinity_and_masks
    emptied = [torch.cat([mask, torch.zeros_like(mask)]) for mask in masks]
    both = affinity_loss(torch.cat([affinity, affinity / 2]), *emptied)
    torch.testing.assert_close(both, affinity_loss(affinity, *masks))
    repeated = affinity_loss(torch.cat([affinity, affinity]), *masks)
    torch.testing.assert_close(repeated, affinity_loss(affinity, *masks))


def test_without_a_decided_pair_loss_and_gradient_are_zero():
    affinity = torch.rand(2, 34, 15, generator=generator(), requires_grad=True)
    nothing = torch.zeros(2, 34, 15, dtype=torch.bool)
    loss = affinity_loss(affinity, nothing, nothing, nothing)
    loss.backward()
    assert loss == 0 and not affinity.grad.any()


def test_the_affinity_loss_is_finite_and_pulls_each_kind_its_way():
    everywhere = torch.ones(34, 3, dtype=torch.bool)
    nothing = ~everywhere
    for masks, sign in (((everywhere, nothing, nothing), -1), ((nothing, nothing, everywhere), 1)):
        affinity = torch.tensor([0.0, 0.5, 1.0]).repeat(34, 1).requires_grad_()
        affinity_loss(affinity, *masks).backward()
        assert affinity.grad.isfinite().all() and (affinity.grad.sign() == sign).all()


# --- Affinity labels --------------------------------------------------------------------------------------------------


def test_affinity_labels_agree_with_the_published_code(affinity_vectors):
    low, high = torch.from_numpy(affinity_vectors["la_ha_stack"]).permute(2, 0, 1).split(3)
    labels = affinity_labels(low, high)
    assert labels.dtype == torch.uint8
    np.testing.assert_array_equal(labels, affinity_vectors["la_ha_label"])


def test_cell_means_agree_with_the_published_pooling(affinity_vectors):
    maps = np.stack([u01(9030, 768), u01(9031, 768)]).reshape(2, 24, 32).astype(np.float32)
    means = cell_means(torch.from_numpy(maps), 8)
    np.testing.assert_allclose(means.permute(1, 2, 0), affinity_vectors["avgpool8_out"], atol=1e-6, rtol=0)


def test_cells_must_be_whole():
    with pytest.raises(ValueError, match="maps of 24 x 30 pixels do not divide into cells of 8 x 8"):
        cell_means(torch.zeros(2, 24, 30), 8)


@pytest.mark.parametrize("stride", [4, 8])
def test_padding_reaches_the_next_multiple_with_zeros(stride):
    padded = pad_to_stride(torch.ones(2, 17, 24), stride)
    assert padded.shape == (2, -(-17 // stride) * stride, 24)
    assert padded[:, :17].all() and not padded[:, 17:].any()


@pytest.mark.parametrize(
    "geometry",
    [
        Geometry(40, 50, False, 8, 13, 24),
        Geometry(40, 50, True, 3, 0, 24),
        Geometry(40, 50, True, -9, -5, 64),
        Geometry(40, 50, False, -20, 2, 48),
    ],
)
def test_labels_of_a_crop_agree_with_a_loop_over_cells(geometry):
    low, high = torch.rand(2, 3, 40, 50, generator=generator(3)).unbind()
    low[0] *= 1.2
    labels = affinity_labels_of_crop(low, high, geometry, stride=4)
    padded = np.zeros((2, 3, 200, 200))
    for index, scores in enumerate((low, high)):
        padded[index, :, 80:120, 80:130] = scores.numpy()[:, :, :: -1 if geometry.mirrored else 1]
    for row in range(geometry.crop // 4):
        for column in range(geometry.crop // 4):
            y, x = 80 + geometry.top + 4 * row, 80 + geometry.left + 4 * column
            by_low, by_high = padded[:, :, y : y + 4, x : x + 4].mean((2, 3))
            expected = 0 if by_high.argmax() == 0 else (by_low.argmax() or 255)
            assert labels[row, column] == (expected if by_low.any() else 255)
    assert {0, 1, 2, 255} <= set(labels.unique().tolist())


def test_scores_of_another_size_than_the_image_are_refused():
    scores = torch.zeros(2, 40, 51)
    with pytest.raises(ValueError, match=r"scores of \(40, 51\) pixels do not belong to an image of \(40, 50\)"):
        affinity_labels_of_crop(scores, scores, Geometry(40, 50, False, 0, 0, 16), 4)
    with pytest.raises(ValueError, match="do not divide into cells"):
        affinity_labels_of_crop(scores, scores, Geometry(40, 51, False, 0, 0, 18), 4)


# --- Refined maps -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width", "stride"), [(40, 72, 8), (37, 66, 8), (33, 41, 4)])
def test_refined_maps_are_those_of_the_padded_image_cut_to_size(height, width, stride):
    rows, columns = -(-height // stride), -(-width // stride)
    _, affinity = random_map(rows, columns)
    scores = torch.rand(3, height, width, generator=generator(1))
    refined = refine_maps(scores, affinity, stride=stride)
    padded = torch.zeros(3, rows * stride, columns * stride)
    padded[:, :height, :width] = scores
    assert refined.shape == scores.shape
    torch.testing.assert_close(refined, refine_maps(padded, affinity, stride=stride)[:, :height, :width])
    batch = refine_maps(torch.stack([scores, scores / 2]), torch.stack([affinity, affinity]), stride=stride)
    torch.testing.assert_close(batch, torch.stack([refined, refined / 2]))


def test_an_image_without_response_becomes_background():
    scores = background_score(normalize(torch.zeros(2, 40, 72)), 16)
    _, affinity = random_map(5, 9)
    refined = refine_maps(scores, affinity, stride=8)
    torch.testing.assert_close(refined, scores)
