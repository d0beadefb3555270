"""Folders in PASCAL VOC layout: splits, image labels, masks and their palette; the generated demo data use it too.

Protocol of thesis 2.4.1 and 3.4.1 (VOC 2012). Image labels follow psa `voc12/make_cls_labels.py`, masks are palette
indices. Deliberate differences: labels are read from the annotations instead of a stored array of labels, and masks by
PIL without colour conversion, where SC-CAM's scoring reads them through OpenCV's grey values and gets wrong indices.

    <root>/JPEGImages/<id>.jpg          Annotations/<id>.xml         ImageSets/Segmentation/<split>.txt
           SegmentationClass/<id>.png   classes.txt (data other than VOC: one name per line, without background)
           Parts/<id>.png, subtypes.csv (generated data only, for analysis)
"""

import csv
import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from thesislib.data.annotations import read_names
from thesislib.data.class_names import NO_CLASS, plain_name
from thesislib.data.pictures import (
    IMAGE_SUFFIXES,
    MASK_SUFFIXES,
    DataError,
    find_file,
    read_image,
    read_mask,
    read_size,
)

IGNORE = 255  # object outlines and difficult objects: left out of losses and scores
VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
_FOLDERS = ("JPEGImages", "Annotations", "ImageSets/Segmentation")


class VocDataset:
    """One split of a folder in VOC layout; images and masks are decoded when asked for.

    Args:
        root: the folder with `JPEGImages`, or the `VOCdevkit` above it, or the folder above that.
        split: name of a list in `ImageSets/Segmentation`, for example `train`.
        cache: keep decoded images and masks in memory (small data read many times).

    Attributes:
        root: the folder with `JPEGImages`.
        ids: image names in the order of the list.
        classes: class names without background; class `c` is `c + 1` in masks.

    Raises:
        DataError: if the layout, the list or the class file is missing or wrong.
    """

    def __init__(self, root: Path | str, split: str, *, cache: bool = False) -> None:
        self.root = find_root(root)
        self.split = split
        self.classes = read_classes(self.root)
        self.ids = read_ids(self.root, split)
        self._decoded: dict[Path, np.ndarray] | None = {} if cache else None

    def __len__(self) -> int:
        return len(self.ids)

    def size(self, i: int) -> tuple[int, int]:
        """Height and width of image `i` the right way up, read from the file's header."""
        return read_size(self.image_path(i))

    def image(self, i: int) -> UInt8[np.ndarray, "h w 3"]:
        """RGB image `i`; raises `DataError` if the file is missing or unreadable."""
        return self._decode(self.image_path(i), read_image)

    def mask(self, i: int) -> UInt8[np.ndarray, "h w"]:
        """Truth of image `i`: 0 background, `c + 1` class c, 255 ignored; raises `DataError` if there is none."""
        return self._decode(self.mask_path(i), read_mask)

    def parts(self, i: int) -> UInt8[np.ndarray, "h w"] | None:
        """Parts of the objects in generated image `i`: 0 none, 1 head, 2 body, 3 thin part; None for other data."""
        folder = self.root / "Parts"
        return self._decode(folder / f"{self.ids[i]}.png", read_mask) if folder.is_dir() else None

    @cached_property
    def labels(self) -> UInt8[np.ndarray, "n c"]:
        """Image labels: 1 for each class that any object of the annotation has, difficult and truncated ones too."""
        index = {name: c for c, name in enumerate(self.classes)}
        labels = np.zeros((len(self), len(self.classes)), np.uint8)
        for i, row in enumerate(labels):
            row[[index[name] for name in read_names(self.annotation_path(i)) if name in index]] = 1
        return labels

    @cached_property
    def subtypes(self) -> Int64[np.ndarray, "n c"] | None:
        """Sub-type of the first object of each class in each generated image, -1 without one; None for other data."""
        path = self.root / "subtypes.csv"
        return _read_subtypes(path, self.ids, self.classes) if path.is_file() else None

    def image_path(self, i: int) -> Path:
        """File of image `i`: `.jpg` unless only another suffix of `IMAGE_SUFFIXES` exists."""
        return find_file(self.root / "JPEGImages", self.ids[i])

    def annotation_path(self, i: int) -> Path:
        """Annotation of image `i`, whether it exists or not."""
        return find_file(self.root / "Annotations", self.ids[i], (".xml",))

    def mask_path(self, i: int) -> Path:
        """File of mask `i`, whether it exists or not: a test split has none."""
        return find_file(self.root / "SegmentationClass", self.ids[i], MASK_SUFFIXES)

    def has_mask(self, i: int) -> bool:
        """Whether there is truth for image `i`."""
        return self.mask_path(i).is_file()

    def _decode(self, path: Path, read: Callable[[Path], np.ndarray]) -> np.ndarray:
        if self._decoded is None:
            return read(path)
        if path not in self._decoded:
            self._decoded[path] = read(path)
        return self._decoded[path].copy()


class ClassCounts(NamedTuple):
    """Images per class `(C,)`, and images that contain both of two classes `(C, C)`."""

    images: Int64[np.ndarray, " c"]
    together: Int64[np.ndarray, "c c"]


def counts_per_class(dataset: VocDataset) -> ClassCounts:
    """How many images of the split contain each class and each pair of classes."""
    labels = dataset.labels.astype(np.int64)
    return ClassCounts(labels.sum(axis=0), labels.T @ labels)


