"""Whether a folder can be a `--data-root`: in VOC layout, with names that can name files. If not, what makes it so.

Experiments read one layout alone, so that what decides a result is in one place; other forms of labels are brought into
it once. Nothing here corresponds to published code.
"""

import shlex
from pathlib import Path

from companion.datasets import coco2014
from companion.datasets.labels import recognition
from companion.datasets.voc2012.protocol import SPLITS, has_list
from thesislib.data.pictures import IMAGE_SUFFIXES
from thesislib.data.voc import DataError, find_root, read_ids

PREPARE = "thesis data prepare own"
IMAGE_FOLDERS, MASK_FOLDERS = ("images", "JPEGImages"), ("masks", "SegmentationClass")
"""As most people call them."""


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
    folders = _image_folders(root)
    known = [name for name in (*IMAGE_FOLDERS, *MASK_FOLDERS) if name in folders]
    try:
        sources = recognition.sources(root)
    except DataError:
        sources = []
    if not sources and len(folders) > 1 and not known:
        sources = ["one folder a class"]
    if not sources or not folders:
        return f"`{PREPARE} --images DIR --labels PATH --output DIR` makes one of your images and what they show"
    images = next((root / name for name in folders if name in IMAGE_FOLDERS or len(folders) == 1), root)
    labels = _quoted(root) if len(sources) == 1 else f"({' or '.join(sources)})"
    truth = "".join(f" --truth {_quoted(root / name)}" for name in MASK_FOLDERS if name in folders)
    command = f"{PREPARE} --images {_quoted(images)} --labels {labels}{truth} --output {_quoted(_beside(root))}"
    return f"It has images and {', '.join(sources)}: `{command}` makes a folder for --data-root of them"


def _image_folders(root: Path) -> list[str]:
    """The folders in a folder that have images, `.` for itself; no further down, for it may be any."""
    found = {path.relative_to(root).parts[:-1] for path in (*root.glob("*"), *root.glob("*/*")) if _is_image(path)}
    return sorted("/".join(parts) or "." for parts in found)


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()


def _beside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}_prepared")


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
