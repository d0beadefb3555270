"""Where a result comes from: the commit, the versions of packages and the hardware of a process, kept beside it."""

import functools
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

PROVENANCE = "provenance.json"
"""In the folder of every artefact of a store."""


def provenance() -> dict[str, Any]:
    """Commit, versions and hardware of this process."""
    import torch  # not with the module: see `Machine.torch_device`

    packages = {name: importlib.metadata.version(name) for name in ("torch", "numpy", "scikit-learn", "pillow")}
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    instructions = torch.backends.cpu.get_cpu_capability()  # decides how results are rounded
    machine = {"processor": platform.machine(), "cores": os.cpu_count(), "gpu": gpu, "instructions": instructions}
    return {"commit": commit(), "versions": {"python": platform.python_version()} | packages, "hardware": machine}


def recorded(folder: Path) -> dict[str, Any]:
    """Who computed the artefact in a folder of a store, when, with what, of which inputs, and how long it took."""
    return json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))


def upstream(folder: Path, without: Collection[str] = ()) -> list[Path | None]:
    """A folder of a store and those that it was made of, each once, itself first.

    Args:
        folder: of an artefact.
        without: stages that are left out, with what is above them.

    Returns:
        None in place of folders that are not in this store, such as one of published scores.
    """
    found: dict[Path | None, None] = {folder: None}
    for name, key in recorded(folder)["inputs"].items():
        if name not in without:
            above = next(folder.parents[1].glob(f"*/{key}"), None)
            found |= dict.fromkeys(upstream(above, without) if above else [None])
    return [*found]


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
