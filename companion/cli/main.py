"""The `thesis` command: reproduce everything, run one notebook, compute one stage; all commands are added here.

Commands import what they compute with themselves: processes that are started to share some work import this module
again, and PyTorch alone takes seconds.
"""

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from companion.cli import batch as cli_batch
from companion.cli import command_line, disks
from companion.cli import data as cli_data
from companion.cli import files as cli_files
from companion.cli import masks as cli_masks
from companion.cli import reports as cli_reports
from companion.cli import store as cli_store
from companion.cli import weights as cli_weights
from companion.experiments.training_seeds import check_seeds, read_seeds, seeds_in_words
from companion.pipeline import engine
from companion.pipeline.store import Stage, StageFailed
from companion.pipeline.workers import ProcessKilled
from companion.settings import PRESETS, Machine, SettingsError, nearest
from companion.settings.project import NOTEBOOKS

if TYPE_CHECKING:
    from companion.reports.driver import Outcome
    from companion.reports.jobs import Job

ROOT = NOTEBOOKS.parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status: 0 done, 1 something failed, 2 bad input."""
    options = _parser().parse_args(arguments)
    with contextlib.suppress(KeyboardInterrupt):
        try:
            if "seeds" in options:
                options.seeds = read_seeds(options.seeds)
            return options.command(options)
        except (SettingsError, ValueError, FileNotFoundError) as error:
            print(f"thesis: {error}", file=sys.stderr)
            return 2
        except (engine.RunFailed, engine.SchedulerLost, ProcessKilled, StageFailed) as error:
            print(f"thesis: {error}", file=sys.stderr)
            return 1
        except OSError as error:
            print(f"thesis: {disks.in_words(error, options)}", file=sys.stderr)
            return 1
    print("thesis: interrupted; what was finished is kept, start again to go on", file=sys.stderr)
    return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="thesis", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--preset", default="demo", help=f"data and scale: {', '.join(PRESETS)}")
    text = "reading of the thesis at paper scale: released (published code, default) or text (as printed)"
    common.add_argument("--profile", default="released", help=text)
    text = "training seeds: how many (3: 0, 1, 2), or which (100-104; 0,3,7; 100, with the comma for one)"
    common.add_argument("--seeds", default="3", help=text)
    common.add_argument("--data-root", default="", help="folder in VOC layout instead of generated images")
    common.add_argument("--runs-dir", type=Path, default=Path("runs"), help="the store of computed artefacts")
    common.add_argument("--reports-dir", type=Path, default=Path("reports"))
    common.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting, e.g. classifier.mixup_alpha=0.4"
    )

    def add(name: str, command: Any, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, parents=[common], help=text, description=text)
        sub.set_defaults(command=command)
        return sub

    def continued(sub: argparse.ArgumentParser) -> None:
        text = "go on from a snapshot, such as reports/published/demo: what it has need not be computed to be shown"
        sub.add_argument("--published", type=Path, metavar="DIR", help=text)

    sub = add("reproduce", reproduce, "compute everything, execute all notebooks, write the report")
    sub.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        help="these notebooks alone, those with a table-3.2 or a fig-3.4, or all that are `beyond` the thesis",
    )
    sub.add_argument("--scheduler", default=engine.LOCAL, help="address or scheduler file of a Dask cluster")
    command_line.workers(sub, help="local workers; default one per core")
    continued(sub)
    sub = add("run", run, "execute one notebook and render its report")
    sub.add_argument("notebook", help="its name, e.g. 21_response_maps")
    sub.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), dest="parameters")
    continued(sub)
    text = "compute one trained stage with its --set settings; under torchrun its processes share the training"
    sub = add("stage", stage, text)
    sub.add_argument("name", help="backbone, classifier, affinity or segmenter")
    sub.add_argument("--seed", type=int, default=0, help="training seed")
    continued(
        add("status", cli_store.status, "what is computed and how long it took, what is left, unfinished or failed")
    )
    text = "delete unfinished artefacts and nothing else"
    sub = commands.add_parser("clean", help=text, description=text)
    sub.set_defaults(command=cli_store.clean)
    sub.add_argument("--runs-dir", type=Path, default=Path("runs"), help="the store of computed artefacts")
    sub.add_argument("--all", action="store_true", help="delete finished artefacts too, of every preset")
    add("doctor", examine, "what this machine lacks for the preset and how to get it")
    cli_batch.add_commands(commands)
    cli_files.add_commands(commands)
    cli_reports.add_commands(commands)
    cli_data.add_commands(commands)
    cli_masks.add_commands(commands)
    cli_weights.add_commands(commands)
    return parser


def reproduce(options: argparse.Namespace) -> int:
    """Compute in parallel what the notebooks need; each is executed as soon as its stages are there."""
    from companion.experiments.catalogue import notebooks_of, of_the_thesis
    from companion.experiments.experiment import NoTruth
    from companion.pipeline.published import ContinuedStore, open_store
    from companion.reports import driver
    from companion.reports.execute import find_notebook
    from companion.reports.site import INDEX

    store = open_store(options.runs_dir.resolve(), options.published)
    named = [name for each in options.only for name in notebooks_of(each)] if options.only else of_the_thesis()
    chosen = [find_notebook(name, NOTEBOOKS) for name in named]
    read: dict[str, Stage] = {}
    jobs = []
    for notebook in dict.fromkeys(chosen):
        try:
            jobs.append(_job(options, notebook, read))
        except NoTruth as error:
            if options.only:
                raise
            print(f"not run, no truth: {error}")
    stages = [stage for job in jobs if not job.is_done() for stage in job.stages]
    missing = len(engine.missing(stages, store))
    borrowed = f", {len(store.borrowed(stages))} are published" if isinstance(store, ContinuedStore) else ""
    seeds = seeds_in_words(check_seeds(options.seeds))
    print(f"{len(jobs)} notebooks, preset {options.preset}, {seeds}: {missing} stages to compute{borrowed}")
    index = options.reports_dir / options.preset / INDEX
    print(f"reports, as they are made: {index.resolve()}", flush=True)
    outcomes = driver.reproduce(
        jobs, store, scheduler=options.scheduler, workers=options.workers, notebooks_dir=NOTEBOOKS
    )
    return _said(outcomes, index)


def run(options: argparse.Namespace) -> int:
    """Execute one notebook; it computes what it needs and finds missing in the store."""
    from companion.experiments import parameters
    from companion.experiments.catalogue import EXPERIMENTS, asked
    from companion.pipeline.published import find_scores
    from companion.pipeline.stages import data
    from companion.reports import driver
    from companion.reports.execute import checked, find_notebook
    from companion.reports.jobs import Job
    from companion.reports.site import INDEX

    chosen, machine = command_line.context(options)
    if options.published:
        find_scores(options.published)
    notebook = find_notebook(options.notebook, NOTEBOOKS)
    given = {name: command_line.value(text) for name, text in options.parameters}
    if "reports_dir" in given:
        raise SettingsError("give reports_dir as --reports-dir")
    if not given.keys() & {"preset", "data_root"}:
        engine.bind([data.stage(chosen, machine)])  # bad data are found before a kernel starts
    values = command_line.parameters(options) | given
    checked(notebook, values)
    if kind := EXPERIMENTS.get(notebook.stem):
        engine.bind(asked(kind, parameters.declared(notebook), values).stages())
    preset = given.get("preset", options.preset)
    outcomes = driver.make([Job(notebook.stem, notebook, values, options.reports_dir, preset)], notebooks_dir=NOTEBOOKS)
    return _said(outcomes, options.reports_dir / preset / INDEX)


def _said(outcomes: "Sequence[Outcome]", index: Path) -> int:
    """Print the summary and where the reports are; returns the exit status."""
    from companion.reports import driver

    print(f"\n{driver.summary(outcomes)}\n\n{index.resolve()}")
    return 1 if any(outcome.error for outcome in outcomes) else 0


def _job(options: argparse.Namespace, notebook: Path, read: dict[str, Stage]) -> "Job":
    """The report of a notebook as `reproduce` makes it."""
    from companion.experiments.catalogue import experiment
    from companion.reports.jobs import Job, question

    chosen, machine = command_line.context(options)
    asks_of = experiment(notebook.stem, chosen, check_seeds(options.seeds), machine)
    asks_of.check_truth()
    stages = asks_of.stages()
    engine.bind(stages, read)
    parameters = command_line.parameters(options)
    asks = question(notebook, parameters, stages)
    return Job(notebook.stem, notebook, parameters, options.reports_dir, options.preset, stages, asks)


def stage(options: argparse.Namespace) -> int:
    """Compute what a stage builds on, then the stage itself, with every process that `torchrun` started."""
    from companion.experiments import row_stages
    from companion.pipeline import sharing as parallel
    from companion.pipeline.published import own_store

    parallel.start()
    try:
        with parallel.first_before_others():
            if options.name not in row_stages.TRAINED:
                closest = nearest(options.name, [*row_stages.TRAINED])
                raise SettingsError(f"no trained stage is called {options.name!r}{closest}")
            chosen, machine = command_line.context(options)
            store = own_store(options.runs_dir.resolve())
            wanted = row_stages.TRAINED[options.name](chosen.override({"seed": options.seed}), machine)
            *upstream, _ = engine.in_order([wanted])
        folder = parallel.compute(wanted, store, upstream)
    finally:
        parallel.stop()
    if parallel.is_first():
        print(folder)
    return 0


def examine(options: argparse.Namespace) -> int:
    """Print what the preset needs and whether it is here."""
    from companion.cli import doctor

    findings = list(
        doctor.examine(command_line.settings_of(options), Machine(data_root=options.data_root), options.runs_dir)
    )
    for finding in findings:
        print(f"{'ok     ' if finding.present else 'MISSING'} {finding.what:18} {finding.found}")
        if not finding.present:
            print(f"        {'':18} -> {finding.advice}")
    return 0 if all(finding.present for finding in findings) else 1
