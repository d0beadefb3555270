"""Where a segmentation is wrong: along boundaries, in thin parts, between objects, in objects missed, in background.

Thesis Fig. 2.8 and 3.8 show failures and name their causes; this module counts them. Nothing here corresponds to
published code. Every wrong pixel counts as exactly one kind of error, so the kinds add up to all of them.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64, Integer
from scipy.ndimage import distance_transform_edt

MISSED, RESPONSE = "missed", "background response"
KINDS = ("boundary", MISSED, RESPONSE, "confused")
"""Wrong in the band along a boundary; elsewhere an object called background, the reverse, or another object."""
COUNTS = (*KINDS, "band", "interior", "thin", "thin wrong", "thick", "thick wrong", "between", "between wrong")
"""What `count_errors` counts: `band` and `interior` are all scored pixels, `thin` and `thick` all objects."""
ALL = "all"
IN_BAND, INSIDE = "in the band", "inside"
THIN, NOT_THIN = "thin parts", "other parts"
BETWEEN, NOT_BETWEEN = "between objects", "not between"
"""Rates of pixels of one kind of place, each with that of all others."""
PLACES = {"thin wrong": THIN, "between wrong": "two objects"}
"""Counts of wrong pixels in one kind of place, which are also of one of `KINDS`, and what the place is called."""


class Regions(NamedTuple):
    """What the truth of one image says about its pixels.

    Attributes:
        scored: neither ignored nor outside the classes.
        band: within a distance of a pixel with another label.
        thin: of an object, and in a part of it that is narrow.
        between: of an object, and within the same distance of an object of another class.
    """

    scored: Bool[np.ndarray, "h w"]
    band: Bool[np.ndarray, "h w"]
    thin: Bool[np.ndarray, "h w"]
    between: Bool[np.ndarray, "h w"]


def regions(truth: Integer[np.ndarray, "h w"], num_classes: int, width: float) -> Regions:
    """Boundary band, thin parts, and places between two objects of one truth.

    A part of an object is thin where no disc of radius `width` that lies within the object reaches (morphological
    opening). Ignored pixels are a label of their own, as VOC draws them along boundaries.

    Args:
        truth: label map; labels from `num_classes` up are ignored.
        num_classes: with background.
        width: pixels, positive.

    Raises:
        ValueError: the width is not positive.
    """
    if not width > 0:
        raise ValueError(f"the width of the boundary band must be positive, got {width} pixels")
    band, thin, between = (np.zeros(truth.shape, bool) for _ in range(3))
    objects = (truth > 0) & (truth < num_classes)
    for label in np.unique(truth):
        inside = truth == label
        if not inside.all():
            depth = distance_transform_edt(inside)
            band |= inside & (depth <= width)
            if 0 < label < num_classes:
                thin |= inside & ~_within(depth > width, width)
                between |= inside & _within(objects & ~inside, width)
    scored = (truth >= 0) & (truth < num_classes)
    return Regions(scored, band & scored, thin, between)


def _within(core: Bool[np.ndarray, "h w"], width: float) -> Bool[np.ndarray, "h w"]:
    """Pixels within `width` of the core; none without a core."""
    return distance_transform_edt(~core) <= width if core.any() else core


def count_errors(
    truth: Integer[np.ndarray, "h w"], prediction: Integer[np.ndarray, "_ _"], where: Regions
) -> Int64[np.ndarray, " k"]:
    """Pixels of one image in the order of `COUNTS`; add them up over a split.

    Raises:
        ValueError: sizes differ.

    >>> truth, prediction = np.array([[0, 0, 0, 1, 1, 1]]), np.array([[1, 0, 0, 0, 1, 0]])
    >>> count_errors(truth, prediction, regions(truth, 2, width=1))[:4].tolist()
    [1, 1, 1, 0]
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"prediction of size {prediction.shape} cannot be compared with a truth of size {truth.shape}")
    wrong = where.scored & (truth != prediction)
    inside, objects = wrong & ~where.band, where.scored & (truth > 0)
    thick = objects & ~where.thin
    found = [
        wrong & where.band,
        inside & (truth > 0) & (prediction == 0),
        inside & (truth == 0),
        inside & (truth > 0) & (prediction > 0),
        where.band,
        where.scored & ~where.band,
        where.thin,
        wrong & where.thin,
        thick,
        wrong & thick,
        where.between,
        wrong & where.between,
    ]
    return np.array([pixels.sum() for pixels in found], np.int64)


def rates(counts: Int64[np.ndarray, " k"]) -> dict[str, float]:
    """Shares in per cent from counts over a split; NaN where there are no such pixels.

    The kinds and `ALL` are of all scored pixels, the rest is wrong pixels of their own kind of place.
    """
    of = dict(zip(COUNTS, counts.astype(float), strict=True))
    total, wrong = of["band"] + of["interior"], sum(of[kind] for kind in KINDS)
    objects = of["thin"] + of["thick"]
    pairs = {ALL: (wrong, total)} | {kind: (of[kind], total) for kind in KINDS}
    pairs |= {
        IN_BAND: (of["boundary"], of["band"]),
        INSIDE: (wrong - of["boundary"], of["interior"]),
        THIN: (of["thin wrong"], of["thin"]),
        NOT_THIN: (of["thick wrong"], of["thick"]),
        BETWEEN: (of["between wrong"], of["between"]),
        NOT_BETWEEN: (of["thin wrong"] + of["thick wrong"] - of["between wrong"], objects - of["between"]),
    }
    return {name: 100 * part / whole if whole else float("nan") for name, (part, whole) in pairs.items()}


def worst(counts: Iterable[Int64[np.ndarray, " k"]], kind: str, number: int) -> list[int]:
    """Positions of the images with the largest share of pixels wrong in one way, those with most first.

    Args:
        counts: one of `count_errors` an image.
        kind: one of `KINDS` or `PLACES`.
        number: of images at most; images without such a pixel are left out.
    """
    table = np.stack(list(counts))
    scored = table[:, [COUNTS.index("band"), COUNTS.index("interior")]].sum(axis=1)
    share = table[:, COUNTS.index(kind)] / np.maximum(scored, 1)
    order = np.argsort(-share, kind="stable")[:number]
    return [int(i) for i in order if share[i] > 0]
