"""Makes many reports: computes what they need once, executes their notebooks side by side, and says how each ended.

Every notebook has a process of its own; one that fails, or whose process dies, does not stop the others. A report is
made again only if its question has changed (`jobs.question`), so what was stopped goes on where it was. Two commands
that want one report: one makes it, the other waits.
"""

import dataclasses
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from companion.pipeline import engine
from companion.pipeline.store import Stage, Store
from companion.reports.execute import NotebookFailed, checked, execute
from companion.reports.jobs import Job
from companion.reports.page import duration
from companion.reports.site import write_index

FINISHED = "up to date"


@dataclass(frozen=True)
class Outcome:
    """What became of a job: `state` is `done`, `up to date` or `failed`, `error` empty unless it failed."""

    job: Job
    state: str
    seconds: float = 0.0
    error: str = ""


def compute(
    stages: Sequence[Stage], store: Store, *, scheduler: str = engine.LOCAL, workers: int | None = None
) -> dict[str, str]:
    """Compute what is missing of stages; returns the reasons of those that failed by key, after printing them."""
    try:
        engine.run(stages, store, scheduler=scheduler, workers=workers)
    except engine.RunFailed as error:
        print(f"thesis: {error}", file=sys.stderr)
        return error.failures
    return {}


def with_obstacle(job: Job, store: Store, failures: dict[str, str]) -> Job:
    """The job, with the reason where one of its stages could not be computed."""
    return dataclasses.replace(job, obstacle=engine.obstacle(job.stages, store, failures))


def make(
    jobs: Sequence[Job],
    at_once: int | None = None,
    *,
    notebooks_dir: Path | None = None,
    after_each: Callable[[], object] = lambda: None,
) -> list[Outcome]:
    """Make reports, several at once, and the index of each folder of reports; prints each as it ends.

    Args:
        jobs: the reports; those that are up to date are not made again.
        at_once: how many notebooks are executed at a time; one per core if not given.
        notebooks_dir: notebooks that an index lists as not executed yet.
        after_each: called when a report has been made.

    Returns:
        What became of each, in the order of `jobs`.

    Raises:
        SettingsError: a parameter that a notebook does not have; nothing was executed.
    """
    for job in jobs:
        checked(job.notebook, job.parameters)
    outcomes = {job: Outcome(job, FINISHED) for job in jobs}
    for job, seconds, error in _executed([job for job in jobs if not job.is_done()], at_once or engine.cores()):
        outcomes[job] = Outcome(job, "failed" if error else "done", seconds, error)
        print(f"{outcomes[job].state:7} {job.name} ({duration(seconds)})", flush=True)
        write_index(job.reports_dir / job.preset, notebooks_dir)
        after_each()
    return list(outcomes.values())


def summary(outcomes: Sequence[Outcome]) -> str:
    """What became of every job, and what it differs in: a line each, then the reasons of failures."""
    names = list(outcomes[0].job.differing)
    rows = [[*(names or ["notebook"]), "state", "time", "report"]]
    for each in outcomes:
        values = [str(each.job.differing[name]) for name in names] or [each.job.name]
        time = duration(each.seconds if each.seconds else None)
        rows.append([*values, each.state, time, str(each.job.html)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, *(f"{each.job.name}: {each.error.splitlines()[0]}" for each in outcomes if each.error)])


def _executed(jobs: Sequence[Job], at_once: int) -> Iterator[tuple[Job, float, str]]:
    """Job, seconds and error (empty) of each as it ends; a single one is made in this process."""
    if len(jobs) == 1:
        clock = time.monotonic()
        _make(jobs[0])
        yield jobs[0], time.monotonic() - clock, _error(jobs[0], 0)
        return
    context = multiprocessing.get_context("spawn")
    waiting = list(jobs)
    running: dict[Any, tuple[Job, SpawnProcess, float]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                job = waiting.pop(0)
                process = context.Process(target=_make, args=(dataclasses.replace(job, stages=()),))
                process.start()
                running[process.sentinel] = job, process, time.monotonic()
            for sentinel in wait(list(running)):
                job, process, started = running.pop(sentinel)
                process.join()
                yield job, time.monotonic() - started, _error(job, process.exitcode)
    finally:
        for _, process, _ in running.values():
            process.terminate()


def _make(job: Job) -> None:
    """Make one report; another process that is making it is waited for."""
    folder = job.exports.parent
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f".{job.exports.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"waiting for another process that executes {job.name}", flush=True)
        lock.acquire()
    try:
        if not job.is_done():
            execute(job.notebook, job.parameters, job.reports_dir, job.preset, obstacle=job.obstacle)
            job.remember()
    except NotebookFailed:
        pass  # its record says why
    finally:
        lock.release()


def _error(job: Job, exit_code: int | None) -> str:
    """Why there is no report, or nothing."""
    if exit_code:
        cause = f"signal {-exit_code}" if exit_code < 0 else "the error above"
        return f"the process of this notebook ended with {cause}"
    record = job.record()
    return str(record.error) if record and record.error else ""
