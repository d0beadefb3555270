import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from linked_store import linked_store
from places import ROOT
from torchvision.models import resnet

from companion.cli import command_line
from companion.cli import main as cli
from companion.cli.doctor import NEEDED_GB
from companion.experiments.catalogue import experiment
from companion.pipeline import engine
from companion.pipeline.stages import data
from companion.pipeline.store import Store
from companion.settings import PRESETS, Machine, load

README = (ROOT / "README.md").read_text()


def _thesis(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    places = ["--runs-dir", str(folder / "runs"), "--reports-dir", str(folder / "reports")]
    return subprocess.run(
        [sys.executable, "-m", "companion", *arguments, *places],
        cwd=folder,
        env=os.environ | environment,
        text=True,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["reproduce", "--preset", "dmo"], "did you mean 'demo'"),
        (["reproduce", "--profile", "txt"], "did you mean 'text'"),
        (["reproduce", "--seeds", "0"], "seeds must be at least 1"),
        (["status", "--seeds", "3,3"], "3 is there twice"),
        (["doctor", "--seeds", "104-100"], "a range goes up"),
        (["run", "21_response_maps", "--preset", "smoke", "--seeds", "few"], "such as 100-104"),
        (["run", "21_response_maps", "--preset", "smoke", "-p", "seeds", "[1, -1]"], "-1 is not a whole number"),
        (["run", "21_response_maps", "--preset", "smoke", "-p", "seeds", "100-104"], "or a list of seeds"),
        (["reproduce", "--set", "classifier.mixup_alfa=1"], "did you mean 'classifier.mixup_alpha'"),
        (["reproduce", "--only", "21_response_map"], "did you mean '21_response_maps'"),
        (["run", "21_response_maps", "-p", "sedes", "3"], "did you mean 'seeds'"),
        (["run", "21_response_maps", "--preset", "voc2012"], "data_root"),
        (["run", "21_response_maps", "--preset", "smoke", "-p", "alpha", "9"], "mixup_alpha = 9"),
        (["run", "21_response_maps", "--preset", "smoke", "-p", "alpha", "much"], "expected float"),
        (["status", "--data-root", "/nowhere"], "no data folder"),
    ],
)
def test_bad_input_ends_with_one_clear_line_before_any_work(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = ["--runs-dir", str(tmp_path / "runs"), "--reports-dir", str(tmp_path / "reports")]
    assert cli.main([*arguments, *places]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", ["0", "-1", "two", "1.5"])
@pytest.mark.parametrize("command", [["reproduce"], ["batch", "some.toml"]])
def test_a_number_of_workers_that_computes_nothing_is_refused(
    command: list[str], number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main([*command, f"--workers={number}"])
    assert f"expected a whole number of at least 1, got '{number}'" in capsys.readouterr().err


def test_status_and_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path / "runs")
    engine.run([data.stage(load("smoke"), Machine(device="cpu"))], store)
    unfinished = tmp_path / "runs" / "classifier" / "0123456789abcdef.part"
    unfinished.mkdir(parents=True)
    (unfinished / "config.json").write_text("{}")
    common = ["--preset", "smoke", "--seeds", "1", "--runs-dir", str(tmp_path / "runs")]
    assert cli.main(["status", *common]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"01_data +1 of +1 stages +\d+ s +report: none", shown)
    assert re.search(r"21_response_maps +1 of +\d+ stages +\d+ s +left: unknown +report: none", shown)
    assert re.search(r"all, each stage once +1 of +\d+ stages", shown)
    assert "1 unfinished" in shown
    assert cli.main(["clean", *common[-2:]]) == 0
    assert "deleted 1 artefacts" in capsys.readouterr().out
    assert cli.main(["clean", "--all", *common[-2:]]) == 0
    assert not list((tmp_path / "runs").glob("data/*/"))


def test_seeds_by_range_are_those_of_the_stages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path / "runs")
    common = ["--preset", "smoke", "--runs-dir", str(store.root), "--reports-dir", str(tmp_path / "reports")]
    asked = experiment("21_response_maps", load("smoke"), (0, 100, 101), Machine())
    (classifier, *_) = [stage for stage in engine.in_order(asked.stages()) if stage.settings.get("seed") == 100]
    store.folder(classifier).mkdir(parents=True)
    (store.folder(classifier) / "provenance.json").write_text('{"duration_s": 70, "resumed": false}')
    (store.folder(classifier) / "config.json").write_text('{"stage": "classifier"}')
    shown: dict[str, tuple[int, ...]] = {}
    for seeds in ("3", "0,100-101", "7-7", "100-100"):
        assert cli.main(["status", *common, "--seeds", seeds]) == 0
        (counts,) = re.findall(r"21_response_maps +(\d+) of +(\d+)", out := capsys.readouterr().out)
        shown[seeds] = tuple(map(int, counts))
        assert ("1 min 10 s" in out) == (shown[seeds][0] == 1)
    assert shown["3"][1] == shown["0,100-101"][1] > shown["7-7"][1] == shown["100-100"][1]
    assert [done for done, _ in shown.values()] == [0, 1, 0, 1]


def test_reports_that_cannot_be_written_are_a_sentence_with_path_and_cause(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    places = ["--runs-dir", str(tmp_path / "runs"), "--reports-dir", str(tmp_path / "file" / "reports")]
    assert cli.main(["run", "01_data", "--preset", "smoke", "--seeds", "1", *places]) == 1
    said = capsys.readouterr().err
    assert re.search(r"thesis: .*Not a directory: '.*/file/reports/smoke': see that .* can be written", said)


def test_doctor_says_what_is_missing_and_how_to_get_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--preset", "voc2012", "--runs-dir", str(tmp_path)]) == 1
    shown = capsys.readouterr().out
    assert re.search(r"MISSING data .*no folder given\n.*--data-root", shown)
    assert re.search(r"MISSING ImageNet weights .*no file given\n.*backbone\.weights", shown)
    assert re.search(r"MISSING DeepLab weights .*no file given\n.*segmentation\.weights=FILE: .*resnet101-", shown)
    cli.main(["doctor", "--preset", "demo", "--runs-dir", str(tmp_path)])
    shown = capsys.readouterr().out
    assert "MISSING data" not in shown and "DeepLab weights" not in shown


@pytest.mark.parametrize("preset", [*PRESETS, "of one's own"])
def test_doctor_knows_every_preset(
    preset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, "of one's own", PRESETS["smoke"])
    cli.main(["doctor", "--preset", preset, "--runs-dir", str(tmp_path)])
    shown = capsys.readouterr().out
    assert ("was not measured" in shown) == (preset not in NEEDED_GB) and set(PRESETS) - {*NEEDED_GB} == {
        "coco2014",
        "of one's own",
    }


def test_doctor_loads_the_initial_weights_of_deeplab(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = resnet.ResNet(resnet.Bottleneck, [1, 1, 1, 1]).state_dict()
    torch.save(theirs, tmp_path / "resnet.pth")
    chosen = ["segmentation.init=imagenet", f"segmentation.weights={tmp_path}/resnet.pth"]

    def doctor(*overrides: str) -> str:
        given = [word for override in (*chosen, *overrides) for word in ("--set", override)]
        cli.main(["doctor", "--preset", "smoke", "--runs-dir", str(tmp_path), *given])
        return next(line for line in capsys.readouterr().out.splitlines() if "DeepLab weights" in line)

    tensors = sum("num_batches" not in name and "fc." not in name for name in theirs)
    assert re.search(rf"^ok .*imagenet, .*resnet\.pth: {tensors} tensors", doctor("segmentation.width=1"))
    assert re.search(r"^MISSING .*resnet\.pth does not fit", doctor())


@pytest.mark.slow
def test_readmes_example_of_a_new_regulariser_gets_its_row(tmp_path: Path, shared_store: Store) -> None:
    usual = experiment("21_response_maps", load("smoke"), range(1), Machine(device="cpu"))
    linked_store(usual.stages(), shared_store, tmp_path / "runs")
    code = next(block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "smoothness_loss" in block)
    command = next(line for line in README.splitlines() if line.startswith("PYTHONPATH=. thesis run"))
    (tmp_path / "smoothness.py").write_text(code)
    arguments = shlex.split(command)[2:]
    done = _thesis(*arguments, "--preset", "smoke", "--seeds", "1", folder=tmp_path, PYTHONPATH=".")
    assert done.returncode == 0, done.stdout + done.stderr
    tables = (tmp_path / "reports" / "smoke" / "21_response_maps").glob("*.csv")
    rows = {str(row) for table in tables for row in pd.read_csv(table).iloc[:, 0]}
    assert "CAM + smoothness" in rows


@pytest.mark.slow
def test_reproduce_twice_computes_nothing_the_second_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("reproduce", "--preset", "smoke", "--seeds", "1", "--only", "01_data", "--workers", "1")
    first = _thesis(*arguments, folder=tmp_path)
    assert first.returncode == 0, first.stdout + first.stderr
    assert str(tmp_path / "reports" / "smoke" / "index.html") in first.stdout
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*")}
    places = ["--runs-dir", str(tmp_path / "runs"), "--reports-dir", str(tmp_path / "reports")]
    assert cli.main([*arguments, *places]) == 0
    second = capsys.readouterr().out
    assert "0 stages to compute" in second
    assert re.search(r"01_data +up to date", second)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*")} == before


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("False", False), ("['cam']", ["cam"]), ('["cam"]', ["cam"]), ("1e-3", 0.001), ("demo", "demo")],
)
def test_parameters_are_json_or_python_or_text(text: str, value: Any) -> None:
    assert command_line.value(text) == value
