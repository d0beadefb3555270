"""Fig. 3.5, 3.6 and 3.9 to 3.11: what the clusters of SC-CAM hold, with the number behind each picture.

Thesis section 3.4. Classes are chosen by a rule that looks at image labels alone. "Round r" stands for the clusters
with which round r is trained; they are found in the features of round r - 1.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, ClassVar

from companion.analysis import (
    cluster_heads,
    cluster_moves,
    cluster_quality,
    cluster_reference,
    cluster_scores,
    cluster_tables,
    families,
)
from companion.analysis.claims import Verdict, judged
from companion.analysis.cluster_scores import AMI_OTHERS, AMI_TRUE, FOLLOWED
from companion.analysis.cluster_tables import FIGURE_3_5, FIGURES_3_9_TO_3_11
from companion.analysis.maps import over_seeds
from companion.datasets.demo.generator import contexts
from companion.drawing import cluster_charts, cluster_pictures
from companion.experiments import printed
from companion.experiments.exhibits import Exhibit, Exhibits, Figure, KeyNumber, Note, Table
from companion.experiments.found_clusters import STARTS, FoundClusters
from companion.experiments.printed_differences import MOVED_TOGETHER

THREE = 3  # clusters of each class in Fig. 3.5
IN_BOTH_ROUNDS = ("3.9", "3.10", "3.11")


def in_the_thesis() -> str:
    """What the thesis prints of its clusters, in lines."""
    text = printed.results()["hyperparameters_in_text"]
    return (
        f"clusters of each class, K: {text['K']}\nrounds: {text['rounds']}\n"
        f"classes of Fig. 3.5 in the thesis: {', '.join(FIGURE_3_5)}\n"
        f"classes of Figs 3.9 to 3.11 in the thesis: {', '.join(FIGURES_3_9_TO_3_11)}"
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Clusters(FoundClusters):
    """What images of a cluster share, and which of them move together from the first round to the last."""

    notebook: ClassVar = "34_clusters"
    reproduces: ClassVar = ("fig-3.5", "fig-3.6", "fig-3.9", "fig-3.10", "fig-3.11")

    # --- Exhibits, in the order of the notebook ---

    def in_common(self) -> Iterator[Exhibits]:
        """Fig. 3.5 and what is in its clusters."""
        yield self.nearest_images
        yield self.in_numbers

    @property
    def largest(self) -> dict[int, list[int]]:
        """The largest clusters of the classes of Fig. 3.5."""
        chosen = cluster_tables.choose_classes(self.clustered, FIGURE_3_5, self.classes_shown)
        return {c: self.last.largest(c, THREE) for c in chosen}

    def nearest_images(self) -> Figure:
        """Fig. 3.5."""
        return Figure(
            cluster_pictures.nearest_sheet(self.clustered, self.last, self.largest, self.images_per_cluster),
            "fig_3_5",
            f"Fig. 3.5: the three largest clusters of {len(self.largest)} classes in round {self.rounds}, each by the "
            f"{self.images_per_cluster} images nearest to its centroid; {self.of_what}, seed {self.seeds[0]}.",
            "A line for each class, in it three groups of images, each with the number of the cluster and of its "
            "images.",
        )

    def in_numbers(self) -> Table:
        """What is in the clusters of Fig. 3.5."""
        images, shown = self.clustered, self.largest
        kinds = ". " if images.subtypes is None else "; then the true sub-types. "
        name = f"object areas of {', '.join(images.classes[c] for c in shown)}"
        measure = partial(cluster_tables.object_areas, images)
        found = self.of_one(name, self.data_folder, lambda: [measure(c) for c in shown])
        areas = dict(zip(shown, found, strict=True))
        return Table(
            cluster_tables.describe(images, self.last, shown, areas),
            "fig_3_5_clusters",
            "The same clusters in numbers, in per cent: mean area of the object where there is a mask, images with no "
            f"other class, and the other classes that come along most often{kinds}Round {self.rounds}, {self.of_what}, "
            f"seed {self.seeds[0]}.",
            formats={"alone": ".0f"},
        )

    @cached_property
    def followed_by_size(self) -> list[dict[str, list[float]]]:
        """Agreement of the clusters of the first and of the last round with size and ground, a value a seed."""
        images, rounds = self.clustered, (1, self.rounds)
        measure = partial(cluster_tables.object_areas, images)
        areas = self.of_one("object areas of every class", self.data_folder,
                            lambda: [measure(c) for c in range(len(images.classes))])  # fmt: skip
        known = {cluster_reference.SIZE: cluster_reference.sizes(areas)}
        if self.generated:
            grounds = contexts("trainaug", self.settings.data)
            known[cluster_reference.CONTEXT] = cluster_reference.of_images(grounds, images.labels)
        return [
            cluster_reference.agreement([self.found[number, seed].assignments for seed in self.seeds], known)
            for number in rounds
        ]

    def size_and_ground(self) -> Iterator[Table | Verdict]:
        """Whether clusters follow the size of the object and the ground, which Fig. 3.5 names too."""
        (first, last), rounds = self.followed_by_size, (1, self.rounds)
        yield Table(
            cluster_reference.table(first, last, [f"round {number}" for number in rounds]),
            "size_and_ground",
            "Agreement (AMI, 0 by chance) of the clusters of the first and the last round with the size of the object, "
            "in thirds of the images of a class whose mask is known, and with the ground of generated images; mean "
            f"over classes, {self.of_what}, {self.over}.",
            formats=dict.fromkeys([f"round {number}" for number in rounds], "+.3f"),
        )
        yield from families.corrected([*self._size_and_ground()])

    def separation(self) -> Table:
        """Silhouette by class, and agreement with the other classes in the image."""
        text = "silhouette in the features in which they were found, and agreement with the other classes in the image"
        return self.by_class("clusters", cluster_scores.OF_ALL_DATA, text)

    def truth(self) -> Table | Note:
        """Agreement with the true sub-types by class."""
        if self.clustered.subtypes is None:
            return Note("Agreement with true sub-types can be measured on generated images only.")
        return self.by_class("truth", cluster_scores.OF_GENERATED, "agreement with the true sub-types")

    def by_class(self, name: str, shown: Sequence[str], text: str) -> Table:
        """Some scores of the clusters of the last round by class."""
        return Table(
            cluster_scores.by_class({each: self.quality[each][self.rounds] for each in shown}, self.clustered.classes),
            name,
            f"Clusters of round {self.rounds} by class: {text}; {self.of_what}, {self.means}, in the "
            "last line with the 95 % interval.",
            formats=dict.fromkeys(shown, ".2f"),
        )

    def projection(self) -> Figure:
        """Fig. 3.6: the rows of the two heads by t-SNE, from four starts."""
        c, classes = self.accompanied, self.clustered.classes
        used = sorted(self.last.largest(c, self.last.k))
        found = self.of_one("t-SNE", self.classifier_of(self.seeds[0]), lambda: self.embedded(c, used))
        names = ["start: principal components", *(f"random start {s}" for s in range(STARTS))]
        panels = dict(zip(names, found, strict=True))
        return Figure(
            cluster_charts.embeddings(panels, classes, c, used),
            "fig_3_6",
            f"Fig. 3.6: t-SNE of the weight rows of {len(classes)} classes and of the {len(used)} sub-categories of "
            f"{classes[c]}, round {self.rounds}, training seed {self.seeds[0]}. Directions and distances between "
            "groups mean nothing.",
            "Four scatter plots with a point for each class and a numbered square for each sub-category; the "
            "arrangement differs from plot to plot.",
        )

    def matrices(self) -> Figure:
        """The same without a projection: cosines beside counts of images."""
        c, images, last = self.accompanied, self.clustered, self.last
        cosine = cluster_heads.cosines(self.heads(self.seeds[0]))
        nearest = [last.nearest(c, k, 1) for k in range(last.k)]
        examples = [images.image(of_cluster[0]) if of_cluster else None for of_cluster in nearest]
        together = cluster_heads.together(last, images.labels)
        return Figure(
            cluster_charts.matrices(cosine, together, c, images.classes, examples),
            "fig_3_6_matrices",
            f"The sub-categories of {images.classes[c]}, each with its size and the image nearest to its centroid: "
            "cosines of their weight rows with those of the other classes, and images of the cluster that show those "
            f"too (shade: share of the cluster). Round {self.rounds}, {self.of_what}, seed {self.seeds[0]}.",
            "Two matrices with a line for each cluster and a column for each other class, cosines above, counts below.",
        )

    def resemblance(self) -> Iterator[Exhibits]:
        """Cosines and counts, and whether one follows the other more than by chance."""
        yield self.matrices
        c, classes = self.accompanied, self.clustered.classes
        yield Table(
            cluster_heads.resemblance_table(self.resembling, c, classes[c]),
            "resemblance",
            "Correlation of cosines and company over clusters and other classes, its chance level, and the "
            f"difference; round {self.rounds}, {self.of_what}, {self.over}.",
            formats={"correlation": ".2f", "by chance": ".2f", "difference": "+.2f"},
        )
        yield from families.corrected([*self._resembling()])

    def _resembling(self) -> Iterator[Verdict]:
        of_shares = self.resembling[cluster_heads.READINGS[0]]
        c, classes = self.accompanied, self.clustered.classes
        for whose, chosen in ((f"of {classes[c]}", [c]), ("in the mean over classes", [*range(len(classes))])):
            above = over_seeds([cluster_quality.mean_over_classes(run.above[chosen]) for run in of_shares])
            claim = f"Rows of sub-categories resemble the classes that come along ({whose})"
            yield judged(claim, above, "Correlation minus its chance level.", format="+.2f")

    def first_and_last(self) -> Iterator[Figure]:
        """Fig. 3.9 to 3.11: all clusters of a class in the first and the last round, matched."""
        images, subtypes, rounds = self.clustered, self.clustered.subtypes, (self.first, self.last)
        marks = cluster_moves.marks(*rounds, subtypes)
        partners = cluster_quality.match(self.first.assignments, self.last.assignments, self.last.k)
        chosen = cluster_tables.choose_classes(images, FIGURES_3_9_TO_3_11, self.classes_shown)
        names = ("round 1", f"round {self.rounds}")
        for figure, c in zip(IN_BOTH_ROUNDS, chosen, strict=False):
            became = cluster_moves.in_words(self.found, 1, self.rounds, subtypes, c, self.seeds[0])
            yield Figure(
                cluster_pictures.rounds_sheet(images, rounds, marks, c, partners[c], self.images_per_cluster, names),
                f"fig_{figure.replace('.', '_')}",
                f"Fig. {figure}: all clusters of {images.classes[c]} in rounds 1 and {self.rounds}, matched, by the "
                f"{self.images_per_cluster} images nearest to each centroid; {self.of_what}, "
                f"seed {self.seeds[0]}. {became}",
                f"Clusters of {images.classes[c]} as lines of images, round 1 left and round {self.rounds} right; some "
                "images are framed red with the letter T or dashed yellow with the letter S.",
            )

    def moves(self) -> Iterator[Table]:
        """How many clusters and true sub-types of a class moved together, were kept and were scattered."""
        sets: dict[str, tuple[str, Any]] = {"clusters": ("moves_clusters", None)}
        if self.clustered.subtypes is not None:
            sets["true sub-types"] = ("moves_subtypes", self.clustered.subtypes)
        for what, (name, groups) in sets.items():
            counted = cluster_moves.movement_table(self.found, 1, self.rounds, groups, self.clustered.classes)
            yield Table(
                counted,
                name,
                f"Number of {what} of a class that moved together, were kept together and were scattered between "
                f"rounds 1 and {self.rounds}, each with its chance level; {self.of_what}, "
                f"{self.means}, in the last line with the 95 % interval.",
                formats=dict.fromkeys(counted, ".1f"),
            )

    def moves_verdicts(self) -> Iterator[Exhibit]:
        """Whether clusters are kept and sub-types move together more often than by chance, the primary claim first."""
        yield self.primary
        yield Note(families.NOTE)
        yield from self.secondary["moves"]

    @property
    def primary(self) -> Verdict:
        """That of Figs 3.9 to 3.11 where sub-types are known, elsewhere that clusters are kept."""
        subtypes = self.clustered.subtypes
        if subtypes is None:
            return self._kept(primary=True)
        return judged(
            f"True sub-types that were apart in round 1 are together in round {self.rounds}, more often than by chance",
            cluster_moves.net(self.found, 1, self.rounds, subtypes, "moved together"),
            "Sub-types a class that moved together, minus their chance level; the claim of Figs 3.9 to 3.11.",
            place=MOVED_TOGETHER,
            of_interest=None,
            primary=True,
        )

    def _kept(self, *, primary: bool = False) -> Verdict:
        return judged(
            f"More clusters are kept from round 1 to {self.rounds} than by chance",
            cluster_moves.net(self.found, 1, self.rounds, None, "kept"),
            "Clusters a class, minus their chance level.",
            of_interest=None,
            primary=primary,
        )

    @cached_property
    def secondary(self) -> Mapping[str, Sequence[Verdict]]:
        """The other claims on what clusters follow and how they move, one family, by where they are shown."""
        asked = {"moves": self._other_moves(), "hypothesis": self._followed()}
        return families.together({name: [(each, None) for each in part] for name, part in asked.items()}, ())

    def _size_and_ground(self) -> Iterator[Verdict]:
        for what, values in self.followed_by_size[-1].items():
            yield judged(f"Clusters follow the {what}", over_seeds(values), "AMI, 0 by chance.", format="+.3f")

    def _other_moves(self) -> Iterator[Verdict]:
        subtypes = self.clustered.subtypes
        if subtypes is not None:
            yield self._kept()
            yield judged(
                "More true sub-types move together than are scattered",
                cluster_moves.surplus(self.found, 1, self.rounds, subtypes),
                "Moved together minus scattered, sub-types a class.",
                of_interest=None,
            )

    def _followed(self) -> Iterator[Verdict]:
        quality, last = self.quality, self.rounds
        company = cluster_scores.overall(quality, AMI_OTHERS, last)
        yield judged(
            "Clusters follow the other classes in the image", company, "AMI, which is 0 by chance.", format="+.2f"
        )
        if self.clustered.subtypes is not None:
            kind = cluster_scores.overall(quality, AMI_TRUE, last)
            yield judged("Clusters follow the true sub-types", kind, "AMI, 0 by chance.", format="+.3f")
            yield judged(
                "Hypothesis: clusters follow the other classes rather than the sub-types",
                cluster_scores.further(quality, AMI_OTHERS, AMI_TRUE, last),
                "Difference of the two, paired over seeds.",
                format="+.2f",
            )

    def hypothesis(self) -> Iterator[Table | KeyNumber | Verdict]:
        """Whether clusters follow company rather than kind."""
        quality, last = self.quality, self.rounds
        yield Table(
            cluster_scores.followed_table(quality, last),
            "hypothesis",
            f"Agreement of the clusters of round {last} with what they might follow: AMI, which is 0 for nothing in "
            f"common, and NMI minus its chance level; mean over classes, {self.of_what}, {self.over}.",
            formats=dict.fromkeys(FOLLOWED, "+.3f"),
        )
        company = cluster_scores.overall(quality, AMI_OTHERS, last)
        label = "AMI of clusters with the other classes"
        yield KeyNumber(label, company, note=self.of_what, format=".2f", unit="")
        if self.clustered.subtypes is not None:
            kind = cluster_scores.overall(quality, AMI_TRUE, last)
            label = "AMI of clusters with the true sub-types"
            yield KeyNumber(label, kind, note=self.of_what, format=".3f", unit="")
        yield from self.secondary["hypothesis"]
