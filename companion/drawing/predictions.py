"""Predicted masks beside image and truth, and where they are wrong (Fig. 2.7, 2.8, 3.7, 3.8, 3.12 and 3.13).

Masks have the VOC palette; a picture of errors shows each kind in one colour over the greyed image. Nothing here
corresponds to published code.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Int64, UInt8
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from companion.analysis import errors as failures
from companion.analysis import measures as score
from companion.analysis.maps import over_seeds
from companion.analysis.statistics import Interval
from companion.drawing.curves import KIND_COLOURS
from companion.drawing.image_grids import Panel, add_legend, examples, grid, map_panel, side_by_side
from companion.drawing.style import colours
from thesislib import metrics
from thesislib.data.voc import VocDataset, colorize, read_mask

THIN_COLOUR = "#d62728"


def read(folder: Path, images: VocDataset, i: int) -> UInt8[np.ndarray, "h w"]:
    """The predicted mask of one image.

    Raises:
        FileNotFoundError: the folder is incomplete; names the image.
    """
    path = folder / f"{images.ids[i]}.png"
    if not path.is_file():
        raise FileNotFoundError(f"no predicted mask of image {images.ids[i]} in {folder}; compute them again")
    return read_mask(path)


def band_width(images: VocDataset, i: int, share: float) -> float:
    """Width of the boundary band of one image in pixels: a share of its longer side, at least 1."""
    return max(1.0, share * max(images.size(i)))


def errors(
    folders: Mapping[tuple[str, int], Path], images: VocDataset, share: float
) -> dict[tuple[str, int], Int64[np.ndarray, "n k"]]:
    """Pixels wrong in each way, an image each, by row and seed; columns are `failures.COUNTS`.

    Args:
        folders: of predicted masks.
        images: with truth.
        share: width of the boundary band as a share of the longer side of an image.
    """
    found: dict[tuple[str, int], list[np.ndarray]] = {key: [] for key in folders}
    for i in range(len(images)):
        truth = images.mask(i)
        where = failures.regions(truth, len(images.classes) + 1, band_width(images, i, share))
        for key, folder in folders.items():
            found[key].append(failures.count_errors(truth, read(folder, images, i), where))
    return {key: np.stack(counts) for key, counts in found.items()}


def mean_rates(found: Mapping[tuple[str, int], Int64[np.ndarray, "n k"]]) -> dict[str, dict[str, float]]:
    """`failures.rates` of each row, mean over seeds."""
    rates = _rates(found)
    return {row: {kind: float(np.mean([each[kind] for each in of])) for kind in of[0]} for row, of in rates.items()}


def _rates(found: Mapping[tuple[str, int], Int64[np.ndarray, "n k"]]) -> dict[str, list[dict[str, float]]]:
    rates: dict[str, list[dict[str, float]]] = {}
    for (row, _), counts in found.items():
        rates.setdefault(row, []).append(failures.rates(counts.sum(axis=0)))
    return rates


def error_table(found: Mapping[tuple[str, int], Int64[np.ndarray, "n k"]]) -> pd.DataFrame:
    """`failures.rates` of each row with intervals over seeds."""
    lines = {
        row: {name: over_seeds([each[name] for each in of]) for name in of[0]} for row, of in _rates(found).items()
    }
    return pd.DataFrame.from_dict(lines, orient="index", dtype=object).rename_axis("trained on masks of")


def rate_difference(
    found: Mapping[tuple[str, int], Int64[np.ndarray, "n k"]], row: str, rate: str, other: str
) -> Interval | None:
    """By how many points one of `failures.rates` of a row is above another, seed by seed; None where one is missing."""
    differences = [each[rate] - each[other] for each in _rates(found)[row]]
    return over_seeds(differences)


def part_table(folders: Mapping[tuple[str, int], Path], images: VocDataset) -> pd.DataFrame:
    """Share of the pixels of each known part that get their class; for generated images, which know their parts."""
    shares: dict[str, list[list[float]]] = {}
    for (row, _), folder in folders.items():
        right, total = np.zeros(len(metrics.PARTS)), np.zeros(len(metrics.PARTS))
        for i in range(len(images)):
            truth, parts, predicted = images.mask(i), images.parts(i), read(folder, images, i)
            for part in range(len(metrics.PARTS)):
                here = (parts == part + 1) & (truth > 0) & (truth <= len(images.classes))
                right[part] += (predicted[here] == truth[here]).sum()
                total[part] += here.sum()
        with np.errstate(invalid="ignore"):
            shares.setdefault(row, []).append((100 * right / total).tolist())
    cells = {row: [over_seeds(of_part) for of_part in zip(*of, strict=True)] for row, of in shares.items()}
    frame = pd.DataFrame.from_dict(cells, orient="index", columns=list(metrics.PARTS), dtype=object)
    return frame.rename_axis("trained on masks of")


# --- Pictures ---------------------------------------------------------------------------------------------------------


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
        chosen: positions by kind, one of `failures.KINDS` or `failures.PLACES`.
        folder: of predicted masks.
        share: as in `errors`.
        across: images side by side.
    """
    lines: list[list[Panel | None]] = []
    for kind, positions in chosen.items():
        for i in positions:
            truth, predicted = images.mask(i), read(folder, images, i)
            where = failures.regions(truth, len(images.classes) + 1, band_width(images, i, share))
            lines.append(
                [
                    Panel(images.image(i), failures.PLACES.get(kind, kind)),
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
    where: failures.Regions,
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


def object_iou(truth: UInt8[np.ndarray, "h w"], predicted: UInt8[np.ndarray, "h w"], num_classes: int) -> float:
    """IoU in per cent, mean over the object classes of the image; NaN without an object.

    Args:
        truth, predicted: label maps of one image.
        num_classes: without background.
    """
    matrix = metrics.ConfusionMatrix(num_classes + 1)
    matrix.update(truth, predicted)
    return float(score.image_iou({"image_confusion": matrix.counts[None]})[0])
