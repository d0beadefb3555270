"""How good the clusters of each round are: how separate, how settled, and with what they agree.

Thesis section 3.4, which judges by eye; nothing here corresponds to published code. The clusters of round r are its
labels, found in the features of round r - 1; with those of the round after the last nothing is trained. A score that
is above 0 by chance stands beside its chance level, that of clusters of the same sizes dealt out at random.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Float64, Int64, Integer, Shaped

from companion.analysis.claims import paired, remarks
from companion.analysis.cluster_quality import ami, ari, chance_level, mean_over_classes, nmi, purity, silhouettes
from companion.analysis.cluster_tables import Round, Rounds
from companion.analysis.maps import over_seeds
from companion.analysis.statistics import Interval
from companion.pipeline.artefacts import Features

ALL_CLASSES = "mean over classes"
BEFORE, FIRST, OTHERS, TRUE = "round before", "round 1", "other classes", "sub-types"
ALONE = "sub-types, images with one class"
SILHOUETTE = "silhouette"
NMI_BEFORE, NMI_FIRST, NMI_OTHERS = f"NMI, {BEFORE}", f"NMI, {FIRST}", f"NMI, {OTHERS}"
NMI_TRUE, NMI_ALONE, PURITY = f"NMI, {TRUE}", f"NMI, {ALONE}", f"purity, {TRUE}"
AMI_BEFORE, AMI_FIRST, AMI_OTHERS, AMI_TRUE, AMI_ALONE = (
    f"AMI, {what}" for what in (BEFORE, FIRST, OTHERS, TRUE, ALONE)
)
ARI_BEFORE, ARI_FIRST, ARI_TRUE = f"ARI, {BEFORE}", f"ARI, {FIRST}", f"ARI, {TRUE}"
CHANCE = {name: f"{name}, chance" for name in (NMI_BEFORE, NMI_FIRST, NMI_OTHERS, NMI_TRUE, NMI_ALONE, PURITY)}
"""Name of the chance level of each score that needs one; AMI and ARI are 0 by chance."""
OF_ALL_DATA = (SILHOUETTE, NMI_OTHERS, CHANCE[NMI_OTHERS], AMI_OTHERS)
OF_ROUNDS = (
    *(NMI_BEFORE, CHANCE[NMI_BEFORE], AMI_BEFORE, ARI_BEFORE),
    *(NMI_FIRST, CHANCE[NMI_FIRST], AMI_FIRST, ARI_FIRST),
)
OF_GENERATED = (NMI_TRUE, CHANCE[NMI_TRUE], AMI_TRUE, ARI_TRUE, PURITY, CHANCE[PURITY])
MEASURED = {*OF_ALL_DATA, *OF_ROUNDS, *OF_GENERATED, NMI_ALONE, CHANCE[NMI_ALONE], AMI_ALONE}

FOLLOWED = ["AMI", "NMI above chance"]

Quality = Mapping[str, Mapping[int, Sequence[Float64[np.ndarray, " c"]]]]
"""By score and round: that of each class, one array a seed; rounds without the score are missing."""


def measure(
    found: Rounds,
    separate: Mapping[tuple[int, int], Float64[np.ndarray, " c"]],
    labels: Shaped[np.ndarray, "n c"],
    subtypes: Integer[np.ndarray, "n c"] | None,
) -> Quality:
    """Every score of every round and seed.

    Args:
        found: the clusters.
        separate: `separation` of the same clusters.
        labels: of the same images, 0 or 1; the clusters of a class are compared with the other classes in its images.
        subtypes: the true sub-types of the same images, None where they are not known.
    """
    quality: dict[str, dict[int, list[np.ndarray]]] = {}
    known = _known(labels, subtypes)
    for (number, seed), each in sorted(found.items()):
        scores = {SILHOUETTE: separate[number, seed]}
        for what, reference in (known | _earlier(found, number, seed)).items():
            scores |= _agreement(each.assignments, reference, what, (seed, number))
        for name, of_classes in scores.items():
            quality.setdefault(name, {}).setdefault(number, []).append(of_classes)
    return quality


def separation(features: Path, found: Round) -> Float64[np.ndarray, " c"]:
    """Silhouettes of clusters in the features in which they were found; `features` is the folder of that stage."""
    return silhouettes(Features.read(features).features, found.assignments)


def _known(labels: np.ndarray, subtypes: np.ndarray | None) -> dict[str, np.ndarray]:
    """What clusters might follow: the set of other classes in the image and, where known, the true sub-types."""
    if subtypes is None:
        return {OTHERS: other_classes(labels)}
    alone = labels.sum(axis=1, keepdims=True) == 1
    return {OTHERS: other_classes(labels), TRUE: subtypes, ALONE: np.where(alone, subtypes, -1)}


def _earlier(found: Rounds, number: int, seed: int) -> dict[str, np.ndarray]:
    rounds = {BEFORE: number - 1, FIRST: 1} if number > 1 else {}
    return {what: found[at, seed].assignments for what, at in rounds.items() if (at, seed) in found}


def _agreement(
    clusters: np.ndarray, reference: np.ndarray, what: str, question: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Scores and chance levels among the images that the reference knows."""
    clusters = np.where(reference >= 0, clusters, -1)
    kinds: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "NMI": partial(nmi, reference),
        "AMI": partial(ami, reference),
        "ARI": partial(ari, reference),
        "purity": lambda dealt: purity(dealt, reference),
    }
    scores = {}
    for kind, score in kinds.items():
        name = f"{kind}, {what}"
        if name in MEASURED:
            scores[name] = score(clusters)
        if name in CHANCE:
            scores[CHANCE[name]] = chance_level(score, clusters, chance_rng(*question))
    return scores


