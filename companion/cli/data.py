"""`thesis data`: PASCAL VOC 2012 and COCO 2014 made ready, and any data folder checked."""

import argparse
from functools import partial
from pathlib import Path

from companion.datasets import own
from companion.datasets.checks import Share
from companion.datasets.conformed import conform
from companion.datasets.labels.recognition import KNOWN
from companion.datasets.own import Prepared
from companion.datasets.usage import usage
from companion.datasets.verification import check_folder
from companion.datasets.voc2012.protocol import VOC2012
from companion.pipeline.engine import cores
from companion.pipeline.workers import share
from thesislib.data.voc import DataError

BENCHMARKS = {"voc2012": VOC2012}
ANIMALS = "animals"  # the photographs of the preset of that name, cut from VOC 2012
COCO2014 = "coco2014"  # in VOC layout, for the preset of that name
MADE = (ANIMALS, COCO2014)
OWN = "own"  # images with labels are brought into VOC layout; of a folder in VOC layout everything is verified
MOST_WORKERS = 16
LISTED = 20
FEW = 500  # images that are looked at before other processes have started
CHUNK = 32  # images that a process gets at a time


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add `data` with its commands `prepare` and `check`."""
    text = "make PASCAL VOC 2012 ready, or check a data folder"
    kinds = commands.add_parser("data", help=text, description=text).add_subparsers(required=True, metavar="COMMAND")
    sub = _add(
        kinds, "prepare", prepare_data, "fetch, extract and verify a data set, or make one of your images", root=False
    )
    text = (
        "the data set; animals: cut from VOC 2012 for the preset of that name; coco2014: in VOC layout, of the folder "
        "with annotations, train2014 and val2014 (--root); own: made of your images and their labels, or a folder in "
        "VOC layout (--root), which is verified, or with --output made anew with masks that are indices and names "
        "without folders"
    )
    sub.add_argument("benchmark", choices=[*BENCHMARKS, *MADE, OWN], help=text)
    sub.add_argument("--output", type=Path, help=f"of {', '.join(MADE)} and own: the folder to make")
    add_own_images(sub)
    sub.set_defaults(listed=LISTED)
    sub.add_argument("--download", action="store_true", help="download what is missing (3.4 GB)")
    sub.add_argument("--sbd-masks", action="store_true", help="also masks of all trainaug images, for the upper bound")
    text = "decode everything in a folder in VOC layout and list what is wrong, what would be used and what is ignored"
    sub = _add(kinds, "check", check_data, text, root=True)
    sub.add_argument("--listed", type=int, default=LISTED, help=f"problems of a kind to name; default {LISTED}")


def add_own_images(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Add the options that name images, their labels and masks."""
    parser.add_argument("--images", type=Path, required=required, metavar="DIR", help="folder with photographs")
    parser.add_argument("--labels", type=Path, required=required, metavar="PATH", help=f"what they show: {KNOWN}")
    text = (
        "masks of some of them or all, for scores alone: palette or grey, with classes.txt; or colours, with "
        "colours.csv (class,red,green,blue on each line) or CVAT's labelmap.txt; or the outlines of COCO's JSON"
    )
    parser.add_argument("--truth", type=Path, metavar="PATH", help=text)


def prepare_data(options: argparse.Namespace) -> int:
    """Bring VOC 2012 in a folder to what the experiments need, and say what was done; own data are checked alone."""
    from companion.datasets.voc2012.prepare import prepare

    if options.benchmark == OWN:
        if options.download or options.sbd_masks:
            raise ValueError("--download and --sbd-masks are for voc2012: of your own data nothing is fetched")
        return _prepare_own(options)
    if options.images or options.labels or options.truth:
        raise ValueError("--images, --labels and --truth are for `thesis data prepare own`")
    if options.root is None:
        raise ValueError("--root is missing: the folder that holds VOCdevkit, or annotations, train2014 and val2014")
    if (options.output is None) == (options.benchmark in MADE):
        raise ValueError(
            f"--output is the folder that `thesis data prepare {' or '.join(MADE)}` makes, and needed for nothing else"
        )
    if options.benchmark == COCO2014:
        return _prepare_coco(options)
    if options.benchmark == ANIMALS and not options.download:
        return _cut_animals(options)
    benchmark = BENCHMARKS.get(options.benchmark, VOC2012)
    try:
        done = prepare(
            options.root,
            benchmark,
            download=options.download,
            sbd_masks=options.sbd_masks,
            share=_processes(options.workers),
            progress=True,
        )
    except OSError as error:
        raise DataError(f"{error}: see that {options.root} can be read and written") from error
    print("\n".join([*(done.done or ["nothing to do"]), *(f"note: {note}" for note in done.notes)]))
    counts = ", ".join(f"{split} {facts.images}" for split, facts in benchmark.splits.items() if split != "test")
    print(f"{done.folder} is {benchmark.name} as the thesis uses it: {counts} images; lists, labels and files verified")
    return _cut_animals(options) if options.benchmark == ANIMALS else 0


