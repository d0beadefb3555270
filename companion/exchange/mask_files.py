"""Masks for the user: a paletted PNG at the size of each photograph, an overlay to look at, response maps on request.

Masks are computed on images of at most 256 pixels; here they get the size of the photographs they are of, with smooth
outlines. Nothing here corresponds to published code.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from companion.datasets.labels.images import bare
from companion.drawing.all_steps import coloured
from thesislib.data.voc import write_mask
from thesislib.files import write_whole

MASKS, OVERLAYS, MAPS = "masks", "overlays", "maps"
LONGEST_OVERLAY = 1024  # pixels
STRENGTH = 0.55
JPEG_QUALITY = 88


def targets(images: Sequence[str]) -> dict[str, str]:
    """The name of what is written for each image, without suffix: its own where no other image has it.

    >>> targets(["a.jpg", "b/c.jpg", "b/c.png"])
    {'a.jpg': 'a', 'b/c.jpg': 'b/c.jpg', 'b/c.png': 'b/c.png'}
    """
    times = Counter(bare(image).casefold() for image in images)
    return {image: bare(image) if times[bare(image).casefold()] == 1 else image for image in images}


def enlarged(mask: UInt8[np.ndarray, "h w"], size: tuple[int, int]) -> UInt8[np.ndarray, "height width"]:
    """A mask at another size `(height, width)`: at each pixel the class that has most of its surroundings.

    >>> enlarged(np.array([[0, 3], [0, 3]], np.uint8), (2, 4)).tolist()
    [[0, 0, 3, 3], [0, 0, 3, 3]]
    """
    if mask.shape == size:
        return mask
    found, most = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    for value in np.unique(mask):
        area = Image.fromarray(np.where(mask == value, np.uint8(255), np.uint8(0)))
        share = np.array(area.resize(size[::-1], Image.Resampling.BILINEAR))
        found[share > most] = value
        most = np.maximum(most, share)
    return found


def write(output: Path, name: str, picture: UInt8[np.ndarray, "h w 3"], mask: UInt8[np.ndarray, "h w"]) -> Path:
    """Write mask and overlay of one image; returns the overlay's file.

    Args:
        output: the folder with `masks` and `overlays`.
        name: of the files, without suffix, with folders.
        picture: RGB, 0-255.
        mask: of the same size.
    """
    write_whole(_made(output / MASKS / f"{name}.png"), partial(write_mask, mask=mask))
    shown = Image.fromarray(picture)
    shown.thumbnail((LONGEST_OVERLAY, LONGEST_OVERLAY))
    labels = np.array(Image.fromarray(mask).resize(shown.size, Image.Resampling.NEAREST))
    over = Image.fromarray(coloured(np.array(shown), labels, STRENGTH))
    path = _made(output / OVERLAYS / f"{name}.jpg")
    write_whole(path, partial(over.save, format="JPEG", quality=JPEG_QUALITY))
    return path


def write_maps(output: Path, name: str, size: tuple[int, int], maps: Mapping[str, Float[np.ndarray, "h w"]]) -> None:
    """Write normalised response maps as grey PNGs, `maps/<name>-<class>.png`: 255 is the strongest response.

    Args:
        output: as of `write`.
        name: as of `write`.
        size: height and width of the image.
        maps: in [0, 1], by class.
    """
    for kind, values in maps.items():
        grey = Image.fromarray(np.round(255 * values).astype(np.uint8)).resize(size[::-1], Image.Resampling.BILINEAR)
        safe = kind.replace("/", "_")
        write_whole(_made(output / MAPS / f"{name}-{safe}.png"), partial(grey.save, format="PNG"))


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
