"""SIGKILL at a random moment of a stage, alone or with a second process that wants the same artefact."""

import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from linked_store import linked_store

from companion import settings
from companion.pipeline import engine
from companion.pipeline.stages import (
    affinity,
    backbone,
    data,
    oracle_affinity,
    pseudo_masks,
    response_maps,
    rounds,
    segmentation,
)
from companion.pipeline.store import CHECKPOINT, Progress, Stage, Store
from companion.settings import Machine, Settings
from fire.outcomes import FAULT, HELD, Outcome
from fire.processes import begin

PATIENCE = 400  # seconds for a process to finish
TRIES = 20  # draws of a moment, for a stage that was faster than it
SOONER = 0.8  # for each of these: the undisturbed run may have been slower, on a machine that was busier
AGE = 20  # seconds within which the processes that a killed one had started are gone
HERE = Machine(device="cpu", checkpoint_minutes=0, data_workers=0)
POOL = Machine(device="cpu", checkpoint_minutes=0, data_workers=2)
ROUND = {"subcategories.round": 1}
PLAIN = {"classifier.epochs": 6}
MIXED = {"classifier.mixup_alpha": 0.2, "classifier.lambda_con": 2e-4, "classifier.epochs": 6}


def _masks(chosen: Settings, machine: Machine) -> Stage:
    return pseudo_masks.masks_stage(chosen, machine)


def _maps(chosen: Settings, machine: Machine) -> Stage:
    return response_maps.stage(chosen, machine)


def _refined(chosen: Settings, machine: Machine) -> Stage:
    return pseudo_masks.refined_stage(chosen, machine, ("train",))


STAGES: list[tuple[str, Callable[[Settings, Machine], Stage], dict[str, Any], Machine]] = [
    ("data", data.stage, {}, HERE),
    ("backbone, pretext task", backbone.stage, {"backbone.weights": "pretext", "pretext.epochs": 3}, HERE),
    ("backbone, converted", backbone.stage, {}, HERE),
    ("classifier", rounds.trained_stage, PLAIN, HERE),
    ("classifier, Mixup-CAM", rounds.trained_stage, MIXED, HERE),
    ("features", rounds.features_stage, {}, HERE),
    ("subcategories", rounds.labels_stage, ROUND, HERE),
    ("classifier, SC-CAM", rounds.trained_stage, ROUND | {"subcategories.epochs": 4}, HERE),
    ("response_maps", _maps, {}, HERE),
    ("affinity_labels", affinity.labels_stage, {}, HERE),
    ("affinity_labels, pool", affinity.labels_stage, {}, POOL),
    ("affinity", affinity.stage, {"affinity.epochs": 3}, HERE),
    ("affinity, head", affinity.stage, {"affinity.trained": "head", "affinity.epochs": 3}, HERE),
    ("truth_labels", oracle_affinity.labels_stage, {}, HERE),
    ("refined_maps", _refined, {}, HERE),
    ("pseudo_masks", _masks, {}, HERE),
    ("segmenter", segmentation.segmenter_stage, {"segmentation.epochs": 3}, HERE),
    ("segmentation", segmentation.stage, {}, HERE),
]
"""Every stage that trains or writes, in settings that let it last long enough to be killed."""


class RecordedStore(Store):
    """Notes each stage that a process begins to compute, in the file `begun` of the store."""

    def _compute(self, stage: Stage, final: Path, progress: Progress) -> None:
        with (self.root / "begun").open("a") as file:
            file.write(f"{stage.key}\n")
        super()._compute(stage, final, progress)


def compute(root: Path, stage: Stage) -> None:
    """What a process of a case does."""
    engine.run([stage], RecordedStore(root))


def one(case: int, folder: Path) -> Outcome:
    """Kill, let the other process or a new one finish, and compare with an undisturbed run."""
    rng = random.Random(case)
    name, step, overrides, machine = STAGES[case % len(STAGES)]
    together = case // len(STAGES) % 2 == 0
    stage = step(settings.load("smoke", overrides), machine)
    shared = Store(folder / "undisturbed")
    undisturbed(stage, shared, folder)
    duration = shared.provenance(stage)["duration_s"]
    what = f"{name}, {'two processes' if together else 'one process'}"
    for attempt in range(TRIES):
        place = folder / f"kill-{case}"
        shutil.rmtree(place, ignore_errors=True)
        store = linked_store(stage.inputs.values(), shared, place)
        store.root.mkdir(exist_ok=True)
        moment = rng.uniform(0, 1.1 * duration * SOONER**attempt)
        found = _disturb(stage, store, moment, together, rng.randrange(2))
        if found is not None:
            break
    else:
        return Outcome("kills", case, what, FAULT, f"never killed within {TRIES} draws")
    found += differences(shared.folder(stage), store.folder(stage)) + left(store, stage)
    if not found:
        shutil.rmtree(place)
    return Outcome("kills", case, f"{what}, after {moment:.2f} s", FAULT if found else HELD, "; ".join(found))


def undisturbed(stage: Stage, shared: Store, folder: Path) -> None:
    """Compute the stage and all it builds on, once for all cases."""
    shared.root.mkdir(parents=True, exist_ok=True)
    process = begin(folder / "undisturbed.log", engine.run, [stage], shared)
    process.join()
    assert shared.has(stage), (folder / "undisturbed.log").read_text()


def _disturb(stage: Stage, store: Store, moment: float, together: bool, victim: int) -> list[str] | None:
    """What went wrong with the processes; None where the stage was finished before the kill."""
    log = store.root / "output.log"
    processes = [begin(log, compute, store.root, stage) for _ in range(1 + together)]
    killed = processes[victim if together else 0]
    time.sleep(moment)
    if store.has(stage) or killed.exitcode is not None:
        [process.join() for process in processes]
        return None
    theirs = psutil.Process(killed.pid).children(recursive=True)
    killed.kill()
    killed.join()
    found = []
    if not together:
        processes.append(begin(log, compute, store.root, stage))
    for process in processes:
        process.join(PATIENCE)
        if process.exitcode is None:
            process.kill()
            found.append(f"not finished after {PATIENCE} s")
        elif process is not killed and process.exitcode:
            found.append(f"a process ended with {process.exitcode}: {log.read_text()[-300:]}")
    _, alive = psutil.wait_procs(theirs, AGE)
    for process in alive:
        process.send_signal(signal.SIGKILL)
    if alive:
        found.append(f"{len(alive)} of its processes outlived the killed one by {AGE} s")
    begun = (store.root / "begun").read_text().split()
    if len(begun) > 2:
        found.append(f"begun {len(begun)} times")
    return found


def differences(expected: Path, found: Path) -> list[str]:
    """Files of a finished artefact that are not the bits of the undisturbed one, or are there in one of them alone."""
    if not found.is_dir():
        return ["the artefact is lost"]
    return [
        f"{name} differs" if name in theirs and name in ours else f"{name} is {'missing' if name in theirs else 'left'}"
        for theirs, ours in [(_contents(expected), _contents(found))]
        for name in sorted(theirs.keys() | ours.keys())
        if name != "provenance.json" and theirs.get(name) != ours.get(name)
    ]


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def left(store: Store, stage: Stage) -> list[str]:
    """What only an unfinished stage needs and is still in the store."""
    wrong = [p for p in (store.root / stage.name).rglob("*") if p.name.endswith((".part", ".writing", CHECKPOINT))]
    return [f"{path.name} was left" for path in wrong]
