"""Pairs of cells and their labels against golden vectors and a search."""

import numpy as np
import pytest
import torch
from refinement_references import pairs_by_search, vectors

from thesislib.refinement import pair_labels, random_walk
from thesislib.refinement.pairs import pair_offsets, pair_window, source_shape


@pytest.fixture(scope="module")
def affinity_vectors():
    return vectors("b_affinity")


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
