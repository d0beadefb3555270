"""An image as the presets for laptops read it: at most 256 pixels long, with mask and annotation, in VOC layout.

No data of the thesis and no published counterpart. Images are not enlarged, unless a shortest
side is asked for; annotations have names and no boxes.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from thesislib.data.voc import write_mask

LONG_SIDE = 256
JPEG_QUALITY = 92
ANNOTATION = (
    "<annotation>\n\t<filename>{name}.jpg</filename>\n\t<size><width>{width}</width><height>{height}</height>"
    "<depth>3</depth></size>\n{objects}</annotation>\n"
)
OBJECT = "\t<object><name>{name}</name></object>\n"


def write_reduced(
    root: Path,
    name: str,
    image: UInt8[np.ndarray, "h w 3"],
    masks: Mapping[Path, UInt8[np.ndarray, "h w"]],
    shown: Sequence[str],
    shortest: int = 1,
) -> None:
    """Write image, masks and annotation, which comes last.

    Args:
        root: the folder in VOC layout, whose folders are there.
        name: of the image in it.
        image: RGB, 0-255, of any size.
        masks: by file; of the image's size.
        shown: names of the classes in the image.
        shortest: see `smaller_size`.
    """
    picture = reduced(image, shortest)
    width, height = picture.size
    picture.save(root / "JPEGImages" / f"{name}.jpg", quality=JPEG_QUALITY, subsampling=0)
    for path, mask in masks.items():
        with path.open("wb") as file:
            write_mask(file, np.array(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST)))
    write_annotation(root, name, (height, width), shown)


def write_annotation(root: Path, name: str, size: tuple[int, int], shown: Sequence[str]) -> None:
    """Write the annotation of an image of this height and width: the names of what it shows, without boxes."""
    objects = "".join(OBJECT.format(name=escape(each)) for each in shown)
    text = ANNOTATION.format(name=escape(name), width=size[1], height=size[0], objects=objects)
    write_text_whole(root / "Annotations" / f"{name}.xml", text)


def reduced(image: UInt8[np.ndarray, "h w 3"], shortest: int = 1) -> Image.Image:
    """An image at the size of `smaller_size`."""
    picture = Image.fromarray(image)
    size = smaller_size(picture.size, shortest)
    return picture if picture.size == size else picture.resize(size, Image.Resampling.LANCZOS)


def smaller_size(size: tuple[int, int], shortest: int = 1) -> tuple[int, int]:
    """Width and height with a long side of at most 256 pixels, unless the other side would be below `shortest`.

    >>> smaller_size((500, 375)), smaller_size((200, 100)), smaller_size((1000, 100), shortest=72)
    ((256, 192), (200, 100), (720, 72))
    """
    factor = max(min(1.0, LONG_SIDE / max(size)), shortest / min(size))
    return max(1, _rounded(size[0] * factor)), max(1, _rounded(size[1] * factor))


def _rounded(value: float) -> int:
    return math.floor(value + 0.5)


def write_text_whole(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
