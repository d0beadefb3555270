"""Results of `gpu_check`, one file a check: the newest one, reading it, and what was measured.

Nothing here corresponds to published code; the thesis' own GPU had 12 GB (2.4.1, 3.4.1).
"""

import json
from pathlib import Path
from typing import Any

from companion.settings.project import project_root

FOLDER = project_root() / "benchmarks" / "gpu"

Record = dict[str, Any]


def newest(folder: Path | None = None) -> Path | None:
    """The results file of the last check of a GPU in a folder, `FOLDER` if none is given; None where there is none."""
    found = [(read(path)["started"], path) for path in (folder or FOLDER).glob("*.json") if not read(path)["tiny"]]
    return max(found)[1] if found else None


def read(path: Path) -> Record:
    """The content of a results file.

    Raises:
        ValueError: it does not exist or is something else.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"cannot read results of gpu-check from {path}: {error}. Delete the file; `make gpu-check` on a machine "
            "with a GPU makes another"
        ) from None
    if not isinstance(record, dict) or not {"started", "tiny", "measurements"} <= record.keys():
        raise ValueError(
            f"{path} holds no results of gpu-check; make them with `make gpu-check` on a machine with a GPU"
        )
    return record


def chosen(results: str) -> Record | None:
    """The content of the results file that a notebook's parameter names, or of the newest; None where there is none.

    Raises:
        ValueError: it cannot be read.
    """
    path = project_root() / Path(results).expanduser() if results else newest()
    return read(path) if path else None


def measured(record: Record, *groups: str) -> list[Record]:
    """The entries of these groups that were measured; of all groups if none is given."""
    return [
        entry
        for entry in record["measurements"]
        if entry["state"] == "measured" and (not groups or entry["group"] in groups)
    ]


def peak(record: Record) -> float | None:
    """TFLOP/s of a large bf16 matrix product on this GPU."""
    return next((entry["tflop_per_s"] for entry in measured(record, "peak")), None)


def device(record: Record) -> str:
    """The name of the GPU with its memory, or what else was measured."""
    hardware = record["hardware"]
    return f"{hardware['gpu']}, {hardware['memory_gib']:.0f} GiB" if hardware.get("gpu") else "no GPU"
