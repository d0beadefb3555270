"""Fig. 3.4: how the response maps of SC-CAM depend on K, the number of sub-categories of each class.

Thesis section 3.4.2. The thesis does not say after which round the figure was made; its value at K = 10 is that of
round 3 (Table 3.2). The control row is not in the thesis: a second head and the schedule of the rounds could help
without any cluster.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import Any, ClassVar

from companion.analysis import chance, families, measures, sensitivity
from companion.analysis.claims import Claim, Place, Row, Sweep, Verdict, points
from companion.analysis.families import Judged
from companion.analysis.methods import PLAIN_CAM
from companion.analysis.statistics import verdict
from companion.datasets.voc2012.protocol import VOC2012
from companion.drawing import curves
from companion.experiments import printed
from companion.experiments.chapter_3 import sc_cam, trained_parent
from companion.experiments.exhibits import Exhibit, Figure, Note, Table
from companion.experiments.own_rows import check_plain
from companion.experiments.printed_differences import FIG_3_4, FIG_3_4_LAST, FLAT_3_4
from companion.experiments.weight_of_outputs import WeightOfOutputs
from companion.settings import SettingsError
from thesislib.data.voc import VocDataset

SOURCE, TABLE = "Fig. 3.4", "Table 3.1"


@dataclass(frozen=True, kw_only=True, eq=False)
class NumberOfSubcategories(WeightOfOutputs):
    """The grid of K, which belongs to the preset, after one round or more, and some of it after the last one.

    Args:
        last_round: whose maps are scored too; that of the figure: no others.
        last_grid: K after the last round, beside the default; empty: the largest of the grid.
    """

    notebook: ClassVar = "32_number_of_subcategories"
    reproduces: ClassVar = ("fig-3.4",)
    split: ClassVar = "val"
    needs_truth: ClassVar = (split,)

    last_round: int
    last_grid: Sequence[int]

    @cached_property
    def sweep(self) -> Sweep:
        """The rows by K; K = 1 is plain CAM (A14).

        Raises:
            SettingsError: not even one round, or the settings already have a regulariser or a round.
        """
        check_plain(self.settings)
        sc_cam(self.after_round)
        return self._after(self.after_round, self.settings.subcategories.grid, "")

    @cached_property
    def last_sweep(self) -> Sweep | None:
        """Rows by K after the last round; None where the figure is of that round itself.

        Raises:
            SettingsError: not even one round, or no K above 1 in `last_grid`.
        """
        if wrong := [k for k in self.last_grid if k < 2]:
            raise SettingsError(f"last_grid: expected K of at least 2, got {wrong[0]}; K = 1 is always there")
        if self.last_round == self.after_round:
            return None
        sc_cam(self.last_round)
        grid: Sequence[float] = self.last_grid or [max(self.sweep.rows)]
        return self._after(self.last_round, grid, f", round {self.last_round}")

    def _after(self, number: int, grid: Iterable[float], name: str) -> Sweep:
        """Rows by K after a round, the default among them; `name` ends their names."""
        chosen = self.settings.subcategories
        rows: dict[float, Row] = {1: PLAIN_CAM}
        for k in sorted({*grid, chosen.k} - {1}):
            rows[k] = Row(f"K = {k}{name}", {"subcategories.round": number, "subcategories.k": k})
        points = {float(k): miou for k, miou in printed.figure_3_4().items()}
        return Sweep("K", f"after round {number}", rows, chosen.k, points)

    @cached_property
    def control(self) -> Row:
        """K = 1 with a second head."""
        return trained_parent(self.after_round)

    @cached_property
    def rows(self) -> Mapping[Any, Row]:
        """Every row of the figure by K, `control`, and by name those that weigh outputs otherwise or come later."""
        later = {row.name: row for k, row in self.last_sweep.rows.items() if k > 1} if self.last_sweep else {}
        return {**self.sweep.rows, "control": self.control, **self.weighted_rows, **later}

    @cached_property
    def trained_on(self) -> VocDataset:
        """The images of trainaug."""
        return self.images("trainaug")

    @property
    def data_note(self) -> str:
        return f"trained on {len(self.trained_on)} images; {self.scored_in_words}, all with masks"

    # --- Exhibits, in the order of the notebook ---

    def sizes(self) -> Note:
        """How many images a cluster has, here and at both ends of what the thesis splits VOC into."""
        of_a_class = self.trained_on.labels.sum(axis=0).mean()
        here = ", ".join(f"{of_a_class / k:.0f} with K = {k:g}" for k in self.sweep.rows)
        default, largest = printed.hyperparameters()["K"], max(printed.grid_of_figure_3_4())
        there = fmean(VOC2012.splits["trainaug"].per_class)
        return Note(
            f"Images in a cluster, on average over classes: {here}. On VOC there are {there / default:.0f} with "
            f"K = {default} and {there / largest:.0f} with K = {largest}."
        )

    def figure(self) -> Iterator[Figure | Table]:
        """Fig. 3.4 and its numbers."""
        sweep = self.sweep
        yield Figure(
            curves.number_of_subcategories(sweep, self.scores, self.control),
            "fig_3_4",
            f"Fig. 3.4: mIoU at the fixed threshold {self.threshold} (solid) and at each run's oracle threshold "
            f"(dashed) against K, {sweep.text}; {self.of_maps}. Bars are the intervals of the points, grey lines plain "
            "CAM with its interval as a band, the shaded value is the default. Left of the thin line the control: a "
            "second head on the classes themselves. The values stand at equal distances.",
            "Two lines, mIoU on val at the fixed and at the oracle threshold, over the number of sub-categories; "
            "horizontal lines show plain CAM, and two marks of their own the control K = 1, trained.",
        )
        caption = f"mIoU in per cent by K, {sweep.text},"
        remark = f" The figure prints no numbers: the thesis' values are rows of {TABLE}, single runs on VOC 2012 val."
        yield self.values(sweep, "fig_3_4_values", caption, f"{SOURCE} (rows of {TABLE})", [self.control], remark)

    def verdicts(self) -> Iterator[Exhibit]:
        """Is every K above plain CAM, and is the default a flat choice?"""
        sweep = self.sweep
        yield self.primary([sweep], self._claim(sweep), FIG_3_4)
        yield Note(families.NOTE)
        yield from self.claimed["figure"]
        yield self.by_class([sweep])
        yield from self.flat(sweep, FLAT_3_4)

    def after_last_round(self) -> Iterator[Exhibit]:
        """The same after the last round."""
        sweep = self.last_sweep
        if sweep is None:
            yield Note("The figure is of the last round itself.")
            return
        caption = f"mIoU in per cent by K, {sweep.text},"
        yield self.values(sweep, "fig_3_4_last_round", caption, f"{SOURCE} (rows of {TABLE}), last round")
        yield from self.claimed["last round"]
        yield self.by_class([sweep], "by_class_last_round")
        yield from self.flat(sweep)

    @cached_property
    def claimed(self) -> Mapping[str, Sequence[Verdict]]:
        """That every K, and each of them, is above plain CAM, one family: in the figure and after the last round."""
        asked = {"figure": self._above_plain(self.sweep, FIG_3_4)}
        if self.last_sweep:
            asked["last round"] = self._above_plain(self.last_sweep, FIG_3_4_LAST)
        return families.together(asked, self.scored.classes)

    def _claim(self, sweep: Sweep) -> str:
        values = ", ".join(f"{value:g}" for value in sweep.rows if value > 1)
        return f"Every K above 1 ({values}) is above plain CAM {sweep.text}"

    def _above_plain(self, sweep: Sweep, place: Place) -> list[Judged]:
        above = sensitivity.above(sweep, self.scores, PLAIN_CAM)
        oracle = sensitivity.in_words(sensitivity.above_plain(sweep, self.scores, measures.oracle_miou))
        every = sensitivity.every(self._claim(sweep), above, f"At the oracle threshold: {oracle}.")
        text = f"is above plain CAM {sweep.text}"
        each_k = [self.judged_pair(f"K = {k:g} {text}", row, PLAIN_CAM) for k, row in sweep.rows.items() if k > 1]
        return [(replace(every, place=place), None), *each_k]

    def flat(self, sweep: Sweep, place: Place | None = None) -> list[Verdict]:
        """Whether K makes little difference."""
        within = points(self.margin)
        return self.little_change(sweep, f"K is a flat choice {sweep.text}", within, place)

    @cached_property
    def decided(self) -> Mapping[str, Sequence[Verdict]]:
        """What the controls ask, one family: the second head as `control`, and what `WeightOfOutputs` asks."""
        sweep, control = self.sweep, self.control
        beyond = {each.value: each.difference for each in sensitivity.above(sweep, self.scores, control)}
        every = sensitivity.in_words({value: verdict(found) for value, found in beyond.items()})
        clusters = self.judged_pair(
            f"Clusters do better than a second head on the classes: K = {sweep.default:g} > {control.name}",
            sweep.rows[sweep.default],
            control,
            f"Every K: {every}.",
        )
        head = self.judged_pair(
            f"A second head on the classes does better than plain CAM: {control.name} > CAM", control, PLAIN_CAM
        )
        asked = {"control": [clusters, head], "weight": self.weight_claims, "lambda": self.lambda_claims}
        return families.together(asked, self.scored.classes)

    def is_it_the_clusters(self) -> Iterator[Exhibit]:
        """Every K and plain CAM against the second head on the classes, and the default's own number."""
        sweep = self.sweep
        yield from self.decided["control"]
        pairs = [(sweep.rows[sweep.default], self.control), (self.control, PLAIN_CAM)]
        yield self.classes_of(pairs, "by_class_control")
        place = self.place(f"{SOURCE} (rows of {TABLE})", sweep, f"{sweep.default:g} (default)")
        yield self.at_default(sweep, f"K = {sweep.default:g} {sweep.text}, mIoU val", place)

    def chance_table(self) -> Table:
        """How much of this is chance."""
        default, control = self.sweep.rows[self.sweep.default], self.control
        asked = [Claim("", default, control), Claim("", control, PLAIN_CAM)]
        return self.chance_of(chance.along(self.sweep, self.scores) | chance.differences(asked, self.scores))
