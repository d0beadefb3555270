"""The commands `thesis compare`, `snapshot` and `report`: what can be made of reports that are there."""

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add the three commands to those of `thesis`."""
    text = "set two runs of a notebook side by side: parameters and numbers that differ, figures; or all their verdicts"
    sub = commands.add_parser("compare", help=text, description=text)
    sub.set_defaults(command=compare)
    sub.add_argument("a", type=Path, help="a report, the folder of its exports, or the results.json in it")
    sub.add_argument("b", type=Path, help="the other one")
    sub.add_argument("--output", type=Path, default=Path("comparison.html"), metavar="FILE", help="an .html file")
    text = "A and B are folders of reports: do the verdicts of all notebooks stay? Fails where one turned round"
    sub.add_argument("--repeat", action="store_true", help=text)

    text = "publish the pages of a folder of reports, to be read anywhere, and the scores that tables are made of"
    sub = commands.add_parser("snapshot", help=text, description=text)
    sub.set_defaults(command=snapshot)
    sub.add_argument("reports", type=Path, help="folder of one preset, such as reports/demo")
    sub.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder to write; scores are added to those there"
    )
    sub.add_argument("--anew", action="store_true", help="drop what was published there before")
    sub.add_argument("--pictures", type=Path, metavar="DIR", help="also write the pictures of the README there")
    sub.add_argument("--runs-dir", type=Path, help="the store of their artefacts; default: the one that they name")

    text = "make the reports of a snapshot again from its published scores: no data, no training"
    sub = commands.add_parser("report", help=text, description=text)
    sub.set_defaults(command=report)
    text = "a snapshot, such as reports/published/demo"
    sub.add_argument("--from", type=Path, required=True, dest="snapshot", metavar="DIR", help=text)
    sub.add_argument("--reports-dir", type=Path, default=Path("reports"))


def compare(options: argparse.Namespace) -> int:
    """Write the page and print where it is; of a repeat also what became of the verdicts."""
    from companion.reports import compare as comparison
    from companion.reports import repeat

    if options.repeat:
        repeated = repeat.compare(options.a, options.b)
        print(f"{repeated.in_words()}\n{repeat.write(repeated, options.output).resolve()}")
        return 1 if repeated.turned else 0
    print(comparison.write(options.a, options.b, options.output).resolve())
    return 0


def snapshot(options: argparse.Namespace) -> int:
    """Add the scores that tables are made of to those that are published, write the pages, and print their sizes.

    Pages are copies of the reports where images are generated. Of photographs they are made again from the scores
    alone, so nothing that is drawn from one can be on them.
    """
    from companion.reports import published
    from companion.reports import snapshot as copies

    copies.check_free(options.output)
    records, scores = published.finished(options.reports), options.output / published.SCORES
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        if scores.is_dir() and not options.anew:
            shutil.copytree(scores, place / published.SCORES)
        bytes_of_scores = published.write(options.reports, place / published.SCORES, options.runs_dir)
        generated = all(record.generated for record in records)
        with _in_place(place / published.SCORES, scores):
            pages = (
                copies.gather(options.reports, options.output, place)
                if generated
                else _made_again(scores.parent, place)
            )
            size, reduced = copies.write(pages, options.output)
            if not generated:
                published.take_shown(pages, scores)
    print(f"{options.output.resolve()}: {size / 1e6:.1f} MB, figures {reduced}; scores {bytes_of_scores / 1e6:.1f} MB")
    for there in published.records(scores):
        own = [record for record in records if record.notebook == there.notebook]
        if not (own and not published.shows_more(there, own[0])):
            print(f"{there.notebook} stays as published, of {there.seeds_in_words}")
    for path in copies.write_pictures(options.reports, options.pictures) if options.pictures else ():
        print(path.resolve())
    return 0


@contextmanager
def _in_place(folder: Path, target: Path) -> Iterator[None]:
    """A folder in the place of another one, which comes back where what is done with it fails."""
    before = folder.with_name(f"{folder.name}-before")
    if target.is_dir():
        shutil.move(target, before)
    shutil.move(folder, target)
    try:
        yield
    except BaseException:
        shutil.rmtree(target)
        if before.is_dir():
            shutil.move(before, target)
        raise


def _made_again(snapshot: Path, reports_dir: Path) -> Path:
    """The folder of reports made from the scores of a snapshot.

    Raises:
        ValueError: one failed; says why.
    """
    from companion.reports import driver, published
    from companion.settings.project import NOTEBOOKS

    jobs = published.jobs(snapshot, NOTEBOOKS, reports_dir)
    outcomes = driver.make(jobs, notebooks_dir=NOTEBOOKS)
    if any(outcome.error for outcome in outcomes):
        raise ValueError(f"nothing was published, since a page cannot be made\n{driver.summary(outcomes)}")
    return jobs[0].exports.parent


def report(options: argparse.Namespace) -> int:
    """Make the reports and print what became of each and which numbers differ from those that are published.

    Status 1: one failed, or a number differs.
    """
    from companion.reports import driver, published
    from companion.reports.site import INDEX
    from companion.settings.project import NOTEBOOKS

    outcomes = driver.make(published.jobs(options.snapshot, NOTEBOOKS, options.reports_dir), notebooks_dir=NOTEBOOKS)
    print(f"\n{driver.summary(outcomes)}\n")
    made = [outcome.job for outcome in outcomes if not outcome.error]
    differ = False
    for line, others in published.compared(options.snapshot, made):
        print(line, *(f"    {other}" for other in others), sep="\n")
        differ = differ or bool(others)
    for folder in sorted({outcome.job.exports.parent for outcome in outcomes}):
        print((folder / INDEX).resolve())
    return 1 if differ or any(outcome.error for outcome in outcomes) else 0
