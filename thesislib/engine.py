"""Runs a graph of stages: in this process, on this machine's cores, or on any Dask cluster.

The Dask key of a task is the artefact's key, and every worker writes to the same store, so a stage is computed once
no matter how many graphs, workers or users ask for it. A failed stage is tried once more; then it is reported with its
log, and everything that does not depend on it still finishes.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from thesislib.store import Progress, Stage, StageFailed, Store

LOCAL = "local"
TRIES = 2
HOPELESS = (ValueError, ArithmeticError, MemoryError)  # the same input would fail again


WORKER_CONFIG = {
    "distributed.worker.daemon": False,  # a daemonic worker may not start the processes that load training images
    # Dask lets glibc give freed memory back at once, which doubles the time of a training step (measured: 8.3 instead
    # of 3.8 s); kept memory makes it 3.1 s.
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 2**30,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 2**25,
}


class RunFailed(RuntimeError):
    """Some stages failed; the message lists them, `failures` maps stage to reason."""

    def __init__(self, failures: dict[str, str], skipped: int) -> None:
        details = "\n\n".join(failures.values())
        super().__init__(f"{len(failures)} stage(s) failed, {skipped} that depend on them were not run:\n{details}")
        self.failures = failures


class Bar(Progress):
    """Shows a stage's progress on a tqdm bar."""

    def __init__(self, bar: tqdm) -> None:
        self.bar = bar

    def __call__(self, done: int, total: int, text: str = "") -> None:
        self.bar.set_postfix_str(f"{done}/{total} {text}", refresh=False)
        self.bar.update(0)


def in_order(stages: Iterable[Stage]) -> list[Stage]:
    """The stages and all they build on, each once, those needed first."""
    return list({stage.key: stage for wanted in stages for stage in wanted.upstream()}.values())


def missing(stages: Iterable[Stage], store: Store) -> list[Stage]:
    """What would have to be computed to have `stages`, those needed first."""
    wanted: dict[str, Stage] = {}

    def visit(stage: Stage) -> None:
        if not store.has(stage):
            for upstream in stage.inputs.values():
                visit(upstream)
            wanted.setdefault(stage.key, stage)

    for stage in stages:
        visit(stage)
    return list(wanted.values())


def run(
    stages: Sequence[Stage], store: Store, *, scheduler: str | None = None, workers: int | None = None
) -> dict[str, Path]:
    """Compute what is missing of `stages`; returns the folder of each by its key.

    Args:
        scheduler: None runs in this process; `"local"` on one single-threaded worker per core (per GPU where there
            are GPUs); else the address or scheduler file of a running Dask cluster.
        workers: number of local workers.

    Raises:
        RunFailed: after everything that could be computed was computed.
    """
    todo = missing(stages, store)
    if todo:
        failures = _run_here(todo, store) if scheduler is None else _run_on_dask(todo, store, scheduler, workers)
        broken = [stage for stage in todo if not store.has(stage)]
        if failures:
            raise RunFailed(failures, len(broken) - len(failures))
    return {stage.key: store.folder(stage) for stage in stages}


def _run_here(todo: list[Stage], store: Store) -> dict[str, str]:
    failures: dict[str, str] = {}
    torch.set_num_threads(1)  # as on every worker: a sum over threads depends on their number
    with tqdm(todo, unit="stage", mininterval=0.5) as bar:
        for stage in bar:
            bar.set_description(f"{stage.name} {stage.label}".strip())
            if all(store.has(upstream) for upstream in stage.inputs.values()):
                with _caught(stage, failures):
                    _compute(stage, store, Bar(bar))
    return failures


def _compute(stage: Stage, store: Store, progress: Progress | None = None) -> str:
    for attempt in range(TRIES):
        try:
            store.compute(stage, progress)
            break
        except StageFailed as error:
            if attempt == TRIES - 1 or isinstance(error.__cause__, HOPELESS):
                raise
    return stage.key


@contextlib.contextmanager
def _caught(stage: Stage, failures: dict[str, str]) -> Iterator[None]:
    try:
        yield
    except StageFailed as error:
        failures[stage.key] = str(error)


def _compute_on_worker(stage: Stage, store: Store, *upstream: str) -> str:
    from distributed import get_worker

    torch.set_num_threads(1)
    if torch.cuda.device_count() > 1 and isinstance(get_worker().name, int):
        torch.cuda.set_device(get_worker().name % torch.cuda.device_count())  # local workers are numbered
    return _compute(stage, store)


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run_on_dask(todo: list[Stage], store: Store, scheduler: str, workers: int | None) -> dict[str, str]:
    from distributed import as_completed

    failures: dict[str, str] = {}
    store = Store(store.root.resolve())
    with connect(scheduler, workers) as client, tqdm(total=len(todo), unit="stage", smoothing=0) as bar:
        futures: dict[str, Any] = {}
        for stage in todo:
            upstream = [futures[above.key] for above in stage.inputs.values() if above.key in futures]
            futures[stage.key] = client.submit(
                _compute_on_worker, stage, store, *upstream, key=f"{stage.name}-{stage.key}", pure=False
            )
        names = {future.key: stage for stage, future in zip(todo, futures.values(), strict=True)}
        for future in as_completed(list(futures.values())):
            stage = names[future.key]
            bar.set_description(f"{stage.name} {stage.label}".strip())
            bar.update()
            if future.status == "error":
                reason = future.exception()
                if all(store.has(upstream) for upstream in stage.inputs.values()):
                    failures[stage.key] = str(reason)
    return failures


@contextlib.contextmanager
def connect(scheduler: str, workers: int | None = None) -> Iterator[Any]:
    """A client of a local cluster (`"local"`) or of the cluster at an address or scheduler file."""
    import dask
    from distributed import Client, LocalCluster

    with dask.config.set(WORKER_CONFIG):
        if scheduler == LOCAL:
            count = workers or torch.cuda.device_count() or cores()
            with (
                LocalCluster(
                    n_workers=count, threads_per_worker=1, dashboard_address=None, memory_limit=0, silence_logs=40
                ) as cluster,
                Client(cluster) as client,
            ):
                yield client
        elif Path(scheduler).is_file():
            with Client(scheduler_file=scheduler) as client:
                yield client
        else:
            with Client(scheduler) as client:
                yield client
