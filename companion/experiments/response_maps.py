"""What the notebooks of Table 2.1 and Table 3.1 have in common: response maps of several rows, on train and val.

Each number is read at the fixed threshold first; the threshold that truth would have chosen is called oracle.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from companion.analysis import chain, maps, measures, refined_images
from companion.analysis.claims import Place, Printed, Row
from companion.analysis.measures import Measure, Scores
from companion.drawing import curves, image_grids
from companion.experiments import printed, row_stages
from companion.experiments.exhibits import Figure, KeyNumber, Note, Table
from companion.experiments.own_rows import only, own_key
from companion.experiments.scored_maps import ScoredMaps
from companion.pipeline.store import Stage
from thesislib.refinement import crf

SPREAD = (
    "share of the objects' area above the fixed threshold {threshold}; object recall at the object precision that CAM "
    "has there; and of the map inside the objects its entropy (100: even), its variance in position (of the image "
    "area) and its coefficient of variation (0: even)."
)
NOT_COMPARABLE = " Ours are of generated images: the two are not comparable, only the direction of differences is."


@dataclass(frozen=True, kw_only=True, eq=False)
class ResponseMaps(ScoredMaps):
    """Response maps of step 1 by row and seed, their scores, and what the random walk makes of them.

    Args:
        extra_rows: settings of rows of the user's own by name.
        only_rows: keys of the rows that are asked for; empty: all.
        step_2: whether the maps are refined, which takes as long as the maps.
        walked_rows: keys of the rows whose maps are refined; empty: those of the table and the user's own.
        data_seed: of generated images.
        images_shown: in figures of many images.

    Class attributes:
        two: the keys of the two rows of the primary claim.
    """

    two: ClassVar[tuple[str, str]]

    extra_rows: Mapping[str, dict[str, Any]]
    only_rows: Sequence[str]
    step_2: bool
    walked_rows: Sequence[str]
    data_seed: int
    images_shown: int

    @property
    @abstractmethod
    def every_row(self) -> dict[str, Row]:
        """The rows by key, that of the table first, with those that are not asked for."""

    @cached_property
    def rows(self) -> dict[str, Row]:
        """The rows that are asked for, by key.

        Raises:
            SettingsError: `only_rows` names a row that does not exist, or leaves out one of the two that are compared.
        """
        return only(self.only_rows, self.every_row, self.two, "only_rows")

    @property
    def names(self) -> set[str]:
        """The names of all rows whose maps are scored."""
        return {row.name for row in self.scored}

    def of(self, keys: Sequence[str]) -> list[Row]:
        """The rows with these keys."""
        return [self.rows[key] for key in keys]

    @property
    def walked(self) -> list[Row]:
        """The rows whose maps are refined; none without the CRF library, or where step 2 is not asked for."""
        return self.to_walk if self.step_2 and row_stages.has_crf(self.machine) else []

    @property
    def to_walk(self) -> list[Row]:
        """The rows of step 2: those of the table and the user's own; controls are asked of the maps.

        Raises:
            SettingsError: `walked_rows` names a row that is not refined, or leaves out one of the two.
        """
        own = {own_key(name) for name in self.extra_rows}
        refined = {key: row for key, row in self.rows.items() if not row.control or key in own}
        return [*only(self.walked_rows, refined, self.two, "walked_rows").values()]

    @property
    def walks(self) -> Mapping[tuple[str, int], Stage]:
        """The stage of the refined maps by row name and seed."""
        return row_stages.refined_stages(self.settings, self.walked, self.seeds, self.machine)

    def stages(self) -> list[Stage]:
        return [*self.maps.values(), *self.walks.values()]

    # --- Scores ---

    @cached_property
    def refined(self) -> Mapping[str, Scores]:
        """Scores after the random walk by split; empty without the CRF library."""
        walked = self.compute(self.walks)
        return {split: chain.read_counts(walked, split) for split in ("train", "val")} if walked else {}

    def not_run(self, what: str) -> Iterator[Note]:
        """Why the refined scores are missing, where they are."""
        if not self.refined:
            why = (
                crf.crf_missing() if self.step_2 else "the parameter step_2 leaves out AffinityNet and the random walk"
            )
            yield Note(f"{what} shown as not run: {why}")

    # --- Captions ---

    @property
    def maps_of(self) -> str:
        """What is scored, to be followed by images."""
        return "response maps of step 1 with the true image labels, neither refined nor CRF, on"

    @property
    def of_both(self) -> str:
        """Images and seeds of scores on train and val."""
        return f"{self.maps_of} {self.both}, {self.over}"

    @property
    def of_train(self) -> str:
        """Images of scores on train, without seeds."""
        return f"{self.maps_of} {len(self.on_train)} images of train"

    # --- Exhibits ---

    def row_settings(self, **more: Any) -> Table:
        """The settings in which the rows differ; `more` are fields of the table."""
        return Table(
            maps.row_settings(self.scored, self.settings),
            "rows",
            "What distinguishes the rows; everything else is the preset's.",
            **more,
        )

    def fixed_threshold(
        self, name: str, source: str, columns: Mapping[str, Printed], more: Mapping[str, Measure] | None = None
    ) -> Table:
        """A table of the thesis at the fixed threshold.

        Args:
            name, source: of the table's files; what the thesis calls it.
            columns: the printed values by split.
            more: columns of one's own, measures on train by their heading, such as `{"recall": measures.mean_recall}`.
        """
        named = f"; beside it {', '.join(more)}" if more else ""
        thesis = {f"thesis, VOC {split}": column for split, column in columns.items()}
        remark = f"The printed values are of VOC 2012{' train' if [*columns] == ['train'] else ''}, single runs."
        return Table(
            maps.fixed_threshold(self.train, self.val, thesis, more),
            name,
            f"mIoU in per cent at the fixed threshold {self.threshold}: {self.of_both}{named}.",
            best=["mIoU train", "mIoU val"],
            beside={
                f"mIoU {split}": (f"thesis, VOC {split}", Place(source, split, "response maps")) for split in columns
            },
            note=remark + (NOT_COMPARABLE if self.generated else ""),
        )

    def key_number(self, source: str, row: Row, split: str, thesis: float | None) -> KeyNumber:
        """mIoU of a row at the fixed threshold."""
        runs = {"train": self.train, "val": self.val}[split][row.name]
        return KeyNumber(
            f"{row.name}, mIoU {split}",
            maps.over_seeds([measures.fixed_miou(run) for run in runs]),
            thesis,
            f"fixed threshold {self.threshold}",
            place=Place(source, split, "response maps", row=row.name),
        )

    def threshold_curves(self, left: Sequence[Row], right: Sequence[Row], in_words: str, others: str) -> Figure:
        """mIoU against the background threshold, in one or two panels; `in_words` and `others` say what they hold."""
        of_row = {row.name: [measures.miou_curve(run) for run in self.train[row.name]] for row in self.scored}
        panels = [{row.name: of_row[row.name] for row in rows} for rows in (left, right) if rows]
        held = f"left {in_words}, right {others}" if right else in_words
        return Figure(
            curves.threshold_curves(panels, self.threshold, "train"),
            "thresholds",
            f"mIoU of unrefined maps on {len(self.on_train)} images of train against the background threshold: "
            f"{held}. Lines are means, bands 95 % intervals over {self.seeds_in_words}. "
            "The dashed line is the fixed threshold; a triangle is the mean over seeds "
            "of each seed's best point (oracle).",
            "Curves that rise to a maximum at a low threshold and fall; triangles mark the maxima.",
        )

    def oracle_threshold(self) -> Table:
        """What the best threshold would give."""
        return Table(
            maps.oracle_threshold(self.train, self.val),
            "oracle",
            "At the threshold that truth would choose (oracle): mIoU on train itself, that threshold, mIoU on val at "
            f"the threshold chosen on train, and val's own oracle, in per cent; {self.of_both}.",
            best=["oracle mIoU train", "mIoU val, threshold of train", "oracle mIoU val"],
            formats={"oracle threshold": ".2f"},
        )

    def baselines(self, row: Row, thesis: float, more: str = "") -> Table:
        """S8: the two published baselines beside plain CAM here; `more` ends the remark on the printed gains."""
        published = printed.baselines()
        of_baselines = zip(published["copied_by_thesis"], published["train_refined"], strict=True)
        gains = {copied: f"{thesis - refined:+.1f}" for copied, refined in of_baselines}
        return Table(
            refined_images.baselines(published, row.name, thesis, self.train, self.refined),
            "baselines",
            "S8: the baseline of the thesis and the better one that the same authors released later, mIoU in per cent "
            f"on VOC train (1,464 images) and val (1,449), beside plain CAM measured here ({self.both}, {self.over}). "
            f"Last column: how far refined {row.name} is above it on train ({thesis:.1f} as printed, or ours), in "
            "points.",
            formats={f"{row.name} refined above it": "+.1f"},
            note=f"Against the released model the printed gain is {gains[False]} instead of {gains[True]}{more}.",
        )

    def coverage(self) -> Iterator[Table]:
        """What the maps cover: known parts, precision and recall, classes."""
        if self.generated:
            parts = maps.part_coverage(self.train, self.threshold)
            for way in ("fixed", "oracle"):
                columns = [name for name in maps.PART_COLUMNS if name.endswith(way)]
                yield Table(
                    parts[columns],
                    f"parts_{way}",
                    f"Share of the pixels of each part that get their class, in per cent, at the {way} threshold; "
                    f"{self.of_train}, {self.over}.",
                    best=columns,
                )
        yield Table(
            maps.precision_and_recall(self.train),
            "precision_recall",
            f"Means over classes in per cent at the fixed threshold {self.threshold}, F-scores in both readings of "
            f"Table 3.2; {self.of_train}, {self.over}.",
            best=["mIoU", "precision", "recall", "F of the means", "mean of F1"],
        )
        classes = self.on_train.classes
        yield Table(
            maps.class_iou(self.train, classes),
            "classes",
            f"IoU of each class in per cent at the fixed threshold {self.threshold}, {self.means}; {self.of_train}.",
            best=["background", *classes, "mIoU"],
        )

    def of_first_seed(self, rows: Sequence[Row]) -> dict[str, Path]:
        """Folders of the maps of rows, of the first seed."""
        return {row.name: self.folders[row.name, self.seeds[0]] for row in rows}

    def first_of_val(self, rows: Sequence[Row]) -> tuple[int, Any]:
        """How many images of val are shown, and the drawing of their maps."""
        many = range(min(self.images_shown, len(self.on_val)))
        shown = image_grids.examples(self.on_val, many, self.of_first_seed(rows))
        return len(many), image_grids.compare(shown, self.threshold, across=3)

    def spread(self, rows: Sequence[Row], figure: str) -> Table:
        """How much of the objects the maps reach and how evenly: the numbers behind a figure."""
        images, names = self.on_train, [row.name for row in rows]
        found = self.measured("entropy", partial(measures.spatial_entropy, images=images), names)
        entropies = {name: np.stack(of_row).tolist() for name, of_row in found.items()}
        return Table(
            maps.spread({name: self.train[name] for name in names}, entropies, "CAM"),
            "spread",
            f"Behind {figure}, in per cent, unrefined maps of {len(self.on_train)} images of train, {self.over}: "
            f"{SPREAD.format(threshold=self.threshold)}",
        )

    def refined_table(
        self, name: str, caption: str, splits: Sequence[str], thesis: Mapping[str, Any], source: str, named: str
    ) -> Table:
        """The refined columns of splits.

        Args:
            name: of the table's files.
            caption: its beginning, up to the images.
            splits: shown.
            thesis: printed refined values by split.
            source: what the thesis calls the table.
            named: heading of the printed column, with `{split}`.
        """
        runs = {"train": self.train, "val": self.val}
        kinds = ["CAM", *["refined"] * bool(self.refined)]
        return Table(
            refined_images.refined_columns(
                [row.name for row in self.to_walk], {split: runs[split] for split in splits}, self.refined, thesis
            ),
            name,
            caption,
            best=[f"{kind} {split}" for kind in kinds for split in splits],
            beside={
                f"refined {split}": (named.format(split=split), Place(source, split, "after the random walk"))
                for split in thesis
            },
            formats={f"adds, {split}": "+.1f" for split in splits},
        )
