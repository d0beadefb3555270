"""What Fig. 2.5 and Fig. 3.4 have in common: response maps of rows that differ in one hyper-parameter at a time.

Thesis sections 2.4.2 and 3.4.2. Every value is compared with the default and with plain CAM, seed by seed. Not to find
a difference is not to find that there is none, so "little" has a width, given in advance.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

from companion.analysis import by_class, chance, maps, measures, sensitivity
from companion.analysis.by_class import Pair
from companion.analysis.claims import Place, Row, Sweep, Verdict, seed_values
from companion.analysis.measures import Scores
from companion.analysis.methods import PLAIN_CAM
from companion.experiments import row_stages
from companion.experiments.declared import class_table
from companion.experiments.exhibits import KeyNumber, Table
from companion.experiments.experiment import Experiment
from companion.pipeline.store import Stage
from thesislib.data.voc import VocDataset


@dataclass(frozen=True, kw_only=True, eq=False)
class Sweeps(Experiment):
    """Unrefined response maps of the rows on one split.

    Class attributes:
        split: whose images are scored.
    """

    split: ClassVar[str]

    margin: float

    @property
    @abstractmethod
    def rows(self) -> Mapping[Any, Row]:
        """Every row by key, plain CAM among them."""

    @property
    def maps(self) -> Mapping[tuple[str, int], Stage]:
        """The stage of the response maps by row name and seed."""
        return row_stages.response_map_stages(self.settings, self.rows.values(), self.seeds, self.machine)

    def stages(self) -> list[Stage]:
        return [*self.maps.values()]

    @cached_property
    def scores(self) -> Scores:
        """Scores of the maps on the split."""
        return measures.read_scores(self.compute(self.maps), self.split)

    @cached_property
    def moved(self) -> Scores:
        """Counts of val at the threshold that is best on train: the reading of the primary claim."""
        both = {row.name for row in self.rows.values() if self._on_both(row)}
        folders = {(name, seed): folder for (name, seed), folder in self.compute(self.maps).items() if name in both}
        train, val = (measures.read_scores(folders, split) for split in ("train", "val"))
        return maps.moved(train, val, [*val])

    def _on_both(self, row: Row) -> bool:
        """Whether a row has maps of train, which choose its threshold, as well as of val."""
        return {"train", "val"} <= {*self.settings.override(row.overrides).cam.splits}

    def primary(self, sweeps: Sequence[Sweep], claim: str, place: Place) -> Verdict:
        """The primary claim: that every value of every grid is above plain CAM.

        Args:
            sweeps: the grids.
            claim: in words, up to the reading.
            place: where the thesis claims it.
        """
        above = [each for sweep in sweeps for each in sensitivity.above(sweep, self.moved, PLAIN_CAM)]
        found = sensitivity.every(f"{claim}, {maps.PRIMARY_IN_WORDS}", above, primary=True)
        return replace(found, place=place)

    def by_class(self, sweeps: Sequence[Sweep], name: str = "by_class") -> Table:
        """Which classes the differences to plain CAM come from; `name`: of the table's files."""
        rows = [row for sweep in sweeps for row in sweep.rows.values() if row.overrides != PLAIN_CAM.overrides]
        return self.classes_of([(row, PLAIN_CAM) for row in rows], name)

    def classes_of(self, pairs: Sequence[tuple[Row, Row]], name: str) -> Table:
        """Which classes the differences of pairs of rows come from, the one that should be higher first."""
        counts = {f"{row.name} > {other.name}": self.counts_of(row, other) for row, other in pairs}
        return class_table(
            counts, self.scored.classes, name, f"mIoU at the fixed threshold {self.threshold}; {self.of_maps}"
        )

    def counts_of(self, row: Row, other: Row) -> Pair:
        """Counts of two rows at the fixed threshold."""
        return by_class.pair(self.scores, row.name, other.name)

    @cached_property
    def scored(self) -> VocDataset:
        """The images of the split."""
        return self.images(self.split)

    # --- Captions ---

    @property
    def scored_in_words(self) -> str:
        """How many images of which split."""
        return f"{len(self.scored)} images of {self.split}"

    @property
    def of_maps(self) -> str:
        """What is scored, on which images, over how many seeds."""
        return f"unrefined response maps with the true image labels on {self.scored_in_words}, {self.over}"

    def place(self, source: str, sweep: Sweep, row: str = "") -> Place:
        """Where the thesis prints a point of a sweep."""
        return Place(source, self.split, "response maps", f"mIoU by {sweep.name}", row)

    # --- Exhibits ---

    def values(
        self, sweep: Sweep, name: str, caption: str, source: str, controls: Sequence[Row] = (), remark: str = ""
    ) -> Table:
        """The numbers behind a curve.

        Args:
            sweep: the values.
            name: of the table's files.
            caption: its beginning, up to the thresholds.
            source: what the thesis calls the curve.
            controls: rows without a value, at the end.
            remark: after what the signs mean.
        """
        fixed, oracle = f"mIoU {self.split}, fixed", f"mIoU {self.split}, oracle"
        return Table(
            sensitivity.table(sweep, self.scores, self.split, controls),
            name,
            f"{caption} at the fixed threshold {self.threshold} and at the oracle threshold, and paired differences at "
            f"the fixed one; {self.of_maps}.",
            best=[fixed, oracle],
            beside={fixed: (f"thesis, VOC {self.split}", self.place(source, sweep))},
            formats={"fixed, minus default": "+.1f", "fixed, minus CAM": "+.1f"},
            note=f"Above CAM: ✓ holds, ✗ opposite, ? undecided.{remark}",
        )

    def little_change(self, sweep: Sweep, claim: str, within: str, place: Place | None = None) -> list[Verdict]:
        """Whether no value of the grid differs from the default by more than the margin; none without another value.

        Args:
            sweep: the values.
            claim: its beginning.
            within: the margin in words.
            place: where the thesis claims it.
        """
        others = sensitivity.from_default(sweep, self.scores)
        if not others:
            return []
        far = sensitivity.widest(others, self.margin)
        oracle = sensitivity.from_default(sweep, self.scores, measures.oracle_miou)
        values = ", ".join(f"{each.value:g}" for each in others)
        return [
            Verdict(
                f"{claim}: over the whole grid ({values}) mIoU is within {within} of that at {sweep.default:g}",
                far.difference,
                sensitivity.insensitive(others, self.margin),
                f"Shown: {far.value:g} against {sweep.default:g}, which decides or reaches farthest. At the oracle "
                f"threshold: {sensitivity.insensitive(oracle, self.margin)}.",
                place=place,
            )
        ]

    def at_default(self, sweep: Sweep, label: str, place: Place) -> KeyNumber:
        """mIoU of the default at the fixed threshold, and where the thesis prints it."""
        return KeyNumber(
            label,
            maps.over_seeds(seed_values(self.scores, sweep.rows[sweep.default].name)),
            sweep.printed.get(sweep.default),
            place=place,
        )

    def chance_of(self, differences: Mapping[str, Sequence[float]]) -> Table:
        """What seeds can decide about paired differences by name."""
        what = f"paired differences at the fixed threshold {self.threshold}"
        return Table(**chance.seeds_table(differences, what, self.of_maps, margin=self.margin))
