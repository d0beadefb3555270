"""What is in the clusters of chapter 3: their images, object areas, other classes and true sub-types (Fig. 3.5).

Thesis section 3.4, which describes clusters by eye; nothing here corresponds to published code. "Round r" stands for
the clusters with which round r is trained: they are found in the features of round r - 1.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64, Integer, Shaped

from companion.datasets.demo.scenes import FORMS
from companion.pipeline.artefacts import Subcategories
from companion.settings import SettingsError, nearest
from thesislib.data.voc import IGNORE, VocDataset

FIGURE_3_5 = ("aeroplane", "bird", "boat", "cow", "person")
FIGURES_3_9_TO_3_11 = ("bird", "boat", "sheep")


class Round(NamedTuple):
    """The clusters of one round and training seed."""

    assignments: Integer[np.ndarray, "n c"]
    """Cluster of each image within each class, -1 where the class is absent."""
    distances: Float64[np.ndarray, "n c"]
    """Distance of each image to its centroid, NaN where the class is absent."""
    k: int

    def sizes(self, c: int) -> Int64[np.ndarray, " k"]:
        """Images in each cluster of a class."""
        found = self.assignments[:, c]
        return np.bincount(found[found >= 0], minlength=self.k)

    def largest(self, c: int, number: int) -> list[int]:
        """The clusters of a class with the most images, empty ones left out."""
        sizes = self.sizes(c)
        return [int(j) for j in np.argsort(-sizes, kind="stable")[:number] if sizes[j]]

    def nearest(self, c: int, cluster: int, number: int) -> list[int]:
        """The images of a cluster that are nearest to its centroid, nearest first."""
        members = np.flatnonzero(self.assignments[:, c] == cluster)
        return members[np.argsort(self.distances[members, c], kind="stable")][:number].tolist()


Rounds = Mapping[tuple[int, int], Round]
"""By round and training seed."""


def read_rounds(folders: Mapping[tuple[int, int], Path]) -> dict[tuple[int, int], Round]:
    """Clusters from the folders of stage `subcategories`.

    Raises:
        SettingsError: the labels are not clusters.
    """
    found = {}
    for key, folder in folders.items():
        stored = Subcategories.read(folder)
        if stored.distances is None:
            raise SettingsError(
                "these labels are a control without centroids: leave subcategories.labels at 'clusters'"
            )
        found[key] = Round(stored.assignments, stored.distances, stored.k)
    return found


# --- Which classes and clusters are shown -----------------------------------------------------------------------------


def check_shown(rounds: int, images_per_cluster: int) -> None:
    """Two rounds to compare and an image to show are the least.

    Raises:
        SettingsError: there are fewer.
    """
    if rounds < 2:
        raise SettingsError(f"rounds must be at least 2, since the first is compared with the last; got {rounds}")
    if images_per_cluster < 1:
        raise SettingsError(f"images_per_cluster must be at least 1, got {images_per_cluster}")


def check_classes(wanted: Sequence[str], classes: Sequence[str]) -> None:
    """Every class that is wanted is one of `classes`.

    Raises:
        SettingsError: one is not; names the nearest.
    """
    for name in wanted:
        if name not in classes:
            raise SettingsError(f"unknown class {name!r}{nearest(str(name), list(classes))}")


def choose_classes(images: VocDataset, printed: Sequence[str], wanted: Sequence[str] = ()) -> list[int]:
    """Classes for a figure: those that are wanted, else those of the thesis, else as many with the most images.

    Raises:
        SettingsError: a class that the data do not have.
    """
    check_classes(wanted, images.classes)
    if not wanted and set(printed) <= set(images.classes):
        wanted = printed
    if wanted:
        return [images.classes.index(name) for name in wanted]
    return np.argsort(-images.labels.sum(axis=0, dtype=int), kind="stable")[: len(printed)].tolist()


def most_accompanied(labels: Shaped[np.ndarray, "n c"]) -> int:
    """The class that is in most images together with another one: person on VOC.

    >>> most_accompanied(np.array([[1, 0, 0], [1, 0, 0], [0, 1, 1], [1, 0, 1]]))
    2
    """
    return int((labels * (labels.sum(axis=1, keepdims=True) > 1)).sum(axis=0).argmax())


def describe(
    images: VocDataset,
    found: Round,
    shown: Mapping[int, Sequence[int]],
    areas: Mapping[int, Float64[np.ndarray, " n"]],
) -> pd.DataFrame:
    """What is in each cluster: images, object area, other classes, and true sub-types where they are known.

    Args:
        images: the split that was clustered.
        found: its clusters.
        shown: clusters by class.
        areas: `object_areas` by class.

    Returns:
        A row a cluster. The area is the class's share of the scored pixels, over the images that have a mask; all
        but the number of images is in per cent of the images of the cluster.
    """
    lines = {}
    for c, clusters in shown.items():
        for cluster in clusters:
            members = np.flatnonzero(found.assignments[:, c] == cluster)
            share = 100 * images.labels[members].mean(axis=0)
            share[c] = 0
            often = [j for j in np.argsort(-share, kind="stable")[:2] if share[j]]
            of_cluster = areas[c][members]
            known = of_cluster[np.isfinite(of_cluster)]
            lines[cluster_name(images.classes[c], cluster)] = {
                "images": len(members),
                "object area": known.mean() if known.size else np.nan,
                "alone": 100 * (images.labels[members].sum(axis=1) == 1).mean(),
                "most often with": ", ".join(f"{images.classes[j]} {share[j]:.0f}" for j in often) or "no other class",
                **_subtype_shares(images, members, c),
            }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("cluster")


def cluster_name(class_name: str, cluster: int) -> str:
    """Clusters are counted from 1, as in the thesis' figures."""
    return f"{class_name} {cluster + 1}"


def object_areas(images: VocDataset, c: int) -> Float64[np.ndarray, " n"]:
    """Share of the scored pixels of each image that show a class, in per cent; NaN without the class or a mask."""
    found = np.full(len(images), np.nan)
    for i in np.flatnonzero(images.labels[:, c]).tolist():
        if images.has_mask(i):
            mask = images.mask(i)
            found[i] = 100 * (mask == c + 1).sum() / max((mask != IGNORE).sum(), 1)
    return found


def _subtype_shares(images: VocDataset, members: np.ndarray, c: int) -> dict[str, float]:
    if images.subtypes is None:
        return {}
    kinds = images.subtypes[members, c]
    return {FORMS[t].name: 100 * (kinds == t).mean() for t in range(int(images.subtypes.max()) + 1)}
