"""A batch file: one notebook with every combination of a grid of its parameters, checked before anything runs.

The format, in TOML because YAML reads `1e-4` as a string:

    notebook = "21_response_maps"
    preset = "demo"             # default: that of the notebook, as for seeds
    seeds = 5                   # or which, such as [100, 101, 102]
    [fixed]                     # parameters of the notebook that all runs share
    alpha = 0.2
    [grid]                      # parameters with a list of values each; without a grid there is one run
    data_seed = [0, 1, 2]

Reading a file builds the settings and plans the stages of every run, so whatever the notebook would refuse in its
first cells is refused here.
"""

import hashlib
import itertools
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from companion.experiments import parameters as checks
from companion.experiments.catalogue import asked, kind_of
from companion.experiments.experiment import Experiment
from companion.experiments.parameters import Parameter
from companion.experiments.training_seeds import check_seeds
from companion.pipeline import engine
from companion.pipeline.store import Stage, Store
from companion.reports.execute import find_notebook
from companion.reports.jobs import Job, question
from companion.settings import SettingsError, load, nearest

FOLDER = "batches"
TABLES = {"notebook": str, "preset": str, "fixed": dict, "grid": dict}
ELSEWHERE = {
    "preset": "at the top of the file",
    "seeds": "at the top of the file",
    "runs_dir": "as --runs-dir",
    "reports_dir": "as --reports-dir",
}
"""Parameters that [fixed] and [grid] may not have, and where they are given."""


@dataclass(frozen=True)
class Run:
    """One execution of the notebook.

    Args:
        name: folder of its report, made of what distinguishes it.
        differing: its values of the grid.
        parameters: all that are passed to the notebook, apart from the folders.
        stages: what it needs, without what these build on.
    """

    name: str
    differing: Mapping[str, Any]
    parameters: Mapping[str, Any]
    stages: Sequence[Stage]


@dataclass(frozen=True)
class Batch:
    """A batch file that was read and found to be right."""

    name: str
    notebook: Path
    preset: str
    seeds: Sequence[int]
    runs: Sequence[Run]

    def folder(self, reports_dir: Path) -> Path:
        """Where its reports are, a folder for each run since all are of one notebook."""
        return reports_dir / FOLDER / self.name

    def jobs(self, store: Store, reports_dir: Path) -> list[Job]:
        """The reports to make, in the order of the runs."""
        folder, found = self.folder(reports_dir), []
        for run in self.runs:
            parameters = {**run.parameters, "runs_dir": str(store.root)}
            asks = question(self.notebook, parameters, run.stages)
            job = Job(run.name, self.notebook, parameters, folder / run.name, self.preset, run.stages, asks)
            found.append(replace(job, differing=run.differing))
        return found


def read(path: Path, notebooks_dir: Path, *, data_root: str = "") -> Batch:
    """Read and check a batch file.

    Args:
        path: the file.
        notebooks_dir: where the notebooks are.
        data_root: folder in VOC layout, in place of the file's.

    Raises:
        SettingsError: the file is missing or not TOML; a name in it is unknown (names the nearest); a value is of the
            wrong type or out of range; the grid is empty, or has a combination twice.
    """
    content = _load(path)
    try:
        return _check(path.stem, content, notebooks_dir, {"data_root": data_root} if data_root else {})
    except (ValueError, TypeError) as error:
        raise SettingsError(f"{path}: {error}") from None


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        there = [str(file) for file in sorted(path.parent.glob("*.toml"))]
        raise SettingsError(f"there is no batch file {path}{nearest(str(path), there) if there else ''}")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SettingsError(f"{path} is not TOML: {error}. The files in batches/ show how to write one") from None