def chance_rng(*question: int) -> np.random.Generator:
    """Of a chance level: the same for the same training seed (and round), whatever else is asked."""
    return np.random.default_rng([*question, 34])


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


def seeds_of(found: Rounds) -> list[int]:
    """The training seeds, ascending."""
    return sorted({seed for _, seed in found})


# --- Means over classes -----------------------------------------------------------------------------------------------


def values(quality: Quality, name: str, number: int) -> list[float]:
    """Mean over classes of a score in one round, one value a seed; empty where it does not exist."""
    return [mean_over_classes(of_classes) for of_classes in quality.get(name, {}).get(number, [])]


def change(quality: Quality, name: str, earlier: int, later: int) -> Interval | None:
    """By how much a score is higher in a later round, seed by seed; None where one of them does not exist."""
    return paired(values(quality, name, later), values(quality, name, earlier))


def above_chance(quality: Quality, name: str, number: int) -> Interval | None:
    """By how much a score of one round is above its chance level, seed by seed."""
    return paired(values(quality, name, number), values(quality, CHANCE[name], number))


_ALSO = {AMI_BEFORE: (NMI_BEFORE, ARI_BEFORE), AMI_TRUE: (NMI_TRUE, ARI_TRUE, PURITY)}


def in_words(quality: Quality, name: str, earlier: int, later: int) -> str:
    """What the scores beside it say of the same change."""
    changes = {each: change(quality, each, earlier, later) for each in (name, *_ALSO.get(name, ()))}
    found = {each: by for each, by in changes.items() if by}
    return remarks(None, found, digits=2) if len(found) > 1 else ""


def overall(quality: Quality, name: str, number: int) -> Interval | None:
    """A score of one round, mean over classes, over seeds; None where it does not exist."""
    found = values(quality, name, number)
    return over_seeds(found) if found else None


def further(quality: Quality, name: str, other: str, number: int) -> Interval | None:
    """By how much one score of a round is above another one, seed by seed; for scores that are 0 by chance."""
    return paired(values(quality, name, number), values(quality, other, number))


# --- As tables --------------------------------------------------------------------------------------------------------


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


def table(quality: Quality, names: Sequence[str]) -> pd.DataFrame:
    """One row a round, one column a score: means over classes, missing where there is none."""
    numbers = sorted(quality[SILHOUETTE])
    cells = {name: [overall(quality, name, number) for number in numbers] for name in names}
    return pd.DataFrame(cells, index=pd.Index(labels_of(numbers), name="labels of"), dtype=object)


def labels_of(numbers: Sequence[int]) -> list[str]:
    """Names of the rounds whose labels these are; the last is that of clusters never trained on.

    >>> labels_of([1, 2])
    ['round 1', 'round 2, not trained']
    """
    return [f"round {number}" for number in numbers[:-1]] + [f"round {numbers[-1]}, not trained"]


def followed_table(quality: Quality, number: int) -> pd.DataFrame:
    """With what the clusters of a round agree: AMI, and NMI minus its chance level.

    NMI alone grows with the number of different values, from which a reference with many of them would profit.
    """
    cells = {
        what: [overall(quality, f"AMI, {what}", number), above_chance(quality, f"NMI, {what}", number)]
        for what in (OTHERS, TRUE, ALONE)
        if f"NMI, {what}" in quality
    }
    return pd.DataFrame.from_dict(cells, orient="index", columns=FOLLOWED, dtype=object).rename_axis("with")
