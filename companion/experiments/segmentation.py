"""Tables 2.2, 2.3, 3.3 and 3.4: from response maps to pseudo-masks, and to the segmentation that these teach.

Thesis sections 2.4.3 and 3.4.4 ask the same of the method of their chapter. Step 1 makes response maps, step 2
pseudo-masks of them by random walk and CRF, step 3 is DeepLab-v2 trained on these; a network trained on the true masks
is the upper bound. To add a row, add a line to `rows` and, where something is claimed of it, to `controls`, or give it
to a notebook as its `extra_rows` parameter.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

from companion.analysis import by_class, chain, chance, families, maps, measures
from companion.analysis.chain import Chain, Folders
from companion.analysis.claims import Claim, Place, Row, Verdict, judged
from companion.analysis.families import Judged
from companion.analysis.methods import PLAIN_CAM, SUPERVISED
from companion.experiments import printed, row_stages
from companion.experiments.after_step import HELPING, AfterStep, in_words, judged_after
from companion.experiments.declared import class_table
from companion.experiments.exhibits import Exhibit, KeyNumber, Note, Table
from companion.experiments.experiment import SCORED, Experiment, in_project
from companion.experiments.own_rows import check_plain, only, own_key, rows_of_the_user
from companion.experiments.printed_differences import ADDED, find
from companion.pipeline.store import Stage
from thesislib.refinement import crf

THE_TWO = ("cam", "method")


@dataclass(frozen=True, kw_only=True, eq=False)
class Segmentation(Experiment):
    """Plain CAM and the method of a chapter after every step, by row and seed.

    Args:
        extra_rows: settings of rows of the user's own by name.
        only_rows: keys of the rows that are asked for, `supervised` among them; empty: all.
        coco_weights: file of the COCO weights that a row starts from.

    Class attributes:
        classes_table: the printed table of classes, which gives the mIoU of the method too.
    """

    needs_truth: ClassVar = SCORED
    classes_table: ClassVar[str]

    extra_rows: Mapping[str, dict[str, Any]]
    only_rows: Sequence[str]
    coco_weights: str

    @property
    @abstractmethod
    def method(self) -> Row:
        """The method of the chapter."""

    def check(self) -> None:
        """Refuse settings that no row can start from.

        Raises:
            SettingsError: the settings already have a regulariser or a round.
        """
        check_plain(self.settings)

    @cached_property
    def every_row(self) -> dict[str, Row]:
        """The rows that image labels teach, by key, with those that are not asked for.

        Plain CAM, the method, and the latter read otherwise: as the chapter's `read_otherwise` says, and where their
        file is given, with a DeepLab that starts from MS-COCO weights in deeplab-pytorch's layout (A22). The user's own
        start from the plain classifier.

        Raises:
            SettingsError: the name of an extra row is taken, or it has no settings; and as `check`.
        """
        self.check()
        rows = {"cam": PLAIN_CAM, "method": self.method, **self.read_otherwise}
        if self.coco_weights:
            start = {"init": "coco", "weights": in_project(self.coco_weights), "layout": "caffe"}
            rows["from_coco"] = self.changed("from COCO weights", start)
        return rows | rows_of_the_user(self.extra_rows, [*rows.values(), SUPERVISED])

    @property
    def read_otherwise(self) -> Mapping[str, Row]:
        """Rows of the method under another reading of the chapter's text, by key."""
        return {}

    def changed(self, how: str, segmentation: Mapping[str, Any]) -> Row:
        """The method with other settings of `segmentation`, and how they are said in the name."""
        overrides = {f"segmentation.{name}": value for name, value in segmentation.items()}
        return Row(f"{self.method.name}, {how}", self.method.overrides | overrides, control=True)

    @cached_property
    def trained(self) -> dict[str, Row]:
        """The rows that are asked for, and of step 3 `supervised` where every image of trainaug has a true mask.

        Raises:
            SettingsError: as `every_row`, or `only_rows` names a row that does not exist or leaves out plain CAM or the
                method.
        """
        return only(self.only_rows, self.every_row | row_stages.upper_bound(self.machine), THE_TWO, "only_rows")

    @property
    def rows(self) -> dict[str, Row]:
        """Those of them that image labels teach."""
        return {key: row for key, row in self.trained.items() if row is not SUPERVISED}

    @cached_property
    def planned(self) -> Mapping[str, Mapping[tuple[str, int], Stage]]:
        """The stages of each step, by row name and seed; none of the later ones without the CRF library."""
        every = (self.settings, self.rows.values(), self.seeds, self.machine)
        return {
            "maps": row_stages.response_map_stages(*every),
            "refined": row_stages.refined_stages(*every),
            "taught": row_stages.mask_stages(*every, "trainaug"),
            "masks": row_stages.mask_stages(*every, "val"),
            "segmented": row_stages.segmentation_stages(self.settings, self.trained.values(), self.seeds, self.machine),
        }

    def stages(self) -> list[Stage]:
        return [stage for step in self.planned.values() for stage in step.values()]

    @property
    def data_note(self) -> str:
        return f"{self.both}, all with masks"

    # --- What was computed ---

    @cached_property
    def folders(self) -> Mapping[str, Folders]:
        """Of each step, by row name and seed; all are planned, and a missing file refused, before one is computed."""
        return {step: self.compute(stages) for step, stages in self.planned.items()}

    @property
    def segmented(self) -> bool:
        """Whether steps 2 and 3 could be run."""
        return bool(self.folders["segmented"])

    @cached_property
    def chains(self) -> Mapping[str, Chain]:
        """Scores after every step, by split; on train DeepLab has none, since it was trained on these images."""
        done = self.folders
        later = {"train": (done["taught"], {}), "val": (done["masks"], done["segmented"])}
        return {
            split: chain.read_chain(measures.read_scores(done["maps"], split), done["refined"], *after, split)
            for split, after in later.items()
        }

    @property
    def val(self) -> Chain:
        """Scores on val after every step."""
        return self.chains["val"]

    def not_run(self) -> Iterator[Note]:
        """Every step, and why the later ones are missing, where they are."""
        if not self.segmented:
            yield Note(f"Steps 2 and 3 are shown as not run: {crf.crf_missing()}")

    # --- Claims ---

    @property
    @abstractmethod
    def printed_gains(self) -> Sequence[AfterStep]:
        """By how much the thesis prints its method above plain CAM."""

    @property
    def remark_on_gains(self) -> str:
        """What has to be said of the last of the printed gains."""
        return ""

    def gain(self, split: str, step: str, source: str, method: float, plain: float, primary: bool = False) -> AfterStep:
        """The claim that the method is above plain CAM, from both printed numbers and their table."""
        text = f"{self.method.name} is above plain CAM: {chain.IN_WORDS[step]}, {split}"
        claim = Claim(text, self.rows["method"], self.rows["cam"])
        return AfterStep(claim, split, step, round(method - plain, 1), source, primary)

    @cached_property
    def controls(self) -> Sequence[AfterStep]:
        """What the control rows ask."""
        asked, rows = [*self.controls_of_readings], self.rows
        if "from_coco" in rows:
            asked.append(Claim("COCO weights improve the segmentation (A22, val)", rows["from_coco"], rows["method"]))
        return [AfterStep(claim, "val", chain.SHARPENED) for claim in asked]

    @property
    def controls_of_readings(self) -> Sequence[Claim]:
        """What is asked of `read_otherwise`."""
        return []

    @property
    def names(self) -> list[str]:
        """Of the rows in the tables of the chain: plain CAM, the method, the user's own."""
        shown = {*THE_TWO, *map(own_key, self.extra_rows)}
        return [row.name for key, row in self.rows.items() if key in shown]

    # --- Exhibits ---

    def chain_tables(self) -> Iterator[Table]:
        """mIoU after every step, what each adds, and how far the method is above plain CAM."""
        method = self.method.name
        yield Table(
            chain.table(self.chains, self.names),
            "chain",
            f"mIoU in per cent after every step: CAM at the fixed threshold {self.threshold}, random walk and both "
            f"CRFs by their arg-max; {self.both}, {self.over}.",
        )
        yield Table(
            chain.effects(self.chains, self.names),
            "effects",
            f"What each step adds to the one before it, paired differences in mIoU points; {self.both}, {self.over}.",
            formats=dict.fromkeys(self.chains, "+.1f"),
            note="✓ the step helps, ✗ it harms, ? undecided. DeepLab is compared with the pseudo-masks of val, which "
            "know the image labels.",
        )
        yield Table(
            chain.gains(self.chains, method),
            "gains",
            f"{method} against plain CAM after every step, paired differences in mIoU points; {self.both}, "
            f"{self.over}.",
            formats={f"{method} minus CAM, {split}": "+.1f" for split in self.chains},
            note=f"✓ above, ✗ below, ? undecided. Printed {in_words(self.printed_gains)}{self.remark_on_gains}.",
        )

    def primary(self) -> Iterator[Verdict]:
        """The primary claim, after the last step; nothing without the CRF library."""
        for found, both in judged_after(self.chains, [each for each in self.printed_gains if each.primary]):
            yield by_class.remarked(replace(found, primary=True), both, self.on_val.classes)

    @cached_property
    def secondary(self) -> Mapping[str, Sequence[Verdict]]:
        """The thesis' other claims: gains over plain CAM, and that each step helps."""
        gains = judged_after(self.chains, [each for each in self.printed_gains if not each.primary])
        return families.together({"gains": [*gains], "steps": [*self.steps_help()]}, self.on_val.classes)

    def class_tables(self) -> Iterator[Table]:
        """Which classes the gains over plain CAM come from."""
        pairs = {found.claim: both for found, both in judged_after(self.chains, self.printed_gains) if both}
        yield class_table(pairs, self.on_val.classes, "by_class", f"mIoU, {self.both}, {self.over}")

    def steps_help(self) -> Iterator[Judged]:
        """Whether each step improves on the one before it."""
        for split, step in HELPING:
            if step in self.chains[split]:
                for row in (self.rows[key].name for key in THE_TWO):
                    claim = f"{chain.short(step)} improves on the step before it ({row}, {split})"
                    before = self.chains[split][chain.STEPS[chain.STEPS.index(step) - 1]]
                    both = by_class.added(self.chains[split][step], before, row)
                    there = find(split, ADDED.get(step, ""), row)
                    thesis, place = (there.thesis, there.place) if there else (None, None)
                    effect = chain.effect(self.chains[split], row, step)
                    yield judged(claim, effect, thesis=thesis, place=place), both

    def control_verdicts(self) -> Iterator[Verdict]:
        """What the control rows answer, a family of their own."""
        found = [*judged_after(self.chains, self.controls)]
        left_out = self.unasked(lambda each: each.controls)
        yield from families.alone(found, self.on_val.classes, left_out)

    @abstractmethod
    def verdicts(self) -> Iterator[Exhibit]:
        """What became of the claims."""

    def key_numbers(self) -> Iterator[KeyNumber]:
        """mIoU on val of the network that the masks of the method trained, without and with CRF at test time."""
        if not self.segmented:
            return
        source = printed.title(self.classes_table)
        for step in chain.OF_DEEPLAB:
            thesis = printed.ours(self.classes_table, crf=step == chain.SHARPENED)["miou_printed"]
            place = Place(source, "val", f"after {step}", row=self.method.name)
            yield self.key_number("method", step, self.method.name, thesis, place)

    def key_number(self, key: str, step: str, masks_of: str, thesis: float, place: Place) -> KeyNumber:
        """mIoU on val of the network that the masks of a row trained."""
        value = maps.over_seeds(chain.values(self.val, step, self.rows[key].name))
        label = f"{step} on masks of {masks_of}, mIoU val"
        return KeyNumber(label, value, thesis, "no image labels given", place=place)

    def chance_tables(self) -> Iterator[Table]:
        """How much of this is chance."""
        name = self.method.name
        yield Table(
            **chance.seeds_table(
                chance.after_steps(self.chains, name),
                f"{name} minus plain CAM after every step, paired differences",
                f"{self.both}, {self.over}",
                printed={f"after {chain.short(each.step)}, {each.split}": each.thesis for each in self.printed_gains},
            )
        )
        if self.segmented:
            rows = [row.name for row in self.trained.values()]
            yield Table(
                **chance.images_table(
                    chance.of_images_after(self.val, chain.OF_DEEPLAB, rows),
                    f"masks of DeepLab-v2, no image labels given, on {len(self.on_val)} images of val, "
                    f"{self.seeds_in_words}",
                )
            )

    @abstractmethod
    def printed_tables(self) -> Iterator[Table]:
        """The tables as the thesis prints them."""

    def printed_classes(self, note: str) -> Table:
        """The printed table of classes."""
        zeng = printed.cell(self.classes_table, "Zeng et al.", "miou_recomputed")
        return Table(
            printed.by_class(self.classes_table),
            self.classes_table,
            f"{printed.title(self.classes_table)} as printed: IoU in per cent of each class on VOC 2012 val, single "
            "runs.",
            best=[*printed.classes(), "mIoU"],
            within="group",
            note=f"Ranked within each group. The mean of Zeng et al.'s classes is {zeng:.1f} (S10).{note}",
        )

    def printed_improvement(self, note: str) -> Table:
        """S11: in how many printed classes the method is improved, in every reading."""
        return Table(
            printed.improved_classes(self.classes_table),
            "improved",
            f"Counted in {printed.title(self.classes_table)}: in how many object classes {self.method.name} with CRF "
            "is improved, by what improved could mean (S11).",
            note=note,
        )
