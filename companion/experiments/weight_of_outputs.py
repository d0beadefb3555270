"""What Fig. 3.4 cannot tell apart: the number of sub-categories, and the weight of each of their outputs.

Thesis section 3.4.2. The second term of (3.3) is a mean over C K outputs, so with lambda fixed each output weighs
lambda / (C K): in the thesis 0.5 / C with K = 10, 5 / C with K = 1. A second series keeps the weight that an output has
with the default K, and a sweep over lambda asks what the weight alone does, for clusters and for random labels of the
same sizes. Neither is in the thesis.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from companion.analysis.claims import Row, Verdict, difference, judged, seed_values
from companion.analysis.families import Judged
from companion.analysis.maps import over_seeds
from companion.analysis.measures import Measure, fixed_miou, oracle_miou
from companion.analysis.statistics import Interval
from companion.drawing import curves
from companion.drawing.style import colours
from companion.experiments.chapter_3 import RANDOM, labelled, trained_parent
from companion.experiments.exhibits import Exhibit, Figure, Note, Table
from companion.experiments.sweeps import Sweeps

ON_VAL = {"cam.splits": ("val",)}  # where the figure is scored: half the maps


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightOfOutputs(Sweeps):
    """A second series over K, and one over lambda, beside that of Fig. 3.4.

    Args:
        after_round: whose maps are scored.
        fixed_weight: K of the second series, which has the default K too; empty: 1 and the largest of the grid.
        lambdas: of (3.3), beside the default one; empty: none is trained.
    """

    after_round: int
    fixed_weight: Sequence[int]
    lambdas: Sequence[float]

    @cached_property
    def first_series(self) -> dict[int, Row]:
        """The rows of Fig. 3.4 by K; K = 1 is trained, with a second head on the classes."""
        chosen = self.settings.subcategories
        return {1: trained_parent(self.after_round)} | {
            k: Row(f"K = {k}", {"subcategories.round": self.after_round, "subcategories.k": k})
            for k in sorted({*chosen.grid, chosen.k} - {1})
        }

    @cached_property
    def second_series(self) -> dict[int, Row]:
        """Rows by K whose lambda grows with K, so that an output has the weight that it has with the default K."""
        chosen, first = self.settings.subcategories, self.first_series
        asked = {*self.fixed_weight} or {1, max(first)}
        found = {}
        for k in sorted({*asked, chosen.k}):
            weight = chosen.weight * k / chosen.k
            like = first.get(k) or Row(f"K = {k}", {"subcategories.round": self.after_round, "subcategories.k": k})
            own = Row(f"{like.name}, lambda {weight:g}", like.overrides | {"subcategories.weight": weight} | ON_VAL)
            found[k] = like if k == chosen.k else own
        return found

    @cached_property
    def over_lambda(self) -> dict[float, tuple[Row, Row]]:
        """Clusters and random labels of the same sizes by lambda, both with the default K."""
        chosen = self.settings.subcategories
        clusters, dealt = self.first_series[chosen.k], labelled(RANDOM, "random", self.after_round)
        dealt = Row(dealt.name, dealt.overrides | ON_VAL, control=True)
        found = {}
        for value in sorted({*self.lambdas, chosen.weight}) if self.lambdas else ():
            pair = [
                Row(f"{row.name}, lambda {value:g}", row.overrides | {"subcategories.weight": value} | ON_VAL)
                for row in (clusters, dealt)
            ]
            found[value] = (clusters, dealt) if value == chosen.weight else (pair[0], pair[1])
        return found

    @property
    def weighted_rows(self) -> dict[str, Row]:
        """The rows of both, beside those of Fig. 3.4, by name."""
        rows = [*self.second_series.values(), *(row for pair in self.over_lambda.values() for row in pair)]
        known = {row.name for row in self.first_series.values()}
        return {row.name: row for row in rows if row.name not in known}

    # --- Exhibits ---

    def same_weight(self) -> Iterator[Exhibit]:
        """The second series beside the first."""
        chosen, first, second = self.settings.subcategories, self.first_series, self.second_series
        of_output = chosen.weight / chosen.k
        lines = {}
        for k in sorted({*first, *second}):
            one, other = first.get(k), second.get(k)
            changed = difference(self.scores, other.name, one.name) if one and other and one != other else None
            lines[f"{k}{' (default)' if k == chosen.k else ''}"] = {
                "weight of an output × C": chosen.weight / k,
                f"lambda {chosen.weight:g}": self._miou(one),
                f"weight {of_output:g} / C": self._miou(other),
                "second minus first": changed,
                f"weight {of_output:g} / C, oracle": self._miou(other, oracle_miou),
            }
        yield Table(
            pd.DataFrame.from_dict(lines, orient="index").astype(object).rename_axis("K"),
            "same_weight",
            f"mIoU in per cent by K with lambda fixed, where an output weighs less the more there are, and with the "
            f"weight of an output fixed at that of the default K; K = 1 is a second head on the classes. Fixed "
            f"threshold {self.threshold}, last column oracle; {self.of_maps}.",
            formats={"weight of an output × C": ".2g", "second minus first": "+.1f"},
        )
        yield self._series_figure(f"lambda {chosen.weight:g}", f"weight of an output {of_output:g} / C")
        yield from self.decided["weight"]
        if self.weighed_alike:
            yield self.classes_of(self.weighed_alike, "by_class_weight")

    @property
    def weighed_alike(self) -> list[tuple[Row, Row]]:
        """The default and the largest K of the second series, each with the control whose outputs weigh as much."""
        second = self.second_series
        asked = dict.fromkeys((self.settings.subcategories.k, max(second))) if 1 in second else ()
        return [(second[k], second[1]) for k in asked if k > 1]

    @property
    def weight_claims(self) -> list[Judged]:
        """Whether clusters do better than the control whose outputs weigh as much."""
        text = "Clusters do better than a second head on the classes whose outputs weigh as much"
        return [self.judged_pair(f"{text}: {row.name} > {other.name}", row, other) for row, other in self.weighed_alike]

    @property
    def lambda_claims(self) -> list[Judged]:
        """Whether clusters do better than random labels, by lambda."""
        text = "Clusters do better than random labels of the same sizes, lambda"
        return [self.judged_pair(f"{text} {value:g}", *pair) for value, pair in self.over_lambda.items()]

    def judged_pair(self, text: str, row: Row, other: Row, note: str | None = None) -> Judged:
        """The claim that one row is above another at the fixed threshold."""
        return judged(text, difference(self.scores, row.name, other.name), note), self.counts_of(row, other)

    @property
    @abstractmethod
    def decided(self) -> Mapping[str, Sequence[Verdict]]:
        """`weight_claims` as `weight` and `lambda_claims` as `lambda`, corrected with their family."""

    def sweep_of_lambda(self) -> Iterator[Exhibit]:
        """Clusters and random labels by lambda."""
        if not self.over_lambda:
            yield Note(
                "No sweep over lambda was asked for: `lambdas` is empty. `batches/fig_3_4_lambda.toml` runs one."
            )
            return
        lines = {
            f"{value:g}": {
                "clusters": self._miou(clusters),
                "random": self._miou(dealt),
                "clusters minus random": difference(self.scores, clusters.name, dealt.name),
            }
            for value, (clusters, dealt) in self.over_lambda.items()
        }
        yield Table(
            pd.DataFrame.from_dict(lines, orient="index").astype(object).rename_axis("lambda"),
            "over_lambda",
            f"mIoU in per cent by lambda of (3.3), K = {self.settings.subcategories.k}, of clusters and of random "
            f"labels of the same sizes, at the fixed threshold {self.threshold}; {self.of_maps}.",
            formats={"clusters minus random": "+.1f"},
        )
        yield from self.decided["lambda"]
        yield self.classes_of([*self.over_lambda.values()], "by_class_lambda")

    def _miou(self, row: Row | None, measure: Measure = fixed_miou) -> Interval | None:
        return over_seeds(seed_values(self.scores, row.name, measure)) if row else None

    def _series_figure(self, first: str, second: str) -> Figure:
        shade = colours(["SC-CAM", "random sub-labels"])
        lines = [
            curves.Line(name, {k: self._miou(row) for k, row in rows.items()}, colour, dashes=dashes, marker=marker)
            for name, rows, colour, dashes, marker in (
                (first, self.first_series, shade["SC-CAM"], "-", "o"),
                (second, self.second_series, shade["random sub-labels"], "--", "^"),
            )
        ]
        return Figure(
            curves.against({"mIoU on val, per cent": lines}, "K, sub-categories of each class"),
            "same_weight",
            f"mIoU at the fixed threshold {self.threshold} against K with lambda fixed, and with the weight of an "
            f"output fixed; K = 1 is a second head on the classes. {self.of_maps[0].upper()}{self.of_maps[1:]}.",
            "Two lines over K, mIoU on val with bars; they meet at the default K.",
        )
