"""Reports as single HTML files that need no network, and how every page of the site is rendered.

A report is an executed notebook: nbconvert turns its cells into HTML with the small template in
`templates/report/`, and `templates/report.html.j2` puts what `results.json` says around them. A content security
policy in each page forbids the browser to load anything from anywhere.
"""

import base64
import datetime
import hashlib
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import bs4
import nbformat
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
from traitlets.config import Config

from companion.analysis.statistics import ASSUMPTION
from companion.datasets.published import MARK
from companion.experiments import parameters
from companion.experiments.training_seeds import seeds_in_words
from companion.reports import formulas
from companion.reports.record import FILE, Record, write_text

TEMPLATES = Path(__file__).parent / "templates"
STATE_WORDS = {"done": "done", "failed": "failed", "unfinished": "not finished", "absent": "not executed yet"}
_PROGRESS = re.compile(r"\d+%\||\d+it \[|\bit/s\]|\bs/it\]")
_WARNING = re.compile(r"\b\w*Warning\b")


class _Markdown(IPythonRenderer):
    """nbconvert's Markdown with formulas as MathML and headings that can be linked to."""

    def heading(self, text: str, level: int, **attrs: Any) -> str:
        return f'<h{level} id="{_slug(text)}">{text}</h{level}>\n'

    def block_math(self, body: str) -> str:
        return formulas.to_html(body, display=True)

    def inline_math(self, body: str) -> str:
        return formulas.to_html(body)

    def latex_environment(self, name: str, body: str) -> str:
        return formulas.to_html(f"\\begin{{{name}}}{body}\\end{{{name}}}", display=True)


class _Cells(HTMLExporter):
    """The cells of a notebook as HTML, without a page around them."""

    @property
    def default_config(self) -> Config:
        kinds = ["text/html", "text/markdown", "image/svg+xml", "image/png", "image/jpeg", "text/latex", "text/plain"]
        config = Config({"NbConvertBase": {"display_data_priority": kinds}})
        inherited = super().default_config.copy()
        inherited.merge(config)
        return inherited

    def default_filters(self) -> Iterator[tuple[str, Any]]:
        yield from super().default_filters()
        yield "markdown2html", _markdown_to_html


def _markdown_to_html(source: str) -> str:
    return MarkdownWithMath(renderer=_Markdown(escape=False, embed_images=True)).render(source)


def to_html(ipynb: Path, pages: Sequence[tuple[str, str]]) -> Path:
    """Write the report of an executed notebook as `<stem>.html` beside it, with `<stem>/results.json` if there is one.

    Args:
        ipynb: the executed notebook.
        pages: linked from the report: files beside it and their titles.

    Returns:
        The HTML file.
    """
    notebook = nbformat.read(ipynb, as_version=4)
    found = ipynb.parent / ipynb.stem / FILE
    record = Record.read(found) if found.is_file() else Record(notebook=ipynb.stem, title=ipynb.stem)
    declared = _take_parameters(notebook)
    title, introduction = _take_introduction(notebook)
    _clean(notebook)
    exporter = _Cells(template_name="report", extra_template_basedirs=[str(TEMPLATES)])
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    body = exporter.from_notebook_node(notebook)[0]
    page = render(
        "report.html.j2",
        pages=pages,
        record=record,
        title=title or record.title,
        introduction=Markup(_markdown_to_html(introduction)),
        declared=[each for each in declared if each["name"] != "reports_dir"],  # a page is where it is
        contents=_contents(body),
        body=Markup(body),
        command=_command(record, declared),
    )
    html = ipynb.with_suffix(".html")
    write_text(html, page)
    return html


def title_of(ipynb: Path) -> str:
    """The first heading of a notebook."""
    for cell in nbformat.read(ipynb, as_version=4).cells:
        for line in cell.source.splitlines() if cell.cell_type == "markdown" else ():
            if line.startswith("# "):
                return line[2:].strip()
    return ipynb.stem


def _take_parameters(notebook: nbformat.NotebookNode) -> list[dict[str, Any]]:
    """Remove the cells of parameters; returns name, value, default and help of each (none if they are not literals)."""
    cells = {tag: cell for cell in notebook.cells for tag in cell.metadata.get("tags", ())}
    if "parameters" not in cells:
        return []
    try:
        declared = parameters.read_cell(cells["parameters"].source)
        passed = parameters.read_cell(cells["injected-parameters"].source) if "injected-parameters" in cells else {}
    except (SyntaxError, ValueError):
        return []
    gone = [cells["parameters"], cells.get("injected-parameters")]
    notebook.cells = [cell for cell in notebook.cells if not any(cell is other for other in gone)]
    table = [{"name": p.name, "value": p.value, "default": p.value, "help": p.help} for p in declared.values()]
    for row in table:
        row["value"] = passed[row["name"]].value if row["name"] in passed else row["value"]
    values = {row["name"]: row["value"] for row in table}
    if values.get("runs_dir") and (parameters.folder("runs_dir", values["runs_dir"]) / MARK).is_file():
        for row in table:  # whoever reads a page of published results has folders of their own
            row["value"] = {"runs_dir": row["default"], "data_root": row["value"] and "DIR"}.get(
                row["name"], row["value"]
            )
    unknown = [p for name, p in passed.items() if name not in declared]
    return table + [{"name": p.name, "value": p.value, "default": None, "help": "unknown"} for p in unknown]


