"""The artefact store: every result is computed once, whole, and says where it came from.

A stage is a function from settings and the folders of earlier stages to a folder of its own. Its key is a hash of
everything that decides the result, so the same question always leads to the same folder `runs/<stage>/<key>/`.
While it is computed, the folder is called `<key>.part`; it is renamed when complete. A killed run leaves the `.part`
folder with its checkpoints behind and the next one continues there. Checkpoints are deleted after the rename alone: one
that a crash leaves in a finished folder takes its place on the disk and nothing else, until `clean`.
"""

import contextlib
import datetime
import errno
import functools
import hashlib
import json
import os
import re
import shutil
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import BaseModel

from companion.pipeline import provenance
from companion.settings import Machine
from thesislib.files import sync, sync_all

KEY_LENGTH = 16
CHECKPOINT = "checkpoint.safetensors"
FAILURE_LOG = "failure.txt"
WAITING = "waiting for another process that computes it"
PATIENCE = 2.0  # seconds between two messages that say so
FULL = (errno.ENOSPC, errno.EDQUOT)


class StageFailed(RuntimeError):
    """A stage could not be computed; the message names it and where its log is."""


class Progress:
    """Receives `progress(done, total, text)` from a running stage; this one ignores it."""

    def __call__(self, done: int, total: int, text: str = "") -> None:
        """Report `done` of `total` units of work."""


@dataclass(frozen=True)
class Job:
    """What a stage function gets: its folder to fill, the finished folders it builds on, and the machine it runs on."""

    folder: Path
    inputs: Mapping[str, Path]
    machine: Machine
    progress: Progress
    file: str = ""


@dataclass(frozen=True, eq=False)
class Stage:
    """One step of the pipeline, not yet computed.

    Describing one touches no file. Files that decide its result are read when it is bound, that is when its key is
    first asked for; what changes on the disk later is seen by a stage that is described anew.

    Args:
        name: folder name in the store.
        version: raised whenever the function's result changes for the same settings.
        compute: `compute(job, **settings)`, a module-level function (workers import it).
        settings: what decides the result: JSON values and settings models.
        inputs: stages it builds on, by the name under which `compute` finds them in `job.inputs`.
        machine: what does not decide the result: paths, device, worker counts.
        file: path of a file that the stage reads; its checksum belongs to the settings, its place decides nothing.
        label: words for progress displays.
        reads: `reads(stage)`, the settings that stand for the content of files, such as a checksum: a module-level
            function, which raises what is wrong with the files.
        check: `check(stage)`, raises what `compute` would fail for, as far as lists and headers say; decides no key.
    """

    name: str
    version: int
    compute: Callable[..., None]
    settings: Mapping[str, Any]
    inputs: Mapping[str, "Stage"] = field(default_factory=dict)
    machine: Machine = field(default_factory=Machine)
    label: str = ""
    file: str = ""
    reads: Callable[["Stage"], Mapping[str, Any]] | None = None
    check: Callable[["Stage"], None] | None = None

    @functools.cached_property
    def bound(self) -> Mapping[str, Any]:
        """All settings, those among them that stand for the content of files."""
        return {**self.settings, **(self.reads(self) if self.reads else {})}

    @property
    def is_bound(self) -> bool:
        """Whether its files have been read."""
        return "bound" in vars(self)

    def bind_as(self, other: "Stage") -> None:
        """Take what a stage of the same description has read, instead of reading it again."""
        vars(self).setdefault("bound", other.bound)

    @functools.cached_property
    def key(self) -> str:
        """Hash of name, version, settings and the keys upstream; binds the stage and those upstream."""
        question = {"stage": self.name, "version": self.version, "settings": _plain(self.bound)}
        return _hash(question | {"inputs": {name: stage.key for name, stage in self.inputs.items()}})

    @functools.cached_property
    def description(self) -> str:
        """Hash of what is known before any file is read; in one process, where it is equal, so is the key."""
        places = {"file": self.file, "root": self.machine.data_root, "reads": str(self.reads)}
        return _hash(self.question | places | {"inputs": {n: each.description for n, each in self.inputs.items()}})

    def bind_with(self, read: Mapping[str, Any]) -> None:
        """Take what is known to have been read, instead of reading it."""
        vars(self).setdefault("bound", {**self.settings, **read})

    @property
    def question(self) -> dict[str, Any]:
        """What is known before any file is read, as JSON values: that part of `config.json`."""
        return {"stage": self.name, "version": self.version} | json.loads(json.dumps(_plain(self.settings)))

    def __str__(self) -> str:
        return f"{self.name} {self.key}" + (f" ({self.label})" if self.label else "")

    def upstream(self) -> Iterator["Stage"]:
        """This stage and all it builds on, those it needs first."""
        for stage in self.inputs.values():
            yield from stage.upstream()
        yield self


