"""Charts of chapter 2 beyond its threshold curves: one hyper-parameter, single images, kinds of error.

Thesis Fig. 2.4, 2.5 and 2.8. Colours are those of `figures`; means over seeds carry their 95 % interval. Nothing here
corresponds to published code.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thesislib import scores as score
from thesislib.experiments import MIXUP_CAM, PLAIN_CAM, Sweep
from thesislib.failures import KINDS
from thesislib.figures import INK, WIDTH, colours, plain
from thesislib.scores import Measure, Scores
from thesislib.statistics import Interval, mean_interval

KIND_COLOURS = dict(zip(KINDS, ("#56b4e9", "#0072b2", "#e69f00", "#cc79a7"), strict=True))
HATCHES = ("", "//", "..", "xx")


def sensitivity(sweeps: Sequence[Sweep], train: Scores) -> Figure:
    """Fig. 2.5: mIoU against each hyper-parameter, at the fixed and at the oracle threshold, and that of plain CAM.

    The values stand at equal distances, because the grids begin at 0 and then grow by factors.
    """
    figure = Figure(figsize=(WIDTH, 3.3), layout="constrained")
    axes = figure.subplots(1, len(sweeps), sharey=True, squeeze=False)[0]
    shade = colours([PLAIN_CAM.name, MIXUP_CAM.name])
    readings = (
        ("fixed threshold", score.fixed_miou, "-", "o", -0.07),
        ("oracle", score.oracle_miou, (0, (3, 2)), "^", 0.07),  # side by side, so that bars do not cover each other
    )
    for axis, sweep in zip(axes, sweeps, strict=True):
        plain(axis)
        for name, measure, dashes, marker, shift in readings:
            _level(axis, train[PLAIN_CAM.name], measure, shade[PLAIN_CAM.name], dashes)
            found = [mean_interval([measure(run) for run in train[row.name]]) for row in sweep.rows.values()]
            _with_bars(axis, found, shade[MIXUP_CAM.name], dashes, marker, name, shift)
        at = list(sweep.rows).index(sweep.default)
        axis.axvspan(at - 0.3, at + 0.3, color=shade[MIXUP_CAM.name], alpha=0.08, linewidth=0)
        axis.set_xticks(range(len(sweep.rows)), [f"{value:g}" for value in sweep.rows], fontsize=8)
        axis.set_xlabel(f"{sweep.name}\n({sweep.text})", fontsize=8)
    axes[0].set_ylabel("mIoU on train, per cent", fontsize=9)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=8, frameon=False)
    return figure


def _level(axis: Axes, runs: Sequence[Mapping[str, np.ndarray]], measure: Measure, shade: str, dashes: object) -> None:
    """A horizontal line with its interval as a band."""
    level = mean_interval([measure(run) for run in runs])
    name = "plain CAM" if measure is score.fixed_miou else "plain CAM, oracle"
    axis.axhline(level.mean, color=shade, linestyle=dashes, linewidth=1.3, label=name)
    if level.n > 1:
        axis.axhspan(level.low, level.high, color=shade, alpha=0.1, linewidth=0)


def _with_bars(
    axis: Axes, found: Sequence[Interval], shade: str, dashes: object, marker: str, name: str, shift: float
) -> None:
    half = [0 if each.n == 1 else each.high - each.mean for each in found]
    axis.errorbar(
        np.arange(len(found)) + shift, [each.mean for each in found], yerr=half, color=shade, linestyle=dashes,
        marker=marker, markersize=5, capsize=2, linewidth=1.4, elinewidth=0.9, label=name,
    )  # fmt: skip


def changes(
    pairs: Sequence[tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]], labels: tuple[str, str]
) -> Figure:
    """Fig. 2.4: a point an image and seed, and the line of least squares of each seed.

    Args:
        pairs: horizontal and vertical values of the images, one pair a seed; images with a missing value are left out.
        labels: of the axes.
    """
    figure = Figure(figsize=(WIDTH * 0.62, WIDTH * 0.55), layout="constrained")
    axis = figure.subplots()
    plain(axis)
    shade = colours([MIXUP_CAM.name])[MIXUP_CAM.name]
    axis.axhline(0, color=INK, linewidth=0.7)
    axis.axvline(0, color=INK, linewidth=0.7)
    for seed, (x, y) in enumerate(pairs):
        seen = np.isfinite(x) & np.isfinite(y)
        axis.plot(x[seen], y[seen], "osD^v"[seed % 5], color=shade, markersize=3.2, alpha=0.35, markeredgewidth=0)
        if seen.sum() > 1 and np.ptp(x[seen]) > 0:
            slope, start = np.polyfit(x[seen], y[seen], 1)
            ends = np.array([x[seen].min(), x[seen].max()])
            axis.plot(ends, start + slope * ends, color="#c1121f", linewidth=1.2)
    axis.set_xlabel(labels[0], fontsize=9)
    axis.set_ylabel(labels[1], fontsize=9)
    return figure


def error_kinds(found: Mapping[str, Mapping[str, float]]) -> Figure:
    """Fig. 2.8 in numbers: a bar a method, its wrong pixels by kind, in per cent of all scored pixels."""
    figure = Figure(figsize=(WIDTH, 0.7 + 0.42 * len(found)), layout="constrained")
    axis = figure.subplots()
    plain(axis)
    axis.grid(visible=False)
    lefts = np.zeros(len(found))
    for kind, hatch in zip(KINDS, HATCHES, strict=True):
        widths = np.array([rates[kind] for rates in found.values()])
        bars = axis.barh(
            list(found), widths, left=lefts, color=KIND_COLOURS[kind], hatch=hatch, edgecolor="white", label=kind
        )
        texts = [f"{width:.1f}" if width > 1 else "" for width in widths]
        labels = axis.bar_label(bars, texts, label_type="center", fontsize=8)
        for label in labels:
            label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85})
        lefts += np.nan_to_num(widths)
    axis.invert_yaxis()
    axis.set_xlabel("wrong pixels, per cent of all scored", fontsize=9)
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, fontsize=8, frameon=False)
    return figure
