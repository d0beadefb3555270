"""A table of results as a file: CSV with every digit, LaTeX and Markdown as shown.

LaTeX needs booktabs, xcolor and amssymb; Markdown is that of GitHub and pandoc (pipe tables).
"""

import re

import pandas as pd

from companion.reports.typeset import LEGEND, PLACES, Cell, Layout, is_interval, one_line

_MARKS = ("", "¹", "²", "³")
_LATEX_SPECIAL = {c: "\\" + c for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "–": "--", "−": "$-$", "±": r"$\pm$",
    "✓": r"$\checkmark$", "✗": r"$\times$", "×": r"$\times$",
}  # fmt: skip


def to_latex(layout: Layout, caption: str, name: str) -> str:
    """The table for LaTeX with booktabs."""
    numeric = [layout.numeric(column) for column in range(len(layout.columns))]
    columns = "l" * len(layout.corner) + "".join("r" if number else "l" for number in numeric)
    lines = [" & ".join(_latex(text) for text in [*layout.corner, *layout.columns]) + r" \\", r"\midrule"]
    for headings, cells in layout.rows:
        lines.append(" & ".join([*map(_latex, headings), *map(_latex_cell, cells)]) + r" \\")
    body = "\n".join(lines)
    return (
        "% needs \\usepackage{booktabs,xcolor,amssymb}\n\\begin{table}\n\\centering\n"
        f"\\caption{{{_latex(caption)}}}\n\\label{{tab:{name}}}\n\\begin{{tabular}}{{{columns}}}\n\\toprule\n"
        f"{body}\n\\bottomrule\n\\end{{tabular}}\n\\end{{table}}\n"
    )


def to_markdown(layout: Layout, caption: str, note: str = "") -> str:
    """The table for Markdown with pipe tables (GitHub, pandoc), caption above and note below."""
    numeric = [layout.numeric(column) for column in range(len(layout.columns))]
    rules = [":--"] * len(layout.corner) + ["--:" if number else ":--" for number in numeric]
    lines = [[_markdown(text) for text in [*layout.corner, *layout.columns]], rules]
    for headings, cells in layout.rows:
        lines.append([*map(_markdown, headings), *map(_markdown_cell, cells)])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    remarks = " ".join(text for text in (note, LEGEND if layout.ranked() else "") if text)
    return "\n\n".join(text for text in (_markdown(caption), table, _markdown(remarks)) if text) + "\n"


def to_csv(frame: pd.DataFrame) -> str:
    """All values at full precision; an interval becomes the columns `name`, `name low` and `name high`."""
    plain = {}
    for column, values in frame.rename(columns=one_line).items():
        plain[column] = [getattr(value, "mean", value) if is_interval(value) else value for value in values]
        if any(is_interval(value) for value in values):
            for end in ("low", "high"):
                plain[f"{column} {end}"] = [getattr(value, end) if is_interval(value) else None for value in values]
    plain_index = isinstance(frame.index, pd.RangeIndex) and frame.index.name is None
    return pd.DataFrame(plain, index=frame.index).to_csv(index=not plain_index, lineterminator="\n")


def _latex_cell(cell: Cell) -> str:
    text = _latex(cell.text)
    if cell.place:
        text = rf"\textcolor{{{PLACES[cell.place][0]}}}{{{text}}}\textsuperscript{{{cell.place}}}"
    return f"{text} {{\\scriptsize {_latex(cell.interval)}}}" if cell.interval else text


def _latex(text: str) -> str:
    return "".join(_LATEX_SPECIAL.get(character, character) for character in text)


def _markdown_cell(cell: Cell) -> str:
    text = _markdown(cell.text) + _MARKS[cell.place]
    return f"{text} {cell.interval}" if cell.interval else text


def _markdown(text: str) -> str:
    """Text as it is, in one line: no character starts a cell, an emphasis, a link or a tag."""
    return re.sub(r"([\\`*_|<>\[\]&])", r"\\\1", " ".join(text.split()))
