"""What the page "What we found" shows: the thesis' main claims, on photographs and on generated images.

The records of the two presets are taken from where they are: the folder of the page or one beside it, else those that
are published. A claim that no record answers says so.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from companion.analysis.power import TOO_LITTLE
from companion.analysis.statistics import MIN_SEEDS, VERDICTS
from companion.experiments.printed_differences import (
    CRF,
    FIG_2_5,
    FIG_3_4,
    MAPS,
    SHARPENED,
    WALK,
    WALKED,
    PrintedDifference,
    find,
    of_place,
)
from companion.experiments.training_seeds import seeds_in_words
from companion.pipeline.published import SCORES
from companion.reports import again, typeset
from companion.reports.again import Again
from companion.reports.kept import REPORTS
from companion.reports.record import FILE, Record, VerdictEntry
from companion.settings.project import NOTEBOOKS

PRESETS = {"animals": "photographs", "demo": "generated images"}
"""The two that the page sets beside each other: what the claims are about, and the demonstration."""
PUBLISHED = NOTEBOOKS.parent / "reports" / "published"
NOT_ASKED, TOO_FEW = "not asked", f"of fewer than {MIN_SEEDS} seeds"
COMPLETE, EVEN = "Maps are more complete (mean recall", "Maps are more even ("
"""How verdicts begin on what the thesis says without a number."""


class Main(NamedTuple):
    """A main claim: in plain words, and the printed difference that says it, or how its verdict begins and ends."""

    words: str
    printed: PrintedDifference | None
    begins: str = ""
    ends: str = ""

    def is_of(self, entry: VerdictEntry) -> bool:
        """Whether a verdict is on this claim."""
        if self.printed:
            return entry.place == self.printed.place
        return entry.claim.startswith(self.begins) and entry.claim.endswith(self.ends)


CHAPTERS = {
    "Chapter 2: Mixup-CAM": (
        Main("Its response maps are better than those of plain CAM", find("train", MAPS, "Mixup-CAM > CAM")),
        Main("Mixup alone already improves them", find("train", MAPS, "mixup > CAM")),
        Main("The entropy term adds to mixup", find("train", MAPS, "mixup + entropy > mixup")),
        Main("The concentration term adds to mixup", find("train", MAPS, "mixup + concentration > mixup")),
        Main("Its maps cover more of the objects (recall)", None, COMPLETE, "Mixup-CAM > CAM"),
        Main("Its maps are more even (coefficient of variation, less)", None, EVEN, "Mixup-CAM against CAM"),
        Main("The random walk improves the maps of plain CAM", find("train", WALK, "CAM")),
        Main("It is better after the random walk too", find("train", WALKED, "Mixup-CAM > CAM")),
        Main("The walk enlarges what both terms add to mixup", find("train", WALK, "Mixup-CAM > mixup")),
        Main("It is above plain CAM for every alpha and weight", of_place(FIG_2_5)),
        Main("Its masks train a better segmentation", find("val", SHARPENED, "Mixup-CAM > CAM")),
        Main("A CRF at test time improves that", find("val", CRF, "Mixup-CAM")),
    ),
    "Chapter 3: SC-CAM": (
        Main("Its response maps are better than those of plain CAM", find("val", MAPS, "SC-CAM > CAM")),
        Main("They are for every K above 1", of_place(FIG_3_4)),
        Main("A second round improves on the first", find("val", MAPS, "round 2 > round 1")),
        Main("A third round improves on the second", find("val", MAPS, "round 3 > round 2")),
        Main("The random walk improves its maps", find("train", WALK, "SC-CAM")),
        Main("The walk enlarges its lead", find("val", WALK, "SC-CAM > CAM")),
        Main("Its masks train a better segmentation", find("val", SHARPENED, "SC-CAM > CAM")),
        Main("A CRF at test time improves that", find("val", CRF, "SC-CAM")),
    ),
}


@dataclass(frozen=True)
class Source:
    """The records of one preset.

    Args:
        preset: its name.
        shows: what its images are.
        records: of finished reports; none where it was not run.
        published: whether they are those that are published.
        repeats: what became of their verdicts when they were run again.
    """

    preset: str
    shows: str
    records: Sequence[Record]
    published: bool
    repeats: Sequence[Again] = ()

    @property
    def provenance(self) -> str:
        """Date, commit and seeds of the reports that answer a main claim, in words; empty where nothing was run."""
        if not self.records:
            return ""
        main = [each for asked in CHAPTERS.values() for each in asked]
        answering = [
            record for record in self.records if any(each.is_of(entry) for each in main for entry in record.verdicts)
        ] or self.records
        days = sorted({record.started[:10] for record in answering if record.started})
        commits = sorted({record.commit for record in answering if record.commit})
        seeds = sorted({seed for record in answering for seed in record.seed_values})
        said = [" to ".join(dict.fromkeys([days[0], days[-1]]))] if days else []
        said += [f"commit {', '.join(commits)}"] if commits else []
        said += [seeds_in_words(seeds)] if seeds else []
        said += [f"run again with {name}" for name in dict.fromkeys(each.seeds for each in self.repeats)]
        return "; ".join([*said, *["published"] * self.published])


def values(folder: Path) -> dict[str, Any]:
    """The values of the template of the page in a folder of reports."""
    sources = [source_of(preset, folder) for preset in PRESETS]
    return {
        "sources": sources,
        "said": _said(sources[0]),
        "least_seeds": MIN_SEEDS,
        "chapters": {chapter: [_line(main, sources, folder) for main in asked] for chapter, asked in CHAPTERS.items()},
        "counts": [_counted(source) for source in sources],
    }


def on_photographs() -> str:
    """What the maps of both methods are against those of plain CAM on photographs, as published, in a sentence."""
    return _said(source_of("animals", PUBLISHED / "animals"))


def _said(source: Source) -> str:
    answers = {chapter.partition(": ")[2]: _answer(main, source)[0] for chapter, (main, *_) in CHAPTERS.items()}
    said = [f"{name} {of.difference} {of.interval}, {of.verdict}, {of.n} seeds" for name, of in answers.items() if of]
    return f"Against maps of plain CAM, on VOC's photographs of animals, mIoU: {'; '.join(said) or 'not asked yet'}."


def primary(records: Iterable[Record], repeats: Sequence[Again]) -> list[dict[str, Any]]:
    """The primary claim of each record as shown, with the notebook that it is of."""
    return [
        shown(entry, again.of(repeats, record.notebook, entry))
        | {"claim": entry.claim, "notebook": record.notebook, "thesis": _printed(entry.thesis)}
        for record in records
        for entry in record.verdicts
        if entry.primary
    ]


def source_of(preset: str, folder: Path) -> Source:
    """The first folder that has records: one of reports, else one of published scores."""
    for place in (folder.parent / preset, *_of_published(folder.parent / preset, PUBLISHED / preset)):
        records = [Record.read(file) for file in sorted(place.glob(f"*/{FILE}"))]
        if done := [record for record in records if record.state == "done"]:
            published = place.name == REPORTS
            repeats = again.read(place.parents[1] if published else place)
            return Source(preset, PRESETS[preset], [again.shown_in(each, repeats) for each in done], published, repeats)
    return Source(preset, PRESETS[preset], [], False)


def _of_published(*snapshots: Path) -> list[Path]:
    return [snapshot / SCORES / REPORTS for snapshot in snapshots]


def _line(main: Main, sources: Sequence[Source], folder: Path) -> dict[str, Any]:
    cells = []
    for source in sources:
        entry, notebook = _answer(main, source)
        page = f"{notebook}.html" if source.preset == folder.name and notebook else ""
        repeats = again.of(source.repeats, notebook, entry) if entry else []
        cells.append(entry and shown(entry, repeats) | {"html": page if page and (folder / page).is_file() else ""})
    return {
        "words": main.words,
        "source": main.printed.place.source if main.printed else "text",
        "thesis": _printed(main.printed.thesis if main.printed else None),
        "primary": any(cell and cell["primary"] for cell in cells),
        "cells": cells,
    }


def _answer(main: Main, source: Source) -> tuple[VerdictEntry | None, str]:
    """The verdict on a claim and the notebook that shows it: the primary one, else that of most seeds."""
    found = [(entry, record.notebook) for record in source.records for entry in record.verdicts if main.is_of(entry)]
    return max(found, key=lambda each: (each[0].primary, each[0].n or 0), default=(None, ""))


def shown(entry: VerdictEntry, repeats: Sequence[Again] = ()) -> dict[str, Any]:
    """What a cell says of a verdict, and of what became of it when it was asked again."""
    few = entry.verdict == "undecided" and entry.power is not None and entry.power < TOO_LITTLE
    return {
        "verdict": entry.verdict,
        "difference": entry.difference,
        "interval": entry.interval,
        "seeds": entry.n,
        "power": f"{entry.power:.2f}" if entry.power is not None and entry.thesis is not None else None,
        "enough": entry.seeds,
        "primary": entry.primary,
        "could_not": few,
        "again": [each.short for each in repeats],
    }


def _counted(source: Source) -> dict[str, int]:
    """How many of the main claims have each verdict, too few seeds for one, or were not asked."""
    answers = [_answer(main, source)[0] for asked in CHAPTERS.values() for main in asked]
    found = Counter(_counts_as(entry) for entry in answers)
    return {verdict: found[verdict] for verdict in (*VERDICTS, TOO_FEW, NOT_ASKED)}


def _counts_as(entry: VerdictEntry | None) -> str:
    if entry is None:
        return NOT_ASKED
    return entry.verdict if (entry.n or 0) >= MIN_SEEDS else TOO_FEW


def _printed(thesis: float | None) -> str:
    return typeset.MISSING if thesis is None else typeset.text_of(thesis, "+.1f")[0]
