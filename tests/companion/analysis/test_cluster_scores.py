"""Scores of clusters against scikit-learn, class by class, and chance levels that are 0 where nothing is in common."""

import numpy as np
import pytest
from cluster_data import random_labels, random_round
from sklearn.metrics import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    normalized_mutual_info_score,
    silhouette_score,
)

from companion.analysis import cluster_scores, statistics
from companion.analysis.cluster_tables import Round
from companion.drawing import cluster_charts
from companion.drawing import curves as charts
from companion.pipeline.artefacts import FEATURES

ROUNDS, SEEDS, CLASSES, N = 2, range(3), 3, 60
LABELS = random_labels(N, CLASSES, seed=1)
SUBTYPES = random_round(LABELS, seed=99).assignments.astype(np.int64)


@pytest.fixture(scope="module")
def found():
    """Labels of rounds 1 to 3; those of round 3 are the true sub-types with other numbers."""
    rounds = {(r, s): random_round(LABELS, seed=10 * r + s) for r in range(1, ROUNDS + 2) for s in SEEDS}
    renamed = np.where(SUBTYPES < 0, -1, (SUBTYPES + 1) % 3).astype(np.int16)
    return rounds | {(3, s): rounds[3, s]._replace(assignments=renamed) for s in SEEDS}


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    rounds = [(r, seed) for r in range(ROUNDS + 1) for seed in SEEDS]
    return {key: write_features(tmp_path_factory.mktemp("features"), key) for key in rounds}


def write_features(folder, key=(0, 0), n=N):
    drawn = np.random.default_rng(key).random((n, 5), np.float32)
    np.savez(folder / FEATURES, features=drawn)
    return folder


def measure(found, features, labels, subtypes):
    """Quality of clusters that were found in features of the round before."""
    separate = {(r, seed): cluster_scores.separation(features[r - 1, seed], each) for (r, seed), each in found.items()}
    return cluster_scores.measure(found, separate, labels, subtypes)


def measure_alone(folder, labels, assignments, subtypes=None):
    """Quality of one clustering."""
    clusters = Round(assignments, np.zeros(assignments.shape), int(assignments.max()) + 1)
    features = {(0, 0): write_features(folder, n=len(labels))}
    return measure({(1, 0): clusters}, features, labels, subtypes)


@pytest.fixture(scope="module")
def quality(found, features):
    return measure(found, features, LABELS, SUBTYPES)


def over_classes(score):
    return np.mean([score(c, LABELS[:, c] > 0) for c in range(CLASSES)])


def test_silhouettes_are_those_in_the_features_of_the_round_before(quality, found, features):
    for number in range(1, ROUNDS + 2):
        for seed in SEEDS:
            seen = np.load(features[number - 1, seed] / FEATURES)["features"]
            clusters = found[number, seed].assignments
            expected = over_classes(lambda c, p, x=seen, a=clusters: silhouette_score(x[p], a[p, c]))
            assert cluster_scores.values(quality, "silhouette", number)[seed] == pytest.approx(expected)


def test_silhouettes_of_each_class_are_means_over_seeds(quality, found, features):
    expected = np.empty((CLASSES, len(SEEDS)))
    for c, seed in np.ndindex(expected.shape):
        present = LABELS[:, c] > 0
        seen = np.load(features[1, seed] / FEATURES)["features"]
        expected[c, seed] = silhouette_score(seen[present], found[2, seed].assignments[present, c])
    column = cluster_scores.by_class({"round 2": quality["silhouette"][2]}, ["a", "b", "c"])["round 2"]
    assert column.tolist()[:CLASSES] == pytest.approx(expected.mean(axis=1))
    overall = column[cluster_scores.ALL_CLASSES]
    assert (overall.mean, overall.n) == (pytest.approx(expected.mean()), len(SEEDS))


def test_agreement_with_the_round_before_and_with_the_truth(quality, found):
    for seed in SEEDS:
        one, two = found[1, seed].assignments, found[2, seed].assignments
        nmi = over_classes(lambda c, p, a=one, b=two: normalized_mutual_info_score(a[p, c], b[p, c]))
        ari = over_classes(lambda c, p, a=one, b=two: adjusted_rand_score(a[p, c], b[p, c]))
        assert cluster_scores.values(quality, cluster_scores.NMI_BEFORE, 2)[seed] == pytest.approx(nmi)
        assert cluster_scores.values(quality, cluster_scores.ARI_BEFORE, 2)[seed] == pytest.approx(ari)
        true = over_classes(lambda c, p, a=two: normalized_mutual_info_score(a[p, c], SUBTYPES[p, c]))
        assert cluster_scores.values(quality, cluster_scores.NMI_TRUE, 2)[seed] == pytest.approx(true)
    for name in (cluster_scores.NMI_TRUE, cluster_scores.ARI_TRUE, cluster_scores.PURITY):
        np.testing.assert_allclose(cluster_scores.values(quality, name, 3), 1)
    assert cluster_scores.values(quality, cluster_scores.NMI_BEFORE, 1) == []


