"""Diagrams of the two methods with the tensor shapes of a real forward pass, and the idea of sub-categories.

Thesis Fig. 2.2, 3.1 and 3.2. Nothing here corresponds to published code. Distances on a canvas are in hundredths of
its width.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from companion.drawing.style import INK, WIDTH, colours, own_settings

Point = tuple[float, float]
Shapes = Mapping[str, tuple[int, ...]]
FILLS = {"tensor": "#eef1f4", "network": "#ffffff", "loss": "#dceaf7"}
CLUSTERS = ("#e07b00", "#0072b2", "#009e73", "#cc79a7")
HALF = 5.5  # of a picture's side


class Box(NamedTuple):
    """A box with text: a tensor (square corners), a part of the network (round), or a loss (round and tinted)."""

    centre: Point
    extent: Point
    text: str
    kind: str


# --- Mixup-CAM (Fig. 2.2) ---------------------------------------------------------------------------------------------


@own_settings()
def method_diagram(
    shapes: Shapes,
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
    figure, canvas = _canvas(50)
    size = _sizes(shapes)
    mixed = (share * first.astype(float) + (1 - share) * second).astype(np.uint8)
    _picture(canvas, first, (7, 38), "$x_a$")
    _picture(canvas, second, (7, 15), "$x_b$")
    _picture(canvas, mixed, (21, 26.5), "$x'$ (2.2)", f"$\\lambda$ = {share:g}\n{size['image']}")
    boxes = (
        Box((36, 26.5), (12, 13), f"$E$\n{network}", "network"),
        Box((53.5, 26.5), (17, 8), f"$f$\n{size['features']}", "tensor"),
        Box((53.5, 42), (17, 8), f"$\\bar{{f}}$ = GAP($f$)\n{size['pooled']}", "tensor"),
        Box((72.5, 26.5), (13, 8), f"$\\Theta^p$\n{size['head']}", "network"),
        Box((72.5, 42), (13, 8), f"$z$\n{size['logits']}", "tensor"),
        Box((72.5, 10), (15, 8), f"$M$ (2.1)\n{size['response']}", "tensor"),
        Box((92, 45.5), (15, 7), "$L_{cls}(z, y')$", "loss"),
        Box((92, 35.5), (15, 7), "$L_{ent}(z)$ (2.3)", "loss"),
        Box((92, 10), (15, 7), "$L_{con}(M)$ (2.4)", "loss"),
    )
    arrows: tuple[tuple[Point, Point], ...] = (
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
    )
    _draw(canvas, boxes, arrows)
    _formula(canvas, (30, 3), "$L = L_{cls} + \\lambda_{ent} L_{ent} + \\lambda_{con} L_{con}$  (2.5)")
    return figure


# --- Sub-category exploration (Fig. 3.1, 3.2) -------------------------------------------------------------------------


@own_settings()
def subcategory_diagram(
    shapes: Shapes, image: UInt8[np.ndarray, "h w 3"], *, k: int, weight: float, network: str = "ResNet-38"
) -> Figure:
    """Fig. 3.2 with the tensor shapes of a real forward pass and a real image.

    Args:
        shapes: of `image`, `features`, `pooled`, `head`, `sub_head`, `logits`, `sub_logits` and `response` for one
            image; the labels of the sub-categories have the shape of `sub_logits`.
        image: what passes through.
        k: sub-categories a class.
        weight: lambda of eq. 3.3.
        network: name of the backbone, in the box of E.
    """
    figure, canvas = _canvas(58)
    size = _sizes(shapes)
    _picture(canvas, image, (6.5, 25), "$x$", size["image"])
    boxes = (
        Box((21, 25), (13, 13), f"$E$\n{network}", "network"),
        Box((39, 25), (16, 8), f"$f$\n{size['features']}", "tensor"),
        Box((39, 39), (16, 8), f"$\\bar{{f}}$ = GAP($f$)\n{size['pooled']}", "tensor"),
        Box((60, 53), (17, 8), f"K-means (3.2)\n$K$ = {k} a class", "network"),
        Box((60, 39), (17, 8), f"$H_s$: $\\Theta^s$\n{size['sub_head']}", "network"),
        Box((60, 25), (17, 8), f"$H_p$: $\\Theta^p$\n{size['head']}", "network"),
        Box((78, 53), (12, 8), f"$Y_s$\n{size['sub_logits']}", "tensor"),
        Box((78, 39), (12, 8), f"$z_s$\n{size['sub_logits']}", "tensor"),
        Box((78, 25), (12, 8), f"$z_p$\n{size['logits']}", "tensor"),
        Box((93, 39), (12.5, 7), "$\\ell(z_s, Y_s)$", "loss"),
        Box((93, 25), (12.5, 7), "$\\ell(z_p, Y_p)$", "loss"),
        Box((60, 8), (17, 8), f"$M$ (3.1)\n{size['response']}", "tensor"),
    )
    arrows: tuple[tuple[Point, Point], ...] = (
        ((12, 25), (14.5, 25)),
        ((27.5, 25), (31, 25)),
        ((39, 29), (39, 35)),
        ((47, 39), (51.5, 39)),
        ((47, 36), (51.5, 27.5)),
        ((68.5, 53), (72, 53)),
        ((68.5, 39), (72, 39)),
        ((68.5, 25), (72, 25)),
        ((84, 51), (91, 42.5)),
        ((84, 39), (86.75, 39)),
        ((84, 25), (86.75, 25)),
        ((43, 21), (51.5, 10)),
        ((60, 21), (60, 12)),
    )
    _draw(canvas, boxes, arrows)
    _arrow(canvas, (43, 43), (51.5, 52), dashed=True)
    before = "once a round, with the\nnetwork of the round before"
    canvas.text(44, 52.5, before, ha="right", va="center", fontsize=9, color=INK)
    _formula(canvas, (84, 9), f"$\\ell(z_p, Y_p) + \\lambda\\, \\ell(z_s, Y_s)$  (3.3)\n$\\lambda$ = {weight:g}")
    return figure


@own_settings()
def idea(
    clusters: Sequence[Sequence[UInt8[np.ndarray, "_ _ 3"]]],
    image: UInt8[np.ndarray, "h w 3"],
    maps: Mapping[str, UInt8[np.ndarray, "h w 3"]],
    name: str,
) -> Figure:
    """Fig. 3.1: images of a class under one label, and the same images under a label for each cluster.

    Args:
        clusters: at most four lists of at most four square pictures, which are shown in a line of one colour.
        image: another image of the class.
        maps: its response map without and with sub-categories, in colour, by method.
        name: of the class.
    """
    side, high = 7.4, 41.0
    figure, canvas = _canvas(high)
    frames = [CLUSTERS[line] for line in range(len(clusters))]
    headings = (f"one label: {name}", f"a label for each cluster: {name} 1, 2, …")
    for block, (method, picture) in enumerate(maps.items()):
        left = 1 + 50.5 * block
        canvas.text(left, high - 1, headings[block], ha="left", va="top", fontsize=9, color=INK)
        for row, (members, frame) in enumerate(zip(_mixed(clusters) if not block else clusters, frames, strict=True)):
            for column, member in enumerate(members):
                corner = (left + column * (side + 0.6), high - 5 - side - row * (side + 1.2))
                _thumbnail(canvas, member, corner, side, frame if block else colours([method])[method])
        _arrow(canvas, (left + 4 * side + 2.2, 8), (left + 4 * side + 6.2, 8))
        centre = left + 4 * side + 6.6 + HALF
        _picture(canvas, image, (centre, 26), "image")
        _picture(canvas, picture, (centre, 8), method, math=False)
    return figure


def _mixed(clusters: Sequence[Sequence[np.ndarray]]) -> list[list[np.ndarray]]:
    """The same pictures in lists of the same lengths, clusters taking turns."""
    longest = max(len(members) for members in clusters)
    turns = iter([members[i] for i in range(longest) for members in clusters if i < len(members)])
    return [[next(turns) for _ in members] for members in clusters]


# --- Drawing ----------------------------------------------------------------------------------------------------------


def _canvas(height: float) -> tuple[Figure, Axes]:
    """An empty figure as wide as a text column, 100 units by `height`."""
    figure = Figure(figsize=(WIDTH, WIDTH * height / 100))
    canvas = figure.add_axes((0, 0, 1, 1), xlim=(0, 100), ylim=(0, height))
    canvas.set_axis_off()
    canvas.set_autoscale_on(False)
    return figure, canvas


def _sizes(shapes: Shapes) -> dict[str, str]:
    return {name: " × ".join(map(str, shape)) for name, shape in shapes.items()}


def _draw(canvas: Axes, boxes: Iterable[Box], arrows: Iterable[tuple[Point, Point]]) -> None:
    for centre, extent, text, kind in boxes:
        corner = (centre[0] - extent[0] / 2, centre[1] - extent[1] / 2)
        style = "round,pad=0,rounding_size=1" if kind != "tensor" else "square,pad=0"
        canvas.add_patch(FancyBboxPatch(corner, *extent, boxstyle=style, facecolor=FILLS[kind], edgecolor=INK))
        canvas.text(*centre, text, ha="center", va="center", fontsize=9, color=INK, linespacing=1.4, parse_math=True)
    for start, end in arrows:
        _arrow(canvas, start, end)


def _arrow(canvas: Axes, start: Point, end: Point, *, dashed: bool = False) -> None:
    style = (0, (3, 2)) if dashed else "-"
    canvas.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=9, color=INK, linewidth=0.9, linestyle=style)
    )


def _formula(canvas: Axes, centre: Point, text: str) -> None:
    canvas.text(*centre, text, ha="center", va="center", fontsize=11, color=INK, linespacing=1.5, parse_math=True)


def _picture(
    canvas: Axes, picture: UInt8[np.ndarray, "h w 3"], centre: Point, above: str, below: str = "", *, math: bool = True
) -> None:
    """A picture with text above and below it, which may have formulas, in a square around a point, as large as fits."""
    rows, columns = picture.shape[:2]
    wide, high = HALF * columns / max(rows, columns), HALF * rows / max(rows, columns)
    extent = (centre[0] - wide, centre[0] + wide, centre[1] - high, centre[1] + high)
    canvas.imshow(picture, extent=extent, aspect="auto", zorder=2)
    look: dict[str, Any] = {"ha": "center", "fontsize": 9, "color": INK, "parse_math": math}
    canvas.text(centre[0], centre[1] + high + 0.8, above, va="bottom", **look)
    canvas.text(centre[0], centre[1] - high - 0.8, below, va="top", **look)


def _thumbnail(canvas: Axes, picture: UInt8[np.ndarray, "_ _ 3"], corner: Point, side: float, frame: str) -> None:
    left, bottom = corner
    canvas.imshow(picture, extent=(left, left + side, bottom, bottom + side), aspect="auto", zorder=2)
    canvas.add_patch(Rectangle(corner, side, side, fill=False, edgecolor=frame, linewidth=1.6, zorder=3))
