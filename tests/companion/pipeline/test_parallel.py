"""Two processes that share a training end where one alone does."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from linked_store import linked_store
from torch import nn

from companion.cli import main as cli
from companion.experiments import row_stages
from companion.pipeline import artefacts
from companion.pipeline import sharing as parallel
from companion.pipeline.store import Store
from companion.settings import Machine, SettingsError, load, parse_override

FROZEN = {
    "subcategories.round": 1,
    "subcategories.labels": "parent",
    "subcategories.checkpoints": [1],
    "classifier.frozen": True,
    "classifier.accumulate": 2,
    "classifier.mixup_alpha": 0.4,
    "classifier.dropout": 0.5,
}

SHARED = {
    "affinity": (artefacts.AFFINITY_WEIGHTS, ["affinity.accumulate=2"]),
    "segmenter": (
        artefacts.SEGMENTER_WEIGHTS,
        ["segmentation.accumulate=2", "segmentation.frozen=true", "segmentation.supervision=truth"],
    ),
}
"""The file of weights and the settings of the other networks whose training is shared."""
SEVERAL = """\
import sys
from companion.cli import main as cli
from companion.pipeline import sharing as parallel
stop, parallel.stop = parallel.stop, lambda: None  # the processes stay together for the next command
ended = [cli.main(command.split()) for command in sys.argv[1:]]
stop()
sys.exit(max(ended))
"""


def arguments(folder: Path, **overrides: object) -> list[str]:
    given = [f"--set={name}={str(value).lower()}" for name, value in (FROZEN | overrides).items()]
    return ["stage", "classifier", "--preset", "smoke", *given, "--runs-dir", str(folder)]


def run_two(folder: Path, **overrides: object) -> subprocess.CompletedProcess[str]:
    return launch_two("-m", "companion", *arguments(folder, **overrides))


def launch_two(*program: str) -> subprocess.CompletedProcess[str]:
    start = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    command = [sys.executable, *start, *program]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "THESIS_DEVICE": "cpu"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_two_processes_train_what_one_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THESIS_DEVICE", "cpu")
    assert cli.main(arguments(tmp_path / "one")) == 0
    done = run_two(tmp_path / "two")
    assert done.returncode == 0, done.stderr[-3000:]
    assert not list(tmp_path.glob("*/*/*.part"))
    folders = [Path(shown.split()[-1]) for shown in (capsys.readouterr().out, done.stdout)]
    assert folders[0].name == folders[1].name
    alone, shared = (safetensors.torch.load_file(folder / "classifier.safetensors") for folder in folders)
    for name, tensor in alone.items():
        torch.testing.assert_close(shared[name], tensor, rtol=1e-4, atol=1e-5, msg=name)
    for part in ("classification", "sub-categories"):
        losses = [np.load(folder / artefacts.HISTORY)[part] for folder in folders]
        np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    assert (folders[1] / "epoch-001.safetensors").is_file()
    again = run_two(tmp_path / "two")
    assert again.returncode == 0, again.stderr[-3000:]  # there already: no process waits for another


@pytest.mark.slow
def test_two_processes_train_the_networks_of_the_later_steps_as_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_store: Store
) -> None:
    monkeypatch.setenv("THESIS_DEVICE", "cpu")
    chosen = {name: load("smoke", dict(parse_override(line) for line in lines)) for name, (_, lines) in SHARED.items()}
    stages = {name: row_stages.TRAINED[name](settings, Machine()) for name, settings in chosen.items()}
    upstream = [above for stage in stages.values() for above in stage.inputs.values()]
    stores = [linked_store(upstream, shared_store, tmp_path / name) for name in ("one", "two")]

    def commands(store: Store) -> list[list[str]]:
        given = {name: [word for line in lines for word in ("--set", line)] for name, (_, lines) in SHARED.items()}
        places = ["--preset", "smoke", "--runs-dir", str(store.root)]
        return [["stage", name, *given[name], *places] for name in SHARED]

    assert [cli.main(command) for command in commands(stores[0])] == [0, 0]
    (tmp_path / "several.py").write_text(SEVERAL)
    done = launch_two(str(tmp_path / "several.py"), *(" ".join(command) for command in commands(stores[1])))
    assert done.returncode == 0, done.stderr[-3000:]
    for name, (file, _) in SHARED.items():
        alone, shared = (safetensors.torch.load_file(store.folder(stages[name]) / file) for store in stores)
        assert alone.keys() == shared.keys()
        for key, tensor in alone.items():
            torch.testing.assert_close(shared[key], tensor, rtol=1e-4, atol=1e-5, msg=f"{name}: {key}")
        losses = [np.load(store.folder(stages[name]) / artefacts.HISTORY) for store in stores]
        for term in losses[0].files:
            np.testing.assert_allclose(losses[1][term], losses[0][term], rtol=1e-4)


@pytest.mark.slow
def test_a_setting_that_does_not_exist_is_told_once(tmp_path: Path) -> None:
    refused = run_two(tmp_path, **{"classifier.accumulat": 2})
    assert refused.returncode != 0
    assert refused.stderr.count("unknown setting 'classifier.accumulat'; did you mean") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_parts_that_cannot_be_shared_are_refused(tmp_path: Path) -> None:
    refused = run_two(tmp_path, **{"classifier.accumulate": 1})
    assert refused.returncode != 0
    assert "2 processes cannot share 1 parts" in refused.stderr + refused.stdout


def test_a_process_of_its_own_has_every_part() -> None:
    assert parallel.Processes().own_parts("abc") == [(0, "a"), (1, "b"), (2, "c")]
    assert parallel.rank() == 0 and parallel.size() == 1 and parallel.is_first()


@pytest.mark.parametrize(("accumulate", "message"), [(3, "cannot share 3 parts"), (4, "frozen=true")])
def test_several_processes_need_parts_to_share_and_frozen_statistics(
    monkeypatch: pytest.MonkeyPatch, accumulate: int, message: str
) -> None:
    monkeypatch.setattr(parallel, "size", lambda: 2)
    with pytest.raises(SettingsError, match=message):
        parallel.Processes().check(nn.BatchNorm2d(2).train(), accumulate)
    parallel.Processes().check(nn.BatchNorm2d(2).eval(), 4)
