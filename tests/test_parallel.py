"""Two processes that share a training end where one alone does."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from thesislib import parallel
from thesislib.settings import SettingsError

FROZEN = {
    "subcategories.round": 1,
    "subcategories.labels": "parent",
    "subcategories.checkpoints": [1],
    "classifier.frozen": True,
    "classifier.accumulate": 2,
    "classifier.mixup_alpha": 0.4,
    "classifier.dropout": 0.5,
}


def run(folder: Path, *start: str, **overrides: object) -> subprocess.CompletedProcess[str]:
    given = [f"--set={name}={str(value).lower()}" for name, value in (FROZEN | overrides).items()]
    command = [sys.executable, *start, "-m", "thesislib", "stage", "classifier", "--preset", "smoke", *given]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "THESIS_DEVICE": "cpu"}
    return subprocess.run(
        [*command, "--runs-dir", str(folder)], env=environment, capture_output=True, text=True, timeout=300
    )


TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@pytest.mark.slow
def test_two_processes_train_what_one_trains(tmp_path: Path) -> None:
    folders = []
    for name, start in (("one", ()), ("two", TWO)):
        done = run(tmp_path / name, *start)
        assert done.returncode == 0, done.stderr[-3000:]
        assert not list((tmp_path / name).glob("*/*.part"))
        folders.append(Path(done.stdout.split()[-1]))
    assert folders[0].name == folders[1].name
    alone, shared = (safetensors.torch.load_file(folder / "classifier.safetensors") for folder in folders)
    for name, tensor in alone.items():
        torch.testing.assert_close(shared[name], tensor, rtol=1e-4, atol=1e-5, msg=name)
    for part in ("classification", "sub-categories"):
        losses = [np.load(folder / "history.npz")[part] for folder in folders]
        np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    assert (folders[1] / "epoch-001.safetensors").is_file()
    again = run(tmp_path / "two", *TWO)
    assert again.returncode == 0, again.stderr[-3000:]  # there already: no process waits for another


@pytest.mark.slow
def test_parts_that_cannot_be_shared_are_refused(tmp_path: Path) -> None:
    refused = run(tmp_path, *TWO, **{"classifier.accumulate": 1})
    assert refused.returncode != 0
    assert "2 processes cannot share 1 parts" in refused.stderr + refused.stdout


def test_a_process_of_its_own_has_every_part() -> None:
    assert parallel.own_parts("abc") == [(0, "a"), (1, "b"), (2, "c")]
    assert parallel.rank() == 0 and parallel.size() == 1 and parallel.is_first()


@pytest.mark.parametrize(("accumulate", "message"), [(3, "cannot share 3 parts"), (4, "frozen=true")])
def test_several_processes_need_parts_to_share_and_frozen_statistics(
    monkeypatch: pytest.MonkeyPatch, accumulate: int, message: str
) -> None:
    monkeypatch.setattr(parallel, "size", lambda: 2)
    with pytest.raises(SettingsError, match=message):
        parallel.check(nn.BatchNorm2d(2).train(), accumulate)
    parallel.check(nn.BatchNorm2d(2).eval(), 4)
