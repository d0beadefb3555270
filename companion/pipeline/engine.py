"""Runs a graph of stages: in this process, on this machine's cores, or on any Dask cluster.

The Dask key of a task is the artefact's key, and every worker writes to the same store, so a stage is computed once
no matter how many graphs, workers or users ask for it. A failed stage is tried once more; then it is reported with its
log, and everything that does not depend on it still finishes. A stage whose worker dies is given to another one, which
continues from its checkpoint; a scheduler that dies ends the run, and the next run goes on with what is in the store.
"""

import contextlib
import logging
import os
import re
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from companion.pipeline.store import Progress, Stage, StageFailed, Store

LOCAL = "local"
GROUP = "stage"  # of all tasks
TRIES = 2
ARRIVAL = 30.0  # seconds after which a file system should show what another machine has written
HOPELESS = (ValueError, ArithmeticError, MemoryError)  # the same input would fail again


WORKER_CONFIG = {
    # Stages wait at the scheduler, which knows what was asked first, until a worker has nothing to do: as Dask has it,
    # only large groups of tasks without inputs wait, and others are dealt out at once, as if each took half a second.
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.rootish-taskgroup-dependencies": sys.maxsize,
    "distributed.worker.daemon": False,  # a daemonic worker may not start the processes that load training images
    # Dask lets glibc give freed memory back at once, and glibc maps large tensors anew each time: a training step of
    # EfficientNet-Lite0 then takes 37.5 ms an image, 3.7 of them for page faults, instead of 32.4 and 0.3. One arena
    # that grows and keeps what it has makes none.
    "distributed.nanny.pre-spawn-environ.MALLOC_ARENA_MAX": 1,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_MAX_": 0,
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 2**32,
    "distributed.nanny.pre-spawn-environ.MALLOC_TOP_PAD_": 2**26,
}


class RunFailed(RuntimeError):
    """Some stages failed; the message lists them, `failures` maps stage to reason."""

    def __init__(self, failures: dict[str, str], skipped: int) -> None:
        details = "\n\n".join(failures.values())
        first = next(iter(failures.values())).splitlines()[0]
        super().__init__(
            f"{len(failures)} stage(s) failed, {skipped} that depend on them were not run: {first}\n{details}"
        )
        self.failures = failures


class SchedulerLost(RuntimeError):
    """The Dask scheduler does not answer, or no longer does; what was computed is kept."""


class Bar(Progress):
    """Shows a stage's progress on a tqdm bar."""

    def __init__(self, bar: tqdm) -> None:
        self.bar = bar

    def __call__(self, done: int, total: int, text: str = "") -> None:
        self.bar.set_postfix_str(f"{done}/{total} {text}", refresh=False)
        self.bar.update(0)


class Messages(Progress):
    """Sends a worker's progress to the client that shows it, at most once a second."""

    def __init__(self, stage: Stage, topic: str) -> None:
        self.stage, self.topic, self.sent = stage, topic, 0.0

    def __call__(self, done: int, total: int, text: str = "") -> None:
        from distributed import get_worker

        if time.monotonic() - self.sent >= 1:
            self.sent = time.monotonic()
            get_worker().log_event(self.topic, f"{_name(self.stage)}: {done}/{total} {text}")


def bind(stages: Iterable[Stage], read: dict[str, Stage] | None = None) -> None:
    """Read the files that decide the stages' keys, each once, and check what each stage needs.

    So bad input is found before anything is computed.

    Args:
        stages: with all that they build on; those that are bound stay as they are.
        read: for several calls that are to read a file once together: stages whose files have been read.

    Raises:
        SettingsError, DataError: a file or folder is missing or wrong, or has too little for a stage.
    """
    unbound = [stage for wanted in stages for stage in wanted.upstream() if not stage.is_bound]
    read = {} if read is None else read
    for stage in unbound:
        stage.bind_as(read.setdefault(stage.description, stage))
        if stage.check:
            stage.check(stage)


def in_order(stages: Iterable[Stage]) -> list[Stage]:
    """The stages and all they build on, each once, those needed first; binds them."""
    stages = list(stages)
    bind(stages)
    return list({stage.key: stage for wanted in stages for stage in wanted.upstream()}.values())


