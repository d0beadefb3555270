import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
from filelock import FileLock
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook_files import SETTINGS, write_notebook
from places import NOTEBOOKS

from companion.reports import driver, formulas, jobs, site
from companion.reports import page as pages
from companion.reports import site as site_pages
from companion.reports.execute import execute, find_notebook
from companion.reports.jobs import Job
from companion.reports.record import FILE
from companion.settings import SettingsError

PAGES = ("21_good", "31_bad", "index", "thesis")
HOSTILE = "<script>alert('x')</script>"
PROSE = r"""%md## The loss

Inline $\lambda_{ent} = 0.02$ and displayed

$$L_{con}=\sum_{c\in P} q_c(u,v)\,\lVert(u,v)-\mu_c\rVert^2 \tag{2.4}$$

and one that nobody knows: $\nosuchcommand{x}$."""
SCORES = f"""\
import sys, warnings
from companion.analysis.claims import Place, Verdict
from companion.analysis.statistics import mean_interval
from companion.experiments.exhibits import Figure, KeyNumber, Table
import matplotlib.pyplot as plt
import pandas as pd
from tqdm import tqdm

for _ in tqdm(range(3)):
    pass
warnings.warn("a matter to look into")
print("\\r 10%|#  |\\rscored on 12 images {HOSTILE}")
frame = pd.DataFrame({{"method": ["plain", "mixup"], "mIoU": [30.5, 31.5]}})
nb.show(Table(frame, "table_2_1", "Table 2.1 {HOSTILE}", best=["mIoU"]))
figure, axes = plt.subplots(figsize=(3, 2))
nb.show(Figure(figure, "curve", "A curve {HOSTILE}", "empty axes {HOSTILE}"))
place = Place("Table 2.1 {HOSTILE}", "train", "response maps")
nb.show(KeyNumber("mIoU {HOSTILE}", 31.5, 50.1, unit="", place=place))
seen = mean_interval([1.0, 2.0, 0.5])
nb.show(Verdict("mixup helps {HOSTILE}", seen, "undecided", thesis=2.1, place=place))
"""
THIS_KERNEL = 'import os\nassert os.environ["OMP_NUM_THREADS"] == "1"\nimport sys\nprint(sys.executable)'
SO_FAR = 'from companion.experiments.exhibits import KeyNumber\nnb.show(KeyNumber("so far", 1.0))'
FAILURE = f'raise ValueError("not finite at step 12 {HOSTILE}")'


class References(HTMLParser):
    """Everything a page refers to, and its images."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.images: list[str] = []
        self.tags: list[str] = []
        self.feed(page)
        self.loaded += re.findall(r"url\(\s*['\"]?([^)'\"]+)", page)
        self.loaded += re.findall(r"@import\s+['\"]([^'\"]+)", page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        self.tags.append(tag)
        if tag == "a":
            self.links.append(values["href"])
        else:
            self.loaded += [values[name] for name in ("src", "href", "srcset", "data", "poster") if name in values]
        if tag == "img":
            self.images.append(values.get("alt", ""))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A project whose two notebooks were executed, once for all processes that run tests; one notebook fails."""
    base = tmp_path_factory.getbasetemp()
    root = (base if worker_id == "master" else base.parent) / "project"
    with FileLock(root.with_suffix(".lock")):
        if not root.is_dir():
            _execute_project(root)
    return root


def _execute_project(root: Path) -> None:
    """Another `python3` kernel is installed there, which does not work."""
    kernel = root / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text('{"argv": ["false"], "display_name": "broken", "language": "python"}')
    (root / "pyproject.toml").touch()
    again = SETTINGS.format(name="21_good")
    write_notebook(root / "notebooks" / "21_good.ipynb", PROSE, "label = 'of a later cell'", again, SCORES, THIS_KERNEL)
    write_notebook(root / "notebooks" / "31_bad.ipynb", SO_FAR, FAILURE, "print('never')")
    parameters = {"seeds": 4, "alpha": 0.3, "overrides": {"classifier.epochs": 3}, "runs_dir": str(root / "runs")}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("JUPYTER_PATH", str(root / "jupyter"))
        names = ["21_good", "31_bad"]
        files = [root / "notebooks" / f"{name}.ipynb" for name in names]
        jobs = [Job(file.stem, file, parameters, Path("reports"), "smoke") for file in files]
        outcomes = driver.make(jobs, 2, notebooks_dir=root / "notebooks")
    assert [(outcome.job.name, outcome.state) for outcome in outcomes] == [("21_good", "done"), ("31_bad", "failed")]
    assert outcomes[1].error.startswith("ValueError: not finite at step 12")


