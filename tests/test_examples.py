"""The two examples: each is the method that the pipeline runs, from a folder to maps on the disk."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from voc_folder import write_annotation, write_split

from companion.pipeline import artefacts, engine
from companion.pipeline.stages import classifier, rounds
from companion.pipeline.store import Store
from companion.settings import Machine, load
from thesislib import cam
from thesislib.data.voc import VocDataset, read_mask, write_mask
from thesislib.metrics import ConfusionMatrix
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
    module.AUGMENTATION = chosen.classifier.augmentation
    if name == "sc_cam":
        module.K, module.ROUNDS = chosen.subcategories.k, 2
    return module


def coloured_squares(root: Path, images: int) -> Path:
    """A folder in VOC layout of two classes that a random network learns in seconds: red and blue squares on noise."""
    for folder in ("JPEGImages", "Annotations", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    (root / "classes.txt").write_text("red\nblue\n")
    rng = np.random.default_rng(0)
    for i in range(images):
        picture, mask = rng.integers(90, 160, (48, 48, 3), np.uint8), np.zeros((48, 48), np.uint8)
        y, x = rng.integers(2, 26, 2)
        picture[y : y + 20, x : x + 20] = ((200, 40, 40), (40, 60, 200))[i % 2]
        mask[y : y + 20, x : x + 20] = i % 2 + 1
        Image.fromarray(picture).save(root / "JPEGImages" / f"{i}.png")
        write_mask(root / "SegmentationClass" / f"{i}.png", mask)
        write_annotation(root, str(i), [("red", "blue")[i % 2]])
    write_split(root, "trainaug", [str(i) for i in range(images)])
    write_split(root, "train", [str(i) for i in range(6)])
    return root


def check_maps(folder: Path, images: VocDataset, background: float) -> list[float]:
    """Every image has the normalised maps of its classes and the label map made of them; returns their maxima."""
    written = {f"{name}.{kind}" for name in images.ids for kind in ("npz", "png")}
    assert {path.name for path in folder.iterdir()} == written
    maxima: list[float] = []
    for i, name in enumerate(images.ids):
        with np.load(folder / f"{name}.npz") as stored:
            classes, maps = stored["classes"], stored["maps"]
        assert classes.tolist() == np.flatnonzero(images.labels[i]).tolist()
        assert maps.shape == (len(classes), *images.size(i)) and maps.min() >= 0
        dense = torch.zeros(len(images.classes), *images.size(i))
        dense[classes] = torch.from_numpy(maps)
        assert np.array_equal(read_mask(folder / f"{name}.png"), cam.label_map(dense, background))
        maxima += maps.max(axis=(1, 2)).tolist()
    return maxima


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


@pytest.mark.parametrize("name", ["mixup_cam", "sc_cam"])
def test_the_example_learns_and_its_maps_respond(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = coloured_squares(tmp_path / "data", images=60)
    method = example(name)
    method.BATCH_SIZE, method.EPOCHS, method.ROUNDS = 6, 10, 1
    trained_on, few = VocDataset(data, "trainaug", cache=True), VocDataset(data, "train")
    model = (method.train_classifier if name == "mixup_cam" else method.algorithm_1)(trained_on, None)
    said = re.findall(r"classification:? ([\d.]+)(?: at first, ([\d.]+))?", capsys.readouterr().out)
    if name == "mixup_cam":
        first, last = map(float, said[0])
        assert last < 0.7 * first
    else:
        assert [float(value) < 0.2 for value, _ in said] == [True, True]  # ln 2 is a guess
    miou = method.write_maps(model, few, tmp_path / "maps")
    assert min(check_maps(tmp_path / "maps", few, method.BACKGROUND)) > 0.9
    confusion = ConfusionMatrix(3)
    for i, image in enumerate(few.ids):
        confusion.update(few.mask(i), read_mask(tmp_path / "maps" / f"{image}.png"))
    assert miou == confusion.miou() > 0.2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mixup_cam", "sc_cam"])
def test_the_example_runs_as_its_first_lines_say(name: str, tmp_path: Path) -> None:
    data = coloured_squares(tmp_path / "data", images=32)
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), str(data), "--output", str(tmp_path / "maps")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"response maps of train, mIoU 0\.\d{3} at threshold 0\.15", done.stdout)
    check_maps(tmp_path / "maps", VocDataset(data, "train"), 0.15)


@pytest.mark.parametrize("name", ["mixup_cam", "sc_cam"])
def test_an_example_uses_the_thesis_alone_and_is_short(name: str) -> None:
    text = (EXAMPLES / f"{name}.py").read_text()
    assert "companion" not in text
    assert len(text.splitlines()) <= 110
