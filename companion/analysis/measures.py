"""Numbers read from the counts of `scores.npz`: one run, that is one training on one split, at a time.

Thesis Table 2.1 (CAM column) and the quantities that sections 2.2 and 2.4 argue with. Shares are in per cent. Nothing
here corresponds to published code.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int64, Shaped
from scipy.special import entr, expit

from companion.pipeline import artefacts
from companion.pipeline.artefacts import ResponseMaps
from thesislib import diagnostics, metrics
from thesislib.data.voc import VocDataset

Run = Mapping[str, np.ndarray]
"""Scores of one training on one split; names and shapes as in `stages.response_maps.score`, logits and labels."""
Scores = Mapping[str, Sequence[Run]]
"""By row name: one run a seed."""
Measure = Callable[[Run], float]

NAN = float("nan")


def read_scores(folders: Mapping[tuple[str, int], Path], split: str) -> Scores:
    """Scores of one split from the folders of stage `response_maps` by row and seed.

    Raises:
        ValueError: the split was not scored because images lack a mask.
    """
    scores: dict[str, list[Run]] = {}
    for (row, _), folder in folders.items():
        scores.setdefault(row, []).append(read_run(folder, split))
    return scores


def read_run(folder: Path, split: str) -> Run:
    """Scores of one run; raises as `read_scores` does."""
    run = artefacts.read_scores(folder, split)
    if "confusion" not in run:
        raise ValueError(f"split {split!r} is not scored in {folder}: every image of it needs a mask")
    return run


def fixed_counts(run: Run) -> Int64[np.ndarray, "n n"]:
    """Confusion counts of the split at the fixed background threshold."""
    return run["image_confusion"].sum(axis=0)


def fixed_miou(run: Run) -> float:
    """mIoU at the fixed threshold."""
    return 100 * float(metrics.mean_iou(fixed_counts(run)))


def miou_curve(run: Run) -> Float64[np.ndarray, " t"]:
    """mIoU at each of `metrics.THRESHOLDS`."""
    return 100 * metrics.mean_iou(run["confusion"])


def oracle_step(run: Run) -> int:
    """Position in `metrics.THRESHOLDS` of the threshold that the truth of this split would choose."""
    return int(miou_curve(run).argmax())


def oracle_threshold(run: Run) -> float:
    """The threshold that the truth of this split would choose, a score from 0 to 1."""
    return float(metrics.THRESHOLDS[oracle_step(run)])


def oracle_miou(run: Run) -> float:
    """mIoU at the oracle threshold of the same split."""
    return float(miou_curve(run).max())


def transferred_miou(run: Run, chosen_on: Run) -> float:
    """mIoU of a split at the threshold that the truth of another split chooses."""
    return float(miou_curve(run)[oracle_step(chosen_on)])


def mean_precision(run: Run) -> float:
    """Mean precision over the classes that occur in the truth, at the fixed threshold."""
    counts = fixed_counts(run)
    return 100 * float(metrics.class_precision(counts)[counts.sum(axis=1) > 0].mean())


def mean_recall(run: Run) -> float:
    """Mean recall over the classes that occur in the truth, at the fixed threshold."""
    return 100 * float(np.nanmean(metrics.class_recall(fixed_counts(run))))


def confused(run: Run) -> float:
    """Of the objects' pixels that get an object's class, the share that gets another one's, at the fixed threshold."""
    called = fixed_counts(run)[1:, 1:]
    return 100 * float(1 - np.trace(called) / called.sum()) if called.any() else NAN


def f_of_means(run: Run) -> float:
    """Harmonic mean of mean precision and mean recall, the first reading of S9."""
    return 100 * float(metrics.f_of_means(fixed_counts(run)))


def mean_f1(run: Run) -> float:
    """Mean of the classes' F1, the second reading of S9."""
    return 100 * float(metrics.macro_f1(fixed_counts(run)))


def image_iou(run: Run) -> Float64[np.ndarray, " n"]:
    """IoU of each image at the fixed threshold, mean over the object classes in it; NaN without an object."""
    counts = run["image_confusion"]
    occurs = counts.sum(axis=2)[:, 1:] > 0
    iou = np.where(occurs, metrics.class_iou(counts)[:, 1:], 0)
    with np.errstate(invalid="ignore"):
        return 100 * iou.sum(axis=1) / occurs.sum(axis=1)


def nearest_to_quantiles(values: Float[np.ndarray, " n"], quantiles: Sequence[float]) -> list[int]:
    """Positions of the values nearest to the quantiles, each position once; values that are NaN are left out.

    >>> nearest_to_quantiles(np.array([50.0, 10.0, np.nan, 30.0]), [0.0, 0.5, 1.0])
    [1, 3, 0]
    """
    free = [int(i) for i in np.flatnonzero(np.isfinite(values))]
    chosen = []
    for goal in np.quantile(values[free], quantiles[: len(free)]) if free else []:
        chosen.append(min(free, key=lambda i: abs(values[i] - goal)))
        free.remove(chosen[-1])
    return chosen


