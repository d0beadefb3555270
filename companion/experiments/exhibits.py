"""What an experiment has to show: tables, figures, numbers and remarks with all that is said about them.

`Notebook.show` takes them, and verdicts (`analysis.claims.Verdict`) as well.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from matplotlib.figure import Figure as Drawing

from companion.analysis.claims import Place, Verdict

Format = str | Callable[[Any], str]


@dataclass(frozen=True)
class Table:
    """A table of results.

    Args:
        frame: one row per row; cells are numbers, text, missing, or means with intervals.
        name: of its files.
        caption: what the numbers are, of which images, at which stage, over how many seeds.
        best, lowest: columns whose three highest or lowest values are marked.
        within: a label per row, or the column of the labels: only rows of one label are ranked against each other.
        formats: format specification or function per column; `.1f` for fractions where none is given.
        note: shown below.
        beside: by column of measured values, the column of printed ones and where the thesis prints them.
    """

    frame: pd.DataFrame
    name: str
    caption: str
    best: Sequence[Hashable] = ()
    lowest: Sequence[Hashable] = ()
    within: Sequence[Any] | str | None = None
    formats: Mapping[Any, Format] = field(default_factory=dict)
    note: str = ""
    beside: Mapping[str, tuple[str, Place]] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """A drawing with the name of its files, what it is, and what is to be seen for readers who do not see it."""

    drawing: Drawing
    name: str
    caption: str
    alt: str


@dataclass(frozen=True)
class KeyNumber:
    """One number shown large, with its interval if it has one and the printed one of the thesis beside.

    Args:
        label: what it is.
        value: a number, or a mean with its interval.
        thesis: what the thesis prints.
        note: shown beside.
        format, unit: how it is shown.
        place: where the thesis prints it.
    """

    label: str
    value: Any
    thesis: float | int | None = None
    note: str = ""
    format: str = ".1f"
    unit: str = " %"
    place: Place | None = None


@dataclass(frozen=True)
class Note:
    """A remark that the results themselves call for."""

    text: str


Exhibit = Table | Figure | KeyNumber | Note | Verdict
Exhibits = Exhibit | Callable[[], Any] | Iterable[Any]
"""What is shown: an exhibit, several, or a function that makes them.

A function is called where it is shown. What it draws from may not be published (`LeftOut`); then the page says so in
its place and goes on, so an exhibit drawn from photographs or maps is given as a function of its own.
"""
