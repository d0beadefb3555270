"""Scores of anybody's masks or response maps against the truth of a folder in VOC layout.

Thesis 2.4 and 3.4: one confusion matrix over the split; response maps at the fixed background threshold, and their
curve over all thresholds (A16). Published counterparts: the scoring at the end of Juliachang/SC-CAM's `infer_cls.py`
and `step/eval_cam.py` of jiwoon-ahn/irn, which know their own layout alone.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image
from tqdm.auto import tqdm

from companion.analysis import measures
from companion.datasets import agreement
from companion.datasets.agreement import ImageFacts
from companion.datasets.checks import check
from companion.datasets.colours import is_coloured, read_indices, read_meaning
from companion.exchange.files import read_maps
from companion.exchange.result_files import mask_problems, refuse, results_folder, value_problems
from companion.pipeline.engine import cores
from companion.pipeline.workers import share
from thesislib import cam, metrics
from thesislib.data.pictures import find_file
from thesislib.data.voc import DataError, VocDataset, read_mask

SUFFIXES = {".png": "masks", ".npz": "response maps", ".npy": "response maps"}
PARALLEL_FROM = 400
"""Images: below, starting processes takes longer than they save (VOC: 50 ms an image; a start takes 4 s)."""
CHUNK = 8


class Counts(NamedTuple):
    """Confusion counts over a split: of masks or of maps at the fixed threshold, and of maps at every threshold."""

    fixed: Int64[np.ndarray, "n n"]
    curve: Int64[np.ndarray, "t n n"] | None


class FolderScores(NamedTuple):
    """What was scored, and the counts; `background` is None for masks."""

    folder: Path
    images: VocDataset
    kind: Literal["masks", "masks of colours", "response maps"]
    background: float | None
    counts: Counts

    @property
    def run(self) -> measures.Run:
        """The counts as `companion.analysis.measures` reads them."""
        run = {"image_confusion": self.counts.fixed[None]}
        return run if self.counts.curve is None else run | {"confusion": self.counts.curve}


def score_folder(
    folder: Path, images: VocDataset, *, background: float = 0.15, workers: int | None = None, progress: bool = True
) -> FolderScores:
    """Score a file for each image of a split; files of other images are left alone.

    Args:
        folder: `<id>.png` of indices or of colours (VOC's, or those of a table there: `datasets.colours`), `<id>.npz`
            or `<id>.npy` of response maps (see `exchange.files`), or a run of the store.
        images: the split, with masks.
        background: fixed threshold of response maps, 0 to 1.
        workers: processes; 0 stays in this one, None uses the cores where there are many images.
        progress: show progress bars.

    Raises:
        DataError: images without truth, or files that are missing, unreadable, of another size or with wrong values:
            all of them are listed before anything is scored. Also a truth that shows no class, or none of those that
            the annotations name.
        ValueError: `background` is no score.
    """
    if not 0 <= background <= 1:
        raise ValueError(f"the background threshold must be a score from 0 to 1, got {background}")
    facts = check(images, labels=False)
    folder = results_folder(folder)
    suffix = _suffix(folder, images)
    if workers is None:
        workers = cores() if len(images) >= PARALLEL_FROM else 0
    shared = partial(_shown, images=images, workers=workers, progress=progress)
    found = shared(partial(_problems, folder, suffix, images), text="checking")
    names = [f"{name}{suffix}" for name in images.ids]
    refuse(f"{folder} cannot be scored on split {images.split!r}:", dict(zip(names, found, strict=True)))
    counts: Counts | None = None
    truth: dict[str, ImageFacts] = {}
    each_image = shared(partial(_count, folder, suffix, images, background), text="scoring")
    for name, of_image in zip(images.ids, each_image, strict=True):
        counts = _sum(counts, of_image) if counts else of_image
        truth[name] = facts[name]._replace(shown=_shown_classes(of_image))
    if wrong := agreement.problems({images.split: truth}, images.classes):
        raise DataError(f"{images.root} is no truth to score with: {'; '.join(wrong)}")
    kind: Any = SUFFIXES[suffix]
    if suffix == ".png" and any(is_coloured(find_file(folder, name, (suffix,))) for name in images.ids):
        kind = "masks of colours"
    assert counts is not None  # a split has images
    return FolderScores(folder, images, kind, None if suffix == ".png" else background, counts)


def _suffix(folder: Path, images: VocDataset) -> str:
    present = {path.stem + path.suffix.lower() for path in folder.iterdir()}
    found = [suffix for suffix in SUFFIXES if any(f"{name}{suffix}" in present for name in images.ids)]
    if len(found) == 1:
        return found[0]
    expected = "<id>.png (masks), <id>.npz or <id>.npy (response maps)"
    if found:
        raise DataError(f"{folder} has results as {' and '.join(found)}; expected one of {expected}")
    raise DataError(f"{folder} has no result of split {images.split!r}: expected {expected}, such as {images.ids[0]}")


def _shown(task: Callable[[int], Any], text: str, images: VocDataset, workers: int, progress: bool) -> Iterator[Any]:
    results = share(task, range(len(images)), workers, chunk=CHUNK)
    yield from tqdm(results, text, len(images), unit="image", disable=not progress)


def _problems(folder: Path, suffix: str, images: VocDataset, i: int) -> list[str]:
    path = find_file(folder, images.ids[i], (suffix,))
    if not path.is_file():
        return ["is missing"]
    try:
        with Image.open(images.mask_path(i)) as truth:  # reads the header alone
            size = truth.height, truth.width
        if suffix == ".png" and is_coloured(path):
            return value_problems(_by_colours(path, images), len(images.classes), size)
        if suffix == ".png":
            return mask_problems(path.read_bytes(), len(images.classes), size)
        read_maps(path, len(images.classes), size)
    except (DataError, OSError) as error:
        return [str(error)]
    return []


def _count(folder: Path, suffix: str, images: VocDataset, background: float, i: int) -> Counts:
    path = find_file(folder, images.ids[i], (suffix,))
    truth, matrix = images.mask(i), metrics.ConfusionMatrix(len(images.classes) + 1)
    if suffix == ".png":
        matrix.update(truth, _by_colours(path, images) if is_coloured(path) else read_mask(path))
        return Counts(matrix.counts, None)
    maps = read_maps(path, len(images.classes), truth.shape)
    matrix.update(truth, cam.label_map(maps, background).numpy())
    return Counts(matrix.counts, metrics.threshold_confusions(truth, maps))


def _by_colours(path: Path, images: VocDataset) -> UInt8[np.ndarray, "h w"]:
    return read_indices(path, *read_meaning(path.parent, images.classes))


def _sum(one: Counts, other: Counts) -> Counts:
    if one.curve is None or other.curve is None:
        return Counts(one.fixed + other.fixed, None)
    return Counts(one.fixed + other.fixed, one.curve + other.curve)


def _shown_classes(counts: Counts) -> frozenset[int]:
    """The classes of the truth: those that have pixels in the confusion counts."""
    return frozenset(np.flatnonzero(counts.fixed[1:].sum(axis=1)).tolist())


# --- The numbers, in per cent -----------------------------------------------------------------------------------------


def as_json(scores: FolderScores) -> dict[str, Any]:
    """Everything that was measured as JSON values: scores in per cent, None where a class does not occur."""
    run, counts = scores.run, scores.counts.fixed
    names = ("background", *scores.images.classes)
    result = {
        "folder": str(scores.folder.resolve()),
        "data": str(scores.images.root.resolve()),
        "split": scores.images.split,
        "images": len(scores.images),
        "kind": scores.kind,
        "background": scores.background,
        "miou": measures.fixed_miou(run),
        "mean_precision": measures.mean_precision(run),
        "mean_recall": measures.mean_recall(run),
        "f_of_means": measures.f_of_means(run),
        "mean_f1": measures.mean_f1(run),
        "iou": _by_class(names, metrics.class_iou(counts)),
        "precision": _by_class(names, metrics.class_precision(counts)),
        "recall": _by_class(names, metrics.class_recall(counts)),
        "confusion": counts.tolist(),
    }
    if scores.counts.curve is not None:
        curve = {"threshold": metrics.THRESHOLDS.tolist(), "miou": measures.miou_curve(run).tolist()}
        oracle = {"threshold": measures.oracle_threshold(run), "miou": measures.oracle_miou(run)}
        result |= {"curve": curve, "oracle": oracle}
    return result


def _by_class(names: Iterable[str], values: np.ndarray) -> dict[str, float | None]:
    return {name: None if np.isnan(value) else 100 * float(value) for name, value in zip(names, values, strict=True)}


def as_text(scores: FolderScores) -> str:
    """The same as aligned tables."""
    found = as_json(scores)
    at = "" if scores.background is None else f" at the fixed background threshold {scores.background:g}"
    width = max(len(name) for name in found["iou"]) + 2
    lines = [
        f"{found['kind']} of {scores.folder}{at}",
        f"split {found['split']} of {found['data']}: {found['images']} images, one confusion matrix, per cent",
        "",
        f"{'class':{width}}{'IoU':>8}{'precision':>11}{'recall':>8}",
        *(
            f"{name:{width}}{_cell(found['iou'][name], 8)}{_cell(found['precision'][name], 11)}"
            f"{_cell(found['recall'][name], 8)}"
            for name in found["iou"]
        ),
        f"{'mean':{width}}{found['miou']:8.2f}{found['mean_precision']:11.2f}{found['mean_recall']:8.2f}",
        "",
        f"mIoU {found['miou']:.2f}; F of mean precision and mean recall {found['f_of_means']:.2f}, "
        f"mean of the classes' F1 {found['mean_f1']:.2f} (two readings, S9)",
    ]
    return "\n".join(lines + (_curve_lines(found) if "curve" in found else []))


def _cell(value: float | None, width: int) -> str:
    return f"{'-' if value is None else f'{value:.2f}':>{width}}"


def _curve_lines(found: dict[str, Any]) -> list[str]:
    values, oracle = found["curve"]["miou"], found["oracle"]
    steps = "".join(f"{f'+.0{step}':>7}" for step in range(10))
    lines = ["", "mIoU by background threshold", f"{'':6}{steps}"]
    for at in range(0, len(values), 10):
        row = "".join(f"{value:7.2f}" for value in values[at : at + 10])
        lines.append(f"{metrics.THRESHOLDS[at]:<6.2f}{row}")
    best = f"oracle: {oracle['miou']:.2f} at {oracle['threshold']:.2f}, the threshold that this truth would choose"
    return [*lines, best]
