"""Labels in a table: `image,class;class` an image, or a column of 0 and 1 a class."""

import csv
import io
from pathlib import Path

from companion.datasets.labels.entries import Entry, Problem, Source, read_text, refuse
from thesislib.data.pictures import IMAGE_SUFFIXES
from thesislib.data.voc import DataError

NAMES = ("class", "classes", "label", "labels", "tag", "tags", "category", "categories")
"""Headings of the column that holds class names."""
MARKS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True, "": False}
FORMS = "expected image,class;class on every line, or a heading image,CLASS,CLASS,... above columns of 0 and 1"
Row = tuple[int, list[str]]
"""Number of the line, and its cells."""


def read(path: Path) -> Source:
    """Labels of a `.csv` or `.tsv`.

    Raises:
        DataError: it has no row, a cell is neither 0 nor 1, a column has no 1, or classes are numbers.
    """
    heading, rows = _rows(path)
    if not rows:
        raise DataError(f"{path} lists no image: {FORMS}")
    if heading and _is_table(heading, rows[0][1]):
        return _table(path, heading, rows)
    return _lists(path, heading, rows)


def _rows(path: Path) -> tuple[list[str], list[Row]]:
    """Heading, empty where there is none, and rows; a column of row numbers, as pandas writes it, is left out."""
    text = read_text(path)
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = "\t" if "\t" in first else "," if "," in first else ";"
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as error:
        raise DataError(f"{path} is no table: {error}; {FORMS}") from error
    if not rows:
        return [], []
    if not rows[0][1][0]:
        rows = [(number, cells[1:]) for number, cells in rows if len(cells) > 1]
    if rows[0][1][0].lower().endswith(IMAGE_SUFFIXES):
        return [], rows
    return rows[0][1], rows[1:]


def _is_table(heading: list[str], first: list[str]) -> bool:
    cells = [cell.lower() for cell in first[1:]]
    return not _names_column(heading) and any(cells) and all(cell in MARKS for cell in cells)


def _names_column(heading: list[str]) -> int:
    """Position of the column of class names, 0 if no heading says so."""
    return next((i for i, head in enumerate(heading[1:], start=1) if head.casefold() in NAMES), 0)


def _table(path: Path, heading: list[str], rows: list[Row]) -> Source:
    names, entries, problems = heading[1:], [], list[Problem]()
    for number, (image, *cells) in rows:
        where = f"{path.name} line {number}"
        wrong = [cell for cell in cells if cell.lower() not in MARKS]
        if wrong or len(cells) != len(names):
            case = f"{where} has {wrong[0]!r}" if wrong else f"{where} has {len(cells)} cells for {len(names)} classes"
            problems.append((f"lines that are not a 0 or 1 for every class of the heading in {path}: mend them", case))
            continue
        shown = tuple(name for name, cell in zip(names, cells, strict=True) if MARKS[cell.lower()])
        entries.append(Entry(image, shown, where))
    empty = [name for name in names if not any(name in entry.classes for entry in entries)]
    problems += [(f"classes without an image, columns of {path} without a 1: delete them", name) for name in empty]
    problems += [(f"classes twice in the heading of {path}: delete one", n) for n in set(names) if names.count(n) > 1]
    refuse(str(path), problems)
    return Source(f"table {path.name}, a column a class", entries, tuple(names))


def _lists(path: Path, heading: list[str], rows: list[Row]) -> Source:
    column, entries = _names_column(heading), []
    for number, (image, *cells) in rows:
        first = column - 1 if column else 0
        chosen = cells[first:] if not column or column == len(heading) - 1 else cells[first : first + 1]
        shown = tuple(name.strip() for cell in chosen for name in cell.split(";") if name.strip())
        entries.append(Entry(image, shown, f"{path.name} line {number}"))
    numbers = [entry.where for entry in entries if any(name.replace(".", "").isdigit() for name in entry.classes)]
    refuse(str(path), [(f"lines with numbers for classes ({FORMS}): write their names", case) for case in numbers])
    others = [head for i, head in enumerate(heading) if i not in (0, column)] if column else []
    notes = (f"columns of {path.name}: {', '.join(others)}",) if others else ()
    return Source(f"table {path.name}, {heading[column] if column else 'class names'}", entries, (), notes)
