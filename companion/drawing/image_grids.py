"""Images, masks and response maps as pictures side by side (Fig. 2.1, 2.3 and 2.6 of the thesis, contact sheets).

Masks have the VOC palette. A response map is shown in one perceptual colour map over the greyed image, always with
the same scale from 0 to 1; a white line is the fixed background threshold. Nothing here corresponds to published code.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int64, UInt8
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from torch import Tensor

from companion.analysis.forward import fuse
from companion.analysis.measures import image_iou
from companion.drawing.style import INK, WIDTH, colours, own_settings
from companion.pipeline.artefacts import ResponseMaps
from thesislib import cam, metrics
from thesislib.data.voc import IGNORE, VocDataset, colorize, palette

MAP_COLOURS = colormaps["viridis"]
TITLE = 8  # points
TEXT, LETTER, GAP = 0.155, 0.058, 0.04  # inches: height of a line, width of a letter, distance of panels
PART_COLOURS = np.array([(235, 235, 235), (213, 94, 0), (86, 180, 233), (0, 0, 0)], np.uint8)  # none, then PARTS


@dataclass(frozen=True)
class Panel:
    """One picture `(H, W, 3)` with a line of text above it.

    Args:
        picture: RGB, 0-255.
        title: above it.
        frame: colour of a frame around it, that of the method.
        contour: a map `(H, W)` of which `level` is drawn as a line.
        level: the value of that line.
    """

    picture: UInt8[np.ndarray, "h w 3"]
    title: str = ""
    frame: str = ""
    contour: Float[np.ndarray, "h w"] | None = None
    level: float = 0.5


def overlay(
    image: UInt8[np.ndarray, "h w 3"], response: Float[np.ndarray, "h w"], strength: float = 0.85
) -> UInt8[np.ndarray, "h w 3"]:
    """A map with values in [0, 1] in colour over the greyed image; the stronger the response, the denser the colour.

    Args:
        image: RGB, 0-255.
        response: the map.
        strength: density of the colour where the response is 1, from 0 (the image alone) to 1.
    """
    grey = (image @ np.array([0.299, 0.587, 0.114]))[..., None]
    colours = MAP_COLOURS(response)[..., :3] * 255
    density = strength * (0.3 + 0.7 * np.clip(response, 0, 1)[..., None])
    return ((1 - density) * grey + density * colours).astype(np.uint8)


@dataclass(frozen=True)
class Example:
    """One image, what is known about it, and its response maps.

    Args:
        title: the names of its classes.
        image: RGB, 0-255.
        labels: 1 for each class in it, `(C,)`.
        truth: label map, None where there is none.
        maps: by method, normalised `(C, H, W)`, 0 for absent classes.
    """

    title: str
    image: UInt8[np.ndarray, "h w 3"]
    labels: UInt8[np.ndarray, " c"]
    truth: UInt8[np.ndarray, "h w"] | None = None
    maps: Mapping[str, Float[Tensor, "c h w"]] = field(default_factory=dict)


def examples(images: VocDataset, chosen: Iterable[int], folders: Mapping[str, Path] | None = None) -> list[Example]:
    """Images of a split with the maps that stage `response_maps` left in the folder of each method."""
    found = []
    for i in chosen:
        image = images.image(i)
        truth = images.mask(i) if images.has_mask(i) else None
        maps = {
            method: cam.normalize(ResponseMaps.read(folder, images.ids[i]).of_classes(len(images.classes)))
            for method, folder in (folders or {}).items()
        }
        title = ", ".join(images.classes[c] for c in np.flatnonzero(images.labels[i]))
        found.append(Example(title, image, images.labels[i], truth, maps))
    return found


def compare(shown: Sequence[Example], background: float, *, across: int = 1, label_maps: bool = False) -> Figure:
    """Images with their truth and the maps of each method; above a map the IoU of its label map.

    A map shows at each pixel the strongest of the normalised maps of the classes in the image. IoU is the mean over
    the object classes of the image at the fixed threshold.

    Args:
        shown: all with the same methods.
        background: the fixed threshold.
        across: images side by side.
        label_maps: show the label map beside each map.
    """
    shade = colours(shown[0].maps)
    with_truth = any(example.truth is not None for example in shown)
    headings = ["image", *["truth"] * with_truth]
    for method in shade:
        headings += [method, "label map"] if label_maps else [method]
    lines: list[list[Panel | None]] = []
    for example in shown:
        line: list[Panel | None] = [Panel(example.image, example.title)]
        if with_truth:
            line.append(None if example.truth is None else Panel(colorize(example.truth)))
        for method, maps in example.maps.items():
            line.append(map_panel(example, method, background, shade[method]))
            labels = cam.label_map(maps, background).numpy()
            line += [Panel(colorize(labels), frame=shade[method])] if label_maps else []
        lines.append(line)
    return grid(side_by_side(lines, across), headings * across, per_group=len(headings), colour_bar=True)


def map_panel(example: Example, method: str, background: float, frame: str) -> Panel:
    """The map of one method as `compare` shows it, in a frame of that colour."""
    maps = example.maps[method]
    strongest = maps.amax(dim=0).numpy()
    title = ""
    if example.truth is not None:
        counts = confusion(example.truth, maps, background)
        title = f"IoU {image_iou({'image_confusion': counts[None]})[0]:.0f}"
    return Panel(overlay(example.image, strongest), title, frame, strongest, background)


def scales(
    image: UInt8[np.ndarray, "h w 3"],
    maps: Mapping[float, Float[Tensor, "c h w"]],
    present: Mapping[int, str],
    background: float,
) -> Figure:
    """The map of each class in an image at every scale, and fused; one line a class.

    Args:
        image: RGB, 0-255.
        maps: by scale, not normalised; their sum is the fused map (2.1).
        present: names of the classes in the image, by number.
        background: the fixed threshold.
    """
    every = {f"scale {scale:g}": found for scale, found in maps.items()} | {"fused": fuse(maps)}
    lines: list[list[Panel | None]] = []
    for c, name in present.items():
        shown = [cam.normalize(found)[c].numpy() for found in every.values()]
        lines.append([Panel(image, name), *(Panel(overlay(image, m), contour=m, level=background) for m in shown)])
    return grid(lines, ["image", *every], colour_bar=True)


def score(shown: Sequence[Example], background: float) -> dict[str, float]:
    """mIoU of each method in per cent over the images that have a truth; empty if none has."""
    counts: dict[str, list[np.ndarray]] = {}
    for example in shown:
        if example.truth is not None:
            for method, maps in example.maps.items():
                counts.setdefault(method, []).append(confusion(example.truth, maps, background))
    return {method: 100 * float(metrics.mean_iou(np.sum(found, axis=0))) for method, found in counts.items()}


def confusion(
    truth: UInt8[np.ndarray, "h w"], maps: Float[Tensor, "c h w"], background: float
) -> Int64[np.ndarray, "n n"]:
    """Confusion counts of one image's label map at a threshold."""
    matrix = metrics.ConfusionMatrix(len(maps) + 1)
    matrix.update(truth, cam.label_map(maps, background))
    return matrix.counts


