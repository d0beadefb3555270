"""`thesis status` and `thesis clean`: what a store has, how long it took, and what is unfinished in it."""

import argparse
from collections.abc import Sequence

from companion.cli import command_line
from companion.experiments.training_seeds import check_seeds
from companion.pipeline import engine
from companion.pipeline.store import Stage, Store


def status(options: argparse.Namespace) -> int:
    """Print, per notebook, how many of its stages are computed and in what time, and every stage that failed."""
    from companion.experiments.catalogue import EXPERIMENTS, experiment
    from companion.pipeline.published import open_store

    chosen, machine = command_line.context(options)
    store = open_store(options.runs_dir.resolve(), options.published)
    planned = {name: experiment(name, chosen, check_seeds(options.seeds), machine).stages() for name in EXPERIMENTS}
    engine.bind(stage for stages in planned.values() for stage in stages)
    for name, wanted in planned.items():
        report = options.reports_dir / options.preset / f"{name}.html"
        print(f"{name:27} {_computed(wanted, store)}   report: {report if report.is_file() else 'none'}")
        for stage in engine.in_order(wanted):
            if log := store.failure(stage):
                print(f"    failed: {stage}: {log.strip().splitlines()[-1]}")
    everything = [stage for stages in planned.values() for stage in stages]
    print(f"{'all, each stage once':27} {_computed(everything, store)}")
    unfinished = sorted(options.runs_dir.glob("*/*.part"))
    if unfinished:
        print(
            f"{len(unfinished)} unfinished artefacts; they continue when computed again (`thesis clean` deletes them)"
        )
    return 0


def _computed(wanted: Sequence[Stage], store: Store) -> str:
    """How many stages are there, how long they took, and about how long the others take."""
    from companion.pipeline.past_times import times
    from companion.reports.page import duration

    stages, seconds = engine.in_order(wanted), times(wanted, store)
    done = sum(store.place(stage).is_dir() for stage in stages)
    left = f"left about {duration(seconds.left)}" if seconds.left else "left: unknown" if seconds.left is None else ""
    return f"{done:4} of {len(stages):4} stages {duration(seconds.past):>14}   {left:24}"


def clean(options: argparse.Namespace) -> int:
    """Delete unfinished artefacts that no process is computing."""
    from companion.pipeline.published import own_store

    deleted = own_store(options.runs_dir).clean(everything=options.all)
    print(f"deleted {deleted} artefacts from {options.runs_dir}")
    return 0
