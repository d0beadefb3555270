"""PASCAL VOC 2012 made ready: fetched, extracted, `trainaug` listed, and held to what the thesis' experiments assume.

Thesis 2.4.1 and 3.4.1. Published code has no counterpart: it starts from a finished folder and its own lists.
Afterwards VOCdevkit/VOC2012 has, beside what VOC gives,

    ImageSets/Segmentation/trainaug.txt      10,582 images: SBD's and VOC's train, without VOC's val
    SegmentationClassAug/<id>.png            on request, trainaug alone: VOC's mask, or SBD's where VOC has none

Scores never use `SegmentationClassAug`: `VocDataset.mask` and `mask_path` mean VOC's own `SegmentationClass`. It is
for training the fully supervised upper bound on `trainaug`, by `protocol.supervision_masks`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from companion.datasets.checks import Share
from companion.datasets.verification import folder_notes, split_problems
from companion.datasets.voc2012 import sbd
from companion.datasets.voc2012.downloads import Archive, extract, fetch, gigabytes, verify
from companion.datasets.voc2012.protocol import (
    AUGMENTED_MASKS,
    VOC2012,
    Benchmark,
    has_list,
    list_differences,
    missing_masks,
    readable_lists,
)
from thesislib.data.voc import DataError, find_root, read_ids


class Prepared(NamedTuple):
    """The folder in VOC layout, what was done to it (nothing if all was there), and what else is worth knowing."""

    folder: Path
    done: list[str]
    notes: list[str]


def prepare(
    root: Path | str,
    benchmark: Benchmark = VOC2012,
    *,
    download: bool = False,
    sbd_masks: bool = False,
    share: Share = map,
    progress: bool = False,
) -> Prepared:
    """Bring the data in `root` to the state above, and verify their lists, files and image labels.

    What is there is left as it is. Images are not decoded; `verification.check_folder` does that.

    Args:
        root: the folder that holds or will hold `VOCdevkit`, and the archives if they were downloaded by hand.
        download: fetch archives that are needed and not there.
        sbd_masks: write `SegmentationClassAug` too.
        share: how masks are gone through, for example by several processes.

    Raises:
        DataError: the data are somebody's own; or pieces are missing, with where to get them; or a download or an
            archive failed; or everything in which the data differ from the benchmark.
    """
    root = Path(root)
    if download:
        root.mkdir(parents=True, exist_ok=True)
    if not root.is_dir():
        raise DataError(f"no folder {root}: make it, or let --download make it")
    done = _provide(root, benchmark, download, sbd_masks, progress)
    folder = find_root(root)
    look = partial(_require, folder, root, benchmark, progress=progress)
    look(["train", "val"])
    if not has_list(folder, "trainaug"):
        done.append(_write_trainaug(folder, root, benchmark))
    look(["trainaug", "test"] if has_list(folder, "test") else ["trainaug"])
    if sbd_masks and (missing := missing_masks(folder, read_ids(folder, "trainaug"))):
        sbd.write_masks(folder, sbd.find_sbd(root) or root, missing, share=share, progress=progress)
        done.append(f"{AUGMENTED_MASKS}: wrote {len(missing)} masks, VOC's where it has them, else SBD's")
    return Prepared(folder, done, folder_notes(folder, benchmark))


def _provide(root: Path, benchmark: Benchmark, download: bool, sbd_masks: bool, progress: bool) -> list[str]:
    needed, reasons = _needed(root, benchmark, sbd_masks)
    lacking = [archive for archive in needed if not (root / archive.filename).is_file()]
    if lacking and not download:
        raise DataError(
            "\n- ".join([f"{root} lacks", *map(str, lacking)])
            + f"\nGive --download (about {gigabytes(sum(archive.size for archive in lacking))}), or download the files "
            f"by hand and put them into {root} as they are: they are verified and extracted from there. {reasons}"
        )
    done = []
    for archive, wanted in needed.items():
        path = root / archive.filename
        if path.is_file():
            verify(path, archive, progress=progress)
        else:
            fetch(archive, root, progress=progress)
            done.append(f"{archive.filename}: downloaded, {gigabytes(archive.size)}")
        count = extract(path, root, wanted, progress=progress)
        done.append(f"{archive.filename}: extracted {count} files; you may delete it")
    return done


def _needed(root: Path, benchmark: Benchmark, sbd_masks: bool) -> tuple[dict[Archive, Callable[[str], bool]], str]:
    """Archives of which something is missing in `root`, with what to extract of each, and why VOC's is among them."""
    needed: dict[Archive, Callable[[str], bool]] = {}
    ids, reason, found = None, "", sbd.find_sbd(root)
    try:
        folder = find_root(root)
    except DataError as error:
        needed[benchmark.voc], reason = lambda name: True, str(error)
    else:
        _refuse_own_data(folder, benchmark)
        if not all(has_list(folder, split) for split in ("train", "val")):
            needed[benchmark.voc], reason = lambda name: True, f"{folder} lacks the list train or val of VOC"
        ids = read_ids(folder, "trainaug") if has_list(folder, "trainaug") else None
    lists = ids is None and found is None
    masks = sbd_masks and (ids is None or bool(missing_masks(folder, ids))) and not sbd.has_masks(found)
    if lists or masks:
        needed[benchmark.sbd] = partial(sbd.is_wanted, masks=sbd_masks)
    return needed, reason