def _prepare_coco(options: argparse.Namespace) -> int:
    """Bring COCO 2014 into VOC layout, and say how many images of each split there are and what is left out."""
    from companion.datasets import coco2014

    if options.download or options.sbd_masks:
        raise ValueError("--download and --sbd-masks are for voc2012: get COCO 2014 from https://cocodataset.org")
    try:
        done = coco2014.prepare(options.root, options.output, share=_processes(options.workers), progress=True)
    except OSError as error:
        raise DataError(f"{error}: see that {options.root} can be read and {options.output} written") from error
    counts = ", ".join(f"{split} {n}" for split, n in done.images.items())
    print(f"{options.output} holds COCO 2014: {counts} images, {len(coco2014.CLASSES)} classes, all with a mask")
    for note in coco2014.notes(done):
        print(f"note: {note}")
    print(f"ready: --data-root {options.output} --preset {COCO2014}")
    return 0


def _cut_animals(options: argparse.Namespace) -> int:
    """Cut the data of preset `animals` and say how many images of each split there are."""
    from companion.datasets import animals

    try:
        done = animals.cut(options.root, options.output, share=_processes(options.workers), progress=True)
    except OSError as error:
        raise DataError(f"{error}: see that {options.root} can be read and {options.output} written") from error
    counts = ", ".join(f"{split} {n}" for split, n in done.images.items())
    shown = ", ".join(animals.ANIMALS)
    print(f"{options.output} holds VOC's images with a {shown}: {counts}; {done.masks} with a mask")
    for difference in animals.differences(done.images):
        print(f"note: {difference}")
    return 0


def _prepare_own(options: argparse.Namespace) -> int:
    """Bring the user's images into VOC layout, or verify a folder that has it, made anew first where asked for."""
    if options.root and not (options.images or options.labels or options.truth):
        return _conform(options) if options.output else check_data(options)
    if options.root or not (options.images and options.labels and options.output):
        raise ValueError(
            "`thesis data prepare own` needs --images, --labels and --output, the folder to make; or --root, a folder "
            "in VOC layout, to verify it; with --output too, to have its masks made indices and its names plain"
        )
    made = make_own(options.images, options.labels, options.output, options.truth, options.workers)
    print(usage(made.folder))
    print(f"{made.folder} is ready: --data-root {made.folder} --preset own")
    return 0


def _conform(options: argparse.Namespace) -> int:
    try:
        images = conform(options.root, options.output, share=_processes(options.workers), progress=True)
    except OSError as error:
        raise DataError(f"{error}: see that {options.root} can be read and {options.output} written") from error
    print(f"{options.output}: {images} images of {options.root}, masks are indices, names have no folders")
    options.root = options.output
    return check_data(options)


def make_own(
    images: Path, labels: Path, output: Path, truth: Path | None, workers: int, without: Path | None = None
) -> Prepared:
    """`own.prepare`, and what it read and ignored in words; `without` is a folder that is no part of `images`."""
    apart, processes = [without] if without else [], _processes(workers)
    try:
        made = own.prepare(images, labels, output, truth, without=apart, share=processes, progress=True)
    except OSError as error:
        raise DataError(f"{error}: see that {images} can be read and {output} written") from error
    found = made.labels
    scored = f"; {made.masks} with a mask" if truth else ""
    print(f"labels: {found.kind}; {len(found.shown)} images, classes {', '.join(found.classes)}{scored}")
    for line in made.ignored:
        print(f"ignored: {line}")
    for line in made.notes:
        print(f"note: {line}")
    return made


def check_data(options: argparse.Namespace) -> int:
    """Print everything that is wrong with a folder; 1 if anything is."""
    try:
        report = check_folder(options.root, share=_processes(options.workers), listed=options.listed, progress=True)
    except OSError as error:
        raise DataError(f"{error}: see that {options.root} can be read") from error
    for note in report.notes:
        print(f"note: {note}")
    if report.problems:
        print("\n".join(report.problems))
        return 1
    print(usage(options.root))
    print(f"{options.root}: {', '.join(f'{split} {n}' for split, n in report.images.items())} images, all sound")
    return 0


def _processes(workers: int) -> Share:
    return partial(share, workers=workers, few=FEW, chunk=CHUNK)


def _add(
    kinds: argparse._SubParsersAction, name: str, command: object, text: str, *, root: bool
) -> argparse.ArgumentParser:
    sub = kinds.add_parser(name, help=text, description=text)
    sub.set_defaults(command=command)
    sub.add_argument("--root", type=Path, required=root, help="the folder that holds VOCdevkit, or one in VOC layout")
    workers = min(cores(), MOST_WORKERS)
    sub.add_argument("--workers", type=int, default=workers, help="processes that share the work; default one per core")
    return sub
