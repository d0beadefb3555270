"""Instances of COCO: one JSON with images, categories, and annotations that join them.

A crowd is a label of its image too: published multi-label training on COCO takes the categories of all annotations
(zhaozhengChen/ReCAM `mscoco/dataloader.py`). What annotations outline is for `instances` alone.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from companion.datasets.labels.entries import Entry, Problem, Source, read_json, refuse
from thesislib.data.voc import DataError

PARTS = ("images", "annotations", "categories")


class Object(NamedTuple):
    """One annotation: name of its category, outline as the file has it (None: it has none), whether it is a crowd."""

    name: str
    outline: Any
    crowd: bool


class Image(NamedTuple):
    """One image: its file, height and width in pixels (None: the file does not say), and what it shows."""

    file: str
    size: tuple[int, int] | None
    objects: tuple[Object, ...]

    @property
    def shown(self) -> tuple[str, ...]:
        """Names of the categories in the image, each once, in the order of their first annotation."""
        return tuple(dict.fromkeys(each.name for each in self.objects))


class Instances(NamedTuple):
    """An instances file: names of its categories by id, in ascending order, and its images in their order."""

    path: Path
    categories: dict[int, str]
    images: tuple[Image, ...]


def is_coco(content: object) -> bool:
    """Whether a JSON file is one of COCO's."""
    return isinstance(content, dict) and all(isinstance(content.get(part), list) for part in PARTS)


def read(path: Path) -> Source:
    """Labels of an instances file; categories without an annotation are left out.

    Raises:
        DataError: see `read_instances`.
    """
    found = read_instances(path)
    entries = [Entry(each.file, each.shown, f"{path.name} {each.file}") for each in found.images]
    used = {name for entry in entries for name in entry.classes}
    classes = tuple(name for name in found.categories.values() if name in used)
    unused = len(found.categories) - len(classes)
    outlined = sum(each.outline is not None for image in found.images for each in image.objects)
    notes = (f"{unused} categories of {path.name} without an object",) if unused else ()
    return Source(f"instances of COCO, {path.name}", entries, classes, notes, outlined)


def read_instances(path: Path) -> Instances:
    """All of an instances file that weak supervision and scores read.

    Raises:
        DataError: it is no such file or cut short, lists an image or a category twice, or has annotations of an image
            or a category that it does not list.
    """
    content = read_json(path)
    if not is_coco(content):
        raise DataError(f"{path} lacks lists {', '.join(PARTS)}; expected the instances of COCO")
    try:
        refuse(str(path), [*_repeated(content), *_dangling(content)])
        categories = {each["id"]: str(each["name"]).strip() for each in content["categories"]}
        objects: dict[Any, list[Object]] = {each["id"]: [] for each in content["images"]}
        for each in content["annotations"]:
            outline = each.get("segmentation") or None
            objects[each["image_id"]].append(
                Object(categories[each["category_id"]], outline, bool(each.get("iscrowd", 0)))
            )
        images = [Image(str(each["file_name"]), _size(each), tuple(objects[each["id"]])) for each in content["images"]]
        return Instances(path, dict(sorted(categories.items())), tuple(images))
    except DataError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise DataError(f"{path} lacks a field or has one of another kind: {error}. Export it again") from error


def _size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    if "height" not in image or "width" not in image:
        return None
    return int(image["height"]), int(image["width"])


def _repeated(content: Mapping[str, Any]) -> Iterator[Problem]:
    for part, field in (("images", "id"), ("images", "file_name"), ("categories", "id"), ("categories", "name")):
        known = set()
        for each in content[part]:
            if each[field] in known:
                yield f"{part} listed twice: delete one", f"{field} {each[field]}"
            known.add(each[field])


def _dangling(content: Mapping[str, Any]) -> Iterator[Problem]:
    images, categories = ({each["id"] for each in content[part]} for part in ("images", "categories"))
    for number, each in enumerate(content["annotations"]):
        where = f"annotation {each.get('id', number)}"
        if each["image_id"] not in images:
            yield "annotations of an image that is not listed: export the file again", f"{where}, {each['image_id']}"
        if each["category_id"] not in categories:
            kind = "annotations of a category that is not listed: export the file again"
            yield kind, f"{where}, {each['category_id']}"
