"""A picture of the user's own, with the classes that are said to be in it, checked before anything is computed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from companion.settings import SettingsError, nearest
from thesislib.data.voc import DataError, read_image
from thesislib.refinement.pairs import RADIUS

SMALLEST_SIDE = 32  # pixels, of a picture that is shown up to its response map
LONGEST_SIDE = 500  # pixels, that of VOC; a larger picture is made smaller


def smallest_side(stride: int, steps: int) -> int:
    """Pixels that a picture needs: for step 2 as many cells as the pairs of the random walk span."""
    return max(SMALLEST_SIDE, stride * (2 * RADIUS - 1)) if steps >= 2 else SMALLEST_SIDE


def own_picture(
    path: str | Path, labels: Sequence[str], classes: Sequence[str], smallest: int = SMALLEST_SIDE
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, " c"]]:
    """An image file of the user's and the classes that are said to be in it, as a label vector.

    Args:
        path: of the file.
        labels: names of the classes in it.
        classes: names of all that the classifier knows.
        smallest: pixels that both sides need, see `smallest_side`.

    Raises:
        SettingsError: no class is given, or one that the classifier does not know; names the nearest.
        DataError: the file is missing, not an image, or too small.
    """
    if not labels:
        raise SettingsError(f"image_labels is empty: name the classes in {path}, of {', '.join(classes)}")
    for name in labels:
        if name not in classes:
            raise SettingsError(f"image_labels: unknown class {name!r}{nearest(str(name), list(classes))}")
    picture = read_image(Path(path).expanduser())
    if max(picture.shape[:2]) > LONGEST_SIDE:
        smaller = Image.fromarray(picture)
        smaller.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        picture = np.asarray(smaller)
    if min(picture.shape[:2]) < smallest:
        raise DataError(
            f"{path} has {picture.shape[1]} x {picture.shape[0]} pixels, {LONGEST_SIDE} at most being used; expected "
            f"sides of at least {smallest}"
        )
    return picture, np.isin(classes, list(labels)).astype(np.uint8)
