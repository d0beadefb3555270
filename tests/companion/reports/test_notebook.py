import csv
import io
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import notebook_files
import numpy as np
import pandas as pd
import papermill
import pytest
from notebook_files import PARAMETERS, Small, write_notebook
from papermill.exceptions import PapermillExecutionError
from PIL import Image
from voc_folder import make_voc

from companion.analysis import families
from companion.analysis.claims import Place, Verdict, judged
from companion.analysis.statistics import VERDICTS, Interval, mean_interval
from companion.datasets.published import LeftOut
from companion.experiments import parameters
from companion.experiments.exhibits import Figure, KeyNumber, Note, Table
from companion.experiments.experiment import Experiment
from companion.pipeline.stages import data
from companion.pipeline.store import Job, Stage
from companion.reports import cells, kept, notebook, repeat, table_files, typeset
from companion.reports.notebook import Notebook
from companion.reports.record import Record, TakenOver
from companion.settings import Machine, SettingsError
from companion.settings.project import project_root

HOSTILE = "<script>alert('x')</script>"


class Shown(NamedTuple):
    html: str
    text: str


def make(
    folder: Path, namespace: dict[str, Any] | None = None, kind: type[Experiment] = Small, **changes: Any
) -> Notebook:
    """A notebook of the project in `folder`, whose parameters cell and later cells have left `namespace`."""
    if not (folder / "notebooks" / "21_small.ipynb").exists():
        write_notebook(folder / "notebooks" / "21_small.ipynb")
    places = {"runs_dir": str(folder / "runs"), "reports_dir": str(folder / "reports")}
    declared = {name: parameter.value for name, parameter in parameters.read_cell(PARAMETERS).items()}
    namespace = {} if namespace is None else namespace
    namespace |= declared | places | changes
    return Notebook("21_small", namespace, kind)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory is a project of its own."""
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Shown]:
    outputs: list[Shown] = []
    monkeypatch.setattr(notebook, "_show", lambda html, text: outputs.append(Shown(html, text)))
    return outputs


def results(nb: Notebook) -> dict[str, Any]:
    return json.loads((nb.folder / "results.json").read_text())


def test_two_executions_do_not_mix_their_pages(tmp_path: Path) -> None:
    """What was begun later has the folder: an earlier one, such as a kernel that was left open, stops and says why."""
    first, second = make(tmp_path), make(tmp_path)
    second.show(Note("later"))
    with pytest.raises(TakenOver, match=r"another execution of 21_small, begun .*: give each reports_dir of its own"):
        first.show(Note("earlier"))
    assert [note["text"] for note in results(second)["notes"]] == ["later"]


# --- Parameters -------------------------------------------------------------------------------------------------------


def test_undeclared_literal_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"unknown parameter 'sedes'; did you mean 'seeds'\?"):
        make(tmp_path, {"sedes": 5})


def test_private_names_modules_and_ipython_names_are_free(tmp_path: Path) -> None:
    make(tmp_path, {"_i": "text", "__name__": "__main__", "np": np, "In": ["", "x"], "Out": {}})


def test_second_run_accepts_what_later_cells_left_but_not_what_a_parameters_cell_adds(tmp_path: Path) -> None:
    namespace: dict[str, Any] = {"In": ["", PARAMETERS]}
    make(tmp_path, namespace)
    namespace |= {"rows": 7, "title": "made by a later cell"}
    namespace["In"].append("rows = 7\ntitle = make_title()")
    make(tmp_path, namespace)
    namespace["In"].append(PARAMETERS + "alhpa = 0.4\n")
    namespace["alhpa"] = 0.4
    with pytest.raises(SettingsError, match="'alhpa'; did you mean 'alpha'"):
        make(tmp_path, namespace)


@pytest.mark.parametrize("value", ["0.4", [0.4], True, {"a": 1}])
def test_own_parameter_of_another_type_than_its_default_is_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(SettingsError, match=r"alpha = .* expected float like the default 0\.2"):
        make(tmp_path, alpha=value)


def test_whole_number_passes_for_a_fraction(tmp_path: Path) -> None:
    assert make(tmp_path, alpha=1).parameters["alpha"] == 1


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("seeds", 0, "at least 1"),
        ("seeds", True, "at least 1"),
        ("seeds", 2.5, "at least 1"),
        ("seeds", [], "the list is empty"),
        ("seeds", [100, 100], "100 is there twice"),
        ("seeds", [0, -1], "-1 is not a whole number"),
        ("seeds", [0, True], "True is not a whole number"),
        ("seeds", "[100, 101]", "-y 'seeds:"),
        ("preset", "dmeo", "did you mean 'demo'"),
        ("overrides", {"classifier.mixup_alhpa": 1}, "did you mean 'classifier.mixup_alpha'"),
        ("overrides", "classifier.mixup_alpha=1", "expected a dict"),
        ("data_root", "no/such/folder", "there is no folder"),
        ("reports_dir", "", "expected the path of a folder"),
    ],
)
def test_bad_common_parameter_is_named(tmp_path: Path, name: str, value: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        make(tmp_path, **{name: value})


@pytest.mark.parametrize(
    ("seeds", "values", "words"), [(3, [0, 1, 2], "3 seeds"), ([101, 100, 107], [100, 101, 107], "seeds 100-101, 107")]
)
def test_record_keeps_how_many_seeds_and_which(tmp_path: Path, seeds: Any, values: list[int], words: str) -> None:
    nb = make(tmp_path, seeds=seeds)
    assert nb.seeds == tuple(values) and nb.parameters["seeds"] == seeds
    assert (results(nb)["seeds"], results(nb)["seed_values"]) == (3, values)
    assert Record.read(nb.folder / "results.json").seeds_in_words == nb.experiment.seeds_in_words == words


def test_overrides_reach_the_settings_and_win_over_own_ones(tmp_path: Path) -> None:
    nb = make(tmp_path, overrides=["classifier.mixup_alpha=0.4"], alpha=0.2, data_seed=4)
    assert (nb.settings.classifier.mixup_alpha, nb.settings.data.data_seed) == (0.4, 4)
    assert results(nb)["changed_settings"] == {"classifier.mixup_alpha": [0.4, 0], "data.data_seed": [4, 0]}
    assert results(nb)["recipe"]["backbone.width"] == [1 / 32, 1.0]


def test_profile_decides_the_settings_at_paper_scale_and_its_differences_are_recorded(tmp_path: Path) -> None:
    own = {"profile": "text", "preset": "voc2012", "overrides": {"classifier.epochs": 3}, "alpha": 0.0}
    nb = make(tmp_path, **own)
    assert nb.settings.classifier.feature_channels == 512
    record = results(nb)
    assert (record["profile"], record["parameters"]["profile"]) == ("text", "text")
    assert record["changed_settings"] == {"classifier.epochs": [3, 15]} and record["recipe"] == {}
    assert record["profiles"] == {
        "classifier.optimiser": ["sgd", "adam"],
        "classifier.learning_rate": [0.01, 1e-3],
        "classifier.new_layer_factor": [10, 1],
        "classifier.feature_channels": [0, 512],
    }
    plain = results(make(tmp_path))
    assert plain["profile"] == "released" and plain["profiles"] == record["profiles"]
    with pytest.raises(SettingsError, match="unknown profile 'txt'; did you mean 'text'"):
        make(tmp_path, profile="txt")


def test_network_is_recorded_and_a_variant_is_announced(tmp_path: Path, shown: list[Shown]) -> None:
    assert results(make(tmp_path))["network"] == "ResNet-38, width 1/32, stride 4" and not shown
    nb = make(tmp_path, overrides={"backbone.network": "resnet50", "backbone.width": 1})
    assert results(nb)["network"] == "ResNet-50, stride 4"
    assert "ResNet-50 stands in for the thesis' ResNet-38" in shown[0].text
    text = make(tmp_path, preset="voc2012", profile="text")
    assert results(text)["network"] == "ResNet-38, 3×3 conv, 512, stride 8"


def test_paths_count_from_the_project_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notebooks" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "notebooks")
    (tmp_path / "pyproject.toml").unlink()
    assert project_root() == tmp_path / "notebooks"
    (tmp_path / "pyproject.toml").touch()
    assert project_root() == tmp_path
    make_voc(tmp_path / "notebooks")
    nb = make(tmp_path, reports_dir="reports", data_root="notebooks")
    assert nb.folder == tmp_path / "reports" / "smoke" / "21_small"
    assert nb.experiment.machine.data_root == str(tmp_path / "notebooks")
    assert not nb.generated


def test_parameters_are_those_of_the_copy_that_runs(tmp_path: Path) -> None:
    make(tmp_path)
    changed = (tmp_path / "notebooks" / "21_small.ipynb").read_text().replace("data_seed = 0", "data_seed = 0.5")
    (tmp_path / "21_small.ipynb").write_text(changed)
    assert make(tmp_path, data_seed=1).settings.data.data_seed == 1
    (tmp_path / "21_small.ipynb").write_text(changed.replace("data_seed = 0.5", "dataseed = 0"))
    with pytest.raises(SettingsError, match="unknown parameter 'data_seed'; did you mean 'dataseed'"):
        make(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no 99_none\.ipynb in .*parameters are not known"):
        Notebook("99_none", {}, Small)


def test_parameters_cell_is_read_with_help_and_refused_with_code_in_it() -> None:
    read = parameters.read_cell("scales = [\n    1,\n    0.5,\n]  # of the image\nname: str = 'a = # b'")
    assert [(p.name, p.value, p.help) for p in read.values()] == [
        ("scales", [1, 0.5], "of the image"),
        ("name", "a = # b", ""),
    ]
    for code in ("import os", "x = 2 * 3", "x = y = 1", "x: int"):
        with pytest.raises(ValueError):
            parameters.read_cell(code)


def test_papermill_stops_at_a_mistyped_name(tmp_path: Path) -> None:
    source = write_notebook(tmp_path / "21_small.ipynb")
    with pytest.raises(PapermillExecutionError, match="did you mean 'seeds'"):
        papermill.execute_notebook(source, tmp_path / "out.ipynb", {"sedes": 5}, progress_bar=False)


def test_stages_are_computed_once_under_the_names_given(tmp_path: Path) -> None:
    nb = make(tmp_path, runs_dir=str(tmp_path / "runs"))
    folders = nb.run({("data", 0): data.stage(nb.settings, nb.experiment.machine)})
    assert folders["data", 0].is_relative_to(tmp_path / "runs")
    assert len(nb.experiment.images("val")) == nb.settings.data.val
    (provenance,) = (tmp_path / "runs" / "data").glob("*/provenance.json")
    origin = json.loads(provenance.read_text())
    used = {"label": "", "commit": origin["commit"], "precision": "fp32"}
    assert results(nb)["artefacts"] == {f"data/{provenance.parent.name}": used}


def leave_empty(job: Job, seed: int) -> None:
    """A stage function that computes nothing."""


def test_artefacts_of_different_precision_are_pointed_out(tmp_path: Path) -> None:
    def trained(seed: int, precision: str) -> Stage:
        return Stage("classifier", 1, leave_empty, {"seed": seed}, machine=Machine(device="cpu", precision=precision))

    nb = make(tmp_path, runs_dir=str(tmp_path / "runs"))
    for seed, precision in enumerate(("fp32", "fp32", "bf16")):
        assert not results(nb)["notes"]
        nb.run({seed: trained(seed, precision)})
    assert [each["precision"] for each in results(nb)["artefacts"].values()] == ["fp32", "fp32", "bf16"]
    (note,) = results(nb)["notes"]
    said = "1 artefact in bf16 (classifier), 2 in fp32 (classifier)"
    assert note["text"] == f"Different precision in one report: {said}."


# --- Tables -----------------------------------------------------------------------------------------------------------


def places(html: str) -> list[str]:
    """The place of every cell, row by row."""
    cells = re.findall(r"<td[^>]*>(.*?)</td>", html)
    return [(re.findall(r"<sup[^>]*>(\d)</sup>", cell) or [""])[0] for cell in cells]


def ranked(values: list[Any], **arguments: Any) -> list[str]:
    frame = pd.DataFrame({"method": [f"m{i}" for i in range(len(values))], "score": pd.Series(values, dtype=object)})
    return places(typeset.to_html(typeset.lay_out(frame, **({"best": ["score"]} | arguments)), "caption"))


def test_best_three_with_ties_and_missing_values() -> None:
    assert ranked([48.0, 50.1, None, 49.9, 49.5, float("nan"), 40]) == ["", "1", "", "2", "3", "", ""]
    assert ranked([50.04, 50.01, 49.9, 49.8]) == ["1", "1", "3", ""]  # as shown, both are 50.0
    assert ranked([3, 2, 2, 2]) == ["1", "2", "2", "2"]
    assert ranked([1.0, 1.0]) == ["", ""]
    assert ranked([7.0]) == ranked([None]) == [""]
    assert ranked([0.1, 0.3, 0.2], best=[], lowest=["score"]) == ["1", "3", "2"]
    assert ranked([-1.0, -2.0, 1.0]) == ["2", "3", "1"]


def test_rows_of_other_groups_and_without_group_are_not_ranked_together() -> None:
    within = ["printed", "ours", "printed", "ours", None]
    assert ranked([48.0, 31.0, 50.1, 35.0, 99.0], within=within) == ["2", "2", "1", "1", ""]
    with pytest.raises(ValueError, match="5 labels for 2 rows"):
        ranked([1.0, 2.0], within=within)


def test_places_are_marked_by_colour_and_by_more_than_colour() -> None:
    frame = pd.DataFrame({"score": [1.0, 2.0, 3.0, 4.0]}, index=pd.Index(["a", "b", "c", "d"], name="method"))
    html = typeset.to_html(typeset.lay_out(frame, best=["score"]), "caption")
    assert html.index("place3") < html.index("place2") < html.index("place1")
    assert [label in html for label in ("best", "second best", "third best")] == [True] * 3
    assert typeset.LEGEND in html


def test_table_is_accessible_and_escaped(tmp_path: Path, shown: list[Shown]) -> None:
    frame = pd.DataFrame({HOSTILE: [HOSTILE, None], "mIoU": [mean_interval([1.0, 2.0, 3.0]), None]})
    make(tmp_path).show(Table(frame, "t", HOSTILE, note=HOSTILE))
    html = shown[0].html
    assert "<script" not in html
    assert html.count('scope="col"') == 2
    assert html.count('scope="row"') == 2
    assert "<caption" in html
    assert "2.0" in html
    assert "[−0.5, 4.5]" in html
    assert typeset.MISSING in html


def test_csv_gives_back_the_values_and_latex_what_is_shown(tmp_path: Path, shown: list[Shown]) -> None:
    nb = make(tmp_path)
    interval = mean_interval([50.1, 50.4, 49.8])
    frame = pd.DataFrame(
        {"method": ["plain & simple", "50% _x_", "c"], "mIoU": [48.0, interval, np.nan], "images": [10, 20, 30]}
    )
    nb.show(Table(frame, "scores", "100 % of {x}", best=["mIoU"]))
    rows = list(csv.DictReader(io.StringIO((nb.folder / "scores.csv").read_text())))
    assert [row["method"] for row in rows] == ["plain & simple", "50% _x_", "c"]
    assert float(rows[1]["mIoU"]) == interval.mean
    assert float(rows[1]["mIoU low"]) == interval.low
    assert rows[2]["mIoU"] == ""
    assert [row["images"] for row in rows] == ["10", "20", "30"]
    latex = (nb.folder / "scores.tex").read_text()
    body = latex[latex.index(r"\midrule") : latex.index(r"\bottomrule")].splitlines()[1:]
    assert body == [
        r"plain \& simple & \textcolor{green}{48.0}\textsuperscript{2} & 10 \\",
        r"50\% \_x\_ & \textcolor{red}{50.1}\textsuperscript{1} {\scriptsize [49.4, 50.8]} & 20 \\",
        r"c & -- & 30 \\",
    ]
    assert r"\begin{tabular}{lrr}" in latex
    assert r"\caption{100 \% of \{x\}}" in latex
    assert results(nb)["tables"][0]["csv"] == "scores.csv"


def test_markdown_shows_what_is_shown_and_nothing_in_it_is_markup(tmp_path: Path, shown: list[Shown]) -> None:
    frame = pd.DataFrame({"method": ["a|b", "*x* [y](z)"], "mIoU": [mean_interval([50.1, 50.4, 49.8]), 48.0]})
    nb = make(tmp_path)
    nb.show(Table(frame, "scores", "mIoU of <img>\n_maps_", best=["mIoU"], note="a note"))
    text = (nb.folder / "scores.md").read_text()
    assert text.splitlines() == [
        r"mIoU of \<img\> \_maps\_",
        "",
        "| method | mIoU |",
        "| :-- | --: |",
        r"| a\|b | 50.1¹ [49.4, 50.8] |",
        r"| \*x\* \[y\](z) | 48.0² |",
        "",
        f"a note {typeset.LEGEND}",
    ]
    assert results(nb)["tables"][0]["md"] == "scores.md"


def test_marks_of_verdicts_are_commands_in_latex(tmp_path: Path) -> None:
    frame = pd.DataFrame({"claim": ["a > b"], "verdicts": ["✓ ✗ ?"]})
    latex = table_files.to_latex(typeset.lay_out(frame), "caption", "claims")
    assert r"a \textgreater{} b & $\checkmark$ $\times$ ? \\" in latex


def test_printed_values_are_recorded_with_their_place(tmp_path: Path, shown: list[Shown]) -> None:
    interval = mean_interval([47.0, 48.0, 49.0])
    frame = pd.DataFrame(
        {"method": ["CAM", "own", "late"], "ours": [interval, 50.0, "not run"], "thesis": [48.0, None, 49]}
    )
    place = Place("Table 2.1", "train", "response maps")
    nb = make(tmp_path)
    nb.show(Table(frame, "table_2_1", "caption", beside={"ours": ("thesis", place)}))
    (entry,) = results(nb)["tables"][0]["beside"]
    named = {"source": "Table 2.1", "row": "CAM", "split": "train", "stage": "response maps", "measure": "mIoU"}
    assert entry.items() >= (named | {"thesis": 48.0, "value": 48.0, "n": 3, "std": 1.0}).items()
    nb.show(KeyNumber("mIoU", interval, 48.0, place=place))
    nb.show(Verdict("CAM works", interval, "holds", thesis=1.2, place=place))
    assert results(nb)["key_numbers"][0]["place"] == named | {"row": "mIoU"}
    assert results(nb)["verdicts"][0]["place"] == named | {"row": "CAM works"}
    assert results(nb)["verdicts"][0]["thesis"] == 1.2
    assert results(nb)["verdicts"][0]["p"] is None and results(nb)["verdicts"][0]["primary"] is False
    nb.show(judged("Mixup works", mean_interval([1.0, 2.0, 3.0]), thesis=1.2, primary=True))
    tested = {"primary": True, "adjusted": None, "seeds": 8, "sought": 1.2}
    assert results(nb)["verdicts"][1].items() >= tested.items()
    assert results(nb)["verdicts"][1]["p"] == pytest.approx(0.0742, abs=1e-4)
    with pytest.raises(ValueError, match="no column 'thsis'; did you mean 'thesis'"):
        nb.show(Table(frame, "again", "caption", beside={"ours": ("thsis", place)}))


def test_unknown_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no column 'mIou'; did you mean 'mIoU'"):
        typeset.lay_out(pd.DataFrame({"m": ["a"], "mIoU": [1.0]}), best=["mIou"])


def test_rounded_away_sign_is_not_shown() -> None:
    assert typeset.text_of(-0.04)[0] == "0.0"
    assert typeset.text_of(-0.04, "+.1f")[0] == "0.0"
    assert typeset.text_of(-0.06, "+.1f")[0] == "−0.1"


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.04, 4.3, "[+0.04, +4.3]"),
        (-2.1, -0.002, "[−2.1, −0.002]"),
        (-1e-5, 0.0, "[0.0, 0.0]"),
        (-0.06, 1, "[−0.1, +1.0]"),
    ],
)
def test_the_end_of_a_difference_shows_on_which_side_of_zero_it_lies(low: float, high: float, text: str) -> None:
    assert typeset.text_of(Interval(1.0, 1.0, low, high, 3), "+.1f")[1] == text
    assert typeset.text_of(Interval(1.0, 1.0, 0.04, 1, 3), ".1f")[1] == "[0.0, 1.0]"


# --- Figures, numbers, verdicts ---------------------------------------------------------------------------------------


def test_figure_is_embedded_once_written_twice_and_closed(tmp_path: Path, shown: list[Shown]) -> None:
    nb = make(tmp_path)
    for name in ("first", "second"):
        figure, axes = plt.subplots(figsize=(4, 3))
        axes.plot([0, 1])
        nb.show(Figure(figure, name, f"caption {HOSTILE}", 'a "line"'))
    html = shown[0].html
    assert html.count("data:image/png;base64,") == 1
    assert "<script" not in html
    assert 'alt="a &quot;line&quot;"' in html
    with Image.open(nb.folder / "first.png") as image:
        assert f'width="{round(image.width / 2)}"' in html
        assert np.asarray(image.convert("RGB"))[0, 0].tolist() == [255, 255, 255]
    assert (nb.folder / "second.pdf").read_bytes().startswith(b"%PDF")
    assert not plt.get_fignums()
    assert results(nb)["thumbnail"] == "thumbnail.png"
    with Image.open(nb.folder / "thumbnail.png") as image:
        assert max(image.size) <= 480


@pytest.mark.parametrize(("caption", "alt"), [("caption", " "), ("", "alt")])
def test_figure_needs_caption_and_alt_text(tmp_path: Path, caption: str, alt: str) -> None:
    with pytest.raises(ValueError, match="needs a caption and an alt text"):
        make(tmp_path).show(Figure(plt.figure(), "name", caption, alt))
    plt.close("all")


def test_names_of_files_stay_in_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="letters, digits"):
        make(tmp_path).show(Table(pd.DataFrame({"a": [1], "b": [2]}), "../escape", "caption"))


def test_key_numbers_and_verdicts_are_shown_and_recorded(tmp_path: Path, shown: list[Shown]) -> None:
    nb = make(tmp_path)
    interval = mean_interval([2.0, 2.2, 2.4])
    nb.show(KeyNumber("gain", interval, 2.1, HOSTILE, unit=" points"))
    nb.show(KeyNumber("alone", float("nan")))
    nb.show(Verdict(f"claim {HOSTILE}", interval, "holds"))
    nb.show(Verdict("claim without interval", None, "undecided", "too few seeds"))
    nb.show(Note(HOSTILE))
    assert not any("<script" in output.html for output in shown)
    assert "95 % interval [1.7, 2.7] over 3 seeds" in shown[0].text
    assert "thesis, printed: 2.1" in shown[0].text
    assert all(word in shown[2].html for word in ("holds", "direction only", "+2.2"))
    record = results(nb)
    assert record["key_numbers"][0]["value"] == pytest.approx(2.2)
    assert record["key_numbers"][1]["value"] is None
    assert [entry["verdict"] for entry in record["verdicts"]] == ["holds", "undecided"]
    with pytest.raises(ValueError, match="expected one of"):
        nb.show(Verdict("claim", interval, "hold"))
    assert "no verdict" in shown[3].html and "undecided</span>" not in shown[3].html


def test_a_verdict_says_what_became_of_it_with_other_seeds(tmp_path: Path, shown: list[Shown]) -> None:
    def run(reports: str, seeds: list[int], verdict: str, values: list[float]) -> Path:
        nb = make(tmp_path, reports_dir=str(tmp_path / reports), seeds=seeds)
        nb.show(Verdict("claim </script>", mean_interval(values), verdict, primary=True, p=0.01))
        Record.read(file := nb.folder / "results.json").model_copy(update={"state": "done"}).write(file)
        return nb.folder.parent

    first = run("reports", [0, 1, 2], "holds", [2.0, 2.2, 2.4])
    again = run("again", [3, 4, 5], "undecided", [-1.0, 0.0, 1.0])
    repeat.write(repeat.compare(first, again), first / repeat.PAGE)
    run("reports", [0, 1, 2], "holds", [2.0, 2.2, 2.4])
    assert "Again with" not in shown[0].text + shown[1].text
    assert shown[2].text.startswith("UNDECIDED: claim </script> primary claim · +2.2 [+1.7, +2.7]")
    assert "Not repeated: again with seeds 3-5 undecided, 0.0 [−2.5, +2.5]; over all 6 seeds +1.1 [" in shown[2].text
    (recorded,) = Record.read(first / "21_small" / "results.json").verdicts
    assert recorded.verdict == "holds"


def test_a_secondary_claim_is_shown_after_the_correction_of_its_family_alone(tmp_path: Path) -> None:
    nb = make(tmp_path)
    claim = judged("claim", mean_interval([2.0, 2.2, 2.4]))
    with pytest.raises(ValueError, match="was not corrected"):
        nb.show(claim)
    nb.show(families.corrected([claim]), replace(claim, claim="first", primary=True))
    assert [entry["adjusted"] is None for entry in results(nb)["verdicts"]] == [False, True]


@dataclass(frozen=True, kw_only=True, eq=False)
class Chosen(Small):
    """With rows to choose from."""

    only_rows: list[str]


def test_rows_that_were_chosen_are_named_at_the_top(
    tmp_path: Path, shown: list[Shown], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebook_files, "PARAMETERS", f"{PARAMETERS}only_rows = []  # rows\n")
    make(tmp_path, kind=Chosen, only_rows=[])
    assert not shown
    make(tmp_path, kind=Chosen, only_rows=["cam", "mixup_cam"])
    assert "Rows by choice (only_rows): cam, mixup_cam." in shown[0].text


def test_a_cell_run_again_replaces_its_record(tmp_path: Path, shown: list[Shown]) -> None:
    nb = make(tmp_path)
    for value in (1.0, 2.0):
        nb.show(KeyNumber("first", value))
        nb.show(KeyNumber("second", value))
    assert [(entry["label"], entry["value"]) for entry in results(nb)["key_numbers"]] == [("first", 2), ("second", 2)]


def test_record_says_with_what_it_was_made(tmp_path: Path) -> None:
    nb = make(tmp_path, alpha=0.2)
    record = results(nb)
    assert record["state"] == "unfinished"
    assert record["parameters"]["alpha"] == 0.2
    assert all(record[name] for name in ("commit", "device", "started"))
    assert {"thesislib", "python", "torch"} <= set(record["versions"])
    assert record["hardware"]["cores"] and record["machine"]["precision"]
    assert record["seed_values"] == [0, 1, 2]
    assert record["settings"]["backbone"]["width"] == nb.settings.backbone.width
    assert f"{nb.settings.data.trainaug} for training" in record["data"]
    assert not [path for path in nb.folder.iterdir() if path.name.startswith(".")]


class OfPhotographs(Small):
    data_note = "24 photographs"


def test_what_the_data_are_is_asked_of_the_experiment_when_it_has_shown_something(
    tmp_path: Path, shown: list[Shown]
) -> None:
    nb = make(tmp_path, kind=OfPhotographs)
    assert "for training" in results(nb)["data"]
    nb.show(Note("seen"))
    assert results(nb)["data"] == "24 photographs"


def test_exhibits_are_shown_in_the_order_in_which_they_come(tmp_path: Path, shown: list[Shown]) -> None:
    frame = pd.DataFrame({"a": [1], "b": [2]})
    make(tmp_path).show(Note("first"), (Note(text) for text in ("second", "third")), Table(frame, "t", "fourth"))
    assert [output.text.splitlines()[0] for output in shown] == ["first", "second", "third", "fourth"]


def test_every_verdict_has_a_badge() -> None:
    assert set(cells.BADGES) == set(VERDICTS)


def test_what_is_not_published_is_said_once_in_its_place_and_the_rest_is_shown(
    tmp_path: Path, shown: list[Shown]
) -> None:
    def picture() -> Note:
        raise LeftOut("photographs")

    def both() -> Any:
        yield picture
        yield Note("a number beside it")
        yield picture
        raise LeftOut("weights")

    nb = make(tmp_path)
    nb.show(both, lambda: None, lambda: KeyNumber("after it", 1.0))
    nb.show(Note("next cell"))
    said = [note["text"] for note in results(nb)["notes"]]
    assert said == ["a number beside it", str(LeftOut("photographs")), str(LeftOut("weights")), "next cell"]
    beginnings = [each.text.split(":")[0] for each in shown]
    assert beginnings == ["a number beside it", "after it", "Left out", "Left out", "next cell"]


def artefact(root: Path, key: str) -> Path:
    """The folder of an artefact with nothing in it, as `keep` asks for them."""
    folder = root / "response_maps" / key
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def test_what_is_measured_on_maps_is_kept_beside_the_record_artefact_by_artefact(tmp_path: Path) -> None:
    nb = make(tmp_path)
    one, two = (artefact(tmp_path / "runs", key) for key in "12")
    given = []

    def measure(folders: list[Path]) -> list[list[Any]]:
        given.append(folders)
        return [[np.arange(3), np.array(float(folder.name))] for folder in folders]

    found = nb.keep("entropy, K = 1, trained", [one, two, one], measure)
    stored = kept.read(nb.folder / kept.FILE)
    assert [*stored] == [f"entropy, K = 1, trained/response_maps/{key}" for key in "12"] and given == [[one, two]]
    assert [each[1] for each in stored.values()] == [1, 2] and [each[1] for each in found] == [1, 2, 1]
    assert all(each[0].tolist() == [0, 1, 2] for each in found)


def test_only_what_is_not_published_is_measured(tmp_path: Path) -> None:
    scores = tmp_path / "snapshot" / "scores"
    theirs, own, both = artefact(scores, "1"), artefact(tmp_path / "runs", "2"), artefact(tmp_path / "runs", "3")
    (scores / "published.json").write_text("{}")
    known = {f"entropy/response_maps/{key}": [np.array(10.0 * float(key))] for key in "13"}
    kept.write(scores / kept.REPORTS / "21_small" / kept.FILE, known)
    nb = make(tmp_path, published_dir=str(tmp_path / "snapshot"))
    found = nb.keep("entropy", [theirs, own, both], lambda folders: [[float(folder.name)] for folder in folders])
    assert [each for (each,) in found] == [10, 2, 3]  # one's own maps are measured, whatever is published of them
    assert [each[0] for each in kept.read(nb.folder / kept.FILE).values()] == [10, 2, 3]
