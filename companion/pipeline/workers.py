"""The one pool of processes for work that is done image by image: checks, dense CRF, scores, masks that are converted.

Processes are started anew instead of forked, for torch's threads do not survive a fork, and import what their task
needs and no more. Results come in the order of the images. Ctrl-C is for the parent, which then stops the others. In a
worker of Dask it works too (`engine.WORKER_CONFIG`). Where the parent is killed, the others end by themselves. Nothing
here corresponds to published code.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import Any

from thesislib.data.voc import VocDataset


class ProcessKilled(RuntimeError):
    """A process of the pool was killed."""


def share(
    task: Callable[[Any], Any], items: Sequence[Any], workers: int, *, few: int = 0, chunk: int = 4
) -> Iterator[Any]:
    """`task(item)` of every item, in their order, from processes where there are two workers or more.

    Args:
        task: a module-level function or what can be pickled with its name; each process gets it once.
        items: such as numbers of images.
        workers: number of processes; fewer than two: this one.
        few: so many items, or fewer, are done in this process, for they are done before others have started.
        chunk: items that a process gets at a time.

    Raises:
        ProcessKilled: one of the processes was killed.
    """
    if workers < 2 or len(items) <= few:
        yield from map(task, items)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin, (task,)) as pool:
        try:
            with _uninterrupted():
                results = pool.map(_do, items, chunksize=chunk)
            yield from results
        except BrokenProcessPool as error:
            raise ProcessKilled(
                "a process that worked on images was killed, perhaps for want of memory: use fewer (--workers of a "
                "command, THESIS_DATA_WORKERS of stages)"
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def for_each_image(
    task: Callable[[int], Any], images: VocDataset, workers: int, progress: Callable[[int, int, str], None]
) -> None:
    """`task(i)` for every image of a split; arguments as `share`.

    Raises:
        Exception: that of the first image whose task failed, with the image's name.
        ProcessKilled: see `share`.
    """
    total = len(images.ids)
    for done, _ in enumerate(share(_Named(task, images.ids), range(total), workers), start=1):
        progress(done, total, images.split)


class _Named:
    """A task whose errors name the image."""

    def __init__(self, task: Callable[[int], Any], ids: Sequence[str]) -> None:
        self.task, self.ids = task, ids

    def __call__(self, i: int) -> Any:
        try:
            return self.task(i)
        except Exception as error:
            if self.ids[i] not in str(error) and len(error.args) < 2:  # others have no room for words
                error.args = (f"image {self.ids[i]}: {str(error) or type(error).__name__}",)
            raise


_tasks: list[Callable[[Any], Any]] = []  # the one of this process, if it belongs to a pool


def _begin(task: Callable[[Any], Any]) -> None:
    """The task is sent once: the pipe to processes that died must not fill up, waiting for it would never end."""
    _tasks.append(task)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)  # there is a process for each core


def _end_with_parent() -> None:
    """A parent that is killed leaves its pool waiting for ever, and writing what the next run writes as well."""
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


def _do(item: Any) -> Any:
    return _tasks[0](item)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Processes that are started meanwhile never get Ctrl-C: it is for their parent, which then stops them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
