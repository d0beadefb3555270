"""What must a sub-category be? Second heads that differ in their labels alone, after one round of Algorithm 1.

The thesis clusters pooled features (3.2) and asks neither whether other sub-categories would do nor whether they have
to say anything about the images. Every row learns its labels beside the same classes, from the same initial weights,
and each output of its second head has the same weight (`weight_of_outputs`). Nothing here corresponds to published
code; the labels are those of `thesislib.subcategories` and `thesislib.clustering`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from companion.analysis import cluster_scores, cluster_tables, families, labellings
from companion.analysis.claims import Claim, Row, Verdict, judged, paired
from companion.analysis.cluster_tables import Round
from companion.analysis.methods import PLAIN_CAM
from companion.datasets.demo.scenes import FORMS
from companion.drawing.cluster_pictures import Strip, sheet
from companion.experiments import row_stages
from companion.experiments.compared_maps import ComparedMaps
from companion.experiments.declared import primary
from companion.experiments.exhibits import Exhibit, Figure, Note, Table
from companion.experiments.own_rows import check_plain, check_trained
from companion.pipeline.artefacts import Subcategories
from companion.pipeline.stages import rounds
from companion.pipeline.store import Stage
from companion.settings import SettingsError
from thesislib.data.voc import VocDataset

FEATURES, LABELS, NUMBER, TAU, WEIGHT = (
    f"subcategories.{name}" for name in ("features", "labels", "number", "tau", "weight")
)
ONE_ROUND = {"subcategories.round": 1}
CLUSTERED = {
    "under_map": "features under the map",
    "initial": "features of the initial weights",
    "colours": "colour histograms",
}
"""What is clustered beside pooled features, by the value of `subcategories.features`."""
ADAPTIVE = {"silhouette": "K by silhouette", "finch": "K by FINCH"}
"""How many clusters a class has, by the value of `subcategories.number`."""
LINES, PICTURES = 3, 4  # clusters of the class in the figure, images of each


@dataclass(frozen=True, kw_only=True, eq=False)
class SubcategoryKinds(ComparedMaps):
    """Plain CAM, and a second head for every kind of sub-labels.

    Args:
        taus: of soft labels, a row each.
        adaptive: how the number of clusters of a class is chosen, `silhouette` or `finch`, a row and a control each.
    """

    notebook: ClassVar = "43_subcategories"
    beyond: ClassVar = True

    taus: Sequence[float]
    adaptive: Sequence[str]

    @cached_property
    def every_row(self) -> Mapping[str, Row]:
        """The rows by key: plain CAM, pooled features as published, other sub-labels, and the controls.

        Raises:
            SettingsError: a classifier from a file, or a regulariser, round or kind of sub-labels that is already set.
        """
        check_plain(self.settings)
        check_trained(self.settings, "this notebook")
        chosen = self.settings.subcategories
        if (chosen.features, chosen.labels, chosen.number) != ("own", "clusters", "fixed"):
            raise SettingsError(f"{FEATURES}, {LABELS} and {NUMBER} are what the rows differ in: leave them alone")
        rows = {"cam": PLAIN_CAM, "pooled": Row("pooled features", ONE_ROUND)}
        rows |= {key: self._row(name, {FEATURES: key}) for key, name in CLUSTERED.items()}
        rows |= {f"soft_{tau:g}": self._row(f"soft, tau {tau:g}", {LABELS: "soft", TAU: tau}) for tau in self.taus}
        rows["uniform"] = self._row("uniform", {LABELS: "uniform"}, control=True)
        rows["random"] = self._row("random", {LABELS: "random"}, control=True)
        for way in self.adaptive:
            name = ADAPTIVE.get(way, way)  # of what is not a way the settings say so
            rows[way] = self._row(name, {NUMBER: way})
            rows[f"{way}_random"] = self._row(f"random, {name}", {NUMBER: way, LABELS: "random"}, control=True)
        if self.generated:
            weight = chosen.weight * len(FORMS) / chosen.k
            rows["true"] = self._row("true sub-types", {LABELS: "true", WEIGHT: weight}, control=True)
        return rows

    @staticmethod
    def _row(name: str, overrides: Mapping[str, Any], control: bool = False) -> Row:
        return Row(name, {**ONE_ROUND, **overrides}, control=control)

    @property
    def labels(self) -> Mapping[tuple[str, int], Stage]:
        """The stage of the sub-labels by row name and seed."""
        second_heads = [row for key, row in self.rows.items() if key != "cam"]
        return row_stages.of_each(rounds.labels_stage, self.settings, second_heads, self.seeds, self.machine)

    def stages(self) -> list[Stage]:
        return [*super().stages(), *self.labels.values()]

    # --- Claims ---

    @property
    def claim(self) -> Claim:
        text = "Sub-categories found under the class map improve on those of pooled features"
        return Claim(text, self.every_row["under_map"], self.every_row["pooled"], primary=True)

    @property
    def against_random(self) -> Sequence[Claim]:
        """That the labels have to say something: each against random ones of the same number and sizes."""
        text = "Sub-labels that say something do better than random ones"
        rows, silent = self.every_row, {"cam", "random", "uniform"}
        dealt = {key: rows[f"{key}_random" if key in self.adaptive else "random"] for key in rows}
        return self.asked(
            Claim(text, row, dealt[key], control=True)
            for key, row in rows.items()
            if key not in silent and not key.endswith("_random")
        )

    @property
    def against_plain(self) -> Sequence[Claim]:
        """That a second head improves the maps, whatever its labels."""
        text, plain = "A second head improves on plain CAM", self.every_row["cam"]
        return self.asked(Claim(text, row, plain) for row in self.rows.values() if row != plain)

    @property
    def compared(self) -> Sequence[Claim]:
        return [self.claim, *self.against_random, *self.against_plain]

    @property
    def claims_of_completeness(self) -> Sequence[Claim]:
        return [claim for claim in self.against_plain if claim.row in (self.claim.row, self.claim.reference)]

    # --- Sub-labels ---

    @cached_property
    def found(self) -> Mapping[str, list[Subcategories]]:
        """The sub-labels by row name, one a seed."""
        folders = self.compute(self.labels)
        names = dict.fromkeys(name for name, _ in folders)
        return {name: [Subcategories.read(folders[name, seed]) for seed in self.seeds] for name in names}

    @cached_property
    def clustered(self) -> VocDataset:
        """The images that have sub-labels."""
        return self.images("trainaug")

    @cached_property
    def known(self) -> Mapping[str, np.ndarray]:
        """What sub-labels might follow: the set of other classes in an image and, where known, the true sub-types."""
        known = {cluster_scores.OTHERS: cluster_scores.other_classes(self.clustered.labels)}
        if self.clustered.subtypes is not None:
            known[cluster_scores.TRUE] = self.clustered.subtypes
        return known

    def followed(self) -> Iterator[Verdict]:
        """What the clusters of the primary claim follow, one family."""
        asked = {
            cluster_scores.OTHERS: ("less", -1, "the other classes in an image"),
            cluster_scores.TRUE: ("more", 1, "the true sub-types"),
        }
        rows = self.claim.row.name, self.claim.reference.name
        for name, values in self.known.items():
            how, sign, what = asked[name]
            ours, theirs = (
                labellings.follow([each.assignments for each in self.found[row]], [values] * len(self.seeds))
                for row in rows
            )
            text = f"Clusters under the class map follow {what} {how} than those of pooled features (AMI)"
            yield judged(text, paired(ours, theirs), "Difference of AMI.", sign=sign, format="+.2f")

    # --- Exhibits, in the order of the notebook ---

    def what_differs(self) -> Table:
        """The settings of the rows."""
        chosen = self.settings.subcategories
        return self.settings_of_rows(
            f"What distinguishes the rows; everything else is the preset's. All sub-labels are those of round 1: "
            f"features and maps are those of the plain classifier of the same seed; round 0 has no second head. "
            f"K = {chosen.k}, with silhouette and FINCH at most; tau is of soft labels alone; an output of a second "
            f"head has the weight {chosen.weight / chosen.k:g} / C in every row.",
            weights=("tau", "weight"),
        )

    def verdicts(self) -> Iterator[Exhibit]:
        """Do other sub-categories do better, do they have to say anything, and does a second head help at all?"""
        yield primary(self.claim, self.moved, self.on_val.classes, None, None)
        yield Note(families.NOTE)
        for family in (lambda each: each.against_random, lambda each: each.against_plain):
            asked = [*map(self.judged_as_primary, family(self))]
            yield from families.alone(asked, self.on_val.classes, self.unasked(family))
        yield self.lines("What sub-labels gain: the primary claim, each kind against random labels and plain CAM")

    def kinds(self) -> Iterator[Exhibit]:
        """What the sub-labels look like, and how far they agree."""
        of_what = f"{len(self.clustered)} images of trainaug, mean over classes"
        yield Table(
            labellings.table(self.found),
            "sub_labels",
            f"The sub-labels themselves: how many of a class have images, how much of the class the largest has, and "
            f"over how many the label of an image is spread (exp of its entropy); {of_what}, {self.over}.",
            formats=dict.fromkeys((labellings.NUMBER, labellings.LARGEST, labellings.SHARED), ".1f"),
        )
        one_each = {
            row.name: self.found[row.name]
            for key, row in self.rows.items()
            if key in ("pooled", *CLUSTERED, "random", *self.adaptive)
        }
        known = self.known
        frame = labellings.agreement(one_each, known)
        yield Table(
            frame,
            "agreement",
            f"How far sub-labels agree with each other, with the other classes in an image"
            f"{' and with the true sub-types' if cluster_scores.TRUE in known else ''}: AMI, 1 for the same groups and "
            f"0 for nothing in common; {of_what} and {self.seeds_in_words}.",
            formats=dict.fromkeys(frame, ".2f"),
        )
        yield from families.corrected([*self.followed()])

    def pictures(self) -> Figure:
        """The largest clusters of one class, of pooled features and of those under its map."""
        images, c = self.clustered, int(self.clustered.labels.sum(axis=0, dtype=int).argmax())
        pair = [self.rows[key].name for key in ("pooled", "under_map")]
        stages = {(i, self.seeds[0]): self.labels[name, self.seeds[0]] for i, name in enumerate(pair)}
        sides = cluster_tables.read_rounds(self.compute(stages)).values()
        strips = [_strips(images, found, c) for found in sides]
        return Figure(
            sheet([*zip(*strips, strict=False)], across=PICTURES, headings=[f"clusters of {name}" for name in pair]),
            "clusters",
            f"The largest clusters of {images.classes[c]} among pooled features and among features under its map: the "
            f"images nearest to each centroid; seed {self.seeds[0]}.",
            "Two columns of lines of images, each line a cluster with the number of its images above.",
        )


def _strips(images: VocDataset, found: Round, c: int) -> list[Strip]:
    """The largest clusters of a class by the images nearest to their centroids."""
    return [
        Strip(f"{np.sum(found.assignments[:, c] == cluster)} images", [images.image(i) for i in nearest])
        for cluster in found.largest(c, LINES)
        if (nearest := found.nearest(c, cluster, PICTURES))
    ]
