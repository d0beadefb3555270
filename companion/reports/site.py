"""The pages that hold a folder of reports together: the index, and "The thesis against here".

Both are made anew whenever a notebook has been executed, from the records of all of them (`results.json`), so a page
never says what no record says. A notebook that failed is listed with its error, one that was not executed as such.
"""

import base64
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from companion.analysis.statistics import VERDICTS
from companion.reports import printed_beside as against
from companion.reports import record as records
from companion.reports import typeset
from companion.reports.page import render, title_of
from companion.reports.record import Record

CHAPTERS = {
    "0": "First steps",
    "2": "Chapter 2: Mixup-CAM",
    "3": "Chapter 3: sub-category exploration (SC-CAM)",
    "4": "Beyond the thesis",
    "5": "Performance",
}
INDEX, THESIS = "index.html", "thesis.html"
_HIDDEN_PARAMETERS = ("runs_dir", "reports_dir", "data_root", "preset")


def write_index(folder: Path, notebooks_dir: Path | None = None) -> Path:
    """Write `index.html` and `thesis.html` of the notebooks that were executed into `folder`, in whatever state.

    Args:
        folder: reports of one preset.
        notebooks_dir: lists its other notebooks as not executed yet.

    Returns:
        The index.
    """
    cards = [_card(path) for path in folder.glob(f"*/{records.FILE}")]
    executed = {card["notebook"] for card in cards}
    others = sorted(notebooks_dir.glob("*.ipynb")) if notebooks_dir else []
    absent = [_absent(path) for path in others if path.stem not in executed]
    chapters: dict[str, list[dict[str, Any]]] = {}
    for card in sorted([*cards, *absent], key=lambda card: card["notebook"]):
        chapters.setdefault(CHAPTERS.get(card["notebook"][:1], "More"), []).append(card)
    pages = sorted(folder.parent.glob("batches/*/index.html"))
    page = render(
        "index.html.j2",
        here=INDEX,
        preset=folder.name,
        chapters=chapters,
        cards=[*cards, *absent],
        batches={path.parent.name: f"../batches/{path.parent.name}/index.html" for path in pages},
    )
    records.write_text(folder / INDEX, page)
    records.write_text(folder / THESIS, _thesis_page(folder.name, cards, absent))
    return folder / INDEX


def _card(path: Path) -> dict[str, Any]:
    """What the index shows of one execution; a record that cannot be read is shown as a failure."""
    name = path.parent.name
    try:
        card = records.read(path)
    except ValueError as error:
        failure = {"name": "unreadable record", "text": str(error)}
        card = records.empty(name) | {"state": "failed", "error": failure}
    thumbnail = path.parent / (card["thumbnail"] or "")
    image = base64.b64encode(thumbnail.read_bytes()).decode() if thumbnail.is_file() else ""
    card["image"] = f"data:image/png;base64,{image}" if image else ""
    card["alt"] = card["figures"][0]["alt"] if card["figures"] else ""
    given = card["parameters"].items()
    card["shown_parameters"] = {k: v for k, v in given if k not in _HIDDEN_PARAMETERS and v not in ("", [], {}, None)}
    for kind in ("html", "ipynb"):
        file = path.parent.with_name(f"{name}.{kind}")
        card[kind] = file.name if file.is_file() else ""
    return card


def _absent(notebook: Path) -> dict[str, Any]:
    """What the index shows of a notebook that was not executed."""
    card = records.empty(notebook.stem) | {"title": title_of(notebook), "state": "absent"}
    return card | {"image": "", "alt": "", "shown_parameters": {}, "html": "", "ipynb": ""}


# --- The thesis against here ------------------------------------------------------------------------------------------


def _thesis_page(preset: str, cards: Sequence[Record], absent: Sequence[Record]) -> str:
    of = {card["notebook"]: card for card in cards}
    levels = {source: [_level(entry, of) for entry in found] for source, found in against.levels(cards).items()}
    differences = {
        source: [_difference(entry, of) for entry in found] for source, found in against.differences(cards).items()
    }
    counts = Counter(entry["verdict"] for found in differences.values() for entry in found)
    return render(
        "thesis.html.j2",
        here=THESIS,
        preset=preset,
        generated=any(card["generated"] for card in cards),
        levels=levels,
        differences=differences,
        counts={verdict: counts[verdict] for verdict in VERDICTS},
        absent=sorted(absent, key=lambda card: card["notebook"]),
    )


def _level(entry: Record, of: dict[str, Record]) -> Record:
    """A score as shown: printed, measured, and how far apart."""
    apart, apart_ends = _texts(against.distance(entry), "+.1f")
    return _shown(entry, of, ".1f") | {"apart": apart, "apart_ends": apart_ends}


def _difference(entry: Record, of: dict[str, Record]) -> Record:
    """A claimed difference as shown."""
    return _shown(entry, of, "+.1f") | {"verdict": entry["verdict"]}


def _shown(entry: Record, of: dict[str, Record], format: str) -> Record:
    value = entry.get("value")
    ends = [float("nan") if entry.get(end) is None else entry[end] for end in ("low", "high")]
    measured, interval = _texts(None if value is None else against.Distance(value, *ends), format)
    card = of[entry["notebook"]]
    places = {name: entry[name] for name in ("row", "split", "stage", "measure")}
    return places | {
        "thesis": typeset.text_of(entry["thesis"], format)[0],
        "here": measured,
        "interval": interval,
        "seeds": entry.get("n") or card["seeds"],
        "notebook": entry["notebook"],
        "html": card["html"],
    }


def _texts(value: against.Distance | None, format: str) -> tuple[str, str]:
    return typeset.text_of(value, format) if value is not None else (typeset.MISSING, "")
