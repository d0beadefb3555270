"""Writes the tables of docs/fire.md from the outcomes that are kept; what stands around them is left as it is."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

from fire.outcomes import BENIGN, FAULT, HELD, SKIPPED, Outcome

PAGE = Path(__file__).parents[2] / "docs" / "fire.md"
BEGIN, END = "<!-- tables: written by `make fire` -->", "<!-- end of the tables -->"
LONGEST = 160


def write(outcomes: Sequence[Outcome], page: Path = PAGE) -> None:
    """Replace the tables of the page."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    tables = "\n\n".join([_summary(outcomes), _by_part(outcomes), _faults(outcomes)])
    page.write_text(f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}", encoding="utf-8")


def _summary(outcomes: Sequence[Outcome]) -> str:
    rows = [
        [kind, _numbers(of_kind), *_counts(of_kind), f"{sum(each.seconds for each in of_kind) / 60:.0f}",
         ", ".join(sorted({each.commit for each in of_kind}))]
        for kind, of_kind in _grouped(outcomes, lambda outcome: outcome.kind)
    ]  # fmt: skip
    title = f"Written on {date.today()}."
    return f"{title}\n\n" + _table(["kind", "case numbers", "tried", *COUNTED, "minutes", "commits"], rows)


COUNTED = (HELD, FAULT, BENIGN, SKIPPED)


def _counts(outcomes: Sequence[Outcome]) -> list[str]:
    counts = Counter(outcome.verdict for outcome in outcomes)
    tried = len(outcomes) - counts[BENIGN] - counts[SKIPPED]
    return [str(tried), *(str(counts[verdict]) for verdict in COUNTED)]


def _by_part(outcomes: Sequence[Outcome]) -> str:
    """By what was killed or spoilt."""
    rows = [
        [kind, part, *_counts(of_part)]
        for (kind, part), of_part in _grouped(outcomes, lambda each: (each.kind, _part(each.kind, each.what)))
    ]
    return _table(["kind", "what", "tried", *COUNTED], rows)


def _part(kind: str, what: str) -> str:
    return re.split(r"[,:]" if kind == "malformed" else r", after \d|: |, \d", what)[0]


def _faults(outcomes: Sequence[Outcome]) -> str:
    rows = [[each.kind, str(each.case), each.what, each.seen] for each in outcomes if each.verdict in (FAULT, SKIPPED)]
    if not rows:
        return "No case is open."
    return "Open:\n\n" + _table(["kind", "case", "what", "seen"], rows)


def _grouped(outcomes: Iterable[Outcome], key) -> list:  # type: ignore[no-untyped-def, type-arg]
    groups = defaultdict(list)
    for outcome in outcomes:
        groups[key(outcome)].append(outcome)
    return list(groups.items())


def _numbers(outcomes: Sequence[Outcome]) -> str:
    cases = sorted(outcome.case for outcome in outcomes)
    whole = cases == list(range(cases[0], cases[-1] + 1))
    return f"{cases[0]}-{cases[-1]}" if whole else ", ".join(map(str, cases))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([_cell(text) for text in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    short = text if len(text) <= LONGEST else text[:LONGEST] + " ..."
    return re.sub(r"\s+", " ", short).replace("|", "\\|").replace("<", "&lt;")
