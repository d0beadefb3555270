"""Charts of results: threshold curves, class counts; one colour a method everywhere.

The quantities behind Tables 2.1 and 3.1. Figures are Matplotlib objects without global state. Colours are
told apart by the colour-blind and, where lines cross, by their dashes. Nothing here corresponds to published code.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from companion.analysis.statistics import mean_interval
from thesislib import metrics

WIDTH = 7.2  # inches: a text column
INK = "#222222"
METHODS = {
    "CAM": "#666666",
    "mixup": "#8cc5e8",
    "mixup + entropy": "#4a9fd8",
    "mixup + concentration": "#1f6fb2",
    "Mixup-CAM": "#08306b",
    "both terms, no mixup": "#c2a25a",
    "Mixup-CAM, written form": "#d98fb0",
    "Mixup-CAM, floored form": "#d98fb0",
    "SC-CAM": "#e07b00",
    "SC-CAM, merged maps": "#a63700",
    "random sub-labels": "#7830bf",
    "K = 1, trained": "#401028",
    "true sub-types": "#9dd962",
    "CAM, schedule of the rounds": "#bfaca3",
    "Mixup-CAM + SC-CAM": "#009e73",
    "truth": "#000000",
}
SOLID = (*tuple(METHODS)[:5], "SC-CAM")  # the rows of Tables 2.1 and 3.1; control rows are dashed
OTHERS = ("#a0307a", "#5e3a1a", "#d8c400")  # rows of the user's own


def colours(methods: Iterable[str]) -> dict[str, str]:
    """The colour of each method; those without one of their own take the others in turn.

    >>> colours(["CAM", "my term"])
    {'CAM': '#666666', 'my term': '#a0307a'}
    """
    others = itertools.cycle(OTHERS)
    return {method: METHODS.get(method) or next(others) for method in methods}


def threshold_curves(
    panels: Sequence[Mapping[str, Float[np.ndarray, "s t"] | Sequence[Float[np.ndarray, " t"]]]],
    fixed: float,
    split: str,
) -> Figure:
    """mIoU against the background threshold: mean over seeds, with the 95 % interval as a band.

    Args:
        panels: side by side; each maps methods to curves `(S, T)` in per cent, a row a seed, over `THRESHOLDS`.
        fixed: the fixed threshold, drawn as a vertical line.
        split: on which the curves were measured, for the axis.
    """
    figure = Figure(figsize=(WIDTH, 3.9), layout="constrained")
    shade = colours(method for panel in panels for method in panel)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, panel in zip(axes, panels, strict=True):
        plain(axis)
        axis.axvline(fixed, color=INK, linewidth=0.8, linestyle=(0, (2, 2)))
        for method, curves in panel.items():
            _draw_curve(axis, method, np.asarray(curves), shade[method])
        axis.set_xlabel("background threshold")
        axis.set_xlim(metrics.THRESHOLDS[0], metrics.THRESHOLDS[-1])
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), fontsize=9, frameon=False)
    axes[0].set_ylim(bottom=max(0, axes[0].get_ylim()[0]))
    axes[0].set_ylabel(f"mIoU on {split}, per cent")
    axes[0].annotate("fixed", (fixed, 1), xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=8)
    return figure


def _draw_curve(axis: Axes, method: str, curves: Float[np.ndarray, "s t"], shade: str) -> None:
    """The mean curve, its band, and the mean over seeds of each seed's best point (oracle)."""
    dashes = "-" if method in SOLID else (0, (4, 1.5))
    axis.plot(metrics.THRESHOLDS, curves.mean(axis=0), color=shade, linestyle=dashes, linewidth=1.8, label=method)
    if len(curves) > 1:
        intervals = [mean_interval(values) for values in curves.T]
        low, high = [i.low for i in intervals], [i.high for i in intervals]
        axis.fill_between(metrics.THRESHOLDS, low, high, color=shade, alpha=0.1, linewidth=0)
    best = metrics.THRESHOLDS[curves.argmax(axis=1)].mean()
    axis.plot(best, curves.max(axis=1).mean(), "^", color=shade, markersize=7, markeredgecolor="white")


def class_chart(names: Sequence[str], images: Int[np.ndarray, " c"], together: Int[np.ndarray, "c c"]) -> Figure:
    """Images that contain each class, and how many contain both of two classes."""
    side = max(2.6, 0.28 * len(names))
    figure = Figure(figsize=(WIDTH, side + 0.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.3))
    plain(left)
    left.barh(names, images, color="#4a6a8a")
    left.bar_label(left.containers[0], fontsize=8, padding=2)
    left.invert_yaxis()
    left.set_xlabel("images with the class", fontsize=9)
    left.grid(visible=False)
    left.set_xticks([])
    left.spines["bottom"].set_visible(False)
    left.tick_params(axis="y", length=0)
    left.spines["left"].set_visible(False)
    apart = np.where(np.eye(len(names), dtype=bool), np.nan, together)
    right.imshow(apart, cmap="Blues", vmin=0, aspect="auto")
    right.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor", fontsize=8)
    right.set_yticks(range(len(names)), names, fontsize=8)
    right.set_title("images with both classes", fontsize=9)
    dark = np.nanmax(apart) / 2 if np.isfinite(apart).any() else 0
    for row, column in np.argwhere(apart > 0):
        count = int(apart[row, column])
        ink = "white" if count > dark else INK
        right.text(column, row, str(count), ha="center", va="center", fontsize=8, color=ink)
    return figure


def plain(axis: Axes) -> None:
    """Only the lines that carry something."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=9)
    axis.grid(axis="y", color="#dddddd", linewidth=0.6)
    axis.set_axisbelow(True)
