"""Fig. 2.5: how the response maps of Mixup-CAM depend on one hyper-parameter at a time.

Thesis section 2.4.2. The thesis prints neither its grid nor the values of the curves: known are rows of Table 2.1 read
as points of them. The grids are parameters of the notebook.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

from companion.analysis import chance, families, sensitivity
from companion.analysis.claims import Place, Row, Sweep, Verdict, difference, judged
from companion.analysis.methods import MIXUP_CAM, PLAIN_CAM, regularisers
from companion.analysis.statistics import verdict
from companion.drawing import curves
from companion.experiments import printed
from companion.experiments.exhibits import Exhibit, Figure, Note, Table
from companion.experiments.own_rows import check_plain, check_trained
from companion.experiments.printed_differences import FIG_2_5, FLAT, panel_of_fig_2_5
from companion.experiments.sweeps import Sweeps

SOURCE, TABLE = "Fig. 2.5", "Table 2.1"
FROM_TABLE = f" The figure prints no numbers: the thesis' values are rows of {TABLE}, single runs on VOC 2012 train."


@dataclass(frozen=True, kw_only=True, eq=False)
class Sensitivity(Sweeps):
    """Three panels: alpha with the classification loss alone, and the weight of each term beside the other.

    Args:
        alphas, lambda_ents, lambda_cons: the grids; 0 leaves the term out.
        alpha, lambda_ent, lambda_con: the defaults; one that its grid lacks is added.
        lambda_ent_of_c: weight of the entropy term in panel c, where the thesis' text says 0.2 (S2).
    """

    notebook: ClassVar = "22_sensitivity"
    reproduces: ClassVar = ("fig-2.5",)
    split: ClassVar = "train"
    needs_truth: ClassVar = (split,)

    alphas: Sequence[float]
    lambda_ents: Sequence[float]
    lambda_cons: Sequence[float]
    alpha: float
    lambda_ent: float
    lambda_con: float
    lambda_ent_of_c: float

    @cached_property
    def panels(self) -> dict[str, Sweep]:
        """The three sweeps by panel.

        Raises:
            SettingsError: the settings already have a regulariser, or train no classifier.
        """
        check_plain(self.settings)
        check_trained(self.settings, SOURCE)
        alpha, lambda_ent, lambda_con, fixed = self.alpha, self.lambda_ent, self.lambda_con, self.lambda_ent_of_c

        def of_lambda_ent(value: float) -> dict[str, Any]:
            return regularisers(alpha, value, lambda_con)

        def of_lambda_con(value: float) -> dict[str, Any]:
            return regularisers(alpha, fixed, value)

        with_con, with_ent = f"lambda_con {lambda_con:g}", f"lambda_ent {fixed:g}"
        return {
            "a": _sweep("a", "alpha", "classification loss alone", regularisers, self.alphas, alpha),
            "b": _sweep("b", "lambda_ent", f"alpha {alpha:g}, {with_con}", of_lambda_ent, self.lambda_ents, lambda_ent),
            "c": _sweep("c", "lambda_con", f"alpha {alpha:g}, {with_ent}", of_lambda_con, self.lambda_cons, lambda_con),
        }

    @cached_property
    def rows(self) -> Mapping[Any, Row]:
        """Plain CAM as `cam`, and every row of the figure by panel and value."""
        points = {(panel, value): row for panel, sweep in self.panels.items() for value, row in sweep.rows.items()}
        return {"cam": PLAIN_CAM, **points}

    @property
    def data_note(self) -> str:
        return f"{self.scored_in_words}, all with masks"

    # --- Exhibits, in the order of the notebook ---

    def figure(self) -> Figure:
        """Fig. 2.5."""
        return Figure(
            curves.sensitivity([*self.panels.values()], self.scores),
            "fig_2_5",
            f"Fig. 2.5: mIoU at the fixed threshold {self.threshold} (solid) and at each run's oracle threshold "
            f"(dashed) against one hyper-parameter at a time; {self.of_maps}. Bars are the intervals of the points, "
            "grey lines plain CAM with its interval as a band, the shaded value is the default. The values stand at "
            "equal distances.",
            "Three panels with two lines each, mIoU at the fixed and at the oracle threshold, over five values of "
            "alpha, lambda_ent and lambda_con; horizontal lines show plain CAM.",
        )

    def tables(self) -> Iterator[Table]:
        """The numbers behind each panel."""
        for panel, sweep in self.panels.items():
            caption = f"Panel {panel}, {sweep.name} ({sweep.text}): mIoU in per cent"
            yield self.values(
                sweep, f"fig_2_5{panel}", caption, f"{SOURCE} {panel} (rows of {TABLE})", remark=FROM_TABLE
            )

    def verdicts(self) -> Iterator[Exhibit]:
        """Whether every value is above plain CAM, and whether little changes over the grids."""
        sweeps = [*self.panels.values()]
        claim = "Every value of alpha, lambda_ent and lambda_con in the grids is above plain CAM"
        yield self.primary(sweeps, claim, FIG_2_5)
        yield Note(families.NOTE)
        yield from families.corrected([*self.above_plain()])
        for sweep in sweeps:
            place = replace(panel_of_fig_2_5(sweep.name), row=FLAT)
            yield from self.little_change(sweep, sweep.name, f"{self.margin:g} points", place)
        yield self.by_class(sweeps)
        place = Place(TABLE, self.split, "response maps", row=MIXUP_CAM.name)
        yield self.at_default(self.panels["b"], "All three at their defaults, mIoU train", place)

    def above_plain(self) -> Iterator[Verdict]:
        """Whether every value of a panel, and its default alone, are above plain CAM at the fixed threshold."""
        for sweep in self.panels.values():
            above = sensitivity.above(sweep, self.scores, PLAIN_CAM)
            of_each = sensitivity.in_words({each.value: verdict(each.difference) for each in above})
            claim = f"{sweep.name}: every value is above plain CAM ({sweep.text})"
            yield replace(sensitivity.every(claim, above, f"{of_each}."), place=panel_of_fig_2_5(sweep.name))
            found = difference(self.scores, sweep.rows[sweep.default].name, PLAIN_CAM.name)
            yield judged(f"{sweep.name}: the default {sweep.default:g} is above plain CAM ({sweep.text})", found)

    def chance_table(self) -> Table:
        """How much of this is chance."""
        sweeps = self.panels.values()
        return self.chance_of(
            {name: each for sweep in sweeps for name, each in chance.along(sweep, self.scores).items()}
        )


def _sweep(
    panel: str,
    name: str,
    text: str,
    overrides: Callable[[float], dict[str, Any]],
    grid: Sequence[float],
    default: float,
) -> Sweep:
    rows = {value: Row(f"{name} {value:g}", overrides(value)) for value in sorted({*grid, default})}
    return Sweep(name, text, rows, default, printed.figure_2_5(panel))
