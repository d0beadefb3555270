"""Scores of label maps and response maps against the truth, by kind.

Thesis sections 2.4 and 3.4; `localization` and `boundary` are measures of others that the thesis does not have.
"""

from thesislib.metrics.boundary import (
    boundary_counts,
    boundary_iou,
)
from thesislib.metrics.confusion import (
    ConfusionMatrix,
    class_iou,
    class_precision,
    class_recall,
    f_of_means,
    macro_f1,
    mean_iou,
    over_activation,
    under_activation,
)
from thesislib.metrics.localization import (
    BOX_IOUS,
    BOX_THRESHOLDS,
    SCORE_BINS,
    best_box_iou,
    box_accuracy,
    object_boxes,
    pixel_average_precision,
    region_boxes,
    score_histogram,
)
from thesislib.metrics.thresholds import (
    PARTS,
    THRESHOLDS,
    PartCoverage,
    part_coverage,
    threshold_confusions,
)

__all__ = [
    "BOX_IOUS",
    "BOX_THRESHOLDS",
    "PARTS",
    "SCORE_BINS",
    "THRESHOLDS",
    "ConfusionMatrix",
    "PartCoverage",
    "best_box_iou",
    "boundary_counts",
    "boundary_iou",
    "box_accuracy",
    "class_iou",
    "class_precision",
    "class_recall",
    "f_of_means",
    "macro_f1",
    "mean_iou",
    "object_boxes",
    "over_activation",
    "part_coverage",
    "pixel_average_precision",
    "region_boxes",
    "score_histogram",
    "threshold_confusions",
    "under_activation",
]
