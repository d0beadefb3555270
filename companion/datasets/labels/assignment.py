"""Image labels joined with the images they are of, and all that can be wrong with that, listed at once."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from companion.datasets.labels.entries import Entry, Problem, Source, refuse, some
from companion.datasets.labels.images import ImageNames
from thesislib.data.class_names import NO_CLASS, plain_name, same_class
from thesislib.data.voc import IGNORE


class Labels(NamedTuple):
    """Which classes each image shows.

    Attributes:
        kind: of source, in words.
        classes: names in order: that of the source, else of the alphabet.
        shown: classes of each image, by its path.
        without: images that are said to show no class; nothing is learned from them.
        notes: what the source has and nobody uses.
    """

    kind: str
    classes: tuple[str, ...]
    shown: dict[str, tuple[str, ...]]
    without: tuple[str, ...]
    notes: tuple[str, ...]


def assign(source: Source, images: Sequence[str], folder: Path) -> Labels:
    """Join a source with the images in `folder`, given as paths relative to it.

    Raises:
        DataError: with every image without label, label without image, name that may mean several images, image that
            is named twice, class that is none, class in two spellings, and too few or too many classes.
    """
    names = ImageNames(images)
    found: dict[str, Entry] = {}
    problems: list[Problem] = []
    for entry in source.entries:
        meant = names.find(entry.image)
        problems += _of_entry(entry, meant, found, folder)
        if len(meant) == 1:
            found.setdefault(min(meant), entry)
    problems += [
        (f"images of {folder} without a label: name them among the labels, or move them away", image)
        for image in images
        if image not in found
    ]
    used = {name for entry in source.entries for name in entry.classes}
    problems += _of_classes(used, source)
    refuse(f"labels ({source.kind})", problems)
    return Labels(
        source.kind,
        tuple(name for name in dict.fromkeys(source.classes or sorted(used)) if name in used),
        {image: found[image].classes for image in images if found[image].classes},
        tuple(image for image in images if not found[image].classes),
        source.notes,
    )


def _of_entry(entry: Entry, meant: set[str], found: dict[str, Entry], folder: Path) -> Iterator[Problem]:
    if not meant:
        yield (
            f"labels of files that are not in {folder}: correct the name, or take the label out",
            (f"{entry.image} ({entry.where})"),
        )
    elif len(meant) > 1:
        yield (
            f"names that may mean several images in {folder}: name their folder or suffix",
            (f"{entry.image} ({entry.where}): {some(sorted(meant), 2)}"),
        )
    elif (first := found.get(min(meant))) is not None:
        yield "images with two labels: join them in one", f"{entry.image} ({first.where} and {entry.where})"


def _of_classes(used: set[str], source: Source) -> Iterator[Problem]:
    where = {name: entry.where for entry in reversed(source.entries) for name in entry.classes}
    for name in sorted(used):
        if plain_name(name) in NO_CLASS:
            yield "classes that mean no object (background is what is left): take them out", f"{name} ({where[name]})"
    spelled: list[list[str]] = []
    for name in sorted(used):
        known = next((names for names in spelled if same_class(name, names[0])), None)
        if known is None:
            spelled.append([name])
        else:
            known.append(name)
    for alike in spelled:
        if len(alike) > 1:
            cases = " and ".join(f"{name} ({where[name]})" for name in alike)
            yield "classes in two spellings, or singular and plural: write one of them everywhere", cases
    if not 1 <= len(used) < IGNORE:
        yield f"numbers of classes other than 1 to {IGNORE - 1}: name what the images show", str(len(used))
