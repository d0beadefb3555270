"""Kill a training with SIGKILL in its middle and let another process continue it."""

import signal
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = """
import sys, torch
from pathlib import Path
from thesislib import engine, settings
from thesislib.settings import Machine
from thesislib.store import Store
from {module} import {function}
torch.set_num_threads(1)
stage = {function}(settings.load("smoke", {overrides!r}), Machine(device="cpu", checkpoint_seconds=0))
print(engine.run([stage], Store(Path(sys.argv[1])))[stage.key])
"""


def compare_with_undisturbed(folder: Path, module: str, function: str, overrides: dict, files: list[str]) -> None:
    """Train once undisturbed and once killed and continued; the named files must have the same bits.

    Args:
        folder: for both stores.
        module, function: of the stage.
        overrides: settings on top of preset smoke that make the training long enough to be killed.
        files: in the stage's folder.
    """
    command = [sys.executable, "-c", PROGRAM.format(module=module, function=function, overrides=overrides)]
    undisturbed = Path(subprocess.check_output([*command, folder / "a"], text=True).split()[-1])
    name = undisturbed.parent.name
    process = subprocess.Popen([*command, folder / "b"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 180
    while not list((folder / "b").glob(f"{name}/*.part/checkpoint.safetensors")):
        assert process.poll() is None and time.monotonic() < deadline, "no checkpoint appeared"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "b" / name / undisturbed.name).exists(), "finished before it could be killed"
    resumed = Path(subprocess.check_output([*command, folder / "b"], text=True).split()[-1])
    assert resumed.name == undisturbed.name
    for file in files:
        assert (resumed / file).read_bytes() == (undisturbed / file).read_bytes(), file
    assert '"resumed": true' in (resumed / "provenance.json").read_text()
