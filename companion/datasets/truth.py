"""True masks of the user's images, whose values follow a list of classes of their own; for scores alone.

Thesis 2.4 and 3.4 score against VOC's masks. Masks are palette or grey indices, or colours where CVAT's `labelmap.txt`
says which colour is which class. Nothing here corresponds to published code.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from companion.datasets.labels.entries import files_below, lines_of, some
from companion.datasets.labels.images import ImageNames, bare
from thesislib.data.class_names import NO_CLASS, plain_name
from thesislib.data.voc import IGNORE, VOC_CLASSES, DataError, read_mask

CLASSES = "classes.txt"
COLOURS = "labelmap.txt"
VOC_FOLDER = "SegmentationClass"
Colour = tuple[int, int, int]


class Truth(NamedTuple):
    """Masks, and what their values mean.

    Attributes:
        masks: file of each image that has one.
        values: the class (1 and up in the order of the image labels, 0 background, 255 none) of each value or colour.
        others: masks of no image.
    """

    masks: Mapping[str, Path]
    values: Mapping[int, int] | Mapping[Colour, int]
    others: Sequence[str] = ()


def find_truth(folder: Path, images: Sequence[str], classes: Sequence[str]) -> Truth:
    """The masks in a folder that belong to images.

    Args:
        folder: with `<image>.png`, and with `classes.txt` (names in the order of the values, from 1 up, without
            background) or CVAT's `labelmap.txt` in it or beside it; VOC's own folder needs neither.
        images: paths.
        classes: names of the image labels, in order.

    Raises:
        DataError: no folder, no mask of an image, no list of classes, or one that lacks a class of the labels.
    """
    if not folder.is_dir():
        raise DataError(f"no folder {folder}: give --truth, the folder with the masks")
    files = {path.relative_to(folder).as_posix(): path for path in files_below(folder, ".png")}
    names = ImageNames(list(files))
    masks = {}
    for image in images:
        found = names.find(bare(image))
        if len(found) > 1:
            raise DataError(f"{image} may have several masks in {folder}: {some(sorted(found))}. Keep one")
        if found:
            masks[image] = files[min(found)]
    if not masks:
        raise DataError(f"{folder} has no mask of an image: expected <image>.png, such as {bare(images[0])}.png")
    others = sorted(set(files) - {path.relative_to(folder).as_posix() for path in masks.values()})
    return Truth(masks, _values(folder, classes), others)


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
    coloured = isinstance(next(iter(truth.values)), tuple)
    stored = _read_colours(path) if coloured else read_mask(path).astype(np.int64)
    if stored.shape != size:
        raise DataError(
            f"mask {path} has {stored.shape[1]} x {stored.shape[0]} pixels, its image {size[1]} x {size[0]}: "
            "export it again at the image's size"
        )
    table = {_number(value): c for value, c in truth.values.items()}
    present = np.unique(stored)
    if unknown := [int(value) for value in present if int(value) not in table]:
        said = [str(_colour(value) if coloured else value) for value in unknown]
        raise DataError(f"mask {path} has {some(said)}, which no class has: complete {CLASSES} or {COLOURS}")
    meaning = np.array([table[int(value)] for value in present], np.uint8)
    return meaning[np.searchsorted(present, stored)]


def _values(folder: Path, classes: Sequence[str]) -> Mapping[int, int] | Mapping[Colour, int]:
    """The class of every value or colour, by the list in the folder or beside it."""
    own = {plain_name(name): c + 1 for c, name in enumerate(classes)}
    places = [place / name for place in (folder, folder.absolute().parent) for name in (CLASSES, COLOURS)]
    path = next((path for path in places if path.is_file()), None)
    if path is not None and path.name == COLOURS:
        colours = _read_labelmap(path)
        return {colour: own.get(name, 0) for colour, name in colours.items()}
    names = [name for _, name in lines_of(path)] if path else []
    if path is None and folder.name == VOC_FOLDER and set(classes) <= set(VOC_CLASSES):
        names = list(VOC_CLASSES)
    if not names:
        raise DataError(
            f"nothing says what the values of the masks in {folder} mean: write {folder / CLASSES}, the class names in "
            "the order of the values 1, 2, ..., one a line, without background"
        )
    if plain_name(names[0]) in NO_CLASS:
        raise DataError(f"{path} begins with {names[0]}, the value 0: delete that line, so that the first class is 1")
    if missing := [name for name in classes if plain_name(name) not in map(plain_name, names)]:
        raise DataError(
            f"{path or folder} lacks {', '.join(missing)}, which the image labels name; it has {some(names)}"
        )
    return {0: 0, IGNORE: IGNORE} | {i: own.get(plain_name(name), 0) for i, name in enumerate(names, start=1)}


def _read_labelmap(path: Path) -> dict[Colour, str]:
    """Plain class name of every colour of a file with lines `name:red,green,blue:...`."""
    found: dict[Colour, str] = {}
    for number, line in lines_of(path):
        if not line.startswith("#"):
            name, _, rest = line.partition(":")
            try:
                red, green, blue = (int(each) for each in rest.split(":")[0].split(","))
            except ValueError as error:
                raise DataError(f"{path} line {number} is {line!r}; expected name:red,green,blue::") from error
            found[red, green, blue] = plain_name(name)
    if not found:
        raise DataError(f"{path} names no colour; expected lines name:red,green,blue::")
    return found


def _read_colours(path: Path) -> np.ndarray:
    """A mask as numbers that stand for its colours."""
    try:
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB")).astype(np.int64)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot read mask {path}: {error}. Copy it again") from error
    return (pixels[..., 0] << 16) | (pixels[..., 1] << 8) | pixels[..., 2]


def _number(value: int | Colour) -> int:
    return value if isinstance(value, int) else (value[0] << 16) | (value[1] << 8) | value[2]


def _colour(number: int) -> Colour:
    return number >> 16, number >> 8 & 255, number & 255
