"""Predicted masks beside image and truth, and where they are wrong (Fig. 2.7, 2.8, 3.7, 3.8, 3.12 and 3.13).

Masks have the VOC palette; a picture of errors shows each kind in one colour over the greyed image. Nothing here
corresponds to published code.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from companion.analysis import errors
from companion.analysis.error_rates import band_width, object_iou, read
from companion.drawing.curves import KIND_COLOURS
from companion.drawing.image_grids import Panel, add_legend, examples, grid, map_panel, side_by_side
from companion.drawing.style import colours
from thesislib.data.voc import VocDataset, colorize

THIN_COLOUR = "#d62728"


def compare(images: VocDataset, chosen: Sequence[int], folders: Mapping[str, Path], *, across: int = 1) -> Figure:
    """Fig. 2.7, 3.7, 3.13: image, truth and the prediction of each method, above it the IoU of the image's objects.

    Args:
        images: with truth.
        chosen: positions.
        folders: of predicted masks, by method.
        across: images side by side.
    """
    shade = colours(folders)
    lines: list[list[Panel | None]] = []
    for i in chosen:
        line: list[Panel | None] = [Panel(images.image(i), title(images, i)), Panel(colorize(images.mask(i)))]
        line += [_prediction(images, i, folder, shade[method]) for method, folder in folders.items()]
        lines.append(line)
    headings = ["image", "truth", *folders]
    return grid(side_by_side(lines, across), headings * across, per_group=len(headings))


def maps_and_masks(
    images: VocDataset,
    chosen: Sequence[int],
    maps: Mapping[str, Path],
    masks: Mapping[str, Path],
    background: float,
) -> Figure:
    """Fig. 3.12: image, truth, and for each method its response map and its prediction, each with its IoU.

    Args:
        images: with truth.
        chosen: positions.
        maps: folders of stage `response_maps`, by method.
        masks: folders of predicted masks, by method.
        background: the fixed threshold of the maps.
    """
    shade = colours(masks)
    lines: list[list[Panel | None]] = []
    for i, example in zip(chosen, examples(images, chosen, maps), strict=True):
        line: list[Panel | None] = [Panel(example.image, example.title), Panel(colorize(images.mask(i)))]
        for method, folder in masks.items():
            line.append(map_panel(example, method, background, shade[method]))
            line.append(_prediction(images, i, folder, shade[method]))
        lines.append(line)
    headings = ["image", "truth", *(f"{method}, {what}" for method in masks for what in ("map", "mask"))]
    return grid(lines, headings, colour_bar=True)


def _prediction(images: VocDataset, i: int, folder: Path, frame: str) -> Panel:
    predicted = read(folder, images, i)
    iou = object_iou(images.mask(i), predicted, len(images.classes))
    return Panel(colorize(predicted), f"IoU {iou:.0f}", frame)


def failure_sheet(
    images: VocDataset, chosen: Mapping[str, Sequence[int]], folder: Path, share: float, *, across: int = 2
) -> Figure:
    """Fig. 2.8, 3.8: image, truth, prediction and its errors by kind, for the images chosen for each kind.

    Args:
        images: with truth.
        chosen: positions by kind, one of `errors.KINDS` or `errors.PLACES`.
        folder: of predicted masks.
        share: as in `errors`.
        across: images side by side.
    """
    lines: list[list[Panel | None]] = []
    for kind, positions in chosen.items():
        for i in positions:
            truth, predicted = images.mask(i), read(folder, images, i)
            where = errors.regions(truth, len(images.classes) + 1, band_width(images, i, share))
            lines.append(
                [
                    Panel(images.image(i), errors.PLACES.get(kind, kind)),
                    Panel(colorize(truth), title(images, i)),
                    Panel(colorize(predicted)),
                    Panel(error_picture(images.image(i), truth, predicted, where)),
                ]
            )
    headings = ["image", "truth", "prediction", "errors"]
    figure = grid(side_by_side(lines, across), headings * across, per_group=len(headings))
    add_legend(figure, {name: _rgb(colour) for name, colour in _error_colours().items()})
    return figure


def error_picture(
    image: UInt8[np.ndarray, "h w 3"],
    truth: UInt8[np.ndarray, "h w"],
    predicted: UInt8[np.ndarray, "h w"],
    where: errors.Regions,
) -> UInt8[np.ndarray, "h w 3"]:
    """Wrong pixels in the colour of their kind over the greyed image; those of thin parts in a colour of their own."""
    grey = 90 + 0.6 * (image @ np.array([0.299, 0.587, 0.114]))[..., None].repeat(3, axis=2)
    wrong = where.scored & (truth != predicted)
    inside = wrong & ~where.band
    places = (
        wrong & where.band,
        inside & (truth > 0) & (predicted == 0),
        inside & (truth == 0),
        inside & (truth > 0) & (predicted > 0),
        wrong & where.thin,
    )
    for place, colour in zip(places, _error_colours().values(), strict=True):
        grey[place] = _rgb(colour)
    return grey.clip(0, 255).astype(np.uint8)


def _error_colours() -> dict[str, str]:
    return KIND_COLOURS | {"thin part": THIN_COLOUR}


def _rgb(colour: str) -> UInt8[np.ndarray, "3"]:
    return np.round(255 * np.array(to_rgb(colour))).astype(np.uint8)


def title(images: VocDataset, i: int) -> str:
    """The classes of an image."""
    return ", ".join(images.classes[c] for c in np.flatnonzero(images.labels[i]))
