"""Each notebook is clean as committed, and run by papermill on what was planned it prints what is committed."""

import os
import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path

import nbformat
import papermill
import printed_numbers
import pytest
from linked_store import linked_store
from places import NOTEBOOKS

from companion import settings
from companion.experiments import parameters
from companion.experiments.catalogue import EXPERIMENTS, experiment
from companion.experiments.experiment import Experiment
from companion.reports import printed_beside
from companion.reports.record import FILE, Record
from companion.settings.project import project_root
from thesislib.refinement.crf import crf_available

NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
BASE = {each.name for each in fields(Experiment)}
CHECKED = "# NBVAL_CHECK_OUTPUT"
SEEDS = dict.fromkeys(("21_response_maps", "22_sensitivity", "31_response_maps", "33_rounds", "34_clusters"), 3)
"""Verdicts need three seeds; the others show one."""


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def run_module(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600)


def execute(name: str, folder: Path, *, prepare_only: bool = False, **values: object) -> nbformat.NotebookNode:
    """The executed copy, which is at `folder/<name>.ipynb` too."""
    values = {"preset": "smoke", "runs_dir": str(folder / "runs"), "reports_dir": str(folder / "reports")} | values
    source, copy = NOTEBOOKS / f"{name}.ipynb", folder / f"{name}.ipynb"
    return papermill.execute_notebook(source, copy, values, progress_bar=False, cwd=folder, prepare_only=prepare_only)


def printed(notebook: nbformat.NotebookNode) -> dict[tuple[str, str], str]:
    """What the compared cells write, by cell and stream."""
    found: dict[tuple[str, str], str] = {}
    for cell in code(notebook):
        if cell.source.startswith(CHECKED):
            for output in cell.outputs:
                found[cell.id, output.name] = found.get((cell.id, output.name), "") + output.text
    return found


@pytest.fixture(autouse=True)
def environment_of_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_runs_on_what_was_planned_and_agrees_with_its_committed_cells(name, tmp_path, shared_store):
    seeds = SEEDS.get(name, 1)
    asked = experiment(name, settings.load("smoke"), range(seeds), settings.Machine(device="cpu"))
    linked_store(asked.stages(), shared_store, tmp_path / "runs")
    before = sorted(tmp_path.glob("runs/*/*"))

    executed = execute(name, tmp_path, seeds=seeds)
    assert sorted(tmp_path.glob("runs/*/*")) == before
    results = tmp_path / "reports" / "smoke" / name
    assert (results / FILE).is_file() and list(results.glob("*.png")) and list(results.glob("*.csv"))
    assert printed(executed) == printed(read(name)) != {}
    if crf_available():
        by_source = printed_beside.levels([Record.read(results / FILE)])
        placed = {(source, answer.thesis) for source, answers in by_source.items() for answer in answers}
        assert printed_numbers.to_place(name) <= placed


@pytest.mark.slow
def test_nbval_finds_what_is_committed(tmp_path):
    """For one notebook: nbval would run every other a second time to compare what is compared above."""
    prepared = execute("01_data", tmp_path, prepare_only=True)
    for cell in code(prepared):
        cell.execution_count = 1  # nbval wants outputs to come from a cell that was run
    nbformat.write(prepared, tmp_path / "01_data.ipynb")
    arguments = ("--nbval-lax", "-p", "no:cacheprovider", "-p", "no:xdist", "01_data.ipynb")
    compared = run_module("pytest", *arguments, cwd=tmp_path)
    assert compared.returncode == 0, compared.stdout[-5000:]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["21_response_maps", "23_segmentation", "31_response_maps"])
def test_without_the_crf_library_the_rest_runs_and_says_so(name, tmp_path, monkeypatch, shared_store):
    (tmp_path / "hidden" / "pydensecrf").mkdir(parents=True)
    (tmp_path / "hidden" / "pydensecrf" / "__init__.py").write_text("raise ImportError('hidden by this test')\n")
    paths = [tmp_path / "hidden", NOTEBOOKS.parent]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, paths)))
    machine = settings.Machine(device="cpu", crf=False)
    asked = experiment(name, settings.load("smoke"), range(1), machine)
    linked_store(asked.stages(), shared_store, tmp_path / "runs")
    before = sorted(tmp_path.glob("runs/*/*"))
    execute(name, tmp_path, seeds=1)
    assert sorted(tmp_path.glob("runs/*/*")) == before
    assert {folder.name for folder in (tmp_path / "runs").iterdir()} <= {
        "data",
        "backbone",
        "classifier",
        "response_maps",
        "features",
        "subcategories",
    }
    results = tmp_path / "reports" / "smoke" / name
    notes = Record.read(results / FILE).notes
    assert any("not run" in note.text and "pip install pydensecrf2" in note.text for note in notes)
    assert any("not run" in table.read_text() for table in results.glob("*.csv"))


