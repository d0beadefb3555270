"""`thesis batch` from file to reports: on small notebooks, of which some fail, die or are killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import stage_functions as functions
from notebook_files import Small, write_notebook
from places import NOTEBOOKS, TESTS

from companion.cli import batch as cli_batch
from companion.cli import main as cli
from companion.experiments import catalogue
from companion.pipeline import engine
from companion.pipeline.stages import data
from companion.pipeline.store import Stage, Store
from companion.reports.record import Record
from companion.settings import Machine, load

COUNTED = """\
import os, signal
from pathlib import Path
folder = Path({folder!r})
with (folder / "executed").open("a") as file:
    file.write(f"{{alpha}}\\n")
"""
FRAGILE = """\
import time
while alpha == 0.4 and not (folder / "go on").exists():
    time.sleep(0.05)
if alpha == 0.4:
    raise ValueError("not today")
if alpha == 0.6:
    os.kill(os.getpid(), signal.SIGKILL)
from companion.experiments.exhibits import KeyNumber
nb.show(KeyNumber("twice alpha", 2 * alpha))
"""
BATCH = 'notebook = "01_data"\npreset = "smoke"\nseeds = 1\n[grid]\nalpha = [{values}]\n'
PROGRAM = f"""\
import sys
from pathlib import Path
sys.path.append({str(TESTS)!r})
from notebook_files import Small
from companion.cli import main as cli, batch as cli_batch
from companion.experiments import catalogue
if __name__ == "__main__":
    catalogue.EXPERIMENTS["01_data"] = Small
    cli_batch.NOTEBOOKS = Path(sys.argv[1])
    sys.exit(cli.main(sys.argv[2:]))
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory is a project of its own, with a notebook of the name and the parameters of `Small`."""
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli_batch, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setitem(catalogue.EXPERIMENTS, "01_data", Small)


def _project(folder: Path, values: str, *cells: str) -> list[str]:
    """A notebook that plans nothing but the data, a batch of it, and the arguments of the command."""
    write_notebook(folder / "notebooks" / "01_data.ipynb", COUNTED.format(folder=str(folder)), *cells)
    (folder / "some.toml").write_text(BATCH.format(values=values))
    places = ["--runs-dir", str(folder / "runs"), "--reports-dir", str(folder / "reports")]
    return ["batch", str(folder / "some.toml"), *places]


def _executed(folder: Path) -> list[str]:
    return sorted((folder / "executed").read_text().split())


def _record(folder: Path, run: str) -> Record:
    return Record.read(folder / "reports" / "batches" / "some" / run / "smoke" / "01_data" / "results.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("01_data", "01_dat"), "did you mean '01_data'"),
        (("alpha", "alhpa"), "did you mean 'alpha'"),
        (("[0.2, 0.4]", "[]"), "alpha has no values"),
        (("[0.2, 0.4]", "['x']"), "is of type str"),
        (("[0.2, 0.4]", "[0.2, 0.2]"), "duplicate run"),
        (("seeds = 1", "seeds = 0"), "seeds = 0"),
        (("[grid]", "[grid"), "is not TOML"),
    ],
)
def test_bad_batch_ends_with_status_2_before_anything_starts(
    change: tuple[str, str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = _project(tmp_path, "0.2, 0.4")
    (tmp_path / "some.toml").write_text((tmp_path / "some.toml").read_text().replace(*change))
    before = sorted(tmp_path.rglob("*"))
    assert cli.main(arguments) == 2
    assert message in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_dry_run_shows_runs_stages_and_times_and_computes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_batch, "NOTEBOOKS", NOTEBOOKS)
    store = Store(tmp_path / "runs")
    for number, seconds in enumerate((20, 40, 600)):
        artefact = store.root / "classifier" / str(number)
        artefact.mkdir(parents=True)
        resumed = "true" if seconds == 600 else "false"
        (artefact / "provenance.json").write_text(f'{{"duration_s": {seconds}, "resumed": {resumed}}}')
        (artefact / "config.json").write_text('{"stage": "classifier"}')
    path = tmp_path / "two.toml"
    grid = (
        "[fixed]\nalphas = [0.2]\nlambda_ents = [0.02]\nlambda_cons = [1e-4]\n[grid]\nlambda_ent_of_c = [0.02, 0.3]\n"
    )
    path.write_text('notebook = "22_sensitivity"\npreset = "smoke"\nseeds = 1\n' + grid)
    before = sorted(tmp_path.rglob("*"))
    places = ["--runs-dir", str(store.root), "--reports-dir", str(tmp_path / "reports")]
    assert cli.main(["batch", str(path), "--dry-run", "--workers", "2", *places]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert sorted(tmp_path.rglob("*")) == before
    # Plain CAM, alpha 0.2, and of panels b and c lambda_con 2e-4, then 1e-4 and 2e-4 with either lambda_ent
    assert shown[0] == "two: 2 run(s) of 22_sensitivity, smoke, 1 seed(s)"
    assert shown[1] == "  lambda_ent_of_c = 0.02: 10 stages to compute, 8 of them for other runs too"
    assert shown[2] == "      needs 1 data, 1 backbone, 4 classifier, 4 response_maps"
    assert shown[3] == "  lambda_ent_of_c = 0.3: 12 stages to compute, 8 of them for other runs too"
    columns = [" ".join(line.split()) for line in shown]
    assert "backbone 1 1 no past runs of this stage" in columns
    assert "classifier 6 3 30 s 3 min 0 s" in columns
    assert shown[-1] == (
        "14 stages to compute: at least 3 min 0 s on one worker, 1 min 30 s on 2 that are always busy; "
        "then the notebooks"
    )


@pytest.mark.slow
def test_killed_batch_goes_on_and_neither_failures_nor_dead_kernels_stop_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = _project(tmp_path, "0.2, 0.4, 0.6", FRAGILE)
    engine.run([data.stage(load("smoke"), Machine())], Store(tmp_path / "runs"))
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, str(tmp_path / "program.py"), str(tmp_path / "notebooks"), *arguments]
    batch = subprocess.Popen([*command, "--workers", "1"], stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 180
    while not (tmp_path / "executed").exists() or _executed(tmp_path) != ["0.2", "0.4"]:
        assert batch.poll() is None and time.monotonic() < deadline, "the second notebook was not reached"
        time.sleep(0.05)
    os.killpg(batch.pid, signal.SIGKILL)
    batch.wait()
    assert _record(tmp_path, "alpha-0p2").state == "done"
    assert _record(tmp_path, "alpha-0p4").state == "unfinished"

    (tmp_path / "go on").touch()
    assert cli.main(arguments) == 1
    again = capsys.readouterr().out
    assert _executed(tmp_path) == ["0.2", "0.4", "0.4", "0.6"]
    assert "alpha = 0.2: its report is up to date" in again
    assert "alpha-0p4: ValueError: not today" in again
    assert "alpha-0p6: DeadKernelError: Kernel died" in again
    states = [line.split()[1] for line in again.splitlines() if line.startswith("0.")]
    assert states == ["up", "failed", "failed"]
    folder = tmp_path / "reports" / "batches" / "some"
    page = (folder / "index.html").read_text()
    assert 'href="alpha-0p4/smoke/01_data.html"' in page and "ValueError: not today" in page
    assert "twice alpha" in page and page.count("✗") == 2
    for run in ("alpha-0p2", "alpha-0p4", "alpha-0p6"):
        assert (folder / run / "smoke" / "01_data.html").is_file()
        assert (folder / run / "smoke" / "index.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("command", ["batch", "reproduce"])
def test_notebook_whose_stage_failed_is_not_executed_and_the_others_are(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a cluster it would compute the stage anew, on the machine where the command runs."""
    tries = tmp_path / "tries"

    class Failing(Small):
        def stages(self) -> list[Stage]:
            return [functions.make(functions.fail, error="value", log=str(tries))] if self.alpha == 0.2 else []

    class Other(Small):
        def stages(self) -> list[Stage]:
            return []

    monkeypatch.setattr(catalogue, "EXPERIMENTS", {"01_data": Failing, "21_other": Other})
    monkeypatch.setattr(catalogue, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(cli, "NOTEBOOKS", tmp_path / "notebooks")
    arguments = _project(tmp_path, "0.2, 0.4")
    folder, failed = tmp_path / "reports" / "batches" / "some" / "alpha-0p2" / "smoke", "alpha-0p2: "
    if command == "reproduce":
        write_notebook(tmp_path / "notebooks" / "21_other.ipynb", COUNTED.format(folder=str(tmp_path)))
        arguments = ["reproduce", "--preset", "smoke", "--seeds", "1", *arguments[2:]]
        folder, failed = tmp_path / "reports" / "smoke", "01_data: "
    assert cli.main([*arguments, "--workers", "1"]) == 1
    assert tries.read_text() == "tried\n"
    assert _executed(tmp_path) == ["0.4" if command == "batch" else "0.2"]
    shown = capsys.readouterr()
    (line,) = [line for line in shown.out.splitlines() if line.startswith(failed) and "as planned" in line]
    assert "StageFailed: not executed, since fail" in line
    record = Record.read(folder / "01_data" / "results.json")
    assert record.state == "failed" and record.error and "as planned" in record.error.text
    assert "as planned" in (folder / "01_data.html").read_text()
