"""The page of a batch, `reports/batches/<batch>/index.html`: its runs with their values of the grid and key numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from companion.reports.batches import Batch
from companion.reports.jobs import Job
from companion.reports.page import render
from companion.reports.record import Record, write_text


def write(batch: Batch, jobs: Sequence[Job], reports_dir: Path) -> Path:
    """Write the page: every run with its values of the grid, its state and its key numbers.

    Returns:
        The HTML file.
    """
    folder = batch.folder(reports_dir)
    rows: list[dict[str, Any]] = []
    for job in jobs:
        record = job.record() or Record(notebook=job.notebook.stem)
        link = job.html.relative_to(folder).as_posix() if job.html.is_file() else ""
        numbers = {number.label: number for number in record.key_numbers}
        rows.append({"job": job, "link": link, "record": record, "numbers": numbers})
    labels = list(dict.fromkeys(label for row in rows for label in row["numbers"]))
    page = render("batch.html.j2", batch=batch, names=list(jobs[0].differing), labels=labels, rows=rows)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "index.html", page)
    return folder / "index.html"
