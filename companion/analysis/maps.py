"""Scores of response maps over rows and seeds as pandas tables, and what became of the claims of Tables 2.1 and 3.1.

Thesis Tables 2.1 and 3.1 (CAM columns), sections 2.4.2 and 3.4.2. One row a method; a cell is the mean over seeds
with its 95 % interval, in per cent, or missing where a score does not exist. Nothing here corresponds to published
code.
"""

from collections.abc import Mapping, Sequence
from operator import attrgetter

import numpy as np
import pandas as pd

from companion.analysis import measures
from companion.analysis.claims import (
    Claim,
    Printed,
    Row,
    counted,
    difference,
    lines_as_table,
    printed_difference,
    remarks,
    signs,
    versus,
)
from companion.analysis.measures import Measure, Scores
from companion.analysis.statistics import Interval, mean_interval, paired_difference, verdict
from companion.settings import Settings
from thesislib import metrics

READINGS = ("train, fixed", "train, oracle", "val, threshold of train")
"""Ways to read a difference: threshold fixed in advance; chosen by the truth; chosen on train and applied to val."""
PRIMARY = READINGS[2]
"""How the primary claim of a table is read: nothing is chosen by the truth of the scored images, and no row gains by
moving nearer to a constant."""
PRIMARY_IN_WORDS = "mIoU on val at the background threshold that is best on train for the same row and seed"
PART_COLUMNS = [f"{part}, {way}" for way in ("fixed", "oracle") for part in metrics.PARTS]


def over_seeds(values: Sequence[float]) -> Interval | None:
    """Mean of one value a seed with its interval; None where the value does not exist for some seed."""
    return mean_interval(values) if np.isfinite(values).all() else None


def table(scores: Scores, columns: Mapping[str, Measure]) -> pd.DataFrame:
    """One column a measure of a run."""
    cells = {
        row: [over_seeds([measure(run) for run in runs]) for measure in columns.values()]
        for row, runs in scores.items()
    }
    return pd.DataFrame.from_dict(cells, orient="index", columns=list(columns), dtype=object).rename_axis("method")


def printed_values(rows: Sequence[Row], column: pd.Series) -> dict[str, float | None]:
    """A column of a printed table by the names of our rows, None for the rows that the thesis does not have."""
    return {row.name: None if row.printed is None else float(column[row.printed]) for row in rows}


def row_settings(rows: Sequence[Row], settings: Settings) -> pd.DataFrame:
    """The settings in which the rows differ, one column a setting."""
    columns = {}
    for name in dict.fromkeys(name for row in rows for name in row.overrides):
        values = {row.name: attrgetter(name)(settings.override(row.overrides)) for row in rows}
        if any(value != values[rows[0].name] for value in values.values()):
            columns[name.removeprefix("classifier.").removeprefix("subcategories.")] = values
    return pd.DataFrame(columns, dtype=object).rename_axis("method")


def fixed_threshold(
    train: Scores, val: Scores, printed: Mapping[str, Printed], more: Mapping[str, Measure] | None = None
) -> pd.DataFrame:
    """Table 2.1 or 3.1 at the fixed threshold: mIoU on both splits, and columns of printed values by their heading.

    Args:
        train, val: the scored maps.
        printed: columns of the thesis, the last ones.
        more: measures on train by their heading, behind mIoU.
    """
    frame = table(train, {"mIoU train": measures.fixed_miou}).join(table(val, {"mIoU val": measures.fixed_miou}))
    frame = frame.join(table(train, more or {}))
    for heading, values in printed.items():
        frame[heading] = pd.Series([values.get(row) for row in frame.index], index=frame.index, dtype=object)
    return frame


def oracle_threshold(train: Scores, val: Scores) -> pd.DataFrame:
    """What the best threshold would give: chosen with the truth of train, and applied unchanged to val."""
    frame = table(
        train,
        {"oracle mIoU train": measures.oracle_miou, "oracle threshold": measures.oracle_threshold},
    )
    moved = {row: over_seeds(values) for row, values in transferred(train, val).items()}
    frame.insert(2, "mIoU val, threshold of train", pd.Series(moved, dtype=object))
    return frame.join(table(val, {"oracle mIoU val": measures.oracle_miou}))


def moved(train: Scores, val: Scores, rows: Sequence[str]) -> dict[str, list[measures.Run]]:
    """Counts of val at the threshold that is best on train, of rows, as runs whose fixed threshold that is."""
    return {
        row: [
            {"image_confusion": on_val["confusion"][measures.oracle_step(on_train)][None]}
            for on_train, on_val in zip(train[row], val[row], strict=True)
        ]
        for row in rows
    }


def transferred(train: Scores, val: Scores) -> dict[str, list[float]]:
    """mIoU on val at the threshold that the truth of train chooses: by row, one value a seed."""
    return {
        row: [measures.transferred_miou(on_val, on_train) for on_train, on_val in zip(runs, val[row], strict=True)]
        for row, runs in train.items()
    }


def overview(train: Scores, val: Scores) -> pd.DataFrame:
    """Maps in the two main readings, and mAP of the image labels.

    Columns: mIoU on train at the fixed threshold, the threshold that is best there, mIoU on val at that, mAP.
    """
    frame = table(train, {"mIoU train": measures.fixed_miou, "best threshold": measures.oracle_threshold})
    frame["mIoU val"] = pd.Series({row: over_seeds(found) for row, found in transferred(train, val).items()})
    for split, scores in (("train", train), ("val", val)):
        frame = frame.join(table(scores, {f"mAP {split}": measures.mean_average_precision}))
    return frame


