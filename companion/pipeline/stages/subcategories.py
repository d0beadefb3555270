"""Stages `features` and `subcategories`: what a classifier sees in the training images, and the labels made of it.

Thesis 3.3.2; published code: `extract_feature.py` and `create_pseudo_label.py` of Juliachang/SC-CAM. `rounds` has the
loop that trains by turns with it. The controls are ours: labels of the same form with less, or more, in them; so is
what else a sub-category could be (`thesislib.subcategories`).
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from companion.pipeline.artefacts import ClassFeatures, Features, Subcategories
from companion.pipeline.stages import classifier as classifier_stage
from companion.pipeline.stages import data as data_stage
from companion.pipeline.store import CHECKPOINT, Job, Progress, Stage, without_file
from companion.settings import BackboneSettings, ClassifierSettings, Machine, Settings, SettingsError
from thesislib import randomness
from thesislib.clustering import Clusters, Partition, cluster_classes, k_means, points_of_classes, random_assignments
from thesislib.data.transforms import to_tensor
from thesislib.data.voc import VocDataset
from thesislib.models.classifier import CamClassifier
from thesislib.precision import autocast, place
from thesislib.subcategories import finch, silhouette_k_means, soft_labels, uniform_labels
from thesislib.training import memory_advice

VERSION = 1


def features_stage(settings: Settings, machine: Machine, trained: Stage, label: str = "") -> Stage:
    """Pooled features of all training images under the network of a stage `classifier`."""
    chosen = {"backbone": without_file(settings.backbone), "classifier": without_file(settings.classifier)}
    inputs = {"data": trained.inputs["data"], "classifier": trained}
    return Stage("features", VERSION, compute_features, chosen, inputs, machine, label)


def clusters_stage(settings: Settings, machine: Machine, features: Stage, label: str = "") -> Stage:
    """Clusters of these features, or of those of each class: the labels of the method."""
    number = settings.subcategories.number
    chosen = {"k": settings.subcategories.k, "seed": settings.seed} | ({"number": number} if number != "fixed" else {})
    kind = "class_features" if features.name == "class_features" else "features"
    inputs = {"data": features.inputs["data"], kind: features}
    return Stage("subcategories", VERSION, compute_clusters, chosen, inputs, machine, label)


def labels_stage(settings: Settings, machine: Machine, clusters: Stage, label: str = "") -> Stage | None:
    """The labels that `subcategories.labels` asks for: those of `clusters`, those of a control, or none.

    Raises:
        SettingsError: true sub-types of images that are not generated.
    """
    kind, inputs = settings.subcategories.labels, {"data": clusters.inputs["data"]}
    if kind == "clusters":
        return clusters
    if kind == "none":
        return None
    if kind == "parent":
        return Stage("subcategories", VERSION, compute_parent, {"labels": kind}, inputs, machine, label)
    if kind == "true":
        if machine.data_root:
            raise SettingsError("subcategories.labels = 'true' needs generated images, whose sub-types are known")
        return Stage("subcategories", VERSION, compute_true, {"labels": kind}, inputs, machine, label)
    if kind == "uniform":
        chosen = {"labels": kind, "k": settings.subcategories.k}
        return Stage("subcategories", VERSION, compute_uniform, chosen, inputs, machine, label)
    if kind == "soft":
        chosen = {**clusters.settings, "tau": settings.subcategories.tau}
        return Stage("subcategories", VERSION, compute_soft, chosen, clusters.inputs, machine, label)
    inputs["clusters"] = clusters
    return Stage("subcategories", VERSION, compute_random, {"seed": settings.seed}, inputs, machine, label)


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
        output = model(torch.stack([to_tensor(image, model.preprocessing) for image in images]).to(device))
    return output.pooled.float().cpu().numpy()


def compute_clusters(job: Job, k: int, seed: int, number: str = "fixed") -> None:
    """K-means of each class over the images that contain it (3.2), or another partition: clusters and distances."""
    found = _clusters(_points(job), job, k, seed, number)
    _write(job, found.assignments, k, found.distances)


def compute_soft(job: Job, k: int, seed: int, tau: float, number: str = "fixed") -> None:
    """The same clusters, among which each image is shared."""
    points = _points(job)
    found = _clusters(points, job, k, seed, number)
    _write(job, found.assignments, k, found.distances, soft_labels(points, found, k, tau))


def _points(job: Job) -> list[np.ndarray]:
    """What is clustered of each class."""
    labels = data_stage.open_split(job, "trainaug").labels
    if "class_features" in job.inputs:
        return ClassFeatures.read(job.inputs["class_features"]).of_classes(labels.shape[1])
    return points_of_classes(Features.read(job.inputs["features"]).features, labels)


def _clusters(points: Sequence[np.ndarray], job: Job, k: int, seed: int, number: str) -> Clusters:
    partitions: dict[str, Partition] = {
        "fixed": partial(k_means, k=k, seed=seed),
        "silhouette": partial(silhouette_k_means, k=k, seed=seed),
        "finch": partial(finch, k=k),
    }
    return cluster_classes(points, data_stage.open_split(job, "trainaug").labels, partitions[number])


def compute_random(job: Job, seed: int) -> None:
    """Control: the same sizes, but the images of a class are dealt out at random."""
    clusters = Subcategories.read(job.inputs["clusters"])
    _write(job, random_assignments(clusters.assignments, randomness.generator(seed, randomness.SHUFFLE)), clusters.k)


def compute_parent(job: Job, labels: str) -> None:
    """Control: one sub-category a class, so that the second head learns what the first does."""
    present = data_stage.open_split(job, "trainaug").labels > 0
    _write(job, np.where(present, 0, -1), 1)


def compute_uniform(job: Job, labels: str, k: int) -> None:
    """Control: each image shared equally among all sub-categories of its classes."""
    of_images = data_stage.open_split(job, "trainaug").labels
    _write(job, np.where(of_images > 0, 0, -1), k, soft=uniform_labels(of_images, k))


def compute_true(job: Job, labels: str) -> None:
    """Control: the sub-types from which the images were generated."""
    subtypes = data_stage.open_split(job, "trainaug").subtypes
    if subtypes is None:
        raise ValueError("these images have no subtypes.csv; generate them again")
    _write(job, subtypes, int(subtypes.max()) + 1)


def _write(
    job: Job, assignments: np.ndarray, k: int, distances: np.ndarray | None = None, soft: np.ndarray | None = None
) -> None:
    Subcategories(assignments.astype(np.int16), k, distances, soft).write(job.folder)
