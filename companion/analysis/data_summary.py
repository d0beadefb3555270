"""What a data set looks like in numbers: images and labels by split and class, pixels by class and part.

Thesis 2.4.1 and 3.4.1 describe PASCAL VOC 2012 in a sentence; nothing here corresponds to published code.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64, Shaped

from thesislib.data.voc import IGNORE, VocDataset
from thesislib.metrics import PARTS


def split_summary(datasets: Mapping[str, VocDataset]) -> pd.DataFrame:
    """Each split's numbers of images, of masks, of images by how many classes they have, and of labels in all."""
    rows = {}
    for name, images in datasets.items():
        classes = images.labels.sum(axis=1)
        rows[name] = {
            "images": len(images),
            "with mask": sum(images.has_mask(i) for i in range(len(images))),
            "1 class": int((classes == 1).sum()),
            "2 classes": int((classes == 2).sum()),
            "3 or more": int((classes > 2).sum()),
            "labels": int(classes.sum()),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("split")


def class_summary(datasets: Mapping[str, VocDataset]) -> pd.DataFrame:
    """How many images of each split contain each class."""
    counts = {name: images.labels.sum(axis=0, dtype=int) for name, images in datasets.items()}
    return pd.DataFrame(counts, index=list(next(iter(datasets.values())).classes)).rename_axis("class")


def label_bits(labels: Shaped[np.ndarray, "n c"]) -> Float64[np.ndarray, " c"]:
    """Entropy in bits of each class's image label: how much an image-level label says, at most 1.

    >>> label_bits(np.array([[1, 1], [0, 1]])).tolist()
    [1.0, 0.0]
    """
    share = labels.mean(axis=0, dtype=np.float64)
    return _bits(np.stack([share, 1 - share]))


def joint_label_bits(labels: Shaped[np.ndarray, "n c"]) -> float:
    """Entropy in bits of the combinations of labels as they occur; never more than the sum of `label_bits`."""
    _, counts = np.unique(labels, axis=0, return_counts=True)
    return float(_bits(counts / counts.sum()))


class Pixels(NamedTuple):
    """Pixels of each image by class, background first, and of all images by class and part, no part first."""

    scored: Int64[np.ndarray, "n c1"]
    parts: Int64[np.ndarray, "c1 p1"]


def count_pixels(images: VocDataset) -> Pixels:
    """The pixels of the masks; those of parts are 0 where these are not known."""
    classes = len(images.classes) + 1
    pixels = np.zeros((len(images), IGNORE + 1), np.int64)
    parts = np.zeros((classes, len(PARTS) + 1), np.int64)
    for i in range(len(images)):
        mask, part = images.mask(i), images.parts(i)
        pixels[i] = np.bincount(mask.ravel(), minlength=IGNORE + 1)
        if part is not None:
            valid = mask < classes
            np.add.at(parts, (mask[valid], part[valid]), 1)
    return Pixels(pixels[:, :classes], parts)


def pixel_summary(classes: Sequence[str], counted: Pixels) -> pd.DataFrame:
    """Share of each class among the pixels that are scored, in per cent, and mean area of it in images that have it.

    On generated data also how the pixels of its objects divide into parts, in per cent.
    """
    names, (scored, parts) = ["background", *classes], counted
    areas = np.where(scored > 0, scored / scored.sum(axis=1, keepdims=True), np.nan)
    with np.errstate(invalid="ignore"):
        frame = pd.DataFrame(
            {
                "share of pixels": 100 * scored.sum(axis=0) / scored.sum(),
                "area where present": [100 * np.nanmean(a) if np.isfinite(a).any() else np.nan for a in areas.T],
            },
            index=names,
        )
        if parts.any():
            share = 100 * parts[:, 1:] / parts[:, 1:].sum(axis=1, keepdims=True)
            frame = frame.join(pd.DataFrame(share, index=names, columns=list(PARTS)))
    return frame.rename_axis("class")


def subtype_counts(images: VocDataset) -> Int64[np.ndarray, "c t"] | None:
    """Images of each class by the sub-type of its first object; None where sub-types are unknown."""
    if images.subtypes is None:
        return None
    kinds = int(images.subtypes.max()) + 1
    return np.stack([(images.subtypes == t).sum(axis=0) for t in range(kinds)], axis=1)


def of_each_subtype(images: VocDataset, c: int) -> list[int]:
    """The first image of each sub-type of a class, images that show this class alone first."""
    if images.subtypes is None:
        return []
    alone = images.labels.sum(axis=1) == 1
    found = []
    for subtype in np.unique(images.subtypes[:, c][images.subtypes[:, c] >= 0]):
        candidates = np.flatnonzero(images.subtypes[:, c] == subtype)
        found.append(int(candidates[np.argsort(~alone[candidates], kind="stable")][0]))
    return found


def _bits(p: Float64[np.ndarray, "..."]) -> Any:
    return (p * np.log2(1 / np.where(p > 0, p, 1))).sum(axis=0)
