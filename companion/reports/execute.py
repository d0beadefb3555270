"""Executes notebooks with papermill and turns each into a report, one after the other or several at once.

The kernel is always this interpreter with one thread, whatever kernels are installed, so a number does not depend on
the machine's core count. A notebook that fails leaves its report too: what it had found, the error, and the state
`failed`.
"""

import hashlib
import json
import multiprocessing
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from papermill.exceptions import PapermillExecutionError

import companion
import thesislib
from companion.experiments import parameters as checks
from companion.pipeline.engine import cores
from companion.pipeline.store import Stage
from companion.reports import record as records
from companion.reports.page import duration, title_of, to_html
from companion.reports.site import write_index
from companion.settings import SettingsError, nearest
from companion.settings.project import project_root

__all__ = ["NotebookFailed", "Outcome", "execute", "find_notebook", "run_all", "to_html", "write_index"]

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


class NotebookFailed(RuntimeError):
    """A notebook stopped with an error; `html` is its report, `error` the error's name and text."""

    def __init__(self, name: str, error: dict[str, str], html: Path) -> None:
        super().__init__(f"{name} failed with {error['name']}: {error['text']}\nreport: {html}")
        self.error = error
        self.html = html


@dataclass(frozen=True)
class Outcome:
    """How one notebook of several ended: `state` is `done` or `failed`, `error` empty unless it failed."""

    name: str
    state: str
    seconds: float
    error: str = ""


