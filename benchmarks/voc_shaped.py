"""Generated data of VOC 2012's shape, packed as VOC and SBD are published, and the facts that verify them.

Thesis 2.4.1 and 3.4.1; for `dry_run.py`. The demo's scenes are enlarged to VOC's size, and their eight kinds of objects
go through the names of the twenty classes. Differences from VOC: its archive holds the test images and their list too,
annotations have no boxes, and SBD's archive holds its lists alone.
"""

import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from companion.datasets.demo.generator import truth
from companion.datasets.demo.scenes import CLASSES, draw_scene
from companion.datasets.voc2012.downloads import Archive
from companion.datasets.voc2012.protocol import VOC2012, Benchmark, SplitFacts, ids_checksum
from thesislib.data.voc import IGNORE, VOC_CLASSES, write_mask
from thesislib.models.weights import file_digest

SIZE = (375, 500)  # height and width in pixels
DRAWN = 125  # pixels: side of a scene before it is enlarged


class Counts(NamedTuple):
    """Images a split; `train` is part of `trainaug`."""

    trainaug: int
    train: int
    val: int
    test: int


FULL = Counts(10_582, 1464, 1449, 1456)


def write_archives(folder: Path, counts: Counts, size: tuple[int, int]) -> Benchmark:
    """Both archives, and the facts about them by which they are verified."""
    ids = [f"2008_{i:06d}" for i in range(counts.trainaug + counts.val + counts.test)]
    splits = {
        "trainaug": ids[: counts.trainaug],
        "train": ids[: counts.train],
        "val": ids[counts.trainaug : counts.trainaug + counts.val],
        "test": ids[counts.trainaug + counts.val :],
    }
    in_sbd = splits["trainaug"] + splits["val"][: counts.val // 2]  # as in SBD, images of VOC's val are among them
    sbd = {"train": in_sbd[::2], "val": in_sbd[1::2]}
    with tempfile.TemporaryDirectory(dir=folder) as place:
        sources = Path(place)
        labels = write_voc(sources / "VOCdevkit" / "VOC2012", splits, size)
        for split, names in sbd.items():
            write_list(sources / "benchmark_RELEASE" / "dataset" / f"{split}.txt", names)
        voc_archive = pack(sources / "VOCdevkit", folder / VOC2012.voc.filename)
        sbd_archive = pack(sources / "benchmark_RELEASE", folder / VOC2012.sbd.filename)
    return replace(
        VOC2012,
        name="the generated data set",
        voc=voc_archive,
        sbd=sbd_archive,
        sbd_images={split: len(names) for split, names in sbd.items()},
        splits={split: facts(names, labels) for split, names in splits.items()},
    )


def write_voc(root: Path, splits: dict[str, list[str]], size: tuple[int, int]) -> dict[str, list[str]]:
    """`VOCdevkit/VOC2012`; returns the classes of each image that has an annotation."""
    for folder in ("JPEGImages", "Annotations", "SegmentationClass"):
        (root / folder).mkdir(parents=True)
    for split in ("train", "val", "test"):
        write_list(root / "ImageSets" / "Segmentation" / f"{split}.txt", splits[split])
    with_mask, labels = {*splits["train"], *splits["val"]}, {}
    for i, name in enumerate([*splits["trainaug"], *splits["val"], *splits["test"]]):
        image, mask = draw(i, size)
        image.save(root / "JPEGImages" / f"{name}.jpg", quality=90)
        if i < len(splits["trainaug"]) + len(splits["val"]):
            labels[name] = [VOC_CLASSES[value - 1] for value in np.unique(mask).tolist() if 0 < value < IGNORE]
            write_annotation(root / "Annotations" / f"{name}.xml", labels[name], size)
        if name in with_mask:
            write_mask(root / "SegmentationClass" / f"{name}.png", mask)
    return labels


def draw(i: int, size: tuple[int, int]) -> tuple[Image.Image, np.ndarray]:
    """Image `i`, whose first object is of class `i` modulo 20, and its mask `(height, width)`."""
    first = i % len(CLASSES)
    scene = draw_scene(first, DRAWN, np.random.default_rng(i))
    values = np.arange(256, dtype=np.uint8)  # from the eight kinds of objects to VOC's classes
    values[1 : len(CLASSES) + 1] = 1 + (np.arange(len(CLASSES)) + i - first) % len(VOC_CLASSES)
    image, mask = Image.fromarray(scene.image), Image.fromarray(values[truth(scene)])
    height, width = size
    return image.resize((width, height)), np.array(mask.resize((width, height), Image.Resampling.NEAREST))


def write_annotation(path: Path, names: Sequence[str], size: tuple[int, int]) -> None:
    """Size and objects in VOC's XML."""
    objects = "".join(f"<object><name>{name}</name><difficult>0</difficult></object>" for name in names)
    shape = f"<size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>"
    path.write_text(f"<annotation><filename>{path.stem}.jpg</filename>{shape}{objects}</annotation>\n")


def write_list(path: Path, names: Sequence[str]) -> None:
    """One name a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in names))


def facts(names: Sequence[str], labels: dict[str, list[str]]) -> SplitFacts:
    """Length, checksum and images per class of a list; none per class where images have no annotation."""
    if not set(names) <= labels.keys():
        return SplitFacts(len(names), ids_checksum(names))
    per_class = tuple(sum(kind in labels[name] for name in names) for kind in VOC_CLASSES)
    return SplitFacts(len(names), ids_checksum(names), per_class)


def pack(source: Path, target: Path) -> Archive:
    """A folder as a tar file, compressed where its ending says so."""
    with tarfile.open(target, "w:gz" if target.suffix == ".tgz" else "w") as tar:
        tar.add(source, arcname=source.name)
    return Archive(target.name, ("written here",), file_digest(target, "md5"), target.stat().st_size)
