"""The command `thesis batch`: one notebook with every combination of a grid of its parameters."""

import argparse
from pathlib import Path

from companion.cli import command_line
from companion.pipeline import engine
from companion.settings.project import NOTEBOOKS


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add the command to those of `thesis`."""
    text = "execute a notebook with every combination of the parameters in a batch file"
    sub = commands.add_parser("batch", help=text, description=text)
    sub.set_defaults(command=batch)
    sub.add_argument("file", type=Path, help="such as batches/fig_2_5c.toml")
    sub.add_argument("--dry-run", action="store_true", help="check the file, show the plan, and stop")
    sub.add_argument("--scheduler", default=engine.LOCAL, help="address or scheduler file of a Dask cluster")
    command_line.workers(sub, help="local workers, and notebooks at once; default one per core")
    sub.add_argument("--data-root", default="", help="folder in VOC layout, in place of the file's")
    sub.add_argument("--runs-dir", type=Path, default=Path("runs"), help="the store of computed artefacts")
    sub.add_argument("--reports-dir", type=Path, default=Path("reports"))


def batch(options: argparse.Namespace) -> int:
    """Check everything, show the plan, compute the stages of all runs once, execute the notebooks, tell what happened.

    A notebook of which a stage could not be computed is not executed.

    Returns:
        0 if every run has its report, 1 if a stage or a notebook failed.
    """
    from companion.pipeline.published import own_store
    from companion.reports import batch_page, batch_plans, batches, driver
    from companion.reports.site import write_index

    store, reports_dir = own_store(options.runs_dir.resolve()), options.reports_dir.resolve()
    asked = batches.read(options.file, NOTEBOOKS, data_root=options.data_root)
    jobs = asked.jobs(store, reports_dir)
    todo = [job for job in jobs if not job.is_done()]
    local = (options.workers or engine.local_workers()) if options.scheduler == engine.LOCAL else None
    print(batch_plans.describe(asked, todo, store, local), flush=True)
    if options.dry_run:
        return 0
    outcomes = driver.reproduce(
        jobs,
        store,
        scheduler=options.scheduler,
        workers=options.workers,
        after_each=lambda: batch_page.write(asked, jobs, reports_dir),
    )
    page = batch_page.write(asked, jobs, reports_dir)
    if (main := reports_dir / asked.preset).is_dir():
        write_index(main, NOTEBOOKS)  # lists the batches
    print(f"\n{driver.summary(outcomes)}\n\n{page}")
    return 1 if any(outcome.error for outcome in outcomes) else 0