def _refuse_own_data(folder: Path, benchmark: Benchmark) -> None:
    if (folder / "classes.txt").exists():
        raise DataError(
            f"{folder} has a classes.txt: these are data of your own, and {benchmark.name} is something else. `thesis "
            "data prepare own` verifies them; for VOC give another --root, such as a new folder"
        )


def _write_trainaug(folder: Path, root: Path, benchmark: Benchmark) -> str:
    found = sbd.find_sbd(root)
    if found is None:
        raise DataError(f"no lists of SBD in {root}: expected train.txt and val.txt in benchmark_RELEASE/dataset")
    ids = sbd.trainaug_ids(folder, found)
    if wrong := list_differences("trainaug", ids, benchmark.splits["trainaug"]):
        counts = [
            f"{name} has {len(listed)} images, expected {benchmark.sbd_images[name]}"
            for name, listed in sbd.sbd_lists(found).items()
        ]
        raise DataError(f"{wrong[0]}; it would be built of the lists of SBD in {found}: {'; '.join(counts)}")
    path = folder / "ImageSets" / "Segmentation" / "trainaug.txt"
    part = path.with_suffix(".part")
    part.write_text("".join(f"{name}\n" for name in ids), encoding="utf-8")
    part.replace(path)
    return f"{path.name}: listed {len(ids)} images"


def _require(folder: Path, root: Path, benchmark: Benchmark, splits: Sequence[str], **options: Any) -> None:
    """Raise `DataError` with all that is wrong with the splits."""
    problems = [p for split in splits for p in split_problems(folder, split, benchmark.splits[split], **options)[0]]
    if problems:
        hint = _trainaug_hint(folder, root) if "trainaug" in splits else ""
        raise DataError(
            "\n".join([f"{folder} is not {benchmark.name} as the thesis uses it:", *problems])
            + f"\n{hint}Take what differs from the archives again. Data of your own need no preparation: "
            "`thesis data prepare own` verifies them, as `thesis data check` does"
        )


def _trainaug_hint(folder: Path, root: Path) -> str:
    """How `trainaug` differs from the list that SBD and VOC make, where SBD's lists are at hand."""
    found = sbd.find_sbd(root)
    listed = set(readable_lists(folder).get("trainaug", ()))
    if found is None or not listed:
        return ""
    expected = set(sbd.trainaug_ids(folder, found))
    more, lacking = listed - expected, expected - listed
    if not more and not lacking:
        return ""
    return (
        f"The lists of SBD and VOC make a trainaug with {len(lacking)} images that are not listed ({_first(lacking)}) "
        f"and without {len(more)} that are ({_first(more)}). Delete trainaug.txt and prepare again to have it made. "
    )


def _first(names: set[str]) -> str:
    return ", ".join(sorted(names)[:5]) or "none"
