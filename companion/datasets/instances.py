"""Masks of classes from what the annotations of COCO outline: polygons, and runs of pixels (RLE), compressed or not.

No data of the thesis. Published code: zhaozhengChen/ReCAM
`mscoco/annToMask.py`, which draws objects in the order of the file and leaves crowds out. Deliberate differences:
smaller objects lie over larger ones, so that what is carried, worn or eaten is seen whatever the order; crowds are 255
where no object lies, neither background nor class, since COCO leaves them out of scores too. Polygons become pixels by
pycocotools, to the pixel those of everybody else; runs are read here, for it takes memory as pixels where runs are
too few.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8
from pycocotools import mask as coco_mask

from companion.datasets.labels.coco import Image, Object, read_instances
from companion.datasets.labels.images import ImageNames
from thesislib.data.voc import IGNORE, DataError

LEAST_POINTS = 3


class Outlined(NamedTuple):
    """What a file of instances outlines.

    Attributes:
        categories: of the file.
        images: those asked for whose objects all have an outline, and those without an object, by path.
        others: images of the file that were not asked for.
        incomplete: images with an object that has no outline.
    """

    categories: tuple[str, ...]
    images: dict[str, Image]
    others: list[str]
    incomplete: list[str]


def find_outlined(path: Path, images: Sequence[str]) -> Outlined:
    """The outlines of a file of instances for the images at these paths.

    Raises:
        DataError: as `read_instances`, or none of the images has an object with an outline.
    """
    found = read_instances(path)
    listed = {image.file: image for image in found.images}
    names = ImageNames(list(listed))
    known = {image: listed[min(meant)] for image in images if len(meant := names.find(image)) == 1}
    whole = {name: image for name, image in known.items() if all(each.outline for each in image.objects)}
    if not any(image.objects for image in whole.values()):
        raise DataError(f"{path} outlines no object of an image: give --truth, instances with `segmentation`")
    others = sorted({*listed} - {image.file for image in known.values()})
    return Outlined(tuple(found.categories.values()), whole, others, sorted({*known} - {*whole}))


def own_outlines(image: Image, values: Mapping[str, int], size: tuple[int, int]) -> UInt8[np.ndarray, "h w"]:
    """`mask_of` an image whose file has this height and width; raises `DataError` that names it."""
    if image.size != size:
        raise DataError(
            f"{image.file} has (height, width) {image.size} by its instances, {size} by its file, upright as its EXIF "
            "says: export the instances again"
        )
    try:
        return mask_of(image.objects, values, size)
    except DataError as error:
        raise DataError(f"an object of {image.file} {error}: export the instances again") from error


def mask_of(objects: Iterable[Object], values: Mapping[str, int], size: tuple[int, int]) -> UInt8[np.ndarray, "h w"]:
    """The mask of an image: 0 background, the value of a class, 255 in a crowd where no object lies.

    Args:
        objects: with outlines.
        values: 1 and up, by class; other classes are background.
        size: height and width in pixels.

    Raises:
        DataError: an outline is missing or not of COCO.

    >>> body, hand = [[0, 0, 4, 0, 4, 2, 0, 2]], [[1, 0, 2, 0, 2, 1, 1, 1]]
    >>> mask_of([Object("hand", hand, False), Object("body", body, False)], {"body": 1, "hand": 2}, (2, 5)).tolist()
    [[1, 2, 1, 1, 0], [1, 1, 1, 1, 0]]
    """
    mask = np.zeros(size, np.uint8)
    drawn = [(each, pixels(each.outline, size)) for each in objects]
    for each, inside in sorted(drawn, key=lambda pair: (not pair[0].crowd, -np.count_nonzero(pair[1]))):
        mask[inside] = IGNORE if each.crowd else values.get(each.name, 0)
    return mask


def pixels(outline: Any, size: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """Which pixels an outline holds; raises `DataError` if it is none of COCO, or of an image of another size."""
    if problem := outline_problem(outline, size):
        raise DataError(problem)
    height, width = size
    if isinstance(outline, Mapping):
        lengths = _runs(outline["counts"])
        return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(width, height).T
    found = coco_mask.frPyObjects(outline, height, width)
    return coco_mask.decode(coco_mask.merge(found)).astype(bool)


def outline_problem(outline: Any, size: tuple[int, int]) -> str:
    """What is wrong with an outline of an image of this height and width; nothing if it is sound."""
    if not outline:
        return "has no outline"
    if isinstance(outline, Mapping):
        return _runs_problem(outline, size)
    if not isinstance(outline, Sequence) or isinstance(outline, str):
        return "has an outline that is neither polygons nor runs"
    return next((problem for polygon in outline if (problem := _polygon_problem(polygon, size))), "")


def _runs_problem(outline: Mapping[str, Any], size: tuple[int, int]) -> str:
    if outline.get("size") != list(size):
        return f"has runs for an image of {outline.get('size')} (height, width), its image is {list(size)}"
    try:
        lengths = _runs(outline["counts"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return "has runs that cannot be read"
    if min(lengths, default=0) < 0 or sum(lengths) != size[0] * size[1]:
        return f"has runs of {sum(lengths)} pixels, its image has {size[0] * size[1]}"
    return ""


def _polygon_problem(polygon: Any, size: tuple[int, int]) -> str:
    try:
        points = np.asarray(polygon, np.float64)
    except (TypeError, ValueError):
        return "has a polygon that is no list of numbers"
    if points.ndim != 1 or len(points) % 2 or len(points) < 2 * LEAST_POINTS:
        return f"has a polygon that is no list of x, y of {LEAST_POINTS} points or more"
    longest = max(size)
    if not ((points >= -longest) & (points <= 2 * longest)).all():
        return "has a polygon far outside its image"
    return ""


def _runs(counts: Any) -> list[int]:
    """Lengths of the runs, column by column, from outside: as they are, or of COCO's text of five bits a letter.

    In the text a letter holds five bits, the lowest first, and a sixth that says that more follow; from the third run
    on, lengths are differences to the one before the last (cocodataset/cocoapi `common/maskApi.c`, `rleFrString`).

    >>> _runs([1, 2, 3]), _runs("123")
    ([1, 2, 3], [1, 2, 3])
    """
    if not isinstance(counts, (str, bytes)):
        return [_whole(each) for each in counts]
    lengths: list[int] = []
    value = shift = 0
    for letter in counts.encode() if isinstance(counts, str) else counts:
        code = letter - 48
        if not 0 <= code < 64 or shift > 30:
            raise ValueError(counts)
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            value -= (1 << shift) if code & 16 else 0
            lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError(counts)
    return lengths


def _whole(value: Any) -> int:
    if isinstance(value, bool) or value != int(value):
        raise ValueError(value)
    return int(value)