def contact_sheet(shown: Sequence[Example], classes: Sequence[str], *, across: int = 5) -> Figure:
    """Images with their labels, the mask beside each where there is one, and the masks' colours."""
    lines: list[list[Panel | None]] = []
    for example in shown:
        truth = None if example.truth is None else Panel(colorize(example.truth))
        lines.append([Panel(example.image, example.title), truth])
    figure = grid(side_by_side(lines, across), per_group=2)
    present = np.flatnonzero(np.sum([example.labels for example in shown], axis=0)).tolist()
    add_legend(figure, {classes[c]: palette()[c + 1] for c in present} | {"not scored": palette()[IGNORE]})
    return figure


def part_sheet(shown: Sequence[Example], parts: Sequence[UInt8[np.ndarray, "h w"]], *, across: int = 4) -> Figure:
    """Generated images beside the part maps of their objects: head, body, thin parts."""
    lines: list[list[Panel | None]] = [
        [Panel(example.image, example.title), Panel(PART_COLOURS[part])]
        for example, part in zip(shown, parts, strict=True)
    ]
    figure = grid(side_by_side(lines, across), per_group=2)
    add_legend(figure, dict(zip(metrics.PARTS, PART_COLOURS[1:], strict=True)))
    return figure


@own_settings()
def add_legend(figure: Figure, entries: Mapping[str, UInt8[np.ndarray, "3"]]) -> None:
    """What colours mean, below a grid."""
    patches = [
        Patch(facecolor="#{:02x}{:02x}{:02x}".format(*rgb), edgecolor=INK, linewidth=0.4, label=name)
        for name, rgb in entries.items()
    ]
    figure.legend(
        handles=patches, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=9, frameon=False, fontsize=TITLE,
        columnspacing=1, handlelength=1,
    )  # fmt: skip


