"""Stages `features` and `subcategories`, and the rounds they make: labels of round r from the network of round r - 1.

Thesis 3.3.2 and Algorithm 1; published code: `extract_feature.py`, `create_pseudo_label.py` and `script.sh` of
Juliachang/SC-CAM. Round 0 is the plain classifier, trained here (A14); every later round extracts features of all
training images, clusters them class by class, and trains anew from the initial weights (A13).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from companion.pipeline.artefacts import Features, Subcategories
from companion.pipeline.stages import classifier as classifier_stage
from companion.pipeline.stages import data as data_stage
from companion.pipeline.store import CHECKPOINT, Job, Progress, Stage, without_file
from companion.settings import BackboneSettings, ClassifierSettings, Machine, Settings, SettingsError
from thesislib.clustering import cluster, random_assignments
from thesislib.data.transforms import to_tensor
from thesislib.data.voc import VocDataset
from thesislib.models.classifier import CamClassifier
from thesislib.precision import autocast, place
from thesislib.training import memory_advice

VERSION = 1
SHUFFLE = 5  # stream of random numbers; `training` has those before it


def trained_stage(settings: Settings, machine: Machine, label: str = "") -> Stage:
    """The classifier of round `subcategories.round`, and with it all rounds before it."""
    chosen = settings.subcategories
    if not chosen.round:
        return classifier_stage.stage(settings, machine, label)
    labels = None if chosen.labels == "none" else stage(settings, machine, label)
    previous = trained_stage(_round_before(settings), machine, label) if chosen.init == "previous" else None
    return classifier_stage.stage(settings, machine, label, labels, previous)


def stage(settings: Settings, machine: Machine, label: str = "") -> Stage:
    """The sub-category labels with which round `subcategories.round` (1 or later) is trained.

    Raises:
        SettingsError: round 0, which has none, or true sub-types of images that are not generated.
    """
    chosen = settings.subcategories
    if not chosen.round or chosen.labels == "none":
        raise SettingsError("round 0 has no sub-category labels: set subcategories.round to 1 or more")
    inputs = {"data": data_stage.stage(settings, machine)}
    if chosen.labels == "parent":
        return Stage("subcategories", VERSION, compute_parent, {"labels": "parent"}, inputs, machine, label)
    if chosen.labels == "true":
        if machine.data_root:
            raise SettingsError("subcategories.labels = 'true' needs generated images, whose sub-types are known")
        return Stage("subcategories", VERSION, compute_true, {"labels": "true"}, inputs, machine, label)
    if chosen.labels == "random":
        inputs["clusters"] = stage(settings.override({"subcategories.labels": "clusters"}), machine, label)
        return Stage("subcategories", VERSION, compute_random, {"seed": settings.seed}, inputs, machine, label)
    inputs["features"] = features_stage(_round_before(settings), machine, label)
    return Stage(
        "subcategories", VERSION, compute_clusters, {"k": chosen.k, "seed": settings.seed}, inputs, machine, label
    )


def features_stage(settings: Settings, machine: Machine, label: str = "") -> Stage:
    """Pooled features of all training images under the network of round `subcategories.round`."""
    trained = trained_stage(settings, machine, label)
    chosen = {"backbone": without_file(settings.backbone), "classifier": without_file(settings.classifier)}
    inputs = {"data": trained.inputs["data"], "classifier": trained}
    return Stage("features", VERSION, compute_features, chosen, inputs, machine, label)


def _round_before(settings: Settings) -> Settings:
    return settings.override({"subcategories.round": settings.subcategories.round - 1})


def compute_features(job: Job, backbone: BackboneSettings, classifier: ClassifierSettings) -> None:
    """`features` `(N, D)` of `trainaug`: evaluation mode, image at its own size, one scale, not mirrored (A12)."""
    images = data_stage.open_split(job, "trainaug")
    model = place(classifier_stage.load(job, backbone, classifier, len(images.classes)), job.machine.torch_device)
    with memory_advice("THESIS_BATCH_PIXELS"):
        features = extract(model, images, job.machine, job.progress, job.folder / CHECKPOINT)
    Features(features).write(job.folder)


def extract(
    model: CamClassifier, images: VocDataset, machine: Machine, progress: Progress, checkpoint: Path
) -> np.ndarray:
    """What the heads see of every image, `(N, D)` float32; `checkpoint` keeps the rows there are so far."""

    def features(batch: list[int]) -> np.ndarray:
        return pooled(model, [images.image(i) for i in batch], machine.precision)

    return data_stage.rows(images, features, checkpoint, machine, progress)


@torch.no_grad()
def pooled(model: CamClassifier, images: Sequence[np.ndarray], precision: str = "fp32") -> np.ndarray:
    """What the heads see of images of one size, `(n, D)` float32; `precision` is that of the forward pass."""
    device = next(model.parameters()).device
    with autocast(device, precision):
        output = model(torch.stack([to_tensor(image) for image in images]).to(device))
    return output.pooled.float().cpu().numpy()


def compute_clusters(job: Job, k: int, seed: int) -> None:
    """K-means of each class over the images that contain it (3.2): clusters and distances to their centroids."""
    labels = data_stage.open_split(job, "trainaug").labels
    found = cluster(Features.read(job.inputs["features"]).features, labels, k, seed)
    _write(job, found.assignments, k, found.distances)


def compute_random(job: Job, seed: int) -> None:
    """Control: the same sizes, but the images of a class are dealt out at random."""
    clusters = Subcategories.read(job.inputs["clusters"])
    _write(job, random_assignments(clusters.assignments, np.random.default_rng([seed, SHUFFLE])), clusters.k)


def compute_parent(job: Job, labels: str) -> None:
    """Control: one sub-category a class, so that the second head learns what the first does."""
    present = data_stage.open_split(job, "trainaug").labels > 0
    _write(job, np.where(present, 0, -1), 1)


def compute_true(job: Job, labels: str) -> None:
    """Control: the sub-types from which the images were generated."""
    subtypes = data_stage.open_split(job, "trainaug").subtypes
    if subtypes is None:
        raise ValueError("these images have no subtypes.csv; generate them again")
    _write(job, subtypes, int(subtypes.max()) + 1)


def _write(job: Job, assignments: np.ndarray, k: int, distances: np.ndarray | None = None) -> None:
    Subcategories(assignments.astype(np.int16), k, distances).write(job.folder)
