"""A copy of a folder of reports small enough to be committed, so that they can be read before anything is installed.

It holds the pages alone: links to exports are taken out, and figures become WebP images, smaller ones where the copy
would still be too large.
"""

import base64
import io
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import bs4
from PIL import Image

from companion.pipeline.published import SCORES
from companion.reports import repeat
from companion.reports.kept import REPORTS
from companion.reports.published import records, shows_more
from companion.reports.record import FILE, Record, write_text
from companion.reports.site import INDEX, write_index
from companion.settings.project import NOTEBOOKS

MOST_BYTES = 10_000_000
PICTURES = {
    "response_maps.png": "21_response_maps/fig_2_1.png",
    "subcategories.png": "31_response_maps/fig_3_1.png",
    "segmentation.png": "35_segmentation/fig_3_12.png",
}
"""Pictures of the README, and the figures they are made of."""
PICTURE_WIDTH, COLOURS = 1000, 256
_FIGURE = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=]+)")


@dataclass(frozen=True)
class Reduction:
    """A way to make figures smaller: quality of WebP, and share of the pixels' side that is kept."""

    quality: int
    scale: float

    def __str__(self) -> str:
        return f"as WebP of quality {self.quality}" + (f", {self.scale:.0%} of their size" if self.scale < 1 else "")


REDUCTIONS = (Reduction(90, 1), Reduction(80, 1), Reduction(75, 0.75), Reduction(65, 0.5))


def write(folder: Path, output: Path, most_bytes: int = MOST_BYTES) -> tuple[int, Reduction]:
    """Copy the pages of a folder of reports, with the least reduction of figures that keeps the copy small enough.

    Args:
        folder: reports of one preset, with their index.
        output: folder to write; an older copy there is replaced, published scores beside it stay.
        most_bytes: the copy is smaller than that.

    Returns:
        Its size in bytes, and how figures were made smaller.

    Raises:
        ValueError: no reports there, one of them failed or is not finished, `output` holds something else than a copy,
            or the copy would be too large whatever the reduction.
    """
    pages = _pages(folder)
    check_free(output)
    size = 0
    for reduction in REDUCTIONS:
        copies = {page.name: _copy(page.read_text(encoding="utf-8"), set(pages), reduction) for page in pages.values()}
        size = sum(len(text.encode()) for text in copies.values())
        if size < most_bytes:
            for older in output.glob("*.html"):
                older.unlink()
            output.mkdir(parents=True, exist_ok=True)
            for name, text in copies.items():
                write_text(output / name, text)
            return size, reduction
    raise ValueError(f"the copy of {folder} would have {size / 1e6:.1f} MB, {most_bytes / 1e6:.1f} are allowed")


def check_free(output: Path) -> None:
    """Refuse a folder that holds something else than a snapshot.

    Raises:
        ValueError: it does.
    """
    if output.is_dir() and any(path.suffix != ".html" and path.name != SCORES for path in output.iterdir()):
        raise ValueError(f"{output} holds more than pages of reports; give a new or an empty folder")


def gather(folder: Path, snapshot: Path, place: Path) -> Path:
    """Put the pages of a folder of reports together with those of a snapshot that has more; returns the new folder.

    Args:
        folder: reports of one preset.
        snapshot: pages as they are, and scores to which those of `folder` have been added.
        place: an empty folder.
    """
    gathered = place / folder.name
    for there in records(snapshot / SCORES):
        html, exports = f"{there.notebook}.html", gathered / there.notebook
        own = folder / there.notebook / FILE
        source = folder if own.is_file() and not shows_more(there, Record.read(own)) else snapshot
        there.write(exports / FILE)
        if (source / html).is_file():
            shutil.copyfile(source / html, gathered / html)
        for thumbnail in (snapshot / SCORES / REPORTS / there.notebook).glob("*.png"):
            shutil.copyfile(thumbnail, exports / thumbnail.name)
    for source in (snapshot, folder):  # the newer over the older
        for name in repeat.pages(source):
            shutil.copyfile(source / name, gathered / name)
    write_index(gathered, NOTEBOOKS)
    return gathered


def write_pictures(folder: Path, output: Path) -> Iterator[Path]:
    """Write the pictures of the README, smaller and with 256 colours; yields each file.

    Raises:
        ValueError: a figure is not there, because its notebook was not executed.
    """
    output.mkdir(parents=True, exist_ok=True)
    for name, source in PICTURES.items():
        if not (folder / source).is_file():
            raise ValueError(f"there is no figure {folder / source}; execute its notebook first")
        with Image.open(folder / source) as figure:
            picture = figure.convert("RGB")
        picture.thumbnail((PICTURE_WIDTH, 4 * PICTURE_WIDTH), Image.Resampling.LANCZOS)
        picture.quantize(COLOURS, dither=Image.Dither.NONE).save(output / name, optimize=True)
        yield output / name


def _pages(folder: Path) -> dict[str, Path]:
    """The pages of finished reports by name, index and thesis page with them."""
    pages = {path.name: path for path in sorted(folder.glob("*.html"))}
    if INDEX not in pages:
        raise ValueError(f"{folder} has no reports with an index; `thesis reproduce` makes them")
    for file in folder.glob(f"*/{FILE}"):
        if (state := Record.read(file).state) != "done":
            raise ValueError(f"{file.parent.name} is {state}: a snapshot shows finished reports alone")
    return pages


def _copy(page: str, there: set[str], reduction: Reduction) -> str:
    """A page with smaller figures and without links to files that are not copied."""
    soup = bs4.BeautifulSoup(_FIGURE.sub(_reducer(reduction), page), "html.parser")
    for link in soup("a", href=True):
        target = "" if link.decomposed else str(link["href"]).partition("#")[0]
        if target and "://" not in target and target not in there:
            if item := link.find_parent("li"):
                item.decompose()
            else:
                link.unwrap()
    for empty in soup.select("ul.files:not(:has(li))"):
        if title := empty.find_previous_sibling("h2") or empty.find_parent("details"):
            title.decompose()
        empty.decompose()
    return str(soup)


def _reducer(reduction: Reduction) -> Callable[[re.Match[str]], str]:
    def smaller(found: re.Match[str]) -> str:
        with Image.open(io.BytesIO(base64.b64decode(found[1]))) as image:
            size = round(image.width * reduction.scale), round(image.height * reduction.scale)
            buffer = io.BytesIO()
            image.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(
                buffer, "webp", quality=reduction.quality, method=4
            )
        return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"

    return smaller
