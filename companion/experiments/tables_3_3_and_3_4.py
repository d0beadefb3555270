"""Tables 3.3 and 3.4, Fig. 3.7, 3.8, 3.12 and 3.13: the segmentation that the pseudo-masks of SC-CAM teach.

Thesis section 3.4.4.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from companion.analysis import chain, errors, families, measures
from companion.analysis.claims import Claim, Row
from companion.drawing import predictions
from companion.experiments import chapter_3, printed
from companion.experiments.after_step import AfterStep
from companion.experiments.exhibits import Exhibit, Figure, Note, Table
from companion.experiments.printed_differences import BOTH_TABLES, SAME_NETWORK
from companion.experiments.segmented_images import SegmentedImages


@dataclass(frozen=True, kw_only=True, eq=False)
class Tables33And34(SegmentedImages):
    """Sub-category exploration (SC-CAM)."""

    notebook: ClassVar = "35_segmentation"
    reproduces: ClassVar = ("table-3.3", "table-3.4", "fig-3.7", "fig-3.8", "fig-3.12", "fig-3.13")
    classes_table: ClassVar = "table_3_3"
    failures_in: ClassVar = "Fig. 3.8"

    rounds: int

    @cached_property
    def method(self) -> Row:
        return chapter_3.sc_cam(self.rounds)

    @property
    def read_otherwise(self) -> Mapping[str, Row]:
        """With pseudo-masks of the random walk alone, which 3.4.4 says, against 2.3.3 and 3.3.3 (S24)."""
        return {"without_crf": self.changed("masks without CRF", {"pseudo_mask": "rw"})}

    @property
    def controls_of_readings(self) -> Sequence[Claim]:
        if "without_crf" not in self.rows:
            return []
        text = "A CRF on the pseudo-masks improves the segmentation (S24, val)"
        return [Claim(text, self.rows["method"], self.rows["without_crf"])]

    @property
    def printed_gains(self) -> Sequence[AfterStep]:
        name = str(self.method.printed)

        def table_3_1(split: str, step: str, column: str) -> AfterStep:
            ours, theirs = (printed.cell("table_3_1", row, f"{split}_{column}") for row in (name, "AffinityNet"))
            return self.gain(split, step, "Table 3.1", ours, theirs)

        ours, theirs = printed.cell("table_3_4", name, "val"), printed.cell("table_2_2", SAME_NETWORK, "val")
        return [
            table_3_1("train", chain.MAPS, "cam"),
            table_3_1("val", chain.MAPS, "cam"),
            table_3_1("train", chain.WALKED, "cam_rw"),
            table_3_1("val", chain.WALKED, "cam_rw"),
            self.gain("val", chain.SHARPENED, BOTH_TABLES, ours, theirs, primary=True),
        ]

    @property
    def remark_on_gains(self) -> str:
        ours, own = (printed.cell("table_3_4", row, "val") for row in (str(self.method.printed), "AffinityNet"))
        same = printed.cell("table_2_2", SAME_NETWORK, "val")
        return (
            f" (against AffinityNet's masks with the same network, {same} in Table 2.2; above the {own} of Table 3.4 "
            f"it is {ours - own:+.1f})"
        )

    def verdicts(self) -> Iterator[Exhibit]:
        yield from self.primary()
        yield Note(families.NOTE)
        yield from self.secondary["gains"]
        yield from self.secondary["steps"]
        yield from self.class_tables()

    def printed_tables(self) -> Iterator[Table]:
        same = printed.cell("table_2_2", SAME_NETWORK, "val")
        yield Table(
            printed.comparison("table_3_4"),
            "table_3_4",
            "Table 3.4 as printed: mIoU in per cent on the 1,449 images of VOC 2012 val and the 1,456 of test, with "
            "CRF, single runs.",
            best=["mIoU val", "mIoU test"],
            formats={"year": "d"},
            note="AffinityNet with its own segmentation network; its masks with the network of the thesis reach "
            f"{same} on val (Table 2.2). Only chapter 3 has scores on test: the server was out of service for chapter "
            "2 (S14).",
        )
        yield self.printed_classes("")

    def counted_in_print(self) -> Iterator[Exhibit]:
        """What the text says of Table 3.3, and what it does not mention."""
        table = self.classes_table
        improved, of = printed.results()[table]["text_claims"]["classes_improved_with_crf"].split("/")
        yield self.printed_improvement(
            f"The printed {improved} of {of} is the first line: the best of the group with CRF. Over any one "
            "method it is more."
        )
        others = printed.others(table, "aeroplane")
        theirs = others.pop("AffinityNet")
        plain, crf = (printed.ours(table, crf=crf)["aeroplane"] for crf in (False, True))
        yield Note(
            f"Not mentioned in the thesis (S12): on aeroplane SC-CAM reaches {plain} without and {crf} with CRF, "
            f"AffinityNet, without CRF, {theirs}, the others, with CRF, {min(others.values())} to "
            f"{max(others.values())}."
        )
        for name, (before, after) in printed.lowered_by_crf(table).items():
            yield Note(
                f"The CRF at test time raises the mean in Tables 2.3 and 3.3; of single classes the thesis says "
                f"nothing. In Table 3.3 it lowers {name} from {before} to {after} (S13)."
            )

    def one_class_each(self) -> Iterator[Figure]:
        """Fig. 3.7: for each class the first image of val that shows it alone."""
        if self.segmented:
            yield Figure(
                self.side_by_side(measures.first_alone(self.on_val.labels)[:10] or [0]),
                "fig_3_7",
                "Fig. 3.7: DeepLab-v2 with CRF on val, for each class the first image that shows it alone, trained on "
                "the masks of plain CAM and of SC-CAM; IoU in per cent, mean over the object classes of the image.",
                "Images of single objects with their true masks and two predicted masks each.",
            )

    def maps_and_masks(self) -> Iterator[Figure]:
        """Fig. 3.12: response maps and segmentations of images at fixed percentiles of the IoU with plain CAM."""
        if self.segmented:
            plain = measures.image_iou(self.val[chain.MAPS][self.rows["cam"].name][0])
            five = measures.nearest_to_quantiles(plain, [0.1, 0.3, 0.5, 0.7, 0.9])
            shown = self.of_first_seed(self.folders["maps"]), self.of_first_seed(self.predicted)
            yield Figure(
                predictions.maps_and_masks(self.on_val, five, *shown, self.threshold),
                "fig_3_12",
                "Fig. 3.12: response map of step 1 and segmentation of step 3, with plain CAM (as AffinityNet) and "
                "with SC-CAM, on images of val; IoU in per cent of the map at the fixed threshold "
                f"{self.threshold} (white line) with the image labels given, and of the prediction without them.",
                "Five images, their true masks, and for each method a response map over the greyed image and a "
                "predicted mask.",
            )

    def first_images(self) -> Iterator[Figure]:
        """Fig. 3.13: the first images of val."""
        if self.segmented:
            first = self.first_of_val
            yield Figure(
                self.side_by_side(first),
                "fig_3_13",
                f"Fig. 3.13: as Fig. 3.7, on the first {len(first)} of {len(self.on_val)} images of val.",
                "Images with their true masks and two predicted masks each.",
            )

    def failures(self) -> Iterator[Figure]:
        """Fig. 3.8: where it fails most in these two."""
        if not self.segmented:
            return
        worst = self.worst([*errors.PLACES])
        if any(worst.values()):
            yield Figure(
                self.failure_sheet(worst),
                "fig_3_8",
                f"Fig. 3.8: the {self.failures_shown} images of val with the largest share of pixels wrong in thin "
                "parts, and between objects of two classes; DeepLab-v2 + CRF on the masks of SC-CAM, seed "
                f"{self.seeds[0]}.",
                "For each failure, images with true mask, predicted mask, and the wrong pixels in a colour for each "
                "kind.",
            )
