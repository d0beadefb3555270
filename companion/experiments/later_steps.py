"""Does self-regularisation help in steps 2 and 3? Mixup and the entropy term in AffinityNet and in DeepLab-v2.

The thesis regularises the classifier alone. Here the response maps are those of plain CAM in every row, and one later
step is trained otherwise: AffinityNet, judged by the maps after the random walk, or the segmentation network on the
same pseudo-masks. `thesislib.later_objectives` has the terms and their sources; nothing here corresponds to published
code.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from operator import attrgetter
from typing import Any, ClassVar

import pandas as pd

from companion.analysis import by_class, chain, chance, durations, families, maps, measures
from companion.analysis.chain import Chain, Folders
from companion.analysis.claims import Claim, Row, difference, seed_differences, seed_values, versus
from companion.analysis.maps import over_seeds
from companion.analysis.methods import PLAIN_CAM, SUPERVISED
from companion.analysis.statistics import Interval, mean_interval
from companion.drawing.differences import differences
from companion.experiments import row_stages
from companion.experiments.after_step import AfterStep, judged_after
from companion.experiments.declared import class_table
from companion.experiments.exhibits import Exhibit, Figure, Note, Table
from companion.experiments.experiment import SCORED, Experiment
from companion.experiments.own_rows import check_plain, check_trained, only
from companion.pipeline.store import Stage
from companion.settings import SettingsError
from thesislib.refinement import crf

NETWORKS = {"affinity": "AffinityNet", "segmentation": "DeepLab"}
"""The trained steps by the name of their settings."""
REGULARISED = ("mixup_alpha", "mixing", "lambda_ent")
PLAIN = replace(PLAIN_CAM, name="plain")
BEFORE = "plain CAM, before the walk"
GIVEN = (*durations.GIVEN, "labels", "masks", *(f"maps of {split}" for split in ("train", "trainaug", "val")))
"""What the networks are taught by and applied to, which is alike in all rows."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LaterSteps(Experiment):
    """Plain training of both networks, and rows in which one of the two is regularised.

    Args:
        alpha: of mixup, as Beta(alpha, alpha).
        lambda_ent: weight of the entropy term, whose entropies are at most 1.
        only_rows: keys of the rows that are asked for; empty: all.
        margin: mIoU points that count as no difference.
    """

    notebook: ClassVar = "46_later_steps"
    beyond: ClassVar = True
    needs_truth: ClassVar = SCORED

    alpha: float
    lambda_ent: float
    only_rows: Sequence[str]
    margin: float

    @cached_property
    def rows(self) -> Mapping[str, Row]:
        """Plain training, then the rows of AffinityNet, those of DeepLab, and DeepLab on true masks where there are.

        Raises:
            SettingsError: `alpha` or `lambda_ent` is not above 0, a network from a file, a regulariser that is already
                set, or `only_rows` names a row that does not exist or leaves out one of the primary claim.
        """
        check_plain(self.settings)
        check_trained(self.settings, "this notebook")
        if self.settings.affinity.weights:
            raise SettingsError("this notebook trains each of its AffinityNets: leave affinity.weights empty")
        if min(self.alpha, self.lambda_ent) <= 0 or self._changed():
            raise SettingsError(
                f"{', '.join(REGULARISED)} of affinity and segmentation are what the rows differ in: leave them alone, "
                "and give alpha and lambda_ent above 0"
            )
        every = {"plain": PLAIN, **self._of("affinity"), **self._of("segmentation")}
        every |= row_stages.upper_bound(self.machine)
        return only(self.only_rows, every, ("plain", "segmentation_mixup"), "only_rows")

    def _changed(self) -> list[str]:
        names = [f"{step}.{name}" for step in NETWORKS for name in REGULARISED]
        return [name for name in names if attrgetter(name)(self.settings) not in (0, "mixup")]

    def _of(self, step: str) -> dict[str, Row]:
        """The rows in which one network is regularised; the entropy term alone only in AffinityNet, which is cheap."""
        mixup: dict[str, Any] = {f"{step}.mixup_alpha": self.alpha}
        entropy: dict[str, Any] = {f"{step}.lambda_ent": self.lambda_ent}
        ways = {
            "mixup": ("mixup", mixup),
            "entropy": ("entropy", entropy),
            "both": ("mixup + entropy", mixup | entropy),
        }
        if step == "segmentation":
            del ways["entropy"]
        ways["images"] = ("mixed images alone", mixup | {f"{step}.mixing": "hard_labels"})
        return {
            f"{step}_{key}": Row(f"{name} in {NETWORKS[step]}", PLAIN.overrides | changed, control=key == "images")
            for key, (name, changed) in ways.items()
        }

    def rows_of(self, step: str) -> list[Row]:
        """Plain training and the rows that train one of the two networks otherwise."""
        keys = ["plain", *(key for key in self.rows if key.startswith(step))]
        return [self.rows[key] for key in keys]

    @property
    def segmented(self) -> list[Row]:
        """The rows of DeepLab, with the one on true masks."""
        return [*self.rows_of("segmentation"), *(row for row in self.rows.values() if row == SUPERVISED)]

    @cached_property
    def planned(self) -> Mapping[str, Mapping[tuple[str, int], Stage]]:
        """The stages of each step, by row name and seed; none of the later ones without the CRF library."""
        given = (self.seeds, self.machine)
        return {
            "maps": row_stages.response_map_stages(self.settings, [PLAIN], *given),
            "refined": row_stages.refined_stages(self.settings, self.rows_of("affinity"), *given),
            "segmented": row_stages.segmentation_stages(self.settings, self.segmented, *given),
        }

    def stages(self) -> list[Stage]:
        return [stage for step in self.planned.values() for stage in step.values()]

    @property
    def data_note(self) -> str:
        return f"{self.both}, all with masks"

    # --- What was computed ---

    @cached_property
    def folders(self) -> Mapping[str, Folders]:
        """Of each step, by row name and seed."""
        return {step: self.compute(stages) for step, stages in self.planned.items()}

    @cached_property
    def chains(self) -> Mapping[str, Chain]:
        """Scores after every step by split: DeepLab is trained on images of train and has none there."""
        done = self.folders
        segmented: Mapping[str, Folders] = {"train": {}, "val": done["segmented"]}
        return {
            split: chain.read_chain(measures.read_scores(done["maps"], split), done["refined"], {}, later, split)
            for split, later in segmented.items()
        }

    # --- Claims ---

    def asked(self, text: str, row: str, reference: str, step: str, primary: bool = False) -> list[AfterStep]:
        """A claim about two rows by key on val; nothing where one of the two is not asked for."""
        if not {row, reference} <= self.rows.keys():
            return []
        pair = self.rows[row], self.rows[reference]
        on_val = f"{text} ({chain.short(step)}, val): {pair[0].name} > {pair[1].name}"
        return [AfterStep(Claim(on_val, *pair, primary=primary), "val", step, primary=primary)]

    @property
    def primary_claim(self) -> list[AfterStep]:
        """The one that was declared first."""
        text = "Mixup in the segmentation network improves it over plain training on the same pseudo-masks"
        return self.asked(text, "segmentation_mixup", "plain", chain.SEGMENTED, primary=True)

    @property
    def secondary(self) -> list[AfterStep]:
        """The other claims about regularisation."""
        network, affinity = "the segmentation network", "AffinityNet"
        return [
            *self.asked(f"Mixup improves {network}", "segmentation_mixup", "plain", chain.SHARPENED),
            *self.asked(
                f"Entropy adds to mixup in {network}", "segmentation_both", "segmentation_mixup", chain.SEGMENTED
            ),
            *self.asked(f"Both together improve {network}", "segmentation_both", "plain", chain.SEGMENTED),
            *self.asked(f"Mixup improves {affinity}", "affinity_mixup", "plain", chain.WALKED),
            *self.asked(f"Entropy improves {affinity}", "affinity_entropy", "plain", chain.WALKED),
            *self.asked(f"Both together improve {affinity}", "affinity_both", "plain", chain.WALKED),
        ]

    @property
    def controls(self) -> list[AfterStep]:
        """Whether mixing images alone would do."""
        return [
            each
            for step, scored in (("segmentation", chain.SEGMENTED), ("affinity", chain.WALKED))
            for each in self.asked(
                f"Mixing the losses too does better than mixed images alone, {NETWORKS[step]}",
                f"{step}_mixup",
                f"{step}_images",
                scored,
            )
        ]

    @cached_property
    def compared(self) -> Mapping[str, AfterStep]:
        """All claims whose step was run, by what their difference is called."""
        every = [*self.primary_claim, *self.secondary, *self.controls]
        run = [each for each in every if each.step in self.chains[each.split]]
        return {f"{versus(each.claim)}, after {chain.short(each.step)}": each for each in run}

    @cached_property
    def leads(self) -> Mapping[str, list[float]]:
        """The differences of `compared` in mIoU points, one value a seed."""
        return {
            name: seed_differences(self.chains[split][step], claim.row.name, claim.reference.name)
            for name, (claim, split, step, *_) in self.compared.items()
        }

    # --- Exhibits, in the order of the notebook ---

    def not_run(self) -> Iterator[Note]:
        """Why steps 2 and 3 are missing, where they are."""
        if not self.folders["refined"]:
            yield Note(f"Steps 2 and 3 are shown as not run: {crf.crf_missing()}")

    def what_differs(self) -> Table:
        """The settings of the rows."""
        of_maps = self.settings.affinity.trained == "head"
        mixed = "the maps of its frozen backbone, of which the head alone is trained" if of_maps else "images"
        settings = maps.row_settings([*self.rows.values()], self.settings)
        return Table(
            settings,
            "rows",
            "What distinguishes the rows; everything else is the preset's, the number of steps too, and all response "
            "maps are those of plain CAM. Rows of AffinityNet have a random walk each, rows of DeepLab the masks of "
            f"plain training. AffinityNet mixes {mixed}, DeepLab images; hard_labels: the loss is that of the image "
            "that weighs more.",
            formats={name: "g" for step in NETWORKS if (name := f"{step}.lambda_ent") in settings},
        )

    def verdicts(self) -> Iterator[Exhibit]:
        """Does it help, and is it more than mixed images?"""
        classes = self.on_val.classes
        for found, both in judged_after(self.chains, self.primary_claim):
            yield by_class.remarked(replace(found, primary=True), both, classes)
        yield Note(families.NOTE)
        for family in (lambda each: each.secondary, lambda each: each.controls):
            asked = [*judged_after(self.chains, family(self))]
            yield from families.alone(asked, classes, self.unasked(family))

    def lines(self) -> Iterator[Figure]:
        """`leads` as lines beside 0."""
        if self.leads:
            yield Figure(
                differences(
                    {name: mean_interval(values) for name, values in self.leads.items()},
                    "difference of mIoU on val, points",
                    self.margin,
                ),
                "differences",
                f"Paired differences with their 95 % intervals, {self._of_val}. The band is the margin within which a "
                "difference counts as none.",
                "One line a comparison: a point with a horizontal bar beside a vertical line at 0 in a grey band.",
            )

    def walked(self) -> Iterator[Table]:
        """What AffinityNet is worth: maps after the random walk."""
        rows = [row.name for row in self.rows_of("affinity")]
        columns: dict[str, dict[str, Interval | None]] = {}
        for split, done in self.chains.items():
            if chain.WALKED in done:
                scores = {BEFORE: done[chain.MAPS][PLAIN.name], **done[chain.WALKED]}
                others = [row for row in rows if row != PLAIN.name]
                columns[f"mIoU {split}"] = {row: over_seeds(seed_values(scores, row)) for row in scores}
                columns[f"above plain, {split}"] = {row: difference(scores, row, PLAIN.name) for row in others}
        if columns:
            yield Table(
                pd.DataFrame(columns, index=pd.Index([BEFORE, *rows], name="AffinityNet"), dtype=object),
                "walked",
                "mIoU in per cent after the random walk, by how AffinityNet was trained, and of the maps that walk, at "
                f"the fixed threshold {self.threshold}; no CRF after it, true image labels given, {self.both}, "
                f"{self.over}. AffinityNet is trained on {self.settings.affinity.split}, so val is what counts.",
                best=["mIoU train", "mIoU val"],
                formats=dict.fromkeys(["above plain, train", "above plain, val"], "+.1f"),
            )

    def segmentations(self) -> Iterator[Table]:
        """What DeepLab is worth, without and with the CRF at test time."""
        if chain.SEGMENTED in self.chains["val"]:
            yield Table(
                chain.miou_table(self.chains["val"]).rename_axis("segmentation network"),
                "segmentations",
                "mIoU of DeepLab-v2 without and with a CRF at test time, no image labels given, and where there is a "
                f"network that true masks taught, its share of that one's; in per cent, {self._of_val}.",
            )

    def classes(self) -> Iterator[Table]:
        """Which classes the differences come from."""
        pairs = {
            name: by_class.pair(self.chains[split][step], claim.row.name, claim.reference.name)
            for name, (claim, split, step, *_) in self.compared.items()
        }
        if pairs:
            yield class_table(pairs, self.on_val.classes, "by_class", f"mIoU, {self._of_val}")

    def seconds(self) -> Iterator[Table]:
        """How long the network of each row took where it was computed."""
        lines = {}
        for step, folders in (("affinity", self.folders["refined"]), ("segmentation", self.folders["segmented"])):
            for row in dict.fromkeys(row for row, _ in folders):
                of_row = [folders[row, seed] for seed in self.seeds]
                found = self.of_each("seconds of clock and processor", partial(durations.seconds, given=GIVEN), of_row)
                lines[NETWORKS[step], row] = durations.over_known(found)
        if lines:
            frame = pd.DataFrame.from_dict(lines, orient="index").dropna(axis="columns", how="all")
            frame = frame.rename(columns=lambda head: head.replace("maps", "inference"))
            yield Table(
                frame.rename_axis(["network", "row"]),
                "seconds",
                "Seconds of the network of each row where it was computed: its training, and the walk along its "
                f"affinities or its segmentation, {self.both}; mean of the seeds of which it is known. Other work on "
                "the machine is in what the clock says.",
                formats=dict.fromkeys(frame, ",.0f"),
            )

    def chance_table(self) -> Iterator[Table]:
        """What seeds can decide."""
        if self.leads:
            yield Table(**chance.seeds_table(self.leads, "paired differences", self._of_val, margin=self.margin))

    @property
    def _of_val(self) -> str:
        return f"{len(self.on_val)} images of val, {self.over}"
