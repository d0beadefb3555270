"""What became of a case, and the file that keeps it, so that a run which is stopped goes on where it was."""

import json
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

HELD, FAULT, BENIGN, SKIPPED = "held", "fault", "benign", "skipped"


@dataclass(frozen=True)
class Outcome:
    """One case: `what` was done, whether the project held, and what was seen where it did not."""

    kind: str
    case: int
    what: str
    verdict: str
    seen: str = ""
    seconds: float = 0
    commit: str = ""


def commit() -> str:
    """The commit that is tried, with a + where files differ from it."""
    said = subprocess.run(["git", "describe", "--always", "--dirty=+"], capture_output=True, text=True, check=False)
    return said.stdout.strip() or "unknown"


def read(file: Path) -> list[Outcome]:
    """The outcomes so far."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return [Outcome(**json.loads(line)) for line in lines]


def go_through(file: Path, cases: Iterable[int], one: Callable[[int], Outcome]) -> list[Outcome]:
    """Run the cases that the file lacks, and add each outcome to it at once."""
    done, at = {outcome.case for outcome in read(file)}, commit()
    for case in cases:
        if case in done:
            continue
        began = time.monotonic()
        outcome = one(case)
        line = asdict(outcome) | {"seconds": round(time.monotonic() - began, 1), "commit": at}
        with file.open("a", encoding="utf-8") as kept:
            kept.write(json.dumps(line) + "\n")
        print(f"{outcome.kind} {case}: {outcome.what}: {outcome.verdict} {outcome.seen}".rstrip(), flush=True)
    return read(file)
