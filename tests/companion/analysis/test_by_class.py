"""Differences by class against scores of the counts without that class, and the remarks that follow from them."""

import numpy as np
import pytest

from companion.analysis import by_class, families
from companion.analysis.by_class import Pair
from companion.analysis.claims import judged
from companion.analysis.statistics import mean_interval
from thesislib import metrics

CLASSES = ("heron", "fox", "snail")


def counts(*right):
    """Confusion of four classes of 100 pixels, each with so many right and the others called the next class."""
    found = np.zeros((4, 4), np.int64)
    for c, each in enumerate(right):
        found[c, c], found[c, (c + 1) % 4] = each, 100 - each
    return found


OURS = np.stack([counts(85, 95, 30, 50 + seed) for seed in range(3)])
THEIRS = np.stack([counts(90, 35, 50, 50) for _ in range(3)])
ONE_CLASS = Pair(OURS, THEIRS)


def test_differences_are_those_of_iou_and_their_mean_is_that_of_miou():
    found = by_class.differences(ONE_CLASS)
    assert found == pytest.approx(100 * (metrics.class_iou(OURS) - metrics.class_iou(THEIRS)))
    assert found.mean(axis=1) == pytest.approx(100 * (metrics.mean_iou(OURS) - metrics.mean_iou(THEIRS)))


def test_a_class_that_the_truth_lacks_takes_no_part():
    absent = Pair(*(each.copy() for each in ONE_CLASS))
    for each in absent:
        each[:, 2] = 0
    assert np.isnan(by_class.differences(absent)[:, 2]).all()
    assert list(by_class.without_each(absent)) == [0, 1, 3]
    assert "fox" not in by_class.table({"a > b": absent}, CLASSES).columns


def test_without_a_class_the_others_are_averaged():
    left = by_class.without_each(ONE_CLASS)
    found = by_class.differences(ONE_CLASS)
    for c in range(4):
        expected = [np.mean([of_seed[other] for other in range(4) if other != c]) for of_seed in found]
        assert left[c] == mean_interval(expected)


def test_table_names_the_classes_at_both_ends():
    line = by_class.table({"a > b": ONE_CLASS}, CLASSES).loc["a > b"]
    found = by_class.differences(ONE_CLASS)
    assert line["mIoU"].mean == pytest.approx(found.mean())
    assert line["heron"] == pytest.approx(found[:, 1].mean())
    assert line[by_class.LEAST].endswith("(heron)") and line[by_class.MOST].startswith("+15.")


def test_a_verdict_that_rests_on_one_class_says_so():
    steady = judged("", mean_interval([9.0, 9.1, 9.2]), "Thesis +2.1.")
    found = by_class.remarked(steady, ONE_CLASS, CLASSES)
    assert found.verdict == "holds" and found.note.startswith("Thesis +2.1. Rests on class heron: ")
    assert found.note.count("Rests on") == 1 and "Recall" not in found.note
    open_ = judged("", mean_interval([9.0, -9.1, 9.2]))
    assert by_class.remarked(open_, ONE_CLASS, CLASSES) == open_ and by_class.remarked(steady, None, CLASSES) == steady


def test_a_gain_whose_recall_falls_says_so():
    shrunk = np.stack([counts(100, 60, 60, 60 + seed) for seed in range(3)])
    wide = shrunk.copy()
    wide[:, 0, 0], wide[:, 0, 1] = 10, 0
    wide[:, 0, 2], wide[:, 0, 3] = 45, 45
    wide[:, 1:] = 0
    for c in (1, 2, 3):
        wide[:, c, c] = 100
    held = judged("", mean_interval([5.0, 5.1, 5.2]))
    change = by_class.recall_change(Pair(shrunk, wide))
    assert change == pytest.approx(100 * np.mean(metrics.class_recall(shrunk) - metrics.class_recall(wide)))
    assert change < 0
    assert f"Recall falls by {-change:.1f} points" in by_class.remarked(held, Pair(shrunk, wide), CLASSES).note


def test_a_family_is_decided_by_p_after_holm():
    clear, close = (judged(name, mean_interval(v)) for name, v in (("a", [5.0, 5.1, 5.2]), ("b", [1.0, 2.0, 1.5])))
    none = judged("c", None)
    assert [each.verdict for each in (clear, close, none)] == ["holds", "holds", "undecided"]
    found = families.corrected([close, none, clear, judged("d", mean_interval([1.0, -2.0, 0.5]))])
    assert [each.verdict for each in found] == ["undecided", "undecided", "holds", "undecided"]
    assert found[2].adjusted == pytest.approx(3 * clear.p) and found[0].adjusted == pytest.approx(2 * close.p)
    assert found[1] == none
    parts = families.together({"x": [(close, None)], "y": [(clear, ONE_CLASS)]}, CLASSES)
    assert parts["x"][0].adjusted == close.p and "Rests on class heron" in parts["y"][0].note


def test_classes_improve_in_a_seed_in_the_mean_or_with_the_whole_interval():
    plain = [counts(90, 50, 50, 50)] * 3
    ours = [counts(90, 60, seed, 40 + 6 * seed) for seed in range(3)]  # all on the same side of every error
    both = Pair(np.stack(ours), np.stack(plain))
    line = by_class.improved_table({"after": both}, CLASSES).loc["after"]
    found = by_class.differences(both)[:, 1:]
    assert by_class.improved(both) == tuple((found > 0).sum(axis=1))
    assert line["each seed"] == mean_interval((found > 0).sum(axis=1).tolist())
    assert line["mean of seeds"] == (found.mean(axis=0) > 0).sum() and line["of"] == 3
    intervals = [mean_interval(each) for each in found.T]
    assert line["whole interval"] == sum(each.low > 0 for each in intervals)
    assert line["whole interval below"] == sum(each.high < 0 for each in intervals) > 0
