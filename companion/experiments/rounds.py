"""Table 3.2: response maps and clusters of SC-CAM round after round, and every kept epoch of each round.

Thesis section 3.4.2 and Algorithm 1. Round 0 is plain CAM (A26); the thesis takes three rounds, `rounds` more or fewer.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from companion.analysis import by_class, chance, cluster_scores, cluster_tables, families, maps, measures, round_scores
from companion.analysis.by_class import Pair
from companion.analysis.claims import (
    Claim,
    Place,
    Row,
    Verdict,
    difference,
    judged,
    points,
    remarks,
    seed_values,
    versus,
    within,
)
from companion.analysis.cluster_scores import Quality
from companion.analysis.families import Judged
from companion.analysis.maps import over_seeds
from companion.analysis.measures import Scores
from companion.analysis.methods import PLAIN_CAM
from companion.drawing import cluster_charts, curves
from companion.drawing import rounds as charts
from companion.experiments import printed, row_stages
from companion.experiments.chapter_3 import sc_cam, separation
from companion.experiments.declared import class_table, primary
from companion.experiments.exhibits import Exhibit, Figure, KeyNumber, Note, Table
from companion.experiments.experiment import SCORED, Experiment
from companion.experiments.own_rows import check_plain
from companion.experiments.printed_differences import MAPS, above, find, of_rounds
from companion.experiments.round_clusters import judged_clusters
from companion.pipeline.store import Stage
from thesislib.data.voc import VocDataset

SOURCE = "Table 3.2"


@dataclass(frozen=True, kw_only=True, eq=False)
class Table32(Experiment):
    """Do response maps improve with every round, do they converge, and do the clusters become better?"""

    notebook: ClassVar = "33_rounds"
    needs_truth: ClassVar = SCORED
    reproduces: ClassVar = ("table-3.2",)

    rounds: int
    margin: float
    data_seed: int

    @cached_property
    def rows(self) -> dict[int, Row]:
        """The row of each round.

        Raises:
            SettingsError: not even one round, or the settings already have a regulariser or a round.
        """
        check_plain(self.settings)
        sc_cam(self.rounds)
        rows = {r: Row(f"round {r}", {"subcategories.round": r}) for r in range(1, self.rounds + 1)}
        return {0: PLAIN_CAM} | rows

    @cached_property
    def kept(self) -> dict[tuple[int, int], Row]:
        """Every kept epoch of every round (S7), by round and epoch; the epoch that is used has the row of its round."""
        found = {}
        for number, row in self.rows.items():
            if number:
                used = self.settings.override(row.overrides).subcategories.used_epoch
                for epoch in sorted({*self.settings.subcategories.checkpoints, used}):
                    at = Row(f"{row.name}, epoch {epoch}", row.overrides | {"cam.epoch": epoch}, control=True)
                    found[number, epoch] = row if epoch == used else at
        return found

    @cached_property
    def steps(self) -> dict[tuple[int, int], Claim]:
        """What the thesis claims: that mIoU rises from round to round, by the numbers of the two."""
        return round_scores.steps(self.rows)

    # --- Stages ---

    @property
    def maps(self) -> Mapping[tuple[str, int], Stage]:
        """The stage of the response maps of every round and kept epoch, by row name and seed."""
        every = {row.name: row for row in (*self.rows.values(), *self.kept.values())}
        return row_stages.response_map_stages(self.settings, every.values(), self.seeds, self.machine)

    @property
    def features(self) -> Mapping[tuple[int, int], Stage]:
        """The stage of the features by round and seed."""
        return row_stages.feature_stages(self.settings, range(self.rounds + 1), self.seeds, self.machine)

    @property
    def labels(self) -> Mapping[tuple[int, int], Stage]:
        """The stage of the clusters that are the labels of a round, by round and seed.

        Those after the last round come from its network and train nothing.
        """
        return row_stages.cluster_stages(self.settings, range(1, self.rounds + 2), self.seeds, self.machine)

    def stages(self) -> list[Stage]:
        return [*self.maps.values(), *self.features.values(), *self.labels.values()]

    # --- Scores ---

    @cached_property
    def scores(self) -> Mapping[str, Scores]:
        """Scores of the maps by split."""
        folders = self.compute(self.maps)
        return {split: measures.read_scores(folders, split) for split in ("train", "val")}

    @cached_property
    def trained_on(self) -> VocDataset:
        """The images that the classifiers are trained on and that are clustered."""
        return self.images("trainaug")

    @cached_property
    def quality(self) -> Quality:
        """How good the clusters of every round are."""
        features, labels = self.compute(self.features), self.compute(self.labels)
        images, found = self.trained_on, cluster_tables.read_rounds(labels)
        separate = separation(found, features, labels, self.keep)
        return cluster_scores.measure(found, separate, images.labels, images.subtypes)

    @cached_property
    def thesis(self) -> Mapping[str, Mapping[int, float]]:
        """Table 3.2 by column, `miou` or `f_score`, and round."""
        table = printed.table("table_3_2")
        return {column: dict(zip(table["round"], table[column], strict=True)) for column in ("miou", "f_score")}

    @property
    def data_note(self) -> str:
        images = f"{len(self.on_train)} of train and {len(self.on_val)} of val"
        return f"trained on {len(self.trained_on)} images; {images}, all with masks"

    # --- Exhibits, in the order of the notebook ---

    def table(self) -> Iterator[Table | Figure | KeyNumber]:
        """Table 3.2 on val and train, as a chart, and its last line."""
        beside = {
            "mIoU": ("thesis, mIoU", Place(SOURCE, "val", "response maps", "mIoU by round")),
            "F of the means": ("thesis, F-Score", Place(SOURCE, "val", "response maps", "F-Score by round")),
        }
        thesis = {"thesis, mIoU": self.thesis["miou"], "thesis, F-Score": self.thesis["f_score"]}
        for split, images, with_printed in (("val", self.on_val, True), ("train", self.on_train, False)):
            yield Table(
                round_scores.by_round(self.scores[split], self.rows, thesis if with_printed else None),
                f"table_3_2_{split}",
                f"Table 3.2 on {split}, in per cent: mIoU and both readings of the F-Score by round, and the largest "
                f"mean of F1 that the mIoU allows; {self.of_maps}, {len(images)} images of {split}, {self.over}.",
                best=["mIoU", "F of the means", "mean of F1"],
                beside=beside if with_printed else {},
                note="The printed values are single runs on VOC 2012 val." if with_printed else "",
            )
        yield self.over_rounds()
        for label, measure in (("mIoU", measures.fixed_miou), ("F of the means", measures.f_of_means)):
            heading, place = beside[label]
            yield KeyNumber(
                f"{label} on val after round {self.rounds}",
                over_seeds(seed_values(self.scores["val"], self.rows[self.rounds].name, measure)),
                thesis[heading].get(self.rounds),
                place=Place(place.source, place.split, place.stage, place.measure, f"{self.rounds}"),
            )

    def over_rounds(self) -> Figure:
        """mIoU by round at both thresholds."""
        return Figure(
            charts.over_rounds(self.scores["val"], self.scores["train"], self.rows),
            "rounds",
            f"mIoU by round on {len(self.on_val)} images of val and {len(self.on_train)} of train, unrefined maps at "
            f"the fixed threshold {self.threshold} (solid) and at each run's oracle threshold (dashed); means and 95 % "
            f"intervals over {self.seeds_in_words}. Round 0 is plain CAM.",
            "Two panels, val and train, each with two lines over the rounds: mIoU at the fixed and at the oracle "
            "threshold.",
        )

    @property
    def of_maps(self) -> str:
        """What is scored, in words."""
        return f"unrefined response maps with the true image labels at the fixed threshold {self.threshold}"

    def verdicts(self) -> Iterator[Exhibit]:
        """Whether the last round is above plain CAM, whether mIoU rises from each to the next, whether it converged."""
        val, train, miou = self.scores["val"], self.scores["train"], self.thesis["miou"]
        yield self.primary()
        yield Note(families.NOTE)
        family = {"steps": [*self.judged_steps()], "F-Score": [*self.judged_f_scores()]}
        for part in families.together(family, self.on_val.classes).values():
            yield from part
        yield self.converged()
        pairs = {f"round {b} > round {a}": self.compared(val, step) for (a, b), step in self.steps.items()}
        yield class_table(pairs, self.on_val.classes, "by_class", f"mIoU on val, {self.of_maps}, {self.over}")
        yield Table(
            round_scores.steps_table(val, train, self.steps, miou),
            "steps",
            f"Steps between rounds, paired differences: mIoU in points on {len(self.on_val)} images of val at the "
            f"fixed threshold {self.threshold} and at the oracle one, on {len(self.on_train)} images of train at the "
            f"fixed one, and F of the means on val; unrefined maps, {self.over}.",
            formats=dict.fromkeys(("thesis, VOC val", *round_scores.STEP_READINGS), "+.1f"),
            note="Verdicts on “it rises”, in the order of the columns: ✓ holds, ✗ opposite, ? undecided; of each "
            "interval by itself.",
        )

    def compared(self, scores: Scores, step: Claim) -> Pair:
        """Counts of the later and of the earlier round of a step."""
        return by_class.pair(scores, step.row.name, step.reference.name)

    def primary(self) -> Verdict:
        """The primary claim: after the last round maps are above those of plain CAM."""
        claim = Claim(f"Round {self.rounds} is above plain CAM", self.rows[self.rounds], self.rows[0], primary=True)
        moved = maps.moved(self.scores["train"], self.scores["val"], [claim.row.name, claim.reference.name])
        thesis, there = round_scores.printed_step(self.thesis["miou"], 0, self.rounds), of_rounds(0, self.rounds)
        return primary(claim, moved, self.on_val.classes, thesis, there.place if there else None)

    def judged_steps(self) -> Iterator[Judged]:
        """Whether mIoU rises, at the fixed threshold on val."""
        val, train = self.scores["val"], self.scores["train"]
        for numbers, claim in self.steps.items():
            found = round_scores.readings(val, train, claim)
            thesis, there = round_scores.printed_step(self.thesis["miou"], *numbers), of_rounds(*numbers)
            place = there.place if there else None
            said = judged(claim.text, found["val, fixed"], remarks(thesis, found), thesis=thesis, place=place)
            yield said, self.compared(val, claim)

    def judged_f_scores(self) -> Iterator[Judged]:
        """Whether the F-Score rises, in the reading that fits what is printed (S9)."""
        for (before, after), claim in self.steps.items():
            rows = claim.row.name, claim.reference.name
            found = difference(self.scores["val"], *rows, measures.f_of_means)
            there = find("val", MAPS, above(f"round {after}", f"round {before}"), "F-Score")
            thesis, place = (there.thesis, there.place) if there else (None, None)
            text = f"The F-Score rises from round {before} to round {after} (F of the means, val)"
            yield judged(text, found, thesis=thesis, place=place), None

    def converged(self) -> Verdict:
        """Whether the last step lies within the margin."""
        last = self.steps[self.rounds - 1, self.rounds]
        change = difference(self.scores["val"], last.row.name, last.reference.name)
        most = points(self.margin)
        steps = f"from round {self.rounds - 1} to round {self.rounds}"
        return within(f"It has converged: {steps} mIoU changes by at most {most} (val)", change, self.margin)

    def chance_table(self) -> Table:
        """What seeds can decide of the steps and of the margin."""
        return Table(
            **chance.seeds_table(
                chance.differences([*self.steps.values()], self.scores["val"]),
                f"steps between rounds at the fixed threshold {self.threshold}, paired differences",
                f"unrefined response maps with the true image labels on {len(self.on_val)} images of val, {self.over}",
                margin=self.margin,
                printed={
                    versus(step): round_scores.printed_step(self.thesis["miou"], *numbers)
                    for numbers, step in self.steps.items()
                },
            )
        )

    def epochs(self) -> Iterator[Figure | Table]:
        """Every kept epoch, and what choosing one by val would add."""
        images = f"{len(self.on_val)} images of val"
        yield Figure(
            charts.over_epochs(self.kept, self.rows, self.scores["val"]),
            "epochs",
            f"mIoU by epoch and round, {self.of_maps}, {images}, means and 95 % intervals over {self.seeds_in_words}. "
            f"A ring marks the epoch that is used, in whose features the labels of the next "
            "round are found.",
            "A line for each round over the kept epochs, with a ring around the epoch that is used.",
        )
        yield Table(
            round_scores.epochs_table(self.kept, self.rows, self.scores["val"]),
            "epochs",
            "mIoU in per cent after every kept epoch, the epoch that is used, and by how many points the kept epoch "
            f"that val itself would choose, seed by seed, is above it; {self.of_maps}, {images}, {self.over}.",
            formats={"best kept, minus used": "+.1f"},
            note="All of one training: its learning rate falls until the last epoch, so earlier ones are not finished.",
        )

    def clusters(self) -> Iterator[Exhibit]:
        """The labels of each round: how separate, how settled, and with what they agree."""
        of_what = f"K = {self.settings.subcategories.k}, {len(self.trained_on)} training images, means over classes"
        known = self.trained_on.subtypes is not None
        yield Figure(
            curves.against(cluster_charts.quality_lines(self.quality), "labels of round"),
            "clusters",
            "The clusters that are the labels of each round: silhouette, agreement with the labels of the round "
            f"before, and with the other classes in the image{' and the true sub-types' if known else ''}; {of_what}, "
            f"{self.over}. Those of round {self.rounds + 1} come from the last network and train nothing. Dotted: "
            "chance level.",
            "A panel for each kind of score, with lines over the rounds and dotted lines for what random clusters "
            "reach.",
        )
        company = "silhouette, and agreement with the other classes in the image"
        yield self.labels_table("clusters", cluster_scores.OF_ALL_DATA, company, of_what)
        before = "agreement with the labels of the round before and with those of round 1"
        yield self.labels_table("agreement", cluster_scores.OF_ROUNDS, before, of_what)
        if known:
            truth = "agreement with the true sub-types of the generated objects"
            yield self.labels_table("subtypes", cluster_scores.OF_GENERATED, truth, of_what)
        yield self.silhouettes()

    def labels_table(self, name: str, shown: Sequence[str], text: str, of_what: str) -> Table:
        """Some scores of the labels of each round."""
        return Table(
            cluster_scores.table(self.quality, shown),
            name,
            f"Labels of each round: {text}; {of_what}, {self.over}.",
            formats=dict.fromkeys(shown, ".2f"),
        )

    def silhouettes(self) -> Table:
        """Silhouettes by class."""
        of_rounds = {f"round {number}": seen for number, seen in self.quality[cluster_scores.SILHOUETTE].items()}
        frame = cluster_scores.by_class(of_rounds, self.trained_on.classes)
        return Table(
            frame,
            "silhouettes",
            f"Silhouette of the labels of each round by class, {self.means}, "
            f"{len(self.trained_on)} training images; the last line with its interval over seeds.",
            formats=dict.fromkeys(frame, ".2f"),
        )

    def cluster_verdicts(self) -> Iterator[Verdict]:
        """What became of the claims on clusters, a family of their own."""
        yield from families.corrected([*judged_clusters(self.quality, self.rounds)])
