"""What the figures of clusters of SC-CAM are drawn of: the clusters of every round, and the weight rows of both heads.

Thesis section 3.4. "Round r" stands for the clusters with which round r is trained; they are found in the features of
round r - 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from companion.analysis import cluster_heads, cluster_scores, cluster_tables
from companion.analysis.cluster_heads import Heads, Resemblance
from companion.analysis.cluster_scores import Quality
from companion.analysis.cluster_tables import Round
from companion.datasets.demo.scenes import CLASSES
from companion.experiments import row_stages
from companion.experiments.chapter_3 import sc_cam, separation
from companion.experiments.experiment import Experiment
from companion.pipeline.store import Stage
from thesislib.data.voc import VocDataset, find_root, read_classes

STARTS = 3  # random ones in Fig. 3.6


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundClusters(Experiment):
    """The clusters of every round and seed, and the heads that are trained with the last."""

    rounds: int
    data_seed: int
    classes_shown: Sequence[str]
    images_per_cluster: int

    def __post_init__(self) -> None:
        cluster_tables.check_shown(self.rounds, self.images_per_cluster)
        if self.classes_shown:
            folder = self.machine.data_root
            cluster_tables.check_classes(self.classes_shown, read_classes(find_root(folder)) if folder else CLASSES)

    # --- Stages ---

    @property
    def classifiers(self) -> Mapping[tuple[str, int], Stage]:
        """The stage of the classifier of the last round, by row name and seed."""
        return row_stages.classifier_stages(self.settings, [sc_cam(self.rounds)], self.seeds, self.machine)

    @property
    def features_before(self) -> Mapping[tuple[int, int], Stage]:
        """The stage of the features in which the clusters of the last round are found, by round and seed."""
        return row_stages.feature_stages(self.settings, [self.rounds - 1], self.seeds, self.machine)

    @property
    def labels(self) -> Mapping[tuple[int, int], Stage]:
        """The stage of the clusters by round and seed."""
        return row_stages.cluster_stages(self.settings, range(1, self.rounds + 1), self.seeds, self.machine)

    def stages(self) -> list[Stage]:
        return [*self.classifiers.values(), *self.features_before.values(), *self.labels.values()]

    # --- What is read ---

    @cached_property
    def folders(self) -> tuple[Mapping[Any, Path], ...]:
        """Those of `classifiers`, of `labels` and of `features_before`, by the same names."""
        return tuple(self.compute(stages) for stages in (self.classifiers, self.labels, self.features_before))

    @cached_property
    def found(self) -> Mapping[tuple[int, int], Round]:
        """The clusters by round and seed."""
        return cluster_tables.read_rounds(self.folders[1])

    @property
    def first(self) -> Round:
        """The clusters of round 1 and the first seed."""
        return self.found[1, self.seeds[0]]

    @property
    def last(self) -> Round:
        """The clusters of the last round and the first seed."""
        return self.found[self.rounds, self.seeds[0]]

    @cached_property
    def clustered(self) -> VocDataset:
        """The images that are clustered."""
        return self.images("trainaug")

    def classifier_of(self, seed: int) -> Path:
        """The folder of the classifier of the last round."""
        return next(folder for (_, each), folder in self.folders[0].items() if each == seed)

    def heads(self, seed: int) -> Heads:
        """The weight rows of both heads."""
        return cluster_heads.read_heads(self.classifier_of(seed))

    @cached_property
    def quality(self) -> Quality:
        """How good the clusters of the last round are."""
        of_last = {key: each for key, each in self.found.items() if key[0] == self.rounds}
        separate = separation(of_last, self.folders[2], self.folders[1], self.keep)
        return cluster_scores.measure(of_last, separate, self.clustered.labels, self.clustered.subtypes)

    @cached_property
    def accompanied(self) -> int:
        """The class that is in most images together with another one."""
        return cluster_tables.most_accompanied(self.clustered.labels)

    @property
    def of_what(self) -> str:
        """The images and K, in words."""
        return f"{len(self.clustered)} images of trainaug, K = {self.last.k}"

    @property
    def data_note(self) -> str:
        said = "the split that is clustered; masks and sub-types for analysis only"
        return f"{len(self.clustered)} images of trainaug, {said}"

    # --- What the heads say ---

    def embedded(self, c: int, used: Sequence[int]) -> list[Float[np.ndarray, "rows 2"]]:
        """The rows of all classes and of sub-categories of one by t-SNE, from principal components and at random."""
        rows = cluster_heads.rows_of(self.heads(self.seeds[0]), c, used)
        at_random = [cluster_heads.embed(rows, start="random", seed=s) for s in range(STARTS)]
        return [cluster_heads.embed(rows, start="pca"), *at_random]

    @cached_property
    def resembling(self) -> dict[str, list[Resemblance]]:
        """How far rows of sub-categories resemble those of the classes that come along: by reading, one a seed."""
        labels = self.clustered.labels

        def of(reading: str, seed: int) -> Resemblance:
            def measure() -> Resemblance:
                found = self.found[self.rounds, seed]
                return cluster_heads.resemblance(self.heads(seed), found, labels, seed, reading=reading)

            return Resemblance(*self.of_one(f"resemblance, {reading}", self.classifier_of(seed), measure))

        return {reading: [of(reading, seed) for seed in self.seeds] for reading in cluster_heads.READINGS}
