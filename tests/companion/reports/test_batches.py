"""Batch files are checked before anything runs, and notebooks compute nothing that was not planned."""

import re
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nbformat
import pytest
from linked_store import linked_store
from places import ROOT

from companion import settings
from companion.experiments import parameters
from companion.experiments.catalogue import EXPERIMENTS, asked, experiment
from companion.pipeline.store import Store
from companion.reports import batch_page, batch_plans, batches
from companion.reports.notebook import Notebook
from companion.settings import Machine, SettingsError

NOTEBOOKS = ROOT / "notebooks"
FILES = sorted((ROOT / "batches").glob("*.toml"))
TABLES_AND_CURVES = {
    "table-2.1", "table-2.2", "table-2.3", "table-3.1", "table-3.2", "table-3.3", "table-3.4", "fig-2.5", "fig-3.4",
}  # fmt: skip
GOOD = 'notebook = "21_response_maps"\npreset = "smoke"\nseeds = 1\n'
QUICK = 'notebook = "00_quickstart"\npreset = "smoke"\n[fixed]\n'
BAD = {
    "unknown notebook": ('notebook = "21_response_map"', r"no notebook '21_response_map'.*did you mean '21_resp"),
    "no notebook": ("seeds = 1", "the entry `notebook` is missing"),
    "not TOML": ("notebook = 21_response_maps", r"is not TOML: .*line 1"),
    "unknown entry": (GOOD + "[gird]\nalpha = [1]", r"unknown entry 'gird'; did you mean 'grid'\?"),
    "unknown preset": (GOOD.replace("smoke", "smoek"), r"unknown preset 'smoek'; did you mean 'smoke'\?"),
    "seeds as text": (GOOD.replace("seeds = 1", 'seeds = "3"'), r"seeds = '3': expected a whole number"),
    "no seeds": (GOOD.replace("seeds = 1", "seeds = 0"), "seeds = 0: expected a whole number of at least 1"),
    "a seed twice": (GOOD.replace("seeds = 1", "seeds = [7, 7]"), r"seeds = \[7, 7\]: 7 is there twice"),
    "unknown parameter in fixed": (GOOD + "[fixed]\nalhpa = 0.2", r"\[fixed\].* 'alhpa'; did you mean 'alpha'\?"),
    "unknown parameter in grid": (GOOD + "[grid]\nlamda_ent = [0.2]", r"\[grid\].*; did you mean 'lambda_ent'\?"),
    "ill-typed value": (GOOD + '[fixed]\nalpha = "much"', "alpha = 'much' is of type str, expected float"),
    "ill-typed value of the grid": (GOOD + "[grid]\nalpha = [0.2, true]", "alpha = True: .*is of type bool"),
    "ill-typed item": (
        'notebook = "22_sensitivity"\n[fixed]\nalphas = [0.2, "x"]',
        r"alphas = \[0.2, 'x'\] is of type list, expected",
    ),
    "values out of a list": (GOOD + "[grid]\nalpha = 0.2", r"alpha = 0.2: expected a list of values, such as \[0.2\]"),
    "empty grid": (GOOD + "[grid]", r"\[grid\] is empty"),
    "no values": (GOOD + "[grid]\nalpha = []", "alpha has no values"),
    "duplicate runs": (GOOD + "[grid]\nalpha = [0.2, 0.4, 0.2]", "duplicate run: alpha = 0.2 is in the grid twice"),
    "equal numbers": (GOOD + "[grid]\nalpha = [0, 0.0]", "duplicate run"),
    "fixed and grid": (GOOD + "[fixed]\nalpha = 0.1\n[grid]\nalpha = [0.2]", "alpha is both fixed and in the grid"),
    "out of range": (GOOD + "[grid]\nalpha = [0.2, 9]", "alpha = 9: .*mixup_alpha = 9: .*less than or equal to 8"),
    "not finite": (GOOD + "[fixed]\nlambda_ent = nan", "lambda_ent = nan: .*finite"),
    "rounds out of range": ('notebook = "33_rounds"\n[fixed]\nrounds = 0', "rounds must be at least 1"),
    "bad row": (GOOD + '[fixed.extra_rows.x]\n"classifier.mixup_alfa" = 1', "did you mean 'classifier.mixup_alpha'"),
    "bad override": (GOOD + "[fixed.overrides]\n'classifier.epochs' = 0", "classifier.epochs = 0: .*greater than"),
    "override as a table": (GOOD + "[fixed.overrides]\nclassifier.epochs = 3", 'write "classifier.epochs" in quotes'),
    "preset in the grid": (GOOD + '[grid]\npreset = ["demo"]', "preset is given at the top of the file"),
    "reports_dir": (GOOD + '[fixed]\nreports_dir = "x"', "reports_dir is given as --reports-dir"),
    "missing weights": ('notebook = "23_segmentation"\n[fixed]\ncoco_weights = "no.pth"', r"no\.pth"),
    "one round": ('notebook = "34_clusters"\n[fixed]\nrounds = 1', "rounds must be at least 2"),
    "no images of clusters": (
        'notebook = "34_clusters"\n[grid]\nimages_per_cluster = [6, 0]',
        "must be at least 1, got 0",
    ),
    "class unknown": (
        'notebook = "34_clusters"\n[fixed]\nclasses_shown = ["hern"]',
        "class 'hern'; did you mean 'heron'",
    ),
    "a value twice": (
        'notebook = "22_sensitivity"\n[fixed]\nalphas = [0.2, 0.4, 0.2]',
        r"alphas = \[0\.2, 0\.4, 0\.2\]: 0\.2 is there twice",
    ),
    "negative margin": ('notebook = "22_sensitivity"\n[fixed]\nmargin = -1', "margin = -1: must be positive"),
    "endless margin": ('notebook = "33_rounds"\n[fixed]\nmargin = inf', "margin = inf: must be positive and finite"),
    "no images": (GOOD + "[fixed]\nimages_shown = 0", "images_shown = 0: must be at least 1"),
    "negative images": (
        'notebook = "00_quickstart"\n[fixed]\nimages_shown = -1',
        "images_shown = -1: must be at least 1",
    ),
    "missing picture": (QUICK + 'image = "nothere.jpg"\nimage_labels = ["heron"]', r"cannot read image .*nothere\.jpg"),
    "picture without labels": (QUICK + 'image = "docs/segmentation.png"', "image_labels is empty: name the classes"),
    "label unknown": (
        QUICK + 'image = "docs/segmentation.png"\nimage_labels = ["x"]',
        "image_labels: unknown class 'x'",
    ),
    "missing results": (
        'notebook = "51_performance"\n[fixed]\nresults = "no.json"',
        r"results of gpu-check from .*no\.json",
    ),
    "missing data": (GOOD.replace("smoke", "voc2012"), "needs data: give data_root"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_refused_with_its_name_and_the_reason(name: str, tmp_path: Path) -> None:
    content, message = BAD[name]
    path = tmp_path / "bad.toml"
    path.write_text(content)
    with pytest.raises(SettingsError, match=message) as error:
        batches.read(path, NOTEBOOKS)
    assert str(path) in str(error.value)


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "table_2_1.toml").touch()
    with pytest.raises(SettingsError, match=r"no batch file .*did you mean '.*/table_2_1\.toml'"):
        batches.read(tmp_path / "table_21.toml", NOTEBOOKS)


def test_runs_are_every_combination_with_names_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "some.toml"
    path.write_text(GOOD + "[fixed]\nlambda_con = 1e-4\n[grid]\nalpha = [0.2, 0.4]\ndata_seed = [0, 1, 2]\n")
    batch = batches.read(path, NOTEBOOKS)
    values = [(run.parameters["alpha"], run.parameters["data_seed"]) for run in batch.runs]
    assert values == [(alpha, seed) for alpha in (0.2, 0.4) for seed in range(3)]
    assert all(run.parameters["lambda_con"] == 1e-4 for run in batch.runs)
    names = [run.name for run in batch.runs]
    assert len(set(names)) == 6 and all(re.fullmatch(r"[\w+-]+", name, re.ASCII) for name in names)
    path.write_text(path.read_text().replace("[0.2, 0.4]", "[0.8, 0.4]"))
    again = [run.name for run in batches.read(path, NOTEBOOKS).runs]
    assert set(again) & set(names) == set(names[3:])


def test_each_run_is_planned_with_its_own_parameters(tmp_path: Path) -> None:
    path = tmp_path / "some.toml"
    path.write_text(GOOD + "[grid]\nalpha = [0.2, 0.4]\n")
    first, second = ({stage.key for stage in run.stages} for run in batches.read(path, NOTEBOOKS).runs)
    chosen = settings.load("smoke")
    default = experiment("21_response_maps", chosen, range(1), Machine(data_root=""))
    assert first == {stage.key for stage in default.stages()}
    assert first & second and first - second and second - first


def test_batch_of_seeds_by_list(tmp_path: Path) -> None:
    path = tmp_path / "some.toml"
    path.write_text(GOOD.replace("seeds = 1", "seeds = [101, 100]"))
    batch = batches.read(path, NOTEBOOKS)
    (run,) = batch.runs
    assert batch.seeds == (100, 101) and run.parameters["seeds"] == [101, 100]
    asked = experiment("21_response_maps", settings.load("smoke"), (100, 101), Machine(data_root=""))
    assert {stage.key for stage in run.stages} == {stage.key for stage in asked.stages()}
    plan = batch_plans.describe(batch, batch.jobs(Store(tmp_path / "runs"), tmp_path), Store(tmp_path / "runs"), 1)
    assert plan.startswith("some: 1 run(s) of 21_response_maps, smoke, seed(s) 100-101\n")
    page = batch_page.write(batch, batch.jobs(Store(tmp_path / "runs"), tmp_path), tmp_path).read_text()
    assert "seeds 100-101 each" in page


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_committed_file_is_right_and_named_after_what_its_notebook_holds(path: Path) -> None:
    batch = batches.read(path, NOTEBOOKS)
    assert batch.preset == "demo" and len(batch.seeds) >= 3
    assert _results(path.stem) <= set(EXPERIMENTS[batch.notebook.stem].reproduces)


def test_every_table_and_curve_has_a_batch() -> None:
    assert {result for path in FILES for result in _results(path.stem)} == TABLES_AND_CURVES


def _results(stem: str) -> set[str]:
    """`table-2.2` and `table-2.3` of "table_2_2_2_3", `fig-2.5` of "fig_2_5c"."""
    kind, _, numbers = stem.partition("_")
    return {f"{kind}-{chapter}.{number}" for chapter, number in re.findall(r"(\d)_(\d+)", numbers)}


# --- Experiments and notebooks ----------------------------------------------------------------------------------------


OTHERS: dict[str, dict[str, Any]] = {
    "00_quickstart": {"steps": 2},
    "10_own_images": {"method": "mixup-cam"},
    "21_response_maps": {"alpha": 0.4, "lambda_ent": 0.1, "lambda_con": 1e-4, "data_seed": 1}
    | {"extra_rows": {"less decay": {"classifier.weight_decay": 1e-5}}, "step_2": False}
    | {"only_rows": ["cam", "mixup_cam", "own: less decay"], "walked_rows": ["cam", "mixup_cam"]},
    "22_sensitivity": {"alphas": [0.4], "lambda_ents": [0.1], "lambda_cons": [1e-4], "lambda_ent_of_c": 0.3}
    | {"alpha": 0.4, "lambda_ent": 0.1, "lambda_con": 1e-4},
    "23_segmentation": {"extra_rows": {"mixup": {"classifier.mixup_alpha": 0.4}}}
    | {"only_rows": ["cam", "method", "own: mixup"]},
    "24_terms": {"alpha": 0.4, "lambda_ent": 0.1, "lambda_con": 1e-4, "trained": ["pixel"]},
    "26_conditions": {"alpha": 0.4, "lambda_ent": 0.1, "lambda_con": 1e-4, "longer": 2, "step_2": False},
    "31_response_maps": {"rounds": 1, "extra_rows": {"K = 3": {"subcategories.round": 1, "subcategories.k": 3}}}
    | {"only_rows": ["cam", "sc_cam", "own: K = 3"], "step_2": False, "walked_rows": ["cam", "sc_cam"]},
    "32_number_of_subcategories": {"after_round": 2, "fixed_weight": [2], "lambdas": [1]}
    | {"last_round": 1, "last_grid": [2]},
    "33_rounds": {"rounds": 2},
    "34_clusters": {"rounds": 2, "classes_shown": ["heron"], "images_per_cluster": 2},
    "41_both_methods": {"alpha": 0.4, "lambda_ent": 0.1, "lambda_con": 1e-4, "rounds": 1}
    | {"only_rows": ["cam", "both"]},
    "42_mixing": {"alpha": 0.4, "alpha_of_masks": 0.5, "smoothings": [0.2]} | {"only_rows": ["cam", "mixup", "fmix"]},
    "43_subcategories": {"taus": [2], "adaptive": ["finch"], "only_rows": ["pooled", "under_map"]},
    "44_contrast": {"lambda_contrasts": [0.2], "only_rows": ["two_views", "contrast_0.2"]},
    "45_peers": {"alpha": 0.4, "lambda_ent": 0.1, "lambda_con": 1e-4, "rounds": 1, "steps": 3, "step_size": 0.5}
    | {"copy_scale": 0.4, "lambda_er": 0.5, "recam_epochs": 1, "only_rows": ["mixup_cam", "advcam"]},
    "46_later_steps": {"alpha": 0.4, "lambda_ent": 0.1, "only_rows": ["plain", "segmentation_mixup"]},
    "35_segmentation": {"rounds": 1, "extra_rows": {"K = 3": {"subcategories.round": 1, "subcategories.k": 3}}}
    | {"only_rows": ["cam", "method", "own: K = 3"]},
}
"""For each notebook whose parameters decide what is computed, other values of them."""
CHECKED_ALONE = {"coco_weights", "image", "image_labels", "results", "weights"}
"""Those that name a file, and what is in it."""


SHOWN = {"images_shown", "failures_shown", "margin", "band"}
"""Those that decide what is shown alone."""


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_all_parameters_that_decide_what_is_computed_have_other_values(name: str) -> None:
    own = set(parameters.declared(NOTEBOOKS / f"{name}.ipynb")) - {*parameters.COMMON, "profile", "data_seed"}
    assert own - CHECKED_ALONE - SHOWN <= OTHERS.get(name, {}).keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_notebook_with_other_parameters_asks_for_nothing_that_was_not_planned(
    name: str, shared_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its cells run in this process, and draw nothing to files."""
    common = {"preset": "smoke", "seeds": 1, "runs_dir": str(tmp_path / "runs"), "reports_dir": str(tmp_path)}
    declared = parameters.declared(NOTEBOOKS / f"{name}.ipynb")
    planned = asked(EXPERIMENTS[name], declared, common | OTHERS[name]).stages()
    store = linked_store(planned, shared_store, tmp_path / "runs")
    before = sorted(store.root.glob("*/*"))
    monkeypatch.setattr(Notebook, "_figure", lambda notebook, figure: plt.close(figure.drawing))
    namespace: dict[str, Any] = {}
    first, *cells = (cell.source for cell in nbformat.read(NOTEBOOKS / f"{name}.ipynb", 4).cells if is_code(cell))
    exec(first, namespace)
    namespace.update(common | OTHERS[name])
    for cell in cells:
        exec(cell, namespace)
    assert sorted(store.root.glob("*/*")) == before


def is_code(cell: nbformat.NotebookNode) -> bool:
    return cell.cell_type == "code"
