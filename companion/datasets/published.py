"""Results that are published without what they were made of: no photographs, masks, maps or weights.

The data are a folder in VOC layout without images, masks and annotations, written by `write` and opened by `open_split`
like any other; names, image labels and sizes are there. Whatever needs more raises `LeftOut`. Nothing here corresponds
to published code.
"""

from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Int64, UInt8

from companion.datasets.voc2012.protocol import supervision_masks
from thesislib.data.voc import VocDataset

MARK = "published.json"
"""In the root of a store of published results."""
FACTS = "facts.npz"
"""Beside the lists: labels, sizes and whatever else is known of the images of each split."""
LAYOUT = ("JPEGImages", "Annotations")
NOTICE = "Not published: the images, masks and annotations of the data. What tables need of them is in facts.npz.\n"


class LeftOut(RuntimeError):
    """What would be read is not published; the message is for the reader of a report.

    >>> print(LeftOut("images"))
    Left out: drawn from images, which are not published; it is made when you run the notebook.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"Left out: drawn from {self.what}, which are not published; it is made when you run the notebook."


def check_there(path: Path, what: str) -> None:
    """Do nothing, unless a file is missing because it is not published.

    Args:
        path: of a file in a folder of a store.
        what: it holds, in the plural, for the reader of a report.

    Raises:
        LeftOut: the store is one of published results, which has no such file.
    """
    if not path.is_file() and any((parent / MARK).is_file() for parent in path.parents):
        raise LeftOut(what)


class PublishedImages(VocDataset):
    """One split of published data; `image`, `mask` and `parts` raise `LeftOut`."""

    @cached_property
    def _facts(self) -> dict[str, np.ndarray]:
        with np.load(self.root / FACTS) as stored:
            names = [name for name in stored.files if name.startswith(f"{self.split}/")]
            return {name.removeprefix(f"{self.split}/"): stored[name] for name in names}

    @property
    def supervised(self) -> bool:
        """Whether every image has a mask that full supervision could train on."""
        return bool(self._facts["supervised"].all())

    @cached_property
    def labels(self) -> UInt8[np.ndarray, "n c"]:
        return self._facts["labels"]

    @cached_property
    def subtypes(self) -> Int64[np.ndarray, "n c"] | None:
        return self._facts.get("subtypes")

    def size(self, i: int) -> tuple[int, int]:
        height, width = self._facts["sizes"][i].tolist()
        return height, width

    def has_mask(self, i: int) -> bool:
        return bool(self._facts["masks"][i])

    def image(self, i: int) -> NoReturn:
        raise LeftOut("images")

    def mask(self, i: int) -> NoReturn:
        raise LeftOut("true masks")

    def parts(self, i: int) -> NoReturn:
        raise LeftOut("true masks")


def open_split(root: Path | str, split: str, *, cache: bool = False) -> VocDataset:
    """A split of a folder in VOC layout, whether its images are published or not.

    Raises:
        DataError: as `VocDataset`.
    """
    found = VocDataset(root, split, cache=cache)
    return PublishedImages(root, split) if (found.root / FACTS).is_file() else found


def is_supervised(images: VocDataset) -> bool:
    """Whether every image has a mask that full supervision can train on, or could where images are published."""
    if isinstance(images, PublishedImages):
        return images.supervised
    return all(path.is_file() for path in supervision_masks(images))


def write(folder: Path, splits: list[VocDataset]) -> None:
    """Write what may be known of the images of some splits to a new folder in VOC layout."""
    (folder / "ImageSets" / "Segmentation").mkdir(parents=True)
    for part in LAYOUT:
        (folder / part).mkdir()
        (folder / part / "NOTICE").write_text(NOTICE, encoding="utf-8")
    (folder / "classes.txt").write_text("\n".join(splits[0].classes) + "\n", encoding="utf-8")
    facts: dict[str, Any] = {}
    for images in splits:
        (folder / "ImageSets" / "Segmentation" / f"{images.split}.txt").write_text(
            "\n".join(images.ids) + "\n", encoding="utf-8"
        )
        facts |= {f"{images.split}/{name}": values for name, values in _facts_of(images).items()}
    np.savez_compressed(folder / FACTS, **facts)


def _facts_of(images: VocDataset) -> dict[str, np.ndarray]:
    every = range(len(images))
    facts = {
        "labels": images.labels,
        "sizes": np.array([images.size(i) for i in every], np.int32),
        "masks": np.array([images.has_mask(i) for i in every]),
        "supervised": np.array([path.is_file() for path in supervision_masks(images)]),
    }
    return facts | ({} if images.subtypes is None else {"subtypes": images.subtypes})
