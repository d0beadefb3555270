"""A table of results laid out and as accessible HTML, with the best three values of a column marked.

As in the thesis the best three are red, green and blue; a raised 1, 2 or 3 says the same without colour.
"""

import difflib
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd

Format = str | Callable[[Any], str]

MISSING = "–"
PLACES = {1: ("red", "best"), 2: ("green", "second best"), 3: ("blue", "third best")}
LEGEND = "Best three values of a column: ¹ red, ² green, ³ blue."
WIDE = 12  # columns from which a report turns the headings upright
# The report's style sheet sets the variables for its light and dark theme; JupyterLab shows the colours given here.
_COLOURS = {1: "var(--place1,#c1121f)", 2: "var(--place2,#2b7a2b)", 3: "var(--place3,#1d5fc4)"}


@dataclass(frozen=True)
class Cell:
    """What a cell shows: the value, its interval, and its place among the best three (0: none)."""

    text: str
    interval: str = ""
    numeric: bool = False
    place: int = 0


@dataclass(frozen=True)
class Layout:
    """A table ready to be written: titles of the row headings and columns, and each row's headings and cells."""

    corner: list[str]
    columns: list[str]
    rows: list[tuple[list[str], list[Cell]]]

    def numeric(self, column: int) -> bool:
        """Whether the column holds numbers (or nothing)."""
        return all(cells[column].numeric or cells[column].text == MISSING for _, cells in self.rows)

    def ranked(self) -> bool:
        """Whether any cell carries a place."""
        return any(cell.place for _, cells in self.rows for cell in cells)


def lay_out(
    frame: pd.DataFrame,
    *,
    best: Sequence[Hashable] = (),
    lowest: Sequence[Hashable] = (),
    within: Sequence[Any] | str | None = None,
    formats: Mapping[Any, Format] | None = None,
) -> Layout:
    """Format every cell and give the best three of the ranked columns their places.

    Args:
        frame: one row per row. Its index heads the rows; in place of a plain 0, 1, 2 the first column does. Cells
            are numbers, text, missing, or objects with `mean`, `low` and `high`.
        best: columns whose highest values are marked.
        lowest: columns whose lowest values are marked.
        within: a label per row, or the column of the labels: only rows with the same label are ranked against each
            other, and rows without a label never are.
        formats: format specification or function per column; `.1f` for fractions where none is given.

    Raises:
        ValueError: a column that does not exist, or a number of labels that is not the number of rows.
    """
    frame = frame.rename(columns=one_line)
    if not frame.columns.is_unique:
        raise ValueError(f"columns of a table need different names, found {list(frame.columns)}")
    highest, lowest, formats = _names(best), _names(lowest), dict(formats or {})
    for column in [*highest, *lowest, *formats]:
        require_column(column, frame)
    labels = _labels(frame, within)
    if isinstance(frame.index, pd.RangeIndex) and frame.index.name is None and len(frame.columns) > 1:
        frame = frame.set_index(frame.columns[0])
    body = []
    for column in frame.columns:
        cells = [_cell(value, formats.get(column)) for value in frame[column]]
        if column in highest or column in lowest:
            cells = _with_places(cells, list(frame[column]), labels, lowest_first=column in lowest)
        body.append(cells)
    headings = [[str(part) for part in (key if isinstance(key, tuple) else (key,))] for key in frame.index]
    corner = ["" if name is None else str(name) for name in frame.index.names]
    rows = [(headings[row], [cells[row] for cells in body]) for row in range(len(frame))]
    return Layout(corner, [str(column) for column in frame.columns], rows)


def to_html(layout: Layout, caption: str, note: str = "") -> str:
    """The table with caption and scopes, in a box of its own that scrolls sideways."""
    numeric = [layout.numeric(column) for column in range(len(layout.columns))]
    align = ["text-align:right" if number else "text-align:left" for number in numeric]
    ranked = [any(cells[column].place for _, cells in layout.rows) for column in range(len(layout.columns))]
    head = [f'<th scope="col" style="text-align:left"><span>{escape(title)}</span></th>' for title in layout.corner]
    for title, style in zip(layout.columns, align, strict=True):
        head.append(f'<th scope="col" style="{style}"><span>{escape(title)}</span></th>')
    lines = []
    for headings, cells in layout.rows:
        line = [f'<th scope="row" style="text-align:left">{escape(text)}</th>' for text in headings]
        line += [_html_cell(*each) for each in zip(cells, align, ranked, strict=True)]
        lines.append(f"<tr>{''.join(line)}</tr>")
    remarks = " ".join(text for text in (note, LEGEND if layout.ranked() else "") if text)
    foot = f'<p class="table-note">{escape(remarks)}</p>' if remarks else ""
    kind = "results wide" if len(layout.columns) > WIDE else "results"
    return (
        f'<div class="table"><div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}" '
        f'style="overflow-x:auto"><table class="{kind}" style="font-variant-numeric:tabular-nums">'
        f'<caption style="text-align:left"><span>{escape(caption)}</span></caption>'
        f"<thead><tr>{''.join(head)}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>{foot}</div>"
    )


