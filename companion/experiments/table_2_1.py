"""Table 2.1 and Fig. 2.1 to 2.4 and 2.6: response maps of Mixup-CAM and of each of its parts, before and after step 2.

Thesis sections 2.2 to 2.4.2. To add a row, add a line to `rows` and, where something is claimed of it, to `claims`, or
give it to the notebook as its `extra_rows` parameter.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

from companion.analysis import by_class, chain, families, forward, maps, measures, mechanism
from companion.analysis.claims import (
    Claim,
    Place,
    Row,
    Verdict,
    added,
    grown,
    judged,
    printed_difference,
    versus,
)
from companion.analysis.families import Judged
from companion.analysis.mechanism import Mechanism
from companion.analysis.methods import MIXUP_CAM, PLAIN_CAM, regularisers
from companion.drawing import diagrams, image_grids
from companion.experiments import printed, reimplementation
from companion.experiments.claimed_maps import class_table
from companion.experiments.exhibits import Exhibit, Exhibits, Figure, KeyNumber, Note, Table
from companion.experiments.own_rows import check_plain, check_trained, other_form, own_key, rows_of_the_user
from companion.experiments.walked_maps import THE_TWO, WalkedMaps

SOURCE = "Table 2.1"
IN_FIGURES = ("cam", "mixup", "mixup_cam")


@dataclass(frozen=True, kw_only=True, eq=False)
class Table21(WalkedMaps):
    """Mixup, the entropy term and the concentration term, one by one and together."""

    notebook: ClassVar = "21_response_maps"
    two: ClassVar = THE_TWO
    reproduces: ClassVar = ("table-2.1", "fig-2.1", "fig-2.2", "fig-2.3", "fig-2.4", "fig-2.6")

    alpha: float
    lambda_ent: float
    lambda_con: float

    @cached_property
    def every_row(self) -> dict[str, Row]:
        """The five rows of Table 2.1, two control rows, and the user's own, which start from the plain classifier.

        Raises:
            SettingsError: a row's name is taken, `classifier.weights` names a file where the rows must be trained, or
                the settings already have a regulariser.
        """
        check_plain(self.settings)
        check_trained(self.settings, SOURCE)
        alpha, lambda_ent, lambda_con = self.alpha, self.lambda_ent, self.lambda_con
        full, other = regularisers(alpha, lambda_ent, lambda_con), other_form(self.settings)
        rows = {
            "cam": PLAIN_CAM,
            "mixup": Row("mixup", regularisers(alpha), "Mixup L_cls"),
            "entropy": Row("mixup + entropy", regularisers(alpha, lambda_ent), "Mixup L_cls + L_ent"),
            "concentration": Row(
                "mixup + concentration", regularisers(alpha, lambda_con=lambda_con), "Mixup L_cls + L_con"
            ),
            "mixup_cam": Row(MIXUP_CAM.name, full, MIXUP_CAM.printed),
            "no_mixup": Row("both terms, no mixup", regularisers(0, lambda_ent, lambda_con), control=True),
            "other_form": Row(
                f"Mixup-CAM, {other} form", full | {"classifier.concentration_form": other}, control=True
            ),
        }
        return rows | rows_of_the_user(self.extra_rows, rows.values())

    @cached_property
    def claims(self) -> Sequence[Claim]:
        """What the thesis claims with Table 2.1, then what the control rows ask."""
        rows, full = self.every_row, self.every_row["mixup_cam"]
        form = rows["other_form"].overrides["classifier.concentration_form"]
        own = [rows[own_key(name)] for name in self.extra_rows]
        every = [
            Claim("Mixup alone improves the response maps", rows["mixup"], rows["cam"]),
            Claim("The entropy term adds to mixup", rows["entropy"], rows["mixup"]),
            Claim("The concentration term adds to mixup", rows["concentration"], rows["mixup"]),
            Claim("All three together improve the response maps", full, rows["cam"], primary=True),
            Claim("Both terms together add to mixup", full, rows["mixup"]),
            Claim("The concentration term adds to mixup and entropy", full, rows["entropy"]),
            Claim("The entropy term adds to mixup and concentration", full, rows["concentration"]),
            Claim("Mixup adds to both terms together", full, rows["no_mixup"], control=True),
            Claim(
                f"The concentration term does better than in its {form} form", full, rows["other_form"], control=True
            ),
            *(Claim(f"{row.name} improves on Mixup-CAM", row, full, control=True) for row in own),
        ]
        return [claim for claim in every if {claim.row.name, claim.reference.name} <= self.names]

    @property
    def in_figures(self) -> list[Row]:
        """The rows of Fig. 2.1 that are asked for."""
        return self.of([key for key in IN_FIGURES if key in self.rows])

    @cached_property
    def thesis(self) -> Mapping[str, float | None]:
        """The printed mIoU of the maps on VOC train, by row name."""
        return maps.printed_values(self.scored, printed.table_2_1()["cam"])

    @cached_property
    def thesis_refined(self) -> Mapping[str, float | None]:
        """The printed mIoU after the random walk on VOC train, by row name."""
        return maps.printed_values([*self.every_row.values()], printed.table_2_1()["cam_refined"])

    @property
    def primary_printed(self) -> tuple[float | None, Place]:
        claim = self.primary_claim
        return printed_difference(claim, self.thesis), Place(SOURCE, "train", "response maps", row=versus(claim))

    @property
    def mechanisms(self) -> Sequence[Mechanism]:
        return [*super().mechanisms, mechanism.CALIBRATES]

    @cached_property
    def secondary(self) -> Mapping[str, Sequence[Verdict]]:
        """The claims on the maps, the walk, the claims after it, and whether it enlarges the leads."""
        family = {"maps": self.judged_maps()}
        if self.refined:
            walked = {"walk": self.judged_walk(), "refined": self.judged_refined(), "enlarged": self.judged_growth()}
            family |= {name: [*part] for name, part in walked.items()}
        left_out = self.unasked(lambda each: each.declared)
        return families.together(family, self.on_train.classes, left_out)

    @property
    def declared(self) -> Sequence[Row | Claim]:
        """What the verdicts of `secondary` are on."""
        return [*self.own_claims, *self.walk_helps, *self.own_claims_of_walked, *self.leads_that_grow]

    @property
    def walk_helps(self) -> Sequence[Row]:
        """The refined rows that the thesis prints."""
        return [row for row in self.walked if row.printed]

    @property
    def leads_that_grow(self) -> Sequence[Claim]:
        """The claims of refined rows on a lead over plain CAM, and on what the terms add to mixup."""
        smaller = [self.every_row[key].name for key in ("cam", "mixup")]
        return [claim for claim in self.own_claims_of_walked if claim.reference.name in smaller]

    def judged_maps(self) -> list[Judged]:
        """The thesis' claims by the maps at the fixed threshold."""
        found = []
        for claim in self.own_claims:
            place = Place(SOURCE, "train", "response maps", row=versus(claim))
            thesis = printed_difference(claim, self.thesis)
            verdict, both = self.judged_on(f"{claim.text}: {versus(claim)}", claim, self.train, thesis, place)
            remark = maps.other_readings(claim, self.train, self.val, self.thesis)
            found.append((replace(verdict, note=remark), both))
        return found

    def judged_walk(self) -> Iterator[Judged]:
        """That the random walk improves the maps, of every refined row that the thesis prints."""
        for row in self.walk_helps:
            place = Place(SOURCE, "train", "random walk minus response maps", row=row.name)
            both = self.refined["train"], self.train, row.name
            thesis = (self.thesis_refined[row.name] or 0) - (self.thesis[row.name] or 0)
            text = f"The random walk improves the response maps of {row.name}"
            yield judged(text, added(*both), thesis=thesis, place=place), by_class.added(*both)

    def judged_refined(self) -> Iterator[Judged]:
        """The thesis' claims by the refined maps."""
        for claim in self.own_claims_of_walked:
            thesis = printed_difference(claim, self.thesis_refined)
            place = Place(SOURCE, "train", "after the random walk", row=versus(claim))
            yield self.judged_on(f"After refinement: {versus(claim)}", claim, self.refined["train"], thesis, place)

    def judged_growth(self) -> Iterator[Judged]:
        """That the random walk enlarges a lead over plain CAM, and what the terms add to mixup."""
        for claim in self.leads_that_grow:
            place = Place(SOURCE, "train", "random walk minus response maps", row=versus(claim))
            after, before = (printed_difference(claim, each) or 0 for each in (self.thesis_refined, self.thesis))
            larger = grown(self.refined["train"], self.train, claim)
            text = f"Refinement enlarges the lead of {claim.row.name} over {claim.reference.name}"
            yield judged(text, larger, thesis=round(after - before, 1), place=place), None

    # --- Exhibits, in the order of the notebook ---

    def what_differs(self) -> Table:
        """The settings of the rows."""
        return self.row_settings(formats={"lambda_ent": "g", "lambda_con": "g"})

    def method(self) -> Figure:
        """Fig. 2.2 with the tensor shapes of this run."""
        crop = self.settings.classifier.augmentation.crop
        pair = [forward.square(self.on_train.image(i), crop) for i in (0, len(self.on_train) - 1)]
        shapes = forward.forward_shapes(
            forward.untrained_classifier(self.settings, len(self.on_train.classes)), pair[0]
        )
        return Figure(
            diagrams.method_diagram(shapes, *pair, network=forward.describe(self.settings)),
            "fig_2_2",
            "Fig. 2.2: the method with the tensor shapes of one forward pass (channels × rows × columns) and two "
            "images of train, mixed. The map that the concentration term acts on is that of the same pass (2.1).",
            "Diagram: two images are mixed, pass through the backbone E to features f; their mean gives the logits for "
            "the classification and entropy losses, the same weights give the map M for the concentration loss.",
        )

    def table(self) -> Iterator[Table | KeyNumber]:
        """Table 2.1, CAM column, at the fixed threshold."""
        yield reimplementation.beside(self.fixed_threshold("table_2_1", SOURCE, {"train": self.thesis}), "cam")
        for row in self.of(THE_TWO):
            yield self.key_number(SOURCE, row, "train", self.thesis[row.name])

    def every_threshold(self) -> Iterator[Figure | Table]:
        """Curves over the threshold, and the oracle."""
        controls = [row for row in self.scored if row.control]
        yield self.threshold_curves(
            [row for row in self.scored if not row.control],
            [*self.of(THE_TWO), *controls] if controls else [],
            "the rows of Table 2.1",
            "the control rows with CAM and Mixup-CAM again",
        )
        yield self.oracle_threshold()

    def verdicts(self) -> Iterator[Exhibit]:
        """The primary claim in its reading, then all others at the fixed threshold on train."""
        yield self.primary()
        yield self.how_decided()
        yield Note(maps.tally(self.claims, self.train, self.val))
        yield from self.secondary["maps"]
        yield from self.of_controls
        yield self.claims_table(self.claims, self.thesis)
        yield from self.class_tables()

    def chance_tables(self) -> Iterator[Table]:
        """How much of this is chance."""
        return self.chance(self.claims, self.thesis)

    def refined_column(self) -> Iterator[Note | Table]:
        """Table 2.1, refined column, and the two published baselines."""
        yield from self.not_run("The refined column is")
        refined = self.refined_table(
            "table_2_1_refined",
            f"Refined column: mIoU in per cent of the maps at the fixed threshold {self.threshold}, after the random "
            f"walk, and what the walk adds, in points; no CRF after it, true image labels given, {self.both}, "
            f"{self.over}.",
            ("train", "val"),
            {"train": self.thesis_refined},
            SOURCE,
            "thesis, refined, VOC {split}",
        )
        yield reimplementation.beside(refined, "refined")
        thesis = {key: self.thesis_refined[row.name] or 0 for key, row in self.every_row.items()}
        alone = f", and mixup alone ({thesis['mixup']}) is below it"
        yield self.baselines(self.rows["mixup_cam"], thesis["mixup_cam"], alone)

    def refined_verdicts(self) -> Iterator[Verdict | Table]:
        """What the random walk adds, the claims after it, and whether it enlarges the leads."""
        if not self.refined:
            return
        train, refined = self.train, self.refined["train"]
        for part in ("walk", "refined", "enlarged"):
            yield from self.secondary[part]
        yield class_table(
            {versus(claim): self.compared(claim, refined) for claim in self.claims_of_walked},
            self.on_train.classes,
            "by_class_refined",
            f"mIoU after the random walk, {len(self.on_train)} images of train, {self.over}",
        )
        yield Table(
            chain.claims(self.claims_of_walked, {"map": train, "refined": refined}, {"refined": self.thesis_refined}),
            "claims_refined",
            "Paired differences in mIoU points before and after the random walk: maps at the fixed threshold "
            f"{self.threshold} and refined maps, {len(self.on_train)} images of train, {self.over}.",
            formats=dict.fromkeys(("thesis, refined", "map", "refined"), "+.1f"),
            note="Verdicts: ✓ holds, ✗ opposite, ? undecided; of each interval by itself.",
        )

    def by_difficulty(self) -> Iterator[Exhibits]:
        """Fig. 2.1 and the numbers behind it."""
        yield self.at_percentiles
        yield self.spread(self.in_figures, "Fig. 2.1")

    def at_percentiles(self) -> Figure:
        """Fig. 2.1: images at fixed percentiles of the IoU with plain CAM."""
        rows = self.in_figures
        plain = measures.image_iou(self.train[self.rows["cam"].name][0])
        five = measures.nearest_to_quantiles(plain, [0.1, 0.3, 0.5, 0.7, 0.9])
        shown = image_grids.examples(self.on_train, five, self.of_first_seed(rows))
        return Figure(
            image_grids.compare(shown, self.threshold),
            "fig_2_1",
            "Fig. 2.1: the same images of train with plain CAM, with mixup, and with Mixup-CAM. IoU in per cent at the "
            f"fixed threshold {self.threshold} (white line), mean over the object classes of the image.",
            "Five images, their masks, and three response maps each over the greyed image.",
        )

    def one_class_each(self) -> Figure:
        """Fig. 2.3: for each class the first image that shows it alone."""
        alone = measures.first_alone(self.on_train.labels)[:10]
        shown = image_grids.examples(self.on_train, alone, self.of_first_seed(self.of(THE_TWO)))
        return Figure(
            image_grids.compare(shown, self.threshold, across=2),
            "fig_2_3",
            "Fig. 2.3: CAM and Mixup-CAM on train, for each class the first image that shows it alone; IoU at the "
            f"fixed threshold {self.threshold}.",
            "Images of single objects with their masks and two response maps each.",
        )

    def many(self) -> Figure:
        """Fig. 2.6: the first images of val."""
        count, drawing = self.first_of_val(self.of(THE_TWO))
        return Figure(
            drawing,
            "fig_2_6",
            f"Fig. 2.6: CAM and Mixup-CAM on the first {count} of {len(self.on_val)} images of val; IoU at the fixed "
            f"threshold {self.threshold}.",
            "Many images with their masks and two response maps each.",
        )
