"""The command starts at once, and so do processes that share its work: they import what `thesis` imports."""

import subprocess
import sys
from typing import get_args

import pytest

from companion.cli import files as cli_files
from companion.cli import main as cli
from companion.exchange import files as exchange
from companion.exchange import submission

HEAVY = ("torch", "torchvision", "sklearn", "scipy", "pandas", "matplotlib", "seaborn", "papermill", "distributed")


@pytest.mark.parametrize("module", ["companion.cli.main", "companion.datasets.checks"])
def test_nothing_heavy_is_imported_before_a_command_needs_it(module: str) -> None:
    code = f"import sys, {module}; print(*(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_choices_that_are_written_out_are_those_of_the_library() -> None:
    assert get_args(submission.Competition) == cli_files.COMPETITIONS
    assert get_args(exchange.Layout) == cli_files.LAYOUTS


def test_a_stage_that_is_not_trained_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["stage", "clasifier", "--preset", "smoke"]) == 2
    assert "no trained stage is called 'clasifier'; did you mean 'classifier'?" in capsys.readouterr().err


def test_the_command_without_its_dependencies_says_how_they_are_installed() -> None:
    code = "import sys; sys.modules['pydantic'] = None\nfrom companion.__main__ import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert "pydantic is missing" in done.stderr
    assert "thesislib[companion]" in done.stderr
    assert "Traceback" not in done.stderr