def to_text(layout: Layout, caption: str) -> str:
    """The table as plain text, a line a row, for where there is no HTML."""
    rows = [[*headings, *(f"{cell.text} {cell.interval}".strip() for cell in cells)] for headings, cells in layout.rows]
    return "\n".join([caption, "\t".join([*layout.corner, *layout.columns]), *("\t".join(row) for row in rows)])


def is_interval(value: Any) -> bool:
    """Whether a value is a mean with an interval, e.g. over seeds."""
    return all(hasattr(value, name) for name in ("mean", "low", "high"))


def text_of(value: Any, format: Format | None = None) -> tuple[str, str]:
    """A value as text, and its interval as text (empty without one).

    >>> text_of(50.05), text_of(None), text_of(0.5, ".0%")
    (('50.0', ''), ('–', ''), ('50%', ''))
    """
    if is_interval(value):
        low, high = _end(value.low, format), _end(value.high, format)
        missing = MISSING in (low, high)
        return _format(value.mean, format), "" if missing else f"[{low}, {high}]"
    return _format(value, format), ""


def _end(value: float, format: Format | None) -> str:
    """An end of an interval; of a difference, up to three digits show on which side of 0 it lies."""
    formats = [format, "+.2f", "+.3f"] if isinstance(format, str) and format.startswith("+") else [format]
    texts = [_format(value, each) for each in formats]
    return next((text for text in texts if re.search("[1-9]", text)), texts[0])


def _format(value: Any, format: Format | None) -> str:
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return MISSING
    if callable(format):
        return format(value)
    if isinstance(value, bool) or not pd.api.types.is_number(value):
        return str(value)
    text = value.__format__(format or ("d" if pd.api.types.is_integer(value) else ".1f"))
    if not re.search("[1-9]", text):  # the sign of a number that is rounded away
        text = text.lstrip("+-")
    return text.replace("-", "−")


def _cell(value: Any, format: Format | None) -> Cell:
    text, interval = text_of(value, format)
    number = is_interval(value) or (pd.api.types.is_number(value) and not isinstance(value, bool))
    return Cell(text, interval, number)


def _with_places(cells: list[Cell], values: list[Any], labels: list[Any], *, lowest_first: bool) -> list[Cell]:
    """Places 1 to 3 by the value as shown; equal values share a place, and the next one is skipped."""
    scores = [_score(cell, value, lowest_first) for cell, value in zip(cells, values, strict=True)]
    placed = []
    for cell, score, label in zip(cells, scores, labels, strict=True):
        rivals = [s for s, other in zip(scores, labels, strict=True) if s is not None and other == label]
        place = 0
        if score is not None and label not in (None, "") and len(set(rivals)) > 1:
            place = 1 + sum(rival > score for rival in rivals)
        placed.append(Cell(cell.text, cell.interval, cell.numeric, place if place in PLACES else 0))
    return placed


def _score(cell: Cell, value: Any, lowest_first: bool) -> float | None:
    if not cell.numeric or cell.text == MISSING:
        return None
    try:
        shown = float(cell.text.replace("−", "-").rstrip("%"))
    except ValueError:
        shown = float(getattr(value, "mean", value))
    return -shown if lowest_first else shown


def _labels(frame: pd.DataFrame, within: Sequence[Any] | str | None) -> list[Any]:
    if within is None:
        return ["all"] * len(frame)
    if isinstance(within, str):
        require_column(within, frame)
        within = list(frame[within])
    if len(within) != len(frame):
        raise ValueError(f"within has {len(within)} labels for {len(frame)} rows")
    return [None if pd.isna(label) else label for label in within]


def require_column(column: Hashable, frame: pd.DataFrame) -> None:
    """Raise a ValueError that names the nearest column where a table lacks this one."""
    if column not in frame.columns:
        close = difflib.get_close_matches(str(column), [str(name) for name in frame.columns], 1)
        hint = f"did you mean {close[0]!r}?" if close else f"columns: {', '.join(map(str, frame.columns))}"
        raise ValueError(f"the table has no column {column!r}; {hint}")


def _names(columns: Sequence[Hashable]) -> list[Hashable]:
    return [columns] if isinstance(columns, str) else list(columns)


def one_line(name: Hashable) -> Hashable:
    """A column's name; the parts of a tuple are joined."""
    return " ".join(str(part) for part in name if part != "") if isinstance(name, tuple) else name


def _html_cell(cell: Cell, style: str, in_ranked_column: bool) -> str:
    text, mark = escape(cell.text), ""
    if cell.place:
        text = f'<span class="place{cell.place}" style="color:{_COLOURS[cell.place]}">{text}</span>'
        mark = f'<sup role="img" aria-label="{PLACES[cell.place][1]}">{cell.place}</sup>'
    if in_ranked_column:  # every cell keeps room for the mark, so that decimals stay aligned
        text += f'<span class="mark" style="display:inline-block;width:.6em;text-align:left">{mark}</span>'
    if cell.interval:
        text += f' <small class="interval">{escape(cell.interval)}</small>'
    return f'<td style="{style};white-space:nowrap">{text}</td>' if cell.numeric else f'<td style="{style}">{text}</td>'
