"""Both methods of the thesis in one classifier: do what mixup and its terms gain, and what sub-categories gain, add up?

The thesis has the two side by side and never together; its future work asks for it. In every round of Algorithm 1 the
classifier is that of Mixup-CAM, and labels of sub-categories are mixed like labels (`thesislib.objectives`). Nothing
here corresponds to published code.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import pandas as pd

from companion.analysis import families, maps
from companion.analysis.claims import Claim, Row, difference, interaction, judged, points, seed_values, within
from companion.analysis.families import Judged
from companion.analysis.maps import over_seeds
from companion.analysis.methods import MIXUP_CAM, PLAIN_CAM, regularisers
from companion.analysis.statistics import Interval, mean_interval
from companion.experiments.chapter_3 import sc_cam
from companion.experiments.compared_maps import ComparedMaps
from companion.experiments.declared import primary
from companion.experiments.exhibits import Exhibit, Note, Table
from companion.experiments.own_rows import check_plain, check_trained

BOTH, INTERACTION = "Mixup-CAM + SC-CAM", "interaction"
SQUARE = ("both", "sc_cam", "mixup_cam", "cam")
PLAIN, MIXED, ADDED = "without mixup and terms", "mixup and terms", "mixup and terms add"


@dataclass(frozen=True, kw_only=True, eq=False)
class BothMethods(ComparedMaps):
    """Plain CAM, Mixup-CAM, SC-CAM and both, and two controls of the sub-labels in the last.

    Args:
        alpha, lambda_ent, lambda_con: of Mixup-CAM.
        rounds: of SC-CAM.
    """

    notebook: ClassVar = "41_both_methods"
    beyond: ClassVar = True

    alpha: float
    lambda_ent: float
    lambda_con: float
    rounds: int

    @cached_property
    def every_row(self) -> Mapping[str, Row]:
        """The four of the 2 x 2, then the controls.

        Raises:
            SettingsError: not even one round, a classifier from a file, or a regulariser or round that is already set.
        """
        check_plain(self.settings)
        check_trained(self.settings, "this notebook")
        mixed, explored = regularisers(self.alpha, self.lambda_ent, self.lambda_con), sc_cam(self.rounds)
        both = mixed | explored.overrides
        dealt, of_plain = {"subcategories.labels": "random"}, {"subcategories.features": "plain"}
        return {
            "cam": PLAIN_CAM,
            "mixup_cam": Row(MIXUP_CAM.name, mixed, MIXUP_CAM.printed),
            "sc_cam": explored,
            "both": Row(BOTH, both),
            "random": Row("Mixup-CAM + random sub-labels", both | dealt, control=True),
            "of_plain": Row("Mixup-CAM + sub-labels of SC-CAM", both | of_plain, control=True),
        }

    @property
    def claim(self) -> Claim:
        text = "Both methods together improve the response maps"
        return Claim(text, self.every_row["both"], self.every_row["cam"], primary=True)

    @property
    def claims_of_completeness(self) -> Sequence[Claim]:
        return [self.claim]

    @property
    def added(self) -> Sequence[Claim]:
        """What each method adds to the other."""
        both, mixed, explored = (self.every_row[key] for key in ("both", "mixup_cam", "sc_cam"))
        terms = Claim("Mixup and the terms add to sub-categories", both, explored)
        return self.asked([terms, Claim("Sub-categories add to mixup and the terms", both, mixed)])

    @property
    def controls(self) -> Sequence[Claim]:
        """What is asked of the sub-labels."""
        asked = {
            "random": "Clusters do better than random groups of the same sizes",
            "of_plain": "Clusters of its own features do better than those of SC-CAM",
        }
        rows = self.every_row
        return self.asked(Claim(text, rows["both"], rows[key], control=True) for key, text in asked.items())

    @property
    def compared(self) -> Sequence[Claim]:
        """All pairs of rows whose difference is shown, those of Tables 2.1 and 3.1 among them."""
        plain = self.every_row["cam"]
        alone = [Claim("", self.every_row[key], plain) for key in ("mixup_cam", "sc_cam")]
        return [self.claim, *self.asked(alone), *self.added, *self.controls]

    # --- Scores ---

    @cached_property
    def interaction(self) -> list[float]:
        """(both - SC-CAM) - (Mixup-CAM - CAM) in the primary reading, one value a seed."""
        return interaction(self.moved, *(self.rows[key].name for key in SQUARE))

    @cached_property
    def leads(self) -> Mapping[str, list[float]]:
        """`compared` in the primary reading, one value a seed, and last the interaction, where it can be had."""
        last = {INTERACTION: self.interaction} if self.has(SQUARE) else {}
        return {**super().leads, **last}

    # --- Exhibits, in the order of the notebook ---

    def what_differs(self) -> Table:
        """The settings of the rows."""
        return self.settings_of_rows(
            "What distinguishes the rows; everything else is the preset's. Sub-labels: clusters of the features of the "
            "row's own round before; the same dealt out at random; or the clusters of the same round of SC-CAM, whose "
            "classifier is not regularised.",
            weights=("lambda_ent", "lambda_con"),
        )

    def verdicts(self) -> Iterator[Exhibit]:
        """Are both together better than none, and do the two add up?"""
        yield primary(self.claim, self.moved, self.on_val.classes, None, None)
        yield Note(families.NOTE)
        of_secondary = self.unasked(lambda each: [*each.added, *([INTERACTION] if each.has(SQUARE) else [])])
        for asked, left_out in (
            ([*self.secondary()], of_secondary),
            ([*map(self.judged_as_primary, self.controls)], self.unasked(lambda each: each.controls)),
        ):
            yield from families.alone(asked, self.on_val.classes, left_out)

    def secondary(self) -> Iterator[Judged]:
        """Whether the two add up, and what each adds to the other, not yet corrected."""
        if self.has(SQUARE):
            found, most = mean_interval(self.interaction), points(self.margin)
            what = "(both − SC-CAM) − (Mixup-CAM − CAM)"
            yield within(f"The two add up: {what} is at most {most} from 0", found, self.margin), None
            yield judged(f"Each gains more where the other is there: {what} is above 0", found), None
        yield from map(self.judged_as_primary, self.added)

    def two_by_two(self) -> Iterator[Exhibit]:
        """The four rows as a square, where all are asked for, and what each step of it gains as lines beside 0."""
        if self.has(SQUARE):
            yield self.square()
        yield self.lines(
            "What each method gains alone and beside the other, and last by how much more each gains where the other "
            "is there"
        )

    def square(self) -> Table:
        """The 2 x 2, its differences, and the interaction."""
        name = {key: row.name for key, row in self.rows.items()}
        values = {name[key]: over_seeds(seed_values(self.moved, name[key])) for key in SQUARE}

        def lines(mixed: str, plain: str) -> dict[str, Interval | None]:
            added = difference(self.moved, name[mixed], name[plain])
            return {PLAIN: values[name[plain]], MIXED: values[name[mixed]], ADDED: added}

        square = {
            "without sub-categories": lines("mixup_cam", "cam"),
            f"sub-categories, {self.rounds} rounds": lines("both", "sc_cam"),
            "sub-categories add": {
                PLAIN: difference(self.moved, name["sc_cam"], name["cam"]),
                MIXED: difference(self.moved, name["both"], name["mixup_cam"]),
                ADDED: mean_interval(self.interaction),
            },
        }
        return Table(
            pd.DataFrame(square, dtype=object).rename_axis("classifier"),
            "two_by_two",
            f"The 2 × 2: {maps.PRIMARY_IN_WORDS}, in per cent; in the last line and column what is added, in points, "
            f"and where they meet the interaction; unrefined maps, {self.both}, {self.over}.",
            formats={"sub-categories add": "+.1f"},
        )
