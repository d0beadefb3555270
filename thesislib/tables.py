"""Scores of response maps over rows and seeds as pandas tables, and what became of the claims of Table 2.1.

Thesis Table 2.1 (CAM column) and section 2.4.2. One row a method; a cell is the mean over seeds with its 95 %
interval, in per cent, or missing where a score does not exist. Nothing here corresponds to published code.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from thesislib import metrics, paper
from thesislib import scores as score
from thesislib.experiments import Claim, Row
from thesislib.scores import Measure, Run, Scores
from thesislib.statistics import Interval, mean_interval, paired_difference, verdict


def over_seeds(values: Sequence[float]) -> Interval | None:
    """Mean of one value a seed with its interval; None where the value does not exist for some seed."""
    return mean_interval(values) if np.isfinite(values).all() else None


def table(scores: Scores, measures: Mapping[str, Measure]) -> pd.DataFrame:
    """One column a measure of a run."""
    cells = {row: [over_seeds([m(run) for run in runs]) for m in measures.values()] for row, runs in scores.items()}
    return pd.DataFrame.from_dict(cells, orient="index", columns=list(measures), dtype=object).rename_axis("method")


def fixed_threshold(train: Scores, val: Scores, rows: Sequence[Row]) -> pd.DataFrame:
    """Table 2.1 at the fixed threshold: mIoU on both splits, and the printed value where the thesis has the row."""
    frame = table(train, {"mIoU train": score.fixed_miou}).join(table(val, {"mIoU val": score.fixed_miou}))
    printed = paper.table_2_1()["cam"]
    frame["thesis, VOC train"] = [None if row.printed is None else printed[row.printed] for row in rows]
    return frame


def oracle_threshold(train: Scores, val: Scores) -> pd.DataFrame:
    """What the best threshold would give: chosen with the truth of train, and applied unchanged to val."""
    frame = table(
        train,
        {"oracle mIoU train": score.oracle_miou, "oracle threshold": lambda run: 100 * score.oracle_threshold(run)},
    )
    frame["mIoU val, threshold of train"] = [over_seeds(values) for values in transferred(train, val).values()]
    return frame.join(table(val, {"oracle mIoU val": score.oracle_miou}))


def transferred(train: Scores, val: Scores) -> dict[str, list[float]]:
    """mIoU on val at the threshold that the truth of train chooses: by row, one value a seed."""
    return {
        row: [score.transferred_miou(on_val, on_train) for on_train, on_val in zip(runs, val[row], strict=True)]
        for row, runs in train.items()
    }


def precision_and_recall(scores: Scores) -> pd.DataFrame:
    """What mIoU at the fixed threshold is made of, and F in both readings of S9."""
    return table(
        scores,
        {
            "mIoU": score.fixed_miou,
            "precision": score.mean_precision,
            "recall": score.mean_recall,
            "F of the means": score.f_of_means,
            "mean of F1": score.mean_f1,
        },
    )


def class_iou(scores: Scores, names: Sequence[str]) -> pd.DataFrame:
    """IoU of each class at the fixed threshold, mean over seeds without intervals, and mIoU."""
    found = {
        row: [*(100 * np.mean([metrics.class_iou(score.fixed_counts(run)) for run in runs], axis=0))]
        + [np.mean([score.fixed_miou(run) for run in runs])]
        for row, runs in scores.items()
    }
    return pd.DataFrame.from_dict(found, orient="index", columns=["background", *names, "mIoU"]).rename_axis("method")


def part_coverage(scores: Scores, background: float) -> pd.DataFrame:
    """Share of the head, body and thin pixels that get their class, at the fixed and at the oracle threshold.

    The fixed threshold must be among `metrics.THRESHOLDS`; else its shares were not counted and are missing.
    """
    steps: dict[str, Callable[[Run], int | None]] = {
        "fixed": lambda run: score.step_of(background),
        "oracle": score.oracle_step,
    }
    columns = {f"{part}, {way}": (p, step) for way, step in steps.items() for p, part in enumerate(metrics.PARTS)}
    cells = {
        row: [over_seeds([score.part_share(run, p, step(run)) for run in runs]) for p, step in columns.values()]
        for row, runs in scores.items()
    }
    return pd.DataFrame.from_dict(cells, orient="index", columns=list(columns), dtype=object).rename_axis("method")


def spread(scores: Scores, reference: str) -> pd.DataFrame:
    """How much of the objects the maps reach and how evenly (behind Fig. 2.1).

    Recall is taken at the object precision that the row `reference` has at the fixed threshold, seed by seed.
    """
    goals = [float(score.object_precision(score.fixed_counts(run))) for run in scores[reference]]
    recall = {
        row: over_seeds([score.recall_at_precision(*pair) for pair in zip(runs, goals, strict=True)])
        for row, runs in scores.items()
    }
    measures = {
        "object area above threshold": score.object_share,
        "spatial variance": score.spatial_variance,
        "coefficient of variation": score.variation,
    }
    frame = table(scores, measures)
    frame.insert(1, f"recall at precision of {reference}", pd.Series(recall, dtype=object))
    return frame


def classifier_behaviour(scores: Scores) -> pd.DataFrame:
    """The classifier without its maps: mAP, calibration error, entropy of its predictions (100: all at one half)."""
    return table(
        scores,
        {
            "mAP": score.mean_average_precision,
            "calibration error": score.calibration_error,
            "prediction entropy": score.prediction_entropy,
        },
    )


# --- Claims -----------------------------------------------------------------------------------------------------------


def readings(claim: Claim, train: Scores, val: Scores) -> dict[str, Interval]:
    """The paired difference in mIoU points that a claim speaks of, read in three ways, the fixed threshold first."""
    ways = {
        "train, fixed": {row: [score.fixed_miou(run) for run in runs] for row, runs in train.items()},
        "train, oracle": {row: [score.oracle_miou(run) for run in runs] for row, runs in train.items()},
        "val, threshold of train": transferred(train, val),
    }
    return {way: paired_difference(v[claim.row.name], v[claim.reference.name]) for way, v in ways.items()}


def printed_difference(claim: Claim) -> float | None:
    """The difference that Table 2.1 prints for a claim, None where a control row takes part."""
    printed = paper.table_2_1()["cam"]
    if claim.row.printed is None or claim.reference.printed is None:
        return None
    return float(printed[claim.row.printed] - printed[claim.reference.printed])


def claims(questions: Sequence[Claim], train: Scores, val: Scores) -> pd.DataFrame:
    """Each claim as row > row: the printed difference, ours in three readings, and their verdicts in that order."""
    lines = {}
    for claim in questions:
        found = readings(claim, train, val)
        verdicts = " / ".join(verdict(difference) for difference in found.values())
        line = {"thesis, VOC train": printed_difference(claim), **found, "verdicts": verdicts}
        lines[f"{claim.row.name} > {claim.reference.name}"] = line
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("difference")
