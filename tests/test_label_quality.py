"""Quality of the labels of each round against scikit-learn, class by class, on random features and clusters."""

import numpy as np
import pytest
from cluster_data import random_labels, random_round
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score

from thesislib import charts, label_quality, statistics
from thesislib.stages.subcategories import FEATURES

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
    folders = {}
    for r in range(ROUNDS + 1):
        for seed in SEEDS:
            folders[r, seed] = tmp_path_factory.mktemp("features")
            drawn = np.random.default_rng((r, seed)).random((N, 5), np.float32)
            np.savez(folders[r, seed] / FEATURES, features=drawn)
    return folders


@pytest.fixture(scope="module")
def quality(found, features):
    return label_quality.measure(found, features, LABELS, SUBTYPES)


def over_classes(score):
    return np.mean([score(c, LABELS[:, c] > 0) for c in range(CLASSES)])


def test_silhouettes_are_those_in_the_features_of_the_round_before(quality, found, features):
    for number in range(1, ROUNDS + 2):
        for seed in SEEDS:
            seen = np.load(features[number - 1, seed] / FEATURES)["features"]
            clusters = found[number, seed].assignments
            expected = over_classes(lambda c, p, x=seen, a=clusters: silhouette_score(x[p], a[p, c]))
            assert label_quality.values(quality, "silhouette", number)[seed] == pytest.approx(expected)


def test_agreement_with_the_round_before_and_with_the_truth(quality, found):
    for seed in SEEDS:
        one, two = found[1, seed].assignments, found[2, seed].assignments
        nmi = over_classes(lambda c, p, a=one, b=two: normalized_mutual_info_score(a[p, c], b[p, c]))
        ari = over_classes(lambda c, p, a=one, b=two: adjusted_rand_score(a[p, c], b[p, c]))
        assert label_quality.values(quality, label_quality.NMI_BEFORE, 2)[seed] == pytest.approx(nmi)
        assert label_quality.values(quality, label_quality.ARI_BEFORE, 2)[seed] == pytest.approx(ari)
        true = over_classes(lambda c, p, a=two: normalized_mutual_info_score(a[p, c], SUBTYPES[p, c]))
        assert label_quality.values(quality, label_quality.NMI_TRUE, 2)[seed] == pytest.approx(true)
    for name in (label_quality.NMI_TRUE, label_quality.ARI_TRUE, label_quality.PURITY):
        np.testing.assert_allclose(label_quality.values(quality, name, 3), 1)
    assert label_quality.values(quality, label_quality.NMI_BEFORE, 1) == []


def test_other_classes_are_those_of_the_same_image(quality, found):
    for seed in SEEDS:
        clusters = found[1, seed].assignments

        def score(c, present, clusters=clusters):
            company = [str(row) for row in np.delete(LABELS, c, axis=1)[present]]
            return normalized_mutual_info_score(company, clusters[present, c])

        expected = over_classes(score)
        assert label_quality.values(quality, label_quality.NMI_OTHERS, 1)[seed] == pytest.approx(expected)


def test_random_clusters_are_at_chance_and_the_truth_is_above_it(quality):
    for name in (label_quality.NMI_TRUE, label_quality.PURITY):
        assert abs(label_quality.above_chance(quality, name, 1).mean) < 0.05
        assert statistics.verdict(label_quality.above_chance(quality, name, 3)) == "holds"
    assert statistics.verdict(label_quality.above_others(quality, 3)) == "holds"


def test_changes_are_paired_by_seed(quality):
    before, after = (label_quality.values(quality, label_quality.NMI_TRUE, number) for number in (1, 3))
    found = label_quality.change(quality, label_quality.NMI_TRUE, 1, 3)
    assert found == pytest.approx(statistics.mean_interval(np.subtract(after, before)))
    text = label_quality.in_words(quality, label_quality.NMI_TRUE, 1, 3)
    assert text.startswith("ARI, sub-types +") and text.endswith("holds.") and "purity, sub-types +" in text
    assert label_quality.in_words(quality, label_quality.SILHOUETTE, 1, 3) == ""
    assert label_quality.change(quality, label_quality.NMI_BEFORE, 1, 3) is None


def test_the_same_question_gets_the_same_chance_level(quality, found, features):
    last = {key: found[key] for key in ((2, 2), (1, 2))}
    for name, of_rounds in label_quality.measure(last, features, LABELS, SUBTYPES).items():
        for number, of_seeds in of_rounds.items():
            np.testing.assert_array_equal(of_seeds, quality[name][number][2:])


def test_table_has_a_line_a_round_and_gaps_where_there_is_no_score(quality):
    frame = label_quality.table(quality, label_quality.OF_ALL_DATA)
    assert list(frame.index) == ["round 1", "round 2", "round 3, not trained"]
    assert frame[label_quality.NMI_BEFORE].isna().tolist() == [True, False, False]
    assert frame.loc["round 2", "silhouette"].mean == pytest.approx(
        np.mean(label_quality.values(quality, "silhouette", 2))
    )


def test_without_sub_types_the_rest_is_measured(found, features, quality):
    first = {key: each for key, each in found.items() if key[1] == 0}
    rest = label_quality.measure(first, features, LABELS, None)
    assert not set(label_quality.OF_GENERATED) & set(rest)
    assert set(label_quality.OF_ALL_DATA) == set(rest)
    assert label_quality.above_others(rest, 1) is None and label_quality.above_chance(rest, "NMI, sub-types", 1) is None
    names = [[line.name for line in lines] for lines in label_quality.lines(rest).values()]
    assert names[2] == ["NMI, other classes", "NMI, other classes, chance"]
    panels = label_quality.lines(quality)
    assert len(panels["agreement with what is known"]) == 4
    assert len(charts.against(panels, "labels of round").axes) == 3


def test_a_score_that_no_class_has_is_missing(features):
    """Clusters of single images have no silhouette."""
    single = np.full((N, 1), -1, np.int16)
    single[:3, 0] = range(3)
    rounds = {(1, seed): random_round(LABELS, seed)._replace(assignments=single) for seed in SEEDS}
    quality = label_quality.measure(rounds, features, LABELS[:, :1], None)
    assert label_quality.table(quality, ["silhouette"]).iloc[0, 0] is None
    assert label_quality.change(quality, "silhouette", 1, 1) is None
    assert label_quality.lines(quality)["silhouette"][0].points == {}
