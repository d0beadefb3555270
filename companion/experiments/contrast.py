"""Does a contrastive term help? Two views of every image, with a term on their features and without it.

The thesis names contrastive learning as future work. A classifier that sees two views of every image also sees twice as
many images, so the row to beat is the one with two views and no term. Nothing here corresponds to published code; the
term is `thesislib.contrast`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from companion.analysis import families
from companion.analysis.claims import Claim, Row
from companion.analysis.methods import PLAIN_CAM
from companion.experiments.compared_maps import ComparedMaps
from companion.experiments.declared import primary
from companion.experiments.exhibits import Exhibit, Note, Table
from companion.experiments.own_rows import check_plain, check_trained
from companion.settings import SettingsError

TWO_VIEWS = {"classifier.views": 2}


@dataclass(frozen=True, kw_only=True, eq=False)
class Contrast(ComparedMaps):
    """Plain CAM, two views, and two views that are compared.

    Args:
        lambda_contrasts: weights of the term, each a row; the primary claim is of the first.
    """

    notebook: ClassVar = "44_contrast"
    beyond: ClassVar = True

    lambda_contrasts: Sequence[float]

    @cached_property
    def every_row(self) -> Mapping[str, Row]:
        """Plain CAM, two views without the term, and with it a row a weight.

        Raises:
            SettingsError: no weight or one that is not above 0, a classifier from a file, or a regulariser or number of
                views that is already set.
        """
        check_plain(self.settings)
        check_trained(self.settings, "this notebook")
        if self.settings.classifier.views > 1 or not self.lambda_contrasts or min(self.lambda_contrasts) <= 0:
            raise SettingsError(
                "views and lambda_contrast are what the rows differ in: leave classifier.views alone, and give "
                "lambda_contrasts above 0, such as [0.1]"
            )
        weighted = {
            f"contrast_{weight:g}": Row(
                f"two views, contrast {weight:g}", TWO_VIEWS | {"classifier.lambda_contrast": weight}
            )
            for weight in self.lambda_contrasts
        }
        return {"cam": PLAIN_CAM, "two_views": Row("two views", TWO_VIEWS, control=True), **weighted}

    @property
    def contrasted(self) -> Sequence[Row]:
        """The rows with the term."""
        rows = self.every_row
        return [rows[f"contrast_{weight:g}"] for weight in self.lambda_contrasts]

    @property
    def claim(self) -> Claim:
        return self._of_term(self.contrasted[0], primary=True)

    def _of_term(self, row: Row, primary: bool = False) -> Claim:
        text = "A contrastive term improves the response maps of two views"
        return Claim(text, row, self.every_row["two_views"], primary=primary)

    @property
    def compared(self) -> Sequence[Claim]:
        """That the term improves the maps of two views, first with the weight that is primary, and that views do."""
        plain, views = self.every_row["cam"], self.every_row["two_views"]
        first, *others = self.contrasted
        asked = [
            *map(self._of_term, others),
            Claim("Two views of every image improve the response maps", views, plain, control=True),
            Claim("Two views and the term improve on plain CAM", first, plain),
        ]
        return [self.claim, *self.asked(asked)]

    # --- Exhibits, in the order of the notebook ---

    def what_differs(self) -> Table:
        """The settings of the rows."""
        return self.settings_of_rows(
            "What distinguishes the rows; everything else is the preset's, the number of steps too. With two views a "
            "step sees every image of its batch twice, each time augmented by itself, and both are classified.",
            weights=("lambda_contrast",),
        )

    def verdicts(self) -> Iterator[Exhibit]:
        """Does the term do more than a second view?"""
        first, *others = self.compared
        yield primary(first, self.moved, self.on_val.classes, None, None)
        yield Note(families.NOTE)
        asked, left_out = [*map(self.judged_as_primary, others)], self.unasked(lambda each: each.compared)
        yield from families.alone(asked, self.on_val.classes, left_out)
        yield self.lines("What a second view and the term gain")
