"""What experiments that compare rows of unrefined maps show alike: all rows, by class, and what seeds can decide."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from companion.analysis import by_class, chance, durations, maps
from companion.analysis.claims import Claim, Row, versus
from companion.analysis.methods import against_plain
from companion.analysis.statistics import mean_interval
from companion.drawing.differences import differences
from companion.experiments.declared import class_table
from companion.experiments.exhibits import Figure, Table
from companion.experiments.own_rows import only
from companion.experiments.scored_maps import ScoredMaps


@dataclass(frozen=True, kw_only=True, eq=False)
class ComparedMaps(ScoredMaps):
    """Rows, and pairs of them, in the primary reading.

    Args:
        only_rows: keys of the rows that are asked for; empty: all.
        margin: mIoU points that count as no difference.
    """

    only_rows: Sequence[str]
    margin: float

    @property
    @abstractmethod
    def every_row(self) -> Mapping[str, Row]:
        """The rows by key, with those that are not asked for.

        Raises:
            SettingsError: parameters or settings that make no rows.
        """

    @property
    @abstractmethod
    def claim(self) -> Claim:
        """The primary claim."""

    @property
    @abstractmethod
    def compared(self) -> Sequence[Claim]:
        """The pairs of rows whose difference is shown."""

    @cached_property
    def rows(self) -> Mapping[str, Row]:
        """The rows that are asked for, by key.

        Raises:
            SettingsError: as `every_row`, or `only_rows` names a row that does not exist or leaves out one of the
                primary claim.
        """
        two = self.claim.row, self.claim.reference
        needed = [key for key, row in self.every_row.items() if row in two]
        return only(self.only_rows, self.every_row, needed, "only_rows")

    def asked(self, claims: Iterable[Claim]) -> list[Claim]:
        """Those of which both rows are asked for."""
        rows = [*self.rows.values()]
        return [claim for claim in claims if claim.row in rows and claim.reference in rows]

    def has(self, keys: Iterable[str]) -> bool:
        """Whether all these rows are asked for."""
        return self.rows.keys() >= {*keys}

    @property
    def claims_of_completeness(self) -> Sequence[Claim]:
        return against_plain(self.compared)

    @property
    def thesis(self) -> Mapping[str, float]:
        """What the thesis prints for a pair, in points, by its name in `leads`."""
        return {}

    @cached_property
    def leads(self) -> Mapping[str, list[float]]:
        """`compared` in the primary reading, one value a seed."""
        return chance.differences(self.compared, self.moved)

    def lines(self, caption: str) -> Figure:
        """`leads` as lines beside 0; `caption` says what is compared."""
        return Figure(
            differences(
                {name: mean_interval(values) for name, values in self.leads.items()},
                "difference of mIoU on val at the threshold of train, points",
                self.margin,
            ),
            "differences",
            f"{caption}: paired differences with their 95 % intervals, {maps.PRIMARY_IN_WORDS}; {self.both}, "
            f"{self.over}. The band is the margin within which a difference counts as none.",
            "One line a comparison: a point with a horizontal bar beside a vertical line at 0 in a grey band.",
        )

    def settings_of_rows(self, caption: str, weights: Sequence[str] = ()) -> Table:
        """The settings in which the rows differ; of `weights` as many digits are shown as they have."""
        frame = maps.row_settings([*self.rows.values()], self.settings)
        return Table(frame, "rows", caption, formats={name: "g" for name in weights if name in frame})

    def table(self) -> Table:
        """Every row in both readings, and its classifier."""
        return Table(
            maps.overview(self.train, self.val),
            self.notebook.partition("_")[2],
            f"Unrefined response maps with the true image labels: mIoU in per cent on train at the fixed threshold "
            f"{self.threshold}, and on val at the threshold that is best on train (in the column before); mean average "
            f"precision of the image labels; {self.both}, {self.over}.",
            best=["mIoU train", "mIoU val", "mAP val"],
            formats={"best threshold": ".2f"},
        )

    def classes(self) -> Table:
        """Which classes the differences come from."""
        pairs = {versus(each): by_class.pair(self.moved, each.row.name, each.reference.name) for each in self.compared}
        of = f"{maps.PRIMARY_IN_WORDS}; {self.both}, {self.over}"
        return class_table(pairs, self.on_val.classes, "by_class", of)

    def seconds(self) -> Table:
        """How long the rows took where they were computed."""
        found = self.measured("seconds of clock and processor", durations.seconds, [*self.train])
        cells = {row: durations.over_known(of_row) for row, of_row in found.items()}
        frame = pd.DataFrame.from_dict(cells, orient="index").rename_axis("method")
        frame = frame.dropna(axis="columns", how="all")
        return Table(
            frame,
            "seconds",
            f"Seconds of each row where it was computed: trainings with features and clusters, and the maps of "
            f"{self.both}; mean of the seeds of which it is known. What rows share is in each of them, and other "
            "work on the machine in what the clock says.",
            formats=dict.fromkeys(frame, ",.0f"),
        )

    def chance_table(self) -> Table:
        """What seeds can decide."""
        return Table(
            **chance.seeds_table(
                self.leads,
                f"paired differences in {maps.PRIMARY_IN_WORDS}",
                f"unrefined response maps, {self.both}, {self.over}",
                margin=self.margin,
                printed=self.thesis,
            )
        )
