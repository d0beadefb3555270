"""Charts of results: threshold curves, the method's diagram, class counts; one colour a method everywhere.

Thesis Fig. 2.2 and the quantities behind Table 2.1. Figures are Matplotlib objects without global state. Colours are
told apart by the colour-blind and, where lines cross, by their dashes. Nothing here corresponds to published code.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from thesislib import metrics
from thesislib.statistics import mean_interval

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
    "Mixup-CAM + SC-CAM": "#009e73",
    "truth": "#000000",
}
SOLID = tuple(METHODS)[:5]  # the rows of Table 2.1; control rows are dashed
OTHERS = ("#a0307a", "#5e3a1a", "#d8c400")  # rows of the user's own


def colours(methods: Iterable[str]) -> dict[str, str]:
    """The colour of each method; those without one of their own take the others in turn.

    >>> colours(["CAM", "my term"])
    {'CAM': '#666666', 'my term': '#a0307a'}
    """
    others = itertools.cycle(OTHERS)
    return {method: METHODS.get(method) or next(others) for method in methods}


def threshold_curves(panels: Sequence[Mapping[str, Float[np.ndarray, "s t"]]], fixed: float, split: str) -> Figure:
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


# --- The diagram of the method (Fig. 2.2) -----------------------------------------------------------------------------


def method_diagram(
    shapes: Mapping[str, tuple[int, ...]],
    first: UInt8[np.ndarray, "h w 3"],
    second: UInt8[np.ndarray, "h w 3"],
    *,
    share: float = 0.7,
    network: str = "ResNet-38",
) -> Figure:
    """Fig. 2.2 with the tensor shapes of a real forward pass and two real images, mixed.

    Args:
        shapes: of `image`, `features`, `pooled`, `head`, `logits` and `response` for one image.
        first: an image.
        second: the one it is mixed with, of the same size.
        share: of the first image, lambda of eq. 2.2.
        network: name of the backbone, in the box of E.
    """
    figure = Figure(figsize=(WIDTH, WIDTH / 2))
    canvas = figure.add_axes((0, 0, 1, 1), xlim=(0, 100), ylim=(0, 50))
    canvas.set_axis_off()
    size = {name: " × ".join(map(str, shape)) for name, shape in shapes.items()}
    mixed = (share * first.astype(float) + (1 - share) * second).astype(np.uint8)
    _picture(canvas, first, (7, 38), "$x_a$")
    _picture(canvas, second, (7, 15), "$x_b$")
    _picture(canvas, mixed, (21, 26.5), "$x'$ (2.2)", f"$\\lambda$ = {share:g}\n{size['image']}")
    boxes = {
        "E": ((36, 26.5), (12, 13), f"$E$\n{network}", "network"),
        "f": ((53.5, 26.5), (17, 8), f"$f$\n{size['features']}", "tensor"),
        "pooled": ((53.5, 42), (17, 8), f"$\\bar{{f}}$ = GAP($f$)\n{size['pooled']}", "tensor"),
        "head": ((72.5, 26.5), (13, 8), f"$\\Theta^p$\n{size['head']}", "network"),
        "z": ((72.5, 42), (13, 8), f"$z$\n{size['logits']}", "tensor"),
        "M": ((72.5, 10), (15, 8), f"$M$ (2.1)\n{size['response']}", "tensor"),
        "cls": ((92, 45.5), (15, 7), "$L_{cls}(z, y')$", "loss"),
        "ent": ((92, 35.5), (15, 7), "$L_{ent}(z)$ (2.3)", "loss"),
        "con": ((92, 10), (15, 7), "$L_{con}(M)$ (2.4)", "loss"),
    }
    for centre, extent, text, kind in boxes.values():
        _box(canvas, centre, extent, text, kind)
    for start, end in (
        ((12.5, 36), (15.5, 30)),
        ((12.5, 17), (15.5, 23)),
        ((26.5, 26.5), (30, 26.5)),
        ((42, 26.5), (45, 26.5)),
        ((53.5, 30.5), (53.5, 38)),
        ((62, 42), (66, 42)),
        ((72.5, 30.5), (72.5, 38)),
        ((53.5, 22.5), (65, 10)),
        ((72.5, 22.5), (72.5, 14)),
        ((79, 43), (84.5, 45)),
        ((79, 41), (84.5, 36.5)),
        ((80, 10), (84.5, 10)),
    ):
        canvas.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=9, color=INK, linewidth=0.9))
    total = "$L = L_{cls} + \\lambda_{ent} L_{ent} + \\lambda_{con} L_{con}$  (2.5)"
    canvas.text(30, 3, total, ha="center", va="center", fontsize=11, color=INK)
    return figure


FILLS = {"tensor": "#eef1f4", "network": "#ffffff", "loss": "#dceaf7"}


def _box(canvas: Axes, centre: tuple[float, float], extent: tuple[float, float], text: str, kind: str) -> None:
    corner = (centre[0] - extent[0] / 2, centre[1] - extent[1] / 2)
    style = "round,pad=0,rounding_size=1" if kind != "tensor" else "square,pad=0"
    canvas.add_patch(FancyBboxPatch(corner, *extent, boxstyle=style, facecolor=FILLS[kind], edgecolor=INK))
    canvas.text(*centre, text, ha="center", va="center", fontsize=9, color=INK, linespacing=1.4)


def _picture(
    canvas: Axes, picture: UInt8[np.ndarray, "h w 3"], centre: tuple[float, float], above: str, below: str = ""
) -> None:
    half = 5.5
    left, bottom = centre[0] - half, centre[1] - half
    canvas.imshow(picture, extent=(left, left + 2 * half, bottom, bottom + 2 * half), aspect="auto", zorder=2)
    canvas.text(centre[0], bottom + 2 * half + 0.8, above, ha="center", va="bottom", fontsize=9, color=INK)
    canvas.text(centre[0], bottom - 0.8, below, ha="center", va="top", fontsize=9, color=INK)
    canvas.set(xlim=(0, 100), ylim=(0, 50))


def plain(axis: Axes) -> None:
    """Only the lines that carry something."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=9)
    axis.grid(axis="y", color="#dddddd", linewidth=0.6)
    axis.set_axisbelow(True)
