"""Scores of clusters against scikit-learn, and chance levels that are 0 where nothing is in common."""

import numpy as np
import pytest
from cluster_data import CLASSES, make_images, random_labels, random_round
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score

from thesislib import cluster_scores
from thesislib.cluster_quality import agreement
from thesislib.cluster_tables import Round
from thesislib.stages import subcategories

SEEDS = range(3)


def of_round(assignments, k):
    return Round(assignments, np.zeros(assignments.shape), k)


@pytest.fixture(scope="module")
def labels():
    return random_labels(60, 3)


@pytest.fixture(scope="module")
def found(labels):
    return {(number, seed): random_round(labels, 10 * number + seed) for number in (1, 2, 3) for seed in SEEDS}


def test_silhouettes_of_each_class_in_the_features_of_the_round_before(found, labels, tmp_path):
    folders, features = {}, {}
    for number in range(3):
        for seed in SEEDS:
            folders[number, seed] = tmp_path / f"{number}-{seed}"
            folders[number, seed].mkdir()
            features[number, seed] = np.random.default_rng([number, seed]).standard_normal((60, 4))
            np.savez(folders[number, seed] / subcategories.FEATURES, features=features[number, seed])
    table = cluster_scores.silhouette_table(found, folders, CLASSES)
    assert list(table) == ["round 1", "round 2", "round 3"]
    expected = np.empty((3, 3))
    for c in range(3):
        present = labels[:, c] > 0
        for seed in SEEDS:
            clusters = found[2, seed].assignments[present, c]
            expected[c, seed] = silhouette_score(features[1, seed][present], clusters)
    assert table["round 2"].tolist()[:3] == pytest.approx(expected.mean(axis=1))
    overall = table.loc[cluster_scores.ALL_CLASSES, "round 2"]
    assert (overall.mean, overall.n) == (pytest.approx(expected.mean()), 3)


def test_a_class_without_a_score_is_missing_alone():
    scores = [np.array([0.2, np.nan]), np.array([0.4, np.nan])]
    column = cluster_scores.by_class({"score": scores}, ["a", "b"])["score"]
    assert column["a"] == pytest.approx(0.3) and np.isnan(column["b"])
    assert column[cluster_scores.ALL_CLASSES].mean == pytest.approx(0.3)


def test_agreement_of_rounds_against_scikit_learn(found, labels):
    table = cluster_scores.agreement_table(found, 1, 3)
    assert list(table.index) == ["rounds 1 and 2", "rounds 2 and 3", "rounds 1 and 3"]
    for name, (a, b) in zip(table.index, ((1, 2), (2, 3), (1, 3)), strict=True):
        values = []
        for seed in SEEDS:
            pairs = [
                (found[a, seed].assignments[present, c], found[b, seed].assignments[present, c])
                for c, present in enumerate(labels.T > 0)
            ]
            values.append([np.mean([score(*pair) for pair in pairs]) for score in SCORES])
        row = table.loc[name]
        assert [row["NMI"].mean, row["ARI"].mean] == pytest.approx(np.mean(values, axis=0))
        assert row["NMI by chance"].mean == pytest.approx(row["NMI"].mean, abs=0.05)  # these are random


SCORES = (normalized_mutual_info_score, adjusted_rand_score)


@pytest.mark.parametrize(("k", "seed"), [(1, 0), (2, 1), (5, 2), (30, 3)])
def test_nmi_of_all_classes_at_once_is_that_of_scikit_learn(k, seed):
    labels = random_labels(12, 4, seed, share=0.2)
    labels[:, 2] = 0
    labels[0, 2] = 1  # a class with one image has none
    a, b = random_round(labels, seed, k=k).assignments, random_round(labels, seed + 1, k=2).assignments
    np.testing.assert_allclose(cluster_scores.nmi(a, b), agreement(a, b).nmi, atol=1e-12)
    np.testing.assert_allclose(cluster_scores.nmi(a, a), agreement(a, a).nmi, atol=1e-12)


def test_clusters_that_are_the_subtypes_reach_one(labels):
    subtypes = np.where(labels > 0, np.arange(60)[:, None] % 3, -1)
    rounds = {(number, seed): of_round(subtypes, 3) for number in (1, 3) for seed in SEEDS}
    table = cluster_scores.truth_table(rounds, 1, 3, subtypes, CLASSES)
    assert table["NMI, round 3"].tolist()[:3] == pytest.approx([1, 1, 1])
    assert table["purity, round 1"].tolist()[:3] == pytest.approx([1, 1, 1])
    chance = table.loc[cluster_scores.ALL_CLASSES]
    assert chance["NMI, chance"].mean < 0.3 and chance["purity, chance"].mean < 0.7


def test_other_classes_are_equal_where_the_sets_are(labels):
    ids = cluster_scores.other_classes(labels)
    assert ((ids < 0) == (labels == 0)).all()
    for c in range(labels.shape[1]):
        present = np.flatnonzero(labels[:, c])
        for i in present[:12]:
            for j in present:
                same = (np.delete(labels[i], c) == np.delete(labels[j], c)).all()
                assert (ids[i, c] == ids[j, c]) == same


def test_random_clusters_are_at_chance_and_equal_ones_far_above(labels):
    reference = cluster_scores.other_classes(labels)
    k = int(reference.max()) + 1
    rounds = {(1, seed): random_round(labels, seed) for seed in range(8)}
    (values,) = cluster_scores.above_chance(rounds, 1, {"company": reference}).values()
    assert len(values) == 8 and abs(np.mean(values)) < 0.04
    (values,) = cluster_scores.above_chance({(1, 0): of_round(reference, k)}, 1, {"company": reference}).values()
    assert values[0] > 0.7


def test_images_outside_the_reference_do_not_move_its_chance_level():
    """Clusters that follow company put all images that show one class into the same cluster.

    Among those images they say nothing of the sub-types: neither more than chance nor less.
    """
    labels = random_labels(400, 3, share=0.3)
    company = cluster_scores.other_classes(labels)
    alone = labels.sum(axis=1, keepdims=True) == 1
    noisy = np.where((labels > 0) & alone, np.random.default_rng(1).integers(0, 2, labels.shape), company + 2)
    clusters = np.where(labels > 0, noisy, -1)
    kinds = np.where((labels > 0) & alone, np.random.default_rng(2).integers(0, 4, labels.shape), -1)
    (values,) = cluster_scores.above_chance({(1, 0): of_round(clusters, 8)}, 1, {"alone": kinds}).values()
    assert abs(values[0]) < 0.02


def test_references_know_subtypes_only_where_the_data_do(tmp_path, monkeypatch):
    images = make_images(tmp_path)
    assert list(cluster_scores.references(images)) == [cluster_scores.OTHERS]
    subtypes = np.where(images.labels > 0, 1, -1)
    monkeypatch.setattr(images, "subtypes", subtypes)
    known = cluster_scores.references(images)
    several = images.labels.sum(axis=1) > 1
    *_, alone = known.values()
    assert (known[cluster_scores.SUBTYPES] == subtypes).all()
    assert (alone[several] == -1).all() and (alone[~several] == subtypes[~several]).all()


def test_a_table_over_seeds():
    cell = cluster_scores.above_chance_table({"company": [0.1, 0.2, 0.3]}).loc["company", "NMI above chance"]
    assert (cell.mean, cell.n) == (pytest.approx(0.2), 3)