def missing(stages: Iterable[Stage], store: Store) -> list[Stage]:
    """What would have to be computed to have `stages`, those needed first; binds them.

    What another store lends (`Store.place`) may be read; later stages can use it only where it is whole (`usable`).
    """
    stages = list(stages)
    bind(stages)
    wanted: dict[str, Stage] = {}

    def visit(stage: Stage) -> None:
        if not store.usable(stage):
            for upstream in stage.inputs.values():
                visit(upstream)
            wanted.setdefault(stage.key, stage)

    for stage in stages:
        if not store.place(stage).is_dir():
            visit(stage)
    return list(wanted.values())


def obstacle(stages: Iterable[Stage], store: Store, failures: Mapping[str, str]) -> str:
    """Why `stages` are not all there after a run: the reason of the first that failed; empty if nothing is missing."""
    todo = missing(stages, store)
    reasons = [failures[stage.key] for stage in todo if stage.key in failures]
    return next(iter(reasons), f"{todo[0]} is not in {store.root}: start again to compute it") if todo else ""


def run(
    stages: Sequence[Stage],
    store: Store,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    after_each: Callable[[], object] = lambda: None,
) -> dict[str, Path]:
    """Compute what is missing of `stages`, as far as possible in their order; returns the folder of each by its key.

    Args:
        scheduler: None runs in this process; `"local"` on one single-threaded worker per core (per GPU where there
            are GPUs); else the address or scheduler file of a running Dask cluster.
        workers: number of local workers.
        after_each: called in this process when a stage has ended.

    Raises:
        RunFailed: after everything that could be computed was computed.
        SchedulerLost: the scheduler does not answer or was lost; start again to compute the rest.
        StageFailed: the workers do not share the store.
    """
    failures: dict[str, str] = {}
    while todo := _possible(stages, store, failures):
        if scheduler is None:
            failures |= _run_here(todo, store, after_each)
        else:
            failures |= _run_on_dask(todo, store, scheduler, workers, after_each)
    if failures:
        raise RunFailed(failures, len(missing(stages, store)) - len(failures))
    return {stage.key: store.place(stage) for stage in stages}


def _possible(stages: Sequence[Stage], store: Store, failures: Mapping[str, str]) -> list[Stage]:
    """What is missing and does not depend on a stage that failed."""
    todo = missing(stages, store)
    return [stage for stage in todo if not any(above.key in failures for above in stage.upstream())]


def _run_here(todo: list[Stage], store: Store, after_each: Callable[[], object]) -> dict[str, str]:
    import torch

    failures: dict[str, str] = {}
    torch.set_num_threads(1)  # as on every worker: a sum over threads depends on their number
    with tqdm(todo, unit="stage", mininterval=0.5, miniters=0) as bar:
        for stage in bar:
            bar.set_description(_name(stage))
            if all(store.usable(upstream) for upstream in stage.inputs.values()):
                with _caught(stage, failures):
                    _compute(stage, store, Bar(bar))
                after_each()
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


def _name(stage: Stage) -> str:
    return f"{stage.name} {stage.label}".strip()


def _compute_on_worker(stage: Stage, store: Store, topic: str, *upstream: str) -> str:
    import torch
    from distributed import get_worker

    torch.set_num_threads(1)
    if torch.cuda.device_count() > 1 and isinstance(get_worker().name, int):
        torch.cuda.set_device(get_worker().name % torch.cuda.device_count())  # local workers are numbered
    return _compute(stage, store, Messages(stage, topic))


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def local_workers() -> int:
    """How many workers a local cluster has: one per GPU, or else one per core."""
    import torch

    return torch.cuda.device_count() or cores()


