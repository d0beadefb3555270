"""Does what the notebooks decide repeat? All verdicts of two folders of reports, side by side.

An experiment made again, with seeds of its own or on another instruction set, should decide the same: a decided verdict
stays, or at least does not turn round. One measurement in several notebooks is one verdict.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from companion.pipeline.published import SCORES
from companion.reports import again
from companion.reports.again import Again
from companion.reports.kept import REPORTS
from companion.reports.page import render
from companion.reports.printed_beside import DIGITS
from companion.reports.record import FILE, Record, VerdictEntry, write_text

PAGE = "repeat.html"
"""Its name in a folder of reports, whose index then links it, and others beside it, as `repeat_six_seeds.html`."""
DECIDED = ("holds", "opposite")


@dataclass(frozen=True)
class Pair:
    """What became of a claim in both runs, the notebooks that show it, and the seeds of both."""

    claim: str
    notebooks: tuple[str, ...]
    verdicts: tuple[VerdictEntry, VerdictEntry]
    seeds: tuple[Sequence[int], Sequence[int]]

    @property
    def again(self) -> Again | None:
        """What is said of it wherever it is shown; None where the runs share a seed."""
        return again.of_pair(self.notebooks, self.verdicts, self.seeds)

    @property
    def fate(self) -> str:
        """`stays`, `turned round` or `changed`; `undecided` where it is in both."""
        a, b = (each.verdict for each in self.verdicts)
        if a == b:
            return "stays" if a in DECIDED else "undecided"
        return "turned round" if a in DECIDED and b in DECIDED else "changed"


@dataclass(frozen=True)
class Repeated:
    """Two runs and the claims of both.

    Args:
        folders: of the runs.
        records: of both, of the notebooks that have a verdict in common.
        pairs: those that turned round first.
    """

    folders: tuple[Path, Path]
    records: tuple[Sequence[Record], Sequence[Record]]
    pairs: Sequence[Pair]

    @property
    def turned(self) -> int:
        """How many decided verdicts turned round."""
        return sum(pair.fate == "turned round" for pair in self.pairs)

    @property
    def stayed(self) -> int:
        """How many verdicts are decided alike in both."""
        return sum(pair.fate == "stays" for pair in self.pairs)

    def decided(self, run: int) -> int:
        """How many are decided in one run, 0 or 1."""
        return sum(pair.verdicts[run].verdict in DECIDED for pair in self.pairs)

    def in_words(self) -> str:
        """The shares of decided verdicts that stay, from either run to the other."""
        shares = [
            f"{self.stayed} of {self.decided(run)} decided in {name}" + _share(self.stayed, self.decided(run))
            for run, name in enumerate("AB")
        ]
        return f"Of {len(self.pairs)} verdicts in both: {' and '.join(shares)} stay; {self.turned} turned round."

    def said_of(self, said: Callable[[Record], str]) -> list[str]:
        """What the records of each run say of something, each text once."""
        return [", ".join(sorted({text for record in run if (text := said(record))})) for run in self.records]


def compare(a: Path, b: Path) -> Repeated:
    """All verdicts that two folders of reports, or of snapshots with their scores, have in common.

    Raises:
        ValueError: a folder has no finished report, or they have no verdict in common.
    """
    runs = _records(a), _records(b)
    theirs = {(record.notebook, entry.claim): (entry, record) for record in runs[1] for entry in record.verdicts}
    found: dict[Hashable, Pair] = {}
    for record in runs[0]:
        for entry in record.verdicts:
            if found_again := theirs.get((record.notebook, entry.claim)):
                other, of_other = found_again
                seeds = record.seed_values, of_other.seed_values
                pair = Pair(entry.claim, (record.notebook,), (entry, other), seeds)
                first = found.setdefault(_identity(pair), pair)
                notebooks = tuple(dict.fromkeys([*first.notebooks, record.notebook]))
                found[_identity(pair)] = replace(first, notebooks=notebooks)
    if not found:
        raise ValueError(f"{a} and {b} have no verdict in common")
    order = ("turned round", "changed", "stays", "undecided")
    pairs = sorted(found.values(), key=lambda pair: order.index(pair.fate))
    common = {notebook for pair in pairs for notebook in pair.notebooks}
    in_a, in_b = ([record for record in run if record.notebook in common] for run in runs)
    return Repeated((a, b), (in_a, in_b), pairs)


def pages(folder: Path) -> dict[str, str]:
    """The pages of repeats in a folder of reports by file name, and what they are called.

    >>> pages(Path("no such folder"))
    {}
    """
    stem = Path(PAGE).stem
    names = sorted(path.name for path in folder.glob(f"{stem}*.html"))
    return {name: Path(name).stem.removeprefix(stem).replace("_", " ").strip() or "other seeds" for name in names}


def write(repeated: Repeated, output: Path) -> Path:
    """Write the page of a repeat.

    Raises:
        ValueError: `output` is no .html file in a folder that exists.
    """
    if output.suffix != ".html" or not output.absolute().parent.is_dir():
        raise ValueError(f"output {output}: expected an .html file in a folder that exists")
    circumstances = {
        "folder": ["/".join(folder.resolve().parts[-2:]) for folder in repeated.folders],
        "seeds": repeated.said_of(lambda record: record.seeds_in_words),
        "data seed": repeated.said_of(lambda record: str(record.settings.get("data", {}).get("data_seed", ""))),
        "commit": repeated.said_of(lambda record: record.commit),
        "processor": repeated.said_of(lambda record: record.device),
        "instruction set": repeated.said_of(lambda record: str(record.hardware.get("instructions", ""))),
        "started": repeated.said_of(lambda record: record.started[:10]),
    }
    shown = {name: pair for name, pair in circumstances.items() if any(pair)}
    carried = again.carried(pair.again for pair in repeated.pairs if pair.again)
    write_text(output, render("repeat.html.j2", repeated=repeated, circumstances=shown, carried=carried))
    return output


def _records(folder: Path) -> list[Record]:
    for place in (folder, folder / SCORES / REPORTS):
        records = [Record.read(file) for file in sorted(place.glob(f"*/{FILE}"))]
        if done := [record for record in records if record.state == "done"]:
            return done
    raise ValueError(f"{folder}: expected a folder of reports, such as reports/demo, with one that is finished")


def _identity(pair: Pair) -> Hashable:
    first = pair.verdicts[0]
    values = tuple(round(value, DIGITS) for value in first.values or ()) or first.value
    return first.place or pair.claim, values


def _share(part: int, whole: int) -> str:
    return f" ({part / whole:.0%})" if whole else ""
