"""Small notebooks for tests, written to a temporary folder, and the experiment that they ask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from places import TESTS

from companion.experiments.experiment import Experiment
from companion.pipeline.stages import data
from companion.pipeline.store import Stage

PARAMETERS = """\
preset = "smoke"  # data and scale
seeds = 3  # training runs
overrides = {}  # settings by dotted name
data_root = ""  # folder in VOC layout
runs_dir = "runs"  # store
reports_dir = "reports"  # where reports go
published_dir = ""  # snapshot to go on from
profile = "released"  # reading of the thesis
alpha = 0.2  # mixing
data_seed = 0  # of the images
"""
SETTINGS = f"""\
import sys

from companion.reports.notebook import Notebook

sys.path.append({str(TESTS)!r})
from notebook_files import Small

nb = Notebook("{{name}}", globals(), Small)
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Small(Experiment):
    """Nothing but the data; its parameter alpha is a setting."""

    notebook: ClassVar = "21_small"

    alpha: float

    def stages(self) -> list[Stage]:
        return [data.stage(self.settings, self.machine)]

    @classmethod
    def settings_of(cls, parameters: Mapping[str, Any]) -> dict[str, Any]:
        return super().settings_of(parameters) | {"classifier.mixup_alpha": parameters["alpha"]}


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
