"""True masks of the user's images, whose values follow a list of classes of their own; for scores alone.

Thesis 2.4 and 3.4 score against VOC's masks. Masks are palette or grey indices, or colours where a table says which
colour is which class. Nothing here corresponds to published code.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from companion.datasets import agreement, colours
from companion.datasets.agreement import ImageFacts
from companion.datasets.checks import Share
from companion.datasets.colours import Colour
from companion.datasets.instances import find_outlined, own_outlines
from companion.datasets.labels.assignment import Labels
from companion.datasets.labels.coco import Image
from companion.datasets.labels.entries import Problem, files_below, lines_of, refuse, some
from companion.datasets.labels.images import ImageNames, bare
from thesislib.data.class_names import NO_CLASS, plain_name
from thesislib.data.pictures import MASK_SUFFIXES, is_turned, read_size
from thesislib.data.voc import IGNORE, VOC_CLASSES, DataError, read_mask

CLASSES = "classes.txt"
VOC_FOLDER = "SegmentationClass"


class Truth(NamedTuple):
    """Masks, and what their values mean: 1 and up in the order of the image labels, 0 background, 255 none.

    Attributes:
        masks: file of each image that has one, or what COCO's instances outline in it.
        values: of indices; empty: masks are read by their colours.
        colours: of colours.
        table: the file that names the colours; None: they are VOC's.
        named: of the categories of COCO's instances.
        others: masks of no image.
        incomplete: images of COCO's instances with an object that has no outline.
    """

    masks: Mapping[str, Path | Image]
    values: Mapping[int, int] = {}
    colours: Mapping[Colour, int] = {}
    table: Path | None = None
    named: Mapping[str, int] = {}
    others: Sequence[str] = ()
    incomplete: Sequence[str] = ()


def find_truth(folder: Path, images: Sequence[str], classes: Sequence[str]) -> Truth:
    """The masks in a folder that belong to images, or those that COCO's instances outline.

    Args:
        folder: with `<image>.png`; or a file of instances.
        images: paths.
        classes: names of the image labels, in order.

    Raises:
        DataError: no folder, no mask of an image, a mask that may be of several, or as `read_meaning`.
    """
    if folder.is_file():
        return _outlined(folder, images, classes)
    if not folder.is_dir():
        raise DataError(f"no folder {folder}: give --truth, the folder with the masks or a JSON of COCO's instances")
    files = {path.relative_to(folder).as_posix(): path for path in files_below(folder, *MASK_SUFFIXES)}
    masks = _masks(folder, list(files), images)
    if not masks:
        raise DataError(f"{folder} has no mask of an image: expected <image>.png, such as {bare(images[0])}.png")
    others = sorted({*files} - {*masks.values()})
    return read_meaning(folder, classes)._replace(masks={i: files[m] for i, m in masks.items()}, others=others)


def read_meaning(folder: Path, classes: Sequence[str]) -> Truth:
    """What the values of the masks in a folder mean, without the masks.

    Args:
        folder: in it or beside it lies `classes.txt` (names in the order of the values, from 1 up, without background)
            or a table of colours; VOC's own folder needs neither.
        classes: as of `find_truth`.

    Raises:
        DataError: nothing says it, or a list lacks a class of the labels.
    """
    values, table = _values(folder, classes), colours.find_beside(folder, *colours.TABLES)
    if table:
        named = colours.read_table(table)
        colours.require(classes, list(named.values()), table)
        return Truth({}, values, colours.meaning(named, _numbers(classes)), table)
    if not values:
        raise DataError(
            f"nothing says what the values of the masks in {folder} mean: write {folder / CLASSES}, the class names in "
            "the order of the values 1, 2, ..., one a line, without background; or for masks that are colours "
            f"{folder / colours.COLOURS}, {colours.LINE} on each line"
        )
    return Truth({}, values, colours.of_voc(values))


def own_mask(truth: Truth, image: str, size: tuple[int, int]) -> UInt8[np.ndarray, "h w"]:
    """The mask of an image in the classes of the image labels.

    Args:
        truth: that has a mask of it.
        image: its path.
        size: height and width of the image.

    Raises:
        DataError: it is unreadable, of another size, or has a value or colour that no class has.
    """
    path = truth.masks[image]
    if isinstance(path, Image):
        return own_outlines(path, truth.named, size)
    if truth.values and not colours.is_coloured(path):
        mask = _by_index(path, truth.values)
    else:
        mask = colours.read_indices(path, truth.colours, truth.table)
    if mask.shape != size:
        upright = ", upright as its EXIF says if it is stored turned" if mask.shape == size[::-1] else ""
        raise DataError(
            f"mask {path} has {mask.shape[1]} x {mask.shape[0]} pixels, its image {size[1]} x {size[0]}{upright}: "
            "export it again at the image's size"
        )
    return mask


def check_truth(truth: Truth, images: Path, labels: Labels, share: Share = map) -> list[str]:
    """Decode all masks and hold them against the image labels; returns notes on what is no error.

    Args:
        truth: of these images.
        images: their folder.
        labels: of them.
        share: how the masks are gone through.

    Raises:
        DataError: with all masks that cannot be used; or no mask shows a class, or masks and labels contradict.
    """
    facts: dict[str, ImageFacts] = {}
    problems: list[Problem] = []
    looked_at = share(partial(_facts, truth, images, labels), list(truth.masks))
    for image, found in zip(truth.masks, looked_at, strict=True):
        if isinstance(found, str):
            problems.append(("masks that cannot be used", found))
        else:
            facts[image] = found
    refuse("true masks", problems)
    if wrong := agreement.problems({"--truth": facts}, labels.classes):
        raise DataError("; ".join(wrong))
    return agreement.notes({"--truth": facts}, labels.classes)


def _facts(truth: Truth, images: Path, labels: Labels, image: str) -> ImageFacts | str:
    """What label and mask of an image say, or what is wrong with the mask."""
    try:
        mask = own_mask(truth, image, read_size(images / image))
        turned = is_turned(images / image)
    except DataError as error:
        return str(error)
    named = frozenset(labels.classes.index(name) for name in labels.shown[image])
    shown = frozenset(int(value) - 1 for value in np.unique(mask) if value not in (0, IGNORE))
    return ImageFacts(named, shown, turned=turned)


def _outlined(path: Path, images: Sequence[str], classes: Sequence[str]) -> Truth:
    found = find_outlined(path, images)
    colours.require(classes, found.categories, path)
    numbers = _numbers(classes)
    named = {name: numbers.get(plain_name(name), 0) for name in found.categories}
    return Truth(found.images, named=named, others=found.others, incomplete=found.incomplete)


def _masks(folder: Path, files: Sequence[str], images: Sequence[str]) -> dict[str, str]:
    """The mask of each image that has one: of its own path, else the only one of its name."""
    names = ImageNames(files)
    masks: dict[str, str] = {}
    images_of: dict[str, list[str]] = defaultdict(list)
    for image in images:
        found = names.find(bare(image))
        if len(found) > 1:
            raise DataError(f"{image} may have several masks in {folder}: {some(sorted(found))}. Keep one")
        for mask in found:
            images_of[mask].append(image)
    for mask, alike in images_of.items():
        own = [image for image in alike if bare(image).casefold() == bare(mask).casefold()] or alike
        if len(own) > 1:
            raise DataError(
                f"{folder / mask} may be the mask of several images: {some(own)}. Put masks into folders as their "
                "images are"
            )
        masks[own[0]] = mask
    return masks


def _by_index(path: Path, values: Mapping[int, int]) -> UInt8[np.ndarray, "h w"]:
    mask = read_mask(path)
    present = np.unique(mask).tolist()
    if unknown := [str(value) for value in present if value not in values]:
        raise DataError(f"mask {path} has {some(unknown)}, which no class has: complete {CLASSES}")
    meaning = np.zeros(256, np.uint8)
    meaning[present] = [values[value] for value in present]
    return meaning[mask]


def _values(folder: Path, classes: Sequence[str]) -> dict[int, int]:
    """The class of every index, by the list in the folder or beside it; empty where nothing says so."""
    table, path = colours.find_beside(folder, *colours.TABLES), colours.find_beside(folder, CLASSES)
    if table and path and table.parent == folder != path.parent:
        path = None  # a list further off, of something else
    names = [name for _, name in lines_of(path)] if path else []
    if (
        not path
        and not table
        and folder.name == VOC_FOLDER
        and {*map(plain_name, classes)} <= {*map(plain_name, VOC_CLASSES)}
    ):
        names = list(VOC_CLASSES)
    if not names:
        return {}
    if plain_name(names[0]) in NO_CLASS:
        raise DataError(f"{path} begins with {names[0]}, the value 0: delete that line, so that the first class is 1")
    colours.require(classes, names, path or folder)
    own = _numbers(classes)
    return {0: 0, IGNORE: IGNORE} | {i: own.get(plain_name(name), 0) for i, name in enumerate(names, start=1)}


def _numbers(classes: Sequence[str]) -> dict[str, int]:
    """Values of the classes of the image labels, by plain name."""
    return {plain_name(name): c + 1 for c, name in enumerate(classes)}
