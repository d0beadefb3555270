"""Stage `classifier`: the multi-label classifier with the regularisers of chapter 2 and the second head of chapter 3.

Thesis 2.3 and 3.3.2; what it is trained on, (2.5) and (3.3), is `thesislib.objectives`. The plain classifier
corresponds to `train_cls.py` of jiwoon-ahn/psa, the one with sub-categories to that of Juliachang/SC-CAM.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Real
from torch import Tensor
from torch.utils.data import Dataset

from companion.pipeline import artefacts
from companion.pipeline.artefacts import Subcategories
from companion.pipeline.own_terms import load_term, source_hash
from companion.pipeline.stages import backbone as backbone_stage
from companion.pipeline.stages import data as data_stage
from companion.pipeline.store import Job, Stage, absolute_path, without_file
from companion.pipeline.training import train_stage
from companion.settings import BackboneSettings, ClassifierSettings, Machine, OptimiserSettings, Settings, SettingsError
from thesislib import randomness
from thesislib.clustering import labels_of_clusters
from thesislib.data.transforms import Preprocessing, augment
from thesislib.data.voc import VocDataset
from thesislib.models.classifier import CamClassifier
from thesislib.models.weights import load_weights, num_outputs, save_weights
from thesislib.objectives import ClassifierObjective

VERSION = 1
BESIDE_THE_OBJECTIVE = {
    *OptimiserSettings.model_fields,
    *("weights", "frozen", "dropout", "feature_channels", "augmentation", "views", "extra_term"),
}
"""How the classifier is built, fed and trained; all its other settings are fields of `ClassifierObjective`."""


def stage(
    settings: Settings,
    machine: Machine,
    label: str = "",
    subcategories: Stage | None = None,
    previous: Stage | None = None,
) -> Stage:
    """The trained classifier of `settings` and its seed; `classifier.weights` takes a file instead of training.

    Args:
        settings: of round 0, or of a later one, which has a schedule of its own.
        machine: where it runs.
        label: for progress displays.
        subcategories: the labels of the second head, if it has one.
        previous: the classifier to start from (A13), else the initial backbone.
    """
    chosen: dict[str, Any] = {
        "backbone": without_file(settings.backbone),
        "classifier": without_file(settings.classifier),
    }
    inputs = {"data": data_stage.stage(settings, machine)}
    exploring = settings.subcategories.round > 0
    if (given := settings.classifier.weights) and not exploring:
        file, reads = absolute_path(given), partial(backbone_stage.read_file, given)
        return Stage("classifier", VERSION, compute_converted, chosen, inputs, machine, label, file, reads)
    inputs["backbone"] = backbone_stage.stage(settings, machine)
    chosen |= {"seed": settings.seed, "extra_source": source_hash(settings.classifier.extra_term)}
    if exploring:
        chosen |= _schedule(settings)
    if subcategories:
        inputs["subcategories"] = subcategories
        chosen["weight"] = settings.subcategories.weight
    if previous:
        inputs["previous"] = previous
    fills = data_stage.fills_a_batch(settings, "classifier", "trainaug")
    return Stage("classifier", VERSION, compute, chosen, inputs, machine, label, check=fills)


def _schedule(settings: Settings) -> dict[str, Any]:
    """The classifier's settings in a round of chapter 3, and its epochs that are kept (S6, S7)."""
    rounds, classifier = settings.subcategories, without_file(settings.classifier)
    augmentation = replace(classifier.augmentation, crop=rounds.crop)
    return {
        "classifier": classifier.model_copy(update={"epochs": rounds.epochs, "augmentation": augmentation}),
        "used_epoch": rounds.used_epoch,
        "checkpoints": sorted(set(rounds.checkpoints) - {rounds.used_epoch}),
    }


def compute(
    job: Job,
    backbone: BackboneSettings,
    classifier: ClassifierSettings,
    seed: int,
    extra_source: str,
    used_epoch: int = 0,
    checkpoints: Sequence[int] = (),
    weight: float = 0,
) -> None:
    """Train on `trainaug` and keep the weights and the loss terms of every step; `weight` is lambda of (3.3).

    Raises:
        SettingsError: the module of a term of the user's own is no longer the one that the stage was planned with.
    """
    if source_hash(classifier.extra_term) != extra_source:
        raise SettingsError(f"the module of {classifier.extra_term} was edited since the run was planned: start again")
    images = data_stage.open_split(job, "trainaug", cache=True)
    clusters = job.inputs.get("subcategories")
    sub_labels = read_labels(clusters, images) if clusters else None
    k = sub_labels.shape[1] // len(images.classes) if sub_labels is not None else 0
    model = build(backbone, classifier, len(images.classes), seed, k)
    if "previous" in job.inputs:
        file = job.inputs["previous"] / artefacts.CLASSIFIER_WEIGHTS
        before = _from_file(file, backbone, classifier, len(images.classes))
        # Columns of the other head mean other clusters now.
        kept_tensors = {name: t for name, t in before.state_dict().items() if not name.startswith("fc8_sub.")}
        model.load_state_dict(kept_tensors, strict=False)
    else:
        load_weights(model.backbone, job.inputs["backbone"] / artefacts.BACKBONE_WEIGHTS)
    dataset = TrainingImages(images, classifier, seed, model.preprocessing, sub_labels)
    kept = {epoch: job.folder / artefacts.epoch_weights(epoch) for epoch in checkpoints}
    kept[used_epoch or classifier.epochs] = job.folder / artefacts.CLASSIFIER_WEIGHTS
    terms = objective(classifier, len(images.classes), weight)
    history = train_stage(job, model, dataset, len(images), terms, classifier, seed, kept=kept)
    artefacts.write_history(job.folder, history)


