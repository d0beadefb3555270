"""A few images with labels in each of the forms that people have them in."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SHOWN = {"a": ("cat",), "b": ("dog",), "c": ("cat", "dog"), "d": ("dog",)}
CLASSES = ["cat", "dog"]


def write_images(folder: Path, names: Sequence[str] = tuple(f"{name}.jpg" for name in SHOWN), size=(90, 120)) -> Path:
    """An image of noise for each name, which may have folders."""
    rng = np.random.default_rng(0)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(path)
    return folder


def csv_lists(folder: Path) -> Path:
    return _written(
        folder / "labels.csv", "image,class\n" + "".join(f"{n}.jpg,{';'.join(c)}\n" for n, c in SHOWN.items())
    )


def csv_columns(folder: Path) -> Path:
    rows = (f"{name},{int('cat' in shown)},{int('dog' in shown)}\n" for name, shown in SHOWN.items())
    return _written(folder / "table.csv", "image,cat,dog\n" + "".join(rows))


def excel_lists(folder: Path) -> Path:
    """As a spreadsheet writes it where the comma is a decimal point: semicolons, in UTF-16."""
    path = folder / "excel.csv"
    path.write_text("image;class\n" + "".join(f"{n}.jpg;{';'.join(c)}\n" for n, c in SHOWN.items()), encoding="utf-16")
    return path


def psa(folder: Path) -> Path:
    vectors = {n: np.array([k in shown for k in CLASSES], np.float32) for n, shown in SHOWN.items()}
    np.save(folder / "cls_labels.npy", vectors, allow_pickle=True)  # type: ignore[arg-type]
    _written(folder / "classes.txt", "cat\ndog\n")
    return folder / "cls_labels.npy"


def voc_xml(folder: Path) -> Path:
    for name, shown in SHOWN.items():
        objects = "".join(f"<object><name>{k}</name><part><name>head</name></part></object>" for k in shown)
        _written(folder / "Annotations" / f"{name}.xml", f"<annotation>{objects}</annotation>")
    return folder / "Annotations"


def coco(folder: Path) -> Path:
    content = {
        "images": [{"id": i, "file_name": f"train/{name}.jpg"} for i, name in enumerate(SHOWN)],
        "categories": [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}, {"id": 8, "name": "toaster"}],
        "annotations": [
            {"image_id": i, "category_id": 3 + 4 * CLASSES.index(k)} for i, s in enumerate(SHOWN.values()) for k in s
        ],
    }
    return _written(folder / "instances.json", json.dumps(content))


def labelme(folder: Path) -> Path:
    for name, shown in SHOWN.items():
        content = {"shapes": [{"label": k, "points": []} for k in shown], "imagePath": f"..\\{name}.jpg", "flags": {}}
        _written(folder / "labelme" / f"{name}.json", json.dumps(content))
    return folder / "labelme"


def yolo(folder: Path) -> Path:
    for name, shown in SHOWN.items():
        _written(folder / "labels" / f"{name}.txt", "".join(f"{CLASSES.index(k)} .5 .5 .2 .2\n" for k in shown))
    _written(folder / "data.yaml", "names: {0: cat, 1: dog, 2: toaster}\n")
    return folder / "labels"


SOURCES = [csv_lists, csv_columns, excel_lists, psa, voc_xml, coco, labelme, yolo]


def write_truth(folder: Path, names: Sequence[str], size=(90, 120)) -> Path:
    """Masks in which the left half is a dog and the right half a cat; dog is the first class of their list."""
    mask = np.ones(size, np.uint8)
    mask[:, size[1] // 2 :] = 2
    folder.mkdir(parents=True)
    for name in names:
        Image.fromarray(mask).save(folder / f"{name}.png")
    _written(folder / "classes.txt", "dog\ncat\n")
    return folder


def _written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
