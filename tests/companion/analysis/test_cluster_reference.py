"""Sizes and grounds that clusters might follow, against clusters that follow them by construction."""

import numpy as np
import pytest
from cluster_data import random_labels, random_round

from companion.analysis import cluster_reference as reference

LABELS = random_labels(120, 3)


def areas():
    rng = np.random.default_rng(0)
    return [np.where((LABELS[:, c] > 0) & (rng.random(120) < 0.8), rng.random(120), np.nan) for c in range(3)]


def test_thirds_are_equal_and_in_order_of_area():
    for c, of_class in enumerate(areas()):
        third = reference.sizes(areas())[:, c]
        assert ((third < 0) == np.isnan(of_class)).all()
        counts = np.bincount(third[third >= 0], minlength=3)
        assert counts.max() - counts.min() <= 1
        bounds = [(of_class[third == t].min(), of_class[third == t].max()) for t in range(3)]
        assert bounds[0][1] < bounds[1][0] and bounds[1][1] < bounds[2][0]


def test_clusters_made_of_a_reference_agree_with_it_and_others_do_not():
    grounds = reference.of_images(np.random.default_rng(3).integers(0, 4, 120), LABELS)
    assert ((grounds < 0) == (LABELS == 0)).all()
    known = {reference.SIZE: reference.sizes(areas()), reference.CONTEXT: grounds}
    made = [reference.of_images(7 - grounds.max(axis=1), LABELS)] * 2
    dealt = [random_round(LABELS, seed).assignments for seed in range(2)]
    of_made, of_dealt = (reference.agreement(clusters, known) for clusters in (made, dealt))
    assert of_made[reference.CONTEXT] == pytest.approx([1, 1]) and max(of_made[reference.SIZE]) < 0.15
    assert max(abs(value) for values in of_dealt.values() for value in values) < 0.15
    frame = reference.table(of_dealt, of_made, ["round 1", "round 3"])
    assert frame.loc[reference.CONTEXT, "round 3"].mean == pytest.approx(1) and [*frame] == ["round 1", "round 3"]
