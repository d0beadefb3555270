"""Table 2.1: its rows and claims, what is refused, and that a row more beside them changes nothing of theirs."""

from functools import cached_property

import made_results
import pandas as pd
import printed_numbers
import pytest
from exhibit_list import flat

from companion import settings
from companion.analysis import maps, measures
from companion.analysis.claims import Row, Verdict, printed_difference
from companion.experiments.catalogue import experiment
from companion.experiments.exhibits import Figure, Note, Table
from companion.experiments.printed_differences import all_printed
from companion.experiments.table_2_1 import Table21
from companion.settings import Machine, SettingsError

SMOKE = settings.load("smoke")
HERE = Machine(device="cpu")
QUESTIONS = (
    "what_differs", "method", "table", "every_threshold", "verdicts", "chance_tables", "refined_column",
    "refined_verdicts", "small_before_large_after", "alike_before", "by_difficulty", "one_class_each", "many",
    "classifiers", "mechanism_verdicts", "completeness",
)  # fmt: skip
"""All but `whom_the_walk_helps`, whose pairs of cells the small images made up here do not have."""
RECALL = {"recall train": measures.mean_recall}


def asked(chosen=SMOKE, kind=Table21, **more):
    own = {"alpha": 0.2, "lambda_ent": 0.02, "lambda_con": 2e-4, "extra_rows": {}, "only_rows": (), "step_2": True}
    own |= {"walked_rows": (), "data_seed": 0, "images_shown": 4}
    return kind(settings=chosen, **{"seeds": (0,), "machine": HERE} | own | more)


def test_printed_differences_are_those_of_the_text():
    found = asked()
    differences = [printed_difference(claim, found.thesis) for claim in found.claims]
    assert differences[:5] == pytest.approx([1.3, 0.2, 0.6, 2.1, 0.8]) and differences[7:] == [None, None]
    assert differences[5:7] == pytest.approx([0.6, 0.2])


def test_each_row_and_seed_is_a_training_of_its_own():
    found = asked(seeds=(0, 1))
    assert len({stage.key for stage in found.maps.values()}) == len(found.maps) == 14


def test_rows_of_the_users_own_get_a_claim_and_their_settings():
    found = asked(extra_rows={"mixup 0.4": {"classifier.mixup_alpha": 0.4, "cam.background": 0.2}})
    assert found.claims[-1].row.name == "mixup 0.4"
    frame = maps.row_settings([*found.rows.values()], SMOKE)
    assert frame.loc["mixup 0.4", ["mixup_alpha", "cam.background"]].tolist() == [0.4, 0.2]
    assert frame.loc["CAM", ["mixup_alpha", "cam.background", "concentration_form"]].tolist() == [0, 0.15, "written"]


@pytest.mark.parametrize(
    ("extra", "message"),
    [({"CAM": {}}, "'CAM' is taken"), ({"mine": 3}, "row 'mine' needs its settings"), ({"mine": {"x": 1}}, "'x'")],
)
def test_bad_rows_of_the_users_own_are_refused(extra, message):
    with pytest.raises(SettingsError, match=message):
        asked(extra_rows=extra).stages()


def test_trained_weights_cannot_fill_a_table_of_trainings():
    given = settings.load("smoke", {"classifier.weights": "some.safetensors"})
    with pytest.raises(SettingsError, match=r"leave classifier\.weights empty"):
        asked(given).stages()


@pytest.mark.parametrize("notebook", ["00_quickstart", "21_response_maps"])
def test_a_regulariser_set_beside_the_rows_is_refused(notebook):
    changed = settings.load("smoke", {"classifier.mixup_alpha": 0.4})
    with pytest.raises(SettingsError, match=r"classifier\.mixup_alpha is what the rows .* differ in"):
        experiment(notebook, changed, (0,), HERE).stages()


# --- A row more -------------------------------------------------------------------------------------------------------


