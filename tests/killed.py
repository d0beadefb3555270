"""Cut a stage short in its middle, by SIGKILL or by an exception, and let it be continued."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from linked_store import linked_store

from companion import settings
from companion.pipeline import engine
from companion.pipeline.store import Progress, Stage, Store
from companion.settings import Machine, Settings

HERE = Machine(device="cpu", checkpoint_minutes=0)
PROGRAM = """
import sys
from pathlib import Path
from killed import HERE
from companion.pipeline import engine
from companion import settings
from companion.pipeline.store import Store
from {module} import {function}
engine.run([{function}(settings.load("smoke", {overrides!r}), HERE)], Store(Path(sys.argv[1])))
"""


def compare_with_undisturbed(
    folder: Path,
    shared: Store,
    step: Callable[[Settings, Machine], Stage],
    overrides: dict[str, Any],
    files: list[str],
) -> None:
    """Train once undisturbed and once killed and continued; the named files must have the same bits.

    Args:
        folder: for both stores.
        shared: store of what the training builds on.
        step: makes the stage.
        overrides: settings on top of preset smoke that make the training long enough to be killed.
        files: in the stage's folder.
    """
    stage = step(settings.load("smoke", overrides), HERE)
    first, second = (linked_store(stage.inputs.values(), shared, folder / name) for name in "ab")
    undisturbed = engine.run([stage], first)[stage.key]
    program = PROGRAM.format(module=step.__module__, function=step.__name__, overrides=overrides)
    process = subprocess.Popen(
        [sys.executable, "-c", program, second.root],
        cwd=Path(__file__).parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 180
    while not list(second.root.glob(f"{stage.name}/*.part/checkpoint.safetensors")):
        assert process.poll() is None and time.monotonic() < deadline, "no checkpoint appeared"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert second.begun(stage) and not second.has(stage), "finished before it could be killed"
    resumed = engine.run([stage], second)[stage.key]
    for file in files:
        assert (resumed / file).read_bytes() == (undisturbed / file).read_bytes(), file
    assert second.provenance(stage)["resumed"]


class Cut(Progress):
    """Counts the reports of a stage, and ends it at one of them."""

    def __init__(self, at: int = 0) -> None:
        self.at, self.reports = at, 0

    def __call__(self, done: int, total: int, text: str = "") -> None:
        self.reports += 1
        if self.reports == self.at:
            raise KeyboardInterrupt


def compare_cut_with_undisturbed(folder: Path, shared: Store, stage: Stage, file: str, at: int) -> None:
    """Compute once undisturbed and once cut at a report and continued there; `file` must have the same bits."""
    first, second = (linked_store(stage.inputs.values(), shared, folder / name) for name in "ab")
    undisturbed, resumed = Cut(), Cut()
    expected = (first.compute(stage, undisturbed) / file).read_bytes()
    with pytest.raises(KeyboardInterrupt):
        second.compute(stage, Cut(at))
    assert second.begun(stage)
    assert (second.compute(stage, resumed) / file).read_bytes() == expected
    assert resumed.reports == undisturbed.reports - (at - 1)
    assert not list(second.folder(stage).glob("*checkpoint*"))
