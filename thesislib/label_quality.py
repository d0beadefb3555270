"""How good the sub-category labels of each round are: how separate, how settled, and with what they agree.

Thesis section 3.4, which shows by eye that clusters become better; nothing here corresponds to published code. The
labels of round r are clusters found in the features of round r - 1. Those of the round after the last are clusters of
the last network, with which nothing is trained. A score stands beside its chance level where it is above 0 by chance.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float64, Integer, Shaped

from thesislib.charts import Line
from thesislib.cluster_quality import agreement, chance_level, mean_over_classes, purity, silhouettes
from thesislib.cluster_scores import nmi, other_classes
from thesislib.cluster_tables import Rounds
from thesislib.figures import METHODS, colours
from thesislib.stages import subcategories
from thesislib.statistics import Interval, mean_interval, paired_difference, verdict
from thesislib.tables import over_seeds

SILHOUETTE = "silhouette"
NMI_BEFORE, ARI_BEFORE = "NMI, round before", "ARI, round before"
NMI_TRUE, ARI_TRUE, PURITY = "NMI, sub-types", "ARI, sub-types", "purity, sub-types"
NMI_OTHERS = "NMI, other classes"
CHANCE = {name: f"{name}, chance" for name in (NMI_BEFORE, NMI_TRUE, PURITY, NMI_OTHERS)}
"""Name of the chance level of each score that needs one; ARI is 0 by chance."""
OF_ALL_DATA = (SILHOUETTE, NMI_BEFORE, CHANCE[NMI_BEFORE], ARI_BEFORE, NMI_OTHERS, CHANCE[NMI_OTHERS])
OF_GENERATED = (NMI_TRUE, CHANCE[NMI_TRUE], ARI_TRUE, PURITY, CHANCE[PURITY])
CHANCE_STREAM = 33  # of random numbers, beside the training seed and the round

Quality = Mapping[str, Mapping[int, Sequence[Float64[np.ndarray, " c"]]]]
"""By score and round: that of each class, one array a seed; rounds without the score are missing."""


def measure(
    found: Rounds,
    features: Mapping[tuple[int, int], Path],
    labels: Shaped[np.ndarray, "n c"],
    subtypes: Integer[np.ndarray, "n c"] | None,
) -> Quality:
    """Every score of every round and seed.

    Args:
        found: the clusters.
        features: folders of stage `features` by round and seed, from round 0.
        labels: of the same images, 0 or 1; the clusters of a class are compared with the other classes in its images.
        subtypes: the true sub-types of the same images, None where they are not known.
    """
    quality: dict[str, dict[int, list[np.ndarray]]] = {}
    others = other_classes(labels)
    for (number, seed), each in sorted(found.items()):
        seen = subcategories.read_features(features[number - 1, seed])
        scores = {SILHOUETTE: silhouettes(seen, each.assignments)}
        rng = np.random.default_rng([seed, number, CHANCE_STREAM])
        if before := found.get((number - 1, seed)):
            scores |= _agreement(each.assignments, before.assignments, (NMI_BEFORE, ARI_BEFORE), rng)
        scores |= _beside_chance(partial(nmi, others), each.assignments, NMI_OTHERS, rng)
        if subtypes is not None:
            scores |= _agreement(each.assignments, subtypes, (NMI_TRUE, ARI_TRUE), rng)
            scores |= _beside_chance(lambda dealt: purity(dealt, subtypes), each.assignments, PURITY, rng)
        for name, of_classes in scores.items():
            quality.setdefault(name, {}).setdefault(number, []).append(of_classes)
    return quality


def _agreement(
    clusters: np.ndarray, reference: np.ndarray, names: tuple[str, str], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    of_nmi, of_ari = names
    scores = _beside_chance(partial(nmi, reference), clusters, of_nmi, rng)
    return scores | {of_ari: agreement(clusters, reference).ari}


def _beside_chance(
    score: Callable[[np.ndarray], np.ndarray], clusters: np.ndarray, name: str, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    return {name: score(clusters), CHANCE[name]: chance_level(score, clusters, rng)}


# --- Means over classes -----------------------------------------------------------------------------------------------


def values(quality: Quality, name: str, number: int) -> list[float]:
    """Mean over classes of a score in one round, one value a seed; empty where it does not exist."""
    return [mean_over_classes(of_classes) for of_classes in quality.get(name, {}).get(number, [])]


def change(quality: Quality, name: str, earlier: int, later: int) -> Interval | None:
    """By how much a score is higher in a later round, seed by seed; None where one of them does not exist."""
    return _paired(values(quality, name, later), values(quality, name, earlier))


def above_chance(quality: Quality, name: str, number: int) -> Interval | None:
    """By how much a score of one round is above its chance level, seed by seed."""
    return _paired(values(quality, name, number), values(quality, CHANCE[name], number))


_ALSO = {NMI_BEFORE: (ARI_BEFORE,), NMI_TRUE: (ARI_TRUE, PURITY)}


def in_words(quality: Quality, name: str, earlier: int, later: int) -> str:
    """What the scores beside it say of the same change."""
    said = []
    for other in _ALSO.get(name, ()):
        if found := change(quality, other, earlier, later):
            by = f"{round(found.mean, 2) + 0:+.2f}".replace("-", "−")
            said.append(f"{other} {by} {verdict(found)}")
    return "; ".join(said) + "." if said else ""


def above_others(quality: Quality, number: int) -> Interval | None:
    """By how much NMI with the true sub-types is above NMI with the other classes, each minus its chance level."""
    ours, theirs = (
        np.subtract(values(quality, name, number), values(quality, CHANCE[name], number)).tolist()
        for name in (NMI_TRUE, NMI_OTHERS)
    )
    return _paired(ours, theirs)


def _paired(a: list[float], b: list[float]) -> Interval | None:
    return paired_difference(a, b) if a and b and np.isfinite([a, b]).all() else None


def table(quality: Quality, names: Sequence[str]) -> pd.DataFrame:
    """One row a round, one column a score: means over classes, missing where there is none."""
    numbers = sorted(quality[SILHOUETTE])
    cells = {name: [_cell(values(quality, name, number)) for number in numbers] for name in names}
    return pd.DataFrame(cells, index=pd.Index(labels_of(numbers), name="labels of"), dtype=object)


def labels_of(numbers: Sequence[int]) -> list[str]:
    """Names of the rounds whose labels these are; the last is that of clusters never trained on.

    >>> labels_of([1, 2])
    ['round 1', 'round 2, not trained']
    """
    return [f"round {number}" for number in numbers[:-1]] + [f"round {numbers[-1]}, not trained"]


def _cell(of_seeds: list[float]) -> Interval | None:
    return over_seeds(of_seeds) if of_seeds else None


# --- As lines ---------------------------------------------------------------------------------------------------------


def lines(quality: Quality) -> dict[str, list[Line]]:
    """Panels for `charts.against`: silhouette, agreement with the round before and with what is known."""
    ours = METHODS["SC-CAM"]
    second, third = colours(["second", "third"]).values()
    panels = {
        "silhouette": [(SILHOUETTE, ours, "-", "o")],
        "agreement with the round before": [
            (NMI_BEFORE, ours, "-", "o"),
            (CHANCE[NMI_BEFORE], ours, ":", "."),
            (ARI_BEFORE, second, "-", "s"),
        ],
        "agreement with what is known": [
            (NMI_TRUE, ours, "-", "o"),
            (CHANCE[NMI_TRUE], ours, ":", "."),
            (NMI_OTHERS, third, "-", "^"),
            (CHANCE[NMI_OTHERS], third, ":", "."),
        ],
    }
    return {label: [_line(quality, *each) for each in drawn if each[0] in quality] for label, drawn in panels.items()}


def _line(quality: Quality, name: str, colour: str, dashes: str, marker: str) -> Line:
    found = {number: values(quality, name, number) for number in quality[name]}
    points = {number: mean_interval(seeds) for number, seeds in found.items() if np.isfinite(seeds).all()}
    return Line(name, points, colour, dashes, marker)
