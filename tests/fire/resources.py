"""A full disk, a read-only store, a lost scheduler, ctrl-C: nothing is lost, it is said what to do, a restart finishes.

Disks are small tmpfs mounts, which only root may make: elsewhere these cases are skipped.
"""

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from linked_store import linked_store

from companion import settings
from companion.experiments.row_stages import TRAINED
from companion.pipeline import engine
from companion.pipeline.store import Stage, StageFailed, Store
from fire import inputs
from fire.kills import PATIENCE, SOONER, STAGES, TRIES, differences, left, undisturbed
from fire.outcomes import BENIGN, FAULT, HELD, SKIPPED, Outcome
from fire.processes import begin, command

MEGABYTE = 1 << 20


def compute(root: Path, stage: Stage, scheduler: str | None = None) -> int:
    """A run whose errors are said as the `thesis` command says them."""
    try:
        engine.run([stage], Store(root), scheduler=scheduler)
    except (engine.RunFailed, engine.SchedulerLost, StageFailed) as error:
        print(f"thesis: {error}")
        return 1
    return 0


# --- Disks ------------------------------------------------------------------------------------------------------------


class NotAllowed(Exception):
    """Nothing can be mounted here."""


@contextlib.contextmanager
def _disk(place: Path, size: int) -> Iterator[Callable[[str], None]]:
    """A file system of `size` bytes at `place`; what is yielded mounts it anew with other options."""
    place.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    try:
        made = subprocess.run(mount, capture_output=True, text=True, check=False)
    except OSError as error:
        raise NotAllowed(str(error)) from error
    if made.returncode:
        raise NotAllowed(made.stderr.strip())
    try:
        yield lambda options: subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True) and None
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)


def full_disk(case: int, folder: Path) -> Outcome:
    """The store's disk is full in the middle of a stage; with more space the next run finishes."""
    rng = random.Random(case)
    name, step, overrides, machine = STAGES[case % len(STAGES)]
    stage, shared = step(settings.load("smoke", overrides), machine), Store(folder / "undisturbed")
    undisturbed(stage, shared, folder)
    needed = sum(_blocks(path.stat().st_size) for path in shared.folder(stage).rglob("*"))
    size, place = int(rng.uniform(0.1, 0.9) * needed) + 8192, folder / f"full-{case}"
    found = []
    with _disk(place, size) as mount_again:
        store = linked_store(stage.inputs.values(), shared, place)
        status, said = _ended(place.with_suffix(".log"), compute, place, stage)
        if status == 0 and store.has(stage):
            return Outcome("full-disk", case, f"{name}, {size // 1024} KiB were enough", BENIGN)
        found += _said(status, said, 1, rf"disk of \S*{place.name} is full; free some space.*start again")
        found += ["an unfinished artefact looks whole"] if store.has(stage) else []
        mount_again(f"size={64 * MEGABYTE}")
        status, said = _ended(place.with_suffix(".log"), compute, place, stage)
        found += [] if status == 0 else [f"the next run ended with {status}: {said[-300:]}"]
        found += differences(shared.folder(stage), store.folder(stage)) + left(store, stage)
    what = f"{name}, {size // 1024} of {needed // 1024} KiB"
    return Outcome("full-disk", case, what, FAULT if found else HELD, "; ".join(found))


