"""What experiments on response maps have in common: a stage for every row and seed, its scores, what the maps cover."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from companion.analysis import by_class, completeness, families, maps, measures, mechanism
from companion.analysis.claims import Claim, Row, judged, remarks, versus
from companion.analysis.families import Judged
from companion.analysis.measures import Scores
from companion.experiments import row_stages
from companion.experiments.exhibits import Exhibit, Table
from companion.experiments.experiment import SCORED, Experiment
from companion.pipeline.store import Stage


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoredMaps(Experiment):
    """Unrefined response maps by row and seed."""

    needs_truth: ClassVar = SCORED

    @property
    @abstractmethod
    def rows(self) -> Mapping[str, Row]:
        """The rows by key, each with a classifier of its own."""

    @property
    def scored(self) -> Sequence[Row]:
        """The rows whose maps are scored, some of which may not be refined."""
        return [*self.rows.values()]

    @property
    def maps(self) -> Mapping[tuple[str, int], Stage]:
        """The stage of the response maps by row name and seed."""
        return row_stages.response_map_stages(self.settings, self.scored, self.seeds, self.machine)

    def stages(self) -> list[Stage]:
        return [*self.maps.values()]

    @property
    def data_note(self) -> str:
        return f"{self.both}, all with masks"

    @cached_property
    def folders(self) -> Mapping[tuple[str, int], Path]:
        """Of the response maps, by row name and seed."""
        return self.compute(self.maps)

    @cached_property
    def train(self) -> Scores:
        """Scores of the maps on train."""
        return measures.read_scores(self.folders, "train")

    @cached_property
    def val(self) -> Scores:
        """Scores of the maps on val."""
        return measures.read_scores(self.folders, "val")

    def measured(self, what: str, measure: Callable[[Path], Any], rows: Sequence[str]) -> dict[str, list[np.ndarray]]:
        """A measure of the folder of maps of some rows, by row name, one a seed."""
        folders = {row: [self.folders[row, seed] for seed in self.seeds] for row in rows}
        return {row: self.of_each(what, measure, of_row) for row, of_row in folders.items()}

    @cached_property
    def moved(self) -> Scores:
        """Counts of val at the threshold of train, all rows."""
        return maps.moved(self.train, self.val, [*self.train])

    def judged_as_primary(self, claim: Claim) -> Judged:
        """A secondary claim in the reading of the primary one, with what the other readings say."""
        found = maps.readings(claim, self.train, self.val)
        first = {maps.PRIMARY: found[maps.PRIMARY]}
        verdict = judged(f"{claim.text}: {versus(claim)}", found[maps.PRIMARY], remarks(None, first | found))
        return verdict, by_class.pair(self.moved, claim.row.name, claim.reference.name)

    # --- How complete the maps are ---

    @property
    def claims_of_completeness(self) -> Sequence[Claim]:
        """The claims about rows that are also asked of how complete their maps are."""
        return ()

    @cached_property
    def train_in_full(self) -> Scores:
        """Scores on train with what is measured on the maps themselves.

        Raises:
            LeftOut: neither the maps are published nor what is measured on them.
        """
        measure = partial(completeness.measure, images=self.on_train, background=self.threshold)
        found = self.measured(f"completeness at {self.threshold}", measure, [*self.train])
        return completeness.with_measured(self.train, found)

    def completeness(self) -> Iterator[Exhibit]:
        """How complete the maps are by more than one threshold, and what became of claims about it, after Holm."""
        frame = completeness.table(self.train_in_full)
        yield Table(
            frame,
            "completeness",
            f"How complete the maps are, in per cent: {len(self.on_train)} images of train, unrefined maps with the "
            f"true image labels, {self.over}. At the fixed threshold {self.threshold} mIoU, over-activation, "
            "under-activation and boundary IoU, at all thresholds PxAP, at the best ones MaxBoxAccV2 (oracle).",
            best=[name for name in frame if name not in completeness.ERRORS],
            lowest=completeness.ERRORS,
            note="PxAP: average precision of the pixels of a class. MaxBoxAccV2: maps with a box that has an IoU of at "
            "least .3, .5, .7 with one of the object, mean of the three. Over-activation: pixels of a class outside "
            "its object, of those of the image. Under-activation: pixels of an object without its class, of those of "
            "the object. Boundary IoU: of the outlines, within 2 % of the diagonal.",
        )
        asked = [
            verdict
            for claim in self.claims_of_completeness
            for verdict in mechanism.verdicts(claim, completeness.ASKED, self.train_in_full, "train")
        ]
        left_out = self.unasked(lambda each: each.claims_of_completeness)
        yield from families.corrected(asked, left_out * len(completeness.ASKED))

    def classifiers(self) -> Table:
        """What section 2.2 argues with and does not measure: calibration and certainty of the classifiers."""
        return Table(
            maps.classifier_behaviour({row.name: self.val[row.name] for row in self.rows.values()}),
            "classifier",
            f"The classifiers themselves on {len(self.on_val)} images of val at their own size, in per cent, "
            f"{self.over}: mean average precision of the image labels, expected calibration error of all predictions "
            "together and of each class by itself (mean over classes), Brier score, entropy of the predictions.",
            best=["mAP"],
            lowest=["calibration error", "class-wise calibration error", "Brier score"],
        )