def test_agreement_with_the_first_round_is_that_with_the_round_before_in_round_2(quality, found):
    for name, score in (
        ("NMI", normalized_mutual_info_score),
        ("AMI", adjusted_mutual_info_score),
        ("ARI", adjusted_rand_score),
    ):
        for seed in SEEDS:
            one, three = found[1, seed].assignments, found[3, seed].assignments
            expected = over_classes(lambda c, p, a=one, b=three, f=score: f(a[p, c], b[p, c]))
            assert cluster_scores.values(quality, f"{name}, round 1", 3)[seed] == pytest.approx(expected)
    for first, before in zip(cluster_scores.OF_ROUNDS[4:], cluster_scores.OF_ROUNDS[:4], strict=True):
        assert cluster_scores.values(quality, first, 2) == cluster_scores.values(quality, before, 2)
        assert cluster_scores.values(quality, first, 1) == []


def test_images_with_one_class_are_compared_apart(quality, found):
    alone = LABELS.sum(axis=1) == 1
    for seed in SEEDS:
        clusters = found[2, seed].assignments
        expected = over_classes(
            lambda c, p, a=clusters: normalized_mutual_info_score(a[p & alone, c], SUBTYPES[p & alone, c])
        )
        assert cluster_scores.values(quality, cluster_scores.NMI_ALONE, 2)[seed] == pytest.approx(expected)


def test_other_classes_are_those_of_the_same_image(quality, found):
    for seed in SEEDS:
        clusters = found[1, seed].assignments

        def score(c, present, clusters=clusters):
            company = [str(row) for row in np.delete(LABELS, c, axis=1)[present]]
            return normalized_mutual_info_score(company, clusters[present, c])

        expected = over_classes(score)
        assert cluster_scores.values(quality, cluster_scores.NMI_OTHERS, 1)[seed] == pytest.approx(expected)


def test_random_clusters_are_at_chance_and_the_truth_is_above_it(quality):
    for name in (cluster_scores.NMI_TRUE, cluster_scores.PURITY):
        assert abs(cluster_scores.above_chance(quality, name, 1).mean) < 0.05
        assert statistics.verdict(cluster_scores.above_chance(quality, name, 3)) == "holds"
    assert abs(cluster_scores.overall(quality, cluster_scores.AMI_TRUE, 1).mean) < 0.05
    pair = (cluster_scores.AMI_TRUE, cluster_scores.AMI_OTHERS)
    further = cluster_scores.further(quality, *pair, 3)
    assert statistics.verdict(further) == "holds"
    ours, theirs = (cluster_scores.overall(quality, name, 3).mean for name in pair)
    assert ours == pytest.approx(1) and further.mean == pytest.approx(ours - theirs)


def test_company_is_far_above_chance_where_it_makes_the_clusters(quality, tmp_path):
    assert abs(cluster_scores.above_chance(quality, cluster_scores.NMI_OTHERS, 1).mean) < 0.05
    made = measure_alone(tmp_path, LABELS, cluster_scores.other_classes(LABELS))
    assert cluster_scores.above_chance(made, cluster_scores.NMI_OTHERS, 1).mean > 0.7


def test_images_outside_the_reference_do_not_move_its_chance_level(tmp_path):
    """Clusters that follow company put all images that show one class into the same cluster.

    Among those images they say nothing of the sub-types: neither more than chance nor less.
    """
    labels = random_labels(400, 3, share=0.3)
    alone = (labels > 0) & (labels.sum(axis=1, keepdims=True) == 1)
    company = cluster_scores.other_classes(labels) + 2
    clusters = np.where(alone, np.random.default_rng(1).integers(0, 2, labels.shape), company)
    kinds = np.where(labels > 0, np.random.default_rng(2).integers(0, 4, labels.shape), -1)
    found = measure_alone(tmp_path, labels, np.where(labels > 0, clusters, -1), kinds)
    assert abs(cluster_scores.above_chance(found, cluster_scores.NMI_ALONE, 1).mean) < 0.02


