"""Table 3.1: its rows and claims, and that a row more beside them changes nothing of theirs."""

from functools import cached_property

import made_results
import pandas as pd
import printed_numbers
import pytest
from exhibit_list import flat

from companion import settings
from companion.analysis.claims import Row, printed_difference
from companion.analysis.methods import PLAIN_CAM
from companion.experiments import printed, row_stages
from companion.experiments.exhibits import Figure, Note, Table
from companion.experiments.printed_differences import all_printed
from companion.experiments.table_3_1 import Table31
from companion.settings import Machine, SettingsError

DEMO = settings.load("demo")
PAPER = settings.load("voc2012")
HERE = Machine(device="cpu")
QUESTIONS = (
    "what_differs", "table", "every_threshold", "refined_columns", "verdicts", "control_verdicts", "claims_tables",
    "chance_tables", "coverage", "mechanism_verdicts", "completeness", "classifiers",
    "one_class_each", "many", "idea", "method",
)  # fmt: skip


def asked(chosen=DEMO, kind=Table31, **more):
    own = {"extra_rows": {}, "only_rows": (), "step_2": True, "walked_rows": ()}
    own |= {"data_seed": 0, "images_shown": 4, "rounds": 3}
    return kind(settings=chosen, **{"seeds": (0,), "machine": HERE} | own | more)


def keys(rows, chosen=DEMO):
    return {name: stage.key for (name, _), stage in row_stages.response_map_stages(chosen, rows, (0,), HERE).items()}


def test_plain_cam_is_that_of_chapter_2_and_sc_cam_the_last_round():
    experiment = asked()
    found = keys(experiment.rows.values())
    assert found["CAM"] == keys([PLAIN_CAM])["CAM"]
    assert found["SC-CAM"] == keys([Row("SC-CAM", {"subcategories.round": 3})])["SC-CAM"]
    assert len(set(found.values())) == len(experiment.rows)


def test_the_two_rows_of_the_table_answer_printed_ones():
    rows = asked(PAPER, machine=Machine(device="cpu", data_root="voc")).rows
    assert list(rows) == ["cam", "sc_cam", "random", "parent", "schedule"]
    printed_names = [row.printed for row in rows.values()]
    assert printed_names == ["AffinityNet", "Sub-category exploration", None, None, None]
    assert list(asked().rows) == ["cam", "sc_cam", "random", "parent", "true"]


def test_every_control_and_every_row_of_the_user_gets_one_claim():
    experiment = asked(PAPER, extra_rows={"one round": {"subcategories.round": 1}, "cam": {}})
    first, *others = experiment.claims
    assert (first.row.name, first.reference.name, first.control) == ("SC-CAM", "CAM", False)
    pairs = [(claim.row.name, claim.reference.name) for claim in others]
    controls = [experiment.rows[key].name for key in ("random", "parent", "schedule")]
    own = ["one round", "cam", "SC-CAM, merged maps"]
    assert pairs == [*(("SC-CAM", name) for name in controls), *((name, "SC-CAM") for name in own)]
    assert all(claim.control for claim in others)


def test_merged_maps_are_of_the_same_classifier():
    experiment = asked()
    merged, explored = (
        experiment.maps[row.name, 0].inputs["classifier"].key for row in (experiment.merged, experiment.rows["sc_cam"])
    )
    assert merged == explored
    assert experiment.maps[experiment.merged.name, 0].key != experiment.maps["SC-CAM", 0].key


@pytest.mark.parametrize("name", ["SC-CAM", "SC-CAM, merged maps", "random sub-labels"])
def test_taken_names_are_refused(name):
    with pytest.raises(SettingsError, match="is taken by a row"):
        asked(extra_rows={name: {}}).stages()


def test_what_the_rows_differ_in_cannot_be_set_beside_them():
    with pytest.raises(SettingsError, match=r"subcategories\.round is what the rows .* differ in"):
        asked(settings.load("demo", {"subcategories.round": 2})).stages()
    with pytest.raises(SettingsError, match="rounds must be at least 1, got 0"):
        asked(rounds=0).stages()


def test_a_given_classifier_can_be_round_0():
    given = settings.load("voc2012", {"classifier.weights": "res38_cls.pth"})
    assert asked(given).rows == asked(PAPER).rows


