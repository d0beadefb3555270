"""Positive controls of both chapters: what the walk and the clusters could give if one of their parts were right.

Thesis sections 2.3.3 and 3.3.2; none is in the thesis. Where a method does not gain, its parts are replaced one by one:
affinities by perfect ones or those of an AffinityNet that the truth has taught, the way the walk is scored, and what a
feature is pooled over before it is clustered. All but the last two use the truth and are called oracle.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from companion.analysis import by_class, chance, families, measures
from companion.analysis.claims import Claim, Row, difference, judged, paired, seed_values
from companion.analysis.cluster_quality import ami, mean_over_classes
from companion.analysis.cluster_scores import other_classes
from companion.analysis.cluster_tables import read_rounds
from companion.analysis.map_pooling import clusters_under_maps
from companion.analysis.maps import over_seeds
from companion.analysis.measures import Scores
from companion.analysis.methods import PLAIN_CAM
from companion.analysis.oracle_walk import IRN_BACKGROUND, SCORINGS, Affinities, learned, truths, walked_counts
from companion.drawing.differences import differences
from companion.experiments import row_stages
from companion.experiments.declared import class_table
from companion.experiments.exhibits import Exhibit, Figure, Note, Table
from companion.experiments.experiment import SCORED, Experiment
from companion.experiments.own_rows import check_plain
from companion.pipeline.stages import affinity, oracle_affinity
from companion.pipeline.store import Stage, digest
from thesislib.data.voc import VocDataset
from thesislib.refinement import crf

OWN, TAUGHT, PERFECT = "its own AffinityNet", "AffinityNet taught by the truth (oracle)", "perfect affinities (oracle)"
WHOLE, UNDER = "the whole image (3.2)", "the map of the class"


@dataclass(frozen=True, kw_only=True, eq=False)
class PositiveControls(Experiment):
    """The walk on the maps of plain CAM, and the clusters of its features."""

    notebook: ClassVar = "25_positive_controls"
    needs_truth: ClassVar = SCORED

    # --- Stages ---

    @property
    def maps(self) -> Mapping[tuple[str, int], Stage]:
        """The stage of the response maps by row name and seed."""
        return row_stages.response_map_stages(self.settings, [PLAIN_CAM], self.seeds, self.machine)

    @property
    def networks(self) -> dict[str, Mapping[tuple[str, int], Stage]]:
        """The stages of the AffinityNets that are learned, by whose affinities they give.

        One needs the CRF library, the other true masks of the images that teach it.
        """
        found = {OWN: row_stages.affinity_stages(self.settings, [PLAIN_CAM], self.seeds, self.machine)}
        if self.generated or self.settings.affinity.split == "train":
            found[TAUGHT] = row_stages.of_each(
                oracle_affinity.stage, self.settings, [PLAIN_CAM], self.seeds, self.machine
            )
        return {name: stages for name, stages in found.items() if stages}

    @property
    def classifiers(self) -> Mapping[tuple[str, int], Stage]:
        """The stage of the classifier of plain CAM by row name and seed."""
        return row_stages.classifier_stages(self.settings, [PLAIN_CAM], self.seeds, self.machine)

    @property
    def labels(self) -> Mapping[tuple[int, int], Stage]:
        """The stage of the clusters of round 1."""
        return row_stages.cluster_stages(self.settings, [1], self.seeds, self.machine)

    def stages(self) -> list[Stage]:
        check_plain(self.settings)
        learned_ones = [stage for stages in self.networks.values() for stage in stages.values()]
        return [*self.maps.values(), *learned_ones, *self.classifiers.values(), *self.labels.values()]

    @property
    def data_note(self) -> str:
        return f"{len(self.on_train)} images of train for the walk, {len(self.clustered)} of trainaug for the clusters"

    # --- Scores ---

    @cached_property
    def clustered(self) -> VocDataset:
        """The images that are clustered."""
        return self.images("trainaug")

    @cached_property
    def walked(self) -> Scores:
        """Scores on train before the walk as `CAM`, and after it by affinities and scoring."""
        folders = self.compute(self.maps)
        networks = {name: self.compute(stages) for name, stages in self.networks.items()}
        scores: dict[str, list[measures.Run]] = {
            PLAIN_CAM.name: [*measures.read_scores(folders, "train")[PLAIN_CAM.name]]
        }
        for name in (*networks, PERFECT):
            for key, maps in folders.items():
                network = networks[name][key] if name in networks else None
                walked = digest(walk=self.settings.affinity, network=network and network.name)
                walk = partial(self._walk, maps, network)
                counts = self.of_one(f"walk along {name}, {walked}", maps, walk)
                for scoring, of_scoring in zip(SCORINGS, counts, strict=True):
                    scores.setdefault(f"{name}, {scoring}", []).append({"image_confusion": of_scoring})
        return scores

    def _walk(self, maps: Path, network: Path | None) -> list[np.ndarray]:
        chosen, images = self.settings, self.on_train
        found: Affinities = (
            truths(images, chosen.backbone)
            if network is None
            else learned(network, images, chosen.backbone, self.machine)
        )
        return [*walked_counts(maps, images, found, chosen.affinity, affinity.grid(chosen.backbone))]

    @cached_property
    def clusters(self) -> dict[str, list[np.ndarray]]:
        """Clusters of the same classifier by what features are pooled over, one a seed."""
        rounds = read_rounds(self.compute(self.labels))
        folders = self.compute(self.classifiers)
        name = f"clusters under the maps, {digest(clustering=self.settings.subcategories)}"
        under = [
            self.of_one(name, folder, partial(self._under_maps, folder, seed))[0]
            for (_, seed), folder in folders.items()
        ]
        return {WHOLE: [rounds[1, seed].assignments for seed in self.seeds], UNDER: under}

    def _under_maps(self, folder: Path, seed: int) -> list[np.ndarray]:
        return [clusters_under_maps(folder, self.clustered, self.settings, self.machine, seed)]

    @cached_property
    def followed(self) -> dict[str, dict[str, list[float]]]:
        """AMI of the clusters with what they might follow, mean over classes: by that and by pooling, one a seed."""
        images, clusters = self.clustered, self.clusters.items()
        known = {"other classes": other_classes(images.labels)}
        known |= {} if images.subtypes is None else {"true sub-types": images.subtypes}
        return {
            what: {name: [mean_over_classes(ami(each, reference)) for each in found] for name, found in clusters}
            for what, reference in known.items()
        }

    # --- Exhibits, in the order of the notebook ---

    def walk(self) -> Iterator[Exhibit]:
        """What the walk adds to the maps of plain CAM."""
        if OWN not in self.networks:
            yield Note(f"The walk along {OWN} is shown as not run: {crf.crf_missing()}")
        plain = PLAIN_CAM.name
        gains = {name: difference(self.walked, name, plain) for name in self.walked if name != plain}
        lines = {
            name: {"mIoU train": over_seeds(seed_values(self.walked, name)), "walk adds": gains.get(name)}
            for name in self.walked
        }
        alpha = f"(1 − max M)^{self.settings.affinity.walk_alpha:g}"
        of_what = f"{len(self.on_train)} images of train, {self.over}"
        yield Table(
            pd.DataFrame.from_dict(lines, orient="index").astype(object).rename_axis("affinities and scoring"),
            "walk",
            f"mIoU in per cent of the response maps of plain CAM at the fixed threshold {self.threshold} (first "
            f"line) and after the random walk, and what the walk adds, in points; {of_what}. psa: a background row "
            f"{alpha} walks with the classes; irn: classes walk alone, background is what stays below "
            f"{IRN_BACKGROUND:g} of the image's maximum.",
            best=["mIoU train"],
            formats={"walk adds": "+.1f"},
        )
        yield Figure(
            differences(gains, "what the random walk adds to the mIoU of plain CAM, points", 1),
            "walk_adds",
            f"What the walk adds to the maps of plain CAM by affinities and scoring, with 95 % intervals; {of_what}. "
            "The band is one point to either side of 0.",
            "One line a combination: a point with a horizontal bar beside a vertical line at 0 in a grey band.",
        )
        asked = [judged(f"The random walk along {name} improves the maps of plain CAM", gains[name]) for name in gains]
        pairs = [(name, plain) for name in gains]
        for name in (*self.networks, PERFECT):
            apart = difference(self.walked, f"{name}, irn", f"{name}, psa")
            asked.append(judged(f"irn's scoring does better than psa's: {name}", apart))
        pairs += [(f"{name}, irn", f"{name}, psa") for name in (*self.networks, PERFECT)]
        counts = [by_class.pair(self.walked, *pair) for pair in pairs]
        yield Note("None of these is a primary claim; they are one family, decided by their p after Holm.")
        classes = self.on_train.classes
        yield from families.alone([*zip(asked, counts, strict=True)], classes)
        compared = {" > ".join(pair): each for pair, each in zip(pairs, counts, strict=True)}
        yield class_table(compared, classes, "by_class", f"mIoU, {of_what}")

    def pooling(self) -> Iterator[Exhibit]:
        """With what clusters agree whose features are pooled over the image, and under the map of their class."""
        apart = {what: paired(found[UNDER], found[WHOLE]) for what, found in self.followed.items()}
        lines = {
            what: {name: over_seeds(values) for name, values in found.items()} | {"second minus first": apart[what]}
            for what, found in self.followed.items()
        }
        yield Table(
            pd.DataFrame.from_dict(lines, orient="index").astype(object).rename_axis("agreement with"),
            "pooling",
            "Agreement (AMI, 0 by chance) of the clusters of round 1 whose features are pooled over the whole image, "
            "and of those pooled under the map of their class, with what they might follow; mean over classes, K = "
            f"{self.settings.subcategories.k}, {len(self.clustered)} images of trainaug, {self.over}.",
            formats=dict.fromkeys((WHOLE, UNDER, "second minus first"), "+.3f"),
        )
        asked = {"other classes": ("follow the company less", -1), "true sub-types": ("follow the sub-types more", 1)}
        yield from families.corrected(
            [
                judged(f"Features pooled under the map of their class {asked[what][0]}", found, "AMI.",
                       sign=asked[what][1], format="+.3f")
                for what, found in apart.items()
            ]
        )  # fmt: skip

    def chance_table(self) -> Table:
        """What seeds can decide."""
        names = [Row(name) for name in self.walked if name != PLAIN_CAM.name]
        asked = [Claim("", row, PLAIN_CAM) for row in names]
        return Table(
            **chance.seeds_table(
                chance.differences(asked, self.walked),
                "what the walk adds",
                f"response maps of plain CAM on {len(self.on_train)} images of train, {self.over}",
            )
        )
