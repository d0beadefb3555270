"""The commands `thesis compare`, `snapshot` and `report`: what can be made of reports that are there."""

import argparse
import shutil
import tempfile
from pathlib import Path


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add the three commands to those of `thesis`."""
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
    sub.add_argument("--runs-dir", type=Path, help="the store of their artefacts; default: the one that they name")

    text = "make the reports of a snapshot again from its published scores: no data, no training"
    sub = commands.add_parser("report", help=text, description=text)
    sub.set_defaults(command=report)
    text = "a snapshot, such as reports/published/demo"
    sub.add_argument("--from", type=Path, required=True, dest="snapshot", metavar="DIR", help=text)
    sub.add_argument("--reports-dir", type=Path, default=Path("reports"))


def compare(options: argparse.Namespace) -> int:
    """Write the page and print where it is."""
    from companion.reports import compare as comparison

    print(comparison.write(options.a, options.b, options.output).resolve())
    return 0


def snapshot(options: argparse.Namespace) -> int:
    """Write the copy with the scores that its tables are made of, and print their sizes."""
    from companion.reports import published
    from companion.reports import snapshot as copies

    with tempfile.TemporaryDirectory() as scratch:
        scores = Path(scratch) / published.SCORES
        bytes_of_scores = published.write(options.reports, scores, options.runs_dir)
        size, reduced = copies.write(options.reports, options.output)
        shutil.move(scores, options.output / published.SCORES)
    print(f"{options.output.resolve()}: {size / 1e6:.1f} MB, figures {reduced}; scores {bytes_of_scores / 1e6:.1f} MB")
    for path in copies.write_pictures(options.reports, options.pictures) if options.pictures else ():
        print(path.resolve())
    return 0


def report(options: argparse.Namespace) -> int:
    """Make the reports, print what became of each and whether its numbers are those that are published."""
    from companion.reports import driver, published
    from companion.reports.site import INDEX
    from companion.settings.project import NOTEBOOKS

    outcomes = driver.make(published.jobs(options.snapshot, NOTEBOOKS, options.reports_dir), notebooks_dir=NOTEBOOKS)
    print(f"\n{driver.summary(outcomes)}\n")
    made = [outcome.job for outcome in outcomes if not outcome.error]
    print(*published.compared(options.snapshot, made), sep="\n")
    for folder in sorted({outcome.job.exports.parent for outcome in outcomes}):
        print((folder / INDEX).resolve())
    return 1 if any(outcome.error for outcome in outcomes) else 0
