"""Files of labelme: a JSON an image, whose shapes have labels; flags that are set count as labels of the image."""

from pathlib import Path

from companion.datasets.labels.entries import Entry, Source, files_below, of_each, read_json
from thesislib.data.voc import DataError


def is_labelme(content: object) -> bool:
    """Whether a JSON file is one of labelme's."""
    return isinstance(content, dict) and isinstance(content.get("shapes"), list)


def read(folder: Path) -> Source:
    """Labels of all `.json` in a folder and below it; raises `DataError` with all that cannot be used."""
    return Source("files of labelme", of_each(lambda path: _entry(folder, path), files_below(folder, ".json")))


def _entry(folder: Path, path: Path) -> Entry:
    content = read_json(path)
    if not is_labelme(content):
        raise DataError(f"{path} (no shapes: not of labelme)")
    try:
        names = [str(shape["label"]).strip() for shape in content["shapes"]]
    except (KeyError, TypeError) as error:
        raise DataError(f"{path} (a shape without a label)") from error
    names += [str(name) for name, is_set in (content.get("flags") or {}).items() if is_set]
    file = str(content.get("imagePath") or path.stem).replace("\\", "/").rpartition("/")[2]
    image = (path.relative_to(folder).parent / file).as_posix()
    return Entry(image, tuple(dict.fromkeys(name for name in names if name)), str(path))
