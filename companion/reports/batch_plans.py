"""What a batch will compute: the stages that each run needs, which are new or shared, and how long they take.

Times are those of past stages in the store: of the same name, those that share most settings.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from companion.experiments.training_seeds import named_seeds
from companion.pipeline import engine
from companion.pipeline.past_times import PastTimes
from companion.pipeline.store import Stage, Store
from companion.reports.batches import Batch, in_words
from companion.reports.jobs import Job
from companion.reports.page import duration

UNKNOWN = "no past runs of this stage"


def describe(batch: Batch, jobs: Sequence[Job], store: Store, workers: int | None) -> str:
    """The runs, what each needs, and how long the stages that are missing take, in words.

    Args:
        batch: all runs.
        jobs: the reports of those that have none yet.
        store: where finished stages are looked for.
        workers: how many compute at once; None: unknown.
    """
    missing = {job.name: {stage.key for stage in engine.missing(job.stages, store)} for job in jobs}
    users = Counter(key for keys in missing.values() for key in keys)
    named = named_seeds(batch.seeds)
    seeds = f"seed(s) {named}" if named else f"{len(batch.seeds)} seed(s)"
    lines = [f"{batch.name}: {len(batch.runs)} run(s) of {batch.notebook.stem}, {batch.preset}, {seeds}"]
    for run in batch.runs:
        state = "its report is up to date"
        if run.name in missing:
            new = missing[run.name]
            shared = sum(users[key] > 1 for key in new)
            state = f"{len(new)} stages to compute" + (f", {shared} of them for other runs too" if shared else "")
        lines += [f"  {in_words(run.differing) or run.name}: {state}", f"      needs {_counted(run.stages)}"]
    todo = engine.missing([stage for job in jobs for stage in job.stages], store)
    return "\n".join([*lines, "", *_estimate(todo, users, store, workers)])


def _counted(stages: Sequence[Stage]) -> str:
    kinds = Counter(stage.name for stage in engine.in_order(stages))
    return ", ".join(f"{count} {name}" for name, count in kinds.items()) or "no stages"


def _estimate(todo: Sequence[Stage], users: Mapping[str, int], store: Store, workers: int | None) -> list[str]:
    """One line a kind of stage, then the whole."""
    kinds = Counter(stage.name for stage in todo)
    if not kinds:
        return ["no stage is missing"]
    past = PastTimes(store)
    each_took = {kind: [past.seconds(stage) for stage in todo if stage.name == kind] for kind in kinds}
    lines = [f"{'stage':16} {'to compute':>10} {'shared':>7} {'each':>12} {'together':>14}"]
    for kind, count in kinds.items():
        shared = sum(users[stage.key] > 1 for stage in todo if stage.name == kind)
        took = sum(seconds or 0 for seconds in each_took[kind])
        unknown = None in each_took[kind]
        times = f"  {UNKNOWN}" if unknown else f"{duration(took / count):>12} {duration(took):>14}"
        lines.append(f"{kind:16} {count:10} {shared:7} {times}")
    every = [seconds for of_kind in each_took.values() for seconds in of_kind]
    known = sum(seconds or 0 for seconds in every)
    about = "at least " if None in every else "about "
    whole = f"{len(todo)} stages to compute"
    if known:
        whole += f": {about}{duration(known)} on one worker"
        whole += f", {duration(known / workers)} on {workers} that are always busy" if workers and workers > 1 else ""
    return [*lines, f"{whole}; then the notebooks"]
