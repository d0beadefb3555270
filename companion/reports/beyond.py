"""What the page "Beyond the thesis" shows: each experiment that the thesis leaves open, on both kinds of images.

Of an experiment its primary claim is shown and whatever else is decided on one kind of images; the others are counted.
"""

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


def values(folder: Path) -> dict[str, Any]:
    """The values of the template of the page in a folder of reports."""
    sources = [source_of(preset, folder) for preset in PRESETS]
    asked = [_question(notebook, sources, folder) for notebook in notebooks_of(BEYOND)]
    return {"sources": sources, "least_seeds": MIN_SEEDS, "questions": asked}


def _question(notebook: str, sources: Sequence[Source], folder: Path) -> dict[str, Any]:
    found = [_verdicts(notebook, source) for source in sources]
    claims = dict.fromkeys(claim for verdicts in found for claim in verdicts)
    there = [[verdicts[claim] for verdicts in found if claim in verdicts] for claim in claims]
    lines = [claim for claim, entries in zip(claims, there, strict=True) if any(map(_stands, entries))]
    page = f"{notebook}.html"
    return {
        "title": title_of(NOTEBOOKS / f"{notebook}.ipynb"),
        "notebook": notebook,
        "html": page if (folder / page).is_file() else "",
        "lines": {
            claim.removesuffix(f", {maps.PRIMARY_IN_WORDS}"): [
                shown(each[claim]) if claim in each else None for each in found
            ]
            for claim in lines
        },
        "run": [bool(verdicts) for verdicts in found],
        "others": [len(verdicts.keys() - set(lines)) for verdicts in found],
    }


def _verdicts(notebook: str, source: Source) -> Verdicts:
    return {entry.claim: entry for record in source.records if record.notebook == notebook for entry in record.verdicts}


def _stands(entry: VerdictEntry) -> bool:
    """Whether it has a line of its own."""
    return entry.primary or entry.verdict != "undecided"
