"""How a stage trains a network: by `thesislib.training`, with its settings, in its folder, on its machine."""

import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import Dataset

from companion.pipeline.sharing import Processes
from companion.pipeline.store import CHECKPOINT, Job
from companion.settings import OptimiserSettings
from thesislib import training
from thesislib.batches import Batches
from thesislib.checkpoints import History
from thesislib.models.classifier import parameter_groups
from thesislib.optimisation import Optimisation, ParameterGroups


def train_stage(
    job: Job,
    model: nn.Module,
    dataset: Dataset,
    size: int,
    objective: training.Objective,
    settings: OptimiserSettings,
    seed: int,
    *,
    kept: Mapping[int, Path] | None = None,
) -> History:
    """Train with the published parameter groups and return the value of each loss term at each step.

    Args:
        job: of the stage; the checkpoint is in its folder.
        model, objective, kept: see `thesislib.training.train`.
        dataset: of `size` images, addressed by (epoch, index).
        settings: of the stage.
        seed: of order, augmentation, mixing and dropout.
    """
    machine = job.machine
    times = passes(settings, size)
    batches = Batches(
        Repeated(dataset, size, times) if times > 1 else dataset,
        times * size,
        settings.batch_size,
        settings.epochs,
        seed,
        workers=machine.data_workers,
        parts=settings.accumulate,
        share=Processes(),
    )
    return training.train(
        model,
        groups(model, settings),
        objective,
        batches,
        optimisation(settings),
        job.folder / CHECKPOINT,
        device=machine.torch_device,
        precision=machine.precision,
        compiled=machine.compile,
        checkpoint_seconds=60 * machine.checkpoint_minutes,
        kept=kept,
        progress=job.progress,
    )


def passes(settings: OptimiserSettings, size: int) -> int:
    """How often an epoch goes through `size` images, so that it has `least_steps`."""
    return max(1, math.ceil(settings.least_steps * settings.batch_size / size))


class Repeated(Dataset):
    """A dataset of `size` items addressed by (epoch, index), of which each epoch has several passes.

    An item is augmented anew in every pass, as in an epoch of its own.
    """

    def __init__(self, dataset: Dataset, size: int, times: int) -> None:
        self.dataset, self.size, self.times = dataset, size, times

    def __getitem__(self, address: tuple[int, int]) -> Any:
        epoch, index = address
        return self.dataset[epoch * self.times + index // self.size, index % self.size]


def groups(model: nn.Module, settings: OptimiserSettings) -> ParameterGroups:
    """The published parameter groups, with the learning rates and weight decay of the settings."""
    return parameter_groups(
        model, settings.learning_rate, settings.weight_decay, new_layer_factor=settings.new_layer_factor
    )


def optimisation(settings: OptimiserSettings) -> Optimisation:
    """Those of the settings that say how weights are updated."""
    return Optimisation(**{field.name: getattr(settings, field.name) for field in fields(Optimisation)})
