"""How complete maps are, whatever the threshold: pixels and boxes of all thresholds, outlines at the fixed one.

The thesis says that its maps are more complete (2.4.2, 3.4.2) and shows mIoU at one threshold, which also changes where
a map crosses it elsewhere. Nothing here corresponds to published code; the measures are those of `thesislib.metrics`.
"""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float64

from companion.analysis import maps, measures
from companion.analysis.measures import Measure, Run, Scores
from companion.analysis.mechanism import Mechanism
from companion.pipeline.artefacts import ResponseMaps
from thesislib import cam, metrics
from thesislib.data.voc import VocDataset

MEASURED = ("PxAP", "MaxBoxAccV2", "boundary IoU")
"""What `measure` finds, in this order."""
COLUMNS: Mapping[str, Measure] = {
    "mIoU": measures.fixed_miou,
    **{name: itemgetter(name) for name in MEASURED[:2]},
    "over-activation": measures.over_activation,
    "under-activation": measures.under_activation,
    MEASURED[2]: itemgetter(MEASURED[2]),
}
ERRORS = ("over-activation", "under-activation")
"""Columns of which less is better."""
ASKED = tuple(
    Mechanism("Maps are more complete whatever the threshold", name, itemgetter(name)) for name in MEASURED[:2]
)
"""Claims beside those of `mechanism`, where recall and covered area at the fixed threshold are asked already."""


def measure(folder: Path, images: VocDataset, background: float) -> Float64[np.ndarray, " 3"]:
    """`MEASURED` of the maps of one split, in per cent; NaN without an object.

    PxAP and boundary IoU are means over the classes of the truth, of pixels counted over the split; a box is sought in
    every map of a class that has an object in the image.

    Args:
        folder: of stage `response_maps`, whose maps are read.
        images: the split to measure.
        background: threshold of the label maps whose outlines are compared.
    """
    num_classes = len(images.classes)
    histogram = np.zeros((num_classes, 2, metrics.SCORE_BINS), np.int64)
    outlines = np.zeros((num_classes, 3), np.int64)
    boxes = []
    for i, name in enumerate(images.ids):
        found = cam.normalize(ResponseMaps.read(folder, name).of_classes(num_classes))
        truth, of_image = images.mask(i), found.numpy()
        histogram += metrics.score_histogram(truth, of_image)
        outlines += metrics.boundary_counts(truth, cam.label_map(found, background).numpy(), num_classes + 1)
        for c in np.unique(truth[(truth > 0) & (truth <= num_classes)]) - 1:
            objects = metrics.object_boxes(truth == c + 1)
            boxes.append(metrics.best_box_iou(metrics.region_boxes(of_image[c]), objects))
    ious = np.stack(boxes) if boxes else np.empty((0, len(metrics.BOX_THRESHOLDS)))
    precision, outline = metrics.pixel_average_precision(histogram), metrics.boundary_iou(outlines)
    return 100 * np.array([_mean(precision), metrics.box_accuracy(ious), _mean(outline)])


def _mean(of_classes: Float64[np.ndarray, " c"]) -> float:
    return float(np.nanmean(of_classes)) if np.isfinite(of_classes).any() else float("nan")


def with_measured(scores: Scores, found: Mapping[str, Sequence[np.ndarray]]) -> Scores:
    """Scores with what `measure` found for each row, one a seed, beside the counts."""
    full: dict[str, list[Run]] = {}
    for row, runs in scores.items():
        named = [dict(zip(MEASURED, values, strict=True)) for values in found[row]]
        full[row] = [{**run, **values} for run, values in zip(runs, named, strict=True)]
    return full


def table(scores: Scores) -> pd.DataFrame:
    """`COLUMNS` of scores `with_measured`."""
    return maps.table(scores, COLUMNS)