def _run_on_dask(
    todo: list[Stage], store: Store, scheduler: str, workers: int | None, after_each: Callable[[], object]
) -> dict[str, str]:
    from distributed import KilledWorker, as_completed

    failures: dict[str, str] = {}
    killed: dict[str, str] = {}
    store, topic = replace(store, root=store.root.resolve()), f"thesis-{uuid.uuid4()}"
    with connect(scheduler, workers) as client, tqdm(total=len(todo), unit="stage", smoothing=0) as bar:
        client.subscribe_topic(topic, lambda event: bar.set_postfix_str(event[1]))
        if not client.scheduler_info()["workers"]:
            bar.set_postfix_str("waiting for the first worker")
        large = client.map(str, range(_large(client)), key=GROUP, pure=False)  # kept until the end
        futures: dict[str, Any] = {}
        for place, stage in enumerate(todo):
            upstream = [futures[above.key] for above in stage.inputs.values() if above.key in futures]
            key = (GROUP, f"{stage.name}-{stage.key}")
            arguments = (_compute_on_worker, stage, store, topic, *upstream)
            futures[stage.key] = client.submit(*arguments, key=key, pure=False, priority=-place)
        names = {future.key: stage for stage, future in zip(todo, futures.values(), strict=True)}
        for future in as_completed(list(futures.values())):
            if future.cancelled():
                logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # tracebacks of its attempts
                raise SchedulerLost(
                    f"the Dask scheduler {scheduler} was lost after {bar.n} of {len(todo)} stages; they are kept: "
                    "start again, with a running scheduler, to compute the rest"
                )
            stage = names[future.key]
            bar.set_description(_name(stage))
            bar.set_postfix_str("", refresh=False)
            bar.update()
            if future.status == "finished" and not _arrived(stage, store):
                raise StageFailed(
                    f"{stage} was computed on a worker but is not in {store.root}: every worker needs this folder, "
                    "under this path; choose a --runs-dir that all machines share"
                )
            if future.status == "error":
                reason = future.exception()
                if all(store.usable(upstream) for upstream in stage.inputs.values()):
                    failed = failures if store.begun(stage) or not isinstance(reason, KilledWorker) else killed
                    failed[stage.key] = _reason(stage, reason)
            after_each()
        del large
    # Dask blames a dead worker on every task that it had; those that had not begun are worth another attempt.
    return failures or killed


def _large(client: Any) -> int:
    """How many tasks make a group one whose tasks wait at the scheduler (`WORKER_CONFIG`)."""
    return 2 * sum(client.nthreads().values()) + 1


def _arrived(stage: Stage, store: Store) -> bool:
    """Whether the artefact is there; network file systems show it late, but look again when a folder is listed."""
    deadline = time.monotonic() + ARRIVAL
    while not store.has(stage) and time.monotonic() < deadline:
        time.sleep(0.2)
        if store.folder(stage).parent.is_dir():
            list(store.folder(stage).parent.iterdir())
    return store.has(stage)


def _reason(stage: Stage, error: BaseException) -> str:
    """Why a task failed, in words that name the stage."""
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return (
            f"{stage} failed: every worker that computed it died, the last at {error.last_worker}; too little memory?"
        )
    return str(error) if isinstance(error, StageFailed) else f"{stage} failed: {type(error).__name__}: {error}"


@contextlib.contextmanager
def connect(scheduler: str, workers: int | None = None) -> Iterator[Any]:
    """A client of a local cluster (`"local"`) or of the cluster at an address or scheduler file.

    Raises:
        ValueError: `scheduler` is none of these.
        SchedulerLost: it does not answer.
    """
    import dask
    from distributed import LocalCluster

    with dask.config.set(WORKER_CONFIG):
        if scheduler == LOCAL:
            count = workers or local_workers()
            with (
                LocalCluster(
                    n_workers=count,
                    threads_per_worker=1,
                    dashboard_address="127.0.0.1:0",  # None would take port 8787 and warn where it is taken
                    memory_limit=0,
                    silence_logs=40,
                ) as cluster,
                _client(cluster) as client,
            ):
                yield client
        elif Path(scheduler).is_file():
            with _client(scheduler_file=scheduler) as client:
                yield client
        elif re.fullmatch(r"(\w+://)?[^/:\s]+:\d+|\w+://\S+", scheduler):
            with _client(scheduler) as client:
                yield client
        else:
            raise ValueError(
                f"scheduler {scheduler!r}: expected 'local', the scheduler file of a running Dask cluster, or its "
                "address such as tcp://192.168.0.1:8786"
            )


def _client(*arguments: Any, **options: Any) -> Any:
    from distributed import Client

    try:
        return Client(*arguments, **options)
    except OSError as error:
        where = options.get("scheduler_file", *arguments)
        raise SchedulerLost(f"no Dask scheduler answers at {where}: start the cluster first ({error})") from None
