"""Two runs of a notebook side by side: parameters and numbers that differ, and their figures.

Everything is read from the files of the two reports (`results.json`, CSV, PNG), so runs of different presets, commits
or machines can be compared as well; where they are of different images, the page says so.
"""

import base64
import contextlib
import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from companion.analysis.statistics import Interval, independent_difference, paired_difference
from companion.reports import typeset
from companion.reports.page import duration, render
from companion.reports.record import FILE, NumberEntry, Record, VerdictEntry, write_text

LETTERS = ("A", "B")
_PLACES = ("runs_dir", "reports_dir")
_SCALE = {"preset": "the preset", "data": "the images", "network": "the network"}
Cells = dict[tuple[str, str], tuple[str, str]]
"""By row and column of a table: value, and its interval."""


@dataclass(frozen=True)
class Run:
    """One of the two: its folder of exports and what is in its record."""

    letter: str
    folder: Path
    record: Record


def read_run(path: Path, letter: str) -> Run:
    """The run of a report.

    Args:
        path: the report, the folder of its exports, or the `results.json` in it.
        letter: A or B.

    Raises:
        ValueError: there is no record, or it cannot be read.
    """
    folder = path.parent if path.name == FILE else path.with_suffix("") if path.suffix == ".html" else path
    if not (folder / FILE).is_file():
        raise ValueError(
            f"{path}: expected a report, or the folder of its exports with {FILE}, such as "
            "reports/demo/21_response_maps"
        )
    return Run(letter, folder, Record.read(folder / FILE))


def write(a: Path, b: Path, output: Path) -> Path:
    """Write the page that compares two reports.

    Args:
        a, b: see `read_run`.
        output: an HTML file in a folder that exists.

    Raises:
        ValueError: one is no report or lacks a file, they are of different notebooks, or `output` is no such file.
    """
    runs = [read_run(path, letter) for path, letter in zip((a, b), LETTERS, strict=True)]
    notebooks = [run.record.notebook for run in runs]
    if notebooks[0] != notebooks[1]:
        raise ValueError(f"{a} is of the notebook {notebooks[0]}, {b} of {notebooks[1]}; compare two runs of one")
    if output.suffix != ".html" or not output.absolute().parent.is_dir():
        raise ValueError(f"output {output}: expected an .html file in a folder that exists")
    write_text(output, _page(runs, output))
    return output


def _page(runs: Sequence[Run], output: Path) -> str:
    pair = [run.record for run in runs]
    parameters = [{k: v for k, v in record.parameters.items() if k not in _PLACES} for record in pair]
    return render(
        "compare.html.j2",
        title=pair[0].title,
        runs=[_header(run, output) for run in runs],
        other_data=[text for name, text in _SCALE.items() if getattr(pair[0], name) != getattr(pair[1], name)],
        parameters=_differing(*parameters),
        settings=_differing(*(_flat(record.settings) for record in pair)),
        circumstances=_differing(*map(_circumstances, pair)),
        numbers=list(_numbers(*pair)),
        paired=_share_seeds(*pair),
        verdicts=_verdicts(*pair),
        tables=list(_tables(*runs)),
        figures=list(_figures(*runs)),
    )


def _header(run: Run, output: Path) -> dict[str, Any]:
    html = run.folder.with_suffix(".html")
    link = Path(os.path.relpath(html.resolve(), output.resolve().parent)).as_posix() if html.is_file() else ""
    return {
        "letter": run.letter,
        "record": run.record,
        "where": "/".join(run.folder.resolve().parts[-3:]),
        "link": link,
    }


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = dict.fromkeys([*a, *b])
    return {name: (a.get(name), b.get(name)) for name in names if a.get(name) != b.get(name)}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in tree.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return found


def _circumstances(record: Record) -> dict[str, Any]:
    named = {"images": record.data, "network": record.network, "commit": record.commit}
    named |= {"device": record.device, "duration": duration(record.duration_s)}
    return named | record.versions | {f"machine {name}": value for name, value in record.machine.items()}


# --- Numbers ----------------------------------------------------------------------------------------------------------


def _numbers(a: Record, b: Record) -> Iterator[dict[str, Any]]:
    """Every key number of either, with the difference of those that both have."""
    pair = [{entry.label: entry for entry in record.key_numbers} for record in (a, b)]
    paired = _share_seeds(a, b)
    for label in dict.fromkeys([*pair[0], *pair[1]]):
        entries = [numbers.get(label) for numbers in pair]
        cells = [(entry.text, entry.interval) if entry else (typeset.MISSING, "") for entry in entries]
        yield {"label": label, "cells": [*cells, typeset.text_of(_change(*entries, paired=paired), "+.1f")]}


def _share_seeds(a: Record, b: Record) -> bool:
    """Whether the runs can be compared seed by seed: the same seeds on the same images, and each seed's value known."""
    images = [(record.data, record.settings.get("data")) for record in (a, b)]
    means = [entry for record in (a, b) for entry in record.key_numbers if entry.std is not None]
    known = all(entry.values for entry in means)
    return known and a.seed_values == b.seed_values and images[0] == images[1]


