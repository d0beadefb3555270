"""Which source of labels a file or folder is, told by what is in it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from companion.datasets.labels import class_folders, coco, csv_table, labelme, voc_xml, yolo
from companion.datasets.labels.entries import Source, files_below, is_hidden, read_json
from companion.datasets.labels.images import find_images
from thesislib.data.voc import DataError

KNOWN = (
    "labels.csv (image,class;class, or a column of 0 and 1 a class), one folder a class, cls_labels.npy of psa, or a "
    "folder of VOC's XML, COCO's or labelme's JSON, or YOLO's texts with classes.txt or data.yaml"
)


def read(path: Path) -> Source:
    """The labels of whatever `path` is.

    Raises:
        DataError: there is nothing, nothing that is known, or more than one source; or as the source raises.
    """
    if path.is_file():
        return _of_file(path)
    if not path.is_dir():
        raise DataError(f"no labels at {path}: give --labels, {KNOWN}")
    found = _in_folder(path)
    if len(found) > 1:
        raise DataError(
            f"{path} holds more than one source of labels: {', '.join(found)}. Give --labels, one of them alone"
        )
    if found:
        return next(iter(found.values()))()
    if any("/" in image for image in find_images(path)[0]):
        return class_folders.read(path)
    raise DataError(f"no labels in {path}: expected {KNOWN}")


def sources(folder: Path) -> list[str]:
    """The sources of labels in a folder, but for class folders, in words; raises `DataError` as a source does."""
    return list(_in_folder(folder))


def _of_file(path: Path) -> Source:
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return csv_table.read(path)
    if suffix == ".npy":
        return _of_array(path)
    if suffix in (".yaml", ".yml"):
        labels = path.parent / "labels"
        return yolo.read(labels if labels.is_dir() else path.parent, path)
    if suffix == ".json" and not labelme.is_labelme(read_json(path)):
        return coco.read(path)
    one = suffix in (".json", ".xml", ".txt")
    advice = f"give its folder, {path.parent}" if one else f"expected {KNOWN}"
    raise DataError(f"{path} is not a file with the labels of all images: {advice}")


def _of_array(path: Path) -> Source:
    from companion.datasets.labels import psa  # reads through torch, which takes seconds to import

    return psa.read(path)


def _in_folder(folder: Path) -> dict[str, Callable[[], Source]]:
    """Readers of the sources in a folder, by what is to be seen of them."""
    found: dict[str, Callable[[], Source]] = {}
    for suffix, read_file in ((".csv", csv_table.read), (".tsv", csv_table.read), (".npy", _of_array)):
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() == suffix and not is_hidden(Path(path.name)):
                found[path.name] = partial(read_file, path)
    if annotations := files_below(folder, ".xml"):
        found[f"{len(annotations)} .xml"] = partial(voc_xml.read, folder)
    found |= _json_in(folder)
    if (texts := yolo.texts(folder)) and yolo.names_file(folder):
        found[f"{len(texts)} .txt of YOLO"] = partial(yolo.read, folder)
    return found


def _json_in(folder: Path) -> dict[str, Callable[[], Source]]:
    files = files_below(folder, ".json")
    instances = [path for path in files if coco.is_coco(read_json(path))]
    if len(files) > len(instances):
        return {f"{len(files)} .json of labelme": partial(labelme.read, folder)}
    return {path.name: partial(coco.read, path) for path in instances}
