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

from companion.analysis import by_class, chain, chance, families, maps, measures
from companion.analysis.claims import Claim, Row, Verdict, difference, judged, paired, printed_difference, versus
from companion.analysis.maps import over_seeds
from companion.analysis.measures import Scores
from companion.analysis.methods import MIXUP_CAM, PLAIN_CAM, regularisers
from companion.analysis.power import OF_INTEREST
from companion.analysis.statistics import mean_interval
from companion.drawing.differences import differences
from companion.experiments import printed, row_stages
from companion.experiments.declared import class_table, primary
from companion.experiments.exhibits import Exhibit, Figure, Note, Table
from companion.experiments.experiment import Experiment
from companion.experiments.own_rows import check_plain, check_trained
from companion.pipeline.store import Stage
from companion.settings import SettingsError
from thesislib.refinement import crf

MATCHED = "Mixup-CAM, matched alphas"


def overfitted(on_train: measures.Run, on_val: measures.Run) -> float:
    """By how many points the mAP of image labels is higher on train, whose images are trained on, than on val."""
    return measures.mean_average_precision(on_train) - measures.mean_average_precision(on_val)


@dataclass(frozen=True, kw_only=True, eq=False)
class Conditions(Experiment):
    """Plain CAM and Mixup-CAM at two lengths of training, and after a walk with two kinds of alphas.

    Args:
        alpha, lambda_ent, lambda_con: of Mixup-CAM.
        longer: epochs of the longer schedule in those of the preset.
        step_2: whether the maps of the preset's schedule are refined.
    """

    notebook: ClassVar = "26_conditions"

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
    def maps(self) -> Mapping[tuple[str, int], Stage]:
        """The stage of the response maps by row name and seed."""
        return row_stages.response_map_stages(self.settings, self.rows.values(), self.seeds, self.machine)

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

    @property
    def data_note(self) -> str:
        return f"{self.both}, all with masks"

    # --- Scores ---

    @cached_property
    def train(self) -> Scores:
        """Scores of the maps on train."""
        return measures.read_scores(self.compute(self.maps), "train")

    @cached_property
    def val(self) -> Scores:
        """Scores of the maps on val."""
        return measures.read_scores(self.compute(self.maps), "val")

    @cached_property
    def moved(self) -> Scores:
        """Counts of val at the threshold of train, all rows."""
        return maps.moved(self.train, self.val, [row.name for row in self.rows.values()])

    @cached_property
    def gaps(self) -> Mapping[str, list[float]]:
        """`overfitted` by key, one value a seed."""
        return {
            key: [overfitted(*both) for both in zip(self.train[row.name], self.val[row.name], strict=True)]
            for key, row in self.rows.items()
        }

    @cached_property
    def leads(self) -> Mapping[str, list[float]]:
        """By how much Mixup-CAM is above plain CAM in the primary reading, by length, one value a seed."""
        values = {key: maps.transferred(self.train, self.val)[row.name] for key, row in self.rows.items()}
        return {
            length: [ours - theirs for ours, theirs in zip(values[ours], values[theirs], strict=True)]
            for length, ours, theirs in (
                ("preset", "mixup_cam", "cam"),
                ("longer", "mixup_cam_longer", "cam_longer"),
            )
        }

    # --- Exhibits, in the order of the notebook ---

    def schedule(self) -> Table:
        """What a longer schedule does to classifier and maps."""
        moved = maps.transferred(self.train, self.val)
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
                moved[row.name],
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
        rows, claim = self.rows, self.claim
        thesis = maps.printed_values([PLAIN_CAM, MIXUP_CAM], printed.table_2_1()["cam"])
        of_thesis = printed_difference(Claim("", MIXUP_CAM, PLAIN_CAM), thesis)
        yield primary(claim, self.moved, self.on_val.classes, of_thesis, None)
        yield Note(families.NOTE)
        yield from families.corrected([*self._secondary(claim, rows)])
        shown = {length: mean_interval(values) for length, values in self.leads.items()}
        yield Figure(
            differences(
                {
                    f"Mixup-CAM > CAM, {self.epochs} epochs": shown["preset"],
                    f"Mixup-CAM > CAM, {self.longer * self.epochs} epochs": shown["longer"],
                },
                "difference of mIoU on val at the threshold of train, points",
                OF_INTEREST,
            ),
            "leads",
            f"By how much Mixup-CAM is above plain CAM at both lengths, with 95 % intervals: {maps.PRIMARY_IN_WORDS}; "
            f"{self.both}, {self.over}. The band is {OF_INTEREST:g} point to either side of 0.",
            "Two lines: a point with a horizontal bar beside a vertical line at 0 in a grey band.",
        )
        pairs = {
            versus(each): by_class.pair(self.moved, each.row.name, each.reference.name)
            for each in (claim, Claim("", rows["mixup_cam"], rows["cam"]))
        }
        of = f"{maps.PRIMARY_IN_WORDS}; {self.both}, {self.over}"
        yield class_table(pairs, self.on_val.classes, "by_class", of)

    def _secondary(self, claim: Claim, rows: Mapping[str, Row]) -> Iterator[Verdict]:
        grows = paired(self.gaps["cam_longer"], self.gaps["cam"])
        yield judged("A longer schedule over-fits: plain CAM's mAP of train minus that of val grows", grows)
        less = paired(self.gaps["mixup_cam_longer"], self.gaps["cam_longer"])
        yield judged("Mixup-CAM over-fits less: mAP of train minus that of val, longer schedule", less, sign=-1)
        grown = paired(self.leads["longer"], self.leads["preset"])
        yield judged("The lead of Mixup-CAM grows with the schedule", grown)
        fixed = difference(self.train, claim.row.name, claim.reference.name)
        found = judged(f"{versus(claim)}, fixed threshold on train", fixed)
        yield replace(found, note=maps.other_readings(claim, self.train, self.val, {}))
        for key in ("cam", "mixup_cam"):
            text = f"A longer schedule improves the maps of {rows[key].name}"
            longer, short = (self.moved[rows[each].name] for each in (f"{key}_longer", key))
            yield judged(text, paired(*([measures.fixed_miou(run) for run in runs] for runs in (longer, short))))

    def matched(self) -> Iterator[Exhibit]:
        """The walk with constants, and with alphas that follow the maps."""
        if not self.walks:
            why = crf.crf_missing() if self.step_2 else "the parameter step_2 leaves it out"
            yield Note(f"The random walk is shown as not run: {why}")
            return
        walked = self.compute(self.walks)
        after = {split: chain.read_counts(walked, split) for split in ("train", "val")}
        before = {"train": self.train, "val": self.val}
        of_map = {name: self.rows["mixup_cam"].name if name == MATCHED else name for name in after["train"]}
        columns = {
            name: {
                f"{kind} {split}": over_seeds([measures.fixed_miou(run) for run in found[split][own]])
                for split in ("train", "val")
                for kind, found, own in (("CAM", before, of_map[name]), ("refined", after, name))
            }
            for name in of_map
        }
        frame = pd.DataFrame.from_dict(columns, orient="index", dtype=object).rename_axis("method")
        affinity = self.settings.affinity
        yield Table(
            frame,
            "matched",
            f"mIoU in per cent of the maps at the fixed threshold {self.threshold}, and after the random walk: with "
            f"the constants {affinity.low_alpha:g}, {affinity.high_alpha:g} and {affinity.walk_alpha:g}, and with all "
            "three times a factor with which the walk starts from as much background as on the maps of plain CAM of "
            f"the same seed; {self.both}, {self.over}.",
            best=[*frame.columns],
        )
        cam, full = self.rows["cam"].name, self.rows["mixup_cam"].name
        asked = {
            f"After a walk with matched alphas: {full} > {cam}": cam,
            f"Matched alphas do better than constants on the maps of {full}": full,
        }
        yield from families.corrected(
            [
                judged(f"{text}, {split}", difference(found, MATCHED, reference))
                for text, reference in asked.items()
                for split, found in after.items()
            ]
        )

    def chance_table(self) -> Table:
        """What seeds can decide."""
        found: dict[str, Sequence[float]] = {
            "Mixup-CAM > CAM": self.leads["preset"],
            versus(self.claim): self.leads["longer"],
        }
        return Table(
            **chance.seeds_table(
                found,
                f"paired differences in {maps.PRIMARY_IN_WORDS}",
                f"unrefined response maps, {self.both}, {self.over}",
            )
        )
