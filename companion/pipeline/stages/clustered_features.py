"""What is clustered: pooled features of the round before, as published, or what might stand in for them.

Nothing here but `features_stage` corresponds to published code; the others are for `43_subcategories`. Features under
the map of a class come from the classifier of the round before; those of the initial weights and colour histograms need
no training on these labels.
"""

import numpy as np
import torch

from companion.pipeline import artefacts
from companion.pipeline.artefacts import ClassFeatures, Features
from companion.pipeline.stages import backbone as backbone_stage
from companion.pipeline.stages import classifier as classifier_stage
from companion.pipeline.stages import data as data_stage
from companion.pipeline.stages.subcategories import extract, features_stage
from companion.pipeline.store import CHECKPOINT, Job, Stage, without_file
from companion.settings import BackboneSettings, ClassifierSettings, Machine, Settings
from thesislib.data.transforms import to_tensor
from thesislib.models.classifier import CamClassifier
from thesislib.models.weights import load_weights
from thesislib.precision import autocast, place
from thesislib.subcategories import colour_histogram, pool_under_maps
from thesislib.training import memory_advice

VERSION = 1


def stage(settings: Settings, machine: Machine, trained: Stage, label: str = "") -> Stage:
    """What `subcategories.features` asks for; `trained` is the classifier of the round before."""
    kind, data = settings.subcategories.features, trained.inputs["data"]
    if kind == "under_map":
        chosen = {"backbone": without_file(settings.backbone), "classifier": without_file(settings.classifier)}
        inputs = {"data": data, "classifier": trained}
        return Stage("class_features", VERSION, compute_under_maps, chosen, inputs, machine, label)
    if kind == "initial":
        inputs = {"data": data, "backbone": backbone_stage.stage(settings, machine)}
        chosen = {"backbone": without_file(settings.backbone)}
        return Stage("features", VERSION, compute_initial, chosen, inputs, machine, label)
    if kind == "colours":
        return Stage("colours", VERSION, compute_colours, {}, {"data": data}, machine, label)
    return features_stage(settings, machine, trained, label)


def compute_under_maps(job: Job, backbone: BackboneSettings, classifier: ClassifierSettings) -> None:
    """For each class of an image of `trainaug`, the mean feature under its response map, else as `features`."""
    images = data_stage.open_split(job, "trainaug")
    model = place(classifier_stage.load(job, backbone, classifier, len(images.classes)), job.machine.torch_device)
    found: dict[int, np.ndarray] = {}
    with memory_advice("THESIS_BATCH_PIXELS"):
        for batch in data_stage.batches_of_one_size(images, range(len(images)), job.machine.batch_pixels):
            of_classes = under_maps(model, [images.image(i) for i in batch], job.machine.precision)
            found |= {i: each[images.labels[i] > 0] for i, each in zip(batch, of_classes, strict=True)}
            job.progress(len(found), len(images), images.split)
    classes = np.nonzero(images.labels)[1].astype(np.uint8)
    ClassFeatures(np.concatenate([found[i] for i in range(len(images))]), classes).write(job.folder)


@torch.no_grad()
def under_maps(model: CamClassifier, images: list[np.ndarray], precision: str) -> np.ndarray:
    """Mean features under the map of every class of images of one size, `(n, C, D)` float32."""
    device = next(model.parameters()).device
    batch = torch.stack([to_tensor(image, model.preprocessing) for image in images]).to(device)
    with autocast(device, precision):
        features = model.features(batch)
        response = model.fc8(features)
    return pool_under_maps(features.float(), response.float()).cpu().numpy()


def compute_initial(job: Job, backbone: BackboneSettings) -> None:
    """`features` `(N, D)` of `trainaug` under the initial weights, before any training on these labels."""
    images = data_stage.open_split(job, "trainaug")
    model = CamClassifier(backbone_stage.build(backbone), len(images.classes)).eval()
    load_weights(model.backbone, job.inputs["backbone"] / artefacts.BACKBONE_WEIGHTS)
    model = place(model, job.machine.torch_device)
    with memory_advice("THESIS_BATCH_PIXELS"):
        found = extract(model, images, job.machine, job.progress, job.folder / CHECKPOINT)
    Features(found).write(job.folder)


def compute_colours(job: Job) -> None:
    """Colour histograms of the images of `trainaug`, in place of their features."""
    images = data_stage.open_split(job, "trainaug")
    found = np.stack([colour_histogram(images.image(i)) for i in range(len(images))])
    Features(found).write(job.folder)