def _take_introduction(notebook: nbformat.NotebookNode) -> tuple[str, str]:
    """Remove the cell that opens with the title; returns the title and what follows it."""
    for position, cell in enumerate(notebook.cells):
        heading = re.match(r"#\s+(.+)\n?", cell.source) if cell.cell_type == "markdown" else None
        if heading:
            del notebook.cells[position]
            return heading[1].strip(), cell.source[heading.end() :]
    return "", ""


def _clean(notebook: nbformat.NotebookNode) -> None:
    """Drop what only matters while a notebook runs: progress, widgets, papermill's error cells; fold warnings."""
    notebook.metadata.pop("widgets", None)
    notebook.cells = [
        cell for cell in notebook.cells if "papermill-error-cell-tag" not in cell.metadata.get("tags", ())
    ]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [clean for output in cell.outputs for clean in _clean_output(output)]
            cell.metadata.failed = any(output.output_type == "error" for output in cell.outputs)


def _clean_output(output: nbformat.NotebookNode) -> Iterator[nbformat.NotebookNode]:
    if output.output_type == "stream":
        output.text = _without_progress(output.text)
        warnings = len(_WARNING.findall(output.text))
        if output.name == "stderr" and warnings:
            output.metadata = {"summary": "1 warning" if warnings == 1 else f"{warnings} warnings"}
            yield output
        elif output.name == "stdout" and output.text.strip():
            yield output
    elif "application/vnd.jupyter.widget-view+json" not in output.get("data", {}):
        yield output


def _without_progress(text: str) -> str:
    """What a terminal would still show of each line, without progress bars."""
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    return "\n".join(line for line in lines if not _PROGRESS.search(line))


def _contents(body: str) -> list[tuple[str, str]]:
    """Anchor and text of each section."""
    return [
        (str(heading["id"]), heading.get_text()) for heading in bs4.BeautifulSoup(body, "html.parser")("h2", id=True)
    ]


def _command(record: Record, declared: list[dict[str, Any]]) -> str:
    """The command line that executes the notebook again with the same parameters."""
    words = ["thesis", "run", record.notebook]
    for parameter in declared:
        name, value = parameter["name"], parameter["value"]
        if value is None or (value == parameter["default"] and name != "preset") or name == "reports_dir":
            continue
        words += ["-p", name, value if isinstance(value, str) else json.dumps(value)]
    return shlex.join(words)


def _slug(text: str) -> str:
    return re.sub(r"\W+", "-", re.sub(r"<[^>]*>", "", text)).strip("-").lower()


def render(template: str, **values: Any) -> str:
    """A page from a template in `templates/`, with style, script and their security policy; text is escaped."""
    script = (TEMPLATES / "script.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    light = HtmlFormatter(style="default").get_style_defs(".highlight") + " .highlight .ow { color: #8a17d8 }"
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    style += f"\n@media screen and (prefers-color-scheme: light) {{{light}}}"
    style += f"\n@media screen and (prefers-color-scheme: dark) {{{dark}}}"
    if "<math" in values.get("body", ""):
        font = base64.b64encode((TEMPLATES / "font" / "STIXTwoMath-subset.woff2").read_bytes()).decode()
        style += f'\n@font-face {{font-family: "Report Math"; src: url(data:font/woff2;base64,{font})}}'
    return (
        _templates()
        .get_template(template)
        .render(
            style=Markup(style),
            script=Markup(script),
            digest=digest,
            words=STATE_WORDS,
            assumption=ASSUMPTION,
            **values,
        )
    )


@cache
def _templates() -> Environment:
    """The templates; each is compiled once in a process, which writes many pages."""
    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"duration": duration, "moment": _moment, "literal": repr, "in_words": seeds_in_words}
    return environment


def duration(seconds: float | int | None) -> str:
    """Seconds in words.

    >>> duration(42.4), duration(192), duration(None)
    ('42 s', '3 min 12 s', '–')
    """
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _moment(text: str) -> str:
    """An ISO time as `2026-01-31 14:05 UTC`."""
    return (
        datetime.datetime.fromisoformat(text).astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC") if text else "–"
    )
