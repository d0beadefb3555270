"""What the networks of Tables 2.2, 2.3, 3.3 and 3.4 predict: scores of the classes, masks, and where they are wrong.

Thesis sections 2.4.3 and 3.4.4, Fig. 2.7, 2.8, 3.7, 3.8 and 3.13. The thesis shows failures, here every wrong pixel is
counted.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Int64
from matplotlib.figure import Figure as Drawing

from companion.analysis import by_class, chain, error_rates, errors, families
from companion.analysis.chain import Folders
from companion.analysis.claims import Verdict, judged
from companion.analysis.statistics import mean_interval
from companion.drawing import curves, predictions
from companion.experiments.exhibits import Figure, Table
from companion.experiments.printed_differences import FAILURES, MOST_CLASSES, above, of_failure
from companion.experiments.segmentation import THE_TWO, Segmentation
from companion.pipeline import artefacts

_, SHOWN = artefacts.SEGMENTATIONS
"""The predicted masks of a segmentation that are shown and counted: those after the CRF at test time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentedImages(Segmentation):
    """Predictions of the networks on val, and their errors.

    Class attributes:
        failures_in: the figure of the thesis that shows failures of the method.
    """

    failures_in: ClassVar[str]

    images_shown: int
    failures_shown: int
    band: float

    def ours(self) -> Iterator[Table]:
        """The same network on the masks of each row and on the true ones, and its classes."""
        if not self.segmented:
            return
        trained, classes, images = [*self.trained.values()], self.on_val.classes, len(self.on_val)
        yield Table(
            chain.miou_table(self.val),
            "ours",
            f"DeepLab-v2 trained on {len(self.images('trainaug'))} images, mIoU in per cent on {images} images of val "
            f"without and with CRF, and as a share of the fully supervised one; {self.over}.",
            best=["mIoU", "mIoU, CRF"],
            within=chain.groups(self.val[chain.SEGMENTED], trained),
            note=chain.initial_weights(self.settings, trained),
        )
        frame = chain.class_table(self.val, classes)
        weak = chain.groups(frame["trained on masks of"], trained)
        yield Table(
            frame,
            "classes",
            f"IoU in per cent of each class on {images} images of val, {self.means}.",
            best=["background", *classes, "mIoU"],
            within=[use if is_weak else None for use, is_weak in zip(frame["CRF"], weak, strict=True)],
            formats={"of supervised": ".0%"} if "supervised" in self.trained else {},
        )

    def crf_by_class(self) -> Iterator[Table]:
        """What the CRF at test time changes in each class."""
        if self.segmented:
            change = chain.crf_by_class(self.val, self.on_val.classes)
            yield Table(
                change,
                "crf_by_class",
                f"Change of IoU by the CRF at test time, in points, {len(self.on_val)} images of val, {self.over}.",
                formats=dict.fromkeys(change, "+.1f"),
                note=chain.lowered(change),
            )

    def improved_here(self) -> Iterator[Table | Verdict]:
        """In how many classes the method is above plain CAM, in every reading, and whether in most."""
        if not self.segmented:
            return
        rows, classes = (self.method.name, self.rows["cam"].name), self.on_val.classes
        pairs = {f"after {step}": by_class.pair(self.val[step], *rows) for step in chain.OF_DEEPLAB}
        yield Table(
            by_class.improved_table(pairs, classes),
            "improved_here",
            f"In how many object classes {rows[0]} is above plain CAM with the same network: in each seed, in the mean "
            "over seeds, with the whole interval; in how many it is below with the whole interval; "
            f"{len(self.on_val)} images of val, {self.over}.",
            formats={"each seed": ".1f"},
            note="The thesis counts against other methods, whose networks are not here (S11).",
        )
        both = pairs[f"after {chain.SHARPENED}"]
        half = int(np.isfinite(by_class.differences(both)[:, 1:]).all(axis=0).sum()) / 2
        beyond = mean_interval([count - half for count in by_class.improved(both)])
        most = judged(
            f"{rows[0]} improves more than half of the object classes (val, {chain.SHARPENED})",
            beyond,
            f"Classes beyond {half:g}.",
            format="+.2f",
            place=MOST_CLASSES if MOST_CLASSES.row == above(*rows) else None,
        )
        yield from families.corrected([most])

    # --- Predicted masks ---

    @property
    def predicted(self) -> Folders:
        """Of the predicted masks of val, by row name and seed."""
        return {key: folder / SHOWN for key, folder in self.folders["segmented"].items()}

    def of_first_seed(self, folders: Folders) -> dict[str, Path]:
        """Folders of plain CAM and the method, of the first seed."""
        return {self.rows[key].name: folders[self.rows[key].name, self.seeds[0]] for key in THE_TWO}

    def side_by_side(self, chosen: Sequence[int]) -> Drawing:
        """The drawing of images of val with the predicted masks of plain CAM and of the method."""
        return predictions.compare(self.on_val, chosen, self.of_first_seed(self.predicted), across=2)

    @property
    def first_of_val(self) -> range:
        """Positions of the first images of val."""
        return range(min(self.images_shown, len(self.on_val)))

    # --- Where they are wrong ---

    @property
    def predictions_of(self) -> str:
        """What errors are counted in."""
        return f"{len(self.on_val)} images of val, DeepLab-v2 + CRF"

    @cached_property
    def errors(self) -> Mapping[tuple[str, int], Int64[np.ndarray, "n k"]]:
        """Pixels wrong in each way, an image each, by row name and seed."""
        predicted, images = self.predicted, self.on_val

        def measure(folders: Sequence[Path]) -> list[list[np.ndarray]]:
            return [[counts] for counts in error_rates.count(folders, images, self.band)]

        found = self.keep(f"wrong pixels, band {self.band}", [*predicted.values()], measure)
        return {key: counts for key, (counts,) in zip(predicted, found, strict=True)}

    def worst(self, kinds: Sequence[str]) -> dict[str, list[int]]:
        """Positions of the images of val that fail most in each way, with the method and the first seed."""
        counted = self.errors[self.method.name, self.seeds[0]]
        return {kind: errors.worst(counted, kind, self.failures_shown) for kind in kinds}

    def failure_sheet(self, chosen: Mapping[str, Sequence[int]]) -> Drawing:
        """The drawing of images of val by kind of failure, with the method and the first seed."""
        return predictions.failure_sheet(
            self.on_val, chosen, self.predicted[self.method.name, self.seeds[0]], self.band
        )

    def named_failures(self) -> Iterator[Verdict]:
        """The failures that the thesis names, each as two rates of which one is to be the larger; one family."""
        if not self.segmented:
            return
        found = []
        for failure in FAILURES[self.failures_in]:
            worse = error_rates.difference(self.errors, self.method.name, failure.rate, failure.other)
            text, place = f"{failure.claim} ({self.method.name}, val)", of_failure(self.failures_in, failure)
            found.append(judged(text, worse, "Points of error rate.", place=place, of_interest=None))
        yield from families.corrected(found)

    def error_tables(self) -> Iterator[Figure | Table]:
        """Wrong pixels by kind, and by place."""
        if not self.segmented:
            return
        yield Figure(
            curves.error_kinds(error_rates.mean_rates(self.errors)),
            "error_kinds",
            f"Wrong pixels by kind, {self.predictions_of}, {self.means}.",
            "A stacked bar for each method: errors along boundaries, missed objects, background response, confused "
            "classes.",
        )
        frame, kinds = error_rates.table(self.errors), [errors.ALL, *errors.KINDS]
        weak = chain.groups(frame.index, [*self.trained.values()])
        yield Table(
            frame[kinds],
            "errors",
            f"Wrong pixels in per cent of all scored pixels, in total and by kind; {self.predictions_of}, {self.over}.",
            lowest=kinds,
            within=weak,
        )
        places = frame.drop(columns=kinds)
        yield Table(
            places,
            "error_places",
            f"Error rates in per cent: of the pixels within the boundary band ({self.band:.0%} of the longer side) and "
            "inside; of the objects' pixels in thin parts and in the others, and within the band's width of an object "
            f"of another class and elsewhere; {self.predictions_of}, {self.over}.",
            lowest=[*places],
            within=weak,
        )

    def parts(self) -> Iterator[Table]:
        """What becomes of the parts of objects, where they are known."""
        if self.segmented and self.generated:
            predicted = self.predicted
            measure = partial(error_rates.part_shares, images=self.on_val)
            shares = self.of_each("parts", measure, predicted.values())
            frame = error_rates.part_table(dict(zip(predicted, shares, strict=True)))
            yield Table(
                frame,
                "parts",
                "Share of the pixels of each known part that get their class, in per cent; "
                f"{len(self.on_val)} generated images of val, DeepLab-v2 + CRF, {self.over}.",
                best=[*frame],
                within=chain.groups(frame.index, [*self.trained.values()]),
            )
