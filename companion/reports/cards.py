"""What the pages over a folder of reports know of each notebook: its record, and which of its files are there."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from companion.reports import again
from companion.reports.again import Again
from companion.reports.page import title_of
from companion.reports.record import FILE, Failure, Record

_HIDDEN_PARAMETERS = ("runs_dir", "reports_dir", "data_root", "preset")


@dataclass(frozen=True)
class Page:
    """A page that holds the reports of a folder together.

    Args:
        file: its name in the folder.
        title: what links to it say.
        make: `make(page, folder, executed, absent)`, its text from the notebooks that were and were not executed.
    """

    file: str
    title: str
    make: Callable[["Page", Path, Sequence["Card"], Sequence["Card"]], str]


@dataclass(frozen=True)
class Card:
    """What the index shows of one notebook.

    Args:
        record: what it found; without anything where it was not executed.
        state: that of the record, or `absent`.
        html, ipynb: names of its files where they are there.
        image: its thumbnail for an `img` element.
    """

    record: Record
    state: str
    html: str = ""
    ipynb: str = ""
    image: str = ""

    @property
    def notebook(self) -> str:
        """Its name."""
        return self.record.notebook

    @property
    def alt(self) -> str:
        """What is to be seen on the thumbnail."""
        return self.record.figures[0].alt if self.record.figures else ""

    @property
    def shown_parameters(self) -> dict[str, Any]:
        """Parameters that have a value, but for those that are said elsewhere."""
        given = self.record.parameters.items()
        return {k: v for k, v in given if k not in _HIDDEN_PARAMETERS and v not in ("", [], {}, None)}


def executed(folder: Path) -> list[Card]:
    """A card for each notebook that was executed into a folder of reports, in whatever state."""
    repeats = again.read(folder)
    return [_card(path, repeats) for path in folder.glob(f"*/{FILE}")]


def absent(notebooks_dir: Path | None, executed: Sequence[Card]) -> list[Card]:
    """A card for each notebook of a folder that was not."""
    there = {card.notebook for card in executed}
    others = sorted(notebooks_dir.glob("*.ipynb")) if notebooks_dir else []
    return [
        Card(Record(notebook=path.stem, title=title_of(path)), "absent") for path in others if path.stem not in there
    ]


def _card(path: Path, repeats: Sequence[Again]) -> Card:
    """A notebook that was executed; a record that cannot be read is shown as a failure."""
    name = path.parent.name
    try:
        record = again.shown_in(Record.read(path), repeats)
    except ValueError as error:
        failure = Failure(name="unreadable record", text=str(error))
        record = Record(notebook=name, title=name, state="failed", error=failure)
    thumbnail = path.parent / (record.thumbnail or "")
    image = base64.b64encode(thumbnail.read_bytes()).decode() if thumbnail.is_file() else ""
    files = [path.parent.with_name(f"{name}.{kind}") for kind in ("html", "ipynb")]
    html, ipynb = (file.name if file.is_file() else "" for file in files)
    return Card(record, record.state, html, ipynb, f"data:image/png;base64,{image}" if image else "")
