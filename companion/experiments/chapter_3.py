"""Rows that the experiments of chapter 3, sub-category exploration (SC-CAM), share: the method and its control rows.

Thesis section 3.4. The control rows are not in the thesis: a gain can come from a second head, from more outputs or
from a longer schedule as well as from clusters. Nothing here corresponds to published code.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from companion.analysis import cluster_scores
from companion.analysis.claims import Row
from companion.analysis.cluster_tables import Round, Rounds
from companion.experiments.experiment import Keep
from companion.settings import Settings, SettingsError

ROUNDS = 3  # thesis 3.4.1
NAME = "SC-CAM"
PRINTED = "Sub-category exploration"
RANDOM, PARENT, TRUE, SCHEDULE = "random sub-labels", "K = 1, trained", "true sub-types", "CAM, schedule of the rounds"


def sc_cam(rounds: int = ROUNDS) -> Row:
    """SC-CAM after that many rounds.

    Raises:
        SettingsError: not even one round.
    """
    if rounds < 1:
        raise SettingsError(f"rounds must be at least 1, got {rounds}")
    return Row(NAME, {"subcategories.round": rounds}, PRINTED)


def controls(settings: Settings, *, rounds: int = ROUNDS, generated: bool) -> dict[str, Row]:
    """Rows with the schedule of the last round and something else than clusters for labels, by key.

    Args:
        settings: of the preset.
        rounds: the last round; random sub-labels have the sizes of its clusters.
        generated: whether the true sub-types are known.

    Returns:
        `random` and `parent`; `true` where the sub-types are known; `schedule` where it differs from plain CAM's (S6).
    """
    rows = {"random": labelled(RANDOM, "random", rounds), "parent": trained_parent(rounds)}
    if generated:
        rows["true"] = labelled(TRUE, "true", rounds)
    if not same_schedule(settings):
        rows["schedule"] = labelled(SCHEDULE, "none", rounds)
    return rows


def trained_parent(after_round: int = ROUNDS) -> Row:
    """K = 1 with a second head, which repeats the classes."""
    return labelled(PARENT, "parent", after_round)


def labelled(name: str, labels: str, rounds: int) -> Row:
    """A control row whose second head learns other labels than clusters."""
    return Row(name, {"subcategories.round": rounds, "subcategories.labels": labels}, control=True)


def same_schedule(settings: Settings) -> bool:
    """Whether a round is trained as long and on the same crop as the plain classifier (S6)."""
    rounds, classifier = settings.subcategories, settings.classifier
    return not rounds.used and (rounds.epochs, rounds.crop) == (classifier.epochs, classifier.augmentation.crop)


def separation(
    found: Rounds, features: Mapping[tuple[int, int], Path], labels: Mapping[tuple[int, int], Path], keep: Keep
) -> dict[tuple[int, int], np.ndarray]:
    """Silhouettes by class of the clusters of every round and seed.

    Args:
        found: the clusters.
        features: folders of stage `features` by round and seed, those of the round before each round of `found`.
        labels: folders of the clusters by round and seed.
        keep: of the experiment.
    """
    silhouettes = {}
    for (number, seed), clusters in found.items():
        measure = partial(_separation, features[number - 1, seed], clusters)
        (((silhouettes[number, seed],)),) = keep("silhouettes", [labels[number, seed]], measure)
    return silhouettes


def _separation(features: Path, clusters: Round, of: Sequence[Path]) -> list[list[np.ndarray]]:
    return [[cluster_scores.separation(features, clusters)]]
