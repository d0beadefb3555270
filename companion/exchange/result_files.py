"""Files with results of a split: where a run of the store has them, and what is wrong with a mask.

Thesis 2.4.1 and 3.4.1: masks are 8-bit PNGs of palette indices (the format of the VOC test server). Nothing here
corresponds to published code.
"""

import io
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from companion.pipeline import artefacts
from thesislib.data.pictures import find_file, read_size
from thesislib.data.voc import IGNORE, DataError, palette

RESULTS = (".png", ".npz", ".npy")
LISTED = 20
"""Problems named in an error, and files for each."""


def results_folder(folder: Path, *, plain: bool = False) -> Path:
    """`folder` itself where it has results, or the part of it that has them, as a run of the store.

    Args:
        folder: with files, or of stage `response_maps`, `pseudo_masks` or `segmentation`.
        plain: of a segmentation, the predictions before the CRF instead of those after it.

    Raises:
        DataError: no such folder, or `plain` for a folder without such a part.
    """
    if not folder.is_dir():
        raise DataError(f"no folder {folder}: give the one with the results, a file for each image")
    without_crf, with_crf = artefacts.SEGMENTATIONS
    if plain and not (folder / without_crf).is_dir():
        raise DataError(f"{folder} has no part {without_crf!r}: leave --plain out, or give a run of stage segmentation")
    if not plain and _has_results(folder):
        return folder
    parts = (without_crf,) if plain else (with_crf, artefacts.MAPS, artefacts.MASKS)
    return next((folder / part for part in parts if (folder / part).is_dir()), folder)


def _has_results(folder: Path) -> bool:
    """Whether masks or maps lie in a folder itself; the counts that a run of the store keeps there are none."""
    return any(path.suffix.lower() in RESULTS and path.name != artefacts.SCORES for path in folder.iterdir())


def mask_problems(
    content: bytes,
    num_classes: int,
    size: tuple[int, int] | None = None,
    *,
    paletted: bool = False,
    void: bool = False,
) -> list[str]:
    """What is wrong with the bytes of a mask, each problem as the end of a sentence about the file.

    Args:
        content: the file.
        num_classes: without background.
        size: expected height and width, None for any.
        paletted: it must be an 8-bit indexed PNG with VOC's colours, not a grey one.
        void: it may have pixels of 255.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            mode, colours, mask = image.mode, image.getpalette() or [], np.array(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = "it is no image" if isinstance(error, UnidentifiedImageError) else error  # which names a buffer
        return [f"cannot be read ({reason}): export or copy it again"]
    found = []
    # Bytes 24 and 25 of a PNG are the bits of an index and the type of colour, 3 for a palette.
    if paletted and (content[:4], content[24:26]) != (b"\x89PNG", b"\x08\x03"):
        found.append(f"is not an 8-bit indexed PNG (PIL mode {mode!r})")
    elif paletted and colours[: 3 * (num_classes + 1)] != palette()[: num_classes + 1].ravel().tolist():
        found.append("has another palette than VOC's")
    if mode not in ("P", "L"):
        found += _size_problems(mask, size)
        return found if paletted else [*found, f"has no palette indices (PIL mode {mode!r})"]
    return found + value_problems(mask, num_classes, size, void=void)


def value_problems(
    mask: UInt8[np.ndarray, "h w"], num_classes: int, size: tuple[int, int] | None, *, void: bool = False
) -> list[str]:
    """What is wrong with the size and the values of a mask; arguments as of `mask_problems`."""
    wrong = [v for v in np.unique(mask).tolist() if v > num_classes and not (void and v == IGNORE)]
    values = [f"has values outside 0 to {num_classes}: {', '.join(map(str, wrong))}"] if wrong else []
    return _size_problems(mask, size) + values


def _size_problems(mask: UInt8[np.ndarray, "h w ..."], size: tuple[int, int] | None) -> list[str]:
    """Whether a mask has another height and width than `size`."""
    if size is None or mask.shape[:2] == size:
        return []
    return [f"has {mask.shape[0]} x {mask.shape[1]} pixels (height x width) instead of {size[0]} x {size[1]}"]


def refuse(title: str, problems: Mapping[str, Iterable[str]]) -> None:
    """Raise one `DataError` that lists the problems of all files, grouped by problem; `problems` by file name."""
    files = defaultdict(list)
    for name, found in problems.items():
        for problem in found:
            files[problem].append(name)
    lines = [f"- {problem}: {', '.join(_some(names, 'more'))}" for problem, names in files.items()]
    if lines:
        raise DataError("\n".join([title, *_some(lines, "problems more")]))


def _some(items: list[str], what: str) -> list[str]:
    return items if len(items) <= LISTED else [*items[:LISTED], f"and {len(items) - LISTED} {what}"]


def image_size(root: Path, name: str) -> tuple[int, int]:
    """Height and width of an image of the folder with `JPEGImages`; raises `DataError` if it cannot be read."""
    path = find_file(root / "JPEGImages", name)
    if not path.is_file():
        raise DataError(f"no readable image for the results of {name!r}: {path} is missing")
    return read_size(path)
