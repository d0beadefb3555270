"""The statistical figures: threshold curves, one hyper-parameter, rounds and epochs, images, kinds of error.

Thesis Fig. 2.4, 2.5, 2.8 and 3.4, and the quantities behind Tables 2.1, 3.1 and 3.2. Colours are those of `style`;
means over seeds carry their 95 % interval. Nothing here corresponds to published code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import seaborn as sns
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from companion.analysis import measures
from companion.analysis.claims import Row, Sweep, seed_values
from companion.analysis.errors import KINDS
from companion.analysis.measures import Scores
from companion.analysis.methods import MIXUP_CAM, PLAIN_CAM
from companion.analysis.statistics import Interval, mean_interval
from companion.drawing.style import INK, SOLID, WIDTH, colours, own_settings, plain
from thesislib import metrics

KIND_COLOURS = dict(zip(KINDS, ("#56b4e9", "#0072b2", "#e69f00", "#cc79a7"), strict=True))
CAP = 0.07  # of the distance of two positions
HATCHES = ("", "//", "..", "xx")
READINGS = (
    ("fixed threshold", measures.fixed_miou, "-", "o", -0.07),
    ("oracle", measures.oracle_miou, (0, (3, 2)), "^", 0.07),  # side by side, so that bars do not cover each other
)


@own_settings()
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
    sns.lineplot(
        x=np.tile(metrics.THRESHOLDS, len(curves)), y=curves.ravel(), errorbar=_bounds if len(curves) > 1 else None,
        color=shade, linestyle="-" if method in SOLID else (0, (4, 1.5)), linewidth=1.8,
        err_kws={"alpha": 0.1, "linewidth": 0}, label=method, legend=False, ax=axis,
    )  # fmt: skip
    best = metrics.THRESHOLDS[curves.argmax(axis=1)].mean()
    axis.plot(best, curves.max(axis=1).mean(), "^", color=shade, markersize=7, markeredgecolor="white")


def _bounds(values: pd.Series) -> tuple[float, float]:
    """Those of the 95 % t interval over seeds, where seaborn would draw a bootstrap."""
    interval = mean_interval(values.to_numpy())
    return interval.low, interval.high


@own_settings()
def sensitivity(sweeps: Sequence[Sweep], train: Scores) -> Figure:
    """Fig. 2.5: mIoU against each hyper-parameter, at the fixed and at the oracle threshold, and that of plain CAM.

    The values stand at equal distances, because the grids begin at 0 and then grow by factors.
    """
    figure = Figure(figsize=(WIDTH, 3.3), layout="constrained")
    axes = figure.subplots(1, len(sweeps), sharey=True, squeeze=False)[0]
    shade = colours([PLAIN_CAM.name, MIXUP_CAM.name])
    for axis, sweep in zip(axes, sweeps, strict=True):
        plain(axis)
        _levels(axis, train, shade[PLAIN_CAM.name])
        for name, measure, dashes, marker, shift in READINGS:
            found = {at + shift: seed_values(train, row.name, measure) for at, row in enumerate(sweep.rows.values())}
            _with_bars(axis, found, shade[MIXUP_CAM.name], dashes, marker, name)
        at = list(sweep.rows).index(sweep.default)
        axis.axvspan(at - 0.3, at + 0.3, color=shade[MIXUP_CAM.name], alpha=0.08, linewidth=0)
        axis.set_xticks(range(len(sweep.rows)), [f"{value:g}" for value in sweep.rows], fontsize=8)
        axis.set_xlabel(f"{sweep.name}\n({sweep.text})", fontsize=8)
    axes[0].set_ylabel("mIoU on train, per cent", fontsize=9)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=8, frameon=False)
    return figure


@own_settings()
def number_of_subcategories(sweep: Sweep, val: Scores, control: Row) -> Figure:
    """Fig. 3.4: mIoU on val against K at the fixed and at the oracle threshold; the control row is a mark of its own.

    The values stand at equal distances, as in the thesis; K = 1 is plain CAM.
    """
    figure = Figure(figsize=(WIDTH * 0.8, 3.6), layout="constrained")
    axis = figure.subplots()
    plain(axis)
    shade = colours([PLAIN_CAM.name, "SC-CAM", control.name])
    _levels(axis, val, shade[PLAIN_CAM.name])
    for name, measure, dashes, marker, shift in READINGS:
        found = {at + shift: seed_values(val, row.name, measure) for at, row in enumerate(sweep.rows.values())}
        _with_bars(axis, found, shade["SC-CAM"], dashes, marker, f"SC-CAM, {name}")
        trained = {shift - 1: seed_values(val, control.name, measure)}
        _with_bars(axis, trained, shade[control.name], "none", marker, f"{control.name}, {name}")
    at = list(sweep.rows).index(sweep.default)
    axis.axvspan(at - 0.3, at + 0.3, color=shade["SC-CAM"], alpha=0.08, linewidth=0)
    axis.axvline(-0.5, color="#bbbbbb", linewidth=0.8)
    values = [f"{value:g}" for value in sweep.rows]
    axis.set_xticks(range(-1, len(values)), ["1, trained\n(control)", f"{values[0]}\n(plain CAM)", *values[1:]])
    axis.set_xlim(-1.5, len(values) - 0.5)
    axis.set_xlabel(f"K, sub-categories of each class ({sweep.text})", fontsize=9)
    axis.set_ylabel("mIoU on val, per cent", fontsize=9)
    figure.legend(loc="outside upper center", ncols=3, fontsize=8, frameon=False)
    return figure


def _levels(axis: Axes, scores: Scores, shade: str) -> None:
    """Plain CAM in both readings: horizontal lines with their intervals as bands."""
    for name, (_, measure, dashes, *_) in zip(("plain CAM", "plain CAM, oracle"), READINGS, strict=True):
        level = mean_interval(seed_values(scores, PLAIN_CAM.name, measure))
        axis.axhline(level.mean, color=shade, linestyle=dashes, linewidth=1.3, label=name)
        if level.n > 1:
            axis.axhspan(level.low, level.high, color=shade, alpha=0.1, linewidth=0)


def _with_bars(
    axis: Axes, found: Mapping[float, Sequence[float]], shade: str, dashes: object, marker: str, name: str
) -> None:
    """Means by position, joined by a line, with their intervals over seeds as bars."""
    at = np.repeat(list(found), [len(values) for values in found.values()])
    sns.pointplot(
        x=at, y=np.concatenate(list(found.values())), errorbar=_bounds, native_scale=True, color=shade,
        linestyle=dashes, marker=marker, markersize=5, linewidth=1.4, capsize=CAP, err_kws={"linewidth": 0.9},
        label=name, legend=False, ax=axis,
    )  # fmt: skip


# --- Rounds and epochs (Table 3.2) ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One line of `against`.

    Args:
        name: in the legend.
        points: interval over seeds, with its values, by position; a missing one is left out.
        colour: of the line.
        dashes: Matplotlib line style.
        marker: Matplotlib marker.
        ringed: a position that is marked with a ring.
    """

    name: str
    points: Mapping[int, Interval | None]
    colour: str
    dashes: object = "-"
    marker: str = "o"
    ringed: int | None = None


