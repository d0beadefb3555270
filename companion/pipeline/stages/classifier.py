"""Stage `classifier`: the multi-label classifier with the regularisers of chapter 2 and the second head of chapter 3.

Thesis 2.3 (eq. 2.2-2.5) and 3.3.2 (eq. 3.3). The plain classifier corresponds to `train_cls.py` of jiwoon-ahn/psa, the
one with sub-categories to that of Juliachang/SC-CAM; no code of Mixup-CAM was ever published. Its terms act on the
forward pass of the mixed images (2.5); where a user asks for both methods, sub-category labels are mixed like labels.
"""

import hashlib
import importlib
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from companion.pipeline import artefacts
from companion.pipeline.artefacts import Subcategories
from companion.pipeline.stages import backbone as backbone_stage
from companion.pipeline.stages import data as data_stage
from companion.pipeline.store import Job, Stage, absolute_path, without_file
from companion.settings import BackboneSettings, ClassifierSettings, Machine, Settings, SettingsError
from thesislib import training
from thesislib.data.transforms import Augmentation, augment
from thesislib.data.voc import VocDataset
from thesislib.losses import classification_loss, concentration_loss, entropy_loss
from thesislib.mixup import mixup
from thesislib.models.classifier import CamClassifier, ClassifierOutput
from thesislib.models.weights import load_weights, num_outputs, save_weights

VERSION = 1

ExtraTerm = Callable[[ClassifierOutput, Tensor], Tensor]


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
    if settings.classifier.weights and not exploring:
        chosen["checksum"] = backbone_stage.file_checksum(settings.classifier.weights)
        file = absolute_path(settings.classifier.weights)
        return Stage("classifier", VERSION, compute_converted, chosen, inputs, machine, label, file)
    inputs["backbone"] = backbone_stage.stage(settings, machine)
    chosen |= {"seed": settings.seed, "extra_source": _source_hash(settings.classifier.extra_term)}
    if exploring:
        chosen |= _schedule(settings)
    if subcategories:
        inputs["subcategories"] = subcategories
        chosen["weight"] = settings.subcategories.weight
    if previous:
        inputs["previous"] = previous
    return Stage("classifier", VERSION, compute, chosen, inputs, machine, label)


def _schedule(settings: Settings) -> dict[str, Any]:
    """The classifier's settings in a round of chapter 3, and its epochs that are kept (S6, S7)."""
    rounds, classifier = settings.subcategories, without_file(settings.classifier)
    augmentation = classifier.augmentation.model_copy(update={"crop": rounds.crop})
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
    """Train on `trainaug` and keep the weights and the loss terms of every step; `weight` is lambda of (3.3)."""
    images = data_stage.open_split(job, "trainaug", cache=True)
    clusters = job.inputs.get("subcategories")
    sub_labels = Subcategories.read(clusters).labels if clusters else None
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
    dataset = TrainingImages(images, classifier, seed, sub_labels)
    kept = {epoch: job.folder / artefacts.epoch_weights(epoch) for epoch in checkpoints}
    kept[used_epoch or classifier.epochs] = job.folder / artefacts.CLASSIFIER_WEIGHTS
    objective = Objective(classifier, len(images.classes), weight)
    history = training.train_stage(job, model, dataset, len(images), objective, classifier, seed, kept=kept)
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
    """
    folder = job.inputs["classifier"]
    path = folder / (artefacts.epoch_weights(epoch) if epoch else artefacts.CLASSIFIER_WEIGHTS)
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
    heads = training.torch_generator(seed, training.INITIALISATION)
    return CamClassifier(
        network,
        num_classes,
        k,
        feature_channels=classifier.feature_channels,
        dropout=classifier.dropout,
        generator=heads,
    )


class TrainingImages(Dataset):
    """Augmented training images with their labels, addressed by (epoch, index).

    Sub-category labels, where there are any, stand behind the class labels: `(C + C*K,)`.
    """

    def __init__(
        self, images: VocDataset, settings: ClassifierSettings, seed: int, sub_labels: np.ndarray | None = None
    ) -> None:
        self.images, self.seed = images, seed
        self.augmentation = Augmentation(**settings.augmentation.model_dump())
        labels = images.labels if sub_labels is None else np.concatenate([images.labels, sub_labels], axis=1)
        self.labels = torch.from_numpy(labels.astype(np.float32))

    def __getitem__(self, address: tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, index = address
        rng = training.generator(self.seed, training.AUGMENTATION, epoch, index)
        return augment(self.images.image(index), rng, self.augmentation), self.labels[index]


class Objective:
    """The weighted terms of eq. 2.5, and of eq. 3.3 where there are sub-category labels, for one batch."""

    def __init__(self, settings: ClassifierSettings, num_classes: int, lambda_sub: float = 0) -> None:
        self.settings, self.num_classes, self.lambda_sub = settings, num_classes, lambda_sub
        self.extra = load_term(settings.extra_term) if settings.extra_term else None

    def __call__(self, model: nn.Module, batch: list[Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
        settings = self.settings
        images, labels = batch
        if settings.mixup_alpha:
            images, labels, _ = mixup(images, labels, settings.mixup_alpha, rng)  # (2.2)
        labels, sub_labels = labels[:, : self.num_classes], labels[:, self.num_classes :]
        output = model(images)
        terms = {"classification": classification_loss(output.logits, labels)}
        if output.sub_logits is not None:
            terms["sub-categories"] = self.lambda_sub * classification_loss(output.sub_logits, sub_labels)  # (3.3)
        if settings.lambda_ent:
            scores = output.logits if settings.entropy_level == "image" else output.response
            terms["entropy"] = settings.lambda_ent * entropy_loss(scores, score=settings.entropy_score)  # (2.3)
        if settings.lambda_con:
            terms["concentration"] = unit_weight(settings) * concentration_loss(
                output.response, labels > 0, form=settings.concentration_form, coords="unit"
            )  # (2.4), present classes: A7
        if self.extra:
            terms["extra"] = settings.lambda_extra * self.extra(output, labels)
        return terms


def unit_weight(settings: ClassifierSettings) -> float:
    """Weight of the concentration term in unit coordinates that equals `lambda_con` on its reference map (A4)."""
    return settings.lambda_con * (settings.concentration_map / 2) ** 2


def load_term(name: str) -> ExtraTerm:
    """A regulariser of the user's own: `module:function`, called with the classifier's output and the labels.

    Raises:
        SettingsError: it cannot be imported.
    """
    module, _, function = name.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingsError(
            f"classifier.extra_term = {name!r} cannot be imported ({error}); write module:function and put the "
            "module's folder on PYTHONPATH"
        ) from error


def _source_hash(name: str) -> str:
    """What the function's text says, so that an edited term is a new question to the store."""
    return hashlib.sha256(inspect.getsource(load_term(name)).encode()).hexdigest()[:16] if name else ""