@dataclass(frozen=True)
class Store:
    """Artefacts under one root folder, safe to share between processes and users."""

    root: Path

    @property
    def remark(self) -> str:
        """What a report has to say of the store."""
        return ""

    @property
    def crf(self) -> bool | None:
        """Whether its results are those of a machine with the dense CRF; None: of this one."""
        return None

    def expect(self, stages: Iterable[Stage]) -> None:
        """Be told what will be asked of it, before the files are read that decide the keys."""

    def folder(self, stage: Stage) -> Path:
        """Where the finished artefact is or will be."""
        return self.root / stage.name / stage.key

    def place(self, stage: Stage) -> Path:
        """Where the artefact is read: its folder, unless another store lends it."""
        return self.folder(stage)

    def has(self, stage: Stage) -> bool:
        """Whether the artefact is complete."""
        return self.folder(stage).is_dir()

    def usable(self, stage: Stage) -> bool:
        """Whether later stages can be computed from the artefact; one that is lent may lack what they need."""
        return self.has(stage)

    def finished(self, name: str) -> list[Path]:
        """The folders of all finished artefacts of a kind, whatever their settings."""
        return [file.parent for file in (self.root / name).glob(f"*/{provenance.PROVENANCE}")]

    def begun(self, stage: Stage) -> bool:
        """Whether the stage was begun and not completed."""
        return _part(self.folder(stage)).is_dir()

    def failure(self, stage: Stage) -> str | None:
        """The log of the last failure, if the stage has failed and not been completed since."""
        log = _part(self.folder(stage)) / FAILURE_LOG
        return log.read_text(encoding="utf-8") if log.is_file() else None

    def compute(self, stage: Stage, progress: Progress | None = None) -> Path:
        """The artefact's folder; computes it first if it is missing. Its inputs must exist.

        Another process computing the same artefact is waited for, and `progress` is told so.

        Raises:
            StageFailed: the stage function raised; its log and checkpoints stay in the `.part` folder.
        """
        final, progress = self.folder(stage), progress or Progress()
        if final.is_dir():
            return final
        with _explained(self.root):
            final.parent.mkdir(parents=True, exist_ok=True)
            with _held(FileLock(final.with_name(final.name + ".lock")), progress):
                if not final.is_dir():
                    self._compute(stage, final, progress)
        return final

    def _compute(self, stage: Stage, final: Path, progress: Progress) -> None:
        part = _part(final)
        resumed = part.is_dir()
        part.mkdir(exist_ok=True)
        (part / FAILURE_LOG).unlink(missing_ok=True)
        _write_json(part / "config.json", {"stage": stage.name, "version": stage.version} | _plain(stage.bound))
        inputs = {name: self.place(upstream) for name, upstream in stage.inputs.items()}
        started, clock, cpu = datetime.datetime.now(datetime.UTC), time.monotonic(), _cpu_seconds()
        try:
            stage.compute(Job(part, inputs, stage.machine, progress, stage.file), **stage.bound)
        except Exception as error:
            with contextlib.suppress(OSError):
                (part / FAILURE_LOG).write_text(f"{stage}\n{traceback.format_exc()}", encoding="utf-8")
            raise StageFailed(f"{stage} failed: {error}\nlog: {part / FAILURE_LOG}") from error
        record = provenance.provenance() | {
            "seed": stage.bound.get("seed"),
            "inputs": {name: upstream.key for name, upstream in stage.inputs.items()},
            "file": {"name": Path(stage.file).name, "sha256": stage.bound.get("checksum")} if stage.file else None,
            "precision": stage.machine.precision,
            "compile": stage.machine.compile,
            "started": started.isoformat(timespec="seconds"),
            "duration_s": round(time.monotonic() - clock, 3),
            "cpu_s": round(_cpu_seconds() - cpu, 3),
            "resumed": resumed,
        }
        _write_json(part / provenance.PROVENANCE, record)
        sync_all(part)
        part.rename(final)
        sync(final.parent)
        _delete_checkpoints(final)

    def provenance(self, stage: Stage) -> dict[str, Any]:
        """Who computed the artefact, when, with what, and how long it took."""
        return provenance.recorded(self.place(stage))

    def clean(self, *, everything: bool = False) -> int:
        """Delete unfinished folders (all artefacts with `everything`) that nobody is computing; returns how many.

        Checkpoints that a crash has left in finished folders go as well.
        """
        deleted = 0
        for folder in sorted(self.root.glob("*/*")):
            if not _is_artefact(folder):
                continue
            if not (everything or folder.suffix == ".part"):
                _delete_checkpoints(folder)
                continue
            lock = FileLock(folder.with_name(folder.name.removesuffix(".part") + ".lock"))
            with contextlib.suppress(TimeoutError), lock.acquire(timeout=0):
                shutil.rmtree(folder)
                deleted += 1
        return deleted