@own_settings()
def against(panels: Mapping[str, Sequence[Line]], across: str) -> Figure:
    """Lines over rounds or epochs with their intervals as bars, one panel a quantity.

    Args:
        panels: lines by the label of the vertical axis.
        across: label of the horizontal axes.
    """
    figure = Figure(figsize=(WIDTH * (0.62 if len(panels) == 1 else 1), 3.5), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (label, lines) in zip(axes, panels.items(), strict=True):
        plain(axis)
        for number, line in enumerate(lines):
            _draw_line(axis, line, 0.08 * (number - (len(lines) - 1) / 2))
        axis.set_xticks(sorted({at for line in lines for at in line.points}))
        axis.set_xlabel(across, fontsize=9)
        axis.set_ylabel(label, fontsize=9)
        if len(lines) > 1:
            axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), fontsize=8, frameon=False)
    return figure


def _draw_line(axis: Axes, line: Line, shift: float) -> None:
    """One line, `shift` of the least distance of two positions aside, so that bars do not cover each other."""
    aside = shift * min(np.diff(sorted(line.points)), default=1)
    seen = {at: each for at, each in line.points.items() if each is not None}
    found = {at + aside: each.values for at, each in seen.items()}
    _with_bars(axis, found, line.colour, line.dashes, line.marker, line.name)
    ringed = seen.get(line.ringed) if line.ringed is not None else None
    if line.ringed is not None and ringed is not None:
        axis.plot(line.ringed + aside, ringed.mean, "o", markersize=9, markerfacecolor="none", markeredgecolor=INK)


# --- Single images and kinds of error (Fig. 2.4, 2.8) -----------------------------------------------------------------


@own_settings()
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
        sns.regplot(
            x=x[seen], y=y[seen], ci=None, fit_reg=len(np.unique(x[seen])) > 1, marker="osD^v"[seed % 5],
            scatter_kws={"color": shade, "s": 10, "alpha": 0.35, "linewidths": 0},
            line_kws={"color": "#c1121f", "linewidth": 1.2}, ax=axis,
        )  # fmt: skip
    axis.set_xlabel(labels[0], fontsize=9)
    axis.set_ylabel(labels[1], fontsize=9)
    return figure


@own_settings()
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
