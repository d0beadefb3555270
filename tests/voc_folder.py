"""A tiny folder in VOC layout for tests."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

ANNOTATION = "<annotation><filename>{name}.jpg</filename>{objects}</annotation>"
OBJECT = "<object><name>{name}</name><difficult>{difficult}</difficult></object>"


def make_voc(folder: Path, n: int = 4, classes: Sequence[str] = ("aeroplane", "person"), size=(24, 32)) -> Path:
    """Write `folder/VOCdevkit/VOC2012` with n images in `train` and `val` and one in `test`, and return that folder.

    Image i contains class i of `classes` (cyclically): a bright rectangle with its mask value and an outline of 255.
    `test` has neither masks nor annotations. Names that are not VOC's are listed in `classes.txt`.
    """
    root = folder / "VOCdevkit" / "VOC2012"
    for sub in ("JPEGImages", "Annotations", "SegmentationClass", "ImageSets/Segmentation"):
        (root / sub).mkdir(parents=True)
    rng = np.random.default_rng(0)
    ids = [f"2000_{i:06d}" for i in range(n)]
    for i, name in enumerate(ids):
        class_name = classes[i % len(classes)]
        write_mask_and_image(root, name, mask_value(class_name, classes), size, rng)
        write_annotation(root, name, [class_name])
    Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(root / "JPEGImages" / "test_0.jpg")
    for split, names in (("train", ids), ("val", ids), ("test", ["test_0"])):
        write_split(root, split, names)
    if not set(classes) <= {"aeroplane", "person"}:
        (root / "classes.txt").write_text("\n".join(classes) + "\n")
    return root


def mask_value(class_name: str, classes: Sequence[str]) -> int:
    """Index of a class in masks: VOC's for aeroplane and person, the position in `classes` for other names."""
    return {"aeroplane": 1, "person": 15}.get(class_name, classes.index(class_name) + 1)


def write_mask_and_image(root: Path, name: str, value: int, size, rng: np.random.Generator) -> None:
    """An image and its mask; the palette is not VOC's, so that any conversion to colours or greys is noticed."""
    height, width = size
    mask = np.zeros(size, np.uint8)
    mask[height // 4 : -height // 4, width // 4 : -width // 4] = 255
    mask[height // 4 + 1 : -height // 4 - 1, width // 4 + 1 : -width // 4 - 1] = value
    picture = rng.integers(0, 100, (*size, 3), np.uint8)
    picture[mask == value] += 120
    Image.fromarray(picture).save(root / "JPEGImages" / f"{name}.jpg", quality=95)
    write_indices(root / "SegmentationClass" / f"{name}.png", mask)


def write_indices(path: Path, mask: np.ndarray) -> None:
    image = Image.fromarray(mask)
    image.putpalette([255 - i // 3 for i in range(768)])
    image.save(path)


def write_annotation(root: Path, name: str, names: Sequence[str], difficult: int = 0) -> None:
    objects = "".join(OBJECT.format(name=each, difficult=difficult) for each in names)
    (root / "Annotations" / f"{name}.xml").write_text(ANNOTATION.format(name=name, objects=objects))


def write_split(root: Path, split: str, names: Sequence[str]) -> None:
    (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