@pytest.mark.slow
def test_a_mistyped_parameter_stops_at_once_and_names_the_nearest(tmp_path):
    notebook = NOTEBOOKS / "21_response_maps.ipynb"
    failed = run_module("papermill", notebook, "out.ipynb", "-p", "preset", "smoke", "-p", "seds", "1", cwd=tmp_path)
    assert failed.returncode != 0
    assert "unknown parameter 'seds'; did you mean 'seeds'?" in failed.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_quickstart_shows_photographs_of_a_folder_with_given_weights(tmp_path):
    """Preset voc2012 with narrow weights of our own: a picture up to its pseudo-mask, and nothing is trained."""
    from voc_folder import make_voc, write_split

    from companion.analysis.forward import untrained_classifier
    from companion.pipeline.stages import affinity
    from thesislib.models.weights import save_weights

    overrides = {"backbone.width": 1 / 64, "cam.scales": [1, 0.5]}
    narrow = settings.load("voc2012", overrides)
    root = make_voc(tmp_path, n=3, size=(72, 80))
    write_split(root, "trainaug", [f"2000_{i:06d}" for i in range(3)])
    save_weights(untrained_classifier(narrow, 20), tmp_path / "given.safetensors")
    save_weights(affinity.build(narrow.backbone), tmp_path / "affinity.safetensors")
    overrides["affinity.weights"] = str(tmp_path / "affinity.safetensors")
    values = {"data_root": str(root), "weights": str(tmp_path / "given.safetensors"), "steps": 2}
    values |= {"image": str(root / "JPEGImages" / "2000_000001.jpg"), "image_labels": ["person"]}
    execute("00_quickstart", tmp_path, preset="voc2012", overrides=overrides, **values)
    assert sorted(folder.name for folder in (tmp_path / "runs").iterdir()) == ["affinity", "classifier", "data"]


@pytest.mark.parametrize("name", NAMES)
def test_is_committed_clean(name):
    notebook = read(name)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids) and all(id.replace("-", "").isalnum() for id in ids)
    assert notebook.cells[0].cell_type == "markdown" and notebook.cells[0].source.startswith("# ")
    for cell in code(notebook):
        assert bool(cell.outputs) == cell.source.startswith(CHECKED), f"cell {cell.id}"
        assert cell.execution_count is None
        assert not {"execution", "papermill", "collapsed"} & set(cell.metadata), f"cell {cell.id}"


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_literals_with_help_and_the_settings_cell_is_of_this_notebook(name):
    first, second, *_ = code(read(name))
    assert first.metadata.tags == ["parameters"]
    declared = parameters.read_cell(first.source)
    assert list(declared)[: len(parameters.COMMON)] == list(parameters.COMMON)
    assert declared["preset"].value == "demo" and declared["seeds"].value == 3
    for parameter in declared.values():
        assert parameter.help and "=" not in parameter.help, parameter.name
    assert f'nb = Notebook("{name}", globals())' in second.source.splitlines()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "51_performance"])  # counts paper scale alone
def test_help_of_the_preset_names_every_preset(name):
    words = parameters.declared(NOTEBOOKS / f"{name}.ipynb")["preset"].help
    assert all(preset in words for preset in settings.PRESETS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_own_parameters_are_those_of_the_experiment(name):
    """Its fields have no defaults, so that grids and weights stand in the parameters cell alone."""
    kind, declared = EXPERIMENTS[name], parameters.declared(NOTEBOOKS / f"{name}.ipynb")
    own = {each.name: each for each in fields(kind) if each.name not in BASE}
    in_settings = {each for each, found in declared.items() if kind.settings_of({each: found.value})}
    assert set(own) <= set(declared) and set(declared) - set(own) <= {*parameters.COMMON, "profile", *in_settings}
    assert all(each.default is MISSING and each.default_factory is MISSING for each in own.values())


@pytest.mark.parametrize("name", NAMES)
def test_data_seed_of_the_parameters_cell_is_that_of_the_preset(name):
    """Else `thesis reproduce` would compute other stages than the notebook asks for."""
    declared = parameters.read_cell(code(read(name))[0].source)
    if "data_seed" in declared:
        assert declared["data_seed"].value == settings.load("demo").data.data_seed


def test_every_notebook_has_an_experiment_and_every_experiment_a_notebook():
    assert sorted(EXPERIMENTS) == NAMES


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_settings_that_follow_from_parameters(name):
    kind, declared = EXPERIMENTS[name], parameters.declared(NOTEBOOKS / f"{name}.ipynb")
    values = {each: parameter.value for each, parameter in declared.items()}
    chosen = kind.settings_of(values | {key: 7 for key in ("data_seed",) if key in declared})
    assert chosen.get("data.data_seed", 7) == 7 and ("data.data_seed" in chosen) == ("data_seed" in declared)
    if "weights" in declared:
        named = kind.settings_of(values | {"weights": "some.pth"})["classifier.weights"]
        assert named == str(project_root() / "some.pth") and kind.settings_of(values)["classifier.weights"] == ""
