"""Masks, image labels and class list of a data folder held against each other, with counts in both directions.

Thesis 2.4.1 and 3.4.1 take VOC 2012, where they agree. Nothing here corresponds to published code, which trains and
scores whatever it is given: a class list that is one name too long, masks of 0 and 255, or a misspelt name in the
annotations then give numbers that look sound.
"""

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from thesislib.data.class_names import plain_name, same_class

LEAST = 2  # images with a class, by masks and by labels: below, that they never meet may be chance
SHOWN = 10  # names in a sentence
Facts = Mapping[str, "ImageFacts"]
"""By image name."""


class ImageFacts(NamedTuple):
    """What the files of one image say.

    Attributes:
        labels: classes that the annotation names, from 0; None: there is no annotation.
        shown: classes that the mask shows, from 0; None: there is no mask, or it was not read.
        unknown: names of objects that are no class.
        turned: the image is stored turned, by its EXIF orientation, and has a mask.
    """

    labels: frozenset[int] | None = None
    shown: frozenset[int] | None = None
    unknown: tuple[str, ...] = ()
    turned: bool = False


class ClassAgreement(NamedTuple):
    """Images with label and mask: how many have a class by both, by the label alone, by the mask alone."""

    name: str
    both: int
    label_alone: int
    mask_alone: int

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.both} images by label and mask, {self.label_alone} by label alone, "
            f"{self.mask_alone} by mask alone"
        )


def problems(splits: Mapping[str, Facts], classes: Sequence[str]) -> list[str]:
    """What makes scores or labels wrong, as sentences with the remedy: not one of them holds for sound data.

    Args:
        splits: the facts of the images of each split.
        classes: names without background.
    """
    every = _together(splits)
    found = [
        f"no mask of {split} shows a class: of {len(masks)} masks all pixels are 0 or 255, which is ignored; store "
        f"class indices, 1 for {classes[0]}"
        for split, facts in splits.items()
        if (masks := [each.shown for each in facts.values() if each.shown is not None]) and not any(masks)
    ]
    if not found and (apart := _apart(agreement(every.values(), classes))):
        found.append(
            "masks and image labels do not agree: see that classes.txt has the classes in the order of the masks' "
            f"indices, from 1. {_some(map(str, apart), '; ')}"
        )
    misspelt = [text for name, text in _unknown(every.values(), classes) if _misspelt(name, classes)]
    if misspelt:
        found.append(f"names of objects that are a class but for their spelling: {_some(misspelt)}: correct them")
    return found


def notes(splits: Mapping[str, Facts], classes: Sequence[str]) -> list[str]:
    """What is no error, but decides what the data can show."""
    every = _together(splits)
    found = []
    trained = [each.labels or frozenset() for each in splits.get("trainaug", {}).values()]
    if trained and (absent := [name for c, name in enumerate(classes) if not any(c in labels for labels in trained)]):
        found.append(f"{len(absent)} of {len(classes)} classes have no image in trainaug: {_some(absent)}")
    empty = [name for name, each in splits.get("val", {}).items() if each.labels == frozenset() and not each.unknown]
    if empty:
        found.append(f"{len(empty)} images of val show no class by their annotations, all background: {_some(empty)}")
    ignored = [text for name, text in _unknown(every.values(), classes) if not _misspelt(name, classes)]
    if ignored:
        found.append(f"names of objects that are no class and are ignored: {_some(ignored)}")
    if differing := [each for each in agreement(every.values(), classes) if each.label_alone + each.mask_alone]:
        found.append(f"masks and image labels differ in some images. {_some(map(str, differing), '; ')}")
    if turned := [name for name, each in every.items() if each.turned]:
        found.append(
            f"{len(turned)} images are stored turned (EXIF orientation) and read upright, so their masks must be "
            f"upright too: {_some(turned)}"
        )
    return found


def agreement(facts: Iterable[ImageFacts], classes: Sequence[str]) -> list[ClassAgreement]:
    """The counts of each class over all images that have both a mask and an annotation."""
    pairs = [(each.labels, each.shown) for each in facts if each.labels is not None and each.shown is not None]
    return [
        ClassAgreement(
            name,
            sum(c in labels and c in shown for labels, shown in pairs),
            sum(c in labels - shown for labels, shown in pairs),
            sum(c in shown - labels for labels, shown in pairs),
        )
        for c, name in enumerate(classes)
    ]


def _apart(counts: list[ClassAgreement]) -> list[ClassAgreement]:
    """The classes whose masks and labels do not belong together; where most do not, all that differ.

    Masks that are incomplete, or labels of the main object alone, differ in one direction: that is no contradiction.
    """
    both = sum(each.both for each in counts)
    if both < min(sum(each.label_alone for each in counts), sum(each.mask_alone for each in counts)):
        return [each for each in counts if each.label_alone + each.mask_alone]
    return [each for each in counts if not each.both and min(each.label_alone, each.mask_alone) >= LEAST]


def _unknown(facts: Iterable[ImageFacts], classes: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Names of objects that are no class, the commonest first, each with its count and the nearest class."""
    for name, times in Counter(name for each in facts for name in each.unknown).most_common():
        close = difflib.get_close_matches(plain_name(name), [*map(plain_name, classes)], 1, 0.6)
        nearest = next((f", nearest {other!r}" for other in classes if [plain_name(other)] == close), "")
        yield name, f"{name!r} ({times} objects{nearest})"


def _misspelt(name: str, classes: Sequence[str]) -> bool:
    """Whether a name is a class but for case, separators or the plural."""
    return any(same_class(name, other) for other in classes)


def _together(splits: Mapping[str, Facts]) -> dict[str, ImageFacts]:
    """The images of all splits, each once; what is known of one in any of them."""
    every: dict[str, ImageFacts] = {}
    for facts in splits.values():
        for name, each in facts.items():
            known = every.get(name, each)
            every[name] = known._replace(labels=each.labels if known.labels is None else known.labels)
    return every


def _some(items: Iterable[str], separator: str = ", ") -> str:
    items = list(items)
    more = f"{separator}and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return separator.join(items[:SHOWN]) + more
