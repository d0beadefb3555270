"""Cluster quality against loops written from the definitions, and the rule of movement on cases made by hand."""

from itertools import permutations
from math import comb, log

import numpy as np
import pytest
from cluster_data import random_labels, random_round
from sklearn.metrics import normalized_mutual_info_score

from companion.analysis.cluster_quality import (
    ami,
    ari,
    chance_level,
    cluster_movement,
    largest_share,
    match,
    mean_over_classes,
    movement,
    nmi,
    overlaps,
    purity,
    silhouettes,
)

K = 4


def clusters(seed, images=30, classes=3, k=K):
    """Random clusters; an image lacks a class in one of four cases."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random((images, classes)) < 0.25, -1, rng.integers(0, k, (images, classes)))


def column(*values):
    """Clusters of a single class."""
    return np.array(values)[:, None]


def shared(a, b):
    """The pairs of clusters of the images that are in both, class by class."""
    for c in range(a.shape[1]):
        yield [(int(i), int(j)) for i, j in zip(a[:, c], b[:, c], strict=True) if i >= 0 and j >= 0]


# --- Scores -----------------------------------------------------------------------------------------------------------


def silhouette_of(points, members):
    """Rousseeuw (1987): mean of (b - a) / max(a, b); 0 for an image alone in its cluster."""
    values = []
    for i, own in enumerate(members):
        distances = {}
        for m, other in enumerate(members):
            if m != i:
                distances.setdefault(other, []).append(np.linalg.norm(points[i] - points[m]))
        means = {j: np.mean(of_cluster) for j, of_cluster in distances.items()}
        a, b = means.pop(own, None), min(means.values())
        values.append(0.0 if a is None else (b - a) / max(a, b))
    return np.mean(values)


def test_silhouettes_agree_with_their_definition():
    features, assignments = np.random.default_rng(0).normal(size=(30, 5)), clusters(1)
    assignments[assignments == 3] = -1
    assignments[0] = 3  # an image alone
    for c, value in enumerate(silhouettes(features, assignments)):
        present = assignments[:, c] >= 0
        assert value == pytest.approx(silhouette_of(features[present], assignments[present, c].tolist()))


def test_silhouettes_are_undefined_for_one_cluster_single_images_and_absent_classes():
    features = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
    assignments = np.array([[0, 0, -1, 0], [0, 1, -1, 0], [0, 2, -1, 1], [0, -1, -1, 1]])
    assert np.isnan(silhouettes(features, assignments)).tolist() == [True, True, True, False]


def entropy(items):
    return -sum(items.count(x) / len(items) * log(items.count(x) / len(items)) for x in set(items))


def test_nmi_agrees_with_its_definition():
    a, b = clusters(2), clusters(3)
    for value, pairs in zip(nmi(a, b), shared(a, b), strict=True):
        of_a, of_b = entropy([i for i, _ in pairs]), entropy([j for _, j in pairs])
        assert value == pytest.approx((of_a + of_b - entropy(pairs)) / ((of_a + of_b) / 2))


@pytest.mark.parametrize(("k", "seed"), [(1, 0), (2, 1), (5, 2), (30, 3)])
def test_nmi_of_all_classes_at_once_is_that_of_scikit_learn(k, seed):
    labels = random_labels(12, 4, seed, share=0.2)
    labels[:, 2] = 0
    labels[0, 2] = 1  # a class with one image has none
    a, b = random_round(labels, seed, k=k).assignments, random_round(labels, seed + 1, k=2).assignments
    for one, other in ((a, b), (a, a)):
        expected = [
            normalized_mutual_info_score(one[present, c], other[present, c]) if present.sum() > 1 else np.nan
            for c, present in enumerate(labels.T > 0)
        ]
        np.testing.assert_allclose(nmi(one, other), expected, atol=1e-12)


def test_ari_agrees_with_a_count_of_pairs_of_images():
    a, b = clusters(4), clusters(5)
    for value, pairs in zip(ari(a, b), shared(a, b), strict=True):
        together_a = sum(p[0] == q[0] for n, p in enumerate(pairs) for q in pairs[:n])
        together_b = sum(p[1] == q[1] for n, p in enumerate(pairs) for q in pairs[:n])
        together = sum(p == q for n, p in enumerate(pairs) for q in pairs[:n])
        expected = together_a * together_b / comb(len(pairs), 2)
        assert value == pytest.approx((together - expected) / ((together_a + together_b) / 2 - expected))


def test_ami_of_unrelated_groups_is_zero_on_average_however_many_there_are():
    labels = np.ones((60, 1), np.uint8)
    dealt = [[random_round(labels, seed + add, k=k).assignments for add, k in ((0, 4), (99, 20))] for seed in range(40)]
    assert abs(np.mean([ami(a, b) for a, b in dealt])) < 0.02 < np.mean([nmi(a, b) for a, b in dealt])


def test_agreement_does_not_depend_on_the_numbering():
    a = clusters(6)
    renamed = np.where(a < 0, -1, np.array([2, 0, 3, 1])[a])
    for agreement in (nmi, ami, ari):
        assert agreement(a, renamed) == pytest.approx(1)
    assert purity(a, renamed) == pytest.approx(1)


def test_purity_agrees_with_a_count():
    a, truth = clusters(7), clusters(8, k=6)
    for value, pairs in zip(purity(a, truth), shared(a, truth), strict=True):
        kinds = [[j for i, j in pairs if i == cluster] for cluster in range(K)]
        assert value == pytest.approx(sum(max(map(kind.count, kind)) for kind in kinds if kind) / len(pairs))


def test_classes_without_shared_images_are_undefined_and_left_out_of_the_mean():
    a, b = np.array([[0, 0], [1, -1], [1, 1]]), np.array([[1, -1], [0, 0], [0, -1]])
    assert np.isnan(nmi(a, b)).tolist() == np.isnan(purity(a, b)).tolist() == [False, True]
    assert mean_over_classes(ari(a, b)) == 1
    assert np.isnan(mean_over_classes(np.array([np.nan])))
    assert np.isnan(purity(np.full((3, 2), -1), b)).all()


# --- Matching ---------------------------------------------------------------------------------------------------------


def test_overlaps_agree_with_a_count():
    a, b = clusters(9), clusters(10, k=6)
    for counts, pairs in zip(overlaps(a, b, K, 6), shared(a, b), strict=True):
        assert counts.tolist() == [[pairs.count((i, j)) for j in range(6)] for i in range(K)]


def test_match_has_the_most_images_in_common_of_all_one_to_one_choices():
    a, b = clusters(11), clusters(12)
    for chosen, counts in zip(match(a, b, K), overlaps(a, b, K, K), strict=True):
        common = [sum(counts[i, j] for i, j in enumerate(order)) for order in permutations(range(K))]
        assert sorted(chosen) == list(range(K))
        assert sum(counts[i, j] for i, j in enumerate(chosen)) == max(common)


def test_clusterings_of_other_images_are_refused():
    a, b = clusters(0), clusters(0, images=29)
    for call in (nmi, ami, ari, purity, lambda *pair: match(*pair, K), lambda *pair: cluster_movement(*pair, K)):
        with pytest.raises(ValueError, match=r"got shapes \(30, 3\) and \(29, 3\)"):
            call(a, b)
    with pytest.raises(ValueError, match="with K = 3 clusters must be -1 to 2, got -1 to 3"):
        match(a, a, 3)


# --- Movement ---------------------------------------------------------------------------------------------------------


def test_sets_are_gathered_kept_or_scattered_by_what_one_cluster_holds():
    kinds = column(0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3)
    earlier = column(0, 1, 2, 0, 0, 1, 1, 1, 2, 2, 0)
    later = column(0, 0, 1, 1, 1, 1, 0, 1, 2, 0, 1)
    moved = movement(kinds, earlier, later, number=5)
    assert moved.gathered.tolist() == [[True, False, False, False, False]]
    assert moved.kept.tolist() == [[False, True, False, False, False]]
    assert moved.scattered.tolist() == [[False, False, True, False, False]]
    assert moved.counts().tolist() == [[1], [1], [1]]


def test_exactly_half_is_apart():
    sets = column(0, 0, 0, 0)
    assert largest_share(sets, column(0, 0, 1, 2), 1).tolist() == [[0.5]]
    assert movement(sets, column(0, 0, 1, 2), column(0, 0, 0, 1), 1).gathered.all()


def test_clusters_that_only_change_their_number_are_kept():
    earlier = clusters(13)
    later = np.where(earlier < 0, -1, np.array([1, 2, 3, 0])[earlier])
    moved = cluster_movement(earlier, later, K)
    assert moved.kept.all() and not moved.gathered.any() and not moved.scattered.any()


def test_cluster_movement_agrees_with_its_rule_cluster_by_cluster():
    earlier = clusters(14, images=200)
    later = np.where(np.random.default_rng(15).random(earlier.shape) < 0.3, earlier, clusters(16, images=200))
    later[earlier < 0] = -1
    moved, partners = cluster_movement(earlier, later, K), match(earlier, later, K)
    for c, pairs in enumerate(shared(earlier, later)):
        for j in range(K):
            came_from = [i for i, target in pairs if target == j]
            went_to = [target for i, target in pairs if i == j]
            partner = partners[c].tolist().index(j)
            assert moved.gathered[c, j] == all(came_from.count(i) <= len(came_from) / 2 for i in range(K))
            assert moved.kept[c, j] == (came_from.count(partner) > len(came_from) / 2)
            assert moved.scattered[c, j] == all(went_to.count(i) <= len(went_to) / 2 for i in range(K))
    assert moved.kept.any() and not moved.kept.all()


def test_a_part_that_splits_off_is_neither_gathered_nor_kept():
    moved = cluster_movement(column(0, 0, 0, 0, 0), column(0, 0, 0, 1, 1), 3)
    assert moved.kept.tolist() == [[True, False, False]]
    assert not moved.gathered.any() and not moved.scattered.any()


def test_unrelated_clusters_gather_nearly_all_and_keep_nearly_none():
    earlier, later = clusters(17, images=400), clusters(18, images=400)
    gathered, kept, scattered = chance_level(
        lambda shuffled: cluster_movement(earlier, shuffled, K).counts(), later, np.random.default_rng(0)
    )
    assert (gathered > 0.95 * K).all() and (scattered > 0.95 * K).all() and (kept < 0.05 * K).all()


def test_true_kinds_gathered_by_the_later_round_are_far_above_chance():
    kinds = np.random.default_rng(0).integers(0, K, (400, 2))
    earlier, rng = clusters(19, images=400, classes=2), np.random.default_rng(1)
    found = movement(kinds, earlier, kinds, K).counts()
    chance = chance_level(lambda later: movement(kinds, earlier, later, K).counts(), kinds, rng)
    assert (found[0] == K).all() and (chance[0] < 0.05 * K).all()


def test_chance_level_is_the_expected_score_over_all_ways_to_deal_out():
    truth = column(0, 0, 1, 1)
    every = [purity(column(*order), truth)[0] for order in permutations([0, 0, 1, 1])]
    drawn = chance_level(lambda shuffled: purity(shuffled, truth), truth, np.random.default_rng(0), repeats=2000)
    assert drawn == pytest.approx(np.mean(every), abs=0.02)
