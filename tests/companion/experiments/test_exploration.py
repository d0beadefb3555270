"""Rows of segmentation in chapter 3: what they share with chapter 2, and what is refused."""

import pytest

from companion import settings
from companion.analysis.methods import MIXUP_CAM
from companion.experiments import exploration
from companion.experiments import row_stages as experiments
from companion.experiments.rows import from_coco, without_crf
from companion.settings import SettingsError

PAPER = settings.load("voc2012")


def test_rows_of_segmentation_are_those_of_chapter_2_with_another_method():
    ours, theirs = exploration.segmentation_rows(PAPER), experiments.segmentation_rows(PAPER)
    assert [row.name for row in ours] == ["CAM", "SC-CAM", "SC-CAM, masks without CRF"]
    for row, other in zip(ours, theirs, strict=True):
        assert row.name == other.name.replace(MIXUP_CAM.name, "SC-CAM") and row.control == other.control
    explored = exploration.sc_cam(2)
    rows = exploration.segmentation_rows(PAPER, {"mine": {}}, rounds=2, coco_weights="coco.pth")
    assert [row.name for row in rows[2:]] == [without_crf(explored), from_coco(explored), "mine"]
    assert all(row.overrides["subcategories.round"] == 2 for row in rows[1:4])


def test_what_the_rows_differ_in_cannot_be_set_beside_them():
    with pytest.raises(SettingsError, match=r"subcategories\.round is what the rows .* differ in"):
        exploration.segmentation_rows(settings.load("demo", {"subcategories.round": 2}))