class _ThisInterpreter(AsyncKernelManager):
    """Starts kernels with the running interpreter, even where no kernel or another `python3` is installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=CRITICAL"]
        return KernelSpec(argv=command, display_name="Python 3", language="python", env=ONE_THREAD)


def execute(
    notebook_path: Path, parameters: Mapping[str, Any], reports_dir: Path, preset: str, *, obstacle: str = ""
) -> Path:
    """Execute a notebook and write its report into `reports_dir/preset`.

    Args:
        notebook_path: the notebook, with a cell tagged `parameters`.
        parameters: values in place of that cell's; `preset` and `reports_dir` are added.
        reports_dir: folder of all reports.
        preset: data and scale.
        obstacle: why a stage that it needs could not be computed; then it is not executed, and its report says why.

    Returns:
        The report, `reports_dir/preset/<name>.html`. Beside it lie the executed notebook and the folder of exports.

    Raises:
        SettingsError: a parameter that the notebook does not have; no kernel was started.
        NotebookFailed: the notebook stopped with an error, or there is an obstacle. Its report is written nevertheless.
    """
    name, folder = notebook_path.stem, reports_dir / preset
    values = dict(parameters) | {"preset": preset, "reports_dir": str(reports_dir)}
    for folder_name in ("runs_dir", "reports_dir"):
        if folder_name in values:
            values[folder_name] = _within_project(Path(values[folder_name]))
    defaults = _check_parameters(notebook_path, values)
    executed, results = folder / f"{name}.ipynb", folder / name / records.FILE
    records.write(results, records.new(name, preset, defaults | values))
    clock = time.monotonic()
    error: dict[str, str] | None = {"name": "Interrupted", "text": "stopped before its end"}
    try:
        error = _leave_out(notebook_path, executed, obstacle) or _execute(notebook_path, executed, values)
    finally:
        record = records.read(results)
        record |= {"duration_s": round(time.monotonic() - clock, 1), "error": error}
        record |= {"state": "failed" if error else "done", "title": title_of(notebook_path)}
        records.write(results, record)
        html = to_html(executed)
    if error:
        raise NotebookFailed(name, error, html)
    return html


def run_all(
    names: Sequence[str],
    parameters: Mapping[str, Any],
    reports_dir: Path,
    preset: str,
    notebooks_dir: Path,
    *,
    jobs: int | None = None,
    obstacles: Mapping[str, str] | None = None,
) -> list[Outcome]:
    """Execute notebooks, several at once, and write the index; one that fails does not stop the others.

    Args:
        names: notebooks in `notebooks_dir`, without `.ipynb`.
        parameters: passed to each.
        reports_dir: folder of all reports.
        preset: data and scale.
        notebooks_dir: where the notebooks are.
        jobs: how many at once; one per core if not given.
        obstacles: of notebooks that are not to be executed, by name, see `execute`.

    Returns:
        How each ended, in the order of `names`.

    Raises:
        SettingsError: a name or parameter that does not exist; nothing was executed.
    """
    paths = [find_notebook(name, notebooks_dir) for name in names]
    for path in paths:
        _check_parameters(path, dict(parameters))
    outcomes: dict[str, Outcome] = {}
    for outcome in _outcomes(paths, (parameters, reports_dir, preset, obstacles or {}), jobs or cores()):
        outcomes[outcome.name] = outcome
        print(f"{outcome.state:7} {outcome.name} ({duration(outcome.seconds)})", flush=True)
        write_index(reports_dir / preset, notebooks_dir)
    ordered = [outcomes[path.stem] for path in paths]
    _print_summary(ordered)
    print(f"\n{(reports_dir / preset / 'index.html').resolve()}")
    return ordered


def question(notebook_path: Path, parameters: Mapping[str, Any], stages: Iterable[Stage]) -> str:
    """Hash of all that a report depends on: notebook, parameters, artefacts and the project's own source.

    A notebook that speaks of `benchmarks` shows measurements, so the results files there belong to it as well.
    """
    source = notebook_path.read_bytes()
    digest = hashlib.sha256(source)
    digest.update(json.dumps(parameters, sort_keys=True, default=str).encode())
    digest.update("".join(sorted(stage.key for stage in stages)).encode())
    measured = (project_root() / "benchmarks").rglob("*.json") if b"benchmarks" in source else ()
    packages = (Path(package.__file__ or "").parent for package in (thesislib, companion))
    source_files = (
        path for folder in packages for path in folder.rglob("*") if path.suffix != ".pyc" and path.is_file()
    )
    for path in (*sorted(source_files), *sorted(measured)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def is_answer(folder: Path, asked: str) -> bool:
    """Whether the report of this folder of exports is the finished answer to a `question`."""
    if not (folder / records.FILE).is_file() or not folder.with_suffix(".html").is_file():
        return False
    record = records.read(folder / records.FILE)
    return record["state"] == "done" and record.get("question") == asked


def remember(folder: Path, asked: str) -> None:
    """Note which `question` the finished report of this folder answers."""
    records.write(folder / records.FILE, records.read(folder / records.FILE) | {"question": asked})


def find_notebook(name: str, notebooks_dir: Path) -> Path:
    """The file of a notebook.

    Raises:
        SettingsError: there is none of that name; names the nearest.
    """
    path = notebooks_dir / f"{name.removesuffix('.ipynb')}.ipynb"
    if not path.is_file():
        there = [file.stem for file in sorted(notebooks_dir.glob("*.ipynb"))]
        raise SettingsError(f"there is no notebook {name!r} in {notebooks_dir}{nearest(name, there)}")
    return path


def _leave_out(source: Path, target: Path, obstacle: str) -> dict[str, str] | None:
    """Where there is an obstacle, put the notebook without outputs in place of an executed one; returns it as error."""
    if not obstacle:
        return None
    nbformat.write(nbformat.read(source, as_version=4), target)
    return {"name": "StageFailed", "text": f"not executed, since {obstacle}"}


def _execute(source: Path, target: Path, values: Mapping[str, Any]) -> dict[str, str] | None:
    """Let papermill execute the notebook; returns name and text of the error that stopped it."""
    target.unlink(missing_ok=True)
    try:
        papermill.execute_notebook(
            source,
            target,
            parameters=dict(values),
            kernel_name="python3",
            kernel_manager_class=_ThisInterpreter,
            progress_bar=sys.stderr.isatty() and multiprocessing.parent_process() is None,
        )
    except PapermillExecutionError as error:
        return {"name": error.ename, "text": error.evalue}
    except Exception as error:  # the kernel died, could not be started, or a cell took too long
        return {"name": type(error).__name__, "text": str(error) or traceback.format_exc(limit=1)}
    finally:
        if not target.is_file():
            nbformat.write(nbformat.read(source, as_version=4), target)
    return None


def _outcomes(paths: Sequence[Path], arguments: tuple[Any, ...], jobs: int) -> Iterator[Outcome]:
    """Execute in as many processes, and report each notebook as it ends; a single one is executed in this process."""
    if len(paths) == 1:
        yield _outcome(paths[0], *arguments)
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(_outcome, path, *arguments): path for path in paths}
        for future in as_completed(futures):
            broken = future.exception()
            yield Outcome(futures[future].stem, "failed", 0.0, str(broken)) if broken else future.result()


def _outcome(
    path: Path, parameters: Mapping[str, Any], reports_dir: Path, preset: str, obstacles: Mapping[str, str]
) -> Outcome:
    clock = time.monotonic()
    try:
        execute(path, parameters, reports_dir, preset, obstacle=obstacles.get(path.stem, ""))
    except NotebookFailed as failure:
        reason = f"{failure.error['name']}: {failure.error['text']}"
        return Outcome(path.stem, "failed", time.monotonic() - clock, reason)
    return Outcome(path.stem, "done", time.monotonic() - clock)


def _check_parameters(path: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """The notebook's defaults, after a check that it has all the given parameters."""
    declared = checks.declared(path)
    for name in values:
        if name not in declared:
            raise SettingsError(f"{path.stem} has no parameter {name!r}{nearest(name, list(declared))}")
    return {name: parameter.value for name, parameter in declared.items()}


def _within_project(folder: Path) -> str:
    """A folder as the notebook gets it: relative inside the project, so that reports do not show a machine's paths."""
    folder = folder.resolve()
    return str(folder.relative_to(project_root())) if folder.is_relative_to(project_root()) else str(folder)


def _print_summary(outcomes: Sequence[Outcome]) -> None:
    width = max((len(outcome.name) for outcome in outcomes), default=0)
    print()
    for outcome in outcomes:
        reason = outcome.error.splitlines()[0] if outcome.error else ""
        print(f"{outcome.name:{width}}  {outcome.state:7} {duration(outcome.seconds):>12}  {reason}".rstrip())
