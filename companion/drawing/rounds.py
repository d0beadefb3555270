"""Scores over rounds and over the kept epochs of each round, as charts beside Table 3.2.

Nothing here corresponds to published code. The numbers come from `analysis.round_scores`.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from companion.analysis.claims import seed_values
from companion.analysis.measures import Measure, Scores
from companion.analysis.round_scores import ByRound, Kept, of_epochs, used_epochs
from companion.analysis.statistics import Interval, mean_interval
from companion.drawing.curves import READINGS, Line, against
from companion.drawing.style import METHODS


def over_rounds(val: Scores, train: Scores, rows: ByRound) -> Figure:
    """mIoU by round at the fixed and the oracle threshold, a panel for val and one for train."""
    panels = {
        f"mIoU on {split}, per cent": [
            Line(name, _points(scores, rows, measure), METHODS["SC-CAM"], dashes, marker)
            for name, measure, dashes, marker, _ in READINGS
        ]
        for split, scores in (("val", val), ("train", train))
    }
    return against(panels, "round")


def _points(scores: Scores, rows: ByRound, measure: Measure) -> Mapping[int, Interval]:
    return {number: mean_interval(seed_values(scores, row.name, measure)) for number, row in rows.items()}


def over_epochs(kept: Kept, rows: ByRound, val: Scores) -> Figure:
    """mIoU on val by epoch, a line a round, with a ring around the epoch that is used."""
    used = used_epochs(kept, rows)
    drawn = []
    for number, shade in zip(used, shades(len(used)), strict=True):
        points = {epoch: mean_interval(miou) for epoch, miou in of_epochs(kept, number, val).items()}
        drawn.append(Line(f"round {number}", points, shade, marker="os^Dv"[(number - 1) % 5], ringed=used[number]))
    return against({"mIoU on val, per cent": drawn}, "epoch")


def shades(number: int) -> list[str]:
    """From light to dark orange, the colour of SC-CAM: one a round."""
    return [to_hex(colormaps["Oranges"](at)) for at in np.linspace(0.4, 1, number)]
