"""The page of `thesis masks`: what was found of each class, images to look at first, a contact sheet, settings.

One file that needs no network; its pictures are small overlays. Nothing here corresponds to published code.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from companion.reports.page import render
from companion.reports.record import write_text
from thesislib.data.voc import palette

PAGE = "report.html"
ON_SHEET = 48
LOOKED_AT = 24
SIDE = 220  # pixels of a picture on the page
QUALITY = 75


@dataclass(frozen=True)
class Look:
    """An image to look at: its name, its labels, why, and its overlay."""

    name: str
    labels: str
    reasons: Sequence[str]
    overlay: Path


@dataclass(frozen=True)
class Content:
    """What the page says.

    Args:
        source: the folder of the photographs.
        method: its name.
        why: why it is the default.
        facts: by name, shown at the top.
        classes: a line a class.
        looks: images to look at first.
        sheet: name and overlay of every image.
        ignored: what was not used, in words.
        notes: what the masks or their scores hang on, in words.
        seconds: of each stage.
        settings: by dotted name, here and in the published code.
    """

    source: str
    method: str
    why: str
    facts: Mapping[str, str]
    classes: pd.DataFrame
    looks: Sequence[Look]
    sheet: Sequence[tuple[str, Path]]
    ignored: Sequence[str]
    notes: Sequence[str]
    seconds: Mapping[str, float]
    settings: Mapping[str, tuple[Any, Any]]


def write(content: Content, folder: Path) -> Path:
    """Write the page into the folder; returns its file."""
    places = np.unique(np.linspace(0, len(content.sheet) - 1, min(ON_SHEET, len(content.sheet))).round().astype(int))
    page = render(
        "masks.html.j2",
        content=content,
        columns=list(content.classes.columns),
        rows=[
            (name, colour, [_cell(value) for value in row])
            for (name, row), colour in zip(_rows(content.classes), _colours(), strict=False)
        ],
        looks=[(each, thumbnail(each.overlay)) for each in content.looks[:LOOKED_AT]],
        sheet=[(name, thumbnail(path)) for name, path in (content.sheet[i] for i in places)],
    )
    write_text(folder / PAGE, page)
    return folder / PAGE


def thumbnail(path: Path) -> str:
    """A picture as a small JPEG in a data address."""
    with Image.open(path) as image:
        image.thumbnail((SIDE, SIDE))
        content = io.BytesIO()
        image.convert("RGB").save(content, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


def _rows(frame: pd.DataFrame) -> list[tuple[str, list[Any]]]:
    return [(str(name), row.tolist()) for name, row in frame.astype(object).iterrows()]


def _colours() -> list[str]:
    """Of the classes in the masks."""
    return ["#{:02x}{:02x}{:02x}".format(*colour) for colour in palette()[1:].tolist()]


def _cell(value: Any) -> str:
    if value is None or pd.isna(value):
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.1f}"