@pytest.mark.parametrize("split", ["train", "val"])
def test_printed_differences_are_those_of_the_text(split):
    experiment = asked(extra_rows={"mine": {}})
    first, *others = experiment.claims
    assert [claim.control for claim in experiment.claims] == [False] + [True] * len(others)
    expected = printed.results()["table_3_1"]["text_claims"]["recomputed"]
    for step, column in (("map", f"{split}_cam"), ("refined", f"{split}_cam_rw")):
        thesis = experiment.thesis[f"{step}, {split}"]
        assert printed_difference(first, thesis) == pytest.approx(expected[column])
        assert {printed_difference(claim, thesis) for claim in others} == {None}
    grown = expected[f"{split}_cam_rw"] - expected[f"{split}_cam"]
    assert experiment.printed_growth(first, split) == pytest.approx(grown)


# --- A row more -------------------------------------------------------------------------------------------------------


class WithOneMore(Table31):
    """Table 3.1 with a row between its first two."""

    @cached_property
    def rows(self):
        first, *others = super().rows.items()
        return dict([first, ("one_round", Row("one round", {"subcategories.round": 1}, control=True)), *others])


def shown(experiment):
    """All exhibits of an experiment, by question."""
    return {question: flat(getattr(experiment, question)) for question in QUESTIONS}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What is shown without and with one row more."""
    compute = made_results.compute(tmp_path_factory.mktemp("made"))
    more = {"seeds": range(3), "compute": compute, "machine": Machine(device="cpu", crf=True)}
    smoke = settings.load("smoke")
    return tuple(shown(asked(smoke, kind, **more)) for kind in (Table31, WithOneMore))


def test_a_row_inserted_anywhere_leaves_what_is_said_of_the_others(both):
    without, with_one = both
    for question, exhibits in without.items():
        others = with_one[question]
        assert [type(each) for each in exhibits] == [type(each) for each in others]
        for exhibit, other in zip(exhibits, others, strict=True):
            if isinstance(exhibit, Table):
                assert exhibit.caption == other.caption and exhibit.note == other.note
                same = other.frame.loc[exhibit.frame.index, exhibit.frame.columns]
                pd.testing.assert_frame_equal(same, exhibit.frame)
            elif not isinstance(exhibit, Figure):
                assert exhibit == other
            else:
                assert (exhibit.name, exhibit.caption, exhibit.alt) == (other.name, other.caption, other.alt)


def test_a_control_inserted_anywhere_is_in_every_table_of_rows_but_that_of_refined_maps(both):
    tables = {each.name: each.frame for exhibits in both[1].values() for each in exhibits if isinstance(each, Table)}
    of_rows = ("rows", "table_3_1", "oracle", "images", "precision_recall", "completeness")
    assert all("one round" in tables[name].index for name in of_rows)
    assert [*tables["table_3_1_refined_val"].index] == ["CAM", "SC-CAM"]


def test_the_table_and_the_rows_of_the_user_are_refined_and_no_control_is():
    asked_for = asked(extra_rows={"mine": {}}, machine=Machine(device="cpu", crf=True))
    assert {row for row, _ in asked_for.walks} == {"CAM", "SC-CAM", "mine"}
    assert {"random sub-labels", "mine"} < asked_for.names


def test_verdicts_stand_beside_the_printed_differences(both):
    primary, note, *verdicts = both[0]["verdicts"]
    assert primary.primary and primary.thesis == pytest.approx(2.8) and "mIoU on val" in primary.claim
    assert note.text.startswith("The first claim is the primary one")
    assert [each.thesis for each in verdicts] == pytest.approx([2.9, 2.8, 5.3, 4.2, 10.1, 12.5, 10.2, 11.6, 2.4, 1.4])
    assert {each.place for each in all_printed() if each.place.source == "Table 3.1"} <= {v.place for v in verdicts}
    assert verdicts[0].claim == "Sub-categories improve the response maps: SC-CAM > CAM (map, train)"
    assert "random walk minus response maps: SC-CAM > CAM" in printed_numbers.answered(verdicts)
    assert [each.note for each in verdicts[-2:]] == ["Thesis +2.4.", "Thesis +1.4."]
    assert both[0]["refined_columns"][-1].note == "Against the released model the printed gain is +2.4 instead of +5.3."


def test_without_the_crf_library_the_refined_columns_say_so(tmp_path):
    compute = made_results.compute(tmp_path / "made")
    without = Machine(device="cpu", crf=False)
    found = asked(settings.load("smoke"), seeds=range(3), compute=compute, machine=without)
    note, *tables = found.refined_columns()
    assert isinstance(note, Note) and note.text.startswith("The refined columns are shown as not run")
    assert set(tables[0].frame["refined train"]) == {"not run"}
    assert len([*found.verdicts()]) == 4
