"""What is known of masks without truth: what they show of each class, how sure they are, whether the labels agree.

The masks are pseudo-masks (thesis 2.3.3, 3.3.3) of the images that the classifier was trained on. Nothing here
corresponds to published code.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8

from companion.pipeline import artefacts
from companion.pipeline.artefacts import RefinedMaps
from thesislib import diagnostics

RECOGNISED = 0.5  # probability from which the classifier would name a class
EMPTY = 0.001  # share of the pixels below which a class counts as not found
MOST_UNSURE = 0.05  # of the images are named for unsure masks, one at least


class Findings(NamedTuple):
    """Of N images and C classes.

    Attributes:
        labels: 1 for each class that an image shows.
        probabilities: of the classifier.
        shares: of the pixels that have each class in the mask.
        doubt: mean over the pixels of 1 minus the lead of the best score after the walk over the second best, 0 to 1.
    """

    labels: UInt8[np.ndarray, "n c"]
    probabilities: Float[np.ndarray, "n c"]
    shares: Float[np.ndarray, "n c"]
    doubt: Float[np.ndarray, " n"]


class Look(NamedTuple):
    """An image to look at, and why."""

    image: int
    reasons: tuple[str, ...]


def shares_and_doubt(
    names: Sequence[str], num_classes: int, masks: Path, refined: Path
) -> tuple[Float[np.ndarray, "n c"], Float[np.ndarray, " n"]]:
    """`Findings.shares` and `doubt` of images, from the folders of stages `pseudo_masks` and `refined_maps`."""
    shares, doubt = np.zeros((len(names), num_classes)), np.zeros(len(names))
    for i, name in enumerate(names):
        mask = artefacts.read_mask(masks, name)
        shares[i] = np.bincount(mask.ravel(), minlength=num_classes + 1)[1 : num_classes + 1] / mask.size
        scores = RefinedMaps.read(refined, name).scores
        second, best = np.sort(scores / scores.sum(axis=0).clip(1e-5), axis=0)[-2:]
        doubt[i] = 1 - float((best - second).mean())
    return shares, doubt


def by_class(found: Findings, classes: Sequence[str]) -> pd.DataFrame:
    """A line a class: images by their labels, in how many of them it was found, and where the classifier disagrees."""
    shown, named = found.labels.astype(bool), found.probabilities >= RECOGNISED
    present = shown & (found.shares >= EMPTY)
    precision = 100 * diagnostics.average_precision(found.labels, found.probabilities)
    lines = {
        name: {
            "images": int(shown[:, c].sum()),
            "found in": int(present[:, c].sum()),
            "area": 100 * float(found.shares[present[:, c], c].mean()) if present[:, c].any() else None,
            "recognised": int((shown & named)[:, c].sum()),
            "also recognised": int((~shown & named)[:, c].sum()),
            "AP": float(precision[c]),
        }
        for c, name in enumerate(classes)
    }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("class")


def look_first(found: Findings, classes: Sequence[str]) -> list[Look]:
    """Images to look at: those without an object first, then those whose label is doubtful, then unsure masks."""
    unsure = set(np.argsort(-found.doubt)[: max(1, round(MOST_UNSURE * len(found.doubt)))].tolist())
    kinds = [[*_empty(found, classes, i)] for i in range(len(found.doubt))]
    doubtful = [[*_doubtful(found, classes, i)] for i in range(len(found.doubt))]
    order = sorted(range(len(found.doubt)), key=lambda i: (not kinds[i], not doubtful[i], -found.doubt[i]))
    named = ((i, [*kinds[i], *doubtful[i], *(["the mask is unsure"] if i in unsure else [])]) for i in order)
    return [Look(i, tuple(reasons)) for i, reasons in named if reasons]


def _empty(found: Findings, classes: Sequence[str], i: int) -> Iterator[str]:
    for c in np.flatnonzero(found.labels[i]).tolist():
        if found.shares[i, c] < EMPTY:
            yield f"no {classes[c]} found"


def _doubtful(found: Findings, classes: Sequence[str], i: int) -> Iterator[str]:
    for c, name in enumerate(classes):
        probability = found.probabilities[i, c]
        if found.labels[i, c] and probability < RECOGNISED:
            yield f"label {name} in doubt ({probability:.0%})"
        if not found.labels[i, c] and probability >= RECOGNISED:
            yield f"{name} too? ({probability:.0%})"
