"""A store of published results: what tables, curves and verdicts need of each artefact, and nothing is computed in it.

A run may go on from one: what it shows of published artefacts is read there, everything else is computed.

Photographs, masks, maps, features and weights are left out. Keys are found without data and weight files: what was read
of these is in the `config.json` of the artefacts. Nothing here corresponds to published code.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import ZIP_LZMA, ZipFile, ZipInfo

import numpy as np

from companion.datasets import published as published_data
from companion.datasets.published import MARK
from companion.pipeline import artefacts
from companion.pipeline.provenance import PROVENANCE, hardware_in_words, recorded
from companion.pipeline.stages.data import SPLITS
from companion.pipeline.store import Progress, Stage, StageFailed, Store
from thesislib.data.voc import VocDataset

SCORES = "scores"
"""The store beside the pages of a snapshot."""
COPIED = ("config.json", PROVENANCE, artefacts.PRETEXT_ACCURACY, artefacts.DATASET_FACTS)
PACKED = (artefacts.SCORES, artefacts.SUBCATEGORIES)
WHOLE = {"subcategories": artefacts.SUBCATEGORIES}
"""Stages whose published form is all that later stages read, and its file."""
NAMED = 3
"""Of more commits the number is said."""
NEEDS_CRF = ("affinity_labels", "affinity", "refined_maps", "pseudo_masks", "segmenter", "segmentation")
"""Stages that are planned on machines with the dense CRF alone."""


@dataclass(frozen=True)
class PublishedStore(Store):
    """Published results under one root folder."""

    @cached_property
    def _said(self) -> dict[str, Any]:
        return json.loads((self.root / MARK).read_text(encoding="utf-8"))

    @property
    def remark(self) -> str:
        commits = self._said["commits"]
        at = f"commit {', '.join(commits)}" if len(commits) <= NAMED else f"{len(commits)} commits, which {MARK} names,"
        return (
            f"Made again from {self._said['artefacts']} published results, which were computed in "
            f"{self._said['hours']} hours at {at} on {' and '.join(self._said['hardware'])}; nothing was computed anew."
        )

    @property
    def crf(self) -> bool:
        return self._said["crf"]

    def expect(self, stages: Iterable[Stage]) -> None:
        """Bind stages to what was read when they were computed.

        Raises:
            StageFailed: one of them is not published.
        """
        for wanted in stages:
            for stage in wanted.upstream():
                if stage.reads and not stage.is_bound:
                    stage.bind_with(self._read(stage))
            if not self.has(wanted):
                raise StageFailed(self._missing(f"{wanted}"))

    def compute(self, stage: Stage, progress: Progress | None = None) -> Path:
        """The folder of a published artefact.

        Raises:
            StageFailed: it is not published.
        """
        if not self.has(stage):
            raise StageFailed(self._missing(f"{stage}"))
        return self.folder(stage)

    def _read(self, stage: Stage) -> dict[str, Any]:
        """What the published artefact that answers the question of a stage has read of files."""
        inputs, known = {name: above.key for name, above in stage.inputs.items()}, stage.question
        found = {}
        for file in sorted((self.root / stage.name).glob("*/config.json")):
            config = json.loads(file.read_text(encoding="utf-8"))
            origin = recorded(file.parent)
            if origin["inputs"] == inputs and all(config.get(name) == value for name, value in known.items()):
                found[file.parent.name] = {name: value for name, value in config.items() if name not in known}
        if not found:
            raise StageFailed(self._missing(f"{stage.name} {stage.label}".strip()))
        if len(found) > 1:
            raise StageFailed(f"{stage.name} is published of several files ({', '.join(found)}) in {self.root}")
        return next(iter(found.values()))

    def _missing(self, stage: str) -> str:
        return (
            f"{stage} is not among the published results in {self.root}, and nothing is computed there: give a "
            "runs_dir of your own (and data_root) to compute it"
        )


@dataclass(frozen=True)
class ContinuedStore(Store):
    """A store of one's own that goes on from published results: what is published need not be computed to be shown.

    Keys agree only where settings, data and versions of stages do. Of what is published, sub-category labels alone are
    enough to compute from (`WHOLE`), so that a round is trained without those before it; any other stage that a
    missing one needs is computed here too. The data are always those that are here.
    """

    published: PublishedStore

    def place(self, stage: Stage) -> Path:
        own, theirs = self.folder(stage), self.published.folder(stage)
        return theirs if stage.name != "data" and theirs.is_dir() and not own.is_dir() else own

    def usable(self, stage: Stage) -> bool:
        return self.has(stage) or (stage.name in WHOLE and (self.place(stage) / WHOLE[stage.name]).is_file())

    def finished(self, name: str) -> list[Path]:
        return [*super().finished(name), *self.published.finished(name)]

    def sources(self, stages: Iterable[Stage]) -> list[Stage]:
        """The published results that those stages which were computed here were computed from, each once."""
        found: dict[str, Stage] = {}

        def visit(stage: Stage) -> None:
            for above in stage.inputs.values():
                if self.has(above):
                    visit(above)
                elif self.usable(above):
                    found.setdefault(above.key, above)

        for stage in stages:
            if self.has(stage):
                visit(stage)
        return [*found.values()]

    def borrowed(self, stages: Iterable[Stage]) -> list[Stage]:
        """Those that are read from the published results, each once."""
        return [*{stage.key: stage for stage in stages if self.place(stage) != self.folder(stage)}.values()]


def find_scores(snapshot: Path) -> Path:
    """The store of published results in a snapshot.

    Raises:
        ValueError: there is none.
    """
    if not (snapshot / SCORES / MARK).is_file():
        raise ValueError(
            f"{snapshot} has no published scores: expected {snapshot / SCORES / MARK}, which `thesis snapshot` writes"
        )
    return snapshot / SCORES


def open_store(root: Path, snapshot: Path | None = None) -> Store:
    """The store in a folder, published or one's own; with a snapshot, one's own that goes on from its scores.

    Raises:
        ValueError: the snapshot has no scores.
    """
    if (root / MARK).is_file():
        return PublishedStore(root)
    return ContinuedStore(root, PublishedStore(find_scores(snapshot).resolve())) if snapshot else Store(root)


def own_store(root: Path) -> Store:
    """The store in a folder, to compute in or to delete from.

    Raises:
        ValueError: its results are published ones.
    """
    if (root / MARK).is_file():
        raise ValueError(
            f"{root} has published results, beside which nothing is computed: give a --runs-dir of your own"
        )
    return Store(root)


def write(root: Path, names: Iterable[str], runs: Sequence[Path], data_root: Path | None) -> None:
    """Write the published form of artefacts to the root of a store.

    Args:
        root: the store to write; what it has already is left as it is.
        names: of artefacts, such as `response_maps/0123456789abcdef`.
        runs: the stores that have them; the first that has one is read.
        data_root: folder of the data where they are not generated.

    Raises:
        ValueError: an artefact is in none of `runs`, or there are results of other data in `root`.
    """
    for name in names:
        target = root / name
        if target.is_dir():
            continue
        source = next((each / name for each in runs if (each / name / "config.json").is_file()), None)
        if source is None:
            raise ValueError(f"artefact {name} is not in {runs[0]}: execute the notebook again, or give its --runs-dir")
        target.mkdir(parents=True)
        for file in COPIED:
            if (source / file).is_file():
                _compact(source / file, target / file)
        for file in PACKED:
            if (source / file).is_file():
                _pack(source / file, target / file)
        if name.startswith("data/"):
            images = data_root or source / artefacts.DATASET
            published_data.write(target / artefacts.DATASET, [VocDataset(images, split) for split in SPLITS])
    if len(folders := _of_folders(root)) > 1:
        raise ValueError(f"results of different data do not go together ({', '.join(folders)}): give another --output")


def _compact(source: Path, target: Path) -> None:
    """Copy a JSON file without spaces, which are a third of thousands of small files."""
    found = json.loads(source.read_text(encoding="utf-8"))
    target.write_text(json.dumps(found, separators=(",", ":")) + "\n", encoding="utf-8")


def write_mark(root: Path) -> None:
    """Say of a store that it is one of published results, and with what these were computed."""
    origins = [recorded(file.parent) for file in sorted(root.glob(f"*/*/{PROVENANCE}"))]
    said = {
        "artefacts": len(origins),
        "commits": sorted({origin["commit"] for origin in origins}),
        "hardware": sorted({hardware_in_words(origin["hardware"]) for origin in origins}),
        "hours": round(sum(origin["duration_s"] for origin in origins) / 3600, 1),
        "crf": any((root / stage).is_dir() for stage in NEEDS_CRF),
    }
    (root / MARK).write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def _of_folders(root: Path) -> list[str]:
    """The artefacts that are data of a folder, not generated."""
    found = (
        file
        for file in sorted(root.glob("data/*/config.json"))
        if "fingerprint" in json.loads(file.read_text(encoding="utf-8"))
    )
    return [f"data/{file.parent.name}" for file in found]


def _pack(source: Path, target: Path) -> None:
    """Arrays in a smaller file: a quarter less than that of `np.savez_compressed`, and the same whenever it is made."""
    with np.load(source) as stored, ZipFile(target, "w") as packed:
        for name in stored.files:
            entry = ZipInfo(f"{name}.npy")
            entry.compress_type = ZIP_LZMA
            with packed.open(entry, "w") as file:
                np.lib.format.write_array(file, stored[name], allow_pickle=False)
