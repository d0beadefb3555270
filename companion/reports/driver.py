"""Makes many reports: computes what they need once, executes each notebook when its turn has come, says how each ended.

Every notebook has a process of its own; one that fails, or whose process dies, does not stop the others. A report is
made again only if its question has changed (`jobs.question`), so what was stopped goes on where it was. Two commands
that want one report: one makes it, the other waits.
"""

import dataclasses
import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout
from tqdm.auto import tqdm

from companion.pipeline import engine
from companion.pipeline.store import Store
from companion.reports.execute import NotebookFailed, checked, execute
from companion.reports.jobs import Job
from companion.reports.page import duration
from companion.reports.site import write_index

FINISHED = "up to date"
PROCESSES = multiprocessing.get_context("forkserver") if sys.platform == "linux" else multiprocessing.get_context()
PROCESSES.set_forkserver_preload(["companion.reports.execute"])  # imported once, in place of once a notebook


@dataclass(frozen=True)
class Outcome:
    """What became of a job: `state` is `done`, `up to date` or `failed`, `error` empty unless it failed."""

    job: Job
    state: str
    seconds: float = 0.0
    error: str = ""


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
    with _Making(jobs, at_once or engine.cores(), notebooks_dir, after_each) as making:
        if len(making.todo) == 1:
            making.make_here()
        else:
            making.begin(making.todo)
            making.end()
    return list(making.outcomes.values())


def reproduce(
    jobs: Sequence[Job],
    store: Store,
    *,
    scheduler: str = engine.LOCAL,
    workers: int | None = None,
    notebooks_dir: Path | None = None,
    after_each: Callable[[], object] = lambda: None,
) -> list[Outcome]:
    """Compute what reports need, in their order, and make each as soon as its stages are there, one at a time.

    What remains when all is computed is made side by side. A notebook of which a stage could not be computed is not
    executed: it would compute the stage itself, in this place. The indices are there from the beginning.

    Args:
        jobs: the reports; those that are up to date are not made again.
        store: of the stages.
        scheduler: as in `engine.run`.
        workers: number of local workers, and of notebooks that are executed at a time in the end.
        notebooks_dir: notebooks that an index lists as not executed yet.
        after_each: called when a report has been made.

    Returns:
        What became of each, in the order of `jobs`.

    Raises:
        SettingsError: a parameter that a notebook does not have; nothing was computed.
    """
    with _Making(jobs, 1, notebooks_dir, after_each) as making:

        def begin_computed() -> None:
            making.begin([job for job in making.todo if not engine.missing(job.stages, store)])

        making.write_indices()
        begin_computed()
        failures: dict[str, str] = {}
        try:
            stages = [stage for job in making.todo for stage in job.stages]
            engine.run(stages, store, scheduler=scheduler, workers=workers, after_each=begin_computed)
        except engine.RunFailed as error:
            failures = error.failures
            print(f"thesis: {error}", file=sys.stderr)
        making.at_once = workers or engine.cores()
        making.begin(making.todo, lambda job: engine.obstacle(job.stages, store, failures))
        making.end()
    return list(making.outcomes.values())


class _Running(NamedTuple):
    job: Job
    process: BaseProcess
    started: float


class _Making:
    """Reports that are being made, each by a process of its own: what became of them, and what is still to do.

    Processes that still run when it is left are ended.
    """

    def __init__(
        self, jobs: Sequence[Job], at_once: int, notebooks_dir: Path | None, after_each: Callable[[], object]
    ) -> None:
        for job in jobs:
            checked(job.notebook, job.parameters)
        self.outcomes = {job: Outcome(job, FINISHED) for job in jobs}
        self.todo = [job for job in jobs if not job.is_done()]
        self.at_once = at_once
        self._notebooks_dir, self._after_each = notebooks_dir, after_each
        self._waiting: list[tuple[Job, str]] = []
        self._running: dict[Any, _Running] = {}

    def __enter__(self) -> "_Making":
        return self

    def __exit__(self, *_: object) -> None:
        for running in self._running.values():
            running.process.terminate()

    def write_indices(self) -> None:
        """The index of each folder that gets a report, with what there is so far."""
        for folder in dict.fromkeys(job.reports_dir / job.preset for job in self.outcomes):
            write_index(folder, self._notebooks_dir)

    def begin(self, jobs: Sequence[Job], obstacle: Callable[[Job], str] = lambda job: "") -> None:
        """Let jobs be made when it is their turn, and note what has ended."""
        self.todo = [job for job in self.todo if job not in jobs]
        self._waiting += [(job, obstacle(job)) for job in jobs]
        self._note(0)
        self._start()

    def make_here(self) -> None:
        """Make what is to do one after the other, in this process."""
        for job in self.todo:
            clock = time.monotonic()
            _make(job)
            self._ended(job, time.monotonic() - clock, _error(job, 0))

    def end(self) -> None:
        """Wait for all that was begun."""
        self._note(None)

    def _start(self) -> None:
        while self._waiting and len(self._running) < self.at_once:
            job, obstacle = self._waiting.pop(0)
            process = PROCESSES.Process(
                target=_make_alone, args=(dataclasses.replace(job, stages=(), obstacle=obstacle),)
            )
            process.start()
            self._running[process.sentinel] = _Running(job, process, time.monotonic())

    def _note(self, timeout: float | None) -> None:
        """Note what ends within some seconds of the one before; without a timeout everything."""
        while self._running and (ended := wait(list(self._running), timeout)):
            for sentinel in ended:
                over = self._running.pop(sentinel)
                over.process.join()
                self._ended(over.job, time.monotonic() - over.started, _error(over.job, over.process.exitcode))
            self._start()

    def _ended(self, job: Job, seconds: float, error: str) -> None:
        state = "failed" if error else "done"
        self.outcomes[job] = Outcome(job, state, seconds, error)
        with tqdm.external_write_mode():
            print(f"{state:7} {job.name} ({duration(seconds)})", flush=True)
        write_index(job.reports_dir / job.preset, self._notebooks_dir)
        self._after_each()


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


def _make_alone(job: Job) -> None:
    """`_make` as a process of its own, which says what it could not write."""
    try:
        _make(job)
    except OSError as error:
        sys.exit(f"thesis: {job.name}: {error}; see that {job.reports_dir} can be written and has space")


def _error(job: Job, exit_code: int | None) -> str:
    """Why there is no report, or nothing."""
    if exit_code:
        cause = f"signal {-exit_code}" if exit_code < 0 else "the error above"
        return f"the process of this notebook ended with {cause}"
    record = job.record()
    return str(record.error) if record and record.error else ""
