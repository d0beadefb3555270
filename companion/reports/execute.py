"""Executes one notebook with papermill and turns it into a report.

The kernel is always this interpreter with one thread, whatever kernels are installed, so a number does not depend on
the machine's core count. A notebook that fails leaves its report too: what it had found, the error, and the state
`failed`.
"""

import multiprocessing
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from papermill.exceptions import PapermillExecutionError

from companion.experiments import parameters as checks
from companion.reports.page import title_of, to_html
from companion.reports.record import FILE, Failure, Record, TakenOver
from companion.reports.site import NAVIGATION
from companion.settings import SettingsError, nearest
from companion.settings.project import project_root

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
START_SECONDS = 600  # for a kernel to answer: both cores may be busy with stages, and 60 were too few once


class NotebookFailed(RuntimeError):
    """A notebook stopped with an error, or was left out; `html` is its report."""

    def __init__(self, name: str, error: Failure, html: Path) -> None:
        super().__init__(f"{name} failed with {error}\nreport: {html}")
        self.error = error
        self.html = html


class _ThisInterpreter(AsyncKernelManager):
    """Starts kernels with the running interpreter, even where no kernel or another `python3` is installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=CRITICAL"]
        return KernelSpec(argv=command, display_name="Python 3", language="python", env=ONE_THREAD)


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


def checked(notebook_path: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a notebook, after a check that it has those that are given.

    Raises:
        SettingsError: it has no parameter of that name; names the nearest.
    """
    declared = checks.declared(notebook_path)
    for name in given:
        if name not in declared:
            raise SettingsError(f"{notebook_path.stem} has no parameter {name!r}{nearest(name, list(declared))}")
    return {name: parameter.value for name, parameter in declared.items()} | dict(given)


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
    for folder_name in ("runs_dir", "reports_dir", "published_dir", "data_root"):
        if values.get(folder_name):
            values[folder_name] = _within_project(Path(values[folder_name]))
    executed, results = folder / f"{name}.ipynb", folder / name / FILE
    Record.start(name, preset, checked(notebook_path, values)).write(results)
    clock = time.monotonic()
    error: Failure | None = Failure(name="Interrupted", text="stopped before its end")
    try:
        error = _leave_out(notebook_path, executed, obstacle) or _execute(notebook_path, executed, values)
    finally:
        html = folder / f"{name}.html"
        if error is None or error.name != TakenOver.__name__:  # else record and page are those of another execution
            record = Record.read(results)
            record.duration_s, record.error = round(time.monotonic() - clock, 1), error
            record.state, record.title = "failed" if error else "done", title_of(notebook_path)
            record.write(results)
            html = to_html(executed, NAVIGATION)
    if error:
        raise NotebookFailed(name, error, html)
    return html


def _leave_out(source: Path, target: Path, obstacle: str) -> Failure | None:
    """Where there is an obstacle, put the notebook without outputs in place of an executed one; returns it as error."""
    if not obstacle:
        return None
    nbformat.write(nbformat.read(source, as_version=4), target)
    return Failure(name="StageFailed", text=f"not executed, since {obstacle}")


def _execute(source: Path, target: Path, values: Mapping[str, Any]) -> Failure | None:
    """Let papermill execute the notebook; returns name and text of the error that stopped it."""
    target.unlink(missing_ok=True)
    try:
        papermill.execute_notebook(
            source,
            target,
            parameters=dict(values),
            kernel_name="python3",
            kernel_manager_class=_ThisInterpreter,
            start_timeout=START_SECONDS,
            progress_bar=sys.stderr.isatty() and multiprocessing.parent_process() is None,
        )
    except PapermillExecutionError as error:
        return Failure(name=error.ename, text=error.evalue)
    except Exception as error:  # the kernel died, could not be started, or a cell took too long
        return Failure(name=type(error).__name__, text=str(error) or traceback.format_exc(limit=1))
    finally:
        if not target.is_file():
            nbformat.write(nbformat.read(source, as_version=4), target)
    return None


def _within_project(folder: Path) -> str:
    """A folder as the notebook gets it: relative inside the project, so that reports do not show a machine's paths."""
    folder = folder.resolve()
    return str(folder.relative_to(project_root())) if folder.is_relative_to(project_root()) else str(folder)