def _cpu_seconds() -> float:
    """Of this process so far, with its threads and the processes that it waited for."""
    return sum(os.times()[:4])


def without_file(settings: Any) -> Any:
    """Settings without the path of their weight file, which a checksum stands for in keys."""
    return settings.model_copy(update={"weights": ""})


def absolute_path(file: str) -> str:
    """The path of a file that a stage reads, for workers with another working directory; empty where there is none."""
    return str(Path(file).absolute()) if file else ""


def digest(**made_of: Any) -> str:
    """A short name of settings, for what depends on them and is no artefact of its own."""
    return _hash(_plain(made_of))


def _is_artefact(folder: Path) -> bool:
    """Whether a folder is one of the store's, so that nothing else is ever deleted."""
    is_key = re.fullmatch(rf"[0-9a-f]{{{KEY_LENGTH}}}(\.part)?", folder.name)
    return bool(is_key) and folder.is_dir() and (folder / "config.json").is_file()


def _part(folder: Path) -> Path:
    return folder.with_name(folder.name + ".part")


def _hash(question: Mapping[str, Any]) -> str:
    text = json.dumps(question, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(text).hexdigest()[:KEY_LENGTH]


def _plain(value: Any) -> Any:
    """Settings as JSON values."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _delete_checkpoints(folder: Path) -> None:
    """What only an unfinished stage needs: files whose names end in `CHECKPOINT`."""
    for path in folder.glob(f"*{CHECKPOINT}"):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _held(lock: FileLock, progress: Progress) -> Iterator[None]:
    """The lock, once no other process holds it."""
    while not lock.is_locked:
        try:
            lock.acquire(timeout=PATIENCE)
        except Timeout:
            progress(0, 1, WAITING)
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _explained(root: Path) -> Iterator[None]:
    """Says what to do where the store cannot be written to."""
    try:
        yield
    except (OSError, StageFailed) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if any(os.strerror(code) in str(cause) for code in FULL):
            advice = f"the disk of {root} is full; free some space (`thesis clean`) and start again: nothing is lost"
            raise StageFailed(f"{error}\n{advice}") from cause
        if isinstance(error, OSError):
            raise StageFailed(f"cannot write to the store {root} ({error}); choose another runs_dir") from error
        raise
