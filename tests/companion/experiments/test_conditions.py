"""Notebook 26: which runs it shares with Table 2.1, and that its differences are those of the longer schedule."""

import numpy as np
import pytest

from companion import settings
from companion.experiments.catalogue import experiment
from companion.experiments.conditions import MATCHED
from companion.settings import Machine, SettingsError


def of(notebook="26_conditions", crf=True, preset="demo", **parameters):
    return experiment(notebook, settings.load(preset), range(3), Machine(device="cpu", crf=crf), parameters)


def test_rows_of_the_presets_schedule_are_those_of_table_2_1():
    table, chosen = of("21_response_maps"), of()
    shared = {stage.key for stage in table.maps.values()}
    assert {key for (key, _), stage in chosen.maps.items() if stage.key in shared} == {"CAM", "Mixup-CAM"}
    walks = {stage.key for stage in table.walks.values()}
    assert {key for (key, _), stage in chosen.walks.items() if stage.key not in walks} == {MATCHED}


def test_longer_rows_differ_in_their_epochs_alone():
    rows, base = of(longer=4).rows, settings.load("demo")
    for key in ("cam", "mixup_cam"):
        short, long = (base.override(rows[name].overrides) for name in (key, f"{key}_longer"))
        assert long == short.override({"classifier.epochs": 4 * base.classifier.epochs})


def test_what_cannot_be_asked_is_refused_and_a_walk_left_out():
    with pytest.raises(SettingsError, match="longer = 1: must be at least 2"):
        of(longer=1).stages()
    assert not of(step_2=False).walks and not of(crf=False).walks


def counts(right):
    return np.array([[[right, 100 - right], [100 - right, right]]])


def run(right, logits):
    labels = np.array([[True], [True], [False], [False]])
    return {"confusion": np.repeat(counts(right), 61, 0), "image_confusion": counts(right)} | {
        "labels": labels,
        "logits": np.array(logits, float)[:, None],
    }


RIGHT, WRONG = (4, 3, 2, 1), (4, 1, 3, 2)


def test_lead_of_the_longer_schedule_and_its_over_fitting():
    chosen = of(crf=False)
    scored = {"CAM": 60, "Mixup-CAM": 62, "CAM, 18 epochs": 60, "Mixup-CAM, 18 epochs": 50}
    fits = {"CAM, 18 epochs": WRONG}
    train = {name: [run(right + seed, RIGHT) for seed in range(3)] for name, right in scored.items()}
    val = {name: [run(right + seed, fits.get(name, RIGHT)) for seed in range(3)] for name, right in scored.items()}
    vars(chosen).update(train=train, val=val)
    assert chosen.gaps["cam_longer"] == pytest.approx([25, 25, 25]) and chosen.gaps["mixup_cam_longer"] == [0, 0, 0]
    short, long = chosen.leads
    assert min(short) > 0 > max(long)
    verdicts = {each.claim: each.verdict for each, _ in chosen.secondary()}
    assert verdicts["The lead of Mixup-CAM grows with the schedule"] == "opposite"
    assert [*verdicts.values()][:2] == ["holds", "holds"]
