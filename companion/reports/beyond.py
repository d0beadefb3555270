"""What the page "Beyond the thesis" shows: each experiment that the thesis leaves open, on both kinds of images.

First one line an experiment, its primary claim, with how many of the others are decided on each kind of images; then
those that are on one of them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from companion.analysis import maps
from companion.analysis.statistics import MIN_SEEDS
from companion.experiments.catalogue import BEYOND, notebooks_of
from companion.reports.found import PRESETS, Source, shown, source_of
from companion.reports.page import title_of
from companion.reports.record import VerdictEntry
from companion.settings.project import NOTEBOOKS

Verdicts = Mapping[str, VerdictEntry]
UNDECIDED = "undecided"


def values(folder: Path) -> dict[str, Any]:
    """The values of the template of the page in a folder of reports."""
    sources = [source_of(preset, folder) for preset in PRESETS]
    asked = [_question(notebook, sources, folder) for notebook in notebooks_of(BEYOND)]
    return {"sources": sources, "least_seeds": MIN_SEEDS, "questions": asked}


def _question(notebook: str, sources: Sequence[Source], folder: Path) -> dict[str, Any]:
    found = [_verdicts(notebook, source) for source in sources]
    first = [next((entry for entry in verdicts.values() if entry.primary), None) for verdicts in found]
    others = [{claim: entry for claim, entry in verdicts.items() if not entry.primary} for verdicts in found]
    claims = dict.fromkeys(claim for verdicts in others for claim in verdicts)
    decided = [claim for claim in claims if any(_decided(verdicts.get(claim)) for verdicts in others)]
    page = f"{notebook}.html"
    return {
        "title": title_of(NOTEBOOKS / f"{notebook}.ipynb"),
        "notebook": notebook,
        "html": page if (folder / page).is_file() else "",
        "claim": _in_common([entry.claim for entry in first if entry]),
        "first": [entry and shown(entry) for entry in first],
        "others": [Counter(entry.verdict for entry in verdicts.values()) for verdicts in others],
        "run": [bool(verdicts) for verdicts in found],
        "decided": {
            claim: [shown(verdicts[claim]) if claim in verdicts else None for verdicts in others] for claim in decided
        },
    }


def _in_common(claims: Sequence[str]) -> str:
    """A claim as both presets make it: without its rows where they name other settings."""
    texts = dict.fromkeys(claim.removesuffix(f", {maps.PRIMARY_IN_WORDS}") for claim in claims)
    return next(iter(texts if len(texts) == 1 else (text.rpartition(": ")[0] or text for text in texts)), "")


def _verdicts(notebook: str, source: Source) -> Verdicts:
    return {entry.claim: entry for record in source.records if record.notebook == notebook for entry in record.verdicts}


def _decided(entry: VerdictEntry | None) -> bool:
    return entry is not None and entry.verdict != UNDECIDED
