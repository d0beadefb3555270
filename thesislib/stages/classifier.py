"""Stage `classifier`: the multi-label classifier with the regularisers of chapter 2.

Thesis 2.3 (eq. 2.2-2.5); the plain classifier corresponds to `train_cls.py` of jiwoon-ahn/psa. No code of Mixup-CAM
was ever published. Both terms act on the forward pass of the mixed images (2.5).
"""

import hashlib
import importlib
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from thesislib import training
from thesislib.data.transforms import Augmentation, augment
from thesislib.data.voc import VocDataset
from thesislib.losses import classification_loss, concentration_loss, entropy_loss
from thesislib.mixup import mixup
from thesislib.models.classifier import CamClassifier, ClassifierOutput, parameter_groups
from thesislib.models.weights import load_weights, save_weights
from thesislib.settings import BackboneSettings, ClassifierSettings, Machine, Settings, SettingsError
from thesislib.stages import backbone as backbone_stage
from thesislib.stages import data as data_stage
from thesislib.store import Job, Stage, without_file

VERSION = 1
WEIGHTS = "classifier.safetensors"
HISTORY = "history.npz"

ExtraTerm = Callable[[ClassifierOutput, Tensor], Tensor]


def stage(settings: Settings, machine: Machine, label: str = "") -> Stage:
    """The trained classifier of `settings` and its seed; `classifier.weights` takes a file instead of training."""
    chosen: dict[str, Any] = {
        "backbone": without_file(settings.backbone),
        "classifier": without_file(settings.classifier),
    }
    data = data_stage.stage(settings, machine)
    if settings.classifier.weights:
        chosen["checksum"] = backbone_stage.file_checksum(settings.classifier.weights)
        file = settings.classifier.weights
        return Stage("classifier", VERSION, compute_converted, chosen, {"data": data}, machine, label, file)
    inputs = {"data": data, "backbone": backbone_stage.stage(settings, machine)}
    chosen |= {"seed": settings.seed, "extra_source": _source_hash(settings.classifier.extra_term)}
    return Stage("classifier", VERSION, compute, chosen, inputs, machine, label)


def compute(job: Job, backbone: BackboneSettings, classifier: ClassifierSettings, seed: int, extra_source: str) -> None:
    """Train on `trainaug` and keep the weights and the loss terms of every step."""
    images = data_stage.open_split(job, "trainaug", cache=not job.machine.data_root)
    model = _build(backbone, classifier, len(images.classes), seed)
    load_weights(model.backbone, job.inputs["backbone"] / backbone_stage.WEIGHTS)
    dataset = TrainingImages(images, classifier, seed)
    batches = training.Batches(
        dataset, len(images), classifier.batch_size, classifier.epochs, seed, job.machine.data_workers
    )
    history = training.train(
        model,
        parameter_groups(
            model,
            classifier.learning_rate,
            classifier.weight_decay,
            new_layer_factor=classifier.new_layer_factor,
        ),
        Objective(classifier),
        batches,
        classifier,
        job.folder,
        device=job.machine.torch_device,
        checkpoint_seconds=job.machine.checkpoint_seconds,
        progress=job.progress,
    )
    save_weights(model, job.folder / WEIGHTS)
    np.savez(job.folder / HISTORY, **{name: np.asarray(values, np.float32) for name, values in history.items()})  # type: ignore[arg-type]


def compute_converted(job: Job, backbone: BackboneSettings, classifier: ClassifierSettings, checksum: str) -> None:
    """Convert a trained classifier's weight file; backbone and heads must be in it."""
    classes = data_stage.open_split(job, "trainaug").classes
    model = _build(backbone, classifier, len(classes), seed=0)
    load_weights(model, job.file)
    save_weights(model, job.folder / WEIGHTS)


def load(job: Job, backbone: BackboneSettings, classifier: ClassifierSettings, num_classes: int) -> CamClassifier:
    """The classifier that `job` builds on, in evaluation mode."""
    model = _build(backbone, classifier, num_classes, seed=0)
    load_weights(model, job.inputs["classifier"] / WEIGHTS)
    return model.eval()


def _build(backbone: BackboneSettings, classifier: ClassifierSettings, num_classes: int, seed: int) -> CamClassifier:
    network = backbone_stage.build(backbone)
    if classifier.frozen:
        network.freeze()
    heads = training.torch_generator(seed, training.INITIALISATION)
    return CamClassifier(network, num_classes, dropout=classifier.dropout, generator=heads)


class TrainingImages(Dataset):
    """Augmented training images with their labels, addressed by (epoch, index)."""

    def __init__(self, images: VocDataset, settings: ClassifierSettings, seed: int) -> None:
        self.images, self.seed = images, seed
        self.augmentation = Augmentation(**settings.augmentation.model_dump())
        self.labels = torch.from_numpy(images.labels.astype(np.float32))

    def __getitem__(self, address: tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, index = address
        rng = training.generator(self.seed, training.AUGMENTATION, epoch, index)
        return augment(self.images.image(index), rng, self.augmentation), self.labels[index]


class Objective:
    """The weighted terms of eq. 2.5 for one batch."""

    def __init__(self, settings: ClassifierSettings) -> None:
        self.settings = settings
        self.extra = load_term(settings.extra_term) if settings.extra_term else None

    def __call__(self, model: nn.Module, batch: list[Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
        settings = self.settings
        images, labels = batch
        if settings.mixup_alpha:
            images, labels, _ = mixup(images, labels, settings.mixup_alpha, rng)  # (2.2)
        output = model(images)
        terms = {"classification": classification_loss(output.logits, labels)}
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
