"""A whole data folder verified: all that is wrong with its splits, and what else is worth knowing about it.

Thesis 2.4.1 and 3.4.1. A folder whose `train` or `val` is VOC's very list is held to the rest of VOC 2012 as well
(`voc2012.protocol`); any other folder in VOC layout counts as data of one's own. Published code has no counterpart.
"""

from pathlib import Path
from typing import Any, NamedTuple

from companion.datasets import agreement
from companion.datasets.agreement import Facts, ImageFacts
from companion.datasets.checks import Share, check
from companion.datasets.layout import find_layout
from companion.datasets.voc2012.protocol import (
    AUGMENTED_MASKS,
    SPLITS,
    VOC2012,
    Benchmark,
    SplitFacts,
    has_list,
    is_benchmark,
    label_differences,
    list_differences,
    missing_masks,
    readable_lists,
)
from thesislib.data.voc import DataError, VocDataset, read_classes


class FolderReport(NamedTuple):
    """What is wrong with a folder, what else is worth knowing, and how many images each split has."""

    problems: list[str]
    notes: list[str]
    images: dict[str, int]


def check_folder(
    root: Path | str, benchmark: Benchmark = VOC2012, *, share: Share = map, listed: int = 5, progress: bool = False
) -> FolderReport:
    """Decode everything that a folder's splits name, and hold a folder that is the benchmark to its facts.

    Data of one's own need the lists `trainaug`, `train` and `val`; those masks are checked that are there.

    Args:
        share: how the images are gone through, for example by several processes.
        listed: how many problems of each kind to name.

    Raises:
        DataError: `root` is not in VOC layout, or its `classes.txt` is wrong.
    """
    folder = find_layout(Path(root))
    classes = read_classes(folder)
    official = is_benchmark(folder, benchmark)
    problems: list[str] = []
    facts: dict[str, Facts] = {}
    options = {"full": True, "share": share, "listed": listed, "progress": progress}
    for split in SPLITS:
        if split != "test" or has_list(folder, split):
            expected = benchmark.splits[split] if official else None
            of_split, facts[split] = split_problems(folder, split, expected, **options)
            problems += of_split
    problems += agreement.problems(facts, classes)
    images = {split: len(ids) for split, ids in readable_lists(folder).items()}
    return FolderReport(problems, [*folder_notes(folder, benchmark), *agreement.notes(facts, classes)], images)


def split_problems(
    folder: Path, split: str, facts: SplitFacts | None, **options: Any
) -> tuple[list[str], dict[str, ImageFacts]]:
    """All that is wrong with a split: its list and labels where facts are known, and its files; and what these say.

    Args:
        folder: the folder with `JPEGImages`.
        options: of `check`.
    """
    problems: list[str] = []
    said: dict[str, ImageFacts] = {}
    try:
        images = VocDataset(folder, split)
        problems += list_differences(split, images.ids, facts) if facts else []
        said = check(images, labels=split != "test", masks=facts is not None and split in ("train", "val"), **options)
        problems += label_differences(images, facts) if facts and not problems else []
    except DataError as error:
        problems.append(str(error))
    return problems, said


def folder_notes(folder: Path, benchmark: Benchmark) -> list[str]:
    """What is no error, but decides what can be computed with the data."""
    notes = []
    lists = readable_lists(folder)
    official = is_benchmark(folder, benchmark)
    if official and "test" not in lists:
        notes.append(f"no split test: {benchmark.test_images}. Only submissions to VOC's server need it")
    if not official and not (folder / "classes.txt").exists():
        notes.append(f"neither train nor val is the list of {benchmark.name}: taken as data of your own")
    for split in ("train", "val"):
        images = lists.get(split, ())
        missing = sum(not (folder / "SegmentationClass" / f"{name}.png").is_file() for name in images)
        if missing and not official:
            notes.append(f"{missing} of {len(images)} images of {split} have no mask: no scores on {split}")
    if shared := set(lists.get("trainaug", ())) & set(lists.get("val", ())):
        notes.append(f"{len(shared)} images of val are in trainaug too: they are trained on, scores on val mean little")
    if (folder / AUGMENTED_MASKS).is_dir() and (missing := len(missing_masks(folder, lists.get("trainaug", ())))):
        notes.append(f"{AUGMENTED_MASKS} lacks {missing} masks of trainaug: prepare again with --sbd-masks")
    return notes
