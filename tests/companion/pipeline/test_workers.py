"""The pool of processes: order, names in errors, and what happens when a process is killed or the user interrupts."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from distributed import Client, LocalCluster
from voc_folder import make_voc

from companion.pipeline import engine
from companion.pipeline.workers import ProcessKilled, for_each_image, share
from thesislib.data.voc import VocDataset


def square_late(i: int) -> tuple[int, int]:
    """The first is the slowest."""
    time.sleep(0.2 if i == 0 else 0)
    return i * i, os.getpid()


def die(i: int) -> None:
    os._exit(9)


def only_even(i: int) -> int:
    if i % 2:
        raise ValueError("odd")
    return i


def without_words(i: int) -> None:
    raise MemoryError


def full(i: int) -> None:
    raise OSError(28, os.strerror(28))


def squares_in_processes(n: int) -> list[int]:
    """A task of a Dask worker."""
    return [square for square, _ in share(square_late, range(n), 2)]


@pytest.fixture
def images(tmp_path: Path) -> VocDataset:
    return VocDataset(make_voc(tmp_path, n=5), "train")


@pytest.mark.parametrize(("workers", "few", "here"), [(0, 0, True), (1, 0, True), (2, 9, True), (2, 8, False)])
def test_results_come_in_order_from_processes_that_are_worth_it(workers: int, few: int, here: bool) -> None:
    results = list(share(square_late, range(9), workers, few=few, chunk=2))
    assert [square for square, _ in results] == [i * i for i in range(9)]
    assert (os.getpid() in {process for _, process in results}) is here


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_name_the_image_and_keep_their_kind(images: VocDataset, workers: int) -> None:
    told: list[tuple[int, int, str]] = []
    with pytest.raises(ValueError, match=f"^image {images.ids[1]}: odd$"):
        for_each_image(only_even, images, workers, lambda *at: told.append(at))
    assert told == [(1, 5, "train")][workers:]  # a process tells of several images at a time
    with pytest.raises(MemoryError, match=f"^image {images.ids[0]}: MemoryError$"):
        for_each_image(without_words, images, workers, lambda *at: None)
    with pytest.raises(OSError, match=os.strerror(28)) as error:
        for_each_image(full, images, workers, lambda *at: None)
    assert error.value.errno == 28


def test_a_killed_process_is_an_error_even_with_a_long_task() -> None:
    with pytest.raises(ProcessKilled, match="was killed, perhaps for want of memory: use fewer"):
        list(share(Long(die), range(600), 2))


class Long:
    """More than a pipe holds."""

    def __init__(self, task) -> None:  # type: ignore[no-untyped-def]
        self.task, self.weight = task, np.zeros(2**20)

    def __call__(self, i: int) -> None:
        self.task(i)


def test_workers_of_dask_have_pools() -> None:
    import dask

    with (
        dask.config.set(engine.WORKER_CONFIG),
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        assert client.submit(squares_in_processes, 5).result() == [0, 1, 4, 9, 16]


INTERRUPTED = """
import sys, time
from companion.pipeline.workers import share
from test_workers import wait
if __name__ == "__main__":
    for i in share(wait, range(1000), 2, chunk=1):
        print(i, flush=True)
"""


def wait(i: int) -> int:
    time.sleep(0.05)
    return i


@pytest.mark.parametrize(("by", "said"), [("interrupt", 1), ("kill of the parent", 0)])
def test_interrupt_and_kill_stop_all_processes_in_silence(by: str, said: int, tmp_path: Path) -> None:
    script = tmp_path / "interrupted.py"
    script.write_text(INTERRUPTED)
    paths = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    run = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | paths,
        start_new_session=True, preexec_fn=_hear_interrupts,
    )  # fmt: skip
    assert run.stdout is not None and run.stdout.readline() == "0\n"
    if by == "interrupt":
        os.killpg(run.pid, signal.SIGINT)  # as Ctrl-C in a terminal, which all processes of the group get
    else:
        run.kill()
    _, errors = run.communicate(timeout=60)
    assert errors.count("KeyboardInterrupt") == said
    left = [process for process in psutil.process_iter() if _group(process.pid) == run.pid]
    _, alive = psutil.wait_procs(left, timeout=20)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:  # it ended while processes were listed
        return None


def _hear_interrupts() -> None:
    """What a shell starts in the background ignores Ctrl-C, and so do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
