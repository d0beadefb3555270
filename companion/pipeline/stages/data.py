"""Stage `data`: the images of an experiment, generated or checked.

Generated demo data are written into the artefact itself; a folder of the user's stays where it is and is checked, so
that bad input is found before anything is trained.
"""

import json
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch

from companion.datasets import agreement, memory
from companion.datasets.checks import check
from companion.datasets.demo.generator import write_demo
from companion.datasets.fingerprints import fingerprint
from companion.pipeline import artefacts
from companion.pipeline.store import Job, Progress, Stage
from companion.settings import DataSettings, Machine, Settings, SettingsError
from thesislib.data.voc import DataError, VocDataset, find_root, read_ids
from thesislib.files import write_whole

VERSION = 1
SPLITS = ("trainaug", "train", "val")
PUBLISHED_STRIDE = 8  # smaller images than its cells are nobody's photographs


def stage(settings: Settings, machine: Machine) -> Stage:
    """The data of `settings`: generated, or the folder `machine.data_root`, known by the fingerprint of its content.

    Binding it raises `SettingsError` where real data are asked for and no folder is given, and `DataError` where the
    folder is missing or not in VOC layout, or has an image smaller than a cell of a coarse backbone.
    """
    if machine.data_root or settings.data.source == "folder":
        reads = partial(_read_folder, settings.preset, settings.backbone.stride)
        return Stage("data", VERSION, compute_folder, {}, machine=machine, reads=reads)
    return Stage("data", VERSION, compute_generated, {"data": settings.data}, machine=machine)


def _read_folder(preset: str, stride: int, stage: Stage) -> dict[str, str]:
    root = stage.machine.data_root
    if not root:
        raise SettingsError(
            f"preset {preset!r} needs data: give data_root, the folder that holds VOCdevkit "
            "(or any folder in VOC layout), or choose preset 'demo'"
        )
    if stride > PUBLISHED_STRIDE:
        _refuse_images_below(stride, root)
    _refuse_train_outside_trainaug(root)
    return {"fingerprint": fingerprint(root, SPLITS)}


def fills_a_batch(settings: Settings, section: str, split: str) -> Callable[[Stage], None] | None:
    """A check that the images of a split fill a batch of a stage that is trained; none with `least_steps`.

    Args:
        settings: of the run.
        section: of the settings, with a `batch_size`.
        split: on which the stage is trained.
    """
    chosen = getattr(settings, section)
    if chosen.least_steps:
        return None
    return partial(_check_batch, settings.data, f"{section}.batch_size", chosen.batch_size, split)


def _check_batch(data: DataSettings, name: str, batch_size: int, split: str, stage: Stage) -> None:
    """Raise `SettingsError` where a batch is larger than the split; published data without a folder are not known."""
    if root := stage.machine.data_root:
        images, where = len(read_ids(find_root(root), split)), f"{split} of {root}"
    elif data.source == "generated":
        images, where = getattr(data, split), f"data.{split}"
    else:
        return
    if images < batch_size:
        raise SettingsError(f"{name} = {batch_size}, but {where} has {images} images: lower {name} or add images")


def compute_generated(job: Job, data: DataSettings) -> None:
    """Write the generated images in VOC layout, anew if an earlier attempt was cut short."""
    folder = job.folder / artefacts.DATASET
    shutil.rmtree(folder, ignore_errors=True)
    write_demo(folder, data, progress=False)
    job.progress(1, 1)


def compute_folder(job: Job, fingerprint: str) -> None:
    """Check the user's folder and record what it is."""
    root = job.machine.data_root
    datasets = {split: VocDataset(root, split) for split in SPLITS}
    classes = datasets["trainaug"].classes
    # the masks that exist are checked as well
    facts = {split: check(images, masks=False, full=True) for split, images in datasets.items()}
    if problems := agreement.problems(facts, classes):
        raise DataError(f"{root} cannot be used: {'; '.join(problems)}")
    content = {
        "classes": classes,
        "images": {split: len(images) for split, images in datasets.items()},
        "notes": agreement.notes(facts, classes),
    }
    (job.folder / artefacts.DATASET_FACTS).write_text(json.dumps(content, indent=1), encoding="utf-8")


