"""Tables 2.2 and 2.3, Fig. 2.7 and 2.8: the segmentation that the pseudo-masks of Mixup-CAM teach.

Thesis section 2.4.3.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from companion.analysis import chain, errors, families
from companion.analysis.claims import Place, Row
from companion.analysis.methods import MIXUP_CAM, PLAIN_CAM
from companion.experiments import printed
from companion.experiments.after_step import AfterStep
from companion.experiments.exhibits import Exhibit, Figure, KeyNumber, Note, Table
from companion.experiments.own_rows import check_trained
from companion.experiments.printed_differences import SAME_NETWORK
from companion.experiments.segmented_images import SegmentedImages


@dataclass(frozen=True, kw_only=True, eq=False)
class Tables22And23(SegmentedImages):
    """Mixup-CAM."""

    notebook: ClassVar = "23_segmentation"
    reproduces: ClassVar = ("table-2.2", "table-2.3", "fig-2.7", "fig-2.8")
    classes_table: ClassVar = "table_2_3"
    failures_in: ClassVar = "Fig. 2.8"

    @property
    def method(self) -> Row:
        return MIXUP_CAM

    def check(self) -> None:
        super().check()
        check_trained(self.settings, "The tables of segmentation")

    @property
    def printed_gains(self) -> Sequence[AfterStep]:
        def printed_of(column: str) -> tuple[float, float]:
            ours, theirs = (printed.cell("table_2_1", str(row.printed), column) for row in (self.method, PLAIN_CAM))
            return ours, theirs

        ours, theirs = (printed.cell("table_2_2", name, "val") for name in (self.method.name, SAME_NETWORK))
        return [
            self.gain("train", chain.MAPS, "Table 2.1", *printed_of("cam")),
            self.gain("train", chain.WALKED, "Table 2.1", *printed_of("cam_refined")),
            self.gain("val", chain.SHARPENED, "Table 2.2", ours, theirs, primary=True),
        ]

    def verdicts(self) -> Iterator[Exhibit]:
        yield from self.primary()
        yield Note(families.NOTE)
        yield from self.secondary["steps"]
        yield from self.secondary["gains"]
        yield from self.control_verdicts()
        yield from self.class_tables()

    def key_numbers(self) -> Iterator[KeyNumber]:
        """Also for plain CAM, of which chapter 2 trained the same network (Table 2.2)."""
        yield from super().key_numbers()
        if self.segmented:
            thesis = printed.cell("table_2_2", SAME_NETWORK, "val")
            place = Place("Table 2.2", "val", f"after {chain.SHARPENED}", row="AffinityNet, network of the thesis")
            yield self.key_number("cam", chain.SHARPENED, "plain CAM", thesis, place)

    def printed_tables(self) -> Iterator[Table]:
        yield Table(
            printed.comparison("table_2_2"),
            "table_2_2",
            "Table 2.2 as printed: mIoU in per cent on the 1,449 images of VOC 2012 val, with CRF, single runs.",
            best=["mIoU val"],
            formats={"year": "d"},
            note=f"{SAME_NETWORK}: its masks with the segmentation network of the thesis, the control of Mixup-CAM.",
        )
        theirs = printed.cell(self.classes_table, "AffinityNet", "aeroplane")
        below = theirs - printed.ours(self.classes_table, crf=False)["aeroplane"]
        yield self.printed_classes(
            f" Without CRF Mixup-CAM is {below:.1f} points below AffinityNet on aeroplane (S12), which the "
            "thesis does not mention."
        )
        yield self.printed_improvement("The thesis counts in Table 3.3 alone, as in the first line.")

    def first_images(self) -> Iterator[Figure]:
        """Fig. 2.7: the first images of val."""
        if self.segmented:
            first = self.first_of_val
            yield Figure(
                self.side_by_side(first),
                "fig_2_7",
                f"Fig. 2.7: DeepLab-v2 with CRF on the first {len(first)} of {len(self.on_val)} images of val, trained "
                "on the masks of plain CAM and of Mixup-CAM; IoU in per cent, mean over the object classes of the "
                "image.",
                "Images with their true masks and two predicted masks each.",
            )

    def failures(self) -> Iterator[Figure]:
        """Fig. 2.8: where it fails most, by kind and place of errors."""
        if self.segmented:
            yield Figure(
                self.failure_sheet(self.worst((*errors.KINDS, *errors.PLACES))),
                "fig_2_8",
                f"Fig. 2.8: the {self.failures_shown} images of val with the largest share of pixels wrong in each "
                f"way; DeepLab-v2 + CRF on the masks of Mixup-CAM, seed {self.seeds[0]}.",
                "For each kind of error, images with true mask, predicted mask, and the wrong pixels in the colour of "
                "their kind.",
            )