class WithOneMore(Table21):
    """Table 2.1 with a row between its first two."""

    @cached_property
    def rows(self):
        first, *others = super().rows.items()
        entropy = Row("entropy alone", {"classifier.lambda_ent": 0.02}, control=True)
        return dict([first, ("entropy_alone", entropy), *others])


def shown(found):
    """All exhibits of an experiment, by question."""
    return {question: flat(getattr(found, question)) for question in QUESTIONS}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What is shown without and with one row more."""
    compute = made_results.compute(tmp_path_factory.mktemp("made"))
    more = {"seeds": range(3), "compute": compute, "machine": Machine(device="cpu", crf=True)}
    return tuple(shown(asked(SMOKE, kind, **more)) for kind in (Table21, WithOneMore))


def test_a_row_inserted_anywhere_leaves_what_is_said_of_the_others(both):
    without, with_one = both
    for question, exhibits in without.items():
        others = with_one[question]
        assert [type(each) for each in exhibits] == [type(each) for each in others]
        for exhibit, other in zip(exhibits, others, strict=True):
            if isinstance(exhibit, Table):
                assert exhibit.caption == other.caption and exhibit.note == other.note
                pd.testing.assert_frame_equal(
                    other.frame.loc[exhibit.frame.index, exhibit.frame.columns], exhibit.frame
                )
            elif isinstance(exhibit, Figure):
                assert (exhibit.name, exhibit.caption, exhibit.alt) == (other.name, other.caption, other.alt)
            else:
                assert exhibit == other


def test_a_control_inserted_anywhere_is_in_every_table_of_rows_but_that_of_refined_maps(both):
    tables = {each.name: each.frame for exhibits in both[1].values() for each in exhibits if isinstance(each, Table)}
    of_rows = ("rows", "table_2_1", "oracle", "classifier", "completeness")
    assert all("entropy alone" in tables[name].index for name in of_rows)
    assert [*tables["table_2_1_refined"].index] == [
        "CAM",
        "mixup",
        "mixup + entropy",
        "mixup + concentration",
        "Mixup-CAM",
    ]


def test_verdicts_stand_beside_the_printed_differences(both):
    verdicts = [each for each in both[0]["verdicts"] if isinstance(each, Verdict)]
    assert [each.thesis for each in verdicts] == [
        *map(pytest.approx, [2.1, 1.3, 0.2, 0.6, 2.1, 0.8, 0.6, 0.2]), None, None
    ]  # fmt: skip
    assert verdicts[1].claim == "Mixup alone improves the response maps: mixup > CAM"
    refined = [each for each in both[0]["refined_verdicts"] if isinstance(each, Verdict)]
    every = {f"{each.place.stage}: {each.place.row}" for each in all_printed() if each.place.source == "Table 2.1"}
    assert printed_numbers.answered([*verdicts, *refined]) == every


def test_a_column_of_ones_own_is_in_the_table_and_its_caption(tmp_path):
    found = asked(compute=made_results.compute(tmp_path / "made"))
    thesis = {"train": found.thesis}
    without, more = (found.fixed_threshold("table_2_1", "Table 2.1", thesis, columns) for columns in (None, RECALL))
    assert [*more.frame.columns] == ["mIoU train", "mIoU val", *RECALL, "thesis, VOC train"]
    assert "recall train" in more.caption and "recall" not in without.caption
    assert (more.best, more.beside, more.note) == (without.best, without.beside, without.note)


def test_without_the_crf_library_the_refined_column_says_so(tmp_path):
    compute = made_results.compute(tmp_path / "made")
    found = asked(seeds=range(3), compute=compute, machine=Machine(device="cpu", crf=False))
    note, *_ = found.refined_column()
    assert isinstance(note, Note) and note.text.startswith("The refined column is shown as not run")
    for question in ("refined_verdicts", "small_before_large_after", "whom_the_walk_helps"):
        assert not [*getattr(found, question)()]
