"""Stage `response_maps`: multi-scale class activation maps of a trained classifier, and how good they are.

Thesis eq. 2.1 / 3.1 and the CAM columns of Tables 2.1 and 3.1; published code: `infer_cls.py` of jiwoon-ahn/psa.
Scores keep counts instead of percentages, so that every table and curve is read from the same numbers.
"""

from collections import defaultdict
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor, nn

from companion.pipeline import artefacts
from companion.pipeline.artefacts import ResponseMaps
from companion.pipeline.stages import classifier as classifier_stage
from companion.pipeline.stages import data as data_stage
from companion.pipeline.stages import rounds
from companion.pipeline.store import CHECKPOINT, Job, Progress, Stage, without_file
from companion.settings import BackboneSettings, CamSettings, ClassifierSettings, Machine, Settings, SettingsError
from thesislib import cam, diagnostics, metrics
from thesislib.data.transforms import to_tensor
from thesislib.data.voc import VocDataset
from thesislib.models.classifier import CamClassifier
from thesislib.precision import autocast, place
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
    model = classifier_stage.load(job, backbone, classifier, len(next(iter(datasets.values())).classes), cam.epoch)
    place(model, job.machine.torch_device)
    scores: dict[str, dict[str, np.ndarray]] = {}
    for split, images in datasets.items():
        with memory_advice("THESIS_BATCH_PIXELS"):
            write_maps(model, images, cam, job.folder, job.machine, job.progress)
            checkpoint = job.folder / f"{split}-{CHECKPOINT}"
            logits = predict(model, images, job.machine, job.progress, checkpoint)
        measured = {"logits": logits, "labels": images.labels}
        if all(images.has_mask(i) for i in range(len(images))):
            measured |= score(images, job.folder, cam.background)
        scores[split] = measured
    artefacts.write_scores(job.folder, scores)


def write_maps(
    model: CamClassifier,
    images: VocDataset,
    settings: CamSettings,
    folder: Path,
    machine: Machine,
    progress: Progress,
) -> None:
    """The response maps that `folder`, that of the stage, lacks."""
    todo = [i for i, name in enumerate(images.ids) if not ResponseMaps.path(folder, name).is_file()]
    done = len(images) - len(todo)
    for batch in data_stage.batches_of_one_size(images, todo, machine.batch_pixels):
        pictures = np.stack([images.image(i) for i in batch])
        labels = torch.from_numpy(images.labels[batch])
        maps = fused_maps(model, pictures, labels, settings, machine.precision).cpu()
        for i, image_maps, present in zip(batch, maps, labels, strict=True):
            classes = present.nonzero().flatten().numpy()
            ResponseMaps(classes.astype(np.uint8), image_maps[classes].numpy()).write(folder, images.ids[i])
        done += len(batch)
        progress(done, len(images), images.split)


def fused_maps(
    model: CamClassifier, pictures: np.ndarray, labels: Tensor, settings: CamSettings, precision: str = "fp32"
) -> Tensor:
    """Maps `(N, C, H, W)` of images of one size: those of the classes, or merged ones of their sub-categories (A17).

    Raises:
        SettingsError: merged maps of a classifier without sub-categories.
    """
    fuse = partial(cam.response_maps_batch, scales=settings.scales, flip=settings.flip, precision=precision)
    if settings.head == "parent":
        return fuse(model, pictures, labels)
    k = model.num_subcategories
    if not k:
        raise SettingsError("cam.head = 'merged' needs sub-categories: set subcategories.round to 1 or more")
    maps = fuse(_SubcategoryMaps(model), pictures, labels.repeat_interleave(k, dim=1))
    return torch.stack([cam.merge_subcategories(of_image, k) for of_image in maps])


class _SubcategoryMaps(nn.Module):
    """The classifier with the maps of its sub-categories in place of those of its classes."""

    def __init__(self, classifier: CamClassifier) -> None:
        super().__init__()
        self.classifier, self.preprocessing = classifier, classifier.preprocessing

    def forward(self, images: Tensor) -> SimpleNamespace:
        return SimpleNamespace(response=self.classifier.sub_response(images))


@torch.no_grad()
def predict(
    model: CamClassifier, images: VocDataset, machine: Machine, progress: Progress, checkpoint: Path
) -> np.ndarray:
    """Logits `(N, C)` float32 of the images at their own size; `checkpoint` keeps those there are so far."""
    device = next(model.parameters()).device

    def logits(batch: list[int]) -> np.ndarray:
        pictures = torch.stack([to_tensor(images.image(i), model.preprocessing) for i in batch])
        with autocast(device, machine.precision):
            output = model(pictures.to(device))
        return output.logits.float().cpu().numpy()

    return data_stage.rows(images, logits, checkpoint, machine, progress)


def score(images: VocDataset, folder: Path, background: float) -> dict[str, np.ndarray]:
    """Counts behind every score of the maps of one split.

    Returns:
        `confusion` `(T, C+1, C+1)` at each threshold of `metrics.THRESHOLDS`; `image_confusion` `(N, C+1, C+1)` at
        `background`; `part_covered` `(T, 3)` and `part_total` `(3,)` where there are part masks; per image the means
        over its classes of `spatial_variance` and `uniformity` of the map inside the object.
    """
    num_classes = len(images.classes)
    found: dict[str, list[np.ndarray]] = defaultdict(list)
    for i, name in enumerate(images.ids):
        maps = cam.normalize(ResponseMaps.read(folder, name).of_classes(num_classes))
        truth, parts = images.mask(i), images.parts(i)
        found["confusion"].append(metrics.threshold_confusions(truth, maps))
        image = metrics.ConfusionMatrix(num_classes + 1)
        image.update(truth, cam.label_map(maps, background).numpy())
        found["image_confusion"].append(image.counts)
        if parts is not None:
            coverage = metrics.part_coverage(truth, parts, maps)
            found["part_covered"].append(coverage.covered)
            found["part_total"].append(coverage.total)
        objects = [
            (maps[c].numpy(), truth == c + 1) for c in np.unique(truth[(truth > 0) & (truth <= num_classes)]) - 1
        ]
        for measure in (diagnostics.spatial_variance, diagnostics.uniformity):
            values = [measure(*seen) for seen in objects]
            found[measure.__name__].append(np.array(np.nanmean(values) if np.isfinite(values).any() else np.nan))
    per_image = ("image_confusion", "spatial_variance", "uniformity")
    return {name: np.stack(v) if name in per_image else np.sum(v, axis=0) for name, v in found.items()}
