"""A few images step by step, from image labels to masks: what `00_quickstart` shows.

Thesis section 2.3, equation 2.1. Only classifiers and the networks of later steps are trained, with the first seed; the
published counterpart of the maps is `infer_cls.py` of jiwoon-ahn/psa.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from companion.analysis import forward, later_steps
from companion.analysis.claims import Row
from companion.analysis.methods import MIXUP_CAM, PLAIN_CAM
from companion.drawing import all_steps, image_grids
from companion.drawing.all_steps import Steps
from companion.drawing.image_grids import Example
from companion.experiments import row_stages
from companion.experiments.exhibits import Figure, KeyNumber, Note, Table
from companion.experiments.experiment import Experiment, in_project
from companion.experiments.own_picture import own_picture, smallest_side
from companion.experiments.own_rows import check_plain
from companion.pipeline.store import Stage
from companion.settings import SettingsError
from companion.settings.project import project_root
from thesislib import cam
from thesislib.models.classifier import CamClassifier
from thesislib.refinement import crf

MapsByScale = dict[float, Float[Tensor, "c h w"]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Quickstart(Experiment):
    """The first images of val, or a picture of the user's own, through one, two or all three steps.

    Args:
        image: file of a picture; empty: the first images of val.
        image_labels: names of the classes in that picture.
        images_shown: how many images of val.
        steps: 1 response maps, 2 pseudo-masks, 3 segmentation.
    """

    notebook: ClassVar = "00_quickstart"

    image: str
    image_labels: Sequence[str]
    images_shown: int
    steps: int

    def __post_init__(self) -> None:
        """Check what would be noticed late.

        Raises:
            SettingsError: another number of steps, a regulariser in the settings, or no or unknown labels of a picture.
            DataError: a picture that cannot be used.
        """
        check_steps(self.steps)
        check_plain(self.settings)
        if self.image:
            self.own(self.class_names)

    @classmethod
    def settings_of(cls, parameters: Mapping[str, Any]) -> dict[str, Any]:
        weights = {"classifier.weights": in_project(parameters["weights"])} if "weights" in parameters else {}
        return super().settings_of(parameters) | weights

    @property
    def rows(self) -> dict[str, Row]:
        """Plain CAM and Mixup-CAM; plain CAM alone where a trained classifier is given."""
        return {"cam": PLAIN_CAM} if self.settings.classifier.weights else {"cam": PLAIN_CAM, "mixup_cam": MIXUP_CAM}

    @property
    def last(self) -> Row:
        """The method whose maps are taken through the later steps."""
        return self.rows.get("mixup_cam", PLAIN_CAM)

    @property
    def classifiers(self) -> Mapping[tuple[str, int], Stage]:
        """The stage of the classifier of every row, with the first seed."""
        return row_stages.classifier_stages(self.settings, self.rows.values(), self.seeds[:1], self.machine)

    @property
    def affinity(self) -> Mapping[tuple[str, int], Stage]:
        """The stage of AffinityNet; none without the CRF library, or where step 2 is not asked for."""
        rows = [self.last] if self.steps >= 2 else []
        return row_stages.affinity_stages(self.settings, rows, self.seeds[:1], self.machine)

    @property
    def segmenter(self) -> Mapping[tuple[str, int], Stage]:
        """The stage of the segmentation network; none without the CRF library, or where step 3 is not asked for."""
        rows = [self.last] if self.steps >= 3 else []
        return row_stages.segmenter_stages(self.settings, rows, self.seeds[:1], self.machine)

    def stages(self) -> list[Stage]:
        return [*self.classifiers.values(), *self.affinity.values(), *self.segmenter.values()]

    # --- The images and their maps ---

    def own(self, classes: Sequence[str]) -> Example:
        """The user's picture.

        Raises:
            SettingsError, DataError: as `own_picture`.
        """
        smallest = smallest_side(self.settings.backbone.stride, self.steps)
        picture, labels = own_picture(project_root() / self.image, self.image_labels, classes, smallest)
        return Example(", ".join(self.image_labels), picture, labels)

    @cached_property
    def shown(self) -> list[Example]:
        """The images without maps."""
        if self.image:
            return [self.own(self.on_val.classes)]
        return image_grids.examples(self.on_val, range(min(self.images_shown, len(self.on_val))))

    @cached_property
    def models(self) -> dict[str, CamClassifier]:
        """The classifier of every row, by row name."""
        folders, classes = self.compute(self.classifiers), len(self.on_val.classes)
        return {
            name: forward.load_classifier(self.settings, folder, classes, self.machine)
            for (name, _), folder in folders.items()
        }

    @cached_property
    def plain_maps(self) -> tuple[list[MapsByScale], float]:
        """The maps of plain CAM of each image at every scale, and the seconds that those of an image took."""
        model, images = self.models[PLAIN_CAM.name], len(self.shown)  # read before the clock starts
        started = time.perf_counter()
        found = self.maps_by_scale(model)
        return found, (time.perf_counter() - started) / images

    def maps_by_scale(self, model: CamClassifier) -> list[MapsByScale]:
        """The maps of a classifier of each image at every scale."""
        return [forward.maps_by_scale(model, each.image, each.labels, self.settings.cam) for each in self.shown]

    @cached_property
    def mapped(self) -> list[Example]:
        """The images with the fused maps of every row."""
        maps = {
            name: self.plain_maps[0] if name == PLAIN_CAM.name else self.maps_by_scale(model)
            for name, model in self.models.items()
        }
        return [
            replace(each, maps={name: cam.normalize(forward.fuse(found[i])) for name, found in maps.items()})
            for i, each in enumerate(self.shown)
        ]

    @cached_property
    def walkthrough(self) -> list[Steps]:
        """The images with the masks that every step makes of the maps of the last row."""
        name, seed = self.last.name, self.seeds[0]
        chosen = self.settings.override(self.last.overrides | {"seed": seed})
        affinity = self.compute(self.affinity).get((name, seed)) if self.affinity else None
        segmenter = self.compute(self.segmenter).get((name, seed)) if self.segmenter else None
        found = []
        for each in self.mapped:
            example, masks = replace(each, maps={name: each.maps[name]}), {}
            if affinity:
                given = each.image, each.labels, each.maps[name]
                masks = later_steps.refined(*given, affinity, chosen, self.machine)
            if segmenter:
                masks |= later_steps.segmented(each.image, len(each.labels), segmenter, chosen, self.machine)
            found.append(Steps(example, masks))
        return found

    # --- Captions ---

    @property
    def about(self) -> str:
        """Which images."""
        if self.image:
            return f"the picture {self.image}"
        return f"the first {len(self.shown)} of {len(self.on_val)} images of val"

    @property
    def trained(self) -> str:
        """Where the classifiers are from."""
        return "given weights" if self.settings.classifier.weights else f"trained with seed {self.seeds[0]}"

    @property
    def mirrors(self) -> str:
        """Whether mirrored images take part in the maps."""
        return "with mirrors" if self.settings.cam.flip else "without mirrors"

    # --- Exhibits, in the order of the notebook ---

    def images_and_labels(self) -> Figure:
        """The input."""
        return Figure(
            image_grids.contact_sheet(self.shown, self.on_val.classes, across=3),
            "images",
            f"The input: {self.about}. Above each image its labels, beside it the mask where there is one.",
            f"{len(self.shown)} photographs or drawings with the masks of their objects in the colours of PASCAL VOC.",
        )

    def shapes(self) -> Table:
        """One forward pass of the plain classifier."""
        shapes = forward.forward_shapes(self.models[PLAIN_CAM.name], self.shown[0].image)
        return Table(
            forward.shape_table(shapes),
            "shapes",
            "One forward pass: shapes of the first image's tensors (channels × rows × columns).",
        )

    def logit_is_mean(self) -> bool:
        """Whether the logit is the mean of the map, which (2.1) implies."""
        return forward.logit_is_mean(self.models[PLAIN_CAM.name], self.shown[0].image)

    def every_scale(self) -> Iterator[Figure | KeyNumber]:
        """The maps of the first image at every scale, and how long they took."""
        (first, *_), (by_scale, seconds), background = self.shown, self.plain_maps, self.threshold
        present = {c: name for c, name in enumerate(self.on_val.classes) if first.labels[c]}
        yield Figure(
            image_grids.scales(first.image, by_scale[0], present, background),
            "scales",
            f"Plain CAM of the first image, a line for each class in it: at each scale ({self.mirrors}) and fused. "
            f"Every map is divided by its own maximum; the white line is the background threshold {background}.",
            "Response maps over the greyed image: small scales give broad spots, large scales narrow ones, the fused "
            "map both.",
        )
        height, width = first.image.shape[:2]
        yield KeyNumber(
            "Seconds for the maps of an image",
            seconds,
            note=f"all scales {self.mirrors}, {width} × {height} pixels, mean of {len(self.shown)} images, "
            f"{self.machine.torch_device}",
            format=".2f",
            unit="",
        )

    def label_maps(self) -> Figure:
        """Response maps of every row, and the masks that the threshold makes of them."""
        return Figure(
            image_grids.compare(self.mapped, self.threshold, label_maps=True),
            "label_maps",
            f"Response maps and label maps of {self.about} at the fixed threshold {self.threshold}, {self.trained}, "
            "without refinement. IoU is the mean over the object classes of the image, in per cent, where there is a "
            "mask.",
            "For each image its mask, the response map of each method, and the mask that the threshold makes of it.",
        )

    def scores(self) -> Note:
        """mIoU of every row on these images, where they have masks: a remark, for so few images decide nothing."""
        found = image_grids.score(self.mapped, self.threshold)
        if not found:
            return Note("These images have no masks, so their maps are shown without a score.")
        said = ", ".join(f"{name} {score:.1f} %" for name, score in found.items())
        return Note(f"mIoU on {self.about} at the fixed threshold, {self.trained}: {said}. Too few images to compare.")

    def all_steps(self) -> Iterator[Note | Figure]:
        """Every step on every image."""
        shown, background = self.walkthrough, self.threshold
        if self.steps >= 2 and not self.affinity:
            yield Note(f"Steps 2 and 3 were not run: {crf.crf_missing()}")
        yield Figure(
            all_steps.draw(shown, background),
            "all_steps",
            f"All steps with {self.last.name} on {self.about}: the response map with the background threshold "
            f"{background} as a white line, the label map at this threshold, and the masks of the later steps. Above a "
            "mask the IoU of the image's objects in per cent, where there is a truth; "
            f"{self.trained}, overlay strength {all_steps.STRENGTH}.",
            "For each image the response map over the greyed image, then the image with its objects coloured by the "
            "mask of each step, from the label map to the segmentation.",
        )


def check_steps(steps: int) -> None:
    """How many of the three steps are shown.

    Raises:
        SettingsError: another number.
    """
    if steps not in (1, 2, 3):
        raise SettingsError(f"steps = {steps}: expected 1 (response maps), 2 (pseudo-masks) or 3 (segmentation)")