def precision_and_recall(scores: Scores) -> pd.DataFrame:
    """What mIoU at the fixed threshold is made of, and F in both readings of S9."""
    return table(
        scores,
        {
            "mIoU": measures.fixed_miou,
            "precision": measures.mean_precision,
            "recall": measures.mean_recall,
            "F of the means": measures.f_of_means,
            "mean of F1": measures.mean_f1,
        },
    )


def class_iou(scores: Scores, names: Sequence[str]) -> pd.DataFrame:
    """IoU of each class at the fixed threshold, mean over seeds without intervals, and mIoU."""
    iou = {
        row: 100 * np.mean([metrics.class_iou(measures.fixed_counts(run)) for run in runs], axis=0)
        for row, runs in scores.items()
    }
    frame = pd.DataFrame.from_dict(iou, orient="index", columns=["background", *names]).rename_axis("method")
    return frame.assign(mIoU=[np.mean([measures.fixed_miou(run) for run in runs]) for runs in scores.values()])


def part_coverage(scores: Scores, background: float) -> pd.DataFrame:
    """Share of the head, body and thin pixels that get their class, at the fixed and at the oracle threshold.

    The fixed threshold must be among `metrics.THRESHOLDS`; else its shares were not counted and are missing.
    """
    fixed = measures.step_of(background)
    cells = {
        row: [
            over_seeds([measures.part_share(run, part, measures.oracle_step(run) if oracle else fixed) for run in runs])
            for oracle in (False, True)
            for part in range(len(metrics.PARTS))
        ]
        for row, runs in scores.items()
    }
    return pd.DataFrame.from_dict(cells, orient="index", columns=PART_COLUMNS, dtype=object).rename_axis("method")


def spread(scores: Scores, entropies: Mapping[str, Sequence[float]], reference: str) -> pd.DataFrame:
    """How much of the objects the maps reach and how evenly (behind Fig. 2.1), for the rows in `scores`.

    Args:
        scores: of a split.
        entropies: `measures.spatial_entropy` on the same split by row, one a seed.
        reference: a row; recall is taken at the object precision that it has at the fixed threshold, seed by seed.
    """
    frame = table(scores, {"object area above threshold": measures.object_share})
    goals = [float(measures.object_precision(measures.fixed_counts(run))) for run in scores[reference]]
    recall, entropy = {}, {}
    for row, runs in scores.items():
        recall[row] = over_seeds([measures.recall_at_precision(*pair) for pair in zip(runs, goals, strict=True)])
        entropy[row] = over_seeds(entropies[row])
    frame.insert(1, f"recall at precision of {reference}", pd.Series(recall, dtype=object))
    frame.insert(2, "spatial entropy", pd.Series(entropy, dtype=object))
    return frame.join(table(scores, {"spatial variance": measures.spatial_variance, "variation": measures.variation}))


def classifier_behaviour(scores: Scores) -> pd.DataFrame:
    """The classifier without its maps: mAP, calibration, Brier score, prediction entropy (100: all at one half)."""
    return table(
        scores,
        {
            "mAP": measures.mean_average_precision,
            "calibration error": measures.calibration_error,
            "class-wise calibration error": measures.class_calibration_error,
            "Brier score": measures.brier_score,
            "prediction entropy": measures.prediction_entropy,
        },
    )


# --- Claims -----------------------------------------------------------------------------------------------------------


def readings(claim: Claim, train: Scores, val: Scores) -> dict[str, Interval]:
    """The paired difference in mIoU points that a claim speaks of, for each of `READINGS`."""
    row, reference = claim.row.name, claim.reference.name
    moved = transferred({name: train[name] for name in (row, reference)}, val)
    found = (
        difference(train, row, reference),
        difference(train, row, reference, measures.oracle_miou),
        paired_difference(moved[row], moved[reference]),
    )
    return dict(zip(READINGS, found, strict=True))


def other_readings(claim: Claim, train: Scores, val: Scores, printed: Printed) -> str:
    """In words: the printed difference, and what the readings other than the first say."""
    return remarks(printed_difference(claim, printed), readings(claim, train, val))


def tally(questions: Sequence[Claim], train: Scores, val: Scores) -> str:
    """In words: how many of the thesis' own claims hold in each reading."""
    own = [readings(claim, train, val) for claim in questions if not claim.control]
    said = [f"{way}: {counted(verdict(of_claim[way]) for of_claim in own)}" for way in READINGS]
    return f"The thesis' {len(own)} claims, by reading. " + "; ".join(said) + "."


def claims(questions: Sequence[Claim], train: Scores, val: Scores, printed: Printed) -> pd.DataFrame:
    """Each claim as row > row: the printed difference, ours in each reading, and their verdicts as `SIGNS`."""
    lines = {}
    for claim in questions:
        found = readings(claim, train, val)
        thesis = printed_difference(claim, printed)
        lines[versus(claim)] = {"thesis, VOC train": thesis, **found, "verdicts": signs(found)}
    return lines_as_table(lines)
