"""Scores of the response maps round by round and epoch by epoch: Table 3.2, its steps, and the kept checkpoints.

Thesis Table 3.2 and section 3.4.2; published code: `script.sh` of Juliachang/SC-CAM names the epoch that it takes from
each round and gives no rule (S7). No choice here looks at a mask: the epoch is the preset's.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import to_hex

from companion.analysis import maps as tables
from companion.analysis import measures as score
from companion.analysis.claims import Row, difference, lines_as_table, signs
from companion.analysis.measures import Measure, Scores
from companion.analysis.statistics import Interval, mean_interval
from companion.drawing.curves import READINGS, Line
from companion.drawing.style import METHODS
from companion.experiments import printed as paper

STEP_READINGS = ("val, fixed", "val, oracle", "train, fixed", "F of the means, val")
"""Ways to read a step between rounds: mIoU points, and points of the first reading of the F-score (S9)."""
Step = tuple[Row, Row]
Kept = Mapping[tuple[int, int], Row]
"""Rows by round and epoch."""


def largest_mean_f1(miou: float) -> float:
    """The largest mean of the classes' F1 at that mIoU, both in per cent (S9).

    F1 = 2 J / (1 + J) is concave in the IoU J of a class, so that the mean is largest where all classes are alike.

    >>> round(largest_mean_f1(46.8), 1)
    63.8
    """
    return 200 * miou / (100 + miou)


def printed(column: str) -> dict[int, float]:
    """A column of Table 3.2 by round: `miou` or `f_score`."""
    table = paper.table("table_3_2")
    return dict(zip(table["round"], table[column], strict=True))


def table_3_2(scores: Scores, rows: Sequence[Row], *, beside_printed: bool) -> pd.DataFrame:
    """One row a round: mIoU, both readings of the F-score, and the largest mean of F1 that the mIoU allows.

    Args:
        scores: of one split.
        rows: round 0 first.
        beside_printed: with the printed mIoU and F-Score, which are of val.
    """
    frame = tables.table(
        {row.name: scores[row.name] for row in rows},
        {
            "mIoU": score.fixed_miou,
            "F of the means": score.f_of_means,
            "mean of F1": score.mean_f1,
            "largest mean of F1": lambda run: largest_mean_f1(score.fixed_miou(run)),
        },
    )
    if beside_printed:
        for column, title in (("miou", "thesis, mIoU"), ("f_score", "thesis, F-Score")):
            frame[title] = [printed(column).get(number) for number in range(len(rows))]
    frame.index = pd.Index([_round_name(number) for number in range(len(rows))], name="round")
    return frame


def _round_name(number: int) -> str:
    return f"{number}" if number else "0 (plain CAM)"


# --- Steps from round to round ----------------------------------------------------------------------------------------


def steps(rows: Sequence[Row]) -> dict[tuple[int, int], Step]:
    """Every round and the one before it, then the last and the first: (later, earlier) by (earlier, later) number."""
    numbers = list(pairwise(range(len(rows))))
    if len(rows) > 2:
        numbers.append((0, len(rows) - 1))
    return {(a, b): (rows[b], rows[a]) for a, b in numbers}


def readings(val: Scores, train: Scores, step: Step) -> dict[str, Interval]:
    """By how much the later row of a step is above the earlier one, for each of `STEP_READINGS`."""
    ways: list[tuple[Scores, Measure]] = [
        (val, score.fixed_miou),
        (val, score.oracle_miou),
        (train, score.fixed_miou),
        (val, score.f_of_means),
    ]
    later, earlier = step
    found = [difference(scores, later.name, earlier.name, measure) for scores, measure in ways]
    return dict(zip(STEP_READINGS, found, strict=True))


def printed_step(earlier: int, later: int) -> float | None:
    """The change of mIoU that Table 3.2 prints, None beyond its rounds."""
    miou = printed("miou")
    return round(miou[later] - miou[earlier], 1) if later in miou else None


def steps_table(val: Scores, train: Scores, found: Mapping[tuple[int, int], Step]) -> pd.DataFrame:
    """The steps in each reading beside the printed one, with verdicts on "it rises" as `claims.SIGNS`."""
    lines = {}
    for (earlier, later), step in found.items():
        of_step = readings(val, train, step)
        thesis = printed_step(earlier, later)
        lines[f"{earlier} to {later}"] = {"thesis, VOC val": thesis, **of_step, "verdicts": signs(of_step)}
    return lines_as_table(lines, "rounds")


def lines(val: Scores, train: Scores, rows: Sequence[Row]) -> dict[str, list[Line]]:
    """Panels for `charts.against`: mIoU by round at the fixed and the oracle threshold, on val and on train."""
    return {
        f"mIoU on {split}, per cent": [
            Line(name, _over_rounds(scores, rows, measure), METHODS["SC-CAM"], dashes, marker)
            for name, measure, dashes, marker, _ in READINGS
        ]
        for split, scores in (("val", val), ("train", train))
    }


def _over_rounds(scores: Scores, rows: Sequence[Row], measure: Measure) -> dict[int, Interval]:
    return {number: mean_interval([measure(run) for run in scores[row.name]]) for number, row in enumerate(rows)}


# --- Kept checkpoints (S7) --------------------------------------------------------------------------------------------


def used_epochs(kept: Kept, rows: Sequence[Row]) -> dict[int, int]:
    """The epoch that is used in each round: the one whose row is that of the round."""
    return {number: epoch for (number, epoch), row in kept.items() if row.name == rows[number].name}


def epochs_table(kept: Kept, rows: Sequence[Row], val: Scores) -> pd.DataFrame:
    """One row a round: mIoU on val after every kept epoch, the one that is used, and what choosing by val would add."""
    used = used_epochs(kept, rows)
    lines = {}
    for number, epoch in used.items():
        of_epochs = {e: [score.fixed_miou(run) for run in val[row.name]] for (n, e), row in kept.items() if n == number}
        picked = np.max(list(of_epochs.values()), axis=0) - of_epochs[epoch]
        line: dict[str, object] = {f"epoch {e}": mean_interval(miou) for e, miou in of_epochs.items()}
        lines[f"round {number}"] = line | {"used": f"epoch {epoch}", "best kept, minus used": mean_interval(picked)}
    frame = pd.DataFrame.from_dict(lines, orient="index").astype(object).rename_axis("")
    last = ["used", "best kept, minus used"]
    return frame[[f"epoch {e}" for e in sorted({epoch for _, epoch in kept})] + last]


def epoch_lines(kept: Kept, rows: Sequence[Row], val: Scores) -> dict[str, list[Line]]:
    """A panel for `charts.against`: mIoU on val by epoch, a line a round, with a ring around the epoch that is used."""
    used = used_epochs(kept, rows)
    drawn = []
    for number, shade in zip(used, shades(len(used)), strict=True):
        points = {
            epoch: mean_interval([score.fixed_miou(run) for run in val[row.name]])
            for (n, epoch), row in kept.items()
            if n == number
        }
        drawn.append(Line(f"round {number}", points, shade, marker="os^Dv"[(number - 1) % 5], ringed=used[number]))
    return {"mIoU on val, per cent": drawn}


def shades(number: int) -> list[str]:
    """From light to dark orange, the colour of SC-CAM: one a round."""
    return [to_hex(colormaps["Oranges"](at)) for at in np.linspace(0.4, 1, number)]