def find_root(root: Path | str) -> Path:
    """The folder with `JPEGImages` in or under `root` (its parents `VOCdevkit` and above are accepted)."""
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"no data folder at {root}: give the folder that holds VOCdevkit, or one in VOC layout")
    candidates = [root, root / "VOC2012", root / "VOCdevkit" / "VOC2012"]
    for candidate in candidates:
        if all((candidate / folder).is_dir() for folder in _FOLDERS):
            return candidate
    nearest = max(candidates, key=lambda candidate: sum((candidate / folder).is_dir() for folder in _FOLDERS))
    missing = [folder for folder in _FOLDERS if not (nearest / folder).is_dir()]
    found = sorted(entry.name for entry in root.iterdir())
    raise DataError(
        f"{root} is not in VOC layout: {nearest} lacks {', '.join(missing)}. Expected {', '.join(_FOLDERS)} in the "
        f"folder itself, in VOC2012 or in VOCdevkit/VOC2012 below it; found {_some(found)}. "
        "Extract VOCtrainval_11-May-2012.tar there, or arrange your data like that"
    )


def read_classes(root: Path) -> tuple[str, ...]:
    """Class names without background: the lines of `classes.txt`, or VOC's twenty where there is no such file."""
    path = root / "classes.txt"
    if not path.exists():
        return VOC_CLASSES
    names = tuple(line.strip() for line in _read_lines(path))
    must = f"{path} must list 1 to {IGNORE - 1} different class names, without background, one per line"
    if void := [name for name in names if plain_name(name) in NO_CLASS]:
        raise DataError(f"{must}: delete {', '.join(map(repr, void))}; in masks 0 is background, {IGNORE} is ignored")
    if not 1 <= len(names) < IGNORE or len(set(names)) != len(names):
        raise DataError(must)
    return names


def read_ids(root: Path, split: str, *, folders: bool = False) -> tuple[str, ...]:
    """Image names of a split in file order; `folders`: they may lie in folders, as no `VocDataset` has them."""
    folder = root / "ImageSets" / "Segmentation"
    path = folder / f"{split}.txt"
    if not path.is_file():
        present = sorted(entry.stem for entry in folder.glob("*.txt"))
        hint = ": VOC itself has no such list, it is made from VOC and SBD" if split == "trainaug" else ""
        raise DataError(f"no split {split!r}: {path} is missing{hint}. Splits in this folder: {_some(present)}")
    lines = _read_lines(path)
    if not lines:
        raise DataError(f"{path} lists no image: expected one image name per line")
    ids = tuple(_image_name(line) for line in lines)
    usable = [bool(name) and (folders or "/" not in name) for name in ids]
    if wrong := [line.strip() for line, fits in zip(lines, usable, strict=True) if not fits]:
        raise DataError(
            f"{path} must have one image name per line, without folder; got {_some(wrong)}. A suffix, a number behind "
            "the name, and lines such as /JPEGImages/a.jpg /SegmentationClass/a.png are understood too"
        )
    return ids


def _image_name(line: str) -> str:
    """The image that a line of a list names: alone, with its suffix, or as VOC and irn write it; empty: none.

    >>> [_image_name(line) for line in ("a", "a.JPG", "a  -1", "a,1", "/JPEGImages/a/b.jpg /SegmentationClass/a/b.png")]
    ['a', 'a', 'a', 'a', 'a/b']
    """
    first, *others = re.split(r"[\s,;]+", line.strip())
    if not all(re.fullmatch(r"[+-]?\d+|\S*/\S+\.\w+", other) for other in others if other):
        return ""
    name = re.sub(r"^/?JPEGImages/", "", first)
    if Path(name).suffix.lower() in IMAGE_SUFFIXES:
        name = name[: -len(Path(name).suffix)]
    return "" if "\\" in name or not all(part.strip(".") for part in name.split("/")) else name


def write_mask(path: Path | str | BinaryIO, mask: UInt8[np.ndarray, "h w"]) -> None:
    """Store indices as an 8-bit PNG with the VOC palette, as VOC's own masks and its test server have them."""
    image = Image.fromarray(mask)
    image.putpalette(palette().tobytes())
    image.save(path, format="PNG")


def palette() -> UInt8[np.ndarray, "256 3"]:
    """The VOC colours: index bits 0, 3, 6 make red from its highest bit down, bits 1, 4, 7 green, bits 2, 5 blue.

    >>> palette()[[1, 15, 255]].tolist()
    [[128, 0, 0], [192, 128, 128], [224, 224, 192]]
    """
    index = np.arange(256)[:, None]
    channel = np.arange(3)
    bits = [(index >> (3 * triple + channel) & 1) << (7 - triple) for triple in range(3)]
    return np.sum(bits, axis=0).astype(np.uint8)


def colorize(mask: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """RGB picture of a mask in the VOC palette."""
    return palette()[mask]


def _read_lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeError) as error:
        raise DataError(f"cannot read {path}: {error}. Expected a text file in UTF-8") from error


def _read_subtypes(path: Path, ids: tuple[str, ...], classes: tuple[str, ...]) -> Int64[np.ndarray, "n c"]:
    rows, columns = ({name: i for i, name in enumerate(names)} for names in (ids, classes))
    subtypes = np.full((len(ids), len(classes)), -1, np.int64)
    with path.open(newline="", encoding="utf-8") as file:
        for entry in csv.DictReader(file):
            cell = rows.get(entry["image_id"]), columns.get(entry["class_name"])
            if None not in cell and subtypes[cell] < 0:
                subtypes[cell] = int(entry["subtype"])
    return subtypes


def _some(names: list[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return (", ".join(names[:limit]) or "nothing") + more
