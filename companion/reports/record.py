"""`results.json`: what one execution of a notebook found, with what it was found, and how it ended.

The notebook writes its numbers as it goes; whoever executes it adds how long it took and whether it failed. Provenance
is the commit, versions, hardware, all settings, the seeds, and the keys of every artefact in the store that was used.
"""

import datetime
import importlib.metadata
import json
import math
import os
import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from companion.pipeline.store import provenance

FILE = "results.json"
STATES = ("unfinished", "done", "failed")
WITHOUT_NETWORK = ("data", "backbone")
"""Stages that are the same in every precision: no network computes in them."""
Record = dict[str, Any]


def empty(name: str) -> Record:
    """Every field of a record, with nothing found: `name` is the notebook's."""
    return {
        "notebook": name,
        "title": name,
        "state": STATES[0],
        "error": None,
        "preset": "",
        "parameters": {},
        "generated": None,
        "data": "",
        "commit": "",
        "versions": {},
        "hardware": {},
        "machine": {},
        "device": "",
        "started": "",
        "duration_s": None,
        "network": "",
        "profile": "",
        "seeds": None,
        "seed_values": [],
        "settings": {},
        "changed_settings": {},
        "recipe": {},
        "profiles": {},
        "artefacts": {},
        "key_numbers": [],
        "verdicts": [],
        "tables": [],
        "figures": [],
        "notes": [],
        "thumbnail": None,
    }


def new(name: str, preset: str, parameters: Mapping[str, Any]) -> Record:
    """The record of an execution that starts now: state `unfinished`, nothing found yet."""
    origin = provenance()
    gpu, cores = origin["hardware"]["gpu"], origin["hardware"]["cores"]
    return empty(name) | {
        "preset": preset,
        "parameters": dict(parameters),
        "commit": origin["commit"],
        "versions": {"thesislib": importlib.metadata.version("thesislib")} | origin["versions"],
        "hardware": origin["hardware"],
        "device": gpu or f"{cores} CPU cores, {platform.machine()}",
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def write(path: Path, record: Record) -> None:
    """Replace the file in one step, so that it is never seen half-written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(_plain(record), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Replace a text file in one step."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read(path: Path) -> Record:
    """A record; fields that the file lacks have their empty value.

    Raises:
        ValueError: the file is not a record.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not a record of a notebook ({error}); execute the notebook again") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected the record of a notebook, found {type(found).__name__}")
    return empty(path.parent.name) | found


def replace(entries: list[Record], key: str, entry: Record) -> None:
    """Add an entry, in the place of the one with the same name where a cell is run again."""
    for position, old in enumerate(entries):
        if old[key] == entry[key]:
            entries[position] = entry
            return
    entries.append(entry)


def mixed_precision(record: Record) -> str:
    """A remark where the artefacts of a report were computed in different precision, which is in no key; else empty.

    >>> of = {"classifier/1": {"precision": "fp32"}, "classifier/2": {"precision": "bf16"}, "data/3": {}}
    >>> mixed_precision({"artefacts": of})
    'Different precision in one report: 1 artefact in bf16 (classifier), 1 in fp32 (classifier).'
    """
    stages: dict[str, list[str]] = {}
    for name, artefact in record["artefacts"].items():
        stage = name.split("/")[0]
        if stage not in WITHOUT_NETWORK:
            stages.setdefault(artefact.get("precision") or "unrecorded precision", []).append(stage)
    if len(stages) < 2:
        return ""
    said: list[str] = []
    for precision, names in sorted(stages.items()):
        noun = "" if said else f" artefact{'s' if len(names) > 1 else ''}"
        said.append(f"{len(names)}{noun} in {precision} ({', '.join(sorted(set(names)))})")
    return f"Different precision in one report: {', '.join(said)}."


def _plain(value: Any) -> Any:
    """JSON values: NumPy scalars as numbers, what is not finite as null, anything else as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | range):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool | None) else str(value)
