"""The demo's initial weights: a packaged file for its network, the pretext task for any other."""

import json

import pytest
import torch
from safetensors.torch import load_file

from companion.datasets.demo import weights
from companion.pipeline import artefacts, engine
from companion.pipeline.stages import backbone
from companion.pipeline.store import Store
from companion.settings import Machine, load
from thesislib.models.weights import file_digest

HERE = Machine(device="cpu")


def test_the_packaged_file_is_what_training_starts_from(tmp_path):
    store, stage = Store(tmp_path), backbone.stage(load("smoke"), HERE)
    engine.run([stage], store)
    kept = load_file(store.folder(stage) / artefacts.BACKBONE_WEIGHTS)
    packaged = load_file(weights.FILE)
    assert kept.keys() == packaged.keys() and all(torch.equal(kept[name], packaged[name]) for name in packaged)
    assert weights.FILE.stat().st_size < 500_000
    config = json.loads((store.folder(stage) / "config.json").read_text())
    assert config["checksum"] == file_digest(weights.FILE, "sha256")


@pytest.mark.parametrize("asked", [{"backbone.weights": "pretext"}, {"backbone.width": 1 / 64}])
def test_the_pretext_task_trains_when_asked_and_for_other_widths(asked, tmp_path):
    store, stage = Store(tmp_path), backbone.stage(load("smoke", {"pretext.images": 16, **asked}), HERE)
    engine.run([stage], store)
    accuracy = json.loads((store.folder(stage) / artefacts.PRETEXT_ACCURACY).read_text())
    assert accuracy.keys() == {"shape", "texture", "hue"}
    backbone.build(stage.settings["backbone"]).load_state_dict(
        load_file(store.folder(stage) / artefacts.BACKBONE_WEIGHTS), strict=False
    )


def test_pretext_settings_decide_nothing_where_the_file_is_used():
    plain, other = (backbone.stage(load("demo", {"pretext.epochs": epochs}), HERE) for epochs in (1, 2))
    assert plain.key == other.key
