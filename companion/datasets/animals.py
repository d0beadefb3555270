"""The photographs of preset `animals`, cut from PASCAL VOC 2012: images whose labels name one of five animals.

No data of the thesis, which uses all of VOC 2012 (2.4.1, 3.4.1), and no published counterpart. The rule: an image of
VOC's lists belongs to the cut if an object of its annotation is a cat, cow, dog, horse or sheep, difficult ones too;
splits stay those of VOC. Deliberate differences from VOC: images are at most 256 pixels long, never enlarged; there are
six classes, the five and person, who appears beside them; every other class is background; annotations have no boxes.
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from companion.datasets.checks import Share
from companion.datasets.reduced import write_reduced, write_text_whole
from companion.datasets.voc2012.protocol import AUGMENTED_MASKS
from thesislib.data.voc import (
    IGNORE,
    VOC_CLASSES,
    DataError,
    VocDataset,
    find_root,
    read_image,
    read_mask,
    read_names,
)

ANIMALS = ("cat", "cow", "dog", "horse", "sheep")
CLASSES = tuple(name for name in VOC_CLASSES if name in (*ANIMALS, "person"))
SPLITS = ("trainaug", "train", "val")
EXPECTED = {"trainaug": 3148, "train": 439, "val": 445}
"""Images of each split of the whole VOC 2012 with SBD's list of trainaug."""


class Cut(NamedTuple):
    """Images of each split, and how many have a mask to train the upper bound on or to be scored against."""

    images: dict[str, int]
    masks: int


def cut(voc: Path | str, output: Path | str, *, share: Share = map, progress: bool = False) -> Cut:
    """Write the cut of a VOC folder in VOC layout, with `classes.txt`; what an earlier attempt wrote is kept.

    Args:
        voc: the folder that holds VOCdevkit, with the list of trainaug (`voc2012.prepare` makes it).
        output: a new folder, or that of an earlier attempt.
        share: how the images are gone through, for example by several processes.
        progress: show a progress bar.

    Raises:
        DataError: no VOC folder, a list or a file is missing, no image of a split shows an animal, or `output` holds
            other data.
    """
    root, output = find_root(voc), Path(output)
    chosen = _chosen(root)
    _make(output, root)
    names = sorted({name for ids in chosen.values() for name in ids})
    copy = partial(_copy, root, output)
    masks = sum(tqdm(share(copy, names), "cutting", len(names), unit="image", disable=not progress))
    for split, ids in chosen.items():  # last, so that a folder with lists is whole
        write_text_whole(output / "ImageSets" / "Segmentation" / f"{split}.txt", "".join(f"{name}\n" for name in ids))
    return Cut({split: len(ids) for split, ids in chosen.items()}, masks)


def _chosen(root: Path) -> dict[str, list[str]]:
    """The images of each split that show one of the animals, in the order of VOC's lists."""
    if (root / "classes.txt").exists():
        raise DataError(f"{root} has a classes.txt, so it is not VOC: give --root, the folder that holds VOCdevkit")
    chosen = {}
    for split in SPLITS:
        images = VocDataset(root, split)
        chosen[split] = [name for i, name in enumerate(images.ids) if _shows_animal(images.annotation_path(i))]
        if not chosen[split]:
            raise DataError(
                f"none of the {len(images)} images in list {split} of {root} shows a {', '.join(ANIMALS[:-1])} or "
                f"{ANIMALS[-1]} by its annotation; give --root, a whole VOC 2012"
            )
    return chosen


def _shows_animal(annotation: Path) -> bool:
    if not annotation.is_file():
        raise DataError(f"no annotation {annotation}; it says what the image shows: extract VOC's archive again")
    return not set(ANIMALS).isdisjoint(read_names(annotation))


def _make(output: Path, root: Path) -> None:
    """The folders and class names of the cut."""
    text = "".join(f"{name}\n" for name in CLASSES)
    listed = output / "classes.txt"
    foreign = (
        output.exists()
        and any(output.iterdir())
        and not (listed.is_file() and listed.read_text(encoding="utf-8") == text)
    )
    if foreign or output.resolve() == root.resolve():
        raise DataError(f"{output} holds something else; give --output, a folder that does not exist yet")
    folders = ["JPEGImages", "Annotations", "SegmentationClass", "ImageSets/Segmentation"]
    for folder in [*folders, *([AUGMENTED_MASKS] if (root / AUGMENTED_MASKS).is_dir() else [])]:
        (output / folder).mkdir(parents=True, exist_ok=True)
    write_text_whole(listed, text)


def _copy(root: Path, output: Path, name: str) -> bool:
    """Write image, masks and annotation of one image; returns whether it has a mask."""
    annotation = output / "Annotations" / f"{name}.xml"
    sources = [root / folder / f"{name}.png" for folder in ("SegmentationClass", AUGMENTED_MASKS)]
    masks = [path for path in sources if path.is_file()]
    if annotation.is_file():  # written last
        return bool(masks)
    picture = read_image(root / "JPEGImages" / f"{name}.jpg")
    reduced = {output / path.relative_to(root): own_indices(read_mask(path)) for path in masks}
    shown = set(read_names(root / "Annotations" / f"{name}.xml"))
    write_reduced(output, name, picture, reduced, [each for each in CLASSES if each in shown])
    return bool(masks)


def own_indices(mask: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """VOC's indices as those of the six classes: other classes are background, outlines stay 255."""
    table = np.zeros(256, np.uint8)
    table[IGNORE] = IGNORE
    table[[VOC_CLASSES.index(name) + 1 for name in CLASSES]] = np.arange(1, len(CLASSES) + 1)
    return table[mask]


def differences(images: dict[str, int]) -> list[str]:
    """What sets the cut apart from that of the whole VOC 2012; nothing if nothing does."""
    return [
        f"{split} has {images[split]} images, {expected} in the whole VOC 2012"
        for split, expected in EXPECTED.items()
        if images[split] != expected
    ]
