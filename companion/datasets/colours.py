"""Masks whose colours are classes: which colour is which, and indices made of colours.

A table beside the masks says it: `colours.csv` with `class,red,green,blue` a line, as CamVid's `class_dict.csv` too,
or CVAT's `labelmap.txt`. Nothing here corresponds to published code, whose masks are indices.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from companion.datasets.labels.entries import lines_of, read_text, some
from thesislib.data.class_names import plain_name
from thesislib.data.pictures import UNREADABLE
from thesislib.data.voc import IGNORE, DataError, palette

COLOURS, LABELMAP = "colours.csv", "labelmap.txt"
TABLES = (COLOURS, "colors.csv", "class_dict.csv", LABELMAP)
BACKGROUND = ("background", "bg")
VOID = ("ignore", "ignored", "void", "unlabeled", "unlabelled")
LINE = "class,red,green,blue"
Colour = tuple[int, int, int]


def read_table(path: Path) -> dict[Colour, str]:
    """Plain class name of every colour; raises `DataError` for a line that is none, and for a colour of two classes."""
    lines = _labelmap(path) if path.name == LABELMAP else _table(path)
    found: dict[Colour, str] = {}
    for where, name, cells in lines:
        if len(cells) != 3 or not all(cell.isdigit() and int(cell) <= 255 for cell in cells):
            form = "name:red,green,blue::" if path.name == LABELMAP else LINE
            raise DataError(f"{path} {where} has {name} {','.join(cells)}; expected {form}, each colour 0 to 255")
        red, green, blue = map(int, cells)
        if found.setdefault((red, green, blue), plain_name(name)) != plain_name(name):
            raise DataError(f"{path} {where} gives {name} a colour that another class has: each needs its own")
    if not found:
        raise DataError(f"{path} names no colour; expected {LINE} on each line")
    return found


def meaning(table: Mapping[Colour, str], classes: Mapping[str, int]) -> dict[Colour, int]:
    """The value of each colour: that of its class by plain name, 255 for void, 0 for all else."""
    return {colour: classes.get(name, IGNORE if name in VOID else 0) for colour, name in table.items()}


def of_voc(values: Mapping[int, int]) -> dict[Colour, int]:
    """The meaning of VOC's colours where that of indices is known."""
    colours = palette()
    return {tuple(colours[index].tolist()): value for index, value in values.items()}


class Meaning(NamedTuple):
    """The value of each colour, and the table that says so; None: the colours are VOC's."""

    known: Mapping[Colour, int]
    table: Path | None


def find_beside(folder: Path, *names: str) -> Path | None:
    """The first of some files that is in a folder, or else beside it."""
    places = [place / name for place in (folder, folder.absolute().parent) for name in names]
    return next((path for path in places if path.is_file()), None)


def read_meaning(folder: Path, classes: Sequence[str]) -> Meaning:
    """What colours mean in predictions of these classes, 1 and up in their order: a table's, or else VOC's palette.

    Raises:
        DataError: as `read_table`, or it lacks a class.
    """
    table = find_beside(folder, *TABLES)
    if table is None:
        return Meaning(of_voc({index: index for index in range(len(classes) + 1)}), None)
    named = read_table(table)
    require(classes, list(named.values()), table)
    return Meaning(meaning(named, {plain_name(name): c + 1 for c, name in enumerate(classes)}), table)


def require(classes: Sequence[str], names: Sequence[str], path: Path) -> None:
    """Refuse a list of classes, in a file, that lacks one of the image labels."""
    if missing := [name for name in classes if plain_name(name) not in map(plain_name, names)]:
        raise DataError(f"{path} lacks {', '.join(missing)}, which the image labels name; it has {some(names)}")


def is_coloured(path: Path) -> bool:
    """Whether a mask has colours alone: no palette, no greys. Raises `DataError` if it is unreadable."""
    try:
        with Image.open(path) as image:
            return image.mode in ("RGB", "RGBA")
    except UNREADABLE as error:
        raise DataError(f"cannot read mask {path}: {error}. Copy it again") from error


def read_indices(path: Path, known: Mapping[Colour, int], table: Path | None) -> UInt8[np.ndarray, "h w"]:
    """A mask by its colours.

    Args:
        path: of any mode.
        known: value of each colour.
        table: that says so; None: the colours are VOC's.

    Raises:
        DataError: it is unreadable, or has other colours; with how many pixels have them.
    """
    try:
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB")).astype(np.uint32)
    except UNREADABLE as error:
        raise DataError(f"cannot read mask {path}: {error}. Copy it again") from error
    stored = (pixels[..., 0] << 16) | (pixels[..., 1] << 8) | pixels[..., 2]
    present, place, times = np.unique(stored, return_inverse=True, return_counts=True)
    found = [_colour(number) for number in present.tolist()]
    if unknown := [(n, colour) for n, colour in zip(times.tolist(), found, strict=True) if colour not in known]:
        said = some(f"{colour} in {n} pixels" for n, colour in sorted(unknown, reverse=True))
        raise DataError(f"mask {path} has {said}, {_remedy(path, table)}")
    return np.array([known[colour] for colour in found], np.uint8)[place].reshape(stored.shape)


def _remedy(path: Path, table: Path | None) -> str:
    if table:
        return f"which {table} does not name: add {LINE} for each"
    return (
        f"which is no class by VOC's palette: say what the colours mean in {path.parent / COLOURS}, {LINE} on each "
        "line, among them background,0,0,0"
    )


def _table(path: Path) -> list[tuple[str, str, list[str]]]:
    """Line, name and cells of the colour; a first line whose colour has no digit is a heading."""
    rows = csv.reader(io.StringIO(read_text(path), newline=""))
    cells = [(rows.line_num, [cell.strip() for cell in row]) for row in rows if any(map(str.strip, row))]
    if cells and not any(cell.isdigit() for cell in cells[0][1][1:]):
        cells = cells[1:]
    return [(f"line {number}", row[0], row[1:]) for number, row in cells]


def _labelmap(path: Path) -> list[tuple[str, str, list[str]]]:
    found = []
    for number, line in lines_of(path):
        if not line.startswith("#"):
            name, _, rest = line.partition(":")
            found.append((f"line {number}", name, [cell.strip() for cell in rest.split(":")[0].split(",")]))
    return found


def _colour(number: int) -> Colour:
    return number >> 16, number >> 8 & 255, number & 255
