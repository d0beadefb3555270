"""Instances of COCO: one JSON with images, categories, and annotations that join them."""

from collections import defaultdict
from pathlib import Path

from companion.datasets.labels.entries import Entry, Source, read_json
from thesislib.data.voc import DataError

PARTS = ("images", "annotations", "categories")


def is_coco(content: object) -> bool:
    """Whether a JSON file is one of COCO's."""
    return isinstance(content, dict) and all(isinstance(content.get(part), list) for part in PARTS)


def read(path: Path) -> Source:
    """Labels of an instances file; categories without an annotation are left out.

    Raises:
        DataError: it is no such file, or names an image or a category that it does not have.
    """
    content = read_json(path)
    if not is_coco(content):
        raise DataError(f"{path} lacks lists {', '.join(PARTS)}; expected the instances of COCO")
    try:
        categories = {each["id"]: str(each["name"]).strip() for each in content["categories"]}
        files = {each["id"]: str(each["file_name"]) for each in content["images"]}
        shown: dict[str, dict[str, None]] = defaultdict(dict)
        for each in content["annotations"]:
            shown[files[each["image_id"]]][categories[each["category_id"]]] = None
    except (KeyError, TypeError) as error:
        raise DataError(f"{path} refers to an id or lacks a field: {error}. Export it again") from error
    entries = [Entry(file, tuple(shown[file]), f"{path.name} {file}") for file in files.values()]
    used = {name for of_image in shown.values() for name in of_image}
    classes = tuple(categories[key] for key in sorted(categories) if categories[key] in used)
    unused = len(categories) - len(classes)
    return Source(
        f"instances of COCO, {path.name}",
        entries,
        classes,
        (f"{unused} categories of {path.name} without an object",) if unused else (),
    )
