"""Errors and parts of predicted masks over a split and over seeds, as tables.

Thesis Fig. 2.8 and 3.8; `errors` counts in one image. Nothing here corresponds to published code.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64, UInt8

from companion.analysis import errors, measures
from companion.analysis.maps import over_seeds
from companion.analysis.statistics import Interval
from companion.datasets.published import check_there
from thesislib import metrics
from thesislib.data.voc import VocDataset, read_mask


def read(folder: Path, images: VocDataset, i: int) -> UInt8[np.ndarray, "h w"]:
    """The predicted mask of one image.

    Raises:
        FileNotFoundError: the folder is incomplete; names the image.
        LeftOut: it is not published.
    """
    path = folder / f"{images.ids[i]}.png"
    check_there(path, "predicted masks")
    if not path.is_file():
        raise FileNotFoundError(f"no predicted mask of image {images.ids[i]} in {folder}; compute them again")
    return read_mask(path)


def band_width(images: VocDataset, i: int, share: float) -> float:
    """Width of the boundary band of one image in pixels: a share of its longer side, at least 1."""
    return max(1.0, share * max(images.size(i)))


def count(folders: Sequence[Path], images: VocDataset, share: float) -> list[Int64[np.ndarray, "n k"]]:
    """Pixels wrong in each way, an image each, for every folder; columns are `errors.COUNTS`.

    Args:
        folders: of predicted masks.
        images: with truth.
        share: width of the boundary band as a share of the longer side of an image.
    """
    found: list[list[np.ndarray]] = [[] for _ in folders]
    for i in range(len(images)):
        truth = images.mask(i)
        where = errors.regions(truth, len(images.classes) + 1, band_width(images, i, share))
        for folder, counts in zip(folders, found, strict=True):
            counts.append(errors.count_errors(truth, read(folder, images, i), where))
    return [np.stack(counts) for counts in found]


def mean_rates(found: Mapping[tuple[str, int], Int64[np.ndarray, "n k"]]) -> dict[str, dict[str, float]]:
    """`errors.rates` of each row, mean over seeds."""
    rates = _rates(found)
    return {row: {kind: float(np.mean([each[kind] for each in of])) for kind in of[0]} for row, of in rates.items()}


def _rates(found: Mapping[tuple[str, int], Int64[np.ndarray, "n k"]]) -> dict[str, list[dict[str, float]]]:
    rates: dict[str, list[dict[str, float]]] = {}
    for (row, _), counts in found.items():
        rates.setdefault(row, []).append(errors.rates(counts.sum(axis=0)))
    return rates


def table(found: Mapping[tuple[str, int], Int64[np.ndarray, "n k"]]) -> pd.DataFrame:
    """`errors.rates` of each row with intervals over seeds."""
    lines = {
        row: {name: over_seeds([each[name] for each in of]) for name in of[0]} for row, of in _rates(found).items()
    }
    return pd.DataFrame.from_dict(lines, orient="index", dtype=object).rename_axis("trained on masks of")


def difference(
    found: Mapping[tuple[str, int], Int64[np.ndarray, "n k"]], row: str, rate: str, other: str
) -> Interval | None:
    """By how many points one of `errors.rates` of a row is above another, seed by seed; None where one is missing."""
    differences = [each[rate] - each[other] for each in _rates(found)[row]]
    return over_seeds(differences)


def part_shares(folder: Path, images: VocDataset) -> Float64[np.ndarray, " p"]:
    """Share of the pixels of each known part that get their class, in per cent; images know their parts if generated.

    Args:
        folder: of predicted masks.
        images: with truth and parts.
    """
    right, total = np.zeros(len(metrics.PARTS)), np.zeros(len(metrics.PARTS))
    for i in range(len(images)):
        truth, parts, predicted = images.mask(i), images.parts(i), read(folder, images, i)
        for part in range(len(metrics.PARTS)):
            here = (parts == part + 1) & (truth > 0) & (truth <= len(images.classes))
            right[part] += (predicted[here] == truth[here]).sum()
            total[part] += here.sum()
    with np.errstate(invalid="ignore"):
        return 100 * right / total


def part_table(found: Mapping[tuple[str, int], Float64[np.ndarray, " p"]]) -> pd.DataFrame:
    """`part_shares` of each row with intervals over seeds."""
    shares: dict[str, list[list[float]]] = {}
    for (row, _), of_parts in found.items():
        shares.setdefault(row, []).append(of_parts.tolist())
    cells = {row: [over_seeds(of_part) for of_part in zip(*of, strict=True)] for row, of in shares.items()}
    frame = pd.DataFrame.from_dict(cells, orient="index", columns=list(metrics.PARTS), dtype=object)
    return frame.rename_axis("trained on masks of")


def object_iou(truth: UInt8[np.ndarray, "h w"], predicted: UInt8[np.ndarray, "h w"], num_classes: int) -> float:
    """IoU in per cent, mean over the object classes of the image; NaN without an object.

    Args:
        truth, predicted: label maps of one image.
        num_classes: without background.
    """
    matrix = metrics.ConfusionMatrix(num_classes + 1)
    matrix.update(truth, predicted)
    return float(measures.image_iou({"image_confusion": matrix.counts[None]})[0])
