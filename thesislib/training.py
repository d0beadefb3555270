"""The one training loop, used for every network.

All randomness is a function of (seed, step): the order of an epoch, each image's augmentation, mixing and dropout are
drawn from generators made anew from those numbers (`randomness`). A run that was killed therefore continues from its
checkpoint to the same weights, bit for bit, as one that was not.

Published code: `train_cls.py` of jiwoon-ahn/psa. Optimiser and learning rate: see `optimisation`.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from thesislib import checkpoints
from thesislib.batches import ALONE, Batches, Share
from thesislib.checkpoints import History
from thesislib.models.weights import save_weights
from thesislib.optimisation import Optimisation, ParameterGroups
from thesislib.precision import autocast, place
from thesislib.randomness import DROPOUT, MIXING, generator, torch_seed

READ_TOGETHER = 20  # steps whose losses are read at once: reading makes the processor wait for the GPU

Terms = dict[str, Float[Tensor, ""]]
Objective = Callable[[nn.Module, Any, np.random.Generator], Terms]
Progress = Callable[[int, int, str], None]


class NonFiniteLoss(ArithmeticError):
    """The loss became infinite or not a number; the last checkpoint before it is kept."""


@contextlib.contextmanager
def memory_advice(settings: str) -> Iterator[None]:
    """Turns a GPU's out-of-memory error into one that names the settings which lower the need."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(f"the GPU's memory is too small: lower {settings} ({error})") from error


def train(
    model: nn.Module,
    groups: ParameterGroups,
    objective: Objective,
    batches: Batches,
    optimisation: Optimisation,
    checkpoint: Path | None = None,
    *,
    device: str = "cpu",
    precision: str = "fp32",
    compiled: bool = False,
    checkpoint_seconds: float = math.inf,
    kept: Mapping[int, Path] | None = None,
    progress: Progress | None = None,
) -> History:
    """Train `model` in place and return the value of each loss term at each step.

    Args:
        groups: parameter groups for the optimiser.
        objective: `objective(model, batch, rng)` returns the weighted loss terms; their sum is minimised.
        checkpoint: file of the state so far, which is continued where there is one; that of the end stays there.
        precision: `fp32`, or `bf16` for autocast; weights and their updates are fp32 in both.
        compiled: whether the network goes through torch.compile, which needs a C++ compiler.
        checkpoint_seconds: least time between checkpoints; without it there is one, at the end.
        kept: files for the weights after these numbers of epochs.
        progress: called with (steps done, steps in all, the last loss in words) after every step.

    Raises:
        NonFiniteLoss: with the step; the last checkpoint before it stays, so that the run can be inspected.
        MemoryError: of the GPU; names what lowers the need.
    """
    place(model, device)
    optimiser = optimisation.build(groups, fused=device.startswith("cuda"))
    first = batches.share.of_first(checkpoint)
    step, history = checkpoints.resume(first, model, optimiser) if first else (0, {})
    model.train()
    network: Any = torch.compile(model) if compiled else model  # the same weights; `model` keeps their names
    batches.share.check(model, batches.parts)
    update = partial(
        train_step,
        network,
        optimiser,
        objective,
        seed=batches.seed,
        parts=batches.parts,
        share=batches.share,
        device=device,
        precision=precision,
    )
    unread: list[Terms] = []
    saved, shown = time.monotonic(), ""
    for batch in batches.starting_at(step):
        optimisation.set_rates(optimiser, step, batches.total)
        unread.append(update(batch, step))
        step += 1
        due = time.monotonic() - saved >= checkpoint_seconds or step == batches.total
        if due or len(unread) == READ_TOGETHER or not step % batches.per_epoch:
            shown = _read(unread, history, step, batches.total, checkpoint)
            unread = []
        if progress:
            progress(step, batches.total, shown)
        if not step % batches.per_epoch and (file := (kept or {}).get(step // batches.per_epoch)):
            save_weights(model, file)
        if due and checkpoint:
            checkpoints.save(checkpoint, model, optimiser, step, history)
            saved = time.monotonic()
    model.eval()
    return history


def train_step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    objective: Objective,
    batch: Sequence[Tensor],
    step: int,
    *,
    seed: int,
    parts: int = 1,
    share: Share = ALONE,
    device: str = "cpu",
    precision: str = "fp32",
) -> Terms:
    """One update of the weights; returns the loss terms of the whole batch, still on the device.

    Args:
        batch: this process' share of it: tensors whose first axis is that of the images.
        seed: of mixing and dropout, with `step`.
        parts: see `Batches`, as for `share`.
    """
    own = [number for number, _ in share.own_parts(range(parts))]
    optimiser.zero_grad(set_to_none=True)
    terms = []
    with (
        memory_advice("batch_size or augmentation.crop of this stage, or raise its accumulate"),
        autocast(device, precision),
    ):
        for number, part in zip(own, _split(batch, len(own), device), strict=True):
            # Each part of a batch has a dropout of its own, whichever process it is on.
            torch.manual_seed(torch_seed(seed, DROPOUT, step, *([number] if number else [])))
            mixing = generator(seed, MIXING, step)
            terms.append(_backward(network, part, objective, mixing, parts))
    summed = {name: sum((part[name] for part in terms[1:]), terms[0][name]) for name in terms[0]}
    together = share.add_up(network, summed)
    optimiser.step()
    return together


def _split(batch: Sequence[Tensor], parts: int, device: str) -> Iterator[list[Tensor]]:
    """The batch on the device, in equal parts."""
    for tensors in zip(*(tensor.chunk(parts) for tensor in batch), strict=True):
        yield [tensor.to(device, non_blocking=True) for tensor in tensors]


def _backward(
    model: nn.Module, batch: list[Tensor], objective: Objective, rng: np.random.Generator, parts: int
) -> Terms:
    """Add the gradient of one part of the batch; returns its share of each loss term, still on the device."""
    terms = {name: term / parts for name, term in objective(model, batch, rng).items()}
    torch.stack(list(terms.values())).sum().backward()
    return {name: term.detach().double() for name, term in terms.items()}


def _read(unread: Sequence[Terms], history: History, step: int, total: int, checkpoint: Path | None) -> str:
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
                f"term; {_where(checkpoint)}"
            )
        for name, value in values.items():
            history.setdefault(name, []).append(value)
    return f"loss {loss:.3f}"


def _where(checkpoint: Path | None) -> str:
    if checkpoint is None or not checkpoint.is_file():
        return "there was no checkpoint yet"
    return f"the last good checkpoint is kept in {checkpoint.parent}"
