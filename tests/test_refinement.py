"""Refinement against golden vectors, dense and brute-force references, and properties."""

import sys

import numpy as np
import pytest
import torch
from golden_formulas import GOLDEN, f_image, u01

from thesislib.cam import normalize
from thesislib.data.transforms import Geometry
from thesislib.pairs import pair_offsets, pair_window, source_shape
from thesislib.refinement import (
    DEEPLAB,
    IRN,
    PSA,
    CrfMissing,
    CrfParams,
    affinity_labels,
    affinity_labels_of_crop,
    affinity_loss,
    background_score,
    cell_means,
    dense_crf,
    pad_to_stride,
    pair_labels,
    random_walk,
    refine_maps,
)


def vectors(name):
    with np.load(GOLDEN / f"{name}.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def affinity_vectors():
    return vectors("b_affinity")


@pytest.fixture(scope="module")
def walk_vectors():
    return vectors("c_randomwalk_formula")


@pytest.fixture(scope="module")
def crf_vectors():
    return vectors("f_crf")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


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


# --- Pairs and their labels -------------------------------------------------------------------------------------------


def pairs_by_search(height, width, radius):
    """Source, target cells of each offset (dictionary by offset), from the definition alone."""
    reach = radius - 1
    pairs = {}
    for y in range(height - reach):
        for x in range(reach, width - reach):
            for dy in range(radius):
                for dx in range(-reach, reach + 1):
                    if (dy, dx) > (0, 0) and dy * dy + dx * dx < radius * radius:
                        pairs.setdefault((dy, dx), []).append((y * width + x, (y + dy) * width + x + dx))
    return pairs


def test_offsets_are_the_published_ones(affinity_vectors):
    assert pair_offsets(5) == [tuple(offset) for offset in affinity_vectors["search_dist_dy_dx"].tolist()]


@pytest.mark.parametrize(("height", "width"), [(9, 11), (12, 14)])
def test_sources_and_targets_are_the_published_ones(affinity_vectors, height, width):
    cells = torch.arange(height * width).reshape(height, width)
    sources = pair_window(cells, (0, 0)).flatten()
    targets = torch.stack([pair_window(cells, offset).flatten() for offset in pair_offsets()])
    np.testing.assert_array_equal(sources, affinity_vectors[f"ind_from_{height}x{width}"])
    np.testing.assert_array_equal(targets.flatten(), affinity_vectors[f"ind_to_{height}x{width}"])


@pytest.mark.parametrize(("height", "width", "radius"), [(56, 56, 5), (5, 9, 5), (7, 12, 3), (2, 3, 2)])
def test_pairs_are_those_of_the_definition(height, width, radius):
    pairs = pairs_by_search(height, width, radius)
    assert pair_offsets(radius) == sorted(pairs)
    rows, columns = source_shape(height, width, radius)
    assert {len(found) for found in pairs.values()} == {rows * columns}
    cells = torch.arange(height * width).reshape(height, width)
    for offset, found in pairs.items():
        targets = pair_window(cells, offset, radius).flatten().tolist()
        assert targets == [target for _, target in found]


def test_a_published_crop_has_2496_sources():
    assert source_shape(56, 56) == (52, 48) and 34 * 52 * 48 == 84864


def test_pair_labels_agree_with_the_published_code(affinity_vectors):
    label_map = torch.from_numpy(affinity_vectors["aff_label_map_14"])
    for mask, name in zip(pair_labels(label_map), ("aff_bg", "aff_fg", "aff_neg"), strict=True):
        assert mask.dtype == torch.bool
        np.testing.assert_array_equal(mask, affinity_vectors[name])


@pytest.mark.parametrize("radius", [2, 3, 5])
def test_pair_labels_of_a_batch_agree_with_a_search(radius):
    labels = np.random.default_rng(radius).choice([0, 0, 1, 1, 4, 255], (2, 8, 11)).astype(np.uint8)
    masks = pair_labels(torch.from_numpy(labels), radius)
    for index, label_map in enumerate(labels):
        for row, (_, pairs) in enumerate(sorted(pairs_by_search(8, 11, radius).items())):
            values = label_map.ravel()[np.array(pairs)]
            kinds = [(a == b == 0, a == b != 0, a != b) if 255 not in (a, b) else (False,) * 3 for a, b in values]
            np.testing.assert_array_equal(torch.stack([mask[index, row] for mask in masks], 1), kinds)


def test_an_undecided_map_has_no_pairs_and_an_image_of_one_class_no_different_ones():
    undecided = pair_labels(torch.full((9, 11), 255, dtype=torch.uint8))
    assert not any(mask.any() for mask in undecided)
    background, foreground, different = pair_labels(torch.full((9, 11), 3, dtype=torch.uint8))
    assert foreground.all() and not background.any() and not different.any()


@pytest.mark.parametrize(("height", "width"), [(4, 30), (30, 8), (1, 1)])
def test_maps_smaller_than_the_radius_allows_are_refused(height, width):
    message = (
        f"a map of {height} x {width} cells is too small for pairs of radius 5: it needs at least 5 rows and 9 col"
    )
    with pytest.raises(ValueError, match=message):
        pair_labels(torch.zeros(height, width, dtype=torch.uint8))
    with pytest.raises(ValueError, match=message):
        random_walk(torch.ones(2, height, width), torch.ones(34, 1))


def test_a_radius_without_pairs_is_refused():
    with pytest.raises(ValueError, match="pair radius must be at least 2 cells, got 1"):
        pair_offsets(1)


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


# --- Random walk ------------------------------------------------------------------------------------------------------


def transition_by_search(pair_affinity, height, width, radius=5, beta=8.0):
    """The dense transition matrix from its definition, in float64."""
    matrix = np.eye(height * width)
    for affinities, (_, pairs) in zip(
        np.asarray(pair_affinity, np.float64), sorted(pairs_by_search(height, width, radius).items()), strict=True
    ):
        for affinity, (source, target) in zip(affinities, pairs, strict=True):
            matrix[source, target] = matrix[target, source] = affinity**beta
    return matrix / matrix.sum(axis=0, keepdims=True)


def random_map(height, width, radius=5, rows=3, seed=0):
    rng = generator(seed)
    sources = np.prod(source_shape(height, width, radius))
    affinity = 0.4 + 0.6 * torch.rand(len(pair_offsets(radius)), int(sources), generator=rng)
    return torch.rand(rows, height, width, generator=rng), affinity


@pytest.fixture(scope="module")
def published_walk(walk_vectors):
    """Scores at image size and the pair affinity of the published walk."""
    y, x = np.mgrid[:72, :104]
    maps = [np.clip(np.sin(0.06 * y + c) * np.cos(0.05 * x + 0.3 * c), 0, 1) for c in (2, 9, 14)]
    scores = background_score(torch.from_numpy(np.float32(maps)), alpha=16)
    return scores, torch.from_numpy(walk_vectors["aff_vec"][0])


def test_pooled_scores_agree_with_the_published_code(walk_vectors, published_walk):
    pooled = cell_means(pad_to_stride(published_walk[0], 8), 8)
    np.testing.assert_allclose(pooled, walk_vectors["cam_pooled_classes_0_3_10_15"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("log2_steps", [4, 8])
def test_random_walk_agrees_with_the_published_code(walk_vectors, published_walk, log2_steps):
    scores, affinity = published_walk
    refined = random_walk(cell_means(scores, 8), affinity, log2_steps=log2_steps)
    assert refined.dtype == torch.float32 and not refined.requires_grad
    np.testing.assert_allclose(refined, walk_vectors[f"logt{log2_steps}_cam_rw_lowres"], atol=1e-5, rtol=0)
    labels = np.array([0, 3, 10, 15])[refine_maps(scores, affinity, stride=8, log2_steps=log2_steps).argmax(0)]
    np.testing.assert_array_equal(labels, walk_vectors[f"logt{log2_steps}_cam_rw_up_argmax"])


def test_random_walk_agrees_with_the_published_code_in_double_precision(walk_vectors, published_walk):
    refined = random_walk(torch.from_numpy(walk_vectors["cam_pooled_classes_0_3_10_15"]), published_walk[1])
    np.testing.assert_allclose(refined, walk_vectors["logt8_cam_rw_lowres_float64"], atol=1e-6, rtol=0)


def test_a_unit_score_in_each_cell_gives_the_published_transition(walk_vectors, published_walk):
    walked = random_walk(torch.eye(117).reshape(117, 9, 13), published_walk[1])
    np.testing.assert_allclose(walked.reshape(117, 117), walk_vectors["logt8_trans_mat"], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(5, 9), (6, 9), (7, 15), (11, 10), (13, 21)])
@pytest.mark.parametrize("log2_steps", [0, 1, 5, 8, 10])
def test_random_walk_is_the_dense_one(height, width, log2_steps):
    scores, affinity = random_map(height, width)
    transition = np.linalg.matrix_power(transition_by_search(affinity, height, width), 2**log2_steps)
    expected = (scores.flatten(1).double().numpy() @ transition).reshape(scores.shape)
    refined = random_walk(scores, affinity, log2_steps=log2_steps)
    np.testing.assert_allclose(refined, expected, atol=2e-7, rtol=0)


@pytest.mark.parametrize(("radius", "beta"), [(2, 1.0), (3, 10.0), (4, 0.5), (6, 8.0)])
def test_random_walk_of_other_radii_and_powers_is_the_dense_one(radius, beta):
    scores, affinity = random_map(9, 14, radius)
    transition = np.linalg.matrix_power(transition_by_search(affinity, 9, 14, radius, beta), 16)
    expected = (scores.flatten(1).double().numpy() @ transition).reshape(scores.shape)
    refined = random_walk(scores, affinity, radius=radius, beta=beta, log2_steps=4)
    np.testing.assert_allclose(refined, expected, atol=2e-7, rtol=0)


def test_one_step_shares_symmetrically_and_its_columns_sum_to_one():
    _, affinity = random_map(8, 12)
    transition = random_walk(torch.eye(96).reshape(96, 8, 12), affinity, log2_steps=0).reshape(96, 96)
    torch.testing.assert_close(transition.sum(0), torch.ones(96))
    shared = transition / transition.diagonal()  # the diagonal of the affinity is 1
    torch.testing.assert_close(shared, shared.T)
    assert (transition > 0).sum() == 96 + 2 * affinity.numel()
    assert (transition > 0).sum(0).max() <= 69


@pytest.mark.parametrize("log2_steps", [0, 4, 8])
def test_constant_scores_stay_and_others_stay_in_their_range(log2_steps):
    scores, affinity = random_map(10, 17, rows=4)
    scores[0], scores[1], scores[2, :5] = 0.3, 0, 0
    refined = random_walk(scores, affinity, log2_steps=log2_steps)
    assert torch.equal(refined[:2], scores[:2])
    assert (refined >= scores.amin((1, 2), keepdim=True)).all() and (refined <= scores.amax((1, 2), keepdim=True)).all()


def test_scores_far_away_stay_at_zero_and_never_below():
    scores, affinity = torch.zeros(1, 5, 400), torch.full((34, 392), 0.2)
    scores[:, :, 0] = 1
    refined = random_walk(scores, affinity)
    assert (refined >= 0).all() and refined[:, :, -1].max() == 0


def test_cells_without_affinity_keep_their_scores():
    scores, affinity = random_map(9, 13)
    torch.testing.assert_close(random_walk(scores, torch.zeros_like(affinity)), scores)


def test_scores_do_not_cross_a_border_without_affinity():
    cells = torch.arange(20).repeat(12, 1) < 9
    affinity = torch.stack(
        [(pair_window(cells, offset) == pair_window(cells, (0, 0))).flatten().float() for offset in pair_offsets()]
    )
    refined = random_walk(cells[None].float(), affinity)
    torch.testing.assert_close(refined[0], cells.float())


def test_random_walk_is_linear_and_row_by_row():
    scores, affinity = random_map(9, 13, rows=4)
    refined = random_walk(scores, affinity)
    torch.testing.assert_close(random_walk(scores[2:3], affinity), refined[2:3])
    combined = random_walk((2 * scores[0] - scores[1])[None], affinity)[0]
    torch.testing.assert_close(combined, 2 * refined[0] - refined[1])


def test_a_batch_of_walks_gives_those_of_its_images():
    maps = [random_map(9, 13, seed=seed) for seed in range(3)]
    scores, affinities = (torch.stack(part) for part in zip(*maps, strict=True))
    expected = torch.stack([random_walk(*pair) for pair in maps])
    torch.testing.assert_close(random_walk(scores, affinities), expected)


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s, a: (s, a[:, :-1]),
            r"shape \(34, 44\) does not belong to scores on 9 x 17 cells: expected \(34, 45\)",
        ),
        (lambda s, a: (s, a[:-1]), r"shape \(33, 45\)"),
        (lambda s, a: (s[None], a), r"expected \(1, 34, 45\)"),
        (lambda s, a: (s[:0], a), "no score rows"),
        (lambda s, a: (s * torch.nan, a), "scores that are not finite"),
        (lambda s, a: (s, a / 0), "pair affinity must be finite and not negative"),
        (lambda s, a: (s, -a), "pair affinity must be finite and not negative"),
    ],
)
def test_random_walk_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        random_walk(*change(*random_map(9, 17)))


def test_random_walk_refuses_less_than_one_step():
    with pytest.raises(ValueError, match=r"log2_steps must be at least 0 \(one step\), got -1"):
        random_walk(*random_map(9, 17), log2_steps=-1)


# --- Dense CRF --------------------------------------------------------------------------------------------------------


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
