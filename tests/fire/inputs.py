"""Whole inputs of every kind, which the mutations then spoil, and independent readers that tell what is still whole.

A reader here raises anything, or says False, where the file is malformed. None of them uses the project's own readers.
"""

import io
import json
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch
from made_reports import A, B, write_report
from mxnet_files import mxnet_names, params_file
from PIL import Image
from voc_folder import make_voc, write_indices, write_split

from thesislib.models.classifier import CamClassifier
from thesislib.models.resnet38 import ResNet38
from thesislib.models.weights import save_weights

CLASSES = ("heron", "fox", "snail")
SIZE = (48, 64)
IDS = tuple(f"2000_{i:06d}" for i in range(12))
BATCH = """\
notebook = "21_response_maps"
preset = "smoke"
seeds = 1
[fixed]
alpha = 0.2
step_2 = false
[grid]
lambda_ent = [0.01, 0.02]
data_seed = [0, 1]
"""


def make(folder: Path) -> Path:
    """A folder with one of everything that the commands read."""
    root = make_voc(folder / "data", len(IDS), CLASSES, SIZE)
    write_split(root, "trainaug", IDS)
    rng = np.random.default_rng(0)
    for name in ("masks", "maps", "psa", "test"):
        (folder / name).mkdir()
    for i, name in enumerate(IDS):
        maps = rng.random((1, *SIZE), np.float32)
        np.savez(folder / "maps" / f"{name}.npz", classes=np.array([i % 3], np.uint8), maps=maps)
        np.save(folder / "psa" / f"{name}.npy", {i % 3: maps[0]}, allow_pickle=True)  # type: ignore[arg-type]
        write_indices(folder / "masks" / f"{name}.png", np.full(SIZE, i % 3 + 1, np.uint8))
    model = CamClassifier(ResNet38(1 / 64), 20)
    save_weights(model, folder / "weights.safetensors")
    torch.save({n.removeprefix("backbone."): t for n, t in model.state_dict().items()}, folder / "weights.pth")
    names = {n.removeprefix("backbone."): t.numpy() for n, t in model.state_dict().items()}
    params_file(folder, {theirs: names[ours] for theirs, ours in mxnet_names().items()}).rename(folder / "w.params")
    for run, values in zip("ab", (A, B), strict=True):
        write_report(folder / run, "maps", values)
    (folder / "batch.toml").write_text(BATCH)
    Image.fromarray(rng.integers(0, 256, (64, 96, 3), np.uint8)).save(folder / "own.jpg")
    return folder


def voc(folder: Path) -> Path:
    """The data in a folder of inputs."""
    return folder / "data" / "VOCdevkit" / "VOC2012"


def whole_image(path: Path) -> bool:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).shape[:2] == SIZE


def whole_picture(path: Path) -> bool:
    with Image.open(path) as image:
        return min(np.asarray(image.convert("RGB")).shape[:2]) >= 32


def whole_mask(path: Path) -> bool:
    """A truth: class indices at the size of the image, or 255."""
    with Image.open(path) as image:
        values = np.asarray(image)
        return image.mode in ("P", "L") and values.shape == SIZE and set(np.unique(values)) <= {0, 1, 2, 3, 255}


def whole_prediction(path: Path) -> bool:
    with Image.open(path) as image:
        values = np.asarray(image)
        return image.mode in ("P", "L") and values.shape == SIZE and set(np.unique(values)) <= {0, 1, 2, 3}


def whole_annotation(path: Path) -> bool:
    names = [element.text for element in ElementTree.parse(path).iter("name")]
    return any((name or "").strip() in CLASSES for name in names)


def whole_list(path: Path) -> bool:
    names = path.read_text(encoding="utf-8-sig").split("\n")
    found = [name.strip() for name in names if name.strip()]
    return bool(found) and len(set(found)) == len(found) and set(found) <= set(IDS)


def whole_classes(path: Path) -> bool:
    """Class names of which every annotation still has one, and as many as the masks have."""
    found = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    return len(set(found)) == len(found) == 3 and set(found) == set(CLASSES)


def whole_weights(path: Path) -> bool:
    if path.suffix == ".params":  # nothing but the project reads these: what it took is judged by what it wrote
        stored = safetensors.numpy.load_file(path.with_name("out") / "out.safetensors")
    elif path.suffix == ".pth":
        stored = {n: t.numpy() for n, t in torch.load(path, weights_only=True, map_location="cpu").items()}
    else:
        stored = safetensors.numpy.load_file(path)
    return all(np.isfinite(array).all() for array in stored.values() if array.dtype.kind == "f")


def whole_maps(path: Path) -> bool:
    with np.load(path) as stored:
        classes, maps = stored["classes"], stored["maps"]
    return _are_maps(classes, maps)


def whole_dictionary(path: Path) -> bool:
    stored = np.load(path, allow_pickle=True).item()  # made by this module and then spoilt by it, nobody else's
    maps = np.stack(list(stored.values()))
    return _are_maps(np.array(list(stored)), maps) and maps.max(initial=0) <= 1


def _are_maps(classes: np.ndarray, maps: np.ndarray) -> bool:
    right = classes.dtype.kind in "iu" and classes.ndim == 1 and len(set(classes.tolist())) == len(classes)
    right = right and set(classes.tolist()) <= {0, 1, 2} and maps.dtype.kind == "f"
    return right and maps.shape == (len(classes), *SIZE) and bool(np.isfinite(maps).all()) and maps.min(initial=0) >= 0


def whole_record(path: Path) -> bool:
    """A JSON object without numbers that JSON does not have; what its fields mean, only the project knows."""

    def refuse(text: str) -> None:
        raise ValueError(text)

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a key twice")
        return dict(pairs)

    text = path.read_text(encoding="utf-8")
    return isinstance(json.loads(text, parse_constant=refuse, object_pairs_hook=once), dict)


def whole_batch(path: Path) -> bool:
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    return {"notebook"} <= found.keys() <= {"notebook", "preset", "seeds", "fixed", "grid"}


def whole_table(path: Path) -> bool:
    return path.read_bytes().decode("utf-8").count("\0") == 0


def as_bytes(array: np.ndarray) -> bytes:
    """An image file of an array."""
    out = io.BytesIO()
    Image.fromarray(array).save(out, "PNG")
    return out.getvalue()
