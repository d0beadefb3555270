"""Validation of a data folder before long work starts, and the fingerprint that stands for it in artefact keys.

Thesis 2.4.1 and 3.4.1 (VOC 2012). The published code has no counterpart: psa and SC-CAM stop at the first missing file,
in the middle of a run.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from companion.datasets.voc2012.protocol import AUGMENTED_MASKS
from thesislib.data.voc import IGNORE, DataError, VocDataset, read_mask, read_names

_LISTED = 5
Problem = tuple[str, str]  # its kind, with what to do; and the case at hand
Share = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]
"""`share(task, items)`: `task(item)` of every item in their order, as `map` does it."""


def check(
    dataset: VocDataset,
    *,
    labels: bool = True,
    masks: bool = True,
    full: bool = False,
    progress: bool = False,
    share: Share = map,
    listed: int = _LISTED,
) -> None:
    """Look for every problem of a split and report them together.

    The quick level takes well under a millisecond per image: files exist, annotations are readable and name a known
    class. The full level also decodes every image and every mask there is (in `SegmentationClassAug` as well),
    and compares their sizes and values.

    Args:
        dataset: the split to check; building it has already checked the folder, the list and the class names.
        labels: each image needs an annotation with a known class (training, response maps).
        masks: each image needs a mask (scores); trainaug and test have images without one.
        full: decode images and masks.
        progress: show a progress bar.
        share: how the images are gone through, for example by several processes.
        listed: how many problems of each kind to name.

    Raises:
        DataError: with the number of problems of each kind, the first few of them, and what to do.
    """
    problems: dict[str, list[str]] = defaultdict(list)
    for image_id in sorted(name for name, times in Counter(dataset.ids).items() if times > 1):
        problems["listed more than once in the split: remove the repetition"].append(image_id)
    found = share(partial(_problems, dataset, labels, masks, full), range(len(dataset)))
    for of_image in tqdm(found, f"checking {dataset.split}", len(dataset), unit="image", disable=not progress):
        for kind, case in of_image:
            problems[kind].append(case)
    if problems:
        raise DataError(_report(dataset, problems, listed))


def fingerprint(root: Path | str, splits: Sequence[str]) -> str:
    """Short hash of what the given splits hold: class names, image names, annotations, sub-types, and file sizes.

    Pixels are not read, so that 10,000 images take about a second: a file replaced by one of the same length goes
    unnoticed. The place of the folder does not matter.

    Returns:
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for split in splits:
        dataset = VocDataset(root, split)
        digest.update(repr((split, dataset.classes, dataset.ids)).encode())
        digest.update(_content(dataset.root / "subtypes.csv"))
        for i, image_id in enumerate(dataset.ids):
            files = (dataset.image_path(i), dataset.mask_path(i), dataset.root / "Parts" / f"{image_id}.png")
            digest.update(repr([_size(path) for path in files]).encode())
            digest.update(_content(dataset.annotation_path(i)))
    return digest.hexdigest()[:16]


def _problems(dataset: VocDataset, labels: bool, masks: bool, full: bool, i: int) -> list[Problem]:
    return [
        *_missing_files(dataset, i, masks),
        *(_annotation_problems(dataset, i) if labels else []),
        *(_pixel_problems(dataset, i) if full else []),
    ]


def _missing_files(dataset: VocDataset, i: int, masks: bool) -> Iterator[Problem]:
    if not dataset.image_path(i).is_file():
        yield "missing in JPEGImages: copy the image, or take its name out of the list", dataset.ids[i]
    if masks and not dataset.mask_path(i).is_file():
        yield "missing in SegmentationClass: copy the mask, or use a split that has masks", dataset.ids[i]


def _annotation_problems(dataset: VocDataset, i: int) -> Iterator[Problem]:
    path = dataset.annotation_path(i)
    if not path.is_file():
        yield "missing in Annotations: copy the annotation; image labels come from it", dataset.ids[i]
        return
    try:
        names = read_names(path)
    except DataError as error:
        yield "unreadable annotation", str(error)
        return
    if not set(names) & set(dataset.classes):
        known = f"{', '.join(dataset.classes[:3])}, ...; other names need a classes.txt"
        kind = f"annotated without a known class ({known})"
        yield kind, f"{path.name} has {', '.join(sorted(set(names))) or 'no <name>'}"


def _pixel_problems(dataset: VocDataset, i: int) -> Iterator[Problem]:
    shape = None
    if dataset.image_path(i).is_file():
        try:
            shape = dataset.image(i).shape[:2]
        except DataError as error:
            yield "unreadable", str(error)
    for path in (dataset.mask_path(i), dataset.root / AUGMENTED_MASKS / f"{dataset.ids[i]}.png"):
        if path.is_file():
            try:
                yield from _mask_problems(read_mask(path), path, shape, len(dataset.classes))
            except DataError as error:
                yield "unreadable", str(error)


def _mask_problems(
    mask: UInt8[np.ndarray, "h w"], path: Path, shape: tuple[int, ...] | None, classes: int
) -> Iterator[Problem]:
    if shape is not None and mask.shape != shape:
        kind = "mask of another size than its image (height, width): export it again at the image's size"
        yield kind, f"{path.name} {mask.shape} for {shape}"
    values = np.unique(mask)
    wrong = values[(values > classes) & (values != IGNORE)]
    if wrong.size:
        kind = f"mask values other than 0..{classes} and {IGNORE}: store class indices"
        yield kind, f"{path.name} has {', '.join(map(str, wrong[:_LISTED]))}"


def _report(dataset: VocDataset, problems: dict[str, list[str]], listed: int) -> str:
    lines = [f"problems in split {dataset.split!r} of {dataset.root} ({sum(map(len, problems.values()))} in all):"]
    for kind, items in problems.items():
        more = f"; and {len(items) - listed} more" if len(items) > listed else ""
        lines.append(f"- {len(items)} {kind}: {'; '.join(items[:listed])}{more}")
    return "\n".join(lines)


def masks_fingerprint(images: VocDataset) -> str:
    """Short hash of the sizes of SBD's masks for a split, empty if there are none: for what is trained on them.

    Not part of `fingerprint`: masks that are added for the upper bound change nothing else.
    """
    sizes = [_size(images.root / AUGMENTED_MASKS / f"{name}.png") for name in images.ids]
    return hashlib.sha256(repr(sizes).encode()).hexdigest()[:16] if max(sizes) >= 0 else ""


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1
