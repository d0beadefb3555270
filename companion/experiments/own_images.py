"""One's own photographs, or the demo's images, from image labels to masks: `10_own_images` and `thesis masks`.

Thesis 2.3 and 3.3, steps 1 and 2, with one classifier and no comparison. A folder without true masks is enough.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.special import expit

from companion.analysis import own_masks
from companion.analysis.claims import Row
from companion.analysis.methods import MIXUP_CAM, PLAIN_CAM
from companion.analysis.own_masks import Findings, Look
from companion.drawing import all_steps, image_grids
from companion.drawing.all_steps import Steps
from companion.experiments.chapter_3 import sc_cam
from companion.experiments.exhibits import Figure, KeyNumber, Note, Table
from companion.experiments.experiment import Experiment
from companion.pipeline import artefacts
from companion.pipeline.stages import pseudo_masks, response_maps
from companion.pipeline.store import Stage
from companion.settings.names import one_of
from thesislib import metrics
from thesislib.data.voc import VocDataset
from thesislib.refinement import crf

SPLIT = "trainaug"
METHODS: dict[str, Row] = {"cam": PLAIN_CAM, "mixup-cam": MIXUP_CAM, "sc-cam": sc_cam()}
"""By what it is called in options; plain CAM is the default, for what photographs say of the others: see
docs/photographs.md."""


@dataclass(frozen=True, kw_only=True, eq=False)
class OwnImages(Experiment):
    """The masks of all images of trainaug by one method, with the first seed.

    Args:
        method: one of `METHODS`.
        images_shown: how many images.
    """

    notebook: ClassVar = "10_own_images"

    method: str
    images_shown: int

    def __post_init__(self) -> None:
        """Refuse a method that does not exist."""
        one_of("method", self.method, tuple(METHODS))

    @property
    def row(self) -> Row:
        """The method."""
        return METHODS[self.method]

    @cached_property
    def planned(self) -> dict[str, Stage]:
        """Maps, refined maps and masks; the maps alone where the dense CRF is missing."""
        chosen, label = self.settings.override(self.row.overrides | {"seed": self.seeds[0]}), self.row.name
        found = {"maps": response_maps.stage_with(chosen, self.machine, SPLIT, label)}
        if self.with_crf:
            masks = pseudo_masks.masks_stage(chosen, self.machine, SPLIT, label)
            found |= {"refined": masks.inputs["refined_maps"], "masks": masks}
        return found

    @property
    def with_crf(self) -> bool:
        """Whether masks can be made."""
        return crf.crf_available() if self.machine.crf is None else self.machine.crf

    def stages(self) -> list[Stage]:
        return [*self.planned.values()]

    @cached_property
    def folders(self) -> Mapping[str, Path]:
        """Of the stages."""
        return self.compute(self.planned)

    @cached_property
    def all_images(self) -> VocDataset:
        """The images of trainaug."""
        return self.images(SPLIT)

    @cached_property
    def found(self) -> Findings:
        """What the masks show, and what the classifier says of the labels."""
        scores = artefacts.read_scores(self.folders["maps"], SPLIT)
        images, folders = self.all_images, self.folders

        def measure() -> Sequence[np.ndarray]:
            return own_masks.shares_and_doubt(images.ids, len(images.classes), folders["masks"], folders["refined"])

        shares, doubt = self.of_one("shares and doubt", folders["masks"], measure)
        return Findings(scores["labels"], expit(scores["logits"].astype(np.float64)), shares, doubt)

    # --- Exhibits, in the order of the notebook ---

    def labels(self) -> Table:
        """What the image labels say."""
        labels = self.all_images.labels.astype(int)
        alone = labels[labels.sum(axis=1) == 1].sum(axis=0)
        frame = pd.DataFrame({"images": labels.sum(axis=0), "alone": alone}, index=[*self.all_images.classes])
        return Table(
            frame.rename_axis("class"),
            "labels",
            f"All that training knows: how many of {len(labels)} images show each class, and how many no other.",
        )

    def agreement(self) -> Iterator[Table | Note]:
        """Classifier and labels, and what the masks show of each class."""
        if not self.with_crf:
            yield Note(f"Masks were not made: {crf.crf_missing()}")
            return
        yield Table(
            own_masks.by_class(self.found, self.all_images.classes),
            "classes",
            f"{self.row.name}, training seed {self.seeds[0]}, {len(self.all_images)} images that were trained on. "
            "Images: that show the class; found in: those of them whose mask has it (at least "
            f"{own_masks.EMPTY:.1%} of the pixels); area: its mean share there in per cent; recognised: those of them "
            "in which the classifier sees it; also recognised: images without the label in which it does; AP: average "
            "precision of the labels.",
        )

    def masks(self) -> Iterator[Figure]:
        """The first images with their maps and masks."""
        if self.with_crf:
            yield self._drawn(range(min(self.images_shown, len(self.all_images))), "masks", "the first images")

    def look_first(self) -> Iterator[Table | Figure]:
        """Images to look at, and why."""
        if not self.with_crf:
            return
        looks = self.looks
        yield Table(
            pd.DataFrame(
                {"why": {self.all_images.ids[look.image]: "; ".join(look.reasons) for look in looks}}
            ).rename_axis("image"),
            "look_first",
            "Images to look at first: a class that was not found, a label that the classifier doubts, or a mask "
            f"that is unsure (the {own_masks.MOST_UNSURE:.0%} whose scores after the walk lead least).",
        )
        yield self._drawn([look.image for look in looks[: self.images_shown]], "doubtful", "the first of these")

    def score(self) -> KeyNumber | Note:
        """MIoU, where there is truth."""
        counts = artefacts.read_scores(self.folders["masks"], self.on_train.split) if self.with_crf else {}
        if "image_confusion" not in counts:
            return Note("There are no true masks, so the masks have no score.")
        value = 100 * float(np.nanmean(metrics.class_iou(counts["image_confusion"].sum(axis=0))))
        return KeyNumber("mIoU of the masks", value, note=f"{len(self.on_train)} images of {self.on_train.split}")

    def only_labelled(self) -> bool:
        """Whether every mask has classes of its image's labels alone."""
        return bool(((self.found.shares == 0) | (self.found.labels == 1)).all()) if self.with_crf else True

    @cached_property
    def looks(self) -> list[Look]:
        """Images to look at first."""
        return own_masks.look_first(self.found, self.all_images.classes)

    def _drawn(self, chosen: Sequence[int], name: str, which: str) -> Figure:
        shown = image_grids.examples(self.all_images, chosen, {self.row.name: self.folders["maps"]})
        steps = [
            Steps(each, {"mask": artefacts.read_mask(self.folders["masks"], self.all_images.ids[i])})
            for i, each in zip(chosen, shown, strict=True)
        ]
        return Figure(
            all_steps.draw(steps, self.threshold),
            name,
            f"{self.row.name} on {which} of trainaug: the response map with the background threshold {self.threshold} "
            "as a white line, the label map at this threshold, and the mask after random walk and CRF.",
            "For each image the response map over the greyed image, then its label map and its mask in colour over it.",
        )
