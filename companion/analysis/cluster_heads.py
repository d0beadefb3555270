"""The weights of the two heads of chapter 3: do the rows of sub-categories resemble the classes that come along?

Thesis Fig. 3.6, a t-SNE of the rows of both heads, from which section 3.4 reads that sub-categories of person lie near
the classes that people are seen with. t-SNE keeps neighbours, not distances, and differs from start to start; cosines
and counts of images say the same thing in numbers. Nothing here corresponds to published code.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Float64, Integer, Shaped
from safetensors.numpy import load_file
from sklearn.manifold import TSNE

from companion.analysis.cluster_quality import chance_level, mean_over_classes
from companion.analysis.cluster_scores import chance_rng
from companion.analysis.cluster_tables import Round
from companion.analysis.maps import over_seeds
from companion.analysis.refined_images import correlation
from companion.datasets.published import check_there
from companion.pipeline.artefacts import CLASSIFIER_WEIGHTS
from companion.settings import SettingsError
from thesislib.clustering import to_labels

PERPLEXITY = 5.0
READINGS = ("share of the cluster", "number of images")


class Heads(NamedTuple):
    """Weight rows of the class head and of the sub-category head, which is in blocks of K rows a class."""

    parent: Float[np.ndarray, "c d"]
    sub: Float[np.ndarray, "c k d"]


def read_heads(folder: Path) -> Heads:
    """Both heads from the folder of stage `classifier`.

    Raises:
        SettingsError: that classifier has one head.
        LeftOut: its weights are not published.
    """
    file = folder / CLASSIFIER_WEIGHTS
    check_there(file, "weights")
    weights = load_file(file)
    if "fc8_sub.weight" not in weights:
        raise SettingsError(f"{file} has no sub-category head: leave subcategories.labels at 'clusters'")
    parent = weights["fc8.weight"][..., 0, 0]
    return Heads(parent, weights["fc8_sub.weight"].reshape(len(parent), -1, parent.shape[1]))


def cosines(heads: Heads) -> Float64[np.ndarray, "c k c"]:
    """Cosine of the row of each sub-category with the row of each class; NaN for a row of zeros."""
    return _unit(heads.sub) @ _unit(heads.parent).T


def together(found: Round, labels: Shaped[np.ndarray, "n c"]) -> Float64[np.ndarray, "c k c"]:
    """Images of each cluster that show each class; with its own class that is its size. NaN for an empty cluster."""
    counts = to_labels(found.assignments, found.k).T.astype(np.float64) @ labels
    counts = counts.reshape(labels.shape[1], found.k, labels.shape[1])
    counts[_sizes(counts) == 0] = np.nan
    return counts


def shares(counts: Float[np.ndarray, "c k c"]) -> Float64[np.ndarray, "c k c"]:
    """Part of the images of each cluster that show each class, from `together`."""
    return counts / _sizes(counts)[..., None]


def correlations(cosine: Float[np.ndarray, "c k c"], company: Float[np.ndarray, "c k c"]) -> Float64[np.ndarray, " c"]:
    """Correlation of cosines and company over the clusters of each class and the other classes.

    NaN for a class whose clusters do not differ in either.
    """
    found = []
    for c in range(len(cosine)):
        found.append(correlation(np.delete(cosine[c], c, axis=1).ravel(), np.delete(company[c], c, axis=1).ravel()))
    return np.array(found, np.float64)


class Resemblance(NamedTuple):
    """`correlations` of each class, and of clusters of the same sizes dealt out at random."""

    found: Float64[np.ndarray, " c"]
    chance: Float64[np.ndarray, " c"]

    @property
    def above(self) -> Float64[np.ndarray, " c"]:
        """The difference of the two."""
        return self.found - self.chance


def resemblance(
    heads: Heads, found: Round, labels: Shaped[np.ndarray, "n c"], seed: int, *, reading: str = READINGS[0]
) -> Resemblance:
    """How far the rows of sub-categories resemble those of the classes that come along, beside the chance level.

    Clusters dealt out at random keep that some classes are frequent company and that some rows resemble all others;
    what is above them is due to which images are in which cluster.

    Args:
        heads: of a classifier trained with these clusters.
        found: the clusters.
        labels: image labels.
        seed: of the random clusters.
        reading: one of `READINGS`, the company of a cluster as share of its images or as count.
    """
    cosine = cosines(heads)

    def score(assignments: Integer[np.ndarray, "n c"]) -> np.ndarray:
        counts = together(found._replace(assignments=assignments), labels)
        return correlations(cosine, shares(counts) if reading == READINGS[0] else counts)

    return Resemblance(score(found.assignments), chance_level(score, found.assignments, chance_rng(seed), repeats=100))


def resemblance_table(runs: dict[str, list[Resemblance]], c: int, class_name: str) -> pd.DataFrame:
    """For one class and in the mean over all: correlation, its chance level and the difference, over seeds.

    Args:
        runs: by reading, one entry a seed.
        c: the class.
        class_name: its name.
    """
    lines = {}
    for reading, of_seeds in runs.items():
        for name, classes in {class_name: [c], "mean over classes": list(range(len(of_seeds[0].found)))}.items():
            lines[f"{name}, {reading}"] = {
                "correlation": over_seeds([mean_over_classes(run.found[classes]) for run in of_seeds]),
                "by chance": over_seeds([mean_over_classes(run.chance[classes]) for run in of_seeds]),
                "difference": over_seeds([mean_over_classes(run.above[classes]) for run in of_seeds]),
            }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("company as")


def rows_of(heads: Heads, c: int, clusters: Sequence[int]) -> Float[np.ndarray, "rows d"]:
    """The rows of all classes, then those of some sub-categories of one class."""
    return np.concatenate([heads.parent, heads.sub[c, list(clusters)]])


def embed(rows: Float[np.ndarray, "rows d"], *, start: str, seed: int = 0) -> Float[np.ndarray, "rows 2"]:
    """t-SNE of rows scaled to unit length, so that it shows what their cosines say.

    Args:
        rows: at least 2; the perplexity is 5, or less where there are few rows.
        start: `pca`, which is always the same, or `random`.
        seed: of the random start.
    """
    perplexity = min(PERPLEXITY, (len(rows) - 1) / 2)
    tsne = TSNE(perplexity=perplexity, init=start, random_state=seed, method="exact", max_iter=1000)
    return tsne.fit_transform(_unit(rows))


def _unit(rows: np.ndarray) -> np.ndarray:
    wide = rows.astype(np.float64)
    with np.errstate(invalid="ignore"):
        return wide / np.linalg.norm(wide, axis=-1, keepdims=True)


def _sizes(counts: np.ndarray) -> np.ndarray:
    """Size of each cluster `(C, K)`: its count with its own class."""
    return np.diagonal(counts, axis1=0, axis2=2).T
