"""What each term of Mixup-CAM does: its gradient, its other readings, its sign, and each term without the others.

Thesis sections 2.2, 2.3.2 and 2.4.2. The rows of Table 2.1 are those of `table_2_1`; all others are controls that the
thesis does not have. The entropy term (2.3) can be read in several ways (A1, A2), and 2.2 motivates it with more
uncertainty while (2.5) adds it, which makes for less: a negative lambda_ent is the opposite sign.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from companion.analysis import by_class, chance, families, gradients, maps, measures
from companion.analysis.by_class import Pair
from companion.analysis.claims import Claim, Row, Verdict, difference, judged, points, versus, within
from companion.analysis.families import Judged
from companion.analysis.methods import MIXUP_CAM, PLAIN_CAM, against_plain, regularisers
from companion.analysis.statistics import equivalence
from companion.drawing.differences import differences
from companion.experiments import row_stages
from companion.experiments.declared import class_table
from companion.experiments.exhibits import Figure, KeyNumber, Note, Table
from companion.experiments.own_rows import check_plain, check_trained, other_form
from companion.experiments.scored_maps import ScoredMaps
from companion.pipeline.store import digest
from companion.settings import SettingsError, nearest

LEVEL, SCORE, FORM, MAP = (
    f"classifier.{name}" for name in ("entropy_level", "entropy_score", "concentration_form", "concentration_map")
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Terms(ScoredMaps):
    """Rows of Table 2.1, and controls that differ from one of them in one thing.

    Args:
        alpha, lambda_ent, lambda_con: of Mixup-CAM.
        margin: mIoU points that count as no difference.
        trained: the controls that are trained, by the key they have in `controls`; gradients are shown of all.
    """

    notebook: ClassVar = "24_terms"

    alpha: float
    lambda_ent: float
    lambda_con: float
    margin: float
    trained: Sequence[str]

    @cached_property
    def of_table_2_1(self) -> dict[str, Row]:
        """The rows that Table 2.1 has too, its own controls included, named and set as there."""
        alpha, ent, con, form = self.alpha, self.lambda_ent, self.lambda_con, other_form(self.settings)
        full = regularisers(alpha, ent, con)
        return {
            "cam": PLAIN_CAM,
            "mixup": Row("mixup", regularisers(alpha)),
            "entropy": Row("mixup + entropy", regularisers(alpha, ent)),
            "concentration": Row("mixup + concentration", regularisers(alpha, lambda_con=con)),
            "mixup_cam": Row(MIXUP_CAM.name, full),
            "no_mixup": Row("both terms, no mixup", regularisers(0, ent, con), control=True),
            "other_form": Row(f"{MIXUP_CAM.name}, {form} form", full | {FORM: form}, control=True),
        }

    @cached_property
    def controls(self) -> dict[str, Row]:
        """The rows of this experiment alone, trained or not."""
        alpha, ent, con = self.alpha, self.lambda_ent, self.lambda_con
        lowered, raised = regularisers(alpha, ent), regularisers(alpha, -ent)
        rows = {
            "pixel": Row("entropy of each cell (A1)", lowered | {LEVEL: "pixel"}),
            "logit": Row("entropy of logits (A2)", lowered | {SCORE: "logit"}),
            "logit_max": Row("entropy of logits / maximum (A2)", lowered | {SCORE: "logit_max"}),
            "raised": Row("entropy raised", raised),
            "logit_raised": Row("entropy of logits raised", raised | {SCORE: "logit"}),
            "entropy_alone": Row("entropy, no mixup", regularisers(0, ent)),
            "concentration_alone": Row("concentration, no mixup", regularisers(0, lambda_con=con)),
            "other_map": Row(
                f"{MIXUP_CAM.name}, {self.other_map} cells (A4)",
                regularisers(alpha, ent, con) | {MAP: self.other_map},
            ),
        }
        return {key: Row(row.name, row.overrides, control=True) for key, row in rows.items()}

    @property
    def other_map(self) -> int:
        """The side of the map (A4) that the settings do not have: 56 cells, or 28."""
        return 28 if self.settings.classifier.concentration_map == 56 else 56

    @cached_property
    def rows(self) -> Mapping[str, Row]:
        """The rows that are trained, by key.

        Raises:
            SettingsError: an unknown control, a classifier from a file, or a regulariser that is already set.
        """
        check_plain(self.settings)
        check_trained(self.settings, "this notebook")
        for key in self.trained:
            if key not in self.controls:
                known = ", ".join(self.controls)
                raise SettingsError(f"trained: unknown row {key!r}{nearest(key, [*self.controls])}; one of {known}")
        return self.of_table_2_1 | {key: row for key, row in self.controls.items() if key in self.trained}

    @cached_property
    def claims(self) -> Sequence[Claim]:
        """What the controls ask, each of the row that it differs from in one thing."""
        asked = (
            ("The entropy of each cell does better than none", "pixel", "mixup"),
            ("The entropy of logits does better than none", "logit", "mixup"),
            ("The entropy of logits by their maximum does better than none", "logit_max", "mixup"),
            ("To raise the entropy does better than to lower it", "raised", "entropy"),
            ("To raise the entropy of logits does better than to lower it", "logit_raised", "logit"),
            ("The entropy term does better than plain CAM without mixup", "entropy_alone", "cam"),
            ("The concentration term does better than plain CAM without mixup", "concentration_alone", "cam"),
            ("Both terms do better than plain CAM without mixup", "no_mixup", "cam"),
            ("The other weight of the concentration (A4) does better", "other_map", "mixup_cam"),
            ("The other form of the concentration (A5) does better", "other_form", "mixup_cam"),
        )
        rows = self.rows
        return [Claim(text, rows[a], rows[b], control=True) for text, a, b in asked if {a, b} <= {*rows}]

    @property
    def claims_of_completeness(self) -> Sequence[Claim]:
        return against_plain(self.claims)

    # --- Scores ---

    @property
    def weighed(self) -> dict[str, Row]:
        """The terms whose gradients are shown, one reading each, by key; their sign is that of (2.5)."""
        rows, controls = self.of_table_2_1, self.controls
        con = rows["concentration"].overrides
        return {
            "entropy": Row("entropy as read", rows["entropy"].overrides),
            **{key: controls[key] for key in ("pixel", "logit", "logit_max")},
            "concentration": Row("concentration", con),
            "form": Row(
                f"concentration, {other_form(self.settings)} form (A5)", con | {FORM: other_form(self.settings)}
            ),
            "map": Row(f"concentration, {self.other_map} cells (A4)", con | {MAP: self.other_map}),
        }

    @cached_property
    def pulls(self) -> dict[str, np.ndarray]:
        """`gradients.COLUMNS` of each term in `weighed` by key, `(seeds, 3)`, on the classifiers of mixup."""
        mixup = self.of_table_2_1["mixup"]
        rows = {key: self.settings.override(row.overrides) for key, row in self.weighed.items()}
        trained = self.compute(row_stages.classifier_stages(self.settings, [mixup], self.seeds, self.machine))

        def measure(folder: Path) -> np.ndarray:
            with_mixup = self.settings.override(mixup.overrides)
            return gradients.of_classifier(folder, self.images("trainaug"), with_mixup, rows, self.machine)

        weighed = digest(mixup=self.settings.classifier, **{key: row.overrides for key, row in self.weighed.items()})
        found = np.stack(self.of_each(f"gradients of the terms, {weighed}", measure, trained.values()))
        return {key: found[:, at] for at, key in enumerate(rows)}

    # --- Verdicts ---

    @property
    def primary(self) -> Verdict:
        """The primary claim: the entropy term as read makes no difference to mixup beyond the margin."""
        found = maps.readings(self.of_entropy, self.train, self.val)
        most = points(self.margin, "mIoU point")
        claim = f"The entropy term as read changes nothing: at most {most} from mixup, {maps.PRIMARY_IN_WORDS}"
        others = [f"{way}: {equivalence(found[way], self.margin)}" for way in maps.READINGS if way != maps.PRIMARY]
        verdict = within(claim, found[maps.PRIMARY], self.margin)
        return replace(verdict, primary=True, note=f"{'; '.join(others)}.".capitalize())

    def _judged(self, claim: Claim) -> Judged:
        found = maps.readings(claim, self.train, self.val)
        remark = maps.other_readings(claim, self.train, self.val, {})
        return judged(f"{claim.text}: {versus(claim)}", found["train, fixed"], remark), self._compared(claim)

    def _compared(self, claim: Claim) -> Pair:
        return by_class.pair(self.train, claim.row.name, claim.reference.name)

    # --- Exhibits, in the order of the notebook ---

    def what_differs(self) -> Table:
        """The settings of the rows."""
        return Table(
            maps.row_settings([*self.rows.values()], self.settings),
            "rows",
            "What distinguishes the rows that are trained; everything else is the preset's. A negative lambda_ent "
            "raises the entropy.",
            formats={"lambda_ent": "g", "lambda_con": "g"},
        )

    def gradient_table(self) -> Iterator[Table | KeyNumber]:
        """How hard each term pulls."""
        headings = ("parameters, % of classification", "logits, % of classification", "cosine with classification")
        cells = {
            row.name: {head: maps.over_seeds(self.pulls[key][:, at].tolist()) for at, head in enumerate(headings)}
            for key, row in self.weighed.items()
        }
        yield Table(
            pd.DataFrame.from_dict(cells, orient="index", dtype=object).rename_axis("term"),
            "gradients",
            "The gradient of each term with its weight beside that of the classification loss: norms over the trained "
            "parameters and over the logits in per cent, and the cosine over the parameters. "
            f"On the classifiers that mixup alone has trained, {gradients.BATCHES} batches of trainaug drawn as in "
            f"training, {self.over}; no row is trained for it.",
            formats={headings[2]: "+.2f"},
            note="Logits: 0 for a term that acts on the maps alone. Cosine: below 0 the terms work against the "
            "classification loss.",
        )
        yield KeyNumber(
            "Gradient of the entropy term as read",
            maps.over_seeds(self.pulls["entropy"][:, 0].tolist()),
            note="of that of the classification loss, over the parameters",
        )

    def table(self) -> Table:
        """The rows in three scores."""
        columns: Mapping[str, Any] = {"mIoU train": measures.fixed_miou}
        moved = {row: maps.over_seeds(values) for row, values in maps.transferred(self.train, self.val).items()}
        frame = maps.table(self.train, columns)
        frame["mIoU val, threshold of train"] = pd.Series(moved, dtype=object)
        frame = frame.join(maps.table(self.val, {"mAP val": measures.mean_average_precision}))
        return Table(
            frame,
            "terms",
            f"Unrefined response maps with the true image labels: mIoU in per cent on train at the fixed threshold "
            f"{self.threshold}, on val at the threshold that the truth of train chooses, and mean average precision of "
            f"the image labels on val; {self.both}, {self.over}.",
            best=[*frame.columns],
        )

    def verdicts(self) -> Iterator[Verdict | Note | Figure | Table]:
        """Does the entropy term as read do anything, and what do the controls say?"""
        yield self.primary
        yield Note(families.NOTE)
        asked = [self._judged(claim) for claim in self.claims]
        every = replace(self, trained=[*self.controls])
        left_out = len(every.claims) - len(self.claims)
        yield from families.alone(asked, self.on_train.classes, left_out)
        entropy, mixup = self.rows["entropy"].name, self.rows["mixup"].name
        of_entropy = difference(self.train, entropy, mixup)
        shown = {f"{entropy} > {mixup}": of_entropy} | {
            versus(claim): difference(self.train, claim.row.name, claim.reference.name) for claim in self.claims
        }
        yield Figure(
            differences(
                shown, f"difference of mIoU on train at the fixed threshold {self.threshold}, points", self.margin
            ),
            "differences",
            f"What each control changes: paired differences with their 95 % intervals, {len(self.on_train)} images of "
            f"train, {self.over}. The band is the margin within which a difference counts as none.",
            "One line a comparison: a point with a horizontal bar beside a vertical line at 0 in a grey band.",
        )
        yield Table(
            maps.claims(self.claims, self.train, self.val, {}).drop(columns="thesis, VOC train"),
            "claims",
            f"Paired differences in mIoU points: on train at the fixed threshold {self.threshold}, on train at each "
            f"row's oracle threshold, on val at the oracle threshold of train; {self.both}, {self.over}.",
            formats=dict.fromkeys(maps.READINGS, "+.1f"),
            note="Verdicts in the order of the columns: ✓ holds, ✗ opposite, ? undecided.",
        )
        yield class_table(
            {versus(claim): self._compared(claim) for claim in (self.of_entropy, *self.claims)},
            self.on_train.classes,
            "by_class",
            f"mIoU on train at the fixed threshold {self.threshold}; {len(self.on_train)} images, {self.over}",
        )

    @property
    def of_entropy(self) -> Claim:
        """The two rows of the primary claim."""
        return Claim("", self.rows["entropy"], self.rows["mixup"])

    def chance_table(self) -> Table:
        """What seeds can decide."""
        return Table(
            **chance.seeds_table(
                chance.differences([self.of_entropy, *self.claims], self.train),
                f"paired differences at the fixed threshold {self.threshold}",
                f"unrefined response maps of {len(self.on_train)} images of train, {self.over}",
                margin=self.margin,
            )
        )
