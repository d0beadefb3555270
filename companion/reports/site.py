"""The pages that hold a folder of reports together: the index, and "The thesis against here".

Both are made anew whenever a notebook has been executed, from the records of all of them (`results.json`), so a page
never says what no record says. A notebook that failed is listed with its error, one that was not executed as such.
"""

import base64
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from companion.analysis.statistics import VERDICTS
from companion.reports import printed_beside, typeset
from companion.reports.page import render, title_of
from companion.reports.printed_beside import Answer, Distance
from companion.reports.record import FILE, Failure, Record, write_text

CHAPTERS = {
    "0": "First steps",
    "2": "Chapter 2: Mixup-CAM",
    "3": "Chapter 3: sub-category exploration (SC-CAM)",
    "4": "Beyond the thesis",
    "5": "Performance",
}
INDEX = "index.html"
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


def write_index(folder: Path, notebooks_dir: Path | None = None) -> Path:
    """Write the `PAGES` of the notebooks that were executed into `folder`, in whatever state.

    Args:
        folder: reports of one preset.
        notebooks_dir: lists its other notebooks as not executed yet.

    Returns:
        The index.
    """
    with FileLock(folder / ".index.lock"):  # several commands may work on one folder, and the last must know all
        cards = [_card(path) for path in folder.glob(f"*/{FILE}")]
        executed = {card.notebook for card in cards}
        others = sorted(notebooks_dir.glob("*.ipynb")) if notebooks_dir else []
        absent = [_absent(path) for path in others if path.stem not in executed]
        for page in PAGES:
            write_text(folder / page.file, page.make(page, folder, cards, absent))
    return folder / INDEX


def _card(path: Path) -> Card:
    """A notebook that was executed; a record that cannot be read is shown as a failure."""
    name = path.parent.name
    try:
        record = Record.read(path)
    except ValueError as error:
        failure = Failure(name="unreadable record", text=str(error))
        record = Record(notebook=name, title=name, state="failed", error=failure)
    thumbnail = path.parent / (record.thumbnail or "")
    image = base64.b64encode(thumbnail.read_bytes()).decode() if thumbnail.is_file() else ""
    files = [path.parent.with_name(f"{name}.{kind}") for kind in ("html", "ipynb")]
    html, ipynb = (file.name if file.is_file() else "" for file in files)
    return Card(record, record.state, html, ipynb, f"data:image/png;base64,{image}" if image else "")


def _absent(notebook: Path) -> Card:
    """A notebook that was not executed."""
    return Card(Record(notebook=notebook.stem, title=title_of(notebook)), "absent")


def _index_page(page: Page, folder: Path, executed: Sequence[Card], absent: Sequence[Card]) -> str:
    cards = [*executed, *absent]
    chapters: dict[str, list[Card]] = {}
    for card in sorted(cards, key=lambda card: card.notebook):
        chapters.setdefault(CHAPTERS.get(card.notebook[:1], "More"), []).append(card)
    batches = sorted(folder.parent.glob("batches/*/index.html"))
    return render(
        "index.html.j2",
        here=page.file,
        pages=NAVIGATION,
        preset=folder.name,
        chapters=chapters,
        cards=cards,
        batches={path.parent.name: f"../batches/{path.parent.name}/index.html" for path in batches},
    )


# --- The thesis against here ------------------------------------------------------------------------------------------


def _thesis_page(page: Page, folder: Path, cards: Sequence[Card], absent: Sequence[Card]) -> str:
    of, records = {card.notebook: card for card in cards}, [card.record for card in cards]
    levels = {source: [_level(each, of) for each in found] for source, found in printed_beside.levels(records).items()}
    claimed = printed_beside.differences(records)
    counts = Counter(each.verdict for found in claimed.values() for each in found)
    return render(
        "thesis.html.j2",
        here=page.file,
        pages=NAVIGATION,
        preset=folder.name,
        generated=any(record.generated for record in records),
        levels=levels,
        differences={source: [_difference(each, of) for each in found] for source, found in claimed.items()},
        counts={verdict: counts[verdict] for verdict in VERDICTS},
        absent=sorted(absent, key=lambda card: card.notebook),
    )


def _level(answer: Answer, of: Mapping[str, Card]) -> dict[str, Any]:
    """A score as shown: printed, measured, and how far apart."""
    apart, apart_ends = _texts(answer.distance, "+.1f")
    return _shown(answer, of, ".1f") | {"apart": apart, "apart_ends": apart_ends}


def _difference(answer: Answer, of: Mapping[str, Card]) -> dict[str, Any]:
    """A claimed difference as shown."""
    return _shown(answer, of, "+.1f") | {"verdict": answer.verdict}


def _shown(answer: Answer, of: Mapping[str, Card], format: str) -> dict[str, Any]:
    measured, interval = _texts(answer.interval, format)
    card = of[answer.notebook]
    return asdict(answer.place) | {
        "thesis": typeset.text_of(answer.thesis, format)[0],
        "here": measured,
        "interval": interval,
        "seeds": answer.measured.n or card.record.seeds,
        "notebook": answer.notebook,
        "html": card.html,
    }


def _texts(value: Distance | None, format: str) -> tuple[str, str]:
    return typeset.text_of(value, format) if value is not None else (typeset.MISSING, "")


PAGES = (Page(INDEX, "All reports", _index_page), Page("thesis.html", "The thesis against here", _thesis_page))
"""The pages beside the reports, in the order in which they are linked. A page more is a line here and a template."""
NAVIGATION = tuple((page.file, page.title) for page in PAGES)