def _change(a: NumberEntry | None, b: NumberEntry | None, *, paired: bool) -> Interval | float | None:
    if not (a and b) or not all(isinstance(entry.value, int | float) for entry in (a, b)):
        return None
    here, there = _interval(a), _interval(b)
    if here is None or there is None:
        return b.value - a.value
    if paired and a.n == b.n and a.values and b.values:
        return paired_difference(b.values, a.values)
    return independent_difference(there, here)


def _interval(entry: NumberEntry) -> Interval | None:
    if entry.std is None or entry.low is None or entry.high is None or not entry.n:
        return None
    return Interval(entry.value, entry.std, entry.low, entry.high, entry.n)


def _verdicts(a: Record, b: Record) -> dict[str, tuple[VerdictEntry | None, VerdictEntry | None]]:
    pair = [{entry.claim: entry for entry in record.verdicts} for record in (a, b)]
    return {claim: (pair[0].get(claim), pair[1].get(claim)) for claim in dict.fromkeys([*pair[0], *pair[1]])}


def _tables(a: Run, b: Run) -> Iterator[dict[str, Any]]:
    """Every table of either, with the cells that differ."""
    pair = [{entry.name: entry for entry in run.record.tables} for run in (a, b)]
    for name in dict.fromkeys([*pair[0], *pair[1]]):
        if not all(name in tables for tables in pair):
            yield {"name": name, "said": f"only in {LETTERS[name not in pair[0]]}", "cells": []}
            continue
        of_a, of_b = (_cells(run.folder / f"{name}.csv") for run in (a, b))
        places = dict.fromkeys([*of_a, *of_b])
        cells = [
            {"row": row, "column": column, **_cell(of_a.get((row, column)), of_b.get((row, column)))}
            for row, column in places
            if of_a.get((row, column)) != of_b.get((row, column))
        ]
        said = f"{len(cells)} of {len(places)} cells differ" if cells else f"all {len(places)} cells the same"
        yield {"name": name, "caption": pair[0][name].caption, "said": said, "cells": cells}


def _cells(path: Path) -> Cells:
    """The cells of a CSV; rows with the same heading are told apart by their number."""
    found: Cells = {}
    seen: dict[str, int] = {}
    with _of_a_report(path), path.open(encoding="utf-8", newline="") as file:
        header, *lines = list(csv.reader(file)) or [[]]
        rows = [(heading, dict(zip(header[1:], values, strict=True))) for heading, *values in lines]
    for heading, line in rows:
        seen[heading] = seen.get(heading, 0) + 1
        row = heading if seen[heading] == 1 else f"{heading} ({seen[heading]})"
        for column, value in line.items():
            if not any(column == f"{name} {end}" for name in line for end in ("low", "high")):
                ends = [line.get(f"{column} {end}", "") for end in ("low", "high")]
                found[row, column] = (value, f"[{_text(ends[0])}, {_text(ends[1])}]" if all(ends) else "")
    return found


def _cell(a: tuple[str, str] | None, b: tuple[str, str] | None) -> dict[str, str]:
    texts = [f"{_text(cell[0])} {cell[1]}".strip() if cell else typeset.MISSING for cell in (a, b)]
    values = [_number(cell[0]) if cell else None for cell in (a, b)]
    change = typeset.MISSING
    if values[0] is not None and values[1] is not None:
        change = typeset.text_of(values[1] - values[0], "+.2f")[0]
    return {"a": texts[0], "b": texts[1], "change": change}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _text(text: str) -> str:
    """A value of a CSV as shown: fractions with two digits."""
    value = _number(text)
    if value is None or value.is_integer():
        return text or typeset.MISSING
    return typeset.text_of(value, ".2f")[0]


# --- Figures ----------------------------------------------------------------------------------------------------------


def _figures(a: Run, b: Run) -> Iterator[dict[str, Any]]:
    """Every figure of either, once where both are the same to the pixel."""
    pair = [{entry.name: entry for entry in run.record.figures} for run in (a, b)]
    for name in dict.fromkeys([*pair[0], *pair[1]]):
        shown = [
            {"letter": run.letter, "caption": entries[name].caption, "alt": entries[name].alt}
            | {"source": _embedded(run.folder / Path(entries[name].png).name)}
            for run, entries in zip((a, b), pair, strict=True)
            if name in entries
        ]
        same = len(shown) == 2 and shown[0]["source"] == shown[1]["source"]
        yield {"name": name, "same": same, "shown": shown[:1] if same else shown}


def _embedded(png: Path) -> str:
    with _of_a_report(png):
        return f"data:image/png;base64,{base64.b64encode(png.read_bytes()).decode()}"


@contextlib.contextmanager
def _of_a_report(path: Path) -> Iterator[None]:
    """Says what to do about a file of a report that is missing or damaged."""
    try:
        yield
    except (OSError, ValueError, csv.Error) as error:
        raise ValueError(
            f"cannot read {path}, which belongs to a report: {error}. Make the report again, or copy its whole folder"
        ) from error