def compute_converted(job: Job, backbone: BackboneSettings, classifier: ClassifierSettings, checksum: str) -> None:
    """Convert a trained classifier's weight file; backbone and heads must be in it."""
    classes = data_stage.open_split(job, "trainaug").classes
    model = _from_file(job.file, backbone, classifier, len(classes))
    save_weights(model, job.folder / artefacts.CLASSIFIER_WEIGHTS)


def load(
    job: Job, backbone: BackboneSettings, classifier: ClassifierSettings, num_classes: int, epoch: int = 0
) -> CamClassifier:
    """The classifier that `job` builds on, in evaluation mode; `epoch` chooses one of its checkpoints.

    Raises:
        SettingsError: no weights were kept after that epoch.
        LeftOut: they are not published.
    """
    folder = job.inputs["classifier"]
    name = artefacts.epoch_weights(epoch) if epoch else artefacts.CLASSIFIER_WEIGHTS
    path = artefacts.weights_path(folder, name)
    if epoch and not path.is_file():
        kept = ", ".join(map(str, artefacts.kept_epochs(folder))) or "none"
        raise SettingsError(
            f"cam.epoch = {epoch}: no weights were kept after that epoch, only after {kept}; choose one of "
            "subcategories.checkpoints, or 0 for the classifier that is used"
        )
    return _from_file(path, backbone, classifier, num_classes).eval()


def _from_file(
    path: str | Path, backbone: BackboneSettings, classifier: ClassifierSettings, num_classes: int
) -> CamClassifier:
    """A classifier with the heads that its weight file has."""
    model = build(backbone, classifier, num_classes, seed=0, k=num_outputs(path, "fc8_sub") // num_classes)
    load_weights(model, path)
    return model


def build(
    backbone: BackboneSettings, classifier: ClassifierSettings, num_classes: int, seed: int, k: int
) -> CamClassifier:
    """The classifier of these settings, to be filled with weights; `seed` is that of its heads, `k` K a class."""
    network = backbone_stage.build(backbone)
    if classifier.frozen:
        network.freeze()
    heads = randomness.torch_generator(seed, randomness.INITIALISATION)
    return CamClassifier(
        network,
        num_classes,
        k,
        feature_channels=classifier.feature_channels,
        dropout=classifier.dropout,
        generator=heads,
    )


def read_labels(folder: Path, images: VocDataset) -> Real[np.ndarray, "n ck"]:
    """Labels of the second head for these images, from the folder of stage `subcategories`.

    Raises:
        ValueError: they are of images with other classes.
    """
    found = Subcategories.read(folder)
    of_clusters = labels_of_clusters(found.assignments, images.labels, found.k)
    return of_clusters if found.soft is None else found.soft


class TrainingImages(Dataset):
    """Augmented training images with their labels, addressed by (epoch, index).

    Sub-category labels, where there are any, stand behind the class labels: `(C + C*K,)`.
    """

    def __init__(
        self,
        images: VocDataset,
        settings: ClassifierSettings,
        seed: int,
        preprocessing: Preprocessing,
        sub_labels: np.ndarray | None = None,
    ) -> None:
        self.images, self.seed, self.preprocessing = images, seed, preprocessing
        self.augmentation, self.views = settings.augmentation, settings.views
        labels = images.labels if sub_labels is None else np.concatenate([images.labels, sub_labels], axis=1)
        self.labels = torch.from_numpy(labels.astype(np.float32))

    def __getitem__(self, address: tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, index = address
        rng = randomness.generator(self.seed, randomness.AUGMENTATION, epoch, index)
        image = self.images.image(index)
        views = [augment(image, rng, self.augmentation, self.preprocessing) for _ in range(self.views)]
        return (torch.stack(views) if self.views > 1 else views[0]), self.labels[index]


def objective(settings: ClassifierSettings, num_classes: int, lambda_sub: float = 0) -> ClassifierObjective:
    """What these settings train on; `lambda_sub` is lambda of (3.3).

    Raises:
        TypeError: a setting is no field of `ClassifierObjective`, so that it would have no effect.
    """
    weights = {name: getattr(settings, name) for name in ClassifierSettings.model_fields.keys() - BESIDE_THE_OBJECTIVE}
    extra = load_term(settings.extra_term) if settings.extra_term else None
    return ClassifierObjective(num_classes, lambda_sub=lambda_sub, extra=extra, **weights)
