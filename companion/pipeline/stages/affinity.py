"""Stages `affinity_labels` and `affinity`: confident labels from response maps, and the AffinityNet they teach.

Thesis 2.3.3 and 3.3.3, step 2. Published code: `infer_cls.py` (dense CRF of the maps under two background scores),
`voc12/data.py::VOC12AffDataset` and `train_aff.py` of jiwoon-ahn/psa. AffinityNet starts from the weights that the
classifier started from, not from the classifier (fact of the published code, psa issue #18).
"""

import functools
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from companion.pipeline import artefacts, workers
from companion.pipeline.artefacts import AffinityScores, ResponseMaps
from companion.pipeline.stages import backbone as backbone_stage
from companion.pipeline.stages import data as data_stage
from companion.pipeline.stages import matched_alphas as matched
from companion.pipeline.stages import response_maps
from companion.pipeline.stages.affinity_data import LabelledCrops, WholeImages
from companion.pipeline.store import Job, Stage, absolute_path, without_file
from companion.pipeline.training import train_stage
from companion.settings import AffinitySettings, BackboneSettings, CrfSettings, Machine, Settings, SettingsError
from thesislib import cam, randomness
from thesislib.data.voc import VocDataset
from thesislib.later_objectives import AffinityObjective
from thesislib.models.affinitynet import AffinityNet
from thesislib.models.weights import load_weights, save_weights
from thesislib.precision import place
from thesislib.refinement import background_score
from thesislib.refinement.crf import PSA, CrfParams, dense_crf

VERSION = 1


def labels_stage(settings: Settings, machine: Machine, label: str = "") -> Stage:
    """CRF scores of the response maps under both background scores, for the images that teach the affinity."""
    affinity = settings.affinity
    maps = response_maps.stage_with(settings, machine, affinity.split, label)
    chosen: dict[str, Any] = {
        "split": affinity.split,
        "alphas": [affinity.low_alpha, affinity.high_alpha],
        "crf": settings.crf,
    }
    inputs = {"data": maps.inputs["data"], "response_maps": maps}
    if plain := matched.plain_maps(settings, machine, affinity.split):
        inputs |= plain
        chosen["walk_alpha"] = affinity.walk_alpha
    return Stage("affinity_labels", VERSION, compute_labels, chosen, inputs, machine, label)


def stage(settings: Settings, machine: Machine, label: str = "") -> Stage:
    """The AffinityNet taught by the response maps of `settings`; `affinity.weights` takes a file instead of training.

    Binding it raises `SettingsError` where the file does not exist, or does not fill the AffinityNet of these settings.
    """
    chosen: dict[str, Any] = {
        "backbone": without_file(settings.backbone),
        "affinity": without_file(settings.affinity),
    }
    if given := settings.affinity.weights:
        file, reads = absolute_path(given), partial(_read_weights, given)
        return Stage("affinity", VERSION, compute_converted, chosen, {}, machine, label, file, reads)
    labels = labels_stage(settings, machine, label)
    chosen["seed"] = settings.seed
    inputs = {
        "data": labels.inputs["data"],
        "backbone": backbone_stage.stage(settings, machine),
        "labels": labels,
    }
    fills = data_stage.fills_a_batch(settings, "affinity", settings.affinity.split)
    return Stage("affinity", VERSION, compute, chosen, inputs, machine, label, check=fills)


def compute_labels(
    job: Job, split: str, alphas: list[float], crf: CrfSettings, walk_alpha: float | None = None
) -> None:
    """CRF scores of every image under the large and the small background score, in half precision."""
    images, maps = data_stage.open_split(job, split), job.inputs["response_maps"]
    if walk_alpha is not None:
        by = matched.factor(walk_alpha, images.ids, maps, job.inputs[matched.name_of(split)])
        alphas = [alpha * by for alpha in alphas]
    task = partial(_write_scores, images, maps, job.folder, alphas, crf)
    workers.for_each_image(task, images, job.machine.data_workers, job.progress)


def _write_scores(images: VocDataset, maps: Path, folder: Path, alphas: list[float], crf: CrfSettings, i: int) -> None:
    if AffinityScores.path(folder, images.ids[i]).is_file():
        return
    classes, present = present_maps(maps, images.ids[i])
    if len(classes) == 0:
        raise ValueError(f"image {images.ids[i]} has no class, so nothing responds: take it out of the split")
    params = crf_params(PSA, crf)
    scores = (dense_crf(images.image(i), background_score(present, alpha), params) for alpha in alphas)
    low, high = (of_alpha.numpy().astype(np.float16) for of_alpha in scores)
    AffinityScores(classes, low, high).write(folder, images.ids[i])


