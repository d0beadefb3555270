"""Rows that the experiments of chapter 3 share."""

import pytest

from companion import settings
from companion.experiments import chapter_3, parameters
from companion.settings import SettingsError

DEMO = settings.load("demo")
PAPER = settings.load("voc2012")


def test_control_rows_differ_from_sc_cam_in_their_labels_alone():
    controls = chapter_3.controls(PAPER, generated=False)
    names = ["random sub-labels", "K = 1, trained", "CAM, schedule of the rounds"]
    assert [row.name for row in controls.values()] == names
    explored = PAPER.override(chapter_3.sc_cam().overrides)
    for row in controls.values():
        differing = parameters.differences(PAPER.override(row.overrides), explored)
        assert list(differing) == ["subcategories.labels"] and row.control and row.printed is None
    assert chapter_3.sc_cam().printed == "Sub-category exploration"


def test_a_row_of_the_schedule_is_there_only_where_the_schedule_differs():
    assert not chapter_3.same_schedule(PAPER) and chapter_3.same_schedule(DEMO)
    assert list(chapter_3.controls(DEMO, generated=True)) == ["random", "parent", "true"]
    assert list(chapter_3.controls(PAPER, generated=False)) == ["random", "parent", "schedule"]


def test_the_control_with_one_sub_category_is_the_same_in_every_experiment():
    assert chapter_3.controls(DEMO, rounds=1, generated=False)["parent"] == chapter_3.trained_parent(1)


def test_not_even_one_round_is_refused():
    with pytest.raises(SettingsError, match="rounds must be at least 1, got 0"):
        chapter_3.sc_cam(0)
