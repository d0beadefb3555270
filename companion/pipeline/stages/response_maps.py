"""Stage `response_maps`: multi-scale class activation maps of a trained classifier, and how good they are.

Thesis eq. 2.1 / 3.1 and the CAM columns of Tables 2.1 and 3.1; published code: `infer_cls.py` of jiwoon-ahn/psa.
Beyond the thesis, maps of AdvCAM and ReCAM (`thesislib.advcam`, `thesislib.recam`).
Scores keep counts instead of percentages, so that every table and curve is read from the same numbers.
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn

from companion.pipeline import artefacts
from companion.pipeline.artefacts import ResponseMaps
from companion.pipeline.stages import classifier as classifier_stage
from companion.pipeline.stages import data as data_stage
from companion.pipeline.stages import recam, rounds
from companion.pipeline.store import CHECKPOINT, Job, Stage, without_file
from companion.settings import BackboneSettings, CamSettings, ClassifierSettings, Machine, Settings, SettingsError
from thesislib import cam, diagnostics, metrics
from thesislib.advcam import Climbing
from thesislib.data.transforms import to_tensor
from thesislib.data.voc import VocDataset
from thesislib.models.classifier import ClassifierOutput
from thesislib.precision import autocast, place
from thesislib.recam import ReactivatedOutput
from thesislib.training import memory_advice

VERSION = 1


def stage(settings: Settings, machine: Machine, label: str = "") -> Stage:
    """Response maps and scores of the classifier of `settings`, in whatever round of chapter 3 it is."""
    trained = rounds.trained_stage(settings, machine, label)
    chosen = {
        "backbone": without_file(settings.backbone),
        "classifier": without_file(settings.classifier),
        "cam": settings.cam,
    }
    inputs = {"data": trained.inputs["data"], "classifier": trained}
    return Stage("response_maps", VERSION, compute, chosen, inputs, machine, label)


def stage_with(settings: Settings, machine: Machine, split: str, label: str = "") -> Stage:
    """The maps of the table's stage if it has those of `split`, else a stage of that split alone."""
    if split not in settings.cam.splits:
        settings = settings.override({"cam.splits": (split,)})
    return stage(settings, machine, label)


def compute(job: Job, backbone: BackboneSettings, classifier: ClassifierSettings, cam: CamSettings) -> None:
    """Maps of every image of the splits, and scores where there is truth."""
    datasets = {split: data_stage.open_split(job, split) for split in cam.splits}
    classes = next(iter(datasets.values())).classes
    trained = classifier_stage.load(job, backbone, classifier, len(classes), cam.epoch)
    both = recam.reactivated(job.inputs["classifier"], trained)
    model = place(both if cam.recam_weights == "product" else trained, job.machine.torch_device)
    scores: dict[str, dict[str, np.ndarray]] = {}
    for split, images in datasets.items():
        with memory_advice("THESIS_BATCH_PIXELS"):
            logits = write_maps(model, images, cam, job, f"{split}-{CHECKPOINT}")
        measured = {"logits": logits, "labels": images.labels}
        if all(images.has_mask(i) for i in range(len(images))):
            measured |= score(images, job.folder, cam.background)
        scores[split] = measured
    artefacts.write_scores(job.folder, scores)


def write_maps(
    model: nn.Module, images: VocDataset, settings: CamSettings, job: Job, checkpoint: str
) -> Float32[np.ndarray, "n c"]:
    """Write the response maps of all images; returns the logits of the images at their own size.

    `model` is a `CamClassifier` or has its logits and maps. The logits are kept in the file `checkpoint` of the job's
    folder from time to time, from where the next attempt goes on.
    """

    def write_batch(batch: list[int]) -> np.ndarray:
        pictures = np.stack([images.image(i) for i in batch])
        labels = torch.from_numpy(images.labels[batch])
        kept = _LogitsKept(model, pictures.shape[1:3])
        shown = kept if settings.head == "parent" and not settings.climb_steps else model
        maps = fused_maps(shown, pictures, labels, settings, job.machine.precision).cpu()
        for i, image_maps, present in zip(batch, maps, labels, strict=True):
            classes = present.nonzero().flatten().numpy()
            ResponseMaps(classes.astype(np.uint8), image_maps[classes].numpy()).write(job.folder, images.ids[i])
        return kept.of(pictures, job.machine.precision)

    return data_stage.rows(images, write_batch, job.folder / checkpoint, job.machine, job.progress)


