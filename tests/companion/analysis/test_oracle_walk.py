"""The positive controls of both chapters: affinities of the truth, irn's scoring, features pooled under a map."""

import numpy as np
import pytest
import torch

from companion.analysis import map_pooling, oracle_walk
from companion.pipeline.artefacts import ResponseMaps
from companion.settings import AffinitySettings, load
from thesislib import metrics
from thesislib.data.voc import IGNORE, VocDataset
from thesislib.refinement import random_walk
from thesislib.refinement.pairs import pair_offsets, source_shape

SIDE, STRIDE = 12, 4


class OneImage(VocDataset):
    """Its truth alone."""

    def __init__(self, mask):
        self.ids, self.classes, self.truth = ["one"], ("heron", "fox"), mask

    def mask(self, i):
        return self.truth


def mask_of(labels):
    """A mask whose cells show one class each."""
    return np.kron(labels, np.ones((STRIDE, STRIDE))).astype(np.uint8)


def brute_force(labels):
    rows, columns = source_shape(*labels.shape)
    found = []
    for dy, dx in pair_offsets():
        for y in range(rows):
            for x in range(4, 4 + columns):
                a, b = labels[y, x], labels[y + dy, x + dx]
                found.append(float(a == b and a != IGNORE))
    return torch.tensor(found).view(len(pair_offsets()), -1)


def test_pairs_are_alike_where_both_cells_show_the_same_class():
    labels = np.random.default_rng(0).choice([0, 3, 7, IGNORE], (SIDE, SIDE))
    assert torch.equal(oracle_walk.of_truth(mask_of(labels), STRIDE), brute_force(labels))


def test_a_cell_shows_what_most_of_its_pixels_show():
    labels = np.zeros((SIDE, SIDE), int)
    labels[2, 5] = 3
    mask = mask_of(labels)
    mask[8, 20:24] = 0  # 4 of its 16 pixels
    assert torch.equal(oracle_walk.of_truth(mask, STRIDE), brute_force(labels))
    mask[8:11, 20:24] = 0  # 12 of them
    assert torch.equal(oracle_walk.of_truth(mask, STRIDE), brute_force(np.zeros_like(labels)))


def test_nothing_walks_over_an_outline():
    labels = np.zeros((SIDE, SIDE), int)
    labels[:, 6:] = 1
    scores = torch.from_numpy((labels == 1).astype(np.float32))[None]
    walked = random_walk(scores, oracle_walk.of_truth(mask_of(labels), STRIDE), log2_steps=6)
    torch.testing.assert_close(walked, scores)


def test_a_map_of_half_an_object_fills_it_along_perfect_affinities(tmp_path):
    labels = np.zeros((SIDE, SIDE), int)
    labels[3:9, 3:10] = 2
    mask = mask_of(labels)
    half = np.where((mask == 2) & (np.arange(SIDE * STRIDE)[:, None] < 24), 1, 0.02).astype(np.float32)
    ResponseMaps(np.array([1]), half[None]).write(tmp_path, "one")
    images = OneImage(mask)
    settings = AffinitySettings(log2_steps=8)
    affinities = oracle_walk.truths(images, load("demo").backbone)
    found = oracle_walk.walked_counts(tmp_path, images, affinities, settings, STRIDE)
    assert found.shape == (len(oracle_walk.SCORINGS), 1, 3, 3)
    before = metrics.ConfusionMatrix(3)
    before.update(mask, np.where(half > 0.15, 2, 0).astype(np.uint8))
    ious = [metrics.class_iou(counts)[2] for counts in (before.counts, *found[:, 0])]
    assert ious[0] == pytest.approx(0.5) and min(ious[1:]) > 0.75


def test_irns_background_is_a_share_of_the_images_maximum():
    walked = torch.tensor([[[0.8, 0.1, 0.21]], [[0.0, 0.0, 0.4]]])
    scores = oracle_walk.irn_scores(walked)
    assert scores.shape == (3, 1, 3) and scores[0].unique().tolist() == [oracle_walk.IRN_BACKGROUND]
    assert scores.argmax(0)[0].tolist() == [1, 0, 2]
    torch.testing.assert_close(oracle_walk.irn_scores(3 * walked), scores)


def test_a_feature_under_a_map_is_that_of_its_cells_and_leaves_the_company_out():
    features, response = torch.rand(5, 3, 4), torch.zeros(3, 3, 4)
    response[0, 1, 2], response[1] = 2.0, -1.0
    response[2, 0, :2] = torch.tensor([1.0, 3.0])
    found = map_pooling.under_maps(features, response)
    torch.testing.assert_close(found[0], features[:, 1, 2])
    torch.testing.assert_close(found[1], features.mean((1, 2)))  # no response at all: the whole image
    torch.testing.assert_close(found[2], 0.25 * features[:, 0, 0] + 0.75 * features[:, 0, 1])
