"""Validation of a data folder before long work starts, and the fingerprint that stands for it in artefact keys.

Thesis 2.4.1 and 3.4.1 (VOC 2012). The published code has no counterpart: psa and SC-CAM stop at the first missing file,
in the middle of a run.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from thesislib.data.voc import IGNORE, DataError, VocDataset, read_names

_LISTED = 5


def check(
    dataset: VocDataset, *, labels: bool = True, masks: bool = True, full: bool = False, progress: bool = False
) -> None:
    """Look for every problem of a split and report them together.

    The quick level takes well under a millisecond per image: files exist, annotations are readable and name a known
    class. The full level also decodes every image and every mask there is, and compares their sizes and values.

    Args:
        dataset: the split to check; building it has already checked the folder, the list and the class names.
        labels: each image needs an annotation with a known class (training, response maps).
        masks: each image needs a mask (scores); trainaug and test have images without one.
        full: decode images and masks.
        progress: show a progress bar.

    Raises:
        DataError: with the number of problems of each kind, the first few of them, and what to do.
    """
    problems: dict[str, list[str]] = defaultdict(list)
    for image_id in sorted(name for name, times in Counter(dataset.ids).items() if times > 1):
        problems["listed more than once in the split: remove the repetition"].append(image_id)
    for i in tqdm(range(len(dataset)), desc=f"checking {dataset.split}", unit="image", disable=not progress):
        _check_files(dataset, i, masks, problems)
        if labels:
            _check_annotation(dataset, i, problems)
        if full:
            _check_pixels(dataset, i, problems)
    if problems:
        raise DataError(_report(dataset, problems))


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


def _check_files(dataset: VocDataset, i: int, masks: bool, problems: dict[str, list[str]]) -> None:
    if not dataset.image_path(i).is_file():
        problems["missing in JPEGImages: copy the image, or take its name out of the list"].append(dataset.ids[i])
    if masks and not dataset.mask_path(i).is_file():
        problems["missing in SegmentationClass: copy the mask, or use a split that has masks"].append(dataset.ids[i])


def _check_annotation(dataset: VocDataset, i: int, problems: dict[str, list[str]]) -> None:
    path = dataset.annotation_path(i)
    if not path.is_file():
        problems["missing in Annotations: copy the annotation; image labels come from it"].append(dataset.ids[i])
        return
    try:
        names = read_names(path)
    except DataError as error:
        problems["unreadable annotation"].append(str(error))
        return
    if not set(names) & set(dataset.classes):
        kind = (
            f"annotated without a known class ({', '.join(dataset.classes[:3])}, ...; other names need a classes.txt)"
        )
        problems[kind].append(f"{path.name} has {', '.join(sorted(set(names))) or 'no <name>'}")


def _check_pixels(dataset: VocDataset, i: int, problems: dict[str, list[str]]) -> None:
    image = _decode(dataset.image_path(i), dataset.image, i, problems)
    mask = _decode(dataset.mask_path(i), dataset.mask, i, problems)
    if mask is None:
        return
    name = dataset.mask_path(i).name
    if image is not None and mask.shape != image.shape[:2]:
        kind = "mask of another size than its image (height, width): export it again at the image's size"
        problems[kind].append(f"{name} {mask.shape} for {image.shape[:2]}")
    values = np.unique(mask)
    wrong = values[(values > len(dataset.classes)) & (values != IGNORE)]
    if wrong.size:
        kind = f"mask values other than 0..{len(dataset.classes)} and {IGNORE}: store class indices"
        problems[kind].append(f"{name} has {', '.join(map(str, wrong[:_LISTED]))}")


def _decode(path: Path, read: Callable[[int], np.ndarray], i: int, problems: dict[str, list[str]]) -> np.ndarray | None:
    if not path.is_file():
        return None
    try:
        return read(i)
    except DataError as error:
        problems["unreadable"].append(str(error))
        return None


def _report(dataset: VocDataset, problems: dict[str, list[str]]) -> str:
    lines = [f"problems in split {dataset.split!r} of {dataset.root} ({sum(map(len, problems.values()))} in all):"]
    for kind, items in problems.items():
        more = f"; and {len(items) - _LISTED} more" if len(items) > _LISTED else ""
        lines.append(f"- {len(items)} {kind}: {'; '.join(items[:_LISTED])}{more}")
    return "\n".join(lines)


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1
