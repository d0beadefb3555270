"""The pages that hold a folder of reports together: what we found, the index, and the thesis against here.

All are made anew whenever a notebook has been executed, from the records of all of them (`results.json`), so a page
never says what no record says. A notebook that failed is listed with its error, one that was not executed as such.
"""

from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from companion.analysis.statistics import MIN_SEEDS
from companion.experiments.catalogue import BEYOND, notebooks_of
from companion.reports import again, beyond, found, repeat, thesis_page
from companion.reports import cards as of_folder
from companion.reports.cards import Card, Page
from companion.reports.page import render
from companion.reports.record import write_text

CHAPTERS = {
    "0": "First steps",
    "2": "Chapter 2: Mixup-CAM",
    "3": "Chapter 3: sub-category exploration (SC-CAM)",
    "4": "Beyond the thesis",
    "5": "Performance",
}
INDEX = "index.html"


def write_index(folder: Path, notebooks_dir: Path | None = None) -> Path:
    """Write the `PAGES` of the notebooks that were executed into `folder`, in whatever state.

    Args:
        folder: reports of one preset.
        notebooks_dir: lists its other notebooks as not executed yet.

    Returns:
        The index.
    """
    with FileLock(folder / ".index.lock"):  # several commands may work on one folder, and the last must know all
        cards = of_folder.executed(folder)
        absent = of_folder.absent(notebooks_dir, cards)
        for page in PAGES:
            write_text(folder / page.file, page.make(page, folder, cards, absent))
    return folder / INDEX


def _found_page(page: Page, folder: Path, executed: Sequence[Card], absent: Sequence[Card]) -> str:
    return render("found.html.j2", here=page.file, pages=NAVIGATION, preset=folder.name, **found.values(folder))


def _beyond_page(page: Page, folder: Path, executed: Sequence[Card], absent: Sequence[Card]) -> str:
    return render("beyond.html.j2", here=page.file, pages=NAVIGATION, preset=folder.name, **beyond.values(folder))


def _index_page(page: Page, folder: Path, executed: Sequence[Card], absent: Sequence[Card]) -> str:
    cards = sorted([*executed, *absent], key=lambda card: card.notebook)
    chapters: dict[str, list[Card]] = {}
    for card in cards:
        chapters.setdefault(CHAPTERS.get(card.notebook[:1], "More"), []).append(card)
    batches = sorted(folder.parent.glob("batches/*/index.html"))
    return render(
        "index.html.j2",
        here=page.file,
        pages=NAVIGATION,
        preset=folder.name,
        chapters=chapters,
        cards=cards,
        primary=found.primary((card.record for card in cards), again.read(folder)),
        least_seeds=MIN_SEEDS,
        repeats=repeat.pages(folder),
        batches={path.parent.name: f"../batches/{path.parent.name}/index.html" for path in batches},
    )


def _thesis_page(page: Page, folder: Path, executed: Sequence[Card], absent: Sequence[Card]) -> str:
    shown = thesis_page.values(executed, [card for card in absent if card.notebook not in notebooks_of(BEYOND)])
    return render("thesis.html.j2", here=page.file, pages=NAVIGATION, preset=folder.name, **shown)


PAGES = (
    Page("found.html", "What we found", _found_page),
    Page(INDEX, "All reports", _index_page),
    Page("thesis.html", "The thesis against here", _thesis_page),
    Page("beyond.html", "Beyond the thesis", _beyond_page),
)
"""The pages beside the reports, in the order in which they are linked. A page more is a line here and a template."""
NAVIGATION = tuple((page.file, page.title) for page in PAGES)
