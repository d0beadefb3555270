"""Fig. 3.4: how the response maps of SC-CAM depend on K, the number of sub-categories of each class.

Thesis section 3.4.2. The thesis does not say after which round the figure was made; its value at K = 10 is that of
round 3 (Table 3.2). The control row is not in the thesis: a second head and the schedule of the rounds could help
without any cluster.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import Any, ClassVar

from companion.analysis import chance, families, measures, sensitivity
from companion.analysis.claims import Claim, Row, Sweep, Verdict, difference, judged
from companion.analysis.methods import PLAIN_CAM
from companion.analysis.statistics import verdict
from companion.datasets.voc2012.protocol import VOC2012
from companion.drawing import curves
from companion.experiments import printed
from companion.experiments.chapter_3 import sc_cam, trained_parent
from companion.experiments.exhibits import Exhibit, Figure, Note, Table
from companion.experiments.own_rows import check_plain
from companion.experiments.printed_differences import FIG_3_4
from companion.experiments.weight_of_outputs import WeightOfOutputs
from thesislib.data.voc import VocDataset

SOURCE, TABLE = "Fig. 3.4", "Table 3.1"


@dataclass(frozen=True, kw_only=True, eq=False)
class NumberOfSubcategories(WeightOfOutputs):
    """The grid of K, which belongs to the preset, after one round or more."""

    notebook: ClassVar = "32_number_of_subcategories"
    reproduces: ClassVar = ("fig-3.4",)
    split: ClassVar = "val"

    @cached_property
    def sweep(self) -> Sweep:
        """The rows by K; K = 1 is plain CAM (A14).

        Raises:
            SettingsError: not even one round, or the settings already have a regulariser or a round.
        """
        check_plain(self.settings)
        sc_cam(self.after_round)
        chosen = self.settings.subcategories
        rows: dict[float, Row] = {1: PLAIN_CAM}
        for k in sorted({*chosen.grid, chosen.k} - {1}):
            rows[k] = Row(f"K = {k}", {"subcategories.round": self.after_round, "subcategories.k": k})
        points = {float(k): miou for k, miou in printed.figure_3_4().items()}
        return Sweep("K", f"after round {self.after_round}", rows, chosen.k, points)

    @cached_property
    def control(self) -> Row:
        """K = 1 with a second head."""
        return trained_parent(self.after_round)

    @cached_property
    def rows(self) -> Mapping[Any, Row]:
        """Every row of the figure by K, `control`, and by name those that weigh outputs otherwise."""
        return {**self.sweep.rows, "control": self.control, **self.weighted_rows}

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
        sweep, above = self.sweep, sensitivity.above(self.sweep, self.scores, PLAIN_CAM)
        claim = f"Every K above 1 ({', '.join(f'{each.value:g}' for each in above)}) is above plain CAM {sweep.text}"
        oracle = sensitivity.in_words(sensitivity.above_plain(sweep, self.scores, measures.oracle_miou))
        yield self.primary([sweep], claim, FIG_3_4)
        yield Note(families.NOTE)
        every = replace(sensitivity.every(claim, above, f"At the oracle threshold: {oracle}."), place=FIG_3_4)
        each_k = [judged(f"K = {each.value:g} is above plain CAM {sweep.text}", each.difference) for each in above]
        yield from families.corrected([every, *each_k])
        yield self.by_class([sweep])
        within = f"{self.margin:g} point{'' if self.margin == 1 else 's'}"
        yield from self.little_change(sweep, "K is a flat choice", within)

    @cached_property
    def decided(self) -> Mapping[str, Sequence[Verdict]]:
        """What the controls ask, one family: the second head as `control`, and what `WeightOfOutputs` asks."""
        sweep, control = self.sweep, self.control
        beyond = {each.value: each.difference for each in sensitivity.above(sweep, self.scores, control)}
        every = sensitivity.in_words({value: verdict(found) for value, found in beyond.items()})
        clusters = judged(
            f"Clusters do better than a second head on the classes: K = {sweep.default:g} > {control.name}",
            beyond[sweep.default],
            f"Every K: {every}.",
        )
        head = judged(
            f"A second head on the classes does better than plain CAM: {control.name} > CAM",
            difference(self.scores, control.name, PLAIN_CAM.name),
        )
        asked = {"control": [clusters, head], "weight": self.weight_claims, "lambda": self.lambda_claims}
        return families.together({name: [(each, None) for each in part] for name, part in asked.items()}, ())

    def is_it_the_clusters(self) -> Iterator[Exhibit]:
        """Every K and plain CAM against the second head on the classes, and the default's own number."""
        sweep = self.sweep
        yield from self.decided["control"]
        place = self.place(f"{SOURCE} (rows of {TABLE})", sweep, f"{sweep.default:g} (default)")
        yield self.at_default(sweep, f"K = {sweep.default:g} {sweep.text}, mIoU val", place)

    def chance_table(self) -> Table:
        """How much of this is chance."""
        default, control = self.sweep.rows[self.sweep.default], self.control
        asked = [Claim("", default, control), Claim("", control, PLAIN_CAM)]
        return self.chance_of(chance.along(self.sweep, self.scores) | chance.differences(asked, self.scores))
