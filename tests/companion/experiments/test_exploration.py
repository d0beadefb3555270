"""Rows of chapter 3: what they share with each other, with chapter 2, and what is refused."""

import pytest

from companion import settings
from companion.analysis.methods import MIXUP_CAM, PLAIN_CAM
from companion.experiments import exploration, parameters
from companion.experiments import row_stages as experiments
from companion.experiments.rows import from_coco, without_crf
from companion.settings import Machine, SettingsError

DEMO = settings.load("demo")
PAPER = settings.load("voc2012")
HERE = Machine(device="cpu")


def keys(rows, chosen=DEMO, seeds=(0,)):
    stages = experiments.response_map_stages(chosen, rows, seeds, HERE)
    return {name: stage.key for (name, _), stage in stages.items()}


def test_plain_cam_is_that_of_chapter_2_and_round_0():
    rows = exploration.table_3_1(DEMO, generated=True)
    found = keys(rows)
    assert found["CAM"] == keys([PLAIN_CAM])["CAM"] == keys(exploration.table_3_2(DEMO))["CAM"]
    assert found["SC-CAM"] == keys(exploration.table_3_2(DEMO))["round 3"]
    assert len(set(found.values())) == len(rows)


def test_control_rows_differ_from_sc_cam_in_their_labels_alone():
    plain, explored, *controls = exploration.table_3_1(PAPER, generated=False)
    assert [row.name for row in controls] == ["random sub-labels", "K = 1, trained", "CAM, schedule of the rounds"]
    for row in controls:
        differing = parameters.differences(PAPER.override(row.overrides), PAPER.override(explored.overrides))
        assert list(differing) == ["subcategories.labels"] and row.control and row.printed is None
    assert (plain.printed, explored.printed) == ("AffinityNet", "Sub-category exploration")


def test_a_row_of_the_schedule_is_there_only_where_the_schedule_differs():
    assert not exploration.same_schedule(PAPER) and exploration.same_schedule(DEMO)
    names = [row.name for row in exploration.table_3_1(DEMO, generated=True)]
    assert names == ["CAM", "SC-CAM", "random sub-labels", "K = 1, trained", "true sub-types"]


def test_every_control_and_every_row_of_the_user_gets_one_claim():
    rows = exploration.table_3_1(PAPER, {"one round": {"subcategories.round": 1}}, generated=False)
    first, *asked = exploration.claims_of_table_3_1(rows)
    assert (first.row.name, first.reference.name, first.control) == ("SC-CAM", "CAM", False)
    pairs = [(claim.row.name, claim.reference.name) for claim in asked]
    assert pairs == [*(("SC-CAM", row.name) for row in rows[2:-1]), ("one round", "SC-CAM")]
    assert all(claim.control for claim in asked)


def test_merged_maps_are_of_the_same_classifier():
    merged, explored = (
        experiments.response_map_stages(DEMO, [row], [0], HERE)[row.name, 0]
        for row in (exploration.merged(), exploration.sc_cam())
    )
    assert merged.inputs["classifier"].key == explored.inputs["classifier"].key and merged.key != explored.key


def test_rows_of_segmentation_are_those_of_chapter_2_with_another_method():
    ours, theirs = exploration.segmentation_rows(PAPER), experiments.segmentation_rows(PAPER)
    assert [row.name for row in ours] == ["CAM", "SC-CAM", "SC-CAM, masks without CRF"]
    for row, other in zip(ours, theirs, strict=True):
        assert row.name == other.name.replace(MIXUP_CAM.name, "SC-CAM") and row.control == other.control
    explored = exploration.sc_cam(2)
    rows = exploration.segmentation_rows(PAPER, {"mine": {}}, rounds=2, coco_weights="coco.pth")
    assert [row.name for row in rows[2:]] == [without_crf(explored), from_coco(explored), "mine"]
    assert all(row.overrides["subcategories.round"] == 2 for row in rows[1:4])


@pytest.mark.parametrize("name", ["SC-CAM", "SC-CAM, merged maps", "random sub-labels"])
def test_taken_names_are_refused(name):
    with pytest.raises(SettingsError, match="is taken by a row"):
        exploration.table_3_1(DEMO, {name: {}}, generated=True)


def test_what_the_rows_differ_in_cannot_be_set_beside_them():
    with pytest.raises(SettingsError, match=r"subcategories\.round is what the rows .* differ in"):
        exploration.segmentation_rows(settings.load("demo", {"subcategories.round": 2}))
    with pytest.raises(SettingsError, match="rounds must be at least 1, got 0"):
        exploration.table_3_1(DEMO, rounds=0, generated=True)


def test_a_given_classifier_can_be_round_0():
    given = settings.load("voc2012", {"classifier.weights": "res38_cls.pth"})
    assert exploration.table_3_1(given, generated=False) == exploration.table_3_1(PAPER, generated=False)
