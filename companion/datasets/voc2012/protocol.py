"""What the PASCAL VOC 2012 data of the thesis are: archives, lists of images, and how many images have each class.

Thesis 2.4.1 and 3.4.1. Lists are those of psa and SC-CAM (`voc12/*.txt`), labels those of psa
`voc12/make_cls_labels.py`; counts and checksums were computed from them. Deliberate difference: published code trusts
whatever lists it finds. The thesis prints 10,528 training images, every list in use has 10,582 (S1).
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from companion.datasets.voc2012.downloads import Archive
from thesislib.data.voc import VOC_CLASSES, DataError, VocDataset, read_ids

SPLITS = ("trainaug", "train", "val", "test")
AUGMENTED_MASKS = "SegmentationClassAug"


@dataclass(frozen=True)
class SplitFacts:
    """A list: its length, `ids_checksum` of its ids, and images per class in VOC's order (none without annotations)."""

    images: int
    checksum: str
    per_class: tuple[int, ...] = ()


@dataclass(frozen=True)
class Benchmark:
    """Data set with the lists that an experiment assumes, and where it comes from.

    Attributes:
        voc: images, annotations, masks, and the lists `train` and `val`.
        sbd: the id lists and masks of the Semantic Boundaries Dataset (Hariharan et al. 2011).
        sbd_images: lengths of SBD's own lists `train` and `val`.
        splits: facts about each split.
        test_images: how to get the images of `test`.
    """

    name: str
    voc: Archive
    sbd: Archive
    sbd_images: Mapping[str, int]
    splits: Mapping[str, SplitFacts]
    test_images: str


def ids_checksum(ids: Iterable[str]) -> str:
    """SHA-256 of the sorted ids, one a line.

    >>> ids_checksum(["b", "a"]) == hashlib.sha256(b"a\\nb\\n").hexdigest()
    True
    """
    return hashlib.sha256("".join(f"{name}\n" for name in sorted(ids)).encode()).hexdigest()


def list_differences(split: str, ids: Iterable[str], facts: SplitFacts) -> list[str]:
    """What sets a list apart from the one the facts are about; nothing if it is the same but for its order."""
    ids = list(ids)
    if ids_checksum(ids) == facts.checksum:
        return []
    if len(ids) != facts.images:
        return [f"list {split} has {len(ids)} images, expected {facts.images}"]
    found, expected = (checksum[:12] for checksum in (ids_checksum(ids), facts.checksum))
    return [f"list {split} has {len(ids)} images as expected, but not the same ones ({found}..., not {expected}...)"]


def label_differences(images: VocDataset, facts: SplitFacts) -> list[str]:
    """Classes whose number of images, by the annotations, is not that of the facts.

    Raises:
        DataError: an annotation is missing or unreadable.
    """
    if not facts.per_class:
        return []
    found = images.labels.sum(axis=0, dtype=int).tolist()
    wrong = [
        f"{name} {n} (expected {expected})"
        for name, n, expected in zip(images.classes, found, facts.per_class, strict=True)
        if n != expected
    ]
    return [f"images per class of {images.split} by the annotations: {', '.join(wrong)}"] if wrong else []


def has_list(root: Path, split: str) -> bool:
    """Whether the folder (with `JPEGImages`) has the list of a split."""
    return (root / "ImageSets" / "Segmentation" / f"{split}.txt").is_file()


def readable_lists(root: Path) -> dict[str, tuple[str, ...]]:
    """Ids of each split in `SPLITS` whose list the folder has and that can be read."""
    lists = {}
    for split in SPLITS:
        with suppress(DataError):
            lists[split] = read_ids(root, split)
    return lists


def is_benchmark(root: Path, benchmark: Benchmark) -> bool:
    """Whether the folder is the benchmark rather than data of somebody's own: `train` or `val` is the very list."""
    if (root / "classes.txt").exists():
        return False
    lists = readable_lists(root)
    own = [split for split in ("train", "val") if split in lists]
    return any(not list_differences(split, lists[split], benchmark.splits[split]) for split in own)


def missing_masks(root: Path, ids: Sequence[str]) -> list[str]:
    """Those of the images that have no mask in `SegmentationClassAug`."""
    return [name for name in ids if not (root / AUGMENTED_MASKS / f"{name}.png").is_file()]


def supervision_masks(images: VocDataset) -> list[Path]:
    """Masks to train on with full supervision: of `SegmentationClassAug` where it has one, else the image's own.

    Scores never use them: `VocDataset.mask_path` is VOC's own mask, also where there is another.
    """
    augmented = [images.root / AUGMENTED_MASKS / f"{name}.png" for name in images.ids]
    return [path if path.is_file() else images.mask_path(i) for i, path in enumerate(augmented)]


_PER_CLASS = {  # images of trainaug, train and val that have each class
    **{"aeroplane": (590, 88, 90), "bicycle": (504, 65, 79), "bird": (705, 105, 103), "boat": (468, 78, 72)},
    **{"bottle": (714, 87, 96), "bus": (393, 78, 74), "car": (1150, 128, 127), "cat": (1005, 131, 119)},
    **{"chair": (1228, 148, 123), "cow": (267, 64, 71), "diningtable": (613, 82, 75), "dog": (1188, 121, 128)},
    **{"horse": (445, 68, 79), "motorbike": (492, 81, 76), "person": (4155, 442, 445), "pottedplant": (522, 82, 85)},
    **{"sheep": (300, 63, 57), "sofa": (649, 93, 90), "train": (503, 83, 84), "tvmonitor": (567, 84, 74)},
}
_TRAINAUG, _TRAIN, _VAL = zip(*(_PER_CLASS[name] for name in VOC_CLASSES), strict=True)

VOC2012 = Benchmark(
    name="PASCAL VOC 2012",
    voc=Archive(
        "VOCtrainval_11-May-2012.tar",
        (
            "https://thor.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
            "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
        ),
        md5="6cd6e144f989b92b3379bac3b3de84fd",
        size=1_999_639_040,
    ),
    sbd=Archive(
        "benchmark.tgz",
        (
            "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz",
            "http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz",
        ),
        md5="82b4d87ceb2ed10f6038a1cba92111cb",
        size=1_419_539_633,
    ),
    sbd_images={"train": 8498, "val": 2857},
    splits={
        "trainaug": SplitFacts(10_582, "d1326bd532648d73bc4b1bd275434eba81930982dc7401a65a8cecb26c028e24", _TRAINAUG),
        "train": SplitFacts(1464, "aa623bd2c8ce4443a8aaae51c524c0eb165e8e44caf6aa9e3ad33d7b75a3ef20", _TRAIN),
        "val": SplitFacts(1449, "cdc1326d12f69ce5153aa5da04a4d8783e146868d42d19f82f44e74b97ac907d", _VAL),
        "test": SplitFacts(1456, "5e8fe0c14b2e6633fb2e3a0f5db65fb6b8f5217b574478bb21127a48fd33010f"),
    },
    test_images="VOC2012test.tar needs an account at http://host.robots.ox.ac.uk:8080; extract it beside the rest",
)
