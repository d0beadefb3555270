"""Published scores: what the reports of a preset are made of, small enough to be committed, and the reports made again.

Beside the pages of a snapshot lies a store of published results (`pipeline.published`) with the record of each report
and what it measured on maps. With these a notebook makes every table, curve and verdict again, without data, training
or GPU; what is drawn from photographs, maps or weights says so.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from companion.datasets.published import MARK
from companion.experiments import parameters as checks
from companion.pipeline import artefacts, published
from companion.reports import kept
from companion.reports.execute import find_notebook
from companion.reports.jobs import Job
from companion.reports.kept import REPORTS
from companion.reports.record import FILE, NumberEntry, Record, VerdictEntry

SCORES = "scores"
"""The folder beside the pages of a snapshot."""
MOST_BYTES = 20_000_000
PLACES = {"runs_dir": "runs", "reports_dir": "reports"}


def write(folder: Path, output: Path, runs_dir: Path | None = None, most_bytes: int = MOST_BYTES) -> int:
    """Write the published scores of a folder of reports; returns their size in bytes.

    Args:
        folder: reports of one preset.
        output: folder to write.
        runs_dir: the store, in place of that which the reports name.
        most_bytes: that they may have.

    Raises:
        ValueError: an artefact that a report names is not in the store, the folder of the data is not there, or there
            are more bytes than allowed.
    """
    output.mkdir(parents=True)
    for file in sorted(folder.glob(f"*/{FILE}")):
        record = Record.read(file)
        runs, root = (checks.folder(name, record.parameters[name] or ".") for name in ("runs_dir", "data_root"))
        data_root = root if record.parameters["data_root"] else None
        published.write(output, record.artefacts, runs_dir or runs, data_root)
        if data_root:
            record.parameters["data_root"] = data_root.name
        record.parameters |= PLACES
        place = output / REPORTS / file.parent.name
        record.write(place / FILE)
        if (measured := file.with_name(kept.FILE)).is_file():
            shutil.copyfile(measured, place / kept.FILE)
    published.write_mark(output)
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    if size > most_bytes:
        raise ValueError(
            f"the scores of {folder} would have {size / 1e6:.1f} MB, {most_bytes / 1e6:.1f} are allowed: publish fewer "
            "seeds, or fewer notebooks"
        )
    return size


def jobs(snapshot: Path, notebooks: Path, reports_dir: Path) -> list[Job]:
    """The reports to make again from a snapshot.

    Args:
        snapshot: folder of pages with published scores beside them.
        notebooks: folder of the notebooks.
        reports_dir: folder of the reports to write.

    Raises:
        ValueError: there are no scores, or `reports_dir` has reports that were made of more than these.
        SettingsError: a notebook is not there, or has no such parameter any more.
    """
    root = snapshot / SCORES
    if not (root / MARK).is_file():
        raise ValueError(f"{snapshot} has no published scores: expected {root / MARK}, which `thesis snapshot` writes")
    found = []
    for record in records(root):
        parameters = record.parameters | {"runs_dir": str(root.resolve()), "reports_dir": str(reports_dir.resolve())}
        if parameters.get("data_root"):
            (data,) = (name for name in record.artefacts if name.startswith("data/"))
            parameters["data_root"] = str((root / data / artefacts.DATASET).resolve())
        notebook = find_notebook(record.notebook, notebooks)
        job = Job(record.notebook, notebook, parameters, reports_dir, record.preset)
        if (there := job.record()) and not is_published(there.parameters):
            raise ValueError(
                f"{job.exports} is the report of a run of your own, which has more than what is published: give "
                "another --reports-dir"
            )
        found.append(job)
    return found


def records(root: Path) -> list[Record]:
    """The records in a store of published results."""
    return [Record.read(file) for file in sorted((root / REPORTS).glob(f"*/{FILE}"))]


def is_published(parameters: Mapping[str, Any]) -> bool:
    """Whether a report with these parameters was made of published results."""
    return (checks.folder("runs_dir", parameters["runs_dir"]) / MARK).is_file()


def compared(snapshot: Path, made: Sequence[Job]) -> Iterator[str]:
    """For each report made again, how many of its numbers and verdicts are those that are published, in words."""
    of = {record.notebook: record for record in records(snapshot / SCORES)}
    for job in made:
        there, here = _said(of[job.name]), _said(job.record() or Record(notebook=job.name))
        others = [f"{name}: published {there[name]}, here {here[name]}" for name in there if differs(name, there, here)]
        gone = len(there.keys() - here.keys())
        same = len(there) - len(others) - gone
        yield f"{job.name:26} {same} of {len(there)} as published" + (f", {gone} left out" if gone else "")
        yield from (f"    {line}" for line in others)


def differs(name: str, there: Mapping[str, str], here: Mapping[str, str]) -> bool:
    """Whether something is said in both and differently."""
    return name in here and here[name] != there[name]


def _said(record: Record) -> dict[str, str]:
    entries: list[NumberEntry | VerdictEntry] = [*record.key_numbers, *record.verdicts]
    return dict(_in_words(each) for each in entries)


def _in_words(entry: NumberEntry | VerdictEntry) -> tuple[str, str]:
    if isinstance(entry, NumberEntry):
        return entry.label, f"{entry.text} {entry.interval}".strip()
    return entry.claim, f"{entry.verdict} {entry.difference} {entry.interval}".strip()
