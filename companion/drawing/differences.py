"""Paired differences of many rows, one line a row: a point with its interval beside 0.

Nothing here corresponds to published code.
"""

from collections.abc import Mapping

from matplotlib.figure import Figure

from companion.analysis.statistics import Interval
from companion.drawing.style import INK, WIDTH, own_settings, plain


@own_settings()
def differences(found: Mapping[str, Interval], across: str, margin: float) -> Figure:
    """A point a difference with its interval over seeds; the band is what counts as none.

    Args:
        found: differences by name, from the top.
        across: label of the horizontal axis.
        margin: half the width of the band.
    """
    figure = Figure(figsize=(WIDTH, 0.8 + 0.3 * len(found)), layout="constrained")
    axis = figure.subplots()
    plain(axis)
    axis.grid(visible=False)
    axis.axvspan(-margin, margin, color="#dddddd", linewidth=0)
    axis.axvline(0, color=INK, linewidth=0.7)
    for at, interval in enumerate(found.values()):
        axis.plot(interval.mean, at, "o", color=INK, markersize=5)
        if interval.n > 1:
            axis.plot([interval.low, interval.high], [at, at], color=INK, linewidth=1.3)
    axis.set_yticks(range(len(found)), [*found])
    axis.invert_yaxis()
    axis.set_xlabel(across, fontsize=9)
    return figure
