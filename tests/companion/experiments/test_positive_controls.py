"""Which stages notebook 25 asks for, and that its walk is that of step 2 where nothing is replaced."""

from collections import defaultdict
from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest

from companion import settings
from companion.experiments.catalogue import experiment
from companion.experiments.positive_controls import OWN, PERFECT, TAUGHT
from companion.settings import Machine


def of(notebook="25_positive_controls", crf=True, preset="demo", **overrides):
    return experiment(notebook, settings.load(preset, overrides), range(3), Machine(device="cpu", crf=crf))


def test_its_maps_affinities_and_clusters_are_those_of_the_other_notebooks():
    table = {stage.key for stage in of("21_response_maps").stages()}
    rounds = {stage.key for stage in of("33_rounds").stages()}
    chosen = of()
    assert {stage.key for stage in chosen.maps.values()} <= table
    own, taught = ({stage.key for stage in chosen.networks[name].values()} for name in (OWN, TAUGHT))
    walks = {stage.inputs["affinity"].key for stage in of("21_response_maps").walks.values()}
    assert own <= walks and not taught & walks and len(taught) == 3
    assert {stage.inputs["features"].key for stage in chosen.labels.values()} <= rounds | {
        stage.inputs["features"].key for stage in of("33_rounds").stages() if "features" in stage.inputs
    }


def test_what_needs_the_crf_or_truth_of_the_taught_images_is_left_out_without():
    assert [*of(crf=False).networks] == [TAUGHT]
    assert [*of(**{"affinity.split": "trainaug"}).networks] == [OWN, TAUGHT]
    assert [*of(preset="voc2012").networks] == [OWN]
    assert PERFECT not in of().networks


def kept_under(tmp_path, name, **overrides):
    """Names under which the walks and the clusters of some settings are kept, of the same artefacts."""
    chosen, names = of(crf=False, **overrides), []

    def compute(stages):
        return dict.fromkeys(stages, tmp_path)

    def keep(name, folders, measure):
        names.append(name)
        return [[np.zeros(1), np.zeros(1)]]

    chosen = replace(chosen, compute=compute, keep=keep)
    vars(chosen).update(on_train=Images())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("companion.experiments.positive_controls.measures.read_scores", lambda *_: {"CAM": []})
        patch.setattr("companion.experiments.positive_controls.read_rounds", lambda _: defaultdict(Mock))
        getattr(chosen, name)
    return set(names)


@pytest.mark.parametrize(
    ("name", "setting"), [("walked", {"affinity.walk_alpha": 4}), ("clusters", {"subcategories.k": 2})]
)
def test_what_is_measured_with_other_settings_is_kept_under_another_name(tmp_path, name, setting):
    assert kept_under(tmp_path, name) == kept_under(tmp_path, name)
    assert not kept_under(tmp_path, name) & kept_under(tmp_path, name, **setting)


class Images:
    """Six images of one class."""

    classes = ("heron",)

    def __len__(self):
        return 6


def counts(right):
    return np.array([[[right, 100 - right], [100 - right, right]]])


def test_gains_are_paired_with_the_maps_before_the_walk():
    chosen = of(crf=False)
    runs = {
        name: [{"image_confusion": counts(right + seed)} for seed in range(3)]
        for name, right in {"CAM": 50, f"{TAUGHT}, psa": 60, f"{TAUGHT}, irn": 70}.items()
    }
    runs |= {f"{PERFECT}, {scoring}": runs[f"{TAUGHT}, {scoring}"] for scoring in ("psa", "irn")}
    vars(chosen).update(walked=runs, on_train=Images(), on_val=range(8))
    note, table, _, _, *verdicts, classes = chosen.walk()
    assert "heron" in classes.frame and len(classes.frame) == 6
    assert "not run" in note.text and table.frame.loc["CAM", "walk adds"] is None
    irn, psa = (table.frame.loc[f"{PERFECT}, {scoring}", "walk adds"].mean for scoring in ("irn", "psa"))
    assert irn > psa > 0
    assert {each.verdict for each in verdicts} == {"holds"} and len(verdicts) == 6
