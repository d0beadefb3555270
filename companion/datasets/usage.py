"""What would be used of a data folder, and what is left alone: images of each class, and files in each place."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from companion.datasets.voc2012.protocol import AUGMENTED_MASKS, SPLITS, has_list
from thesislib.data.voc import VocDataset, find_root

PLACES = ("JPEGImages", "Annotations", "SegmentationClass", AUGMENTED_MASKS, "Parts", "ImageSets")
TABLES = ("classes.txt", "subtypes.csv", "images.csv")
NAMED = 3


def usage(root: Path | str) -> str:
    """Images of each class in each split, and of those with a mask; then how many files are used and ignored where.

    Raises:
        DataError: a list or an annotation is missing or cannot be read.
    """
    folder = find_root(root)
    found = [VocDataset(folder, split) for split in SPLITS if has_list(folder, split)]
    labelled = [images for images in found if images.split != "test"]
    counts = [images.labels.sum(axis=0) for images in labelled]
    masks = [sum(images.has_mask(i) for i in range(len(images))) for images in labelled]
    rows = [
        ("images that show", *(images.split for images in labelled)),
        *((name, *(str(of_split[c]) for of_split in counts)) for c, name in enumerate(found[0].classes)),
        ("all images", *(str(len(images)) for images in labelled)),
        ("with a mask", *map(str, masks)),
    ]
    places = [*_places(folder, {path for images in found for path in _read(images)})]
    files = _aligned([("files in", "used", "ignored"), *(place[:3] for place in places)])
    such_as = ["among the ignored", *(names for *_, names in places)]
    beside = [f"{line}  {names}".rstrip() for line, names in zip(files, such_as, strict=True)]
    return "\n".join([*_aligned(rows), "", *beside])


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]


def _read(images: VocDataset) -> Iterator[Path]:
    """The files that a split is read from, whether they exist or not."""
    yield images.root / "ImageSets" / "Segmentation" / f"{images.split}.txt"
    for i, name in enumerate(images.ids):
        yield images.image_path(i)
        yield images.annotation_path(i)
        yield images.mask_path(i)
        yield from (images.root / place / f"{name}.png" for place in (AUGMENTED_MASKS, "Parts"))


def _places(root: Path, used: set[Path]) -> Iterator[tuple[str, str, str, str]]:
    """A line a place: how many files of it are used, how many are not, and the first of these."""
    for place in PLACES:
        if (root / place).is_dir():
            files = sorted(path for path in (root / place).rglob("*") if path.is_file())
            yield _line(place, root / place, files, [path for path in files if path not in used])
    others = sorted(path for path in root.iterdir() if path.name not in PLACES)
    yield _line("the folder itself", root, others, [path for path in others if path.name not in TABLES])


def _line(place: str, folder: Path, files: Sequence[Path], ignored: Sequence[Path]) -> tuple[str, str, str, str]:
    names = [path.relative_to(folder).as_posix() + "/" * path.is_dir() for path in ignored[:NAMED]]
    more = ", ..." if len(ignored) > NAMED else ""
    return place, str(len(files) - len(ignored)), str(len(ignored)), ", ".join(names) + more
