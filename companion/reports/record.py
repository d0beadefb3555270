"""`results.json`: what one execution of a notebook found, with what it was found, and how it ended.

The notebook writes its numbers as it goes; whoever executes it adds how long it took and whether it failed. Provenance
is the commit, versions, hardware, all settings, the seeds, and the keys of every artefact in the store that was used.
"""

import datetime
import importlib.metadata
import json
import math
import os
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, ValidationError, model_serializer

from companion.analysis.claims import Place
from companion.experiments import training_seeds
from companion.pipeline.provenance import hardware_in_words, provenance

FILE = "results.json"
WITHOUT_NETWORK = ("data", "backbone")
"""Stages that are the same in every precision: no network computes in them."""
State = Literal["unfinished", "done", "failed"]


class Entry(BaseModel):
    """Part of a record; a field that was not given is not written, one of another version is kept."""

    model_config = ConfigDict(extra="allow")

    @model_serializer(mode="wrap")
    def _given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if name in self.model_fields_set}


class Measured(Entry):
    """A value, or a mean over `n` seeds with its 95 % interval, standard deviation and the value of each seed."""

    value: Any = None
    low: float | None = None
    high: float | None = None
    std: float | None = None
    n: int | None = None
    values: list[float] | None = None


class NumberEntry(Measured):
    """A key number, as shown and as measured, with the printed one of the thesis and where it stands."""

    label: str
    text: str
    thesis_text: str = ""
    interval: str = ""
    note: str = ""
    thesis: float | int | None = None
    place: Place | None = None


class VerdictEntry(Measured):
    """What became of a claim: the verdict, the difference as shown and as measured, the printed one, and its test.

    `primary`, `p`, `adjusted`, `power`, `seeds` and `sought` are those of `analysis.claims.Verdict`; records from
    before they were kept have none.
    """

    claim: str
    verdict: str
    difference: str = ""
    interval: str = ""
    note: str = ""
    thesis: float | int | None = None
    place: Place | None = None
    primary: bool = False
    p: float | None = None
    adjusted: float | None = None
    power: float | None = None
    seeds: int | None = None
    sought: float | None = None


class BesideEntry(Measured):
    """A printed number of the thesis with the measured one of the same row of a table, and where it stands."""

    source: str
    row: str
    split: str
    stage: str
    measure: str
    thesis: float | int


class TableEntry(Entry):
    """A table: names of its files, and its printed numbers."""

    name: str
    caption: str = ""
    note: str = ""
    csv: str = ""
    tex: str = ""
    md: str = ""
    beside: list[BesideEntry] = []


class FigureEntry(Entry):
    """A figure and its files."""

    name: str
    caption: str = ""
    alt: str = ""
    png: str = ""
    pdf: str = ""


class NoteEntry(Entry):
    """A remark."""

    text: str


Shown = NumberEntry | VerdictEntry | TableEntry | FigureEntry | NoteEntry


class Artefact(Entry):
    """With what an artefact of the store was computed."""

    label: str = ""
    commit: str = ""
    precision: str | None = None


class Failure(Entry):
    """Name and text of the error that stopped a notebook."""

    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


class TakenOver(RuntimeError):
    """Another execution writes to the folder of a record; the message says which, and what to do."""


