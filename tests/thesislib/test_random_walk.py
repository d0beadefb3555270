"""The random walk against golden vectors, the dense transition matrix, and properties."""

import numpy as np
import pytest
import torch
from refinement_references import pairs_by_search, random_map, vectors

from thesislib.refinement import background_score, cell_means, pad_to_stride, random_walk, refine_maps
from thesislib.refinement.pairs import pair_offsets, pair_window


@pytest.fixture(scope="module")
def walk_vectors():
    return vectors("c_randomwalk_formula")


def transition_by_search(pair_affinity, height, width, radius=5, beta=8.0):
    """The dense transition matrix from its definition, in float64."""
    matrix = np.eye(height * width)
    for affinities, (_, pairs) in zip(
        np.asarray(pair_affinity, np.float64), sorted(pairs_by_search(height, width, radius).items()), strict=True
    ):
        for affinity, (source, target) in zip(affinities, pairs, strict=True):
            matrix[source, target] = matrix[target, source] = affinity**beta
    return matrix / matrix.sum(axis=0, keepdims=True)


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
