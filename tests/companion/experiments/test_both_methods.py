"""Notebook 41: which runs it shares with Tables 2.1 and 3.1, and that the interaction is what its name says."""

import numpy as np
import pytest

from companion import settings
from companion.experiments import parameters
from companion.experiments.both_methods import INTERACTION
from companion.experiments.catalogue import experiment, notebooks_of, of_the_thesis
from companion.pipeline.stages import rounds
from companion.settings import Machine

HERE = Machine(device="cpu", crf=False)
DEMO = settings.load("demo")


def of(notebook="41_both_methods", **given):
    return experiment(notebook, DEMO, range(3), HERE, given)


def test_three_rows_are_those_of_the_two_tables():
    tables = {stage.key for name in ("21_response_maps", "31_response_maps") for stage in of(name).maps.values()}
    shared = {row for (row, _), stage in of().maps.items() if stage.key in tables}
    assert shared == {"CAM", "Mixup-CAM", "SC-CAM"}


def test_both_is_each_method_with_the_other_and_a_control_differs_in_its_sub_labels_alone():
    rows = {key: DEMO.override(row.overrides) for key, row in of(rounds=2).rows.items()}

    def differing(key, other):
        return {*parameters.differences(rows[key], rows[other])}

    assert differing("both", "mixup_cam") == differing("sc_cam", "cam") == {"subcategories.round"}
    assert differing("both", "sc_cam") == differing("mixup_cam", "cam")
    assert differing("both", "random") == {"subcategories.labels"}
    assert differing("both", "of_plain") == {"subcategories.features"}


def test_sub_labels_of_plain_features_are_those_of_sc_cam_round_for_round():
    rows = of().rows
    for number in (1, 2, 3):
        found = {
            key: rounds.labels_stage(DEMO.override(rows[key].overrides | {"subcategories.round": number}), HERE).key
            for key in ("sc_cam", "both", "of_plain", "random")
        }
        assert found["of_plain"] == found["sc_cam"] and len({*found.values()}) == 3
    trained = {key: rounds.trained_stage(DEMO.override(rows[key].overrides), HERE) for key in ("both", "of_plain")}
    given = [{k: v for k, v in stage.inputs.items() if k != "subcategories"} for stage in trained.values()]
    assert trained["both"].settings == trained["of_plain"].settings
    assert [stage.key for stage in given[0].values()] == [stage.key for stage in given[1].values()]


def run(right):
    """Maps of one class of which `right` of 10,000 pixels, of the object and of the background, are right."""
    counts = np.array([[[right, 10_000 - right], [10_000 - right, right]]])
    return {"confusion": np.repeat(counts, 61, 0), "image_confusion": counts}


@pytest.mark.parametrize(("together", "verdicts"), [(6620, ["holds", "undecided"]), (9000, ["opposite", "holds"])])
def test_two_gains_add_up_where_both_gain_what_each_gains_alone(together, verdicts):
    chosen = of()
    scored = {row.name: together for row in chosen.rows.values()} | {"CAM": 6000, "Mixup-CAM": 6300, "SC-CAM": 6330}
    shifts = {row: (0, 10, -10) if row == "Mixup-CAM" else (20, 0, 10) for row in scored}
    of_both = {row: [run(right + shift) for shift in shifts[row]] for row, right in scored.items()}
    vars(chosen).update(train=of_both, val=of_both)
    miou = {
        row: 100 * (right + np.array(shifts[row])) / (20_000 - right - np.array(shifts[row]))
        for row, right in scored.items()
    }
    expected = miou["Mixup-CAM + SC-CAM"] - miou["SC-CAM"] - (miou["Mixup-CAM"] - miou["CAM"])
    assert chosen.interaction == pytest.approx(expected)
    assert list(chosen.leads)[-1] == INTERACTION
    assert chosen.leads["SC-CAM > CAM"] == pytest.approx(miou["SC-CAM"] - miou["CAM"])
    assert [found.verdict for found, _ in chosen.secondary()][:2] == verdicts


def test_experiments_beyond_the_thesis_run_only_when_they_are_named():
    beyond = notebooks_of("beyond")
    assert "41_both_methods" in beyond and not {*beyond} & {*of_the_thesis()}
    assert notebooks_of("Table-3.1") == ["31_response_maps"] and notebooks_of("nothing") == ["nothing"]
