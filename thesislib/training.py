"""The one training loop, used by every trained stage.

All randomness is a function of (seed, step): the order of an epoch, each image's augmentation, mixing and dropout are
drawn from generators made anew from those numbers. A run that was killed therefore continues from its checkpoint to
the same weights, bit for bit, as one that was not.

Published code: `train_cls.py` of jiwoon-ahn/psa. Optimiser and learning rate: see `optimisation`.
"""

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from companion.pipeline import sharing as parallel
from companion.pipeline.store import CHECKPOINT, Job, Progress
from companion.settings import OptimiserSettings
from thesislib.files import write_whole
from thesislib.models.classifier import parameter_groups
from thesislib.models.weights import save_weights
from thesislib.optimisation import ParameterGroups, build_optimiser, learning_rate_factor
from thesislib.precision import autocast, place

READ_TOGETHER = 20  # steps whose losses are read at once: reading makes the processor wait for the GPU

# Streams of random numbers that never share a state.
ORDER, AUGMENTATION, MIXING, DROPOUT, INITIALISATION = range(5)

Objective = Callable[[nn.Module, Any, np.random.Generator], dict[str, Tensor]]


class NonFiniteLoss(ArithmeticError):
    """The loss became infinite or not a number; the last checkpoint before it is kept."""


@contextlib.contextmanager
def memory_advice(settings: str) -> Iterator[None]:
    """Turns a GPU's out-of-memory error into one that names the settings which lower the need."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(f"the GPU's memory is too small: lower {settings} ({error})") from error


def generator(seed: int, stream: int, *position: int) -> np.random.Generator:
    """Random numbers of one stream at one position (epoch and image, or step)."""
    return np.random.default_rng([seed, stream, *position])


def torch_generator(seed: int, stream: int, *position: int) -> torch.Generator:
    """The same for torch."""
    return torch.Generator().manual_seed(int(generator(seed, stream, *position).integers(2**62)))


@dataclass(frozen=True)
class Batches:
    """Batches of a dataset whose items are addressed by (epoch, index); incomplete last batches are dropped.

    Each process gets its own of the `parts` of every batch (see `parallel`); a single one gets all.
    """

    dataset: Dataset
    size: int
    batch_size: int
    epochs: int
    seed: int
    workers: int = 0
    parts: int = 1

    def __post_init__(self) -> None:
        if self.size < self.batch_size:
            raise ValueError(
                f"{self.size} training images do not fill a batch of {self.batch_size}; lower batch_size or add images"
            )

    @property
    def per_epoch(self) -> int:
        """Steps in one epoch."""
        return self.size // self.batch_size

    @property
    def total(self) -> int:
        """Steps of the whole training."""
        return self.epochs * self.per_epoch

    def _addresses(self, start: int) -> Iterator[list[tuple[int, int]]]:
        for epoch in range(start // self.per_epoch, self.epochs):
            order = generator(self.seed, ORDER, epoch).permutation(self.size)
            first = start % self.per_epoch if epoch == start // self.per_epoch else 0
            for step in range(first, self.per_epoch):
                chosen = order[step * self.batch_size : (step + 1) * self.batch_size]
                parts = np.split(chosen, self.parts)
                yield [(epoch, int(index)) for _, part in parallel.own_parts(parts) for index in part]

    def starting_at(self, step: int) -> Iterator[Any]:
        """Collated batches from `step` to the end."""
        loader: DataLoader = DataLoader(
            self.dataset,
            batch_sampler=list(self._addresses(step)),
            num_workers=self.workers,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator().manual_seed(0),
        )
        return iter(loader)


def train(
    model: nn.Module,
    groups: ParameterGroups,
    objective: Objective,
    batches: Batches,
    settings: OptimiserSettings,
    folder: Path,
    *,
    device: str = "cpu",
    precision: str = "fp32",
    compiled: bool = False,
    checkpoint_seconds: float = math.inf,
    kept: Mapping[int, Path] | None = None,
    progress: Progress | None = None,
) -> dict[str, list[float]]:
    """Train `model` in place and return the value of each loss term at each step.

    Args:
        groups: parameter groups for the optimiser.
        objective: `objective(model, batch, rng)` returns the weighted loss terms; their sum is minimised.
        folder: where the checkpoint is written, and looked for; the last one, of the end, stays there.
        precision: `fp32`, or `bf16` for autocast; weights and their updates are fp32 in both.
        compiled: whether the network goes through torch.compile, which needs a C++ compiler.
        checkpoint_seconds: least time between checkpoints; without it there is one, at the end.
        kept: files for the weights after these numbers of epochs.

    Raises:
        NonFiniteLoss: with the step; the last checkpoint before it stays, so that the run can be inspected.
    """
    gpu = device.startswith("cuda")
    place(model, device)
    optimiser = build_optimiser(groups, settings, fused=gpu)
    step, history = _resume(parallel.of_first(folder) / CHECKPOINT, model, optimiser)
    model.train()
    network: Any = torch.compile(model) if compiled else model  # the same weights; `model` keeps their names
    parallel.check(model, settings.accumulate)
    own = [number for number, _ in parallel.own_parts(range(settings.accumulate))]
    unread: list[dict[str, Tensor]] = []
    saved, shown = time.monotonic(), ""
    for batch in batches.starting_at(step):
        for group in optimiser.param_groups:
            held = step - step % settings.update_interval
            group["lr"] = group["base_lr"] * learning_rate_factor(settings.schedule, held, batches.total)
        optimiser.zero_grad(set_to_none=True)
        with (
            memory_advice("batch_size or augmentation.crop of this stage, or raise its accumulate"),
            autocast(device, precision),
        ):
            parts = []
            for number, part in zip(own, _split(batch, len(own), device), strict=True):
                _seed_dropout(batches.seed, step, number)
                mixing = generator(batches.seed, MIXING, step)
                parts.append(_backward(network, part, objective, mixing, settings.accumulate))
        summed = {name: sum((part[name] for part in parts[1:]), parts[0][name]) for name in parts[0]}
        unread.append(parallel.add_up(model, summed))
        optimiser.step()
        step += 1
        due = time.monotonic() - saved >= checkpoint_seconds or step == batches.total
        if due or len(unread) == READ_TOGETHER or not step % batches.per_epoch:
            shown = _read(unread, history, step, batches.total, folder)
            unread = []
        if progress:
            progress(step, batches.total, shown)
        if not step % batches.per_epoch and (file := (kept or {}).get(step // batches.per_epoch)):
            save_weights(model, file)
        if due:
            _save(folder / CHECKPOINT, model, optimiser, step, history)
            saved = time.monotonic()
    model.eval()
    return history


def train_stage(
    job: Job,
    model: nn.Module,
    dataset: Dataset,
    size: int,
    objective: Objective,
    settings: OptimiserSettings,
    seed: int,
    *,
    kept: Mapping[int, Path] | None = None,
) -> dict[str, list[float]]:
    """`train` for a stage: the published parameter groups, checkpoints in the stage's folder, on the stage's machine.

    Args:
        job: of the stage.
        model, objective, kept: see `train`.
        dataset: of `size` images, addressed by (epoch, index).
        settings: of the stage.
        seed: of order, augmentation, mixing and dropout.
    """
    machine = job.machine
    batches = Batches(
        dataset, size, settings.batch_size, settings.epochs, seed, machine.data_workers, settings.accumulate
    )
    groups = parameter_groups(
        model, settings.learning_rate, settings.weight_decay, new_layer_factor=settings.new_layer_factor
    )
    return train(
        model,
        groups,
        objective,
        batches,
        settings,
        job.folder,
        device=machine.torch_device,
        precision=machine.precision,
        compiled=machine.compile,
        checkpoint_seconds=60 * machine.checkpoint_minutes,
        kept=kept,
        progress=job.progress,
    )


def _seed_dropout(seed: int, step: int, part: int) -> None:
    """Each part of a batch has a dropout of its own, whichever process it is on."""
    torch.manual_seed(int(generator(seed, DROPOUT, step, *([part] if part else [])).integers(2**62)))


def _read(
    unread: Sequence[dict[str, Tensor]], history: dict[str, list[float]], step: int, total: int, folder: Path
) -> str:
    """Append the loss terms of the steps before `step` to the history; returns the last loss in words.

    Raises:
        NonFiniteLoss: at the first step whose loss is infinite or not a number.
    """
    for at, terms in enumerate(unread, start=step - len(unread)):
        values = {name: term.item() for name, term in terms.items()}
        loss = sum(values.values())
        if not math.isfinite(loss):
            said = ", ".join(f"{name} {value:g}" for name, value in values.items())
            raise NonFiniteLoss(
                f"loss is not finite at step {at} of {total} ({said}); lower the learning rate or the weight of the "
                f"term; {_kept(folder)}"
            )
        for name, value in values.items():
            history.setdefault(name, []).append(value)
    return f"loss {loss:.3f}"


def _kept(folder: Path) -> str:
    there = (folder / CHECKPOINT).is_file()
    return f"the last good checkpoint is kept in {folder}" if there else "there was no checkpoint yet"


def _split(batch: Sequence[Tensor], parts: int, device: str) -> Iterator[list[Tensor]]:
    """The batch on the device, in equal parts."""
    for tensors in zip(*(tensor.chunk(parts) for tensor in batch), strict=True):
        yield [tensor.to(device, non_blocking=True) for tensor in tensors]


def _backward(
    model: nn.Module, batch: list[Tensor], objective: Objective, rng: np.random.Generator, parts: int
) -> dict[str, Tensor]:
    """Add the gradient of one part of the batch; returns its share of each loss term, still on the device."""
    terms = {name: term / parts for name, term in objective(model, batch, rng).items()}
    torch.stack(list(terms.values())).sum().backward()
    return {name: term.detach().double() for name, term in terms.items()}


def _save(
    path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, step: int, history: dict[str, list[float]]
) -> None:
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        for name, value in state.items():
            if value is not None:
                tensors[f"optimiser.{index}.{name}"] = torch.as_tensor(value)
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = safetensors.torch.save(contiguous, {"step": str(step), "history": json.dumps(history)})
    write_whole(path, lambda file: file.write(content))


def _resume(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[int, dict[str, list[float]]]:
    if not path.is_file():
        return 0, {}
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    model.load_state_dict({name[6:]: tensor for name, tensor in tensors.items() if name.startswith("model.")})
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimiser."):
            _, index, entry = name.split(".", 2)
            state.setdefault(int(index), {})[entry] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return int(metadata["step"]), json.loads(metadata["history"])
