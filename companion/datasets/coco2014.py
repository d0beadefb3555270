"""MS-COCO 2014 in the VOC layout that every experiment reads: 80 classes, images at their own size.

Not in the thesis, whose chapter 4 leaves other data open. Image labels are the categories of all annotations of an
image, crowds too, masks as `instances` draws them, both as published code has them or with the differences that it
states. `trainaug` has the images of train2014 that show an object: 82,081 of 82,783 in published work. `train`, on
which maps are scored, is the same list. `val` has all of val2014, as the lists of xulianuwa/MCTformer have (40,504
lines of `coco/val_id.txt`); images without an object count there as background. Others score the 40,137 with one.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from companion.datasets.checks import Share
from companion.datasets.instances import mask_of, outline_problem
from companion.datasets.labels.coco import Image, Instances, read_instances
from companion.datasets.labels.entries import Problem, read_json, refuse
from companion.datasets.labels.images import bare
from companion.datasets.reduced import write_annotation, write_text_whole
from thesislib.data.voc import DataError, read_size, write_mask

_NAMES = (
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light"),
    *("fire hydrant", "", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep"),
    *("cow", "elephant", "bear", "zebra", "giraffe", "", "backpack", "umbrella", "", ""),
    *("handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite", "baseball bat"),
    *("baseball glove", "skateboard", "surfboard", "tennis racket", "bottle", "", "wine glass", "cup", "fork"),
    *("knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog"),
    *("pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "", "dining table", "", ""),
    *("toilet", "", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster"),
    *("sink", "refrigerator", "", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush"),
)
CATEGORIES = {number: name for number, name in enumerate(_NAMES, start=1) if name}
"""By id, 1 to 90 with ten gaps: the objects that COCO never annotated."""
CLASSES = tuple(CATEGORIES.values())
SETS = ("train2014", "val2014")
EXPECTED = {"trainaug": 82_081, "val": 40_504}
"""Images of the whole COCO 2014."""
FOLDERS = ("JPEGImages", "Annotations", "SegmentationClass", "ImageSets/Segmentation")
SOURCE = "coco.json"
"""Checksums of the annotations that a folder is made of; it also says that the folder is one of these."""


class Prepared(NamedTuple):
    """What was made.

    Attributes:
        images: of each split.
        empty: images of train2014 and of val2014 without an object.
        crowds: images of both whose only objects are crowds.
    """

    images: dict[str, int]
    empty: dict[str, int]
    crowds: int


class _Picture(NamedTuple):
    """An image to write: its name in the folder, its file, and what is known of it."""

    name: str
    file: Path
    image: Image


def prepare(root: Path | str, output: Path | str, *, share: Share = map, progress: bool = False) -> Prepared:
    """Write COCO 2014 in VOC layout: links to its images, masks, annotations, lists; goes on after an earlier attempt.

    Both files of annotations take about 3 GB of memory (2.1 GB measured for one as long as that of train2014).

    Args:
        root: with `annotations/instances_train2014.json`, `instances_val2014.json`, `train2014` and `val2014`.
        output: a new folder, or that of an earlier attempt. Its images are links to those in `root`, which has to
            stay where it is, or copies where the system has no links.
        share: how the images are gone through, for example by several processes.
        progress: show a progress bar.

    Raises:
        DataError: files are missing or cut short, categories are not those of COCO, annotations are unsound, `output`
            holds other data (all of this before an image is written), or images are unreadable or of another size than
            annotated, all listed.
    """
    root, output = Path(root), Path(output)
    files = {name: root / "annotations" / f"instances_{name}.json" for name in SETS}
    _check_there(root, files)
    checksums = {path.name: _checksum(path) for path in files.values()}
    _check_output(output, root, checksums)
    pictures = {name: _pictures(read_instances(path), root / name) for name, path in files.items()}
    _begin(output, checksums)
    every = [picture for of_set in pictures.values() for picture in of_set]
    written = tqdm(share(partial(_write, output), every), "preparing", len(every), unit="image", disable=not progress)
    refuse(f"images of {root}", [problem for of_image in written for problem in of_image])
    train, val = pictures.values()
    shown = [picture.name for picture in train if picture.image.objects]
    lists = {"trainaug": shown, "train": shown, "val": [picture.name for picture in val]}
    for split, ids in lists.items():  # last, so that a folder with lists is whole
        write_text_whole(output / "ImageSets" / "Segmentation" / f"{split}.txt", "".join(f"{name}\n" for name in ids))
    return Prepared(
        {split: len(ids) for split, ids in lists.items()},
        {name: sum(not each.image.objects for each in of_set) for name, of_set in pictures.items()},
        sum(bool(each.image.objects) and all(found.crowd for found in each.image.objects) for each in every),
    )


def notes(done: Prepared) -> list[str]:
    """What is worth knowing: images without an object, those of crowds alone, and what sets it apart from all of COCO.

    >>> notes(Prepared({"trainaug": 82_081, "val": 40_503}, {"train2014": 702, "val2014": 367}, 0))[-1]
    'val has 40503 images, 40504 in the whole COCO 2014'
    """
    train, val = (done.empty[name] for name in SETS)
    said = [
        f"{train} images of train2014 without an object are left out of trainaug",
        f"{val} images of val2014 without an object count as background in val",
        f"{done.crowds} images show crowds alone: the class is their label, and the crowd 255 in their mask",
    ]
    return said + [
        f"{split} has {done.images[split]} images, {expected} in the whole COCO 2014"
        for split, expected in EXPECTED.items()
        if done.images[split] != expected
    ]


def _check_there(root: Path, files: Mapping[str, Path]) -> None:
    lacking = [str(path) for path in files.values() if not path.is_file()]
    lacking += [str(root / name) for name in files if not (root / name).is_dir()]
    if lacking:
        raise DataError(
            f"no {' and no '.join(lacking)}: give --root, the folder in which annotations_trainval2014.zip, "
            "train2014.zip and val2014.zip of cocodataset.org were extracted"
        )


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_output(output: Path, root: Path, checksums: Mapping[str, str]) -> None:
    listed = output / SOURCE
    if output.resolve() == root.resolve() or (output.exists() and not output.is_dir()):
        raise DataError(f"{output} is not a folder of its own; give --output, a folder that does not exist yet")
    if output.is_dir() and any(output.iterdir()) and not listed.is_file():
        raise DataError(f"{output} holds something else; give --output, a folder that does not exist yet")
    if listed.is_file() and read_json(listed) != checksums:
        raise DataError(f"{output} was made of other annotations than those in {root}: give another --output")


def _pictures(found: Instances, folder: Path) -> list[_Picture]:
    """The images of a set.

    Raises:
        DataError: with all that is wrong with its categories, files and outlines.
    """
    if found.categories != CATEGORIES:
        differing = [f"{number} {name}" for number, name in sorted({*found.categories.items()} ^ {*CATEGORIES.items()})]
        raise DataError(
            f"{found.path} does not have the 80 categories of COCO with their ids (differing: {'; '.join(differing)}): "
            "extract annotations_trainval2014.zip again; for instances of your own use `thesis data prepare own`"
        )
    files = {entry.name for entry in os.scandir(folder)}
    refuse(str(found.path), [problem for image in found.images for problem in _problems(image, files, folder)])
    return [_Picture(bare(image.file), folder / image.file, image) for image in found.images]


def _problems(image: Image, files: set[str], folder: Path) -> Iterator[Problem]:
    if image.file not in files:
        yield f"images missing in {folder}: extract {folder.name}.zip again", image.file
    if image.size is None:
        yield "images without height and width: extract annotations_trainval2014.zip again", image.file
        return
    for each in image.objects:
        if problem := outline_problem(each.outline, image.size):
            yield "outlines that cannot be used: extract annotations_trainval2014.zip again", f"{image.file} {problem}"


def _begin(output: Path, checksums: Mapping[str, str]) -> None:
    for folder in FOLDERS:
        (output / folder).mkdir(parents=True, exist_ok=True)
    write_text_whole(output / SOURCE, json.dumps(checksums))
    write_text_whole(output / "classes.txt", "".join(f"{name}\n" for name in CLASSES))


def _write(output: Path, picture: _Picture) -> Sequence[Problem]:
    """Write mask, link and annotation of one image; returns what is wrong with it."""
    name, file, image = picture
    link = output / "JPEGImages" / f"{name}{file.suffix}"
    if (output / "Annotations" / f"{name}.xml").is_file() and link.is_file():  # the annotation is written last
        return []
    try:
        size = read_size(file)
    except DataError as error:
        return [("unreadable", str(error))]
    if size != image.size:
        kind = "of another size than annotated (height, width): extract the archive of the images again"
        return [(kind, f"{file} {size}, {image.size}")]
    with (output / "SegmentationClass" / f"{name}.png").open("wb") as target:
        write_mask(target, mask_of(image.objects, {each: i for i, each in enumerate(CLASSES, start=1)}, size))
    _link(link, file)
    write_annotation(output, name, size, image.shown)
    return []


def _link(link: Path, file: Path) -> None:
    link.unlink(missing_ok=True)
    try:
        link.symlink_to(file.resolve())
    except OSError:  # a system without links
        shutil.copyfile(file, link)
