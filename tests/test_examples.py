"""The two examples: each is the method that the pipeline runs, from a folder to maps on the disk."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from companion.datasets.demo.generator import write_demo
from companion.pipeline import artefacts, engine
from companion.pipeline.stages import classifier, rounds
from companion.pipeline.store import Store
from companion.settings import DataSettings, Machine, load
from thesislib import cam
from thesislib.data.voc import VocDataset, read_mask
from thesislib.models.classifier import CamClassifier

EXAMPLES = Path(__file__).parents[1] / "examples"
HERE = Machine(device="cpu")
REGULARISED = {"classifier.mixup_alpha": 0.2, "classifier.lambda_ent": 0.02, "classifier.lambda_con": 2e-4}


def example(name: str) -> ModuleType:
    """The example with the few images of preset smoke in mind."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    chosen = load("smoke")
    module.BATCH_SIZE, module.EPOCHS = chosen.classifier.batch_size, chosen.classifier.epochs
    if name == "sc_cam":
        module.K, module.ROUNDS = chosen.subcategories.k, 2
    return module


def check_maps(folder: Path, images: VocDataset, background: float) -> None:
    """Every image has the normalised maps of its classes, none of them empty, and the label map made of them."""
    assert {path.name for path in folder.iterdir()} == {f"{name}.{kind}" for name in images.ids for kind in ("npz", "png")}
    for i, name in enumerate(images.ids):
        with np.load(folder / f"{name}.npz") as stored:
            classes, maps = stored["classes"], stored["maps"]
        assert classes.tolist() == np.flatnonzero(images.labels[i]).tolist()
        assert maps.shape == (len(classes), *images.size(i))
        assert (maps.max(axis=(1, 2)) > 0.9).all() and maps.min() >= 0
        dense = torch.zeros(len(images.classes), *images.size(i))
        dense[classes] = torch.from_numpy(maps)
        assert np.array_equal(read_mask(folder / f"{name}.png"), cam.label_map(dense, background))
        assert Image.open(folder / f"{name}.png").mode == "P"


@pytest.mark.parametrize("name", ["mixup_cam", "sc_cam"])
def test_the_example_trains_what_the_pipeline_trains(
    name: str, shared_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "mixup_cam":
        stage = classifier.stage(load("smoke", REGULARISED), HERE)
    else:
        stage = rounds.trained_stage(load("smoke", {"subcategories.round": 2}), HERE)
    weights = engine.run([stage], shared_store)[stage.key] / artefacts.CLASSIFIER_WEIGHTS
    data = shared_store.folder(stage.inputs["data"]) / artefacts.DATASET
    backbone = shared_store.folder(stage.inputs["backbone"]) / artefacts.BACKBONE_WEIGHTS
    method, images = example(name), VocDataset(data, "trainaug")
    model: CamClassifier = (method.train_classifier if name == "mixup_cam" else method.algorithm_1)(images, backbone)
    expected = load_file(weights)
    assert model.state_dict().keys() == expected.keys()
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, expected[key]), key
    assert ("concentration" if name == "mixup_cam" else "sub-categories") in capsys.readouterr().out
    few = VocDataset(data, "val")
    assert 0 <= method.write_maps(model, few, tmp_path / "maps") <= 1
    check_maps(tmp_path / "maps", few, method.BACKGROUND)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mixup_cam", "sc_cam"])
def test_the_example_runs_as_its_first_lines_say(name: str, tmp_path: Path) -> None:
    write_demo(tmp_path / "data", DataSettings(source="generated", image_size=48, trainaug=32, train=3), progress=False)
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), str(tmp_path / "data"), "--output", str(tmp_path / "maps")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "response maps of train, mIoU 0." in done.stdout
    check_maps(tmp_path / "maps", VocDataset(tmp_path / "data", "train"), 0.15)
    if name == "mixup_cam":
        (classification,) = (line.split() for line in done.stdout.splitlines() if line.startswith("classification"))
        assert float(classification[4]) < float(classification[1]), done.stdout


@pytest.mark.parametrize("name", ["mixup_cam", "sc_cam"])
def test_an_example_uses_the_thesis_alone_and_is_short(name: str) -> None:
    text = (EXAMPLES / f"{name}.py").read_text()
    assert "companion" not in text
    assert len(text.splitlines()) <= 110
