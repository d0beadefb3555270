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
from companion.pipeline.published import SCORES
from companion.reports import kept
from companion.reports.execute import find_notebook
from companion.reports.jobs import Job
from companion.reports.kept import REPORTS
from companion.reports.record import FILE, NumberEntry, Record, VerdictEntry

MOST_BYTES = 20_000_000
PLACES = {"runs_dir": "runs", "reports_dir": "reports", "published_dir": ""}


def write(folder: Path, output: Path, runs_dir: Path | None = None, most_bytes: int = MOST_BYTES) -> int:
    """Add the scores of a folder of reports to a store of published ones; returns the size of all in bytes.

    What is published stays, and so does the record of a report that shows more than the one here (`shows_more`).

    Args:
        folder: reports of one preset.
        output: folder to write, or one with published scores.
        runs_dir: the store, in place of that which the reports name.
        most_bytes: that all may have.

    Raises:
        ValueError: no reports there, one of them failed or is not finished, an artefact that one names is not in the
            store, there are results of other data in `output`, the folder of the data is not there, or there are more
            bytes than allowed.
    """
    for record in finished(folder):
        data_root, runs = _places(record, runs_dir)
        published.write(output, record.artefacts, runs, data_root)
        here, place = folder / record.notebook, output / REPORTS / record.notebook
        kept.merge(place / kept.FILE, here / kept.FILE)
        if (place / FILE).is_file() and shows_more(Record.read(place / FILE), record):
            continue
        if data_root:
            record.data = record.data.replace(record.parameters["data_root"], data_root.name)
            record.parameters["data_root"] = data_root.name
        record.parameters |= PLACES
        record.write(place / FILE)
        if record.generated and record.thumbnail:
            shutil.copyfile(here / record.thumbnail, place / record.thumbnail)
    published.write_mark(output)
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    if size > most_bytes:
        raise ValueError(
            f"the scores of {folder} and those that are published would have {size / 1e6:.1f} MB, "
            f"{most_bytes / 1e6:.1f} are allowed: publish fewer seeds or notebooks, or begin anew (--anew)"
        )
    return size


def finished(folder: Path) -> list[Record]:
    """The records of a folder of reports.

    Raises:
        ValueError: there are none, or one is of a report that failed or is not finished.
    """
    found = [Record.read(file) for file in sorted(folder.glob(f"*/{FILE}"))]
    if not found:
        raise ValueError(f"{folder} has no reports; `thesis reproduce` makes them")
    for record in found:
        if record.state != "done":
            raise ValueError(f"{record.notebook} is {record.state}: a snapshot shows finished reports alone")
    return found


def shows_more(there: Record, here: Record) -> bool:
    """Whether a published report has a seed or a kind of artefact that another one of the same notebook lacks."""
    kinds = [{name.split("/")[0] for name in each.artefacts} for each in (there, here)]
    return bool({*there.seed_values} - {*here.seed_values} or kinds[0] - kinds[1])


def _places(record: Record, runs_dir: Path | None) -> tuple[Path | None, list[Path]]:
    """The folder of a report's data, None if they are generated, and the stores that have its artefacts."""
    given = record.parameters
    runs = [runs_dir or checks.folder("runs_dir", given["runs_dir"])]
    if snapshot := given.get("published_dir"):
        runs.append(checks.folder("published_dir", snapshot) / SCORES)
    return checks.existing_folder(given["data_root"]), runs


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
    root = published.find_scores(snapshot)
    found, there = [], records(root)
    data = [name for record in there for name in record.artefacts if name.startswith("data/")]
    for record in there:
        parameters = record.parameters | {"runs_dir": str(root.resolve()), "reports_dir": str(reports_dir.resolve())}
        if parameters.get("data_root"):
            own = [name for name in record.artefacts if name.startswith("data/")]  # 51_performance reads none
            parameters["data_root"] = str((root / (own or data)[0] / artefacts.DATASET).resolve())
        notebook = find_notebook(record.notebook, notebooks)
        job = Job(record.notebook, notebook, parameters, reports_dir, record.preset)
        if (written := job.record()) and not is_published(written.parameters):
            raise ValueError(
                f"{job.exports} is the report of a run of your own, which has more than what is published: give "
                "another --reports-dir"
            )
        found.append(job)
    return found


def records(root: Path) -> list[Record]:
    """The records in a store of published results."""
    return [Record.read(file) for file in sorted((root / REPORTS).glob(f"*/{FILE}"))]


def take_shown(made: Path, root: Path) -> None:
    """Let published records say what the pages show that were made of them.

    Statistics and wording are those of the code that made the pages, which may be younger than the records; and where a
    record is of artefacts of one's own that are published in another processor's digits, the pages have the latter.

    Args:
        made: folder of reports that were made again.
        root: store of published results.
    """
    for record in records(root):
        page = Record.read(made / record.notebook / FILE)
        shown = {name: getattr(page, name) for name in ("key_numbers", "verdicts", "tables")}
        record.model_copy(update=shown).write(root / REPORTS / record.notebook / FILE)


def is_published(parameters: Mapping[str, Any]) -> bool:
    """Whether a report with these parameters was made of published results."""
    return (checks.folder("runs_dir", parameters["runs_dir"]) / MARK).is_file()


def compared(snapshot: Path, made: Sequence[Job]) -> Iterator[tuple[str, list[str]]]:
    """For each report made again, how many of its numbers and verdicts are those that are published, and the others."""
    of = {record.notebook: record for record in records(snapshot / SCORES)}
    for job in made:
        there, here = _said(of[job.name]), _said(job.record() or Record(notebook=job.name))
        others = [f"{name}: published {there[name]}, here {here[name]}" for name in there if differs(name, there, here)]
        gone = len(there.keys() - here.keys())
        same = len(there) - len(others) - gone
        yield f"{job.name:26} {same} of {len(there)} as published" + (f", {gone} left out" if gone else ""), others


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
