"""What reports there are to make, each a notebook with its parameters, and whether one is there already.

`thesis run` makes one, `thesis reproduce` one of every notebook, `thesis batch` one of every run of a batch file.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import companion
import thesislib
from companion.pipeline.store import Stage
from companion.reports.record import FILE, Record
from companion.settings.project import project_root


@dataclass(frozen=True, eq=False)
class Job:
    """One report to make.

    Args:
        name: what it is called among the others.
        notebook: the file.
        parameters: values in place of its parameters cell's.
        reports_dir: folder of the reports; that of the preset in it holds this one.
        preset: data and scale.
        stages: what it needs computed, without what these build on.
        question: that it answers, see `question`; without one it is always made.
        differing: parameters in which it differs from the others.
        obstacle: why a stage could not be computed. The notebook is not executed then: it would compute the stage
            itself, in this place.
    """

    name: str
    notebook: Path
    parameters: Mapping[str, Any]
    reports_dir: Path
    preset: str
    stages: Sequence[Stage] = ()
    question: str = ""
    differing: Mapping[str, Any] = field(default_factory=dict)
    obstacle: str = ""

    @property
    def exports(self) -> Path:
        """The folder of its exports."""
        return self.reports_dir / self.preset / self.notebook.stem

    @property
    def html(self) -> Path:
        """The report."""
        return self.exports.with_name(f"{self.exports.name}.html")

    def record(self) -> Record | None:
        """What was found so far, None before the first execution."""
        file = self.exports / FILE
        return Record.read(file) if file.is_file() else None

    def is_done(self) -> bool:
        """Whether the report is there, is finished, and answers the question; a record that is broken is none."""
        if not self.question or not self.html.is_file():
            return False
        try:
            record = self.record()
        except ValueError:
            return False
        return record is not None and record.state == "done" and record.question == self.question

    def remember(self) -> None:
        """Note which question the finished report answers."""
        record = self.record()
        if self.question and record:
            record.question = self.question
            record.write(self.exports / FILE)


def question(notebook_path: Path, parameters: Mapping[str, Any], stages: Iterable[Stage]) -> str:
    """Hash of all that a report depends on: notebook, parameters, artefacts and the project's own source.

    A notebook that speaks of `benchmarks` shows measurements, so the results files there belong to it as well.
    """
    source = notebook_path.read_bytes()
    digest = hashlib.sha256(source)
    digest.update(json.dumps(parameters, sort_keys=True, default=str).encode())
    digest.update("".join(sorted(stage.key for stage in stages)).encode())
    measured = (project_root() / "benchmarks").rglob("*.json") if b"benchmarks" in source else ()
    packages = (Path(package.__file__ or "").parent for package in (thesislib, companion))
    source_files = (
        path for folder in packages for path in folder.rglob("*") if path.suffix != ".pyc" and path.is_file()
    )
    for path in (*sorted(source_files), *sorted(measured)):
        digest.update(path.read_bytes())
    return digest.hexdigest()