def fused_maps(
    model: nn.Module, pictures: np.ndarray, labels: Tensor, settings: CamSettings, precision: str = "fp32"
) -> Tensor:
    """Maps `(N, C, H, W)` of images of one size: those of the classes, or merged ones of their sub-categories (A17).

    `model` is a `CamClassifier`; maps of classes may come from anything with its output.

    Raises:
        SettingsError: merged maps of a classifier without sub-categories.
    """
    fuse = partial(cam.response_maps_batch, scales=settings.scales, flip=settings.flip, precision=precision)
    if settings.climb_steps:
        model = Climbing(
            model,
            labels,
            steps=settings.climb_steps,
            step_size=settings.climb_size,
            direction=settings.climb_direction,
        )
    if settings.head == "parent":
        return fuse(model, pictures, labels)
    k: int = getattr(model, "num_subcategories", 0)
    if not k:
        raise SettingsError("cam.head = 'merged' needs sub-categories: set subcategories.round to 1 or more")
    maps = fuse(_SubcategoryMaps(model), pictures, labels.repeat_interleave(k, dim=1))
    return torch.stack([cam.merge_subcategories(of_image, k) for of_image in maps])


class _SubcategoryMaps(nn.Module):
    """The classifier with the maps of its sub-categories in place of those of its classes."""

    def __init__(self, classifier: Any) -> None:
        super().__init__()
        self.classifier, self.preprocessing = classifier, classifier.preprocessing

    def forward(self, images: Tensor) -> SimpleNamespace:
        return SimpleNamespace(response=self.classifier.sub_response(images))


class _LogitsKept(nn.Module):
    """The classifier, which keeps its logits of images of one size: where that is a scale, they need no other pass."""

    def __init__(self, classifier: Any, size: Sequence[int]) -> None:
        super().__init__()
        self.classifier, self.preprocessing = classifier, classifier.preprocessing
        self._size, self._logits = tuple(size), torch.empty(0)

    def forward(self, images: Tensor) -> ClassifierOutput | ReactivatedOutput:
        output: ClassifierOutput | ReactivatedOutput = self.classifier(images)
        if images.shape[-2:] == self._size:
            self._logits = output.logits
        return output

    @torch.no_grad()
    def of(self, pictures: UInt8[np.ndarray, "n h w 3"], precision: str) -> Float32[np.ndarray, "n c"]:
        """Logits of the images that were passed last, mirror images left out."""
        if not len(self._logits):
            device = next(self.parameters()).device
            with autocast(device, precision):
                self(torch.stack([to_tensor(picture, self.preprocessing) for picture in pictures]).to(device))
        return self._logits[: len(pictures)].float().cpu().numpy()


def score(images: VocDataset, folder: Path, background: float) -> dict[str, np.ndarray]:
    """Counts behind every score of the maps of one split.

    Returns:
        `confusion` `(T, C+1, C+1)` at each threshold of `metrics.THRESHOLDS`; `image_confusion` `(N, C+1, C+1)` at
        `background`; `part_covered` `(T, 3)` and `part_total` `(3,)` where there are part masks; per image the means
        over its classes of `spatial_variance` and `uniformity` of the map inside the object.
    """
    num_classes = len(images.classes)
    of_images: dict[str, list[Any]] = defaultdict(list)
    of_split: dict[str, Any] = defaultdict(int)  # added up at once: of a table of thresholds an image has a megabyte
    for i, name in enumerate(images.ids):
        maps = cam.normalize(ResponseMaps.read(folder, name).of_classes(num_classes))
        truth, parts = images.mask(i), images.parts(i)
        of_split["confusion"] += metrics.threshold_confusions(truth, maps)
        image = metrics.ConfusionMatrix(num_classes + 1)
        image.update(truth, cam.label_map(maps, background).numpy())
        of_images["image_confusion"].append(image.counts)
        if parts is not None:
            coverage = metrics.part_coverage(truth, parts, maps)
            of_split["part_covered"] += coverage.covered
            of_split["part_total"] += coverage.total
        objects = [
            (maps[c].numpy(), truth == c + 1) for c in np.unique(truth[(truth > 0) & (truth <= num_classes)]) - 1
        ]
        for measure in (diagnostics.spatial_variance, diagnostics.uniformity):
            values = [measure(*seen) for seen in objects]
            of_images[measure.__name__].append(np.nanmean(values) if np.isfinite(values).any() else np.nan)
    return {**of_split, **{name: np.stack(values) for name, values in of_images.items()}}
