"""Executes the notebooks of a batch in processes of their own, and says what became of each.

The reports lie in `reports/batches/<batch>/<run>/<preset>/`, a folder for each run since all are of one notebook;
`reports/batches/<batch>/index.html` lists them. A report is made again only if its question has changed
(`reports.question`), so a batch that was stopped goes on where it was.
"""

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from companion.pipeline.store import Store
from companion.reports import execute as reports
from companion.reports import page as pages
from companion.reports import record as records
from companion.reports.batches import Batch, Run

FOLDER = "batches"
FINISHED = "up to date"
NOTHING: dict[str, Any] = {"state": "unfinished", "error": None, "duration_s": None, "key_numbers": []}


@dataclass(frozen=True)
class Result:
    """What became of a run: `state` is `done`, `up to date` or `failed`, `error` empty unless it failed."""

    run: Run
    state: str
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True, eq=False)
class Job:
    """One report to make: the arguments of `reports.execute`, and the question that it answers.

    With an `obstacle`, a stage that could not be computed, the notebook is not executed: it would compute the stage
    itself, in this place.
    """

    notebook: Path
    parameters: dict[str, Any]
    folder: Path
    preset: str
    question: str
    obstacle: str = ""

    @property
    def exports(self) -> Path:
        """The folder of exports; with the suffix `.html` the report."""
        return self.folder / self.preset / self.notebook.stem

    def is_done(self) -> bool:
        """Whether the report is there and answers the question."""
        return reports.is_answer(self.exports, self.question)


def plan(batch: Batch, store: Store, reports_dir: Path) -> dict[str, Job]:
    """The reports of a batch by the name of the run."""
    found = {}
    for run in batch.runs:
        parameters = {**run.parameters, "runs_dir": str(store.root)}
        question = reports.question(batch.notebook, parameters, run.stages)
        folder = reports_dir / FOLDER / batch.name / run.name
        found[run.name] = Job(batch.notebook, parameters, folder, batch.preset, question)
    return found


def execute(jobs: Sequence[Job], at_once: int) -> Iterator[tuple[Job, float, str]]:
    """Make reports, each in a process of its own; yields job, seconds and error (empty) of each as it ends.

    One that fails, or whose process dies, does not stop the others.
    """
    context = multiprocessing.get_context("spawn")
    waiting = list(jobs)
    running: dict[Any, tuple[Job, SpawnProcess, float]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                job = waiting.pop(0)
                process = context.Process(target=_execute, args=(job,))
                process.start()
                running[process.sentinel] = job, process, time.monotonic()
            for sentinel in wait(list(running)):
                job, process, started = running.pop(sentinel)
                process.join()
                yield job, time.monotonic() - started, _error(job, process.exitcode)
    finally:
        for _, process, _ in running.values():
            process.terminate()


def _execute(job: Job) -> None:
    """Make one report; another process that is making it is waited for."""
    job.folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(job.folder.with_name(f".{job.folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"waiting for another process that executes {job.folder.name}", flush=True)
    with lock:
        if job.is_done():
            return
        try:
            reports.execute(job.notebook, job.parameters, job.folder, job.preset, obstacle=job.obstacle)
            reports.remember(job.exports, job.question)
        except reports.NotebookFailed:
            pass  # its record says why
        finally:
            reports.write_index(job.folder / job.preset)


def _error(job: Job, exit_code: int | None) -> str:
    """Why there is no report, or nothing."""
    if exit_code:
        cause = f"signal {-exit_code}" if exit_code < 0 else "the error above"
        return f"the process of this notebook ended with {cause}"
    error = records.read(job.exports / records.FILE)["error"]
    return f"{error['name']}: {error['text']}" if error else ""


def table(results: Sequence[Result], jobs: dict[str, Job]) -> str:
    """What became of every run: its values of the grid, state, minutes and report; then the reasons of failures."""
    names = list(results[0].run.differing)
    rows = [[*(names or ["run"]), "state", "minutes", "report"]]
    for each in results:
        values = [str(each.run.differing[name]) for name in names] or [each.run.name]
        minutes = f"{each.seconds / 60:.1f}" if each.seconds else "–"
        rows.append([*values, each.state, minutes, str(jobs[each.run.name].exports.with_suffix(".html"))])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [f"{each.run.name}: {each.error.splitlines()[0]}" for each in results if each.error]
    return "\n".join(lines)


def write_page(batch: Batch, jobs: dict[str, Job]) -> Path:
    """Write `index.html` of a batch: every run with its values of the grid, its state and its key numbers.

    Returns:
        The HTML file.
    """
    rows: list[dict[str, Any]] = []
    for run in batch.runs:
        job = jobs[run.name]
        file = job.exports / records.FILE
        record = records.read(file) if file.is_file() else NOTHING
        html = job.exports.with_suffix(".html")
        link = html.relative_to(job.folder.parent).as_posix() if html.is_file() else ""
        numbers = {number["label"]: number for number in record["key_numbers"]}
        rows.append({"run": run, "link": link, "record": record, "numbers": numbers})
    labels = list(dict.fromkeys(label for row in rows for label in row["numbers"]))
    page = pages.render("batch.html.j2", batch=batch, names=list(batch.runs[0].differing), labels=labels, rows=rows)
    path = next(iter(jobs.values())).folder.parent / "index.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    records.write_text(path, page)
    return path
