"""What experiments on response maps have in common: a stage for every row and seed, and its scores on train and val."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from companion.analysis import by_class, maps, measures
from companion.analysis.claims import Claim, Row, judged, remarks, versus
from companion.analysis.families import Judged
from companion.analysis.measures import Scores
from companion.experiments import row_stages
from companion.experiments.experiment import SCORED, Experiment
from companion.pipeline.store import Stage


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoredMaps(Experiment):
    """Unrefined response maps by row and seed."""

    needs_truth: ClassVar = SCORED

    @property
    @abstractmethod
    def rows(self) -> Mapping[str, Row]:
        """The rows by key."""

    @property
    def scored(self) -> Sequence[Row]:
        """The rows whose maps are scored."""
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
