"""Validation of a data folder before long work starts.

Thesis 2.4.1 and 3.4.1 (VOC 2012). The published code has no counterpart: psa and SC-CAM stop at the first missing file,
in the middle of a run.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from companion.datasets.agreement import ImageFacts
from companion.datasets.colours import COLOURS, LINE, is_coloured
from companion.datasets.voc2012.protocol import AUGMENTED_MASKS
from thesislib.data.annotations import read_all_names
from thesislib.data.pictures import is_turned, namesakes
from thesislib.data.voc import IGNORE, DataError, VocDataset, read_mask

_LISTED = 5
EMPTY_ALLOWED = "val"
"""The split whose images may show nothing: all of them is background, and nothing is learned from them."""
COLOURED = (
    "mask of colours, not of indices: `thesis data prepare own --root {root} --output DIR` makes indices of VOC's "
    f"colours, or of those in SegmentationClass/{COLOURS} ({LINE} on each line)"
)
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
) -> dict[str, ImageFacts]:
    """Look for every problem of a split and report them together.

    The quick level takes well under a millisecond per image: files exist, annotations are readable and name a known
    class. The full level also decodes every image and every mask there is (in `SegmentationClassAug` as well),
    and compares their sizes and values.

    Args:
        dataset: the split to check; building it has already checked the folder, the list and the class names.
        labels: each image needs an annotation with a known class (training, response maps); in val it may name nothing.
        masks: each image needs a mask (scores); trainaug and test have images without one.
        full: decode images and masks.
        progress: show a progress bar.
        share: how the images are gone through, for example by several processes.
        listed: how many problems of each kind to name.

    Returns:
        What the files of each image say, by its name: for `agreement`. What a mask shows is known at the full level.

    Raises:
        DataError: with the number of problems of each kind, the first few of them, and what to do.
    """
    problems: dict[str, list[str]] = defaultdict(list)
    for image_id in sorted(name for name, times in Counter(dataset.ids).items() if times > 1):
        problems["listed more than once in the split: remove the repetition"].append(image_id)
    facts = {}
    found = share(partial(_looked_at, dataset, labels, masks, full), range(len(dataset)))
    shown = tqdm(found, f"checking {dataset.split}", len(dataset), unit="image", disable=not progress)
    for name, (of_image, said) in zip(dataset.ids, shown, strict=True):
        for kind, case in of_image:
            problems[kind].append(case)
        facts[name] = said
    if problems:
        raise DataError(_report(dataset, problems, listed))
    return facts


def _looked_at(dataset: VocDataset, labels: bool, masks: bool, full: bool, i: int) -> tuple[list[Problem], ImageFacts]:
    """What is wrong with image `i`, and what its files say."""
    found: list[Problem] = [*_missing_files(dataset, i, masks)]
    named, shown, turned = None, None, False
    unknown: tuple[str, ...] = ()
    if labels or dataset.annotation_path(i).is_file():
        of_annotation, named, unknown = _annotation(dataset, i)
        found += of_annotation if labels else []
    if full:
        of_pixels, shown, turned = _pixels(dataset, i)
        found += of_pixels
    return found, ImageFacts(named, shown, unknown, turned)


def _missing_files(dataset: VocDataset, i: int, masks: bool) -> Iterator[Problem]:
    name = dataset.ids[i]
    if not dataset.image_path(i).is_file():
        case = name + _found_instead(dataset.image_path(i))
        yield "missing in JPEGImages: copy the image, or take its name out of the list", case
    if masks and not dataset.mask_path(i).is_file():
        case = name + _found_instead(dataset.mask_path(i))
        yield "missing in SegmentationClass: copy the mask, or use a split that has masks", case


def _found_instead(path: Path) -> str:
    found = ", ".join(each.name for each in namesakes(path))
    return f" (found {found})" if found else ""


def _annotation(dataset: VocDataset, i: int) -> tuple[list[Problem], frozenset[int] | None, tuple[str, ...]]:
    """Problems of an annotation, the classes that it names, and the names of objects that are no class."""
    path = dataset.annotation_path(i)
    if not path.is_file():
        kind = "missing in Annotations: copy the annotation; image labels come from it"
        return [(kind, dataset.ids[i] + _found_instead(path))], None, ()
    try:
        names, objects = read_all_names(path)
    except DataError as error:
        return [("unreadable annotation", str(error))], None, ()
    known = frozenset(c for c, name in enumerate(dataset.classes) if name in names)
    unknown = tuple(name for name in objects if name not in dataset.classes)
    if known or (not names and dataset.split == EMPTY_ALLOWED):
        return [], known, unknown
    few = f"{', '.join(dataset.classes[:3])}, ...; other names need a classes.txt"
    said = ", ".join(sorted(set(names))) or "no <name>"
    return [(f"annotated without a known class ({few})", f"{path.name} has {said}")], known, unknown


def _pixels(dataset: VocDataset, i: int) -> tuple[list[Problem], frozenset[int] | None, bool]:
    """Problems of image and masks, the classes that the mask shows, and whether a mask's image is stored turned."""
    found: list[Problem] = []
    shape, shown, turned = None, None, False
    image, own_mask = dataset.image_path(i), dataset.mask_path(i)
    if image.is_file():
        try:
            shape, turned = dataset.image(i).shape[:2], is_turned(image)
        except DataError as error:
            found.append(("unreadable", str(error)))
    for path in (own_mask, dataset.root / AUGMENTED_MASKS / f"{dataset.ids[i]}.png"):
        if path.is_file():
            try:
                if is_coloured(path):
                    found.append((COLOURED.format(root=dataset.root), path.name))
                    continue
                mask = read_mask(path)
            except DataError as error:
                found.append(("unreadable", str(error)))
                continue
            found += _mask_problems(mask, path, shape, len(dataset.classes), turned)
            if path == own_mask:
                shown = frozenset(int(v) - 1 for v in np.unique(mask) if 0 < v <= len(dataset.classes))
    return found, shown, turned and own_mask.is_file()


def _mask_problems(
    mask: UInt8[np.ndarray, "h w"], path: Path, shape: tuple[int, ...] | None, classes: int, turned: bool
) -> Iterator[Problem]:
    if shape is not None and mask.shape != shape:
        kind = "mask of another size than its image (height, width): export it again at the image's size"
        yield kind, f"{path.name} {mask.shape} for {shape}" + (", turned as its EXIF says" if turned else "")
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
