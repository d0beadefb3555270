"""What the data look like: splits, classes and what they occur with, what a label says, masks, parts, sub-types.

Thesis sections 2.4.1 and 3.4.1 describe PASCAL VOC 2012 in a sentence each. Nothing is trained here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import pandas as pd

from companion.analysis import data_summary
from companion.analysis.data_summary import Pixels
from companion.datasets.demo.scenes import FORMS
from companion.drawing import class_chart, image_grids
from companion.experiments import printed
from companion.experiments.exhibits import Exhibits, Figure, KeyNumber, Note, Table
from companion.experiments.experiment import Experiment
from companion.pipeline.stages import data as data_stage
from companion.pipeline.store import Stage
from thesislib.data.voc import ClassCounts, VocDataset, counts_per_class

WITH_PARTS = 8  # images that are shown beside their parts


@dataclass(frozen=True, kw_only=True, eq=False)
class Data(Experiment):
    """The data that the other notebooks train on and score."""

    notebook: ClassVar = "01_data"

    images_shown: int

    def stages(self) -> list[Stage]:
        return [data_stage.stage(self.settings, self.machine)]

    @cached_property
    def splits(self) -> Mapping[str, VocDataset]:
        """The splits that are trained on or scored, by name."""
        return {"trainaug": self.images("trainaug"), "train": self.on_train, "val": self.on_val}

    @property
    def trainaug(self) -> VocDataset:
        """The images of trainaug, on which classifiers are trained."""
        return self.splits["trainaug"]

    @cached_property
    def counts(self) -> ClassCounts:
        """Images of trainaug by class and by pair of classes."""
        return counts_per_class(self.trainaug)

    @property
    def data_note(self) -> str:
        return ", ".join(f"{len(images)} images of {name}" for name, images in self.splits.items())

    # --- What must hold ---

    def invariants(self) -> Iterator[str]:
        """The printed numbers of images, and what has to be true of any data, a line each."""
        text = printed.hyperparameters()
        yield (
            f"training images: printed {text['train_images_printed']} but every list has {text['train_images_actual']}"
        )
        yield f"scored images in the thesis: train {text['train_eval']} val {text['val']} test {text['test']}"
        trainaug, train, val = ({*self.splits[name].ids} for name in ("trainaug", "train", "val"))
        yield f"train is part of trainaug: {train <= trainaug}"
        yield f"val shares no image with trainaug: {not val & trainaug}"
        labelled = all(images.labels.any(axis=1).all() for images in self.splits.values())
        yield f"every image has a label: {labelled}"

    # --- Exhibits, in the order of the notebook ---

    def sizes(self) -> Table:
        """Images, masks and labels of each split."""
        return Table(
            data_summary.split_summary(self.splits),
            "splits",
            "Splits. Classifiers are trained on trainaug with image labels alone; train, a part of it, and val are "
            "scored.",
        )

    def classes(self) -> Figure:
        """How often each class occurs, and with which others."""
        return Figure(
            class_chart.class_chart(self.trainaug.classes, *self.counts),
            "classes",
            f"Images of trainaug ({len(self.trainaug)}) with each class, and with each pair of classes.",
            "Bars of the number of images a class, and a matrix of the number of images that show two classes "
            "together.",
        )

    def labels(self) -> Iterator[KeyNumber | Table]:
        """How much an image label says."""
        labels = self.trainaug.labels
        bits = data_summary.label_bits(labels)
        yield KeyNumber(
            "Bits in the labels of an image",
            data_summary.joint_label_bits(labels),
            note=f"{len(self.trainaug)} images of trainaug; {bits.sum():.1f} if classes came independently, at most "
            f"{len(bits)}",
            unit="",
        )
        share = 100 * labels.mean(axis=0)
        yield Table(
            data_summary.class_summary(self.splits).assign(**{"share of trainaug": share, "bits": bits}),
            "labels",
            "Images with each class by split, their share of trainaug in per cent, and the bits in the label.",
            formats={"bits": ".2f"},
        )

    def images_and_masks(self) -> Iterator[Exhibits]:
        """The first images of train with their masks, and what these cover."""
        yield self.contact_sheet
        yield self.pixels

    def contact_sheet(self) -> Figure:
        """The first images of train with their masks."""
        train = self.on_train
        shown = range(min(self.images_shown, len(train)))
        return Figure(
            image_grids.contact_sheet(image_grids.examples(train, shown), train.classes),
            "images",
            f"The first {len(shown)} of {len(train)} images of train with their labels and masks.",
            "Images beside masks in the colours of PASCAL VOC.",
        )

    def pixels(self) -> Table | Note:
        """What the masks of train cover."""
        train = self.on_train
        if lacking := sum(not train.has_mask(i) for i in range(len(train))):
            return Note(f"No truth: {lacking} of {len(train)} images of train have no mask, so nothing is counted.")
        counted = Pixels(*self.of_one("pixels of train", self.data_folder, lambda: data_summary.count_pixels(train)))
        parts = "; then how the pixels of its objects divide into parts." if self.generated else "."
        return Table(
            data_summary.pixel_summary(train.classes, counted),
            "pixels",
            f"Pixels of train ({len(train)} images) in per cent: share of each class, and its area in the images that "
            f"show it{parts}",
        )

    def parts(self) -> Figure | Note:
        """Heads, bodies and thin parts, where they are known."""
        if not self.generated:
            return Note("Parts and sub-types are known for generated images only.")
        some = list(range(min(WITH_PARTS, len(self.on_train))))
        parts = [found for i in some if (found := self.on_train.parts(i)) is not None]
        return Figure(
            image_grids.part_sheet(image_grids.examples(self.on_train, some), parts),
            "parts",
            f"Parts of the objects in the first {len(some)} images of train.",
            "Each image beside a map of its parts: heads, bodies, and thin parts such as legs and masts.",
        )

    def subtypes(self) -> Iterator[Exhibits]:
        """The sub-types of the commonest class, and how many images have each, where they are known."""
        trainaug, counted = self.trainaug, data_summary.subtype_counts(self.trainaug)
        if not self.generated or counted is None:
            return
        yield self.one_of_each_subtype
        frame = pd.DataFrame(
            counted, index=list(trainaug.classes), columns=[form.name for form in FORMS[: counted.shape[1]]]
        )
        yield Table(
            frame.rename_axis("class"),
            "subtypes",
            f"Images of trainaug ({len(trainaug)}) by class and the sub-type of its first object.",
        )

    def one_of_each_subtype(self) -> Figure | None:
        """One image of each sub-type of the commonest class."""
        trainaug = self.trainaug
        if trainaug.subtypes is None:
            return None
        names, commonest = [form.name for form in FORMS], int(self.counts.images.argmax())
        of_each = data_summary.of_each_subtype(trainaug, commonest)
        shown = [
            replace(example, title=names[trainaug.subtypes[i, commonest]])
            for i, example in zip(of_each, image_grids.examples(trainaug, of_each), strict=True)
        ]
        return Figure(
            image_grids.contact_sheet(shown, trainaug.classes, across=4),
            "subtypes",
            f"One image of each sub-type of {trainaug.classes[commonest]}, the class with most images in trainaug.",
            "Images of one class whose bodies differ in shape, size, tilt and tone.",
        )
