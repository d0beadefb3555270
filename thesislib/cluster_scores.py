"""How well clusters agree with each other, with the true sub-types and with the other classes in the image, as tables.

Thesis section 3.4, which judges by eye; nothing here corresponds to published code. Scores stand beside their chance
level, that of clusters of the same sizes dealt out at random.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Float64, Int64, Integer, Shaped

from thesislib.cluster_quality import agreement, chance_level, mean_over_classes, overlaps, purity, silhouettes
from thesislib.cluster_tables import Round, Rounds
from thesislib.data.voc import VocDataset
from thesislib.stages import subcategories
from thesislib.tables import over_seeds

ALL_CLASSES = "mean over classes"
OTHERS, SUBTYPES = "other classes in the image", "true sub-types"


def by_class(scores: Mapping[str, Sequence[Float[np.ndarray, " c"]]], classes: Sequence[str]) -> pd.DataFrame:
    """A column a score: the mean over seeds for each class, then that over classes with its interval over seeds.

    Args:
        scores: by column, one array a seed; NaN where a class has no such score.
        classes: their names.
    """
    cells: dict[str, list[Any]] = {}
    for name, of_seeds in scores.items():
        overall = over_seeds([mean_over_classes(each) for each in of_seeds])
        cells[name] = [*np.mean(of_seeds, axis=0), overall]
    return pd.DataFrame(cells, index=pd.Index([*classes, ALL_CLASSES], name="class"), dtype=object)


def silhouette_table(found: Rounds, features: Mapping[tuple[int, int], Path], classes: Sequence[str]) -> pd.DataFrame:
    """Silhouette of each class and round, in the features in which the clusters were found.

    Args:
        found: the clusters.
        features: folders of stage `features`, by round and seed, from round 0.
        classes: their names.
    """
    scores: dict[str, list[np.ndarray]] = {}
    for (number, seed), each in found.items():
        seen = subcategories.read_features(features[number - 1, seed])
        scores.setdefault(f"round {number}", []).append(silhouettes(seen, each.assignments))
    return by_class(scores, classes)


def agreement_table(found: Rounds, first: int, last: int) -> pd.DataFrame:
    """NMI with its chance level, and ARI, of successive rounds and of the two named; means over classes."""
    lines = {}
    for a, b in dict.fromkeys([*pairwise(sorted({number for number, _ in found})), (first, last)]):
        runs = [_agreement(found[a, seed], found[b, seed], seed) for seed in seeds_of(found)]
        lines[f"rounds {a} and {b}"] = [over_seeds(values) for values in zip(*runs, strict=True)]
    columns = ["NMI", "NMI by chance", "ARI"]
    return pd.DataFrame.from_dict(lines, orient="index", columns=columns, dtype=object).rename_axis("clusters of")


def _agreement(a: Round, b: Round, seed: int) -> list[float]:
    both = agreement(a.assignments, b.assignments)
    chance = chance_level(partial(nmi, a.assignments), b.assignments, chance_rng(seed))
    return [mean_over_classes(score) for score in (both.nmi, chance, both.ari)]


def truth_table(
    found: Rounds, first: int, last: int, subtypes: Integer[np.ndarray, "n c"], classes: Sequence[str]
) -> pd.DataFrame:
    """Agreement of two rounds with the true sub-types, and the chance level of the later one, class by class."""
    measures: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "NMI": partial(nmi, subtypes),
        "purity": lambda clusters: purity(clusters, subtypes),
    }
    scores: dict[str, list[np.ndarray]] = {}
    for name, measure in measures.items():
        for number in (first, last):
            scores[f"{name}, round {number}"] = [measure(found[number, s].assignments) for s in seeds_of(found)]
        scores[f"{name}, chance"] = [
            chance_level(measure, found[last, seed].assignments, chance_rng(seed)) for seed in seeds_of(found)
        ]
    return by_class(scores, classes)


def other_classes(labels: Shaped[np.ndarray, "n c"]) -> Int64[np.ndarray, "n c"]:
    """For each class, a number for the set of other classes in the image: equal where the sets are; -1 where absent.

    >>> other_classes(np.array([[1, 0], [1, 1], [1, 0]])).tolist()
    [[0, -1], [1, 0], [0, -1]]
    """
    found = np.full(labels.shape, -1, np.int64)
    for c, present in enumerate(labels.T > 0):
        others = np.delete(labels[present], c, axis=1)
        found[present, c] = np.unique(others, axis=0, return_inverse=True)[1].ravel()
    return found


def references(images: VocDataset) -> dict[str, Int64[np.ndarray, "n c"]]:
    """What clusters might follow: the set of other classes in the image and, where known, the true sub-types."""
    found = {OTHERS: other_classes(images.labels)}
    if images.subtypes is not None:
        alone = images.labels.sum(axis=1, keepdims=True) == 1
        found |= {SUBTYPES: images.subtypes, f"{SUBTYPES}, images with one class": np.where(alone, images.subtypes, -1)}
    return found


def above_chance(found: Rounds, number: int, kinds: Mapping[str, Integer[np.ndarray, "n c"]]) -> dict[str, list[float]]:
    """NMI of the clusters of a round with each reference, minus its chance level: mean over classes, one a seed.

    NMI alone grows with the number of different values, which a reference with many of them would profit from.
    """
    values: dict[str, list[float]] = {}
    for name, reference in kinds.items():
        for seed in seeds_of(found):
            clusters = np.where(reference >= 0, found[number, seed].assignments, -1)
            score = partial(nmi, reference)
            chance = chance_level(score, clusters, chance_rng(seed))
            values.setdefault(name, []).append(mean_over_classes(score(clusters) - chance))
    return values


def above_chance_table(values: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """`above_chance` over seeds."""
    cells = {name: [over_seeds(of_seeds)] for name, of_seeds in values.items()}
    return pd.DataFrame.from_dict(cells, orient="index", columns=["NMI above chance"], dtype=object).rename_axis("with")


def nmi(reference: Integer[np.ndarray, "n c"], clusters: Integer[np.ndarray, "..."]) -> Float64[np.ndarray, " c"]:
    """NMI of `cluster_quality.agreement` for all classes at once: chance levels need it hundreds of times.

    >>> nmi(np.array([[0], [0], [1]]), np.array([[1], [1], [0]]))
    array([1.])
    """
    counts = overlaps(reference, clusters, int(reference.max()) + 1, int(clusters.max()) + 1)
    number = counts.sum(axis=(1, 2))
    share = counts / np.maximum(number, 1)[:, None, None]
    of_reference, of_clusters, joint = _entropy(share.sum(axis=2)), _entropy(share.sum(axis=1)), _entropy(share)
    mean = (of_reference + of_clusters) / 2
    common = np.clip(of_reference + of_clusters - joint, 0, None)
    found = np.divide(common, mean, out=np.ones_like(mean), where=mean > 0)  # one group in both: equal
    return np.where(number < 2, np.nan, found)


def _entropy(share: np.ndarray) -> np.ndarray:
    """Of each class, over all other axes."""
    flat = share.reshape(len(share), -1)
    return -(flat * np.log(flat, out=np.zeros_like(flat), where=flat > 0)).sum(axis=1)


def seeds_of(found: Rounds) -> list[int]:
    """The training seeds, ascending."""
    return sorted({seed for _, seed in found})


def chance_rng(seed: int) -> np.random.Generator:
    """Of a chance level; its own for each training seed."""
    return np.random.default_rng([seed, 34])
