"""What the options of a command give: settings, machine and store, and the parameters of a notebook."""

import argparse
import ast
import contextlib
import json
from pathlib import Path
from typing import Any

from companion import settings
from companion.datasets.layout import find_layout
from companion.settings import Machine, Settings


def context(options: argparse.Namespace) -> tuple[Settings, Machine]:
    """Settings and machine.

    Raises:
        SettingsError: a setting that does not exist, or has no effect.
        FileNotFoundError: `--data-root` has no layout that is known.
    """
    chosen, root = settings_of(options), ""
    if options.data_root:
        root = str(Path(options.data_root).resolve())
        find_layout(Path(root))
    return chosen, Machine(data_root=root)


def settings_of(options: argparse.Namespace) -> Settings:
    """The settings of the preset, profile and `--set`."""
    given = overrides(options)
    settings.check_effect(given, options.data_root)
    return settings.load(options.preset, given, profile=options.profile)


def overrides(options: argparse.Namespace) -> dict[str, Any]:
    """The settings of `--set` by name."""
    return dict(settings.parse_override(text) for text in options.set)


def parameters(options: argparse.Namespace) -> dict[str, Any]:
    """The parameters that every notebook has."""
    profile = {} if options.profile == "released" else {"profile": options.profile}
    published = {"published_dir": str(options.published.resolve())} if options.published else {}
    return (
        profile
        | published
        | {
            "preset": options.preset,
            "seeds": options.seeds,
            "overrides": overrides(options),
            "data_root": str(Path(options.data_root).resolve()) if options.data_root else "",
            "runs_dir": str(options.runs_dir.resolve()),
            "reports_dir": str(options.reports_dir.resolve()),
        }
    )


def workers(parser: argparse.ArgumentParser, *, help: str, default: int | None = None) -> None:
    """Add the option of how many processes share some work."""
    parser.add_argument("--workers", type=_positive, metavar="N", help=help, default=default)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def value(text: str) -> Any:
    """A notebook parameter from the command line: JSON or a Python literal where it is one, else text."""
    for read in (json.loads, ast.literal_eval):
        with contextlib.suppress(ValueError, SyntaxError):
            return read(text)
    return text