def _check(name: str, content: dict[str, Any], notebooks_dir: Path, given: dict[str, Any]) -> Batch:
    for key, value in content.items():
        if key not in (*TABLES, "seeds"):
            raise SettingsError(f"unknown entry {key!r}{nearest(key, [*TABLES, 'seeds'])}")
        if key in TABLES and type(value) is not TABLES[key]:
            expected = {str: "a text", dict: "a table"}[TABLES[key]]
            raise SettingsError(f"{key} = {value!r}: expected {expected}")
    if "notebook" not in content:
        raise SettingsError('the entry `notebook` is missing, such as notebook = "21_response_maps"')
    notebook = find_notebook(content["notebook"], notebooks_dir)
    kind, declared = kind_of(notebook.stem), checks.declared(notebook)
    preset = content.get("preset", declared["preset"].value)
    seeds = content.get("seeds", declared["seeds"].value)
    training_seeds = check_seeds(seeds)
    load(preset)
    fixed, grid = content.get("fixed", {}) | given, content.get("grid", {})
    _check_names(notebook.stem, declared, fixed, grid)
    if "grid" in content:
        _check_grid(grid)
    runs: list[Run] = []
    seen: dict[str, Stage] = {}
    for values in itertools.product(*grid.values()):
        differing = dict(zip(grid, values, strict=True))
        run = _run(kind, declared, {"preset": preset, "seeds": seeds} | fixed | differing, differing, seen)
        if any(run.parameters == other.parameters for other in runs):
            raise SettingsError(f"duplicate run: {in_words(run.differing)} is in the grid twice")
        runs.append(run)
    return Batch(name, notebook, preset, training_seeds, runs)


def _check_names(
    notebook: str, declared: Mapping[str, Parameter], fixed: Mapping[str, Any], grid: Mapping[str, Any]
) -> None:
    for table, names in (("fixed", fixed), ("grid", grid)):
        for name in names:
            if name not in declared:
                raise SettingsError(f"[{table}]: {notebook} has no parameter {name!r}{nearest(name, list(declared))}")
            if name in ELSEWHERE:
                raise SettingsError(f"[{table}]: {name} is given {ELSEWHERE[name]}")
    if both := [name for name in fixed if name in grid]:
        raise SettingsError(f"{both[0]} is both fixed and in the grid")


def _check_grid(grid: Mapping[str, Any]) -> None:
    if not grid:
        raise SettingsError("[grid] is empty: give a parameter a list of values, or leave [grid] out for one run")
    for name, values in grid.items():
        if not isinstance(values, list):
            raise SettingsError(f"[grid]: {name} = {values!r}: expected a list of values, such as [{values!r}]")
        if not values:
            raise SettingsError(f"[grid]: {name} has no values: give it some, or take it out")


def _run(
    kind: type[Experiment],
    declared: Mapping[str, Parameter],
    given: dict[str, Any],
    differing: Mapping[str, Any],
    read: dict[str, Stage],
) -> Run:
    """A run whose parameters the notebook would accept; its stages are bound, which reads the files they depend on."""
    try:
        _check_overrides(given.get("overrides", {}))
        experiment = asked(kind, declared, given)
        stages = experiment.stages()
        engine.bind(stages, read)
    except (ValueError, TypeError) as error:
        raise SettingsError(f"{in_words(differing)}: {error}" if differing else str(error)) from None
    if given.get("data_root"):
        given["data_root"] = experiment.machine.data_root
    return Run(_name(kind.notebook, differing), differing, given, stages)


def _check_overrides(given: Any) -> None:
    for name, value in checks.check_overrides(given).items():
        if isinstance(value, Mapping):
            inner = next(iter(value), "epochs")
            raise SettingsError(f'overrides: TOML reads {name}.{inner} as a table; write "{name}.{inner}" in quotes')


def in_words(differing: Mapping[str, Any]) -> str:
    """The values of a run.

    >>> in_words({"alpha": 0.4, "rounds": 2})
    'alpha = 0.4, rounds = 2'
    """
    return ", ".join(f"{name} = {value!r}" for name, value in differing.items())


def _name(notebook: str, differing: Mapping[str, Any]) -> str:
    """A name for files, the same whatever else is in the grid.

    >>> _name("21_response_maps", {"alpha": 0.4, "extra_rows": {"a row": {}}})
    'alpha-0p4_extra_rows-7ce61e'
    """
    return "_".join(f"{name}-{_in_file_name(value)}" for name, value in differing.items()) or notebook


def _in_file_name(value: Any) -> str:
    text = str(value).replace(".", "p") if isinstance(value, int | float) else str(value)
    if re.fullmatch(r"[\w+-]{1,24}", text, re.ASCII):
        return text
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:6]
