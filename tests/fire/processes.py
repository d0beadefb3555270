"""Processes that a case starts: forked from a server that has imported everything, so that each begins at once."""

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

IMPORTED = [
    "companion.cli.main",
    "companion.cli.doctor",
    "companion.experiments.row_stages",
    "companion.experiments.catalogue",
    "companion.exchange.scoring",
    "companion.exchange.submission",
    "companion.exchange.files",
    "companion.reports.batches",
    "companion.reports.compare",
    "companion.reports.driver",
    "companion.reports.published",
    "companion.weights.description",
    "companion.weights.recognition",
    "companion.datasets.voc2012.prepare",
    "companion.pipeline.stages.oracle_affinity",
    "pydensecrf.densecrf",
    "timm",
    "fire.kills",
    "fire.malformed",
]
CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(IMPORTED)


def begin(output: Path, function: Callable[..., Any], *arguments: Any) -> Any:
    """Start `function(*arguments)` in a process of its own; it prints to the file `output`, its status is returned."""
    process = CONTEXT.Process(target=_run, args=(output, function, arguments))
    process.start()
    return process


def command(arguments: Sequence[str]) -> int:
    """The `thesis` command, as its entry point runs it."""
    from companion.cli.main import main

    return main(arguments)


def _run(output: Path, function: Callable[..., Any], arguments: Sequence[Any]) -> None:
    import torch

    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores ctrl-C
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(file, stream)
    status = 70
    try:
        status = int(function(*arguments) or 0)
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(status)
