"""Movement between rounds: constructed cases, and marks that agree with the counts."""

import numpy as np
import pytest
from cluster_data import random_labels, random_round

from companion.analysis import cluster_moves
from companion.analysis.cluster_moves import SCATTERED, TOGETHER
from companion.analysis.cluster_tables import Round


def of_one_class(*clusters, k=3):
    return Round(np.array(clusters)[:, None], np.zeros((len(clusters), 1)), k)


# Sub-type 0 comes together, 1 is scattered, 2 stays.
KINDS = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])[:, None]
EARLIER = of_one_class(0, 1, 2, 0, 0, 0, 2, 2, 2)
LATER = of_one_class(1, 1, 1, 0, 1, 2, 2, 2, 2)


def test_subtypes_move_together_stay_and_scatter():
    assert cluster_moves.moved(EARLIER, LATER, KINDS).counts()[:, 0].tolist() == [1, 1, 1]
    table = cluster_moves.movement_table({(1, 0): EARLIER, (3, 0): LATER}, 1, 3, KINDS, ["fox"])
    assert [table.loc["fox", name] for name in cluster_moves.MOVES] == [1, 1, 1]


def test_images_are_marked_by_their_subtype_in_both_rounds():
    expected = [TOGETHER] * 3 + [SCATTERED] * 3 + [0] * 3
    for marks in cluster_moves.marks(EARLIER, LATER, KINDS):
        assert marks[:, 0].tolist() == expected


def test_without_subtypes_images_are_marked_by_their_cluster():
    earlier, later = of_one_class(0, 0, 1, 1, 2, 2), of_one_class(0, 1, 0, 1, 2, 2)
    before, after = cluster_moves.marks(earlier, later, None)
    assert before[:, 0].tolist() == [SCATTERED] * 4 + [0, 0]
    assert after[:, 0].tolist() == [TOGETHER] * 4 + [0, 0]


@pytest.mark.parametrize("known", [True, False])
def test_marks_are_where_a_set_moved_and_nowhere_else(known):
    labels = random_labels(80, 3)
    earlier, later = random_round(labels, 1, k=4), random_round(labels, 2, k=4)
    kinds = random_round(labels, 3, k=8).assignments if known else None
    found = cluster_moves.moved(earlier, later, kinds)
    before, after = cluster_moves.marks(earlier, later, kinds)
    assert not before[labels == 0].any() and not after[labels == 0].any()
    sets = kinds if known else later.assignments
    for c in range(3):
        marked = {int(each) for each in sets[after[:, c] == TOGETHER, c]}
        assert marked == {s for s in np.flatnonzero(found.gathered[c]) if (sets[:, c] == s).any()}


def test_the_same_clusters_are_kept_and_random_ones_are_not():
    labels = random_labels(200, 3)
    rounds = {(number, seed): random_round(labels, seed, k=4) for number in (1, 3) for seed in range(3)}
    assert cluster_moves.net(rounds, 1, 3, None, "kept").mean > 3
    assert cluster_moves.net(rounds, 1, 3, None, "scattered").mean < -3
    assert cluster_moves.surplus(rounds, 1, 3, None).mean == 0
    unrelated = rounds | {(3, seed): random_round(labels, 50 + seed, k=4) for seed in range(3)}
    assert abs(cluster_moves.net(unrelated, 1, 3, None, "kept").mean) < 0.5


def test_surplus_is_moved_together_minus_scattered():
    kinds = np.array([0, 0, 0, 1, 1, 1])[:, None]
    apart, together = of_one_class(0, 1, 2, 0, 1, 2), of_one_class(0, 0, 0, 1, 1, 1)
    assert cluster_moves.surplus({(1, 0): apart, (3, 0): together}, 1, 3, kinds).mean == 2
    assert cluster_moves.surplus({(1, 0): together, (3, 0): apart}, 1, 3, kinds).mean == -2


def test_words_name_counts_and_chance():
    said = cluster_moves.in_words({(1, 0): EARLIER, (3, 0): LATER}, 1, 3, KINDS, 0, 0)
    assert said.startswith("Of the true sub-types of this class 1 moved together (by chance ")
    assert said.count("by chance") == 3 and "1 kept" in said and "1 scattered" in said
    assert "Of the clusters" in cluster_moves.in_words({(1, 0): EARLIER, (3, 0): LATER}, 1, 3, None, 0, 0)