@own_settings()
def grid(
    lines: Sequence[Sequence[Panel | None]],
    headings: Sequence[str] = (),
    *,
    per_group: int = 0,
    colour_bar: bool = False,
) -> Figure:
    """Panels in lines, as wide as a text column.

    Args:
        lines: from top to bottom, each from left to right.
        headings: of the columns.
        per_group: panels that belong together; a gap follows them.
        colour_bar: add that of the response maps.
    """
    columns = max(len(line) for line in lines)
    gaps = [GAP * (5 if per_group and column % per_group == per_group - 1 else 1) for column in range(columns - 1)]
    side = (WIDTH - sum(gaps)) / columns
    lefts = np.concatenate([[0], np.cumsum(np.array(gaps) + side)])
    heights = [side * max(_ratio(panel) for panel in line if panel) for line in lines]
    titles = [TEXT * any(panel.title for panel in line if panel) + GAP for line in lines]
    foot = 0.55 if colour_bar else 0
    total = TEXT * bool(headings) + sum(heights) + sum(titles) + foot
    figure = Figure(figsize=(WIDTH, total))
    canvas = figure.add_axes((0, 0, 1, 1))
    top = total - TEXT * bool(headings)
    for left, heading in zip(lefts, headings, strict=False):
        canvas.text(left, top, heading, va="bottom", fontsize=TITLE, color=INK)
    for line, height, title in zip(lines, heights, titles, strict=True):
        top -= title + height
        for left, panel in zip(lefts, line, strict=False):
            if panel:
                _draw(canvas, panel, left + side / 2, top + height / 2, side, height)
    canvas.set(xlim=(-GAP / 2, WIDTH + GAP / 2), ylim=(0, total))  # frames keep their outer half
    canvas.set_axis_off()
    if colour_bar:
        bar = figure.add_axes((0.3, 0.37 / total, 0.4, 0.08 / total))
        figure.colorbar(ScalarMappable(cmap=MAP_COLOURS), cax=bar, orientation="horizontal")
        bar.set_xlabel("normalised response (white line: threshold)", fontsize=TITLE, labelpad=1)
        bar.tick_params(labelsize=TITLE, length=2, pad=1)
    return figure


def _ratio(panel: Panel) -> float:
    return panel.picture.shape[0] / panel.picture.shape[1]


def _draw(canvas: Axes, panel: Panel, x: float, y: float, side: float, height: float) -> None:
    """Place a panel around a point, as large as fits into `side` by `height` inches."""
    rows, columns = panel.picture.shape[:2]
    scale = min(side / columns, height / rows)
    left, bottom, width, high = x - scale * columns / 2, y - scale * rows / 2, scale * columns, scale * rows
    extent = (left, left + width, bottom, bottom + high)
    canvas.imshow(panel.picture, extent=extent, aspect="auto", interpolation="nearest")
    room = int(2 * side / LETTER)
    title = panel.title if len(panel.title) <= room else f"{panel.title[: room - 1]}…"
    canvas.text(left, bottom + high + GAP / 2, title, va="bottom", fontsize=TITLE, color=INK)
    if panel.frame:
        canvas.add_patch(Rectangle((left, bottom), width, high, fill=False, edgecolor=panel.frame, linewidth=1.6))
    if panel.contour is not None and panel.contour.min() < panel.level < panel.contour.max():
        across = left + scale * (np.arange(columns) + 0.5)
        down = bottom + high - scale * (np.arange(rows) + 0.5)
        canvas.contour(across, down, panel.contour, levels=[panel.level], colors="white", linewidths=0.8)


def side_by_side(lines: list[list[Panel | None]], across: int) -> list[list[Panel | None]]:
    """`across` consecutive lines become one."""
    starts = range(0, len(lines), across)
    return [list(itertools.chain.from_iterable(lines[at : at + across])) for at in starts]
