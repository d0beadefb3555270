"""Where a result comes from: the commit, the versions of packages and the hardware of this process."""

import functools
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def provenance() -> dict[str, Any]:
    """Commit, versions and hardware of this process."""
    import torch  # not with the module: see `Machine.torch_device`

    packages = {name: importlib.metadata.version(name) for name in ("torch", "numpy", "scikit-learn", "pillow")}
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    instructions = torch.backends.cpu.get_cpu_capability()  # decides how results are rounded
    machine = {"processor": platform.machine(), "cores": os.cpu_count(), "gpu": gpu, "instructions": instructions}
    return {"commit": commit(), "versions": {"python": platform.python_version()} | packages, "hardware": machine}


def hardware_in_words(hardware: Mapping[str, Any]) -> str:
    """The GPU, or else the cores.

    >>> hardware_in_words({"processor": "x86_64", "cores": 2, "gpu": None})
    '2 CPU cores, x86_64'
    """
    return hardware["gpu"] or f"{hardware['cores']} CPU cores, {hardware['processor']}"


@functools.cache
def commit() -> str:
    """The commit of this source tree, with `-dirty` where tracked files differ from it; `unknown` outside git."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