class Record(BaseModel):
    """What one execution of a notebook found; fields that nothing is known of have their empty value.

    Fields of a file that are of another version are kept. Differences of settings are pairs by dotted name, artefacts
    are by stage and key.
    """

    model_config = ConfigDict(extra="allow")

    notebook: str
    title: str = ""
    state: State = "unfinished"
    error: Failure | None = None
    preset: str = ""
    parameters: dict[str, Any] = {}
    generated: bool | None = None
    data: str = ""
    commit: str = ""
    versions: dict[str, Any] = {}
    hardware: dict[str, Any] = {}
    machine: dict[str, Any] = {}
    device: str = ""
    started: str = ""
    execution: str = ""
    duration_s: float | None = None
    network: str = ""
    profile: str = ""
    seeds: int | None = None
    seed_values: list[int] = []
    settings: dict[str, Any] = {}
    changed_settings: dict[str, tuple[Any, Any]] = {}
    recipe: dict[str, tuple[Any, Any]] = {}
    profiles: dict[str, tuple[Any, Any]] = {}
    artefacts: dict[str, Artefact] = {}
    key_numbers: list[NumberEntry] = []
    verdicts: list[VerdictEntry] = []
    tables: list[TableEntry] = []
    figures: list[FigureEntry] = []
    notes: list[NoteEntry] = []
    thumbnail: str | None = None
    question: str = ""

    @classmethod
    def start(cls, name: str, preset: str, parameters: Mapping[str, Any]) -> Self:
        """The record of an execution that starts now, with nothing found yet."""
        origin = provenance()
        return cls(
            notebook=name,
            title=name,
            preset=preset,
            parameters=dict(parameters),
            commit=origin["commit"],
            versions={"thesislib": importlib.metadata.version("thesislib")} | origin["versions"],
            hardware=origin["hardware"],
            device=hardware_in_words(origin["hardware"]),
            started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            execution=uuid.uuid4().hex,
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """The record of a file; fields that it lacks have their empty value.

        Raises:
            ValueError: the file is not a record.
        """
        name = path.parent.name
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(found, dict):
                raise ValueError(f"{path}: expected the record of a notebook, found {type(found).__name__}")
            return cls.model_validate({"notebook": name, "title": name} | found)
        except (json.JSONDecodeError, UnicodeDecodeError, ValidationError) as error:
            raise ValueError(f"{path}: not a record of a notebook ({error}); execute the notebook again") from None

    def check_alone(self, path: Path) -> None:
        """See that no other execution has begun to write to the folder of this record's file since.

        Raises:
            TakenOver: one has; the tables and figures of both would be mixed.
        """
        try:
            found = Record.read(path) if path.is_file() else self
        except ValueError:
            return  # broken, and about to be replaced
        if found.execution and found.execution != self.execution:
            raise TakenOver(
                f"another execution of {self.notebook}, begun {found.started}, writes to {path.parent}: give each "
                "reports_dir of its own, or run this one again from its first cell"
            )

    def write(self, path: Path) -> None:
        """Replace the file in one step, so that it is never seen half-written."""
        write_json(path, self.model_dump())

    def add(self, entry: Shown) -> None:
        """Add what is shown, in the place of the entry with the same name where a cell is run again."""
        match entry:
            case NumberEntry():
                _put(self.key_numbers, "label", entry)
            case VerdictEntry():
                _put(self.verdicts, "claim", entry)
            case TableEntry():
                _put(self.tables, "name", entry)
            case FigureEntry():
                _put(self.figures, "name", entry)
            case NoteEntry():
                _put(self.notes, "text", entry)

    @property
    def named_seeds(self) -> str:
        """Which seeds, where they are known and not the first ones; else empty."""
        return training_seeds.named_seeds(self.seed_values)

    @property
    def seeds_in_words(self) -> str:
        """How many seeds, or which."""
        return training_seeds.seeds_in_words(self.seed_values or range(self.seeds or 0))

    def mixed_precision(self) -> str:
        """A remark where artefacts were computed in different precision, which is in no key; else empty.

        >>> of = {"classifier/1": {"precision": "fp32"}, "classifier/2": {"precision": "bf16"}, "data/3": {}}
        >>> Record(notebook="21_response_maps", artefacts=of).mixed_precision()
        'Different precision in one report: 1 artefact in bf16 (classifier), 1 in fp32 (classifier).'
        """
        stages: dict[str, list[str]] = {}
        for name, artefact in self.artefacts.items():
            stage = name.split("/")[0]
            if stage not in WITHOUT_NETWORK:
                stages.setdefault(artefact.precision or "unrecorded precision", []).append(stage)
        if len(stages) < 2:
            return ""
        said: list[str] = []
        for precision, names in sorted(stages.items()):
            noun = "" if said else f" artefact{'s' if len(names) > 1 else ''}"
            said.append(f"{len(names)}{noun} in {precision} ({', '.join(sorted(set(names)))})")
        return f"Different precision in one report: {', '.join(said)}."


def _put(entries: list[Any], key: str, entry: Entry) -> None:
    for position, old in enumerate(entries):
        if getattr(old, key) == getattr(entry, key):
            entries[position] = entry
            return
    entries.append(entry)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Replace a JSON file in one step: NumPy scalars are numbers, what is not finite is null, anything else text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(_plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


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


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | range):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool | None) else str(value)