def page_of(project: Path, name: str) -> str:
    return (project / "reports" / "smoke" / f"{name}.html").read_text()


def record_of(project: Path, name: str) -> dict[str, Any]:
    return json.loads((project / "reports" / "smoke" / name / "results.json").read_text())


def test_pages_load_nothing_from_anywhere(project: Path) -> None:
    for name in PAGES:
        page = page_of(project, name)
        found = References(page)
        assert [target for target in found.loaded if not target.startswith(("data:", "#"))] == []
        relative = [target for target in found.links if not target.startswith("https://escholarship.org/")]
        assert all(re.match(r"#|[\w/]+\.(html|ipynb|csv|tex|md|json|png|pdf)$", target) for target in relative)
        assert all(target.startswith("#") or (project / "reports/smoke" / target).is_file() for target in relative)
        assert "default-src 'none'" in page
        assert all(alt.strip() for alt in found.images)


def test_hostile_text_is_escaped_everywhere(project: Path) -> None:
    for name in PAGES:
        page = page_of(project, name)
        assert "&lt;script&gt;alert" in page
        assert References(page).tags.count("script") == 1


def test_formulas_are_mathml_and_unknown_ones_are_shown_as_written(project: Path) -> None:
    page = page_of(project, "21_good")
    assert page.count("<math") == 2
    assert '<code class="tex">\\nosuchcommand{x}</code>' in page
    assert '<span class="equation-number">(2.4)</span>' in page
    assert "$$" not in page


def test_report_shows_results_without_the_noise_of_running(project: Path) -> None:
    page = page_of(project, "21_good")
    outputs = "".join(re.findall(r'<pre class="output".*?</pre>', page, re.DOTALL))
    assert "scored on 12 images" in outputs
    assert "%|" not in outputs
    assert "1 warning</summary>" in page
    assert page.count("data:image/png") == 1
    assert '<details class="code">' in page
    assert "preset = &quot;smoke&quot;" not in page
    assert "changed from 0.2" in page
    assert "training runs" in page
    assert "Settings changed from the preset (2)" in page
    assert "thesis run 21_good -p preset smoke -p seeds 4 -p overrides" in page.replace("&#39;", "'")
    assert str(project) not in page


def test_kernel_is_this_interpreter(project: Path) -> None:
    assert sys.executable in page_of(project, "21_good")


def test_failed_notebook_keeps_its_results_and_shows_the_error(project: Path) -> None:
    record = record_of(project, "31_bad")
    assert record["state"] == "failed"
    assert record["error"] == {"name": "ValueError", "text": f"not finite at step 12 {HOSTILE}"}
    assert [entry["label"] for entry in record["key_numbers"]] == ["so far"]
    assert record["duration_s"] > 0
    page = page_of(project, "31_bad")
    assert page.index("not finite at step 12") < page.index("<main")
    assert 'id="error"' in page
    assert "Exception was encountered" not in page
    assert (project / "reports" / "smoke" / "31_bad.ipynb").is_file()


def test_index_lists_done_and_failed_notebooks_with_their_numbers(project: Path) -> None:
    page = page_of(project, "index")
    assert "2 notebooks: 1 done, 1 failed." in page
    assert page.index("Chapter 2") < page.index('href="21_good.html"') < page.index("Chapter 3")
    assert "ValueError: not finite at step 12" in page
    assert "<td>31.5</td><td>50.1</td>" in page
    assert "Generated data." in page
    assert "undecided" in page
    assert "alpha = 0.3" in page
    assert "data:image/png;base64," in page


