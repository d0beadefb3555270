"""Mixup-CAM under two conditions that its comparison with plain CAM may hang on: a longer schedule, and other alphas.

Thesis sections 2.3 and 2.4.2; neither is in the thesis. A regulariser has little to regularise where nothing over-fits,
so both classifiers are also trained for a multiple of the epochs. And the constants of the random walk are for maps of
one threshold (A21), so Mixup-CAM is also refined with alphas that follow its own maps, by a rule without truth.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import pandas as pd

from companion.analysis import by_class, chain, chance, families, maps, measures, refined_images
from companion.analysis.claims import (
    Claim,
    Row,
    difference,
    judged,
    paired,
    printed_difference,
    seed_differences,
    versus,
)
from companion.analysis.families import Judged
from companion.analysis.maps import over_seeds
from companion.analysis.measures import Scores
from companion.analysis.methods import MIXUP_CAM, PLAIN_CAM, regularisers
from companion.analysis.power import OF_INTEREST
from companion.analysis.statistics import mean_interval
from companion.drawing.differences import differences
from companion.experiments import printed, row_stages
from companion.experiments.declared import class_table, primary
from companion.experiments.exhibits import Exhibit, Figure, Note, Table
from companion.experiments.own_rows import check_plain, check_trained
from companion.experiments.scored_maps import ScoredMaps
from companion.pipeline.store import Stage
from companion.settings import SettingsError
from thesislib.refinement import crf

MATCHED = "Mixup-CAM, matched alphas"


def overfitted(on_train: measures.Run, on_val: measures.Run) -> float:
    """By how many points the mAP of image labels is higher on train, whose images are trained on, than on val."""
    return measures.mean_average_precision(on_train) - measures.mean_average_precision(on_val)


@dataclass(frozen=True, kw_only=True, eq=False)
class Conditions(ScoredMaps):
    """Plain CAM and Mixup-CAM at two lengths of training, and after a walk with two kinds of alphas.

    Args:
        alpha, lambda_ent, lambda_con: of Mixup-CAM.
        longer: epochs of the longer schedule in those of the preset.
        step_2: whether the maps of the preset's schedule are refined.
    """

    notebook: ClassVar = "26_conditions"
    beyond: ClassVar = True

    alpha: float
    lambda_ent: float
    lambda_con: float
    longer: int
    step_2: bool

    # --- Rows and stages ---

    @property
    def epochs(self) -> int:
        """Of the preset."""
        return self.settings.classifier.epochs

    @cached_property
    def rows(self) -> Mapping[str, Row]:
        """The classifiers by key, first those of the preset's schedule, which Table 2.1 has too.

        Raises:
            SettingsError: `longer` is not longer, a classifier from a file, or a regulariser that is already set.
        """
        check_plain(self.settings)
        check_trained(self.settings, "this notebook")
        if self.longer < 2:
            raise SettingsError(f"longer = {self.longer}: must be at least 2, a multiple of the preset's epochs")
        full = Row(MIXUP_CAM.name, regularisers(self.alpha, self.lambda_ent, self.lambda_con), MIXUP_CAM.printed)
        short = {"cam": PLAIN_CAM, "mixup_cam": full}
        epochs = self.longer * self.epochs
        return short | {
            f"{key}_longer": Row(f"{row.name}, {epochs} epochs", row.overrides | {"classifier.epochs": epochs})
            for key, row in short.items()
        }

    @property
    def claim(self) -> Claim:
        """The primary claim."""
        rows = self.rows
        text = "All three together improve the response maps of a longer schedule"
        return Claim(text, rows["mixup_cam_longer"], rows["cam_longer"], primary=True)

    @property
    def walks(self) -> Mapping[tuple[str, int], Stage]:
        """The stage of the refined maps by row name and seed; none without the CRF library, or where not asked for."""
        if not self.step_2:
            return {}
        cam, full = self.rows["cam"], self.rows["mixup_cam"]
        matched = Row(MATCHED, full.overrides | {"affinity.alphas": "matched"})
        return row_stages.refined_stages(self.settings, [cam, full, matched], self.seeds, self.machine)

    def stages(self) -> list[Stage]:
        return [*self.maps.values(), *self.walks.values()]

    # --- Scores ---

    @cached_property
    def gaps(self) -> Mapping[str, list[float]]:
        """`overfitted` by key, one value a seed."""
        return {
            key: [overfitted(*both) for both in zip(self.train[row.name], self.val[row.name], strict=True)]
            for key, row in self.rows.items()
        }

    @property
    def pairs(self) -> Sequence[Claim]:
        """Mixup-CAM above plain CAM, at the preset's schedule and at the longer one."""
        return Claim("", self.rows["mixup_cam"], self.rows["cam"]), self.claim

    @cached_property
    def leads(self) -> Sequence[list[float]]:
        """`pairs` in the primary reading, one value a seed."""
        return [seed_differences(self.moved, each.row.name, each.reference.name) for each in self.pairs]

    # --- Exhibits, in the order of the notebook ---

    def schedule(self) -> Table:
        """What a longer schedule does to classifier and maps."""
        headings = ("mAP train", "mAP val", "train minus val", "mIoU train", "best threshold", "mIoU val")
        cells = {}
        for key, row in self.rows.items():
            on_train, on_val = self.train[row.name], self.val[row.name]
            found = (
                [measures.mean_average_precision(run) for run in on_train],
                [measures.mean_average_precision(run) for run in on_val],
                self.gaps[key],
                [measures.fixed_miou(run) for run in on_train],
                [measures.oracle_threshold(run) for run in on_train],
                [measures.fixed_miou(run) for run in self.moved[row.name]],
            )
            cells[row.name] = {head: over_seeds(values) for head, values in zip(headings, found, strict=True)}
        return Table(
            pd.DataFrame.from_dict(cells, orient="index", dtype=object).rename_axis("method"),
            "schedule",
            f"{self.epochs} epochs and {self.longer * self.epochs}: mean average precision of the image labels on "
            "whole images of train, which are trained on, and of val, in per cent; mIoU of unrefined maps in per cent "
            f"on train at the fixed threshold {self.threshold}, and on val at the threshold that is best on train (in "
            f"the column before); {self.both}, {self.over}.",
            best=["mAP val", "mIoU train", "mIoU val"],
            formats={"train minus val": "+.1f", "best threshold": ".2f"},
        )

    def verdicts(self) -> Iterator[Exhibit]:
        """Does Mixup-CAM gain where the classifier over-fits?"""
        thesis = maps.printed_values([PLAIN_CAM, MIXUP_CAM], printed.table_2_1()["cam"])
        of_thesis = printed_difference(Claim("", MIXUP_CAM, PLAIN_CAM), thesis)
        yield primary(self.claim, self.moved, self.on_val.classes, of_thesis, None)
        yield Note(families.NOTE)
        yield from families.alone([*self.secondary()], self.on_val.classes)
        lengths = f"{self.epochs} epochs", f"{self.longer * self.epochs} epochs"
        yield Figure(
            differences(
                {f"Mixup-CAM > CAM, {name}": mean_interval(of) for name, of in zip(lengths, self.leads, strict=True)},
                "difference of mIoU on val at the threshold of train, points",
                OF_INTEREST,
            ),
            "leads",
            f"By how much Mixup-CAM is above plain CAM at both lengths, with 95 % intervals: {maps.PRIMARY_IN_WORDS}; "
            f"{self.both}, {self.over}. The band is {OF_INTEREST:g} point to either side of 0.",
            "Two lines: a point with a horizontal bar beside a vertical line at 0 in a grey band.",
        )
        compared = {versus(each): by_class.pair(self.moved, each.row.name, each.reference.name) for each in self.pairs}
        of = f"{maps.PRIMARY_IN_WORDS}; {self.both}, {self.over}"
        yield class_table(compared, self.on_val.classes, "by_class", of)

    def secondary(self) -> Iterator[Judged]:
        """What else is asked of the longer schedule, not yet corrected."""
        grows = paired(self.gaps["cam_longer"], self.gaps["cam"])
        text = "A longer schedule over-fits: plain CAM's mAP of train minus that of val grows"
        yield judged(text, grows, of_interest=None), None
        less = paired(self.gaps["mixup_cam_longer"], self.gaps["cam_longer"])
        text = "Mixup-CAM over-fits less: mAP of train minus that of val, longer schedule"
        yield judged(text, less, sign=-1, of_interest=None), None
        short, long = self.leads
        yield judged("The lead of Mixup-CAM grows with the schedule", paired(long, short)), None
        found, both = _above(f"{versus(self.claim)}, fixed threshold on train", self.train, self.claim)
        yield replace(found, note=maps.other_readings(self.claim, self.train, self.val, {})), both
        for key in ("cam", "mixup_cam"):
            longer = Claim("", self.rows[f"{key}_longer"], self.rows[key])
            yield _above(f"A longer schedule improves the maps of {longer.reference.name}", self.moved, longer)

    def matched(self) -> Iterator[Exhibit]:
        """The walk with constants, and with alphas that follow the maps."""
        if not self.walks:
            why = crf.crf_missing() if self.step_2 else "the parameter step_2 leaves it out"
            yield Note(f"The random walk is shown as not run: {why}")
            return
        walked = self.compute(self.walks)
        after = {split: chain.read_counts(walked, split) for split in ("train", "val")}
        cam, full = self.rows["cam"], self.rows["mixup_cam"]
        before = {
            split: {**scores, MATCHED: scores[full.name]}
            for split, scores in (("train", self.train), ("val", self.val))
        }
        affinity = self.settings.affinity
        yield Table(
            refined_images.refined_columns([cam.name, full.name, MATCHED], before, after, {}),
            "matched",
            f"mIoU in per cent of the maps at the fixed threshold {self.threshold}, after the random walk, and what "
            f"the walk adds, in points: with the constants {affinity.low_alpha:g}, {affinity.high_alpha:g} and "
            f"{affinity.walk_alpha:g}, and with all three times a factor with which the walk starts from as much "
            f"background as on the maps of plain CAM of the same seed; {self.both}, {self.over}.",
            best=[f"{kind} {split}" for kind in ("CAM", "refined") for split in after],
            formats={f"adds, {split}": "+.1f" for split in after},
        )
        matched = Row(MATCHED)
        asked = {
            f"After a walk with matched alphas: {full.name} > {cam.name}": Claim("", matched, cam),
            f"Matched alphas do better than constants on the maps of {full.name}": Claim("", matched, full),
        }
        found = [
            _above(f"{text}, {split}", scores, claim)
            for text, claim in asked.items()
            for split, scores in after.items()
        ]
        yield from families.alone(found, self.on_train.classes)

    def chance_table(self) -> Table:
        """What seeds can decide."""
        return Table(
            **chance.seeds_table(
                dict(zip(map(versus, self.pairs), self.leads, strict=True)),
                f"paired differences in {maps.PRIMARY_IN_WORDS}",
                f"unrefined response maps, {self.both}, {self.over}",
            )
        )


def _above(text: str, scores: Scores, claim: Claim) -> Judged:
    """That one row is above another in mIoU, by scores of one step and split."""
    rows = claim.row.name, claim.reference.name
    return judged(text, difference(scores, *rows)), by_class.pair(scores, *rows)
