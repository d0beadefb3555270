"""Small notebooks for tests, written to a temporary folder."""

from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

PARAMETERS = """\
preset = "smoke"  # data and scale
seeds = 3  # training runs
overrides = {}  # settings by dotted name
data_root = ""  # folder in VOC layout
runs_dir = "runs"  # store
reports_dir = "reports"  # where reports go
alpha = 0.2  # mixing
"""
SETTINGS = """\
from companion.reports.notebook import Notebook

nb = Notebook(
    "{name}", globals(), preset=preset, seeds=seeds, overrides=overrides, data_root=data_root,
    runs_dir=runs_dir, reports_dir=reports_dir, alpha=alpha, own_settings={{"classifier.mixup_alpha": alpha}},
)
"""


def write_notebook(path: Path, *cells: str, introduction: str = "# A small notebook\n\nIts claim.") -> Path:
    """A notebook with the usual parameters and settings cells; cells that start with `%md` are Markdown."""
    parameters = new_code_cell(PARAMETERS)
    parameters.metadata.tags = ["parameters"]
    body = [
        new_markdown_cell(text.removeprefix("%md")) if text.startswith("%md") else new_code_cell(text) for text in cells
    ]
    first: Sequence[nbformat.NotebookNode] = [new_markdown_cell(introduction), parameters]
    settings = new_code_cell(SETTINGS.format(name=path.stem))
    notebook = new_notebook(cells=[*first, settings, *body])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path