def _blocks(size: int) -> int:
    return -(-size // 4096) * 4096


WRITING = [
    "weights import {in}/weights.pth --output {out}/w.safetensors",
    "score {in}/maps --root {in}/data --split val --workers 0 --json {out}/scores.json",
    "export {in}/maps --layout irn --output {out}/irn --root {in}/data",
    "compare {in}/a/maps {in}/b/maps --output {out}/c.html",
    "stage classifier --preset smoke --runs-dir {out}/runs",
    "run 21_response_maps --preset smoke --seeds 1 --runs-dir {in}/runs --reports-dir {out}/reports",
    "reproduce --only fig-2.5 --preset smoke --seeds 1 --workers 1 --runs-dir {out}/a --reports-dir {out}/b",
]
"""Commands that write to a folder of the user's choice."""


def unwritable(case: int, folder: Path) -> Outcome:
    """A command's output lies on a full or a read-only disk: a sentence with path and cause, nothing half-written."""
    text, kind = WRITING[case // 2 % len(WRITING)], ("full", "read-only")[case % 2]
    given, place = folder / "inputs", folder / f"unwritable-{case}"
    if not given.is_dir():
        inputs.make(folder / "inputs.part").rename(given)
    with _disk(place, 8192) as mount_again:
        if kind == "full":
            filling = (place / "filling").open("wb")
            with contextlib.suppress(OSError), filling:
                filling.write(bytes(MEGABYTE))
        else:
            mount_again("ro")
        arguments = text.replace("{in}", str(given)).replace("{out}", str(place)).split()
        status, said = _ended(place.with_suffix(".log"), command, arguments)
        found = _said(
            status, said, (1, 2), rf"(?i){place.name}", r"(?i)no space|full|read-only|cannot write|unwritable"
        )
        there = [path for path in place.rglob("*") if path.is_file() and path.suffix != ".lock"]
        said_unfinished = [path for path in there if any(parent.suffix == ".part" for parent in path.parents)]
        whole = [path.name for path in there if path not in said_unfinished and path.name != "filling"]
        found += [f"left {', '.join(whole[:3])}"] if whole else []
    what = f"thesis {text.split(' -')[0].replace('{in}/', '')}, {kind}"
    return Outcome("unwritable", case, what, FAULT if found else HELD, "; ".join(found))


def read_only_store(case: int, folder: Path) -> Outcome:
    """What a read-only store holds can be used; what it lacks is refused with advice, and nothing is written."""
    name, step, overrides, machine = STAGES[case % len(STAGES)]
    stage, shared = step(settings.load("smoke", overrides), machine), Store(folder / "undisturbed")
    undisturbed(stage, shared, folder)
    place, found = folder / f"read-only-{case}", []
    with _disk(place, 64 * MEGABYTE) as mount_again:
        store = linked_store(stage.inputs.values(), shared, place)
        mount_again("ro")
        status, said = _ended(place.with_suffix(".log"), compute, place, stage)
        found += _said(status, said, 1, rf"cannot write to the store \S*{place.name}.*choose another")
        mount_again("rw")
        _ended(place.with_suffix(".log"), compute, place, stage)
        mount_again("ro")
        status, said = _ended(place.with_suffix(".log"), compute, place, stage)
        found += [] if status == 0 else [f"what it holds cannot be used: {said[-300:]}"]
        found += differences(shared.folder(stage), store.folder(stage))
    return Outcome("read-only-store", case, name, FAULT if found else HELD, "; ".join(found))


# --- Processes --------------------------------------------------------------------------------------------------------


def lost_scheduler(case: int, folder: Path) -> Outcome:
    """The scheduler of a Dask cluster is killed while a stage is computed."""
    rng = random.Random(case)
    name, step, overrides, machine = STAGES[case % len(STAGES)]
    stage, shared = step(settings.load("smoke", overrides), machine), Store(folder / "undisturbed")
    undisturbed(stage, shared, folder)
    place = folder / f"lost-{case}"
    shutil.rmtree(place, ignore_errors=True)
    store = linked_store(stage.inputs.values(), shared, place)
    place.mkdir(exist_ok=True)
    file, log = place / "scheduler.json", place / "output.log"
    scheduler = begin(place / "scheduler.log", _dask, "dask_scheduler", ["--scheduler-file", str(file), "--port", "0"])
    _happens(file.is_file)  # clients ask for the file of a running cluster
    worker = begin(place / "worker.log", _dask, "dask_worker", ["--scheduler-file", str(file), "--no-nanny"])
    client = begin(log, compute, place, stage, str(file))
    try:
        if not _happens(lambda: store.begun(stage) or store.has(stage)):
            return Outcome("lost-scheduler", case, name, FAULT, f"nothing began: {log.read_text()[-300:]}")
        time.sleep(rng.uniform(0, 0.9 * shared.provenance(stage)["duration_s"]))
        scheduler.kill()
        client.join(PATIENCE)
        said = log.read_text()
        finished = client.exitcode == 0 and store.has(stage)
        found = [] if finished else _said(client.exitcode, said, 1, r"was lost.*start again")
    finally:
        for process in (scheduler, worker, client):
            process.kill()
            process.join()
    status, said = _ended(log, compute, place, stage)
    found += [] if status == 0 else [f"the next run ended with {status}: {said[-300:]}"]
    found += differences(shared.folder(stage), store.folder(stage)) + left(store, stage)
    what = f"{name}{', finished before' if finished else ''}"
    return Outcome("lost-scheduler", case, what, FAULT if found else HELD, "; ".join(found))


def _dask(module: str, arguments: list[str]) -> None:
    from importlib import import_module

    more = ["--no-dashboard", *(["--nthreads", "1", "--death-timeout", "5"] if "worker" in module else [])]
    import_module(f"distributed.cli.{module}").main([*arguments, *more], standalone_mode=False)


def interrupted(case: int, folder: Path) -> Outcome:
    """Ctrl-C at a random moment of `thesis stage`; the same command then finishes."""
    rng = random.Random(case)
    name = sorted(TRAINED)[case % len(TRAINED)]
    machine = settings.Machine(device="cpu", checkpoint_minutes=0)
    stage, shared = TRAINED[name](settings.load("smoke"), machine), Store(folder / "undisturbed")
    undisturbed(stage, shared, folder)
    os.environ["THESIS_CHECKPOINT_MINUTES"] = "0"
    place = folder / f"interrupted-{case}"
    for attempt in range(TRIES):
        shutil.rmtree(place, ignore_errors=True)
        store = linked_store(stage.inputs.values(), shared, place)
        place.mkdir(exist_ok=True)
        arguments = ["stage", name, "--preset", "smoke", "--runs-dir", str(place)]
        process = begin(place / "output.log", command, arguments)
        _happens(lambda: store.begun(stage) or store.has(stage))  # noqa: B023
        time.sleep(rng.uniform(0, shared.provenance(stage)["duration_s"] * SOONER**attempt))
        if process.is_alive():
            os.kill(process.pid, signal.SIGINT)
        process.join(PATIENCE)
        said = (place / "output.log").read_text()
        if process.exitcode != 0:
            break
    found = _said(process.exitcode, said, 130, r"interrupted.*start again")
    status, said = _ended(place / "output.log", command, arguments)
    found += [] if status == 0 else [f"the next run ended with {status}: {said[-300:]}"]
    found += differences(shared.folder(stage), store.folder(stage)) + left(store, stage)
    return Outcome("interrupts", case, f"thesis stage {name}", FAULT if found else HELD, "; ".join(found))


def _ended(log: Path, function: Callable[..., Any], *arguments: Any) -> tuple[int | None, str]:
    """Exit status of a process, None where it did not end, and what it said."""
    log.unlink(missing_ok=True)
    process = begin(log, function, *arguments)
    process.join(PATIENCE)
    status = process.exitcode
    process.kill()
    process.join()
    return status, log.read_text(errors="replace") if log.is_file() else ""


def _said(status: int | None, said: str, expected: int | tuple[int, ...], *patterns: str) -> list[str]:
    """What is wrong with an exit status and a message."""
    found = [] if status in (expected if isinstance(expected, tuple) else (expected,)) else [f"status {status}"]
    missing = any(not re.search(pattern, said, re.DOTALL) for pattern in patterns)
    found += ["a traceback"] if "Traceback" in said else []
    return [*found, f"said: {said[-400:]}"] if found or missing else []


def _happens(condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def on_a_disk(one: Callable[[int, Path], Outcome]) -> Callable[[int, Path], Outcome]:
    """A case that is skipped where nothing can be mounted."""

    def tried(case: int, folder: Path) -> Outcome:
        try:
            return one(case, folder)
        except NotAllowed as error:
            return Outcome(
                one.__name__.replace("_", "-"), case, "mount a small disk", SKIPPED, f"{error}; run it as root"
            )

    return tried
