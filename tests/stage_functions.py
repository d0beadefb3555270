"""Stage functions for the tests of store and engine; in a module of their own so that worker processes find them."""

import errno
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from distributed import get_worker

from companion.pipeline import engine
from companion.pipeline.store import Job, Stage, Store
from companion.settings import Machine


def number(job: Job, value: int, log: str, seed: int = 0) -> None:
    """Write a number, and one line to a log that counts how often this was done."""
    with Path(log).open("a") as file:
        file.write(f"{value}\n")
    time.sleep(0.3)
    (job.folder / "number.txt").write_text(str(value))


def total(job: Job, log: str) -> None:
    """Add up the numbers of the inputs."""
    values = [int((folder / "number.txt").read_text()) for folder in job.inputs.values()]
    number(job, sum(values), log)


def fail(job: Job, error: str, log: str) -> None:
    """Raise."""
    with Path(log).open("a") as file:
        file.write("tried\n")
    raise {"value": ValueError, "os": OSError}[error]("as planned")


def fail_once(job: Job, log: str) -> None:
    """Leave a mark and raise at the first attempt, finish at the second."""
    mark = job.folder / "mark.txt"
    if not mark.exists():
        mark.write_text("been here")
        raise RuntimeError("first attempt")
    number(job, 1, log)


def die_once(job: Job, value: int, log: str) -> None:
    """Leave a checkpoint and kill this process at the first attempt, finish from there at the second."""
    checkpoint = job.folder / "checkpoint.txt"
    if not checkpoint.exists():
        checkpoint.write_text("half way")
        os.kill(os.getpid(), signal.SIGKILL)
    number(job, value, log)


def die(job: Job) -> None:
    """Kill this process."""
    os.kill(os.getpid(), signal.SIGKILL)


def fill(job: Job, value: int, log: str, full: str) -> None:
    """Find the disk full for as long as the file `full` exists."""
    if Path(full).exists():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    number(job, value, log)


def after_file(job: Job, file: str, log: str) -> None:
    """Wait for a file, at most two minutes."""
    deadline = time.monotonic() + 120
    while not Path(file).is_file():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{file} did not appear")
        time.sleep(0.2)
    number(job, 1, log)


def note_worker(job: Job, value: int) -> None:
    """Write the name of the Dask worker, with its type."""
    (job.folder / "worker.txt").write_text(repr(get_worker().name))


def compute_elsewhere(stage: Stage, *others: object) -> str:
    """A worker's task on a machine that does not share the store."""
    return stage.key


def make(compute, inputs=None, **settings) -> Stage:  # type: ignore[no-untyped-def]
    """A stage of one of these functions."""
    return Stage(compute.__name__, 1, compute, settings, inputs or {}, Machine(device="cpu"))


def run_as_user(stages: Sequence[Stage], store: Store, scheduler: str | None) -> None:
    """What one of several users of a store does, in a process of its own."""
    engine.run(stages, store, scheduler=scheduler, workers=2)
