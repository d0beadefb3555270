"""A folder in VOC layout made again where only its masks or its names are in the way: lists and images stay.

No data of the thesis and no published counterpart. Masks that are colours become indices, and images that lie in
folders (`cats/001`) get names without, for a name is also that of every file that is computed. Images and annotations
are copied as they are.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from tqdm import tqdm

from companion.datasets.checks import Share
from companion.datasets.labels.entries import Problem, refuse
from companion.datasets.own import image_ids, write_table
from companion.datasets.truth import Truth, own_mask, read_meaning
from companion.datasets.voc2012.protocol import AUGMENTED_MASKS
from thesislib.data.pictures import IMAGE_SUFFIXES, MASK_SUFFIXES, find_file, read_size
from thesislib.data.voc import DataError, find_root, read_classes, read_ids, write_mask

IMAGES, ANNOTATIONS, LISTS = "JPEGImages", "Annotations", "ImageSets/Segmentation"
MASKS = ("SegmentationClass", AUGMENTED_MASKS)


def conform(root: Path | str, output: Path, *, share: Share = map, progress: bool = False) -> int:
    """Write a folder anew with masks of indices and names without folders; returns the number of images.

    Args:
        root: in VOC layout, but that ids may have folders and masks may be colours, which a table in their folder or
            beside it names (`colours.read_table`), or which are VOC's.
        output: a new or empty folder; it appears when complete.
        share: how the images are gone through, for example by several processes.
        progress: show a progress bar.

    Raises:
        DataError: everything that is wrong with images and masks, listed; nothing is left then.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise DataError(f"{output} holds something else; give --output, a folder that does not exist yet")
    folder = find_root(root)
    classes = read_classes(folder)
    lists = {path.stem: read_ids(folder, path.stem, folders=True) for path in sorted((folder / LISTS).glob("*.txt"))}
    names = image_ids(list(dict.fromkeys(name for ids in lists.values() for name in ids)))
    meanings = {sub: read_meaning(folder / sub, classes) for sub in MASKS if (folder / sub).is_dir()}
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as unfinished:
        whole = Path(unfinished) / output.name
        for sub in (IMAGES, ANNOTATIONS, LISTS, *meanings):
            (whole / sub).mkdir(parents=True)
        write = partial(_write_image, folder, whole, meanings, names)
        problems: list[Problem] = []
        for of_image in tqdm(share(write, list(names)), "preparing", len(names), unit="image", disable=not progress):
            problems += of_image
        refuse(f"images of {folder}", problems)
        _write_lists(whole, lists, names)
        if (folder / "classes.txt").exists():
            shutil.copyfile(folder / "classes.txt", whole / "classes.txt")
        if output.exists():
            output.rmdir()
        whole.rename(output)
    return len(names)


def _write_image(
    folder: Path, whole: Path, meanings: Mapping[str, Truth], names: Mapping[str, str], name: str
) -> list[Problem]:
    return [*_problems(folder, whole, meanings, names[name], name)]


def _problems(folder: Path, whole: Path, meanings: Mapping[str, Truth], image: str, name: str) -> Iterator[Problem]:
    """Copy an image under its new name and yield what is wrong with it."""
    source = find_file(folder / IMAGES, image, IMAGE_SUFFIXES)
    if not source.is_file():
        yield "missing in JPEGImages: copy the image, or take its name out of the lists", image
        return
    shutil.copyfile(source, whole / IMAGES / f"{name}{source.suffix.lower()}")
    annotation = find_file(folder / ANNOTATIONS, image, (".xml",))
    if annotation.is_file():
        shutil.copyfile(annotation, whole / ANNOTATIONS / f"{name}.xml")
    for sub, meaning in meanings.items():
        path = find_file(folder / sub, image, MASK_SUFFIXES)
        if path.is_file():
            try:
                mask = own_mask(meaning._replace(masks={image: path}), image, read_size(source))
            except DataError as error:
                yield "unreadable", str(error)
            else:
                write_mask(whole / sub / f"{name}.png", mask)


def _write_lists(whole: Path, lists: Mapping[str, tuple[str, ...]], names: Mapping[str, str]) -> None:
    write_table(whole, names)
    of_image = {image: name for name, image in names.items()}
    for split, ids in lists.items():
        text = "".join(f"{of_image[image]}\n" for image in ids)
        (whole / LISTS / f"{split}.txt").write_text(text, encoding="utf-8")
