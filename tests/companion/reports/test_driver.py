"""Reports made side by side: each once, whoever wants it, and one line for each at the end."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import stage_functions as functions
from notebook_files import write_notebook

from companion.pipeline.store import Store
from companion.reports import driver
from companion.reports.driver import Outcome
from companion.reports.jobs import Job
from companion.reports.record import FILE, Record

LOGGED = """\
import time
from pathlib import Path
log = Path({log!r})
with log.open("a") as file:
    print("begin", alpha, file=file)
time.sleep(1)
with log.open("a") as file:
    print("end", alpha, file=file)
"""


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small notebook of a project of its own, which writes to a log when it begins and ends."""
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    return write_notebook(tmp_path / "notebooks" / "21_small.ipynb", LOGGED.format(log=str(tmp_path / "log")))


def job(notebook: Path, alpha: float = 0.2, question: str = "") -> Job:
    parameters = {"alpha": alpha, "runs_dir": "runs"}
    return Job(f"alpha {alpha}", notebook, parameters, Path("reports"), "smoke", question=question)


@pytest.mark.slow
def test_two_that_make_one_report_do_not_mix_their_pages(notebook: Path, tmp_path: Path) -> None:
    outcomes = driver.make([job(notebook, 0.2), job(notebook, 0.4)], at_once=2)
    assert [outcome.state for outcome in outcomes] == ["done", "done"]
    first, second, third, fourth = (tmp_path / "log").read_text().splitlines()
    assert (first.split()[0], third.split()[0]) == ("begin", "begin")
    assert second == first.replace("begin", "end") and fourth == third.replace("begin", "end") != second
    record = Record.read(tmp_path / "reports" / "smoke" / "21_small" / FILE)
    assert third == f"begin {record.parameters['alpha']}"
    assert f"alpha = {record.parameters['alpha']}" in (tmp_path / "reports" / "smoke" / "index.html").read_text()


@pytest.mark.slow
def test_a_report_that_two_want_is_made_once_and_again_only_for_another_question(
    notebook: Path, tmp_path: Path
) -> None:
    assert {each.state for each in driver.make([job(notebook, question="a"), job(notebook, question="a")], 2)} == {
        "done"
    }
    (outcome,) = driver.make([job(notebook, question="a")])
    assert outcome.state == driver.FINISHED
    assert (tmp_path / "log").read_text().count("begin") == 1
    (tmp_path / "reports" / "smoke" / "21_small" / FILE).write_text("{")
    assert not job(notebook, question="a").is_done() and not job(notebook, question="b").is_done()


@pytest.mark.slow
def test_first_report_is_there_before_the_last_stage_and_the_index_before_the_first(
    notebook: Path, tmp_path: Path
) -> None:
    """The stage of the second report waits for the first report, that of the first for the index."""
    other = write_notebook(tmp_path / "notebooks" / "22_other.ipynb", "alpha")
    log, reports = str(tmp_path / "stages"), tmp_path / "reports" / "smoke"
    waiting = [
        functions.make(functions.after_file, file=str(reports / page), log=log)
        for page in ("index.html", "21_small.html")
    ]
    jobs = [replace(job(each), stages=[stage]) for each, stage in zip((notebook, other), waiting, strict=True)]
    outcomes = driver.reproduce(jobs, Store(tmp_path / "runs"), workers=1, notebooks_dir=tmp_path / "notebooks")
    assert [outcome.state for outcome in outcomes] == ["done", "done"]
    assert "22_other.html" in (reports / "index.html").read_text()


def test_summary_has_a_line_for_each_and_the_reasons_of_failures(tmp_path: Path) -> None:
    jobs = [Job(name, tmp_path / f"{name}.ipynb", {}, Path("reports"), "smoke") for name in ("21_good", "31_bad")]
    outcomes = [Outcome(jobs[0], "done", 192.0), Outcome(jobs[1], "failed", 7.0, "ValueError: no\nmore of it")]
    assert [re.split(r"\s{2,}", line) for line in driver.summary(outcomes).splitlines()] == [
        ["notebook", "state", "time", "report"],
        ["21_good", "done", "3 min 12 s", "reports/smoke/21_good.html"],
        ["31_bad", "failed", "7 s", "reports/smoke/31_bad.html"],
        ["31_bad: ValueError: no"],
    ]


def test_what_a_report_answers_is_in_its_record(tmp_path: Path) -> None:
    asked = Job("21_small", tmp_path / "21_small.ipynb", {}, tmp_path, "smoke", question="what?")
    Record(notebook="21_small", state="done").write(asked.exports / FILE)
    asked.html.touch()
    assert not asked.is_done()
    asked.remember()
    assert asked.is_done() and json.loads((asked.exports / FILE).read_text())["question"] == "what?"
