"""`measured.npz`: what a notebook has measured on maps, masks and weights, beside its record.

Its numbers can be shown again where these files are not, as in published results. They are kept artefact by artefact,
so those of several runs go together.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from thesislib.files import write_whole

FILE = "measured.npz"
REPORTS = "reports"
"""In a store of published results: records and measurements, a folder a notebook."""


def entry(name: str, folder: Path) -> str:
    """The name under which a measure is kept, such as `entropy/response_maps/0123456789abcdef`.

    Args:
        name: says what is measured, and all that it depends on but the artefact.
        folder: of the artefact, or in it.
    """
    artefact = next(each for each in (folder, *folder.parents) if (each / "config.json").is_file())
    return f"{name}/{artefact.parent.name}/{artefact.name}"


def write(file: Path, measured: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Replace the file by arrays by name, several under each."""
    arrays = {f"{name}/{i}": each for name, of_name in measured.items() for i, each in enumerate(of_name)}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, partial(np.savez_compressed, **arrays))  # type: ignore[arg-type]


def merge(file: Path, more: Path) -> None:
    """Add to a file what is in another one and not in it; neither has to be there."""
    if more.is_file():
        write(file, read(more) | read(file))


def read(file: Path) -> dict[str, list[np.ndarray]]:
    """What is in the file; nothing where it is missing."""
    if not file.is_file():
        return {}
    found: dict[str, list[np.ndarray]] = {}
    with np.load(file) as stored:
        for name in stored.files:  # in the order in which they were written
            found.setdefault(name.rpartition("/")[0], []).append(stored[name])
    return found


def published(root: Path, notebook: str) -> dict[str, list[np.ndarray]]:
    """What is published of the measurements of a notebook in a store; nothing in a store of one's own."""
    return read(root / REPORTS / notebook / FILE)
