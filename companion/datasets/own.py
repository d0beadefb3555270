"""Photographs of one's own with their image labels, written in the VOC layout that every experiment reads.

No data of the thesis and no published counterpart. Images are at most 256 pixels long; classes are those that the
labels name. `trainaug` has every image that shows a class; `train` and `val`, the splits that are scored, have those
with a true mask, or all where there is none: all are trained on, as the thesis' maps of train are of training images.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from companion.datasets.checks import Share
from companion.datasets.labels import recognition
from companion.datasets.labels.assignment import Labels, assign
from companion.datasets.labels.entries import Problem, refuse
from companion.datasets.labels.images import bare, find_images
from companion.datasets.reduced import write_reduced, write_text_whole
from companion.datasets.truth import Truth, check_truth, find_truth, own_mask
from thesislib.data.voc import DataError, read_image

IMAGES = "images.csv"
"""Which file each image of the folder comes from; it also says that the folder is one of these."""
HEADING = ("image_id", "image")
SHORTEST = 72  # pixels: nine cells of 8, which the pairs of the random walk span
MOST_LENGTHY = 10
FOLDERS = ("JPEGImages", "Annotations", "SegmentationClass", "ImageSets/Segmentation")


class Prepared(NamedTuple):
    """What was made of the user's files.

    Attributes:
        folder: in VOC layout.
        labels: of the images.
        masks: how many images have a true mask.
        ignored: files that nobody uses, in words.
        notes: what is no error, but decides what masks or scores can show.
    """

    folder: Path
    labels: Labels
    masks: int
    ignored: tuple[str, ...]
    notes: tuple[str, ...] = ()


def prepare(
    images: Path,
    labels: Path,
    output: Path,
    truth: Path | None = None,
    *,
    without: Sequence[Path] = (),
    share: Share = map,
    progress: bool = False,
) -> Prepared:
    """Write images, labels and masks in VOC layout, anew if the folder is from an earlier attempt.

    Args:
        images: a folder, with folders or not.
        labels: a file or folder that `labels.recognition` knows.
        output: a new folder, or that of an earlier attempt; outside `images`.
        truth: folder with true masks of some images or all, or COCO's JSON, whose outlines are masks; for scores alone.
        without: folders in `images` that are no part of it.
        share: how the images are gone through, for example by several processes.
        progress: show a progress bar.

    Raises:
        DataError: everything that is wrong with labels, images or masks, listed; nothing is left that looks whole.
    """
    _check_output(output, images)
    found, others = find_images(images, [output, *without, *([truth] if truth else [])])
    others = [name for name in others if not (images / name).resolve().is_relative_to(labels.resolve())]
    source = recognition.read(labels)
    assigned = assign(source, found, images)
    if not assigned.shown:
        raise DataError(f"no image in {images} shows a class by {labels}: name what is on them")
    names = image_ids(list(assigned.shown))
    known = find_truth(truth, list(names.values()), assigned.classes) if truth else Truth({})
    notes = check_truth(known, images, assigned, share) if truth else []
    _begin(output, assigned)
    write = partial(_write_image, images, output, assigned, known, names)
    problems: list[Problem] = []
    for of_image in tqdm(share(write, list(names)), "preparing", len(names), unit="image", disable=not progress):
        problems += of_image
    refuse(f"images of {images}", problems)
    masked = [name for name, image in names.items() if image in known.masks]
    _write_lists(output, names, masked)
    ignored = _ignored(assigned, others, known, images)
    if source.outlined and not (truth or without):
        ignored.append(
            f"outlines of {source.outlined} objects: masks for scores with --truth, which takes this file too"
        )
    return Prepared(output, assigned, len(masked), tuple(ignored), (*notes, *_always_there(assigned)))


def image_ids(images: list[str]) -> dict[str, str]:
    """The image of each id: ids are paths without suffix, in letters, digits, `_`, `-` and `.`, and different.

    >>> image_ids(["cats/a 1.JPG", "cats/a_1.png"])
    {'cats__a_1': 'cats/a 1.JPG', 'cats__a_1-2': 'cats/a_1.png'}
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for image in images:
        plain = re.sub(r"[^\w.-]", "_", bare(image).replace("/", "__"))
        name, number = plain, 1
        while name.casefold() in taken:
            number += 1
            name = f"{plain}-{number}"
        taken.add(name.casefold())
        found[name] = image
    return found