def test_index_survives_an_unreadable_record_and_an_empty_folder(tmp_path: Path) -> None:
    assert "No notebook has been executed" in site_pages.write_index(tmp_path).read_text()
    (tmp_path / "21_broken").mkdir()
    (tmp_path / "21_broken" / FILE).write_text("{")
    assert "not a record of a notebook" in site_pages.write_index(tmp_path).read_text()


def test_unknown_parameter_or_notebook_stops_before_a_kernel_starts(project: Path) -> None:
    good = project / "notebooks" / "21_good.ipynb"
    with pytest.raises(SettingsError, match=r"21_good has no parameter 'alhpa'; did you mean 'alpha'\?"):
        execute(good, {"alhpa": 1}, project / "other", "smoke")
    with pytest.raises(SettingsError, match=r"21_good has no parameter 'alhpa'; did you mean 'alpha'\?"):
        driver.make([Job("21_good", good, {"alhpa": 1}, project / "other", "smoke")])
    with pytest.raises(SettingsError, match="did you mean '21_good'"):
        find_notebook("21_god", project / "notebooks")
    assert not (project / "other").exists()


def test_outputs_of_other_libraries_are_shown_safely(tmp_path: Path) -> None:
    cells = [
        new_markdown_cell("# Only *a* title"),
        new_code_cell("x", outputs=[new_output("execute_result", {"text/plain": HOSTILE})]),
        new_code_cell("y", outputs=[new_output("display_data", {"application/vnd.jupyter.widget-view+json": {}})]),
        new_code_cell("z", outputs=[new_output("stream", name="stderr", text="noise\n 50%|##  | 1/2 [00:01, 1it/s]")]),
        new_code_cell("p", outputs=[new_output("display_data", {"image/png": "iVBORw0KGgo=", "text/plain": "<F>"})]),
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "91_any.ipynb")
    page = pages.to_html(tmp_path / "91_any.ipynb", site.NAVIGATION).read_text()
    assert "&lt;script&gt;alert" in page
    assert "noise" not in page
    assert "widget-view" not in page
    assert References(page).images == ["figure without description"]


@pytest.mark.parametrize(
    "tex",
    [
        r"\hat M_c = M_c / (\max_{u,v} M_c + 10^{-5})",
        r"x'=\lambda x_a+(1-\lambda)x_b",
        r"\lambda\sim\mathrm{Beta}(\alpha,\alpha)",
        r"L_{ent}=-\frac{1}{HW}\sum_{h,w}\sum_{c}P^c_{hw}\log P^c_{hw}",
        r"\begin{aligned} a &= b \\ c &= d \end{aligned}",
        r"\min_{T_c\in\mathbb R^{D\times K}}\ \frac1{N_c}\sum_{i:\,y_{i,c}=1}\lVert\bar f_i-T_c a_i\rVert_2^2",
        r"a_{ij}=\exp\Bigl(-\tfrac1{448}\lVert e_i-e_j\rVert_1\Bigr)",
    ],
)
def test_formulas_of_the_thesis_are_converted(tex: str) -> None:
    markup = formulas.to_html(tex, display=True)
    assert "<math" in markup
    assert "\\" not in markup
    assert "&amp;" not in markup


@pytest.mark.parametrize("tex", [r"\frac{", r"\text{<b>}", r"\unknown", r"a & b"])
def test_formula_that_cannot_be_converted_is_shown_as_written(tex: str) -> None:
    markup = formulas.to_html(tex)
    assert markup.startswith('<code class="tex">')
    assert "<b>" not in markup


def test_new_measurements_are_a_new_question_to_the_notebook_that_shows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "project_root", lambda: tmp_path)
    results = tmp_path / "benchmarks" / "gpu" / "some-gpu.json"
    results.parent.mkdir(parents=True)

    def questions() -> list[str]:
        names = ("51_performance", "21_response_maps")
        return [jobs.question(NOTEBOOKS / f"{name}.ipynb", {}, []) for name in names]

    before = questions()
    results.write_text("{}")
    measured = questions()
    assert measured[0] != before[0] and measured[1] == before[1]
    assert questions() == measured
    results.write_text('{"tiny": false}')
    assert questions()[0] != measured[0]
