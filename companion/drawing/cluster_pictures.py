"""Clusters as images: those nearest to the centroids (Fig. 3.5), and two rounds side by side (Figs 3.9-3.11).

Images that moved together have a solid red frame and the letter T, scattered ones a dashed yellow frame and the letter
S. Nothing here corresponds to published code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64, Integer, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from PIL import Image

from companion.analysis.cluster_moves import MOVES, SCATTERED, TOGETHER
from companion.analysis.cluster_tables import Round, cluster_name
from companion.drawing.image_grids import GAP, TEXT, TITLE
from companion.drawing.style import INK, WIDTH, own_settings
from thesislib.data.voc import VocDataset

APART = 0.25  # inches between clusters side by side
FRAMES: dict[int, tuple[str, Any, str]] = {
    TOGETHER: ("#d7191c", "solid", "T"),
    SCATTERED: ("#f5c400", (0, (2, 1)), "S"),
}
FOOT = 0.3  # inches, for the legend
THUMB = 144  # pixels


@dataclass(frozen=True)
class Strip:
    """The images of a cluster with a line above them; `marks` are keys of `FRAMES`, 0 for no frame."""

    title: str
    pictures: Sequence[UInt8[np.ndarray, "h w 3"]]
    marks: Sequence[int] = ()


def nearest_sheet(images: VocDataset, found: Round, shown: Mapping[int, Sequence[int]], number: int) -> Figure:
    """Fig. 3.5: a line a class, in it the images nearest to the centroid of each of its clusters.

    Args:
        images: the split that was clustered.
        found: its clusters.
        shown: clusters by class, as many for each.
        number: images of each cluster.
    """
    lines = [
        [Strip(_title(images, found, c, cluster), _nearest(images, found, c, cluster, number)) for cluster in clusters]
        for c, clusters in shown.items()
    ]
    return sheet(lines, across=(number + 1) // 2)


def rounds_sheet(
    images: VocDataset,
    rounds: Sequence[Round],
    marks: Sequence[Integer[np.ndarray, "n c"]],
    c: int,
    partners: Int64[np.ndarray, " k"],
    number: int,
    headings: Sequence[str],
) -> Figure:
    """Figs 3.9-3.11: all clusters of a class in an earlier round, each beside its partner in a later one.

    Args:
        images: the split that was clustered.
        rounds: the earlier and the later one.
        marks: of the images in each of the two.
        c: the class.
        partners: cluster of the later round that goes with each of the earlier one.
        number: images of each cluster.
        headings: of the two rounds.
    """
    lines = []
    for pair in enumerate(partners):
        line = []
        for found, mark, cluster in zip(rounds, marks, pair, strict=True):
            members = found.nearest(c, int(cluster), number)
            pictures = [images.image(i) for i in members]
            line.append(Strip(_title(images, found, c, int(cluster)), pictures, [int(mark[i, c]) for i in members]))
        lines.append(line)
    return sheet(lines, across=number, headings=headings, legend=True)


def _title(images: VocDataset, found: Round, c: int, cluster: int) -> str:
    size = int(found.sizes(c)[cluster])
    return f"{cluster_name(images.classes[c], cluster)}: {size} image{'s' if size != 1 else ''}"


def _nearest(images: VocDataset, found: Round, c: int, cluster: int, number: int) -> list[np.ndarray]:
    return [images.image(i) for i in found.nearest(c, cluster, number)]


@own_settings()
def sheet(
    lines: Sequence[Sequence[Strip]], *, across: int, headings: Sequence[str] = (), legend: bool = False
) -> Figure:
    """Strips of images as wide as a text column, side by side in lines.

    Args:
        lines: from top to bottom, each from left to right.
        across: images side by side in a strip; more than that continue below.
        headings: of the strips side by side.
        legend: say what the frames mean.
    """
    beside = max(len(line) for line in lines)
    width = (WIDTH - APART * (beside - 1)) / beside
    side = (width - GAP * (across - 1)) / across
    deep = [max(-(-len(strip.pictures) // across) for strip in line) for line in lines]
    heights = [TEXT + GAP + max(rows, 1) * (side + GAP) for rows in deep]
    total = sum(heights) + TEXT * bool(headings) + FOOT * legend
    figure = Figure(figsize=(WIDTH, total))
    canvas = figure.add_axes((0, 0, 1, 1))
    for column, heading in enumerate(headings):
        canvas.text(
            column * (width + APART), total - TEXT, heading, va="bottom", fontsize=TITLE, weight="bold", color=INK
        )
    top = total - TEXT * bool(headings)
    for line, height in zip(lines, heights, strict=True):
        for column, strip in enumerate(line):
            _draw_strip(canvas, strip, column * (width + APART), top, side, across)
        top -= height
    if legend:
        _add_legend(canvas)
    canvas.set(xlim=(-GAP / 2, WIDTH + GAP / 2), ylim=(0, total))
    canvas.set_axis_off()
    return figure


def _draw_strip(canvas: Axes, strip: Strip, left: float, top: float, side: float, across: int) -> None:
    canvas.text(left, top - TEXT, strip.title, va="bottom", fontsize=TITLE, color=INK)
    marks = strip.marks or [0] * len(strip.pictures)
    for place, (picture, mark) in enumerate(zip(strip.pictures, marks, strict=True)):
        row, column = divmod(place, across)
        x, y = left + column * (side + GAP), top - TEXT - GAP - row * (side + GAP) - side
        _draw_picture(canvas, picture, x, y, side)
        if mark:
            _draw_frame(canvas, x, y, side, mark)


def _draw_picture(canvas: Axes, picture: UInt8[np.ndarray, "h w 3"], x: float, y: float, side: float) -> None:
    """As large as fits into a square whose lower left corner is given."""
    small = Image.fromarray(picture)
    small.thumbnail((THUMB, THUMB))  # a photograph has more pixels than can be seen here
    wide, high = (side * edge / max(small.size) for edge in small.size)
    x, y = x + (side - wide) / 2, y + (side - high) / 2
    canvas.imshow(small, extent=(x, x + wide, y, y + high), aspect="auto", interpolation="nearest")


def _draw_frame(canvas: Axes, x: float, y: float, side: float, mark: int) -> None:
    shade, dashes, letter = FRAMES[mark]
    corner, edge = (x + 0.014, y + 0.014), side - 0.028  # all of the line lies on the picture
    canvas.add_patch(Rectangle(corner, edge, edge, fill=False, edgecolor=INK, linewidth=2.6))
    canvas.add_patch(Rectangle(corner, edge, edge, fill=False, edgecolor=shade, linewidth=1.8, linestyle=dashes))
    box = {"boxstyle": "square,pad=0.15", "facecolor": shade, "edgecolor": INK, "linewidth": 0.5}
    canvas.text(x + side - 0.07, y + side - 0.08, letter, ha="center", va="center", fontsize=6.5, color=INK, bbox=box)


def _add_legend(canvas: Axes) -> None:
    names = {TOGETHER: MOVES[0], SCATTERED: MOVES[2]}
    patches = [
        Patch(fill=False, edgecolor=shade, linestyle=dashes, linewidth=1.8, label=f"{letter}: {names[mark]}")
        for mark, (shade, dashes, letter) in FRAMES.items()
    ]
    canvas.legend(handles=patches, loc="lower center", ncols=2, frameon=False, fontsize=TITLE)
