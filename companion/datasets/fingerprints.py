"""What stands for a data folder in artefact keys: a short hash of everything in it that is read.

Nothing here corresponds to published code, which keeps no results apart.
"""

import functools
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from companion.datasets.voc2012.protocol import AUGMENTED_MASKS
from thesislib.data.voc import VocDataset

LENGTH = 16
_NOTHING = bytes(32)
_BY_SIZES = {
    "2b23ba3630ede7cd": "a265ccf8fb986141",
    "ed3db95450f54ebe": "a2569b0f09218251",
}
"""Of data with published scores, from when the sizes of images and masks stood for them: by contents, as in keys."""


def fingerprint(root: Path | str, splits: Sequence[str]) -> str:
    """Short hash of what the given splits hold: class names, image names, annotations, sub-types, images and masks.

    The place of the folder does not matter. Files are read once in a process, and again when they have changed.

    Returns:
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for split in splits:
        dataset = VocDataset(root, split)
        digest.update(repr((split, dataset.classes, dataset.ids)).encode())
        for path in (dataset.root / "subtypes.csv", *_files(dataset)):
            digest.update(_content(path))
    return _short(digest.hexdigest())


def masks_fingerprint(images: VocDataset) -> str:
    """Short hash of SBD's masks for a split, empty if there are none: for what is trained on them.

    Not part of `fingerprint`: masks that are added for the upper bound change nothing else.
    """
    found = [_content(images.root / AUGMENTED_MASKS / f"{name}.png") for name in images.ids]
    return _short(hashlib.sha256(b"".join(found)).hexdigest()) if any(each != _NOTHING for each in found) else ""


def _files(dataset: VocDataset) -> Iterator[Path]:
    for i, image_id in enumerate(dataset.ids):
        yield dataset.image_path(i)
        yield dataset.mask_path(i)
        yield dataset.root / "Parts" / f"{image_id}.png"
        yield dataset.annotation_path(i)


def _short(digest: str) -> str:
    return _BY_SIZES.get(digest[:LENGTH], digest[:LENGTH])


def _content(path: Path) -> bytes:
    """SHA-256 of a file, zeros where there is none."""
    if not path.is_file():
        return _NOTHING
    state = path.stat()
    return _digest(path, state.st_mtime_ns, state.st_size)


@functools.cache
def _digest(path: Path, changed: int, size: int) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
