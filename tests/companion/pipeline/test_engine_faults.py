"""The engine with real worker and scheduler processes over loopback, some of which are killed."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dask
import pytest
import stage_functions as functions
from distributed import Client, LocalCluster
from places import TESTS
from stage_functions import make

from companion import settings
from companion.pipeline import engine
from companion.pipeline.stages import classifier
from companion.pipeline.store import Stage, StageFailed, Store
from companion.settings import Machine


def _numbers(log: Path, count: int) -> list[Stage]:
    return [make(functions.number, value=value, log=str(log)) for value in range(count)]


def _logged(log: Path) -> list[int]:
    return sorted(int(line) for line in log.read_text().split())


def _wait_for(condition, seconds: float = 60) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


@pytest.mark.slow
def test_stage_of_a_killed_worker_goes_on_elsewhere_and_nothing_is_computed_twice(tmp_path: Path) -> None:
    store, log = Store(tmp_path / "runs"), tmp_path / "log"
    dying = make(functions.die_once, value=100, log=str(log))
    above = make(functions.total, {"dying": dying}, log=str(log))
    numbers = _numbers(log, 4)
    engine.run([above, *numbers], store, scheduler=engine.LOCAL, workers=2)
    assert _logged(log) == [0, 1, 2, 3, 100, 100]
    assert store.provenance(dying)["resumed"]


@pytest.mark.slow
def test_stage_that_kills_every_worker_is_named_and_the_rest_finishes(tmp_path: Path) -> None:
    store, log = Store(tmp_path / "runs"), tmp_path / "log"
    deadly, numbers = make(functions.die), _numbers(log, 3)
    above = make(functions.total, {"deadly": deadly}, log=str(log))
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}), pytest.raises(engine.RunFailed) as error:
        engine.run([above, *numbers], store, scheduler=engine.LOCAL, workers=2)
    assert list(error.value.failures) == [deadly.key]
    assert f"{deadly} failed: every worker that computed it died" in str(error.value)
    assert _logged(log) == [0, 1, 2]


@pytest.mark.slow
def test_training_on_a_killed_worker_continues_from_its_checkpoint(tmp_path: Path) -> None:
    chosen = settings.load("smoke", {"classifier.epochs": 12})
    training = classifier.stage(chosen, Machine(device="cpu", checkpoint_minutes=0))
    store = Store(tmp_path / "runs")
    engine.run(list(training.inputs.values()), store)
    part = tmp_path / "runs" / "classifier" / f"{training.key}.part"
    with (
        dask.config.set(engine.WORKER_CONFIG),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
    ):
        run = threading.Thread(
            target=engine.run, args=([training], store), kwargs={"scheduler": cluster.scheduler_address}
        )
        run.start()
        with Client(cluster) as client:
            _wait_for((part / "checkpoint.safetensors").is_file)
            (worker,) = [address for address, tasks in client.processing().items() if tasks]
            os.kill(client.run(os.getpid, workers=[worker])[worker], signal.SIGKILL)
            run.join(120)
    assert store.has(training)
    assert store.provenance(training)["resumed"]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """Scheduler file and scheduler process of a cluster with one worker."""
    file = tmp_path / "scheduler.json"
    environment = os.environ | {"PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"}
    common = {"env": environment, "cwd": tmp_path, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    start = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    work = [sys.executable, "-m", "distributed.cli.dask_worker", "--nthreads", "1", "--death-timeout", "5"]
    options = ["--scheduler-file", str(file), "--no-dashboard"]
    processes = [subprocess.Popen([*start, *options], **common), subprocess.Popen([*work, *options], **common)]  # type: ignore[call-overload]
    _wait_for(file.is_file)
    yield file, processes[0]
    for process in processes:
        process.terminate()
        process.wait(30)


@pytest.mark.slow
def test_lost_scheduler_is_reported_at_once_and_the_next_run_resumes(
    cluster: tuple[Path, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    file, scheduler = cluster
    store, log = Store(tmp_path / "runs"), tmp_path / "log"
    numbers = _numbers(log, 12)
    killed: list[float] = []

    def kill_after_the_first() -> None:
        _wait_for(lambda: store.has(numbers[0]))
        scheduler.kill()
        killed.append(time.monotonic())

    killer = threading.Thread(target=kill_after_the_first)
    killer.start()
    with pytest.raises(engine.SchedulerLost, match=r"was lost after \d+ of 12 stages; they are kept"):
        engine.run(numbers, store, scheduler=str(file))
    killer.join()
    assert time.monotonic() - killed[0] < 15
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(engine.SchedulerLost, match=r"no Dask scheduler answers at .*scheduler\.json"),
    ):
        engine.run(numbers, store, scheduler=str(file))
    engine.run(numbers, store)
    assert _logged(log) == list(range(12))


@pytest.mark.slow
def test_two_users_of_one_store_compute_every_stage_once(tmp_path: Path) -> None:
    store, log = Store(tmp_path / "runs"), tmp_path / "log"
    numbers = _numbers(log, 5)
    above = make(functions.total, {str(i): stage for i, stage in enumerate(numbers)}, log=str(log))
    context = multiprocessing.get_context("spawn")
    ways = (None, engine.LOCAL)
    users = [context.Process(target=functions.run_as_user, args=([above], store, way)) for way in ways]
    for user in users:
        user.start()
    for user in users:
        user.join(90)
    assert [user.exitcode for user in users] == [0, 0]
    assert _logged(log) == [0, 1, 2, 3, 4, 10]


@pytest.mark.slow
def test_workers_that_do_not_share_the_store_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_compute_on_worker", functions.compute_elsewhere)
    monkeypatch.setattr(engine, "ARRIVAL", 0.5)
    with pytest.raises(StageFailed, match=r"is not in .*runs: every worker needs this folder"):
        engine.run(_numbers(tmp_path / "log", 2), Store(tmp_path / "runs"), scheduler=engine.LOCAL, workers=1)


@pytest.mark.parametrize("scheduler", [None, pytest.param(engine.LOCAL, marks=pytest.mark.slow)])
def test_full_store_is_reported_with_advice_and_resumes_when_there_is_space(
    tmp_path: Path, scheduler: str | None
) -> None:
    store, log, full = Store(tmp_path / "runs"), tmp_path / "log", tmp_path / "full"
    full.touch()
    large = make(functions.fill, value=50, log=str(log), full=str(full))
    above = make(functions.total, {"large": large}, log=str(log))
    wanted = [above, *_numbers(log, 2)]
    with pytest.raises(engine.RunFailed, match=r"is full; free some space .*start again: nothing is lost") as error:
        engine.run(wanted, store, scheduler=scheduler, workers=2)
    assert list(error.value.failures) == [large.key]
    assert "No space left on device" in (store.failure(large) or "")
    assert _logged(log) == [0, 1]
    full.unlink()
    engine.run(wanted, store)
    assert _logged(log) == [0, 1, 50, 50]


@pytest.mark.parametrize("scheduler", ["missing.json", "some where", "host", ""])
def test_scheduler_that_is_neither_file_nor_address_is_refused(tmp_path: Path, scheduler: str) -> None:
    with pytest.raises(ValueError, match="scheduler file of a running Dask cluster, or its address"):
        engine.run(_numbers(tmp_path / "log", 1), Store(tmp_path / "runs"), scheduler=scheduler)