def first_alone(labels: Shaped[np.ndarray, "n c"]) -> list[int]:
    """For each class the first image that shows it alone; classes without such an image are left out.

    >>> first_alone(np.array([[1, 1], [0, 1], [0, 1]]))
    [1]
    """
    alone = labels.sum(axis=1) == 1
    found = [np.flatnonzero(alone & (labels[:, c] > 0)) for c in range(labels.shape[1])]
    return [int(images[0]) for images in found if images.size]


# --- How much of the objects a map reaches, and how evenly ------------------------------------------------------------


def part_share(run: Run, part: int, step: int | None) -> float:
    """Share of the pixels of a part that get their class at a step of `metrics.THRESHOLDS`; NaN where not counted."""
    if step is None or "part_total" not in run or not run["part_total"][part]:
        return NAN
    return 100 * float(run["part_covered"][step, part] / run["part_total"][part])


def step_of(threshold: float) -> int | None:
    """Position of a threshold in `metrics.THRESHOLDS`, None for one that is not among them."""
    steps = np.flatnonzero(np.isclose(metrics.THRESHOLDS, threshold))
    return int(steps[0]) if steps.size else None


def object_share(run: Run) -> float:
    """Share of the objects' area above the fixed threshold, whatever class it is given."""
    objects = fixed_counts(run)[1:]
    return 100 * float(objects[:, 1:].sum() / objects.sum()) if objects.any() else NAN


def over_activation(run: Run) -> float:
    """Mean over objects of the pixels that get their class outside them, a share of the image."""
    return 100 * _mean(metrics.over_activation(run["image_confusion"]))


def under_activation(run: Run) -> float:
    """Mean over objects of the pixels that do not get their class, a share of the object."""
    return 100 * _mean(metrics.under_activation(run["image_confusion"]))


def _mean(of_objects: Float64[np.ndarray, "n c"]) -> float:
    return float(np.nanmean(of_objects)) if np.isfinite(of_objects).any() else NAN


def object_precision(counts: Int64[np.ndarray, "*t n n"]) -> np.ndarray | np.float64:
    """Share of the pixels called an object that are called the right one; NaN where none is."""
    with np.errstate(invalid="ignore"):
        return _right(counts) / counts[..., 1:].sum(axis=(-2, -1))


def recall_at_precision(run: Run, precision: float) -> float:
    """Share of the objects' pixels called right at the lowest threshold where object precision reaches `precision`."""
    steps = np.flatnonzero(object_precision(run["confusion"]) >= precision)
    counts = run["confusion"][steps[:1]]
    return 100 * float(_right(counts)[0] / counts[0, 1:].sum()) if steps.size else NAN


def spatial_variance(run: Run) -> float:
    """Mean over images of the variance of the map inside the object, in per cent of the image area."""
    return 100 * float(np.nanmean(run["spatial_variance"]))


def variation(run: Run) -> float:
    """Mean over images of the coefficient of variation of the map inside the object: 0 is even."""
    return 100 * float(np.nanmean(run["uniformity"]))


def spatial_entropy(folder: Path, images: VocDataset) -> float:
    """Mean over objects of the entropy of the map inside the object, in per cent of that of an even map.

    Args:
        folder: of stage `response_maps`, whose maps are read.
        images: the split to measure.
    """
    found = []
    for i, name in enumerate(images.ids):
        maps = ResponseMaps.read(folder, name).of_classes(len(images.classes)).numpy()
        truth = images.mask(i)
        for c in np.flatnonzero(images.labels[i]):
            inside = maps[c][truth == c + 1].astype(np.float64)
            if inside.any() and inside.size > 1:
                found.append(entr(inside / inside.sum()).sum() / np.log(inside.size))
    return 100 * float(np.mean(found)) if found else NAN


def _right(counts: Int64[np.ndarray, "*t n n"]) -> Any:
    return np.diagonal(counts, axis1=-2, axis2=-1)[..., 1:].sum(axis=-1)


# --- The classifier itself --------------------------------------------------------------------------------------------


def mean_average_precision(run: Run) -> float:
    """mAP of the image labels over the classes that occur."""
    return 100 * float(np.nanmean(diagnostics.average_precision(run["labels"], run["logits"])))


def calibration_error(run: Run) -> float:
    """Expected calibration error of the predicted probabilities."""
    return 100 * diagnostics.expected_calibration_error(_probabilities(run), run["labels"])


def class_calibration_error(run: Run) -> float:
    """Expected calibration error of each class by itself, mean over classes."""
    return 100 * float(diagnostics.class_calibration_error(_probabilities(run), run["labels"]).mean())


def brier_score(run: Run) -> float:
    """Brier score of the predicted probabilities."""
    return 100 * diagnostics.brier_score(_probabilities(run), run["labels"])


def prediction_entropy(run: Run) -> float:
    """Mean entropy of the predictions, in per cent of that of a coin toss."""
    return 100 * diagnostics.prediction_entropy(_probabilities(run)) / float(np.log(2))


def _probabilities(run: Run) -> Float64[np.ndarray, "n c"]:
    return expit(run["logits"].astype(np.float64))
