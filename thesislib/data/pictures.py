"""Image and mask files as arrays: every picture of the project is read here, the right way up and in 8 bits.

Published code reads images with PIL or OpenCV as they are stored. Deliberate differences: the orientation that a camera
wrote into EXIF is applied, 16-bit greys are scaled where PIL clips them, and masks are read as indices, never colours.
"""

import os
import struct
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")
MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp")
UNREADABLE = (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError)
"""What PIL raises for damaged files."""
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # by EXIF orientation; from 5 on height and width change places


class DataError(ValueError):
    """Data that cannot be used: the message names the file, what was expected and what to do."""


def find_file(folder: Path, name: str, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> Path:
    """The file of an image or mask, whether it exists or not.

    Args:
        folder: where it lies.
        name: without suffix.
        suffixes: in lower case; the file may have any of them, in any case, and the first of them goes first.
    """
    usual = folder / f"{name}{suffixes[0]}"
    if usual.is_file():
        return usual
    found = {file.suffix.lower(): file for file in reversed(namesakes(usual)) if file.stem == usual.stem}
    return next((found[suffix] for suffix in suffixes if suffix in found), usual)


def namesakes(path: Path) -> list[Path]:
    """Files beside `path` whose names differ from its own in suffix or case alone, in alphabetical order."""
    folder = path.parent
    if not folder.is_dir():
        return []
    return [folder / name for name in _by_stem(folder, folder.stat().st_mtime_ns).get(path.stem.casefold(), ())]


@lru_cache(maxsize=16)
def _by_stem(folder: Path, changed: int) -> dict[str, list[str]]:
    """Names of a folder's files by what stands before the suffix; `changed` is when files last came or went."""
    found: dict[str, list[str]] = {}
    for name in sorted(entry.name for entry in os.scandir(folder) if entry.is_file()):
        found.setdefault(Path(name).stem.casefold(), []).append(name)
    return found


def read_image(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """Decode an image to RGB, the right way up; raises `DataError` if it is missing, unreadable or truncated."""
    try:
        with Image.open(path) as image:
            image.load()
            turn = _UPRIGHT.get(_orientation(image))
            upright = image.transpose(turn) if turn is not None else image
            if image.mode.startswith(("I", "F")):
                return _grey_in_8_bits(np.array(upright), path)
            return np.array(upright.convert("RGB"))
    except DataError:
        raise
    except UNREADABLE as error:
        raise DataError(f"cannot read image {path}: {error}. Copy or download it again") from error


def read_size(path: Path) -> tuple[int, int]:
    """Height and width of an image the right way up, from the file's header; raises `DataError` if it has none."""
    try:
        with Image.open(path) as image:
            lying = image.format != "TIFF" and _orientation(image) >= 5  # of a TIFF, PIL tells the upright size
            return (image.width, image.height) if lying else (image.height, image.width)
    except UNREADABLE as error:
        raise DataError(f"cannot read image {path}: {error}. Copy or download it again") from error


def is_turned(path: Path) -> bool:
    """Whether an image is stored turned or mirrored, by its EXIF orientation; raises `DataError` if unreadable."""
    try:
        with Image.open(path) as image:
            return _orientation(image) in _UPRIGHT
    except UNREADABLE as error:
        raise DataError(f"cannot read image {path}: {error}. Copy or download it again") from error


def read_mask(path: Path) -> UInt8[np.ndarray, "h w"]:
    """Decode a mask to its indices, never its colours; raises `DataError` if it is unreadable or not 8-bit indexed."""
    try:
        with Image.open(path) as image:
            if image.mode in ("P", "L"):
                return np.array(image)
            mode = image.mode
    except UNREADABLE as error:
        raise DataError(f"cannot read mask {path}: {error}. Copy it again, or use a split that has masks") from error
    raise DataError(
        f"mask {path} is a PIL image of mode {mode!r}; expected palette indices (mode 'P', or 'L'). "
        "Store class indices, for example with thesislib.data.voc.write_mask"
    )


def _orientation(image: Image.Image) -> int:
    """1 (upright) to 8, as EXIF has it; 1 where there is none, or none that can be read."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except (*UNREADABLE, TypeError, KeyError):
        return 1


def _grey_in_8_bits(values: np.ndarray, path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """16-bit greys on the scale of 8 bits, as RGB; PIL would clip all that is above 255."""
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65_535:
        raise DataError(f"image {path} has 32-bit values; expected 8 or 16 bits: store it again as an 8-bit PNG")
    grey = np.round(values / 257).astype(np.uint8)  # 65535 / 255
    return np.stack([grey] * 3, axis=2)
