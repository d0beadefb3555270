"""Scores of the response maps round by round and epoch by epoch: Table 3.2, its steps, and the kept checkpoints.

Thesis Table 3.2 and section 3.4.2; published code: `script.sh` of Juliachang/SC-CAM names the epoch that it takes from
each round and gives no rule (S7). No choice here looks at a mask: the epoch is the preset's.
"""

from collections.abc import Iterable, Mapping
from itertools import pairwise

import numpy as np
import pandas as pd

from companion.analysis import maps, measures
from companion.analysis.claims import Claim, Row, difference, lines_as_table, seed_values, signs
from companion.analysis.measures import Measure, Scores
from companion.analysis.statistics import Interval, mean_interval

STEP_READINGS = ("val, fixed", "val, oracle", "train, fixed", "F of the means, val")
"""Ways to read a step between rounds: mIoU points, and points of the first reading of the F-score (S9)."""
ByRound = Mapping[int, Row]
"""The row of each round; 0 is plain CAM."""
Kept = Mapping[tuple[int, int], Row]
"""Rows by round and epoch."""
Steps = Mapping[tuple[int, int], Claim]
"""That a later round is above an earlier one, by their numbers, the earlier one first."""


def largest_mean_f1(miou: float) -> float:
    """The largest mean of the classes' F1 at that mIoU, both in per cent (S9).

    F1 = 2 J / (1 + J) is concave in the IoU J of a class, so that the mean is largest where all classes are alike.

    >>> round(largest_mean_f1(46.8), 1)
    63.8
    """
    return 200 * miou / (100 + miou)


def by_round(scores: Scores, rows: ByRound, printed: Mapping[str, Mapping[int, float]] | None = None) -> pd.DataFrame:
    """One row a round: mIoU, both readings of the F-score, and the largest mean of F1 that the mIoU allows.

    Args:
        scores: of one split.
        rows: of the rounds.
        printed: what the thesis prints by heading and round.
    """
    frame = maps.table(
        {row.name: scores[row.name] for row in rows.values()},
        {
            "mIoU": measures.fixed_miou,
            "F of the means": measures.f_of_means,
            "mean of F1": measures.mean_f1,
            "largest mean of F1": lambda run: largest_mean_f1(measures.fixed_miou(run)),
        },
    )
    for heading, values in (printed or {}).items():
        frame[heading] = [values.get(number) for number in rows]
    frame.index = pd.Index([f"{number}" if number else "0 (plain CAM)" for number in rows], name="round")
    return frame


# --- Steps from round to round ----------------------------------------------------------------------------------------


def steps(rows: ByRound) -> dict[tuple[int, int], Claim]:
    """That mIoU rises from every round to the next one, and from the first to the last."""
    numbers = sorted(rows)
    pairs: Iterable[tuple[int, int]] = pairwise(numbers)
    if len(numbers) > 2:
        pairs = [*pairs, (numbers[0], numbers[-1])]
    return {(a, b): Claim(f"mIoU rises from round {a} to round {b} (val)", rows[b], rows[a]) for a, b in pairs}


def readings(val: Scores, train: Scores, step: Claim) -> dict[str, Interval]:
    """By how much the later row of a step is above the earlier one, for each of `STEP_READINGS`."""
    ways: list[tuple[Scores, Measure]] = [
        (val, measures.fixed_miou),
        (val, measures.oracle_miou),
        (train, measures.fixed_miou),
        (val, measures.f_of_means),
    ]
    found = [difference(scores, step.row.name, step.reference.name, measure) for scores, measure in ways]
    return dict(zip(STEP_READINGS, found, strict=True))


def printed_step(printed: Mapping[int, float], earlier: int, later: int) -> float | None:
    """The change between two rounds that the thesis prints, None beyond its rounds.

    >>> printed_step({0: 46.8, 1: 48.0}, 0, 1)
    1.2
    """
    return round(printed[later] - printed[earlier], 1) if later in printed else None


def steps_table(val: Scores, train: Scores, found: Steps, printed: Mapping[int, float]) -> pd.DataFrame:
    """The steps in each reading beside the printed one, with verdicts on "it rises" as `claims.SIGNS`."""
    lines = {}
    for (earlier, later), step in found.items():
        of_step = readings(val, train, step)
        thesis = printed_step(printed, earlier, later)
        lines[f"{earlier} to {later}"] = {"thesis, VOC val": thesis, **of_step, "verdicts": signs(of_step)}
    return lines_as_table(lines, "rounds")


# --- Kept checkpoints (S7) --------------------------------------------------------------------------------------------


def used_epochs(kept: Kept, rows: ByRound) -> dict[int, int]:
    """The epoch that is used in each round: the one whose row is that of the round."""
    return {number: epoch for (number, epoch), row in kept.items() if row == rows[number]}


def of_epochs(kept: Kept, number: int, val: Scores) -> dict[int, list[float]]:
    """mIoU after every kept epoch of a round, one value a seed."""
    return {epoch: seed_values(val, row.name) for (n, epoch), row in kept.items() if n == number}


def epochs_table(kept: Kept, rows: ByRound, val: Scores) -> pd.DataFrame:
    """One row a round: mIoU on val after every kept epoch, the one that is used, and what choosing by val would add."""
    lines = {}
    for number, epoch in used_epochs(kept, rows).items():
        found = of_epochs(kept, number, val)
        picked = np.max(list(found.values()), axis=0) - found[epoch]
        line: dict[str, object] = {f"epoch {e}": mean_interval(miou) for e, miou in found.items()}
        lines[f"round {number}"] = line | {"used": f"epoch {epoch}", "best kept, minus used": mean_interval(picked)}
    last = ["used", "best kept, minus used"]
    return lines_as_table(lines, "")[[f"epoch {e}" for e in sorted({epoch for _, epoch in kept})] + last]
