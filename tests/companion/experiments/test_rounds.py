"""Table 3.2: rounds and kept epochs, and that a row more beside them changes nothing of theirs."""

from functools import cached_property

import made_results
import pandas as pd
import printed_numbers
import pytest
from exhibit_list import flat

from companion import settings
from companion.analysis import round_scores
from companion.analysis.claims import Row, Verdict
from companion.analysis.methods import PLAIN_CAM
from companion.experiments import chapter_3, row_stages
from companion.experiments.exhibits import Figure, KeyNumber, Table
from companion.experiments.rounds import Table32
from companion.settings import Machine, SettingsError

DEMO = settings.load("demo")
HERE = Machine(device="cpu")
QUESTIONS = ("table", "verdicts", "chance_table", "epochs", "clusters", "cluster_verdicts")


def asked(chosen=DEMO, kind=Table32, **more):
    return kind(settings=chosen, **{"seeds": (0,), "machine": HERE, "rounds": 3, "margin": 1.0, "data_seed": 0} | more)


def test_the_last_round_is_sc_cam_and_round_0_plain_cam():
    maps = asked().maps
    others = row_stages.response_map_stages(DEMO, [chapter_3.sc_cam(), PLAIN_CAM], [0], HERE)
    assert maps["round 3", 0].key == others["SC-CAM", 0].key
    assert maps[asked().rows[0].name, 0].key == others[PLAIN_CAM.name, 0].key


def test_the_used_epoch_is_the_row_of_its_round():
    demo, voc = asked(), asked(settings.load("voc2012"))
    assert round_scores.used_epochs(demo.kept, demo.rows) == {1: 6, 2: 6, 3: 6}
    assert round_scores.used_epochs(voc.kept, voc.rows) == {1: 31, 2: 41, 3: 51}
    stages = row_stages.response_map_stages(DEMO, demo.kept.values(), [0], HERE)
    assert len({stage.key for stage in stages.values()}) == len(demo.kept) == 6


def test_clusters_of_the_last_network_are_measured_too():
    found = asked(rounds=2)
    assert [number for number, _ in found.features] == [0, 1, 2]
    assert [number for number, _ in found.labels] == [1, 2, 3]


def test_bad_rounds_and_settings_are_refused():
    with pytest.raises(SettingsError, match="rounds must be at least 1, got 0"):
        asked(rounds=0).stages()
    with pytest.raises(SettingsError, match=r"subcategories\.round is what the rows .* differ in"):
        asked(settings.load("demo", {"subcategories.round": 2})).stages()


class WithOneMore(Table32):
    """Table 3.2 with another kept epoch between those of round 1."""

    @cached_property
    def kept(self):
        first, *others = super().kept.items()
        row = Row("round 1, epoch 7", {"subcategories.round": 1, "cam.epoch": 7}, control=True)
        return dict([first, ((1, 7), row), *others])


def shown(experiment):
    """All exhibits of an experiment, by question."""
    return {question: flat(getattr(experiment, question)) for question in QUESTIONS}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What is shown without and with one row more."""
    more = {"seeds": range(3), "compute": made_results.compute(tmp_path_factory.mktemp("made"))}
    return tuple(shown(asked(settings.load("smoke"), kind, **more)) for kind in (Table32, WithOneMore))


def test_a_row_inserted_anywhere_leaves_what_is_said_of_the_others(both):
    without, with_one = both
    best = "best kept, minus used"  # speaks of all kept epochs
    for question, exhibits in without.items():
        assert [type(each) for each in exhibits] == [type(each) for each in with_one[question]]
        for exhibit, other in zip(exhibits, with_one[question], strict=True):
            if isinstance(exhibit, Table):
                same = other.frame.loc[exhibit.frame.index, exhibit.frame.columns]
                pd.testing.assert_frame_equal(
                    same.drop(columns=best, errors="ignore"), exhibit.frame.drop(columns=best, errors="ignore")
                )
            elif isinstance(exhibit, Figure):
                assert (exhibit.name, exhibit.caption, exhibit.alt) == (other.name, other.caption, other.alt)
            else:
                assert exhibit == other
    assert "epoch 7" in with_one["epochs"][1].frame and "epoch 7" not in without["epochs"][1].frame


def test_steps_and_last_round_stand_beside_the_printed_ones(both):
    primary, *verdicts = [each for each in both[0]["verdicts"] if isinstance(each, Verdict)]
    assert primary.primary and primary.thesis == 2.8 and "threshold that is best on train" in primary.claim
    assert [each.thesis for each in verdicts] == [1.2, 0.7, 0.9, 2.8, 0.5, 1.0, 0.4, 1.9, None]
    assert verdicts[0].claim == "mIoU rises from round 0 to round 1 (val)" and verdicts[0].note.startswith(
        "thesis +1.2"
    )
    from_plain_cam = "response maps: SC-CAM > CAM"  # the same numbers in Table 3.1
    steps = {f"response maps: round {after} > round {after - 1}" for after in (1, 2, 3)}
    steps |= {"response maps: round 3 > round 0"}  # of the F-Score
    assert printed_numbers.answered(verdicts) == {from_plain_cam, *steps}
    assert verdicts[-1].claim.endswith("mIoU changes by at most 1 point (val)")
    numbers = [each for each in both[0]["table"] if isinstance(each, KeyNumber)]
    assert [(each.thesis, each.place.row) for each in numbers] == [(49.6, "3"), (67.0, "3")]
    assert both[0]["table"][0].frame["thesis, F-Score"].tolist() == [65.1, 65.6, 66.6, 67.0]


def test_clusters_are_compared_from_the_first_round_that_has_the_score(both):
    claims = [each.claim for each in both[0]["cluster_verdicts"]]
    assert claims[0] == "The clusters are better separated (silhouette): labels of round 1 to those of round 3"
    assert claims[3].endswith("labels of round 2 to those of round 4, not trained")
    assert sum("true sub-types" in claim for claim in claims) == 6
