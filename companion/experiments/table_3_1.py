"""Table 3.1 and Fig. 3.1 to 3.3: response maps of sub-category exploration (SC-CAM), before and after step 2.

Thesis sections 3.1 to 3.4.2. To add a row, add a line to `rows` and, where something is claimed of it, to `claims`, or
give it to the notebook as its `extra_rows` parameter.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

from companion.analysis import by_class, chain, cluster_tables, families, forward, maps, measures
from companion.analysis.claims import Claim, Place, Row, Verdict, added, grown, judged, printed_difference, versus
from companion.analysis.families import Judged
from companion.analysis.measures import Scores
from companion.analysis.methods import PLAIN_CAM
from companion.drawing import diagrams, image_grids
from companion.experiments import printed, reimplementation, row_stages
from companion.experiments.chapter_3 import NAME, controls, sc_cam
from companion.experiments.claimed_maps import ClaimedMaps, class_table
from companion.experiments.exhibits import Exhibit, Exhibits, Figure, KeyNumber, Note, Table
from companion.experiments.own_rows import check_plain, own_key, rows_of_the_user
from companion.experiments.printed_differences import WALK, find

SOURCE = "Table 3.1"
SPLITS = ("train", "val")
THE_TWO = ("cam", "sc_cam")
STAGES = {"map": "response maps", "refined": "after the random walk"}
"""What is scored, by the first word of a step such as `map, train`."""
ASKED = {
    "random": "Clusters do better than random groups of the same sizes",
    "parent": "Clusters do better than a second head on the classes",
    "true": "Clusters do better than the true sub-types",
    "schedule": "Sub-categories do better than the schedule of the rounds alone",
}
"""What is asked with each control row."""
PICTURES, SIDE = 4, 96  # clusters and images of each in Fig. 3.1; pixels


@dataclass(frozen=True, kw_only=True, eq=False)
class Table31(ClaimedMaps):
    """Plain CAM and sub-category exploration, beside second heads that learn something else than clusters."""

    notebook: ClassVar = "31_response_maps"
    two: ClassVar = THE_TWO
    reproduces: ClassVar = ("table-3.1", "fig-3.1", "fig-3.2", "fig-3.3")

    rounds: int

    @cached_property
    def every_row(self) -> dict[str, Row]:
        """The two rows of Table 3.1, the control rows, and the user's own, which start from the plain classifier.

        Raises:
            SettingsError: a row's name is taken, not even one round, or the settings already have a regulariser or a
                round.
        """
        check_plain(self.settings)
        rows = {"cam": replace(PLAIN_CAM, printed="AffinityNet"), "sc_cam": sc_cam(self.rounds)}
        rows |= controls(self.settings, rounds=self.rounds, generated=self.generated)
        return rows | rows_of_the_user(self.extra_rows, [*rows.values(), self.merged])

    @cached_property
    def merged(self) -> Row:
        """SC-CAM scored by the merged maps of its sub-categories (A17): other maps of the same row, not refined."""
        return Row(f"{NAME}, merged maps", sc_cam(self.rounds).overrides | {"cam.head": "merged"}, control=True)

    @property
    def scored(self) -> Sequence[Row]:
        others = [row for key, row in self.rows.items() if key not in THE_TWO]
        return [*self.in_figures, *others]

    @property
    def in_figures(self) -> list[Row]:
        """The two rows, and the merged maps unless only some rows are asked for."""
        return [*self.of(THE_TWO), *([] if self.only_rows else [self.merged])]

    @cached_property
    def claims(self) -> Sequence[Claim]:
        """What the thesis claims with Table 3.1, then what the control rows ask, last of the merged maps."""
        rows, explored = self.every_row, self.every_row["sc_cam"]
        own = [rows[own_key(name)] for name in self.extra_rows]
        every = [
            Claim("Sub-categories improve the response maps", explored, rows["cam"], primary=True),
            *(Claim(text, explored, rows[key], control=True) for key, text in ASKED.items() if key in rows),
            *(Claim(f"{row.name} improves on {NAME}", row, explored, control=True) for row in own),
            Claim("Merged maps do better than those of the classes (A17)", self.merged, explored, control=True),
        ]
        return [claim for claim in every if {claim.row.name, claim.reference.name} <= self.names]

    @cached_property
    def thesis(self) -> Mapping[str, Mapping[str, float | None]]:
        """The printed mIoU on VOC by step and split, such as `map, train`, and row name."""
        columns = {"map": "{}_cam", "refined": "{}_cam_rw"}
        return {
            f"{step}, {split}": maps.printed_values([*self.rows.values()], printed.table_3_1()[column.format(split)])
            for step, column in columns.items()
            for split in SPLITS
        }

    @cached_property
    def steps(self) -> Mapping[str, Scores]:
        """Scores by step and split, the refined ones where there are any."""
        found = {"map, train": self.train, "map, val": self.val}
        return found | {f"refined, {split}": scores for split, scores in self.refined.items()}

    # --- Exhibits, in the order of the notebook ---

    def what_differs(self) -> Table:
        """The settings of the rows."""
        chosen = self.settings.subcategories
        return self.row_settings(
            note="Round 0 has no second head, whatever its labels. Clusters are found in the features of the round "
            f"before, K = {chosen.k} a class; the second head has weight {chosen.weight:g}."
        )

    def idea(self) -> Figure:
        """Fig. 3.1, of the first image of val that shows a class alone and of the largest clusters of that class."""
        example = [*measures.first_alone(self.on_val.labels), 0][0]
        c = int(self.on_val.labels[example].argmax())
        (shown,) = image_grids.examples(self.on_val, [example], self.of_first_seed(self.of(THE_TWO)))
        return Figure(
            diagrams.idea(
                self.members(c),
                shown.image,
                {name: image_grids.overlay(shown.image, each.amax(dim=0).numpy()) for name, each in shown.maps.items()},
                self.on_val.classes[c],
            ),
            "fig_3_1",
            f"Fig. 3.1: training images of the class {self.on_val.classes[c]} under one label, which teaches plain "
            f"CAM, and under a label for each of their clusters, which teach SC-CAM beside it (round {self.rounds}, "
            "the largest clusters, a colour each, the images nearest to the centroid). The two maps are of one image "
            f"of val; seed {self.seeds[0]}.",
            "Two grids of the same images, framed in one colour and in a colour for each line, with an arrow to a "
            "response map each.",
        )

    def members(self, c: int) -> list[list]:
        """Images of the largest clusters of a class in the last round, the nearest to each centroid, as squares."""
        stages = row_stages.cluster_stages(self.settings, [self.rounds], self.seeds[:1], self.machine)
        found = cluster_tables.read_rounds(self.compute(stages))[self.rounds, self.seeds[0]]
        images = self.images("trainaug")
        return [
            [forward.square(images.image(i), SIDE) for i in found.nearest(c, cluster, PICTURES)]
            for cluster in found.largest(c, PICTURES)
        ]

    def method(self) -> Figure:
        """Fig. 3.2 with the tensor shapes of this run."""
        chosen = self.settings.subcategories
        picture = forward.square(self.on_train.image(0), chosen.crop)
        model = forward.untrained_classifier(self.settings, len(self.on_train.classes), chosen.k)
        return Figure(
            diagrams.subcategory_diagram(
                forward.forward_shapes(model, picture),
                picture,
                k=chosen.k,
                weight=chosen.weight,
                network=forward.describe(self.settings),
            ),
            "fig_3_2",
            "Fig. 3.2: the method with the tensor shapes of one forward pass (channels × rows × columns; heads: "
            "outputs × channels). The labels of the sub-categories come from the network of the round before; the "
            "response map is that of the class head.",
            "Diagram: an image passes through the backbone E to features f; their mean is clustered into the labels "
            "Y_s and feeds the heads H_p and H_s with a loss each; H_p and f give the response map M.",
        )

    def table(self) -> Iterator[Table | KeyNumber]:
        """Table 3.1, CAM columns, at the fixed threshold."""
        thesis = {split: self.thesis[f"map, {split}"] for split in SPLITS}
        yield reimplementation.beside(self.fixed_threshold("table_3_1", SOURCE, thesis), "cam")
        for row in self.of(THE_TWO):
            for split in SPLITS:
                yield self.key_number(SOURCE, row, split, thesis[split][row.name])

    def every_threshold(self) -> Iterator[Figure | Table]:
        """Curves over the threshold, and the oracle."""
        yield self.threshold_curves(
            self.in_figures,
            [*self.rows.values()] if len(self.rows) > len(THE_TWO) else [],
            f"the rows of {SOURCE} and the merged maps",
            "the control rows with CAM and SC-CAM again",
        )
        yield self.oracle_threshold()

    def refined_columns(self) -> Iterator[Note | Table]:
        """Table 3.1, refined columns, and the two published baselines."""
        yield from self.not_run("The refined columns are")
        for split, images in (("train", self.on_train), ("val", self.on_val)):
            table = self.refined_table(
                f"table_3_1_refined_{split}",
                f"Refined column, {len(images)} images of {split}: mIoU in per cent of the maps at the fixed threshold "
                f"{self.threshold}, after the random walk, and what the walk adds, in points; no CRF after it, true "
                f"image labels given, {self.over}.",
                [split],
                {split: self.thesis[f"refined, {split}"]},
                SOURCE,
                "thesis, refined, VOC {split}",
            )
            yield reimplementation.beside(table, "refined") if split == "train" else table
        ours = self.rows["sc_cam"]
        yield self.baselines(ours, self.thesis["refined, train"][ours.name] or 0)

    def verdicts(self) -> Iterator[Exhibit]:
        """The primary claim in its reading, the same before and after the walk, and whether that enlarges the lead."""
        yield self.primary()
        yield self.how_decided()
        for part in self.secondary.values():
            yield from part

    @property
    def primary_printed(self) -> tuple[float | None, Place]:
        claim = self.primary_claim
        return printed_difference(claim, self.thesis["map, val"]), Place(
            SOURCE, "val", STAGES["map"], row=versus(claim)
        )

    @cached_property
    def secondary(self) -> Mapping[str, Sequence[Verdict]]:
        """The thesis' claim in each step and split, the walk, and whether it enlarges the lead."""
        family = {"steps": self.judged_steps(), "walk": self.judged_walk(), "enlarged": self.judged_growth()}
        left_out = self.unasked(lambda each: each.declared)
        return families.together({name: [*part] for name, part in family.items()}, self.on_train.classes, left_out)

    @property
    def declared(self) -> Sequence[str]:
        """What the verdicts of `secondary` are on: in both splits the maps, and what is refined."""
        refined = ("refined", *THE_TWO, "enlarged") if self.walked else ()
        return [f"{what}, {split}" for split in SPLITS for what in ("map", *refined)]

    def judged_steps(self) -> Iterator[Judged]:
        """The thesis' claim in each step and split."""
        claim = self.primary_claim
        for step, scores in self.steps.items():
            kind, split = step.split(", ")
            thesis = printed_difference(claim, self.thesis[step])
            place = Place(SOURCE, split, STAGES[kind], row=versus(claim))
            yield self.judged_on(f"{claim.text}: {versus(claim)} ({step})", claim, scores, thesis, place)

    def judged_walk(self) -> Iterator[Judged]:
        """That the random walk improves the maps of both rows."""
        for split in self.refined:
            for row in self.of(THE_TWO):
                both = self.refined[split], self.steps[f"map, {split}"], row.name
                text = f"The random walk improves the response maps of {row.name} ({split})"
                there = find(split, WALK, row.name)
                thesis, place = (there.thesis, there.place) if there else (None, None)
                yield judged(text, added(*both), thesis=thesis, place=place), by_class.added(*both)

    def judged_growth(self) -> Iterator[Judged]:
        """That the random walk enlarges the lead."""
        claim = self.primary_claim
        for split in self.refined:
            larger = grown(self.refined[split], self.steps[f"map, {split}"], claim)
            text = f"Refinement enlarges the lead of {claim.row.name} ({split})"
            place = Place(SOURCE, split, "random walk minus response maps", row=versus(claim))
            yield judged(text, larger, thesis=self.printed_growth(claim, split), place=place), None

    def printed_growth(self, claim: Claim, split: str) -> float:
        """How much larger the printed difference is after the random walk, in points."""
        before, after = (printed_difference(claim, self.thesis[f"{step}, {split}"]) or 0 for step in STAGES)
        return round(after - before, 1)

    def control_verdicts(self) -> Iterator[Verdict]:
        """What the control rows answer."""
        yield from self.of_controls

    def claims_tables(self) -> Iterator[Table]:
        """Every claim in the three readings, and on each split before and after the walk."""
        yield self.claims_table(self.claims, self.thesis["map, train"])
        for split, images in (("train", self.on_train), ("val", self.on_val)):
            steps = {step: scores for step, scores in self.steps.items() if step.endswith(split)}
            yield Table(
                chain.claims(self.claims_among(self.to_walk), steps, self.thesis),
                f"claims_{split}",
                f"Paired differences in mIoU points on {len(images)} images of {split}: maps at the fixed threshold "
                f"{self.threshold}{' and after the random walk' if self.refined else ''}; {self.over}.",
                formats=dict.fromkeys([*steps, *(f"thesis, {step}" for step in steps)], "+.1f"),
                note="Verdicts: ✓ holds, ✗ opposite, ? undecided; of each interval by itself.",
            )
        yield from self.class_tables()
        for split, scores in self.refined.items():
            yield class_table(
                {versus(claim): self.compared(claim, scores) for claim in self.claims_of_walked},
                self.on_train.classes,
                f"by_class_refined_{split}",
                f"mIoU after the random walk on {split}, {self.over}",
            )

    def chance_tables(self) -> Iterator[Table]:
        """How much of this is chance."""
        return self.chance(self.claims, self.thesis["map, train"])

    def one_class_each(self) -> Figure:
        """Fig. 3.3: for each class the first image of train that shows it alone."""
        alone = measures.first_alone(self.on_train.labels)[:10] or [0]
        shown = image_grids.examples(self.on_train, alone, self.of_first_seed(self.in_figures))
        return Figure(
            image_grids.compare(shown, self.threshold),
            "fig_3_3",
            "Fig. 3.3: CAM, SC-CAM and its merged maps on train, for each class the first image that shows it alone. "
            f"IoU in per cent at the fixed threshold {self.threshold} (white line), mean over the object classes of "
            "the image.",
            "Images of single objects with their masks and three response maps each over the greyed image.",
        )

    def many(self) -> Iterator[Exhibits]:
        """As Fig. 3.3, of the first images of val, and the numbers behind it."""
        yield self.first_images
        yield self.spread(self.in_figures, "Fig. 3.3")

    def first_images(self) -> Figure:
        """As Fig. 3.3, of the first images of val."""
        count, drawing = self.first_of_val(self.of(THE_TWO))
        return Figure(
            drawing,
            "fig_3_3_val",
            f"As Fig. 3.3: CAM and SC-CAM on the first {count} of {len(self.on_val)} images of val; IoU at the fixed "
            f"threshold {self.threshold}.",
            "Many images with their masks and two response maps each.",
        )
