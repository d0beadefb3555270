"""The demo data: generated images in VOC layout.

No counterpart in the thesis, which uses PASCAL VOC 2012 (2.4.1, 3.4.1), nor in published code. Deliberate differences
from VOC: images are drawn (`scenes`), the 255 outline is 1 pixel wide, and each image has a mask of its objects' parts
and the sub-type of each object, for analysis alone.

Six classes (heron, fox, snail, turtle, sloop, crane), four sub-types each (long, stout, leaning, pale). The default
splits hold 160 `trainaug`, 64 `train` (the first of them), 64 `val` and 12 `test` images of 128 pixels. The images were
chosen by what the baseline does on them, by criteria that were written first: docs/demo.md.
"""

import csv
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image
from tqdm.auto import tqdm

from companion.datasets.demo.scenes import CLASSES, Scene, draw_plan, draw_scene
from companion.settings import DataSettings
from thesislib.data.voc import IGNORE, write_mask

FOLDERS = ("JPEGImages", "Annotations", "SegmentationClass", "Parts", "ImageSets/Segmentation")
SPLITS = ("trainaug", "val", "test")  # the position of a name is part of the seed of its images
JPEG_QUALITY = 95
DIFFICULT_BELOW = 0.5  # visible share of an object that VOC's annotators would call difficult


def write_demo(root: Path | str, data: DataSettings, progress: bool = True) -> None:
    """Write the splits of `data` to a new or empty folder in VOC layout (see `thesislib.data.voc`).

    Beside VOC's folders: `Parts/<id>.png` (0 none, 1 head, 2 body, 3 thin part), `subtypes.csv` (a row per
    object) and `classes.txt`. `test` has no masks in `SegmentationClass` and no parts.

    Raises:
        ValueError: if `root` has other content.
    """
    root = Path(root)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise ValueError(f"{root} must be a new or empty folder to write the demo data to; choose another or empty it")
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True)
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES), encoding="utf-8")
    ids = {split: [f"{split}_{i:05d}" for i in range(getattr(data, split))] for split in SPLITS}
    for split, names in ({"train": ids["trainaug"][: data.train]} | ids).items():
        lines = "".join(f"{name}\n" for name in names)
        (root / "ImageSets/Segmentation" / f"{split}.txt").write_text(lines, encoding="utf-8")

    work = [(split, i, name) for split, names in ids.items() for i, name in enumerate(names)]
    with (root / "subtypes.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["image_id", "class_name", "subtype"])
        for split, i, name in tqdm(work, desc="demo images", unit="image", disable=not progress):
            scene = demo_scene(split, i, data)
            _write_scene(root, name, scene, with_masks=split != "test")
            table.writerows((name, CLASSES[thing.kind], thing.form) for thing in scene.things)


def demo_scene(split: str, i: int, data: DataSettings) -> Scene:
    """Image `i` of a split (`trainaug`, `val` or `test`): the same whatever the number of images is."""
    return draw_scene(i % len(CLASSES), data.image_size, _rng(split, i, data))


def contexts(split: str, data: DataSettings) -> Int64[np.ndarray, " n"]:
    """Number of the ground (`scenes.CONTEXTS`) of every image of a split, which no file of the data has."""
    plans = (draw_plan(i % len(CLASSES), _rng(split, i, data)) for i in range(getattr(data, split)))
    return np.array([context for _, _, context in plans], np.int64)


def _rng(split: str, i: int, data: DataSettings) -> np.random.Generator:
    return np.random.default_rng((data.data_seed, SPLITS.index(split), i))


def truth(scene: Scene) -> UInt8[np.ndarray, "size size"]:
    """Class mask: 0 background, c + 1 class c, and 255 on the pixels just outside each object's outline.

    The outline is 1 pixel wide and lies on what is behind the object, so that thin parts keep their width.
    """
    padded = np.pad(scene.instances, 1)
    neighbours = [padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]]
    mask = np.array([0] + [thing.kind + 1 for thing in scene.things], np.uint8)[scene.instances]
    mask[np.max(neighbours, axis=0) > scene.instances] = IGNORE
    return mask


def _write_scene(root: Path, name: str, scene: Scene, *, with_masks: bool) -> None:
    picture = Image.fromarray(scene.image)
    picture.save(root / "JPEGImages" / f"{name}.jpg", quality=JPEG_QUALITY, subsampling=0)
    (root / "Annotations" / f"{name}.xml").write_bytes(_annotation(name, scene))
    if with_masks:
        mask = truth(scene)
        write_mask(root / "SegmentationClass" / f"{name}.png", mask)
        write_mask(root / "Parts" / f"{name}.png", np.where(mask == IGNORE, 0, scene.parts))


def _annotation(name: str, scene: Scene) -> bytes:
    """VOC annotation: file name, size, and each object's class and box in 1-based pixels, corners included."""
    top = ElementTree.Element("annotation")
    size = len(scene.image)
    _add(top, "filename", f"{name}.jpg")
    _add_all(ElementTree.SubElement(top, "size"), {"width": size, "height": size, "depth": 3})
    _add(top, "segmented", 1)
    for number, thing in enumerate(scene.things, start=1):
        rows, columns = np.nonzero(scene.instances == number)
        item = ElementTree.SubElement(top, "object")
        _add_all(item, {"name": CLASSES[thing.kind], "difficult": int(thing.visible < DIFFICULT_BELOW)})
        corners = {"xmin": columns.min(), "ymin": rows.min(), "xmax": columns.max(), "ymax": rows.max()}
        _add_all(ElementTree.SubElement(item, "bndbox"), {key: corner + 1 for key, corner in corners.items()})
    ElementTree.indent(top)
    return ElementTree.tostring(top) + b"\n"


def _add(parent: ElementTree.Element, tag: str, value: object) -> None:
    ElementTree.SubElement(parent, tag).text = str(value)


def _add_all(parent: ElementTree.Element, values: dict[str, object]) -> None:
    for tag, value in values.items():
        _add(parent, tag, value)