def read_images(folder: Path) -> dict[str, str]:
    """The file, relative to the user's folder, of each id of a folder that `prepare` has made.

    Raises:
        DataError: it is none.
    """
    path = folder / IMAGES
    if not path.is_file():
        raise DataError(f"no {path}: it says which image is which; make the folder with `thesis data prepare own`")
    with path.open(newline="", encoding="utf-8") as file:
        return {row["image_id"]: row["image"] for row in csv.DictReader(file)}


def write_table(folder: Path, names: Mapping[str, str]) -> None:
    """Write what `read_images` reads."""
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([HEADING, *names.items()])
    write_text_whole(folder / IMAGES, table.getvalue())


def _check_output(output: Path, images: Path) -> None:
    if output.resolve().is_relative_to(images.resolve()):
        raise DataError(
            f"{output} lies in {images}, so that its images would be taken for yours: choose another --output"
        )
    if output.exists() and not output.is_dir():
        raise DataError(f"{output} is a file; give --output, a folder that does not exist yet")
    if output.is_dir() and any(output.iterdir()) and not (output / IMAGES).is_file():
        raise DataError(f"{output} holds something else; give --output, a folder that does not exist yet")


def _begin(output: Path, labels: Labels) -> None:
    """Folders and class names; without lists, the folder of an earlier attempt is no longer whole."""
    for folder in FOLDERS:
        (output / folder).mkdir(parents=True, exist_ok=True)
    for path in (output / "ImageSets" / "Segmentation").glob("*.txt"):
        path.unlink()
    write_text_whole(output / IMAGES, ",".join(HEADING) + "\n")
    write_text_whole(output / "classes.txt", "".join(f"{name}\n" for name in labels.classes))


def _write_image(
    images: Path, output: Path, labels: Labels, truth: Truth, names: Mapping[str, str], name: str
) -> list[Problem]:
    """Write one image; returns what is wrong with it."""
    image = names[name]
    mask_path = output / "SegmentationClass" / f"{name}.png"
    try:
        picture = read_image(images / image)
        height, width = picture.shape[:2]
        if max(height, width) > MOST_LENGTHY * min(height, width):
            return [(f"more than {MOST_LENGTHY} times as long as wide: cut them", f"{image} ({width} x {height})")]
        masks = {mask_path: own_mask(truth, image, (height, width))} if image in truth.masks else {}
    except DataError as error:
        return [("unreadable", str(error))]
    if not masks:
        mask_path.unlink(missing_ok=True)  # of an earlier attempt
    write_reduced(output, name, picture, masks, labels.shown[image], SHORTEST)
    return []


def _write_lists(output: Path, names: Mapping[str, str], masked: list[str]) -> None:
    write_table(output, names)
    for split, ids in (("trainaug", list(names)), ("train", masked or list(names)), ("val", masked or list(names))):
        text = "".join(f"{name}\n" for name in ids)
        write_text_whole(output / "ImageSets" / "Segmentation" / f"{split}.txt", text)


def _ignored(labels: Labels, others: list[str], truth: Truth, images: Path) -> list[str]:
    """What is not used, a line a kind."""
    found = [
        ("images that show no class by their labels", [*labels.without]),
        (f"files in {images} that are no images", others),
        ("masks of other images", [*truth.others]),
        ("masks of images with an object that has no outline", [*truth.incomplete]),
    ]
    lines = [f"{len(names)} {what}, such as {names[0]}" for what, names in found if names]
    return [*lines, *labels.notes]


def _always_there(labels: Labels) -> list[str]:
    """A note on the classes that every image shows, which a classifier learns nothing of."""
    everywhere = [name for name in labels.classes if all(name in shown for shown in labels.shown.values())]
    if not everywhere:
        return []
    return [
        f"every image shows {', '.join(everywhere)}, so nothing teaches the classifier what that is not, and its masks "
        "are little more than what stands out: add images of other classes without it"
    ]
