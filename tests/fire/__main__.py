"""Runs the cases that are not yet done and writes docs/fire.md; a run that is stopped goes on where it was."""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

from fire import hangs, kills, malformed, outcomes, report, resources
from fire.outcomes import BENIGN, Outcome

KINDS: dict[str, tuple[Callable[[int, Path], Outcome], int]] = {
    "kills": (kills.one, 100),
    "malformed": (malformed.one, 200),
    "full-disk": (resources.on_a_disk(resources.full_disk), 18),
    "unwritable": (resources.on_a_disk(resources.unwritable), 14),
    "read-only-store": (resources.on_a_disk(resources.read_only_store), 6),
    "lost-scheduler": (resources.lost_scheduler, 5),
    "interrupts": (resources.interrupted, 10),
    "hangs": (hangs.one, 200),
}
"""What a kind does with the number of a case, and how many cases it has."""


def main() -> int:
    """Status 1: there are faults."""
    parser = argparse.ArgumentParser(prog="make fire", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kind", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--cases", type=int, nargs="+", help="these alone, again where they were done; no report")
    parser.add_argument("--folder", type=Path, default=Path("runs/fire"), help="where cases and outcomes are kept")
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for kind in options.kind:
        one, count = KINDS[kind]
        if options.cases:
            for case in options.cases:
                outcome = one(case, folder)
                print(f"{outcome.kind} {case}: {outcome.what}: {outcome.verdict} {outcome.seen}".rstrip(), flush=True)
            continue
        file = folder / f"{kind}.jsonl"
        if kind == "malformed":  # those that were still whole do not count
            while short := count - sum(each.verdict != BENIGN for each in outcomes.read(file)):
                done = {each.case for each in outcomes.read(file)}
                further = [case for case in range(len(done) + short) if case not in done][:short]
                outcomes.go_through(file, further, lambda case: malformed.one(case, folder))
        else:
            outcomes.go_through(file, range(count), lambda case, one=one: one(case, folder))  # type: ignore[misc]
    if options.cases:
        return 0
    found = _found(folder)
    report.write(found)
    return 1 if any(outcome.verdict == outcomes.FAULT for outcome in found) else 0


def _found(folder: Path) -> list[Outcome]:
    files: Iterable[Path] = (folder / f"{kind}.jsonl" for kind in KINDS)
    return [outcome for file in files for outcome in outcomes.read(file)]


if __name__ == "__main__":
    raise SystemExit(main())
