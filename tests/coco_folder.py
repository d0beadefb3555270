"""The demo's images in the layout of COCO 2014: polygons, runs in both forms, crowds, and images without an object."""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from companion.datasets.coco2014 import CATEGORIES
from companion.datasets.demo.generator import demo_scene
from companion.settings import DataSettings

OF_KINDS = (16, 18, 44, 1, 9, 90)  # category of each class of the demo; 1 is person
PERSON = 1
HEIGHT, WIDTH = 64, 56
SCENES = {"train2014": 10, "val2014": 4}
TRUTH = {c: i for i, c in enumerate(CATEGORIES, start=1)}


def write_coco(root: Path) -> dict[str, np.ndarray]:
    """Write annotations and images; returns the masks that they mean, by image name.

    Of each set the last image but one has no object, and the last one a person alone. In train2014 image 0 has a crowd
    behind its objects as well, and image 1 nothing but a crowd.
    """
    masks: dict[str, np.ndarray] = {}
    (root / "annotations").mkdir(parents=True)
    for split, count in SCENES.items():
        (root / split).mkdir()
        images, annotations = [], []
        for i in range(count + 2):
            name = f"COCO_{split}_{1000 + 7 * i:012}"
            picture, mask, found = _image(split, i, count)
            Image.fromarray(picture).save(root / split / f"{name}.jpg", quality=95)
            images.append({"id": 1000 + 7 * i, "file_name": f"{name}.jpg", "height": HEIGHT, "width": WIDTH})
            annotations += [each | {"id": 100 * i + j, "image_id": 1000 + 7 * i} for j, each in enumerate(found)]
            masks[name] = mask
        categories = [{"id": number, "name": name} for number, name in CATEGORIES.items()]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    return masks


def polygons(inside: np.ndarray) -> list[list[int]]:
    """Rectangles of one row that hold these pixels and no others."""
    found = []
    for y, row in enumerate(inside):
        edges = np.flatnonzero(np.diff(np.pad(row.astype(int), 1)))
        for left, right in edges.reshape(-1, 2).tolist():
            found.append([left, y, right, y, right, y + 1, left, y + 1])
    return found


def runs(inside: np.ndarray) -> dict:
    """Runs as a list of lengths, from outside."""
    pixels = inside.T.reshape(-1)
    edges = np.flatnonzero(np.diff(pixels)) + 1
    lengths = np.diff([0, *edges, pixels.size]).tolist()
    return {"size": list(inside.shape), "counts": [0, *lengths] if pixels[0] else lengths}


def text_runs(inside: np.ndarray) -> dict:
    """Runs as COCO's text, by pycocotools."""
    encoded = coco_mask.encode(np.asfortranarray(inside.astype(np.uint8)))
    return {"size": list(inside.shape), "counts": encoded["counts"].decode()}


def annotation(category: int, inside: np.ndarray, form=polygons, crowd: int = 0) -> dict:
    """One annotation without its ids."""
    return {"category_id": category, "segmentation": form(inside), "iscrowd": crowd, "area": int(inside.sum())}


def _image(split: str, i: int, count: int) -> tuple[np.ndarray, np.ndarray, list[dict]]:
    """Pixels, mask and annotations of one image."""
    scene = demo_scene("trainaug" if split == "train2014" else "val", i, DataSettings(image_size=HEIGHT))
    picture, instances = scene.image[:, :WIDTH], scene.instances[:, :WIDTH]
    mask, found = np.zeros((HEIGHT, WIDTH), np.uint8), []
    if i == count:
        return picture, mask, found
    for number, thing in enumerate(scene.things, start=1):
        category = PERSON if i > count else OF_KINDS[thing.kind]
        inside = instances == number
        if inside.any() and (split, i) != ("train2014", 1):
            found.append(annotation(category, inside, (polygons, runs, text_runs)[(i + number) % 3]))
            mask[inside] = TRUTH[category]
    if split == "train2014" and i < 2:
        crowd = np.zeros_like(instances, bool)
        crowd[:20] = True
        found.insert(0, annotation(PERSON, crowd, runs, crowd=1))
        mask[crowd & (mask == 0)] = 255
    return picture, mask, found
