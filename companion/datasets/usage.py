"""What would be used of a data folder, and what is left alone: a line a class, and the files that no list names."""

from collections.abc import Sequence
from pathlib import Path

from companion.datasets.voc2012.protocol import SPLITS, has_list
from thesislib.data.pictures import IMAGE_SUFFIXES
from thesislib.data.voc import VocDataset, find_root

PLACES = {"JPEGImages": IMAGE_SUFFIXES, "Annotations": (".xml",), "SegmentationClass": (".png",)}


def usage(root: Path | str) -> str:
    """A table of the images of each class in each split, and of those with a mask; then what is ignored.

    Raises:
        DataError: a list or an annotation is missing or cannot be read.
    """
    folder = find_root(root)
    found = [VocDataset(folder, split) for split in SPLITS if split != "test" and has_list(folder, split)]
    counts = [images.labels.sum(axis=0) for images in found]
    masks = [sum(images.has_mask(i) for i in range(len(images))) for images in found]
    rows = [
        ("images that show", *(images.split for images in found)),
        *((name, *(str(of_split[c]) for of_split in counts)) for c, name in enumerate(found[0].classes)),
        ("all images", *(str(len(images)) for images in found)),
        ("with a mask", *map(str, masks)),
    ]
    return "\n".join([*_aligned(rows), *(f"ignored: {line}" for line in _ignored(found))])


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]


def _ignored(found: Sequence[VocDataset]) -> list[str]:
    """Files that no list of the folder names, a line a folder."""
    root = found[0].root
    lists = (root / "ImageSets" / "Segmentation").glob("*.txt")
    named = {name for path in lists for name in VocDataset(root, path.stem).ids}
    lines = []
    for place, suffixes in PLACES.items():
        files = sorted(path for path in (root / place).glob("*") if path.is_file())
        unused = [p.name for p in files if p.suffix.lower() not in suffixes or p.stem not in named]
        if unused:
            lines.append(f"{len(unused)} of {len(files)} files in {place} that no list names, such as {unused[0]}")
    return lines
