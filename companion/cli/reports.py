"""The commands `thesis compare` and `thesis snapshot`: what can be made of reports that are there."""

import argparse
from pathlib import Path


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add the two commands to those of `thesis`."""
    text = "set two runs of a notebook side by side: parameters and numbers that differ, figures"
    sub = commands.add_parser("compare", help=text, description=text)
    sub.set_defaults(command=compare)
    sub.add_argument("a", type=Path, help="a report, the folder of its exports, or the results.json in it")
    sub.add_argument("b", type=Path, help="the other one")
    sub.add_argument("--output", type=Path, default=Path("comparison.html"), metavar="FILE", help="an .html file")

    text = "copy the reports of a folder, with smaller figures and without their exports, to be read anywhere"
    sub = commands.add_parser("snapshot", help=text, description=text)
    sub.set_defaults(command=snapshot)
    sub.add_argument("reports", type=Path, help="folder of one preset, such as reports/demo")
    sub.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write; replaces an old copy")
    sub.add_argument("--pictures", type=Path, metavar="DIR", help="also write the pictures of the README there")


def compare(options: argparse.Namespace) -> int:
    """Write the page and print where it is."""
    from companion.reports import compare as comparison

    print(comparison.write(options.a, options.b, options.output).resolve())
    return 0


def snapshot(options: argparse.Namespace) -> int:
    """Write the copy and print its size."""
    from companion.reports import snapshot as copies

    size, reduced = copies.write(options.reports, options.output)
    print(f"{options.output.resolve()}: {size / 1e6:.1f} MB, figures {reduced}")
    for path in copies.write_pictures(options.reports, options.pictures) if options.pictures else ():
        print(path.resolve())
    return 0