def open_split(job: Job, split: str, *, cache: bool = False) -> VocDataset:
    """A split of the data that `job` builds on; `cache` keeps decoded images where memory allows.

    Every process that loads images keeps its own, and so may a training on each GPU.
    """
    root = job.machine.data_root or job.inputs["data"] / artefacts.DATASET
    copies = max(1, job.machine.data_workers) * max(1, torch.cuda.device_count())
    return VocDataset(root, split, cache=cache and memory.fits(VocDataset(root, split), copies))


def batches_of_one_size(images: VocDataset, indices: Iterable[int], batch_pixels: int) -> list[list[int]]:
    """`indices` in batches of images of the same height and width with at most `batch_pixels` pixels, or of one."""
    by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
    for i in indices:
        by_size[images.size(i)].append(i)
    batches = []
    for (height, width), group in by_size.items():
        together = max(1, batch_pixels // (height * width))
        batches += [group[at : at + together] for at in range(0, len(group), together)]
    return batches


def rows(
    images: VocDataset,
    compute: Callable[[list[int]], np.ndarray],
    checkpoint: Path,
    machine: Machine,
    progress: Progress,
) -> np.ndarray:
    """`compute(indices)` of all images, batch by batch of one size: `(N, D)`, a row an image.

    The rows so far are kept in the file `checkpoint` every `machine.checkpoint_minutes`, and the next attempt
    continues from them, with the batches that an undisturbed one would have.
    """
    found, saved = _kept_rows(checkpoint), time.monotonic()
    todo = [i for i in range(len(images)) if i not in found]
    for batch in batches_of_one_size(images, todo, machine.batch_pixels):
        found |= zip(batch, compute(batch), strict=True)
        progress(len(found), len(images), images.split)
        if time.monotonic() - saved >= 60 * machine.checkpoint_minutes:
            _keep_rows(checkpoint, found)
            saved = time.monotonic()
    return np.stack([found[i] for i in range(len(images))])


def _keep_rows(checkpoint: Path, found: dict[int, np.ndarray]) -> None:
    content = safetensors.numpy.save({"images": np.array(list(found)), "rows": np.stack(list(found.values()))})
    write_whole(checkpoint, lambda file: file.write(content))


def _kept_rows(checkpoint: Path) -> dict[int, np.ndarray]:
    if not checkpoint.is_file():
        return {}
    kept = safetensors.numpy.load_file(checkpoint)
    return dict(zip(kept["images"].tolist(), kept["rows"], strict=True))


def _refuse_train_outside_trainaug(root: str) -> None:
    """Scores on train are those of images that were trained on; pseudo-masks are made of trainaug alone."""
    trainaug, train = (read_ids(find_root(root), split) for split in ("trainaug", "train"))
    known = {*trainaug}
    if outside := [name for name in train if name not in known]:
        raise DataError(
            f"{len(outside)} of {len(train)} images of train are not among the {len(trainaug)} of trainaug, such as "
            f"{outside[0]}: add them to ImageSets/Segmentation/trainaug.txt, or take them out of train.txt"
        )


def _refuse_images_below(stride: int, root: str) -> None:
    """Images of less than one cell would be padding for the most part."""
    for split in SPLITS:
        images = VocDataset(root, split)
        small = [name for i, name in enumerate(images.ids) if min(images.size(i)) < stride]
        if small:
            raise DataError(
                f"{len(small)} of {len(images)} images of {split} have less than a cell of backbone.stride = {stride} "
                f"pixels, such as {small[0]}: take them out of the list, enlarge them, or lower backbone.stride"
            )
