import errno
import json
import multiprocessing
import threading
from pathlib import Path

import pytest
import stage_functions as functions
from filelock import FileLock
from stage_functions import make

from companion.pipeline import store as store_module
from companion.pipeline.store import CHECKPOINT, Job, Progress, Stage, StageFailed, Store
from companion.settings import Machine, load


def _nothing(job: Job, **settings: object) -> None:
    pass


def _stage(**changes: object) -> Stage:
    return Stage(**({"name": "a", "version": 1, "compute": _nothing, "settings": {"x": 1}} | changes))  # type: ignore[arg-type]


def test_key_depends_on_everything_that_decides_the_result_and_on_nothing_else() -> None:
    key = _stage().key
    upstream = {"data": _stage(name="data")}
    different = [
        _stage(name="b"),
        _stage(version=2),
        _stage(settings={"x": 2}),
        _stage(settings={"x": load("demo").classifier}),
        _stage(inputs=upstream),
        _stage(inputs={"data": _stage(name="data", version=2)}),
    ]
    assert len({key, *(stage.key for stage in different)}) == 7
    assert _stage(machine=Machine(data_root="/elsewhere"), label="words").key == key


def test_artefact_is_computed_once_and_says_where_it_came_from(tmp_path: Path) -> None:
    store, log = Store(tmp_path / "runs"), tmp_path / "log"
    stage = make(functions.number, value=7, log=str(log))
    assert not store.has(stage)
    folder = store.compute(stage)
    assert store.compute(stage) == folder == tmp_path / "runs" / "number" / stage.key
    assert log.read_text() == "7\n"
    provenance = store.provenance(stage)
    assert provenance["duration_s"] >= 0.3 > provenance["cpu_s"] >= 0  # it sleeps for as long
    assert {"commit", "versions", "hardware", "started", "seed", "inputs"} <= set(provenance)
    assert json.loads((folder / "config.json").read_text())["value"] == 7


def test_two_processes_compute_one_artefact_once(tmp_path: Path) -> None:
    store, log = Store(tmp_path / "runs"), tmp_path / "log"
    stage = make(functions.number, value=3, log=str(log))
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=store.compute, args=(stage,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert log.read_text() == "3\n"


def test_wait_for_another_process_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    class Told(Progress):
        def __call__(self, done: int, total: int, text: str = "") -> None:
            told.append(text)
            go_on.set()

    monkeypatch.setattr(store_module, "PATIENCE", 0.1)
    store, log = Store(tmp_path / "runs"), tmp_path / "log"
    stage = make(functions.number, value=3, log=str(log))
    lock = store.folder(stage).with_name(f"{stage.key}.lock")
    lock.parent.mkdir(parents=True)
    held, go_on = threading.Event(), threading.Event()

    def other() -> None:
        with FileLock(lock):
            held.set()
            go_on.wait(30)

    thread = threading.Thread(target=other)
    thread.start()
    held.wait(30)
    assert store.compute(stage, Told()).is_dir()
    thread.join()
    assert set(told) == {"waiting for another process that computes it"}


def test_failure_keeps_its_log_and_the_next_attempt_continues_in_the_same_folder(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    stage = make(functions.fail_once, log=str(tmp_path / "log"))
    with pytest.raises(StageFailed, match="first attempt"):
        store.compute(stage)
    assert not store.has(stage)
    assert "RuntimeError: first attempt" in (store.failure(stage) or "")
    folder = store.compute(stage)
    assert (folder / "mark.txt").read_text() == "been here"
    assert store.failure(stage) is None
    assert store.provenance(stage)["resumed"]


def test_full_disk_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(functions.Path, "write_text", full)
    store = Store(tmp_path / "runs")
    with pytest.raises(StageFailed, match="is full; free some space"):
        store.compute(make(functions.number, value=1, log=str(tmp_path / "log")))
    monkeypatch.undo()
    assert store.compute(make(functions.number, value=1, log=str(tmp_path / "log"))).is_dir()


def _with_checkpoint(job: Job, **settings: object) -> None:
    (job.folder / CHECKPOINT).write_text("half way")
    (job.folder / f"val-{CHECKPOINT}").write_text("half way")
    (job.folder / "weights.safetensors").write_text("whole")


def test_checkpoint_left_by_a_crash_after_the_rename_is_harmless_until_it_is_cleaned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(folder: Path) -> None:
        raise KeyboardInterrupt

    store, stage = Store(tmp_path), make(_with_checkpoint)
    monkeypatch.setattr(store_module, "_delete_checkpoints", crash)
    with pytest.raises(KeyboardInterrupt):
        store.compute(stage)
    monkeypatch.undo()
    assert store.has(stage) and not store.begun(stage)
    folder = store.compute(stage)
    assert (folder / CHECKPOINT).is_file()
    assert store.clean() == 0
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "provenance.json", "weights.safetensors"]


def test_store_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file is in the way")
    with pytest.raises(StageFailed, match="runs_dir"):
        Store(tmp_path / "runs").compute(make(functions.number, value=1, log=str(tmp_path / "log")))


def test_clean_spares_finished_artefacts_and_those_being_computed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    finished = store.compute(make(functions.number, value=1, log=str(tmp_path / "log")))
    dead, busy = "0" * 16, "1" * 16
    for key in (dead, busy):
        (tmp_path / "number" / f"{key}.part").mkdir()
        (tmp_path / "number" / f"{key}.part" / "config.json").write_text("{}")
    (tmp_path / "photos" / "holiday").mkdir(parents=True)
    with FileLock(tmp_path / "number" / f"{busy}.lock"):
        assert store.clean() == 1
    assert finished.is_dir()
    assert (tmp_path / "number" / f"{busy}.part").is_dir()
    assert store.clean(everything=True) == 2
    assert (tmp_path / "photos" / "holiday").is_dir()