def test_changes_are_paired_by_seed(quality):
    before, after = (cluster_scores.values(quality, cluster_scores.NMI_TRUE, number) for number in (1, 3))
    found = cluster_scores.change(quality, cluster_scores.NMI_TRUE, 1, 3)
    assert found.values == pytest.approx(tuple(np.subtract(after, before)))
    assert found[:5] == pytest.approx(statistics.mean_interval(found.values)[:5])
    text = cluster_scores.in_words(quality, cluster_scores.AMI_TRUE, 1, 3)
    assert (
        text.startswith("NMI, sub-types +")
        and "ARI, sub-types +" in text
        and text.endswith("holds.")
        and "purity, sub-types +" in text
    )
    assert cluster_scores.in_words(quality, cluster_scores.SILHOUETTE, 1, 3) == ""
    assert cluster_scores.change(quality, cluster_scores.NMI_BEFORE, 1, 3) is None


def test_the_same_question_gets_the_same_chance_level(quality, found, features):
    last = {key: found[key] for key in ((2, 2), (1, 2))}
    for name, of_rounds in measure(last, features, LABELS, SUBTYPES).items():
        for number, of_seeds in of_rounds.items():
            np.testing.assert_array_equal(of_seeds, quality[name][number][2:])


def test_table_has_a_line_a_round_and_gaps_where_there_is_no_score(quality):
    frame = cluster_scores.table(quality, [*cluster_scores.OF_ALL_DATA, *cluster_scores.OF_ROUNDS])
    assert list(frame.index) == ["round 1", "round 2", "round 3, not trained"]
    assert frame[cluster_scores.NMI_BEFORE].isna().tolist() == [True, False, False]
    assert frame.loc["round 2", "silhouette"].mean == pytest.approx(
        np.mean(cluster_scores.values(quality, "silhouette", 2))
    )


def test_without_sub_types_the_rest_is_measured(found, features, quality):
    first = {key: each for key, each in found.items() if key[1] == 0}
    rest = measure(first, features, LABELS, None)
    assert not set(cluster_scores.OF_GENERATED) & set(rest)
    assert {*cluster_scores.OF_ALL_DATA, *cluster_scores.OF_ROUNDS} == set(rest)
    assert cluster_scores.above_chance(rest, cluster_scores.NMI_TRUE, 1) is None
    assert cluster_scores.further(rest, cluster_scores.AMI_TRUE, cluster_scores.AMI_OTHERS, 1) is None
    assert list(cluster_scores.followed_table(rest, 1).index) == [cluster_scores.OTHERS]
    names = [[line.name for line in lines] for lines in cluster_charts.quality_lines(rest).values()]
    assert names[2] == ["NMI, other classes", "NMI, other classes, chance", "AMI, other classes"]
    everything = [cluster_scores.OTHERS, cluster_scores.TRUE, cluster_scores.ALONE]
    assert list(cluster_scores.followed_table(quality, 1).index) == everything
    panels = cluster_charts.quality_lines(quality)
    assert len(panels["agreement with what is known"]) == 6
    assert len(charts.against(panels, "labels of round").axes) == 3


def test_a_score_that_no_class_has_is_missing(features):
    """Clusters of single images have no silhouette."""
    single = np.full((N, 1), -1, np.int16)
    single[:3, 0] = range(3)
    rounds = {(1, seed): random_round(LABELS, seed)._replace(assignments=single) for seed in SEEDS}
    quality = measure(rounds, features, LABELS[:, :1], None)
    assert cluster_scores.table(quality, ["silhouette"]).iloc[0, 0] is None
    assert cluster_scores.change(quality, "silhouette", 1, 1) is None
    assert cluster_charts.quality_lines(quality)["silhouette"][0].points == {}


def test_a_class_without_a_score_is_missing_alone():
    scores = [np.array([0.2, np.nan]), np.array([0.4, np.nan])]
    column = cluster_scores.by_class({"score": scores}, ["a", "b"])["score"]
    assert column["a"] == pytest.approx(0.3) and np.isnan(column["b"])
    assert column[cluster_scores.ALL_CLASSES].mean == pytest.approx(0.3)


def test_other_classes_are_equal_where_the_sets_are():
    labels = random_labels(60, 3)
    ids = cluster_scores.other_classes(labels)
    assert ((ids < 0) == (labels == 0)).all()
    for c in range(labels.shape[1]):
        present = np.flatnonzero(labels[:, c])
        for i in present[:12]:
            for j in present:
                same = (np.delete(labels[i], c) == np.delete(labels[j], c)).all()
                assert (ids[i, c] == ids[j, c]) == same
