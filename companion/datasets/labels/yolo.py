"""Files of YOLO: a text an image, a line an object that begins with the number of its class.

Names are in `classes.txt`, `obj.names` or a `.yaml` with `names`, in the folder of the texts or one of the two above.
An empty text says that the image shows none of the classes.
"""

from functools import partial
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from companion.datasets.labels.entries import Entry, Source, files_below, lines_of, of_each, read_text
from thesislib.data.voc import DataError

NAMES_FILES = ("classes.txt", "obj.names", "data.yaml", "data.yml", "dataset.yaml")


def names_file(folder: Path) -> Path | None:
    """The file with the class names that belongs to a folder of texts, if there is one."""
    places = [folder / name for folder in (folder, *folder.absolute().parents[:2]) for name in NAMES_FILES]
    return next((path for path in places if path.is_file()), None)


def texts(folder: Path) -> list[Path]:
    """Files that may be texts of YOLO: all whose first line begins with a number."""
    found = [path for path in files_below(folder, ".txt") if path.name not in NAMES_FILES]
    return [path for path in found if _may_be(path)]


def read(folder: Path, names: Path | None = None) -> Source:
    """Labels of all texts in a folder and below it.

    Args:
        folder: with the texts.
        names: file of the class names; None: the one that belongs to the folder.

    Raises:
        DataError: no class names, or lines that do not begin with the number of one.
    """
    names = names or names_file(folder)
    if names is None:
        raise DataError(f"no class names for the texts of YOLO in {folder}: put {' or '.join(NAMES_FILES)} there")
    classes = _classes(names)
    entries = of_each(partial(_entry, folder, classes), texts(folder))
    used = {name for entry in entries for name in entry.classes}
    unused = [name for name in classes.values() if name not in used]
    notes = (f"{len(unused)} classes of {names.name} without an object",) if unused else ()
    return Source(f"texts of YOLO with {names.name}", entries, tuple(n for n in classes.values() if n in used), notes)


def _classes(path: Path) -> dict[int, str]:
    if path.suffix not in (".yaml", ".yml"):
        return {i: name for i, (_, name) in enumerate(lines_of(path))}
    try:
        content: Any = yaml.safe_load(read_text(path))
        found = content["names"]
        pairs = found.items() if isinstance(found, dict) else enumerate(found)
        return {int(number): str(name).strip() for number, name in pairs}
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} has no class names under `names` ({error}); list them there") from error


def _entry(folder: Path, classes: dict[int, str], path: Path) -> Entry:
    shown: dict[str, None] = {}
    for number, line in lines_of(path):
        first = line.split()[0]
        if not first.isdigit() or int(first) not in classes:
            raise DataError(f"{path} line {number} (class {first} of {len(classes)})")
        shown[classes[int(first)]] = None
    return Entry(path.relative_to(folder).with_suffix("").as_posix(), tuple(shown), str(path))


def _may_be(path: Path) -> bool:
    first = next((line for _, line in lines_of(path)), "0")
    return first.split()[0].isdigit()
