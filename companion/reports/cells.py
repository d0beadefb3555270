"""What the cells of a notebook show, as HTML for JupyterLab and for reports, and the files of figures."""

import base64
import io
from html import escape
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from companion.analysis.statistics import MIN_SEEDS
from companion.drawing.style import own_settings
from companion.reports.record import NumberEntry, VerdictEntry

BADGES = {"holds": ("✓", "#2b7a2b"), "opposite": ("✗", "#c1121f"), "undecided": ("?", "#8a6100")}
NO_VERDICT = "no verdict"
"""In place of `undecided` where there are too few seeds for any verdict."""
DPI = 192  # twice the pixels of a CSS inch: sharp on dense screens
THUMBNAIL, THUMBNAIL_COLOURS = (480, 320), 128


@own_settings()
def save_figure(fig: Figure, folder: Path, name: str) -> bytes:
    """Write `<name>.png` and `<name>.pdf`, close the figure; returns the PNG."""
    png = to_png(fig)
    fig.savefig(folder / f"{name}.pdf", dpi=DPI, bbox_inches="tight", metadata={"CreationDate": None})
    plt.close(fig)
    (folder / f"{name}.png").write_bytes(png)
    return png


@own_settings()
def to_png(fig: Figure) -> bytes:
    """A figure as PNG on white."""
    buffer = io.BytesIO()
    fig.patch.set_facecolor("white")
    fig.savefig(buffer, format="png", dpi=DPI, bbox_inches="tight")
    return buffer.getvalue()


def save_thumbnail(png: bytes, path: Path) -> None:
    """Write a small version of a figure."""
    with Image.open(io.BytesIO(png)) as image:
        image.thumbnail(THUMBNAIL)
        image.convert("RGB").quantize(THUMBNAIL_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def figure(png: bytes, caption: str, alt: str) -> str:
    """A figure at the size it was made for, with its caption."""
    with Image.open(io.BytesIO(png)) as image:
        width, height = round(image.width / 2), round(image.height / 2)
    return (
        f'<figure><img src="data:image/png;base64,{base64.b64encode(png).decode()}" alt="{escape(alt)}" '
        f'width="{width}" height="{height}" style="max-width:100%;height:auto">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def key_number(entry: NumberEntry, aside: str) -> str:
    """A number of the record, large, with what has to be said beside it."""
    return (
        f'<div class="key-number"><span class="label">{escape(entry.label)}</span> '
        f'<strong class="value" style="font-size:1.6em">{escape(entry.text)}</strong> '
        f'<span class="aside">{escape(aside)}</span></div>'
    )


def verdict(entry: VerdictEntry, aside: str) -> str:
    """A claim of the record and what became of it, as a badge that says so in more than colour."""
    symbol, colour = BADGES[entry.verdict]
    words = NO_VERDICT if entry.verdict == "undecided" and (entry.n or 0) < MIN_SEEDS else entry.verdict
    return (
        f'<div class="verdict"><span class="badge {entry.verdict}" style="background:{colour};color:#fff;'
        f'padding:.1em .6em;border-radius:1em"><span aria-hidden="true">{symbol}</span> {words}</span> '
        f'<span class="claim">{escape(entry.claim)}</span><div class="aside">{escape(aside)}</div></div>'
    )