def compute(job: Job, backbone: BackboneSettings, affinity: AffinitySettings, seed: int) -> None:
    """Train AffinityNet and keep its weights and the loss of every step."""
    images = data_stage.open_split(job, affinity.split, cache=True)
    model = build(backbone, seed)
    load_weights(model.backbone, job.inputs["backbone"] / artefacts.BACKBONE_WEIGHTS)
    scores = job.inputs["labels"]
    if affinity.trained == "head":
        model.backbone.requires_grad_(False)
        whole = WholeImages(images, scores, model, job.machine.torch_device, job.progress)
        history = train_stage(job, model, whole, len(images), objective(affinity), affinity, seed)
    else:
        crops = LabelledCrops(images, scores, affinity, model, seed)
        history = train_stage(job, model, crops, len(images), objective(affinity), affinity, seed)
    save_weights(model, job.folder / artefacts.AFFINITY_WEIGHTS)
    artefacts.write_history(job.folder, history)


def compute_converted(job: Job, backbone: BackboneSettings, affinity: AffinitySettings, checksum: str) -> None:
    """Convert a trained AffinityNet's weight file; every tensor of the network must be in it."""
    model = build(backbone)
    load_weights(model, job.file)
    save_weights(model, job.folder / artefacts.AFFINITY_WEIGHTS)


def _read_weights(given: str, stage: Stage) -> dict[str, str]:
    read = backbone_stage.read_file(given, stage)
    _check_file(stage.file, read["checksum"], stage.settings["backbone"])
    return read


@functools.lru_cache(maxsize=8)
def _check_file(file: str, checksum: str, backbone: BackboneSettings) -> None:
    """A file that does not fit is found here, before the response maps that the walk needs are computed."""
    with torch.device("meta"):  # shapes without numbers
        model = build(backbone)
    try:
        load_weights(model, file)
    except ValueError as error:
        raise SettingsError(f"affinity.weights: {error} `thesis weights import` tells what a file is.") from error


def build(backbone: BackboneSettings, seed: int = 0) -> AffinityNet:
    """AffinityNet on a frozen backbone, with the published freezing whatever the classifier has."""
    network = backbone_stage.build(backbone).freeze()
    return AffinityNet(network, generator=randomness.torch_generator(seed, randomness.INITIALISATION))


def grid(backbone: BackboneSettings) -> int:
    """Pixels per cell of the affinities and the walk, which may be finer than the response maps."""
    return backbone_stage.build(backbone).grid


def load(folder: Path, backbone: BackboneSettings, machine: Machine) -> AffinityNet:
    """The AffinityNet in the folder of a stage `affinity`, in evaluation mode on the machine's device.

    Raises:
        LeftOut: its weights are not published.
    """
    model = build(backbone)
    load_weights(model, artefacts.weights_path(folder, artefacts.AFFINITY_WEIGHTS))
    return place(model.eval(), machine.torch_device)


def present_maps(folder: Path, name: str) -> tuple[np.ndarray, Tensor]:
    """Classes `(P,)` and normalised response maps `(P, H, W)` of one image; `folder` is that of stage `response_maps`.

    Raises:
        FileNotFoundError: the folder is incomplete; names the image.
    """
    stored = ResponseMaps.read(folder, name)
    return stored.classes, cam.normalize(torch.from_numpy(stored.maps))


def walk_scores(present: Tensor, alpha: float) -> Tensor:
    """Scores `(P+1, H, W)` that walk: maps `(P, H, W)` below their background; background alone without a class."""
    return background_score(present, alpha) if len(present) else torch.ones(1, *present.shape[1:])


def crf_params(base: CrfParams, crf: CrfSettings) -> CrfParams:
    """A named parameter set for images that are `scale_factor` times smaller than those it is for."""
    return CrfParams(**{**base.__dict__, "scale_factor": crf.scale_factor})


def objective(affinity: AffinitySettings) -> AffinityObjective:
    """What a batch is trained on: images, or maps of a backbone that stays as it is."""
    return AffinityObjective(
        affinity.mixup_alpha, affinity.mixing, affinity.lambda_ent, of_maps=affinity.trained == "head"
    )
