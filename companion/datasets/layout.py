"""Whether a folder can be a `--data-root`: in VOC layout, with names that can name files. If not, what makes it so.

Experiments read one layout alone, so that what decides a result is in one place; other forms of labels are brought into
it once. Nothing here corresponds to published code.
"""

import os
import shlex
from contextlib import suppress
from itertools import islice
from pathlib import Path

from companion.datasets import coco2014
from companion.datasets.labels import recognition
from companion.datasets.voc2012.protocol import SPLITS, has_list
from thesislib.data.pictures import IMAGE_SUFFIXES
from thesislib.data.voc import DataError, find_root, read_ids

PREPARE = "thesis data prepare own"
IMAGE_FOLDERS, MASK_FOLDERS = ("images", "JPEGImages"), ("masks", "SegmentationClass")
"""As most people call them."""
DEPTHS = ("*", "*/*", "*/*/*")
MOST_FILES = 50_000


def find_layout(root: Path) -> Path:
    """The folder with `JPEGImages`, as `find_root`, whose lists can be used as they are.

    Raises:
        DataError: it is none; with the command that makes one of the images and labels that are there.
    """
    try:
        folder = find_root(root)
    except DataError as error:
        raise DataError(f"{error}. {_remedy(root)}" if root.is_dir() else str(error)) from error
    for split in SPLITS:
        if has_list(folder, split):
            _require_names(folder, split)
    return folder


def _require_names(folder: Path, split: str) -> None:
    try:
        read_ids(folder, split)
    except DataError as error:
        if not _has_folders(folder, split):
            return  # said with all else that is wrong
        command = f"{PREPARE} --root {_quoted(folder)} --output {_quoted(_beside(folder))}"
        raise DataError(f"{error}. `{command}` gives every image a name without folder") from error


def _has_folders(folder: Path, split: str) -> bool:
    try:
        return any("/" in name for name in read_ids(folder, split, folders=True))
    except DataError:
        return False


def _remedy(root: Path) -> str:
    """The command that makes such a folder of what is in this one, as far as it can be told."""
    if all((root / name).is_dir() for name in ("annotations", *coco2014.SETS)):
        return (
            f"`thesis data prepare coco2014 --root {_quoted(root)} --output {_quoted(_beside(root))}` makes one of it"
        )
    places: set[Path] = set()
    sources: list[str] = []
    with suppress(DataError, OSError):
        places = _image_places(root) if _is_limited(root) else places
        sources = recognition.sources(root) if places else sources
    folders, labels = sorted({place.parts[0] if place.parts else "." for place in places}), root
    if not sources and (classes := _class_folders(root, places)):
        labels, sources = classes, ["one folder a class"]
    if not sources or not places:
        return f"`{PREPARE} --images DIR --labels PATH --output DIR` makes one of your images and what they show"
    named = [name for name in folders if name in IMAGE_FOLDERS or len(folders) == 1]
    images = labels if labels != root else root / named[0] if named else root
    said = _quoted(labels) if len(sources) == 1 else f"({' or '.join(sources)})"
    truth = "".join(f" --truth {_quoted(root / name)}" for name in MASK_FOLDERS if name in folders)
    command = f"{PREPARE} --images {_quoted(images)} --labels {said}{truth} --output {_quoted(_beside(root))}"
    return f"It has images and {', '.join(sources)}: `{command}` makes a folder for --data-root of them"


def _class_folders(root: Path, places: set[Path]) -> Path | None:
    """The folder that has nothing but two or more folders with images, none of which is called as no class would be."""
    parents = {place.parent for place in places if place.parts}
    if len(places) < 2 or len(parents) > 1 or Path() in places:
        return None
    known = any(place.name in (*IMAGE_FOLDERS, *MASK_FOLDERS) for place in places)
    return None if known else root / parents.pop()


def _image_places(root: Path) -> set[Path]:
    """The folders with images in a folder, relative to it; not those further down, for the folder may be any."""
    return {path.relative_to(root).parent for depth in DEPTHS for path in root.glob(depth) if _is_image(path)}


def _is_limited(root: Path) -> bool:
    """Whether a folder has few enough files to look at each, as a home folder given by mistake has not."""
    files = (name for _, _, names in os.walk(root) for name in names)
    return next(islice(files, MOST_FILES, None), None) is None


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()


def _beside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}_prepared")


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
