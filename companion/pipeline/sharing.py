"""One training on several GPUs: every process works on its parts of each batch, and gradients are added up.

Thesis 2.4.1 and 3.4.1 used one GPU. The settings fix the batch and its parts (`accumulate`), not the number of
processes: N processes share the same parts, with the same random numbers for each, so the result does not depend on N
beyond the order in which floating-point numbers are added. Started by `torchrun -m companion stage ...`; a process that
was started alone is rank 0 of 1. Nothing here corresponds to published code, which uses `nn.DataParallel`.
"""

import contextlib
import dataclasses
import datetime
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from tqdm.auto import tqdm

from companion.pipeline.engine import Bar
from companion.pipeline.store import Job, Progress, Stage, Store
from companion.settings import SettingsError
from thesislib.batches import Share

_waiting: list[bool] = []  # not empty while the other processes wait
PATIENCE = datetime.timedelta(days=7)  # others wait while one process computes what the training builds on


def start() -> None:
    """Join the processes that `torchrun` started; does nothing in a process of its own."""
    if "TORCHELASTIC_RUN_ID" not in os.environ or dist.is_initialized():
        return
    gpu = torch.cuda.is_available() and os.environ.get("THESIS_DEVICE") != "cpu"
    if gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if gpu else "gloo", timeout=PATIENCE)


def stop() -> None:
    """Leave the other processes."""
    if dist.is_initialized():
        dist.destroy_process_group()


def rank() -> int:
    """Number of this process; 0 writes and shows progress."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_first() -> bool:
    """Whether this process is the one that speaks for all, as one that is alone does."""
    return int(os.environ.get("RANK", 0)) == 0


def size() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_initialized() and not _waiting else 1


def of_first(value: Any) -> Any:
    """What the process of rank 0 has, in every process."""
    if size() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


class Processes(Share):
    """The share of a process that `torchrun` started together with others; one that is alone has every part."""

    def own_parts(self, parts: Sequence[Any]) -> list[tuple[int, Any]]:
        return list(enumerate(parts))[rank() :: size()]

    def check(self, model: nn.Module, parts: int) -> None:
        """Several processes need parts to share and statistics that do not depend on who has seen what.

        Raises:
            SettingsError: `parts` is no multiple of their number, or BatchNorm is trained.
        """
        if size() == 1:
            return
        if parts % size():
            raise SettingsError(
                f"{size()} processes cannot share {parts} parts of a batch: set accumulate of this stage to a "
                "multiple of their number (it belongs to the question: compare runs of the same accumulate)"
            )
        if any(module.training for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)):
            raise SettingsError("BatchNorm that is trained has statistics of its own in each process: set frozen=true")

    def add_up(self, model: nn.Module, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        if size() == 1:
            return terms
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        together = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(together)
        for gradient, summed in zip(gradients, together.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(summed.view_as(gradient))
        values = torch.stack([*terms.values()])
        dist.all_reduce(values)
        return dict(zip(terms, values, strict=True))

    def of_first(self, value: Any) -> Any:
        return of_first(value)


@contextlib.contextmanager
def first_before_others() -> Iterator[None]:
    """Rank 0 does something before the others, so that bad input is told once: they end in silence if it fails."""
    if rank() == 0:
        yield
        of_first(True)
        return
    try:
        of_first(None)
    except RuntimeError:  # the connection is closed: rank 0 has said why
        raise SystemExit(2) from None
    yield


def compute(stage: Stage, store: Store, upstream: Sequence[Stage]) -> Path:
    """The artefact of a stage; all processes share its training, and that of earlier rounds it builds on.

    Stages of another name are computed by rank 0 alone while the others wait. Only rank 0 writes to the store; the
    others train in step with it and throw their files away.
    """
    torch.set_num_threads(1)
    with tqdm([*upstream, stage], unit="stage", disable=not is_first()) as bar:
        for each in bar:
            bar.set_description(f"{each.name} {each.label}".strip())
            if each.name == stage.name:
                _compute_together(each, store, Bar(bar))
            elif rank() == 0:
                with _alone():
                    store.compute(each, Bar(bar))
    return store.folder(stage)


def _compute_together(stage: Stage, store: Store, progress: Progress) -> None:
    if rank() == 0:
        begun = []

        def announced(job: Job, **settings: Any) -> None:
            begun.append(of_first(True))
            stage.compute(job, **settings)

        store.compute(dataclasses.replace(stage, compute=announced), progress)
        if not begun:
            of_first(False)  # it was there already, or another run has finished it meanwhile
    elif of_first(None):
        with tempfile.TemporaryDirectory() as scratch:
            inputs = {name: store.place(above) for name, above in stage.inputs.items()}
            stage.compute(Job(Path(scratch), inputs, stage.machine, Progress(), stage.file), **stage.bound)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Rank 0 computes as if there were no others, which wait at their next exchange."""
    _waiting.append(True)
    try:
        yield
    finally:
        _waiting.pop()
