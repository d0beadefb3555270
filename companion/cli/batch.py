"""The command `thesis batch`: one notebook with every combination of a grid of its parameters."""

import argparse
import dataclasses
import sys
from pathlib import Path

from companion.pipeline import engine
from companion.pipeline.store import Store
from companion.settings import SettingsError

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add the command to those of `thesis`."""
    text = "execute a notebook with every combination of the parameters in a batch file"
    sub = commands.add_parser("batch", help=text, description=text)
    sub.set_defaults(command=batch)
    sub.add_argument("file", type=Path, help="such as batches/fig_2_5c.toml")
    sub.add_argument("--dry-run", action="store_true", help="check the file, show the plan, and stop")
    sub.add_argument("--scheduler", default=engine.LOCAL, help="address or scheduler file of a Dask cluster")
    sub.add_argument("--workers", type=int, help="local workers, and notebooks at once; default one per core")
    sub.add_argument("--data-root", default="", help="folder in VOC layout, in place of the file's")
    sub.add_argument("--runs-dir", type=Path, default=Path("runs"), help="the store of computed artefacts")
    sub.add_argument("--reports-dir", type=Path, default=Path("reports"))


def batch(options: argparse.Namespace) -> int:
    """Check everything, show the plan, compute the stages of all runs once, execute the notebooks, tell what happened.

    A notebook of which a stage could not be computed is not executed.

    Returns:
        0 if every run has its report, 1 if a stage or a notebook failed.
    """
    from companion.reports import batch_plans, batch_runs, batches
    from companion.reports import execute as reports
    from companion.reports import page as pages

    if options.workers is not None and options.workers < 1:
        raise SettingsError(f"--workers must be at least 1, got {options.workers}")
    store = Store(options.runs_dir.resolve())
    failures: dict[str, str] = {}
    asked = batches.read(options.file, NOTEBOOKS, data_root=options.data_root)
    jobs = batch_runs.plan(asked, store, options.reports_dir.resolve())
    todo = [run for run in asked.runs if not jobs[run.name].is_done()]
    local = (options.workers or engine.local_workers()) if options.scheduler == engine.LOCAL else None
    print(batch_plans.describe(asked, todo, store, local), flush=True)
    if options.dry_run:
        return 0
    try:
        stages = [stage for run in todo for stage in run.stages]
        engine.run(stages, store, scheduler=options.scheduler, workers=options.workers)
    except engine.RunFailed as error:
        failures = error.failures
        print(f"thesis: {error}", file=sys.stderr)
    for run in todo:
        jobs[run.name] = dataclasses.replace(jobs[run.name], obstacle=engine.obstacle(run.stages, store, failures))
    results = {run.name: batch_runs.Result(run, batch_runs.FINISHED) for run in asked.runs}
    runs = {jobs[run.name]: run for run in todo}
    for job, seconds, problem in batch_runs.execute(list(runs), options.workers or engine.cores()):
        state = "failed" if problem else "done"
        results[runs[job].name] = batch_runs.Result(runs[job], state, seconds, problem)
        print(f"{state:7} {runs[job].name} ({pages.duration(seconds)})", flush=True)
        batch_runs.write_page(asked, jobs)
    page = batch_runs.write_page(asked, jobs)
    main = options.reports_dir / asked.preset
    if main.is_dir():
        reports.write_index(main, NOTEBOOKS)  # lists the batches
    print(f"\n{batch_runs.table(list(results.values()), jobs)}\n\n{page}")
    return 1 if failures or any(result.error for result in results.values()) else 0
