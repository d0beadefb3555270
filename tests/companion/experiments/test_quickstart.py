"""What 00_quickstart needs computed for one, two or three steps, and what it refuses before anything is computed."""

import numpy as np
import pytest
from PIL import Image

from companion import settings
from companion.experiments.catalogue import experiment
from companion.experiments.quickstart import Quickstart
from companion.settings import Machine, SettingsError
from thesislib.data.voc import DataError


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "own.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)).save(path)
    return str(path)


def of(parameters=None, overrides=None, preset="smoke", crf=True):
    chosen = settings.load(preset, Quickstart.settings_of(parameters or {}) | (overrides or {}))
    return experiment("00_quickstart", chosen, range(2), Machine(device="cpu", crf=crf), parameters)


def labels(asked):
    return [(stage.name, stage.label) for stage in asked.stages()]


def test_later_steps_are_those_of_the_last_row_with_the_first_seed():
    classifiers = [("classifier", "CAM, seed 0"), ("classifier", "Mixup-CAM, seed 0")]
    later = [("affinity", "Mixup-CAM, seed 0"), ("segmenter", "Mixup-CAM, seed 0")]
    for steps in (1, 2, 3):
        assert labels(of({"steps": steps})) == classifiers + later[: steps - 1]
    assert labels(of({"steps": 3}, crf=False)) == classifiers


def test_rows_inserted_around_mixup_cam_change_no_later_step(monkeypatch):
    def later():
        return {stage.key for stage in (*of().affinity.values(), *of().segmenter.values())}

    usual, rows = later(), of().rows
    more = {"cam": rows["cam"], "mixup": rows["cam"], "mixup_cam": rows["mixup_cam"], "own": rows["cam"]}
    monkeypatch.setattr(Quickstart, "rows", more)
    assert later() == usual


def test_a_given_classifier_is_the_only_row_and_is_said_to_be_given(tmp_path):
    (tmp_path / "given.safetensors").touch()
    asked = of({"weights": str(tmp_path / "given.safetensors")})
    assert [row.name for row in asked.rows.values()] == ["CAM"] and asked.trained == "given weights"
    assert of().trained == "trained with seed 0"
    assert of({"weights": ""}).settings.classifier.weights == ""


def test_a_regulariser_set_beside_the_rows_is_refused():
    with pytest.raises(SettingsError, match=r"classifier\.mixup_alpha is what the rows .* differ in"):
        of(overrides={"classifier.mixup_alpha": 0.4})


def test_steps_and_pictures_are_checked_before_anything_is_computed(picture):
    with pytest.raises(SettingsError, match=r"steps = 4: expected 1 \(response maps\), 2 \(pseudo-masks\) or 3"):
        of({"steps": 4})
    with pytest.raises(SettingsError, match="image_labels is empty"):
        of({"image": picture})
    with pytest.raises(SettingsError, match="unknown class 'herno'; did you mean 'heron'"):
        of({"image": picture, "image_labels": ["herno"]})
    with pytest.raises(DataError, match=r"missing\.png"):
        of({"image": picture.replace("own", "missing"), "image_labels": ["heron"]})
    asked = of({"image": picture, "image_labels": ["heron"]})
    assert asked.about == f"the picture {picture}" and asked.own(asked.class_names).labels.sum() == 1
