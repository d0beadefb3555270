"""Damaged files that make a reader loop: each must end, in an error or in what the file holds, within a stated time."""

import random
import shutil
import time
from pathlib import Path

from small_voc import sbd_mask, write_mat

from companion.datasets.voc2012 import sbd
from fire.mutations import flipped
from fire.outcomes import BENIGN, FAULT, HELD, Outcome
from fire.processes import begin
from thesislib.data.voc import DataError

STATED = 60  # seconds, most of which a busy machine needs to start a process


def one(case: int, folder: Path) -> Outcome:
    """Turn bits of one of SBD's masks over and read it as `thesis data prepare --sbd-masks` does."""
    rng, place = random.Random(case), folder / f"hang-{case}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    file, log = place / "a.mat", place / "output.log"
    write_mat(file, sbd_mask("a"))
    file.write_bytes(flipped(rng, file.read_bytes()))
    began = time.monotonic()
    process = begin(log, read, file)
    process.join(STATED)
    seconds = time.monotonic() - began
    process.kill()
    process.join()
    said = log.read_text() if log.is_file() else ""
    wrong = [] if seconds < STATED else [f"no end within {STATED} s"]
    wrong += ["a traceback"] if "Traceback" in said else []
    wrong += [f"does not name the file: {said[-200:]}"] if "refused" in said and file.name not in said else []
    what = "SBD's .mat, bits turned over"
    if wrong:
        return Outcome("hangs", case, what, FAULT, "; ".join(wrong))
    shutil.rmtree(place)
    return Outcome("hangs", case, what, HELD if "refused" in said else BENIGN)


def read(file: Path) -> None:
    """Read one mask and say what came of it."""
    try:
        sbd.read_sbd_mask(file)
    except DataError as error:
        print(f"refused: {error}")
