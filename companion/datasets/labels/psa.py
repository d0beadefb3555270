"""`cls_labels.npy`: the image labels of jiwoon-ahn/psa and irn, a vector for each image; read without pickles.

The file has no class names: `classes.txt` beside it has them, a name a line; else 20 classes are those of VOC.
"""

from pathlib import Path

import numpy as np

from companion.datasets.labels.entries import Entry, Source, lines_of
from companion.datasets.pickles import read_object
from thesislib.data.voc import VOC_CLASSES, DataError

NAMES_FILE = "classes.txt"


def read(path: Path) -> Source:
    """Labels of a `.npy` that holds a dictionary from image names to vectors of 0 and 1.

    Raises:
        DataError: it holds anything else, or there are no names for its classes.
    """
    found = read_object(path)
    if not isinstance(found, dict) or not found:
        raise DataError(
            f"{path} holds no dictionary of image names and labels; expected the cls_labels.npy of psa or irn"
        )
    vectors = {_image(key): np.asarray(value).ravel() for key, value in found.items()}
    sizes = {len(vector) for vector in vectors.values()}
    if len(sizes) > 1:
        raise DataError(f"{path} has vectors of {', '.join(map(str, sorted(sizes)))} labels; expected one length")
    classes = _classes(path, sizes.pop())
    wrong = [name for name, vector in vectors.items() if not np.isin(vector, (0, 1)).all()]
    if wrong:
        raise DataError(
            f"{path} has labels other than 0 and 1, of {len(wrong)} images such as {wrong[0]}: make it anew"
        )
    entries = [
        Entry(name, tuple(classes[c] for c in np.flatnonzero(vector)), f"{path.name} {name}")
        for name, vector in vectors.items()
    ]
    return Source(f"{path.name} of psa or irn", entries, classes)


def _image(key: object) -> str:
    """irn stores names such as 2007_000032 as numbers."""
    return f"{str(key)[:4]}_{str(key)[4:]}" if isinstance(key, int) else str(key)


def _classes(path: Path, count: int) -> tuple[str, ...]:
    beside = path.with_name(NAMES_FILE)
    names = tuple(name for _, name in lines_of(beside)) if beside.is_file() else VOC_CLASSES
    if len(names) != count:
        has = f"{beside} has {len(names)}" if beside.is_file() else f"there is no {beside}"
        raise DataError(f"{path} has {count} labels an image, and {has}: write their {count} names there, one a line")
    return names
