"""Rows of the heads against scikit-learn, loops over images, and cases where the answer is known."""

import numpy as np
import pytest
import torch
from cluster_data import random_labels, random_round
from sklearn.metrics.pairwise import cosine_similarity

from companion.analysis import cluster_heads
from companion.analysis.cluster_heads import Heads
from companion.analysis.forward import untrained_classifier
from companion.pipeline.artefacts import CLASSIFIER_WEIGHTS
from companion.settings import SettingsError, load
from thesislib.models.weights import save_weights

C, K, D = 4, 3, 16


@pytest.fixture(scope="module")
def heads():
    rng = np.random.default_rng(0)
    return Heads(rng.standard_normal((C, D)).astype(np.float32), rng.standard_normal((C, K, D)).astype(np.float32))


@pytest.fixture(scope="module")
def labels():
    return random_labels(120, C)


@pytest.fixture(scope="module")
def found(labels):
    return random_round(labels, 1, k=K)


def test_heads_are_read_in_blocks_of_k_rows(tmp_path):
    from thesislib.models.classifier import CamClassifier

    backbone = untrained_classifier(load("smoke"), C).backbone
    model = CamClassifier(backbone, C, K, generator=torch.Generator().manual_seed(0))
    save_weights(model, tmp_path / CLASSIFIER_WEIGHTS)
    read = cluster_heads.read_heads(tmp_path)
    features = torch.rand(1, model.fc8.in_channels, 1, 1)
    logits = model.fc8_sub(features).flatten().detach().numpy()
    for c in range(C):
        for k in range(K):
            assert read.sub[c, k] @ features.flatten().numpy() == pytest.approx(logits[c * K + k], abs=1e-5)
    np.testing.assert_array_equal(read.parent, model.fc8.weight[:, :, 0, 0].detach().numpy())


def test_a_classifier_with_one_head_is_refused(tmp_path):
    save_weights(untrained_classifier(load("smoke"), C), tmp_path / CLASSIFIER_WEIGHTS)
    with pytest.raises(SettingsError, match="no sub-category head"):
        cluster_heads.read_heads(tmp_path)


def test_cosines_against_scikit_learn(heads):
    found = cluster_heads.cosines(heads)
    for c in range(C):
        np.testing.assert_allclose(found[c], cosine_similarity(heads.sub[c], heads.parent), atol=1e-6)


def test_together_counts_images_and_shares_divide_by_the_size(labels, found):
    counts = cluster_heads.together(found, labels)
    part = cluster_heads.shares(counts)
    for c in range(C):
        for k in range(K):
            members = [i for i in range(len(labels)) if found.assignments[i, c] == k]
            for j in range(C):
                number = sum(int(labels[i, j]) for i in members)
                assert counts[c, k, j] == number
                assert part[c, k, j] == pytest.approx(number / len(members))


def test_an_empty_cluster_has_neither_count_nor_say(heads, labels, found):
    wider = Heads(heads.parent, np.concatenate([heads.sub, np.zeros((C, 1, D), np.float32)], axis=1))
    counts = cluster_heads.together(found._replace(k=K + 1), labels)
    assert np.isnan(counts[:, K]).all()
    with_empty = cluster_heads.correlations(cluster_heads.cosines(wider), cluster_heads.shares(counts))
    without = cluster_heads.correlations(
        cluster_heads.cosines(heads), cluster_heads.shares(cluster_heads.together(found, labels))
    )
    np.testing.assert_allclose(with_empty, without)


def test_correlations_leave_the_own_class_out(heads, labels, found):
    cosine, part = cluster_heads.cosines(heads), cluster_heads.shares(cluster_heads.together(found, labels))
    scores = cluster_heads.correlations(cosine, part)
    for c in range(C):
        pairs = [(cosine[c, k, j], part[c, k, j]) for k in range(K) for j in range(C) if j != c]
        assert scores[c] == pytest.approx(np.corrcoef(np.transpose(pairs))[0, 1])


def company_clusters(labels):
    """The cluster of an image in a class is the first other class in it, or else the class itself."""
    clusters = np.full(labels.shape, -1)
    for i, row in enumerate(labels):
        for c in np.flatnonzero(row):
            others = [j for j in np.flatnonzero(row) if j != c]
            clusters[i, c] = others[0] if others else c
    return clusters


@pytest.mark.parametrize("reading", cluster_heads.READINGS)
def test_rows_that_are_those_of_the_company_are_far_above_chance(labels, reading):
    parent = np.eye(C, D, dtype=np.float32)
    heads = Heads(parent, np.stack([parent + 0.1] * C))  # row k of each block is the row of class k
    clusters = company_clusters(labels)
    found = random_round(labels, 0, k=C)._replace(assignments=clusters)
    run = cluster_heads.resemblance(heads, found, labels, seed=0, reading=reading)
    assert (run.above > 0.3).all()
    np.testing.assert_allclose(run.above, run.found - run.chance)


def test_random_rows_are_at_chance():
    rng = np.random.default_rng(1)
    labels = random_labels(200, C)
    above = []
    for seed in range(12):
        heads = Heads(rng.standard_normal((C, D)).astype(np.float32), rng.standard_normal((C, K, D)).astype(np.float32))
        above.append(cluster_heads.resemblance(heads, random_round(labels, seed, k=K), labels, seed).above)
    assert abs(np.mean(above)) < 0.15


def test_the_table_has_the_class_and_the_mean_over_classes(heads, labels, found):
    runs = {"share": [cluster_heads.resemblance(heads, found, labels, seed) for seed in range(3)]}
    table = cluster_heads.resemblance_table(runs, 1, "fox")
    assert list(table.index) == ["fox, share", "mean over classes, share"]
    assert table.loc["fox, share", "correlation"].mean == pytest.approx(runs["share"][0].found[1])
    overall = np.mean([run.above.mean() for run in runs["share"]])
    assert table.loc["mean over classes, share", "difference"].mean == pytest.approx(overall)


@pytest.mark.parametrize("clusters", [[], [0], [0, 1, 2]])
def test_embedding_depends_on_directions_alone(heads, clusters):
    rows = cluster_heads.rows_of(heads, 2, clusters)
    assert rows.shape == (C + len(clusters), D)
    np.testing.assert_array_equal(rows[C:], heads.sub[2, : len(clusters)])
    points = cluster_heads.embed(rows, start="pca")
    assert points.shape == (len(rows), 2) and np.isfinite(points).all()
    scaled = rows * np.float32(2) ** np.arange(len(rows), dtype=np.float32)[:, None]
    np.testing.assert_array_equal(cluster_heads.embed(scaled, start="pca"), points)


def test_random_starts_differ(heads):
    rows = cluster_heads.rows_of(heads, 0, [0, 1, 2])
    first, again, other = (cluster_heads.embed(rows, start="random", seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
