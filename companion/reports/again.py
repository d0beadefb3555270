"""What became of a verdict when its experiment was run again with other seeds, for wherever the verdict is shown.

The page of a repeat carries it as JSON, so a folder of reports has it as long as it has the page. It belongs to the
very values that were repeated: once a notebook has run with others, nothing is said of them until they are repeated.

A difference of one sign that the mean over the seeds of both runs no longer has was not repeated: its verdict is shown
as undecided. The other way round nothing becomes decided, since seeds were added after some had been seen.
"""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from companion.analysis.claims import Place
from companion.analysis.statistics import mean_interval
from companion.experiments.training_seeds import seeds_in_words
from companion.reports import typeset
from companion.reports.printed_beside import DIGITS
from companion.reports.record import Entry, Record, VerdictEntry

PAGES = "repeat*.html"
_CARRIED = re.compile(r'<script type="application/json" id="again">(.*?)</script>', re.DOTALL)


class Again(Entry):
    """A verdict of the second run, and the mean over the seeds of both.

    `notebooks`, `claim`, `place` and `values` say which verdicts of the first run it belongs to: those of these values
    that make the claim in these words or answer the same printed number. `found` are the values of the second run and
    `seeds` its seeds in words; `together` is the mean over all with its interval, `count` how many they are, and
    `repeated` is False where the interval of the first left out 0 and that over all does not. A claim over a grid shows
    one of its values: of two different ones there is no mean, and `together` is empty. A claim of no difference, which
    has no p, is repeated whatever its sign.
    """

    notebooks: list[str]
    claim: str
    place: Place | None = None
    values: list[float]
    found: list[float]
    verdict: str
    difference: str
    interval: str
    seeds: str
    together: str
    count: int
    repeated: bool

    def __str__(self) -> str:
        second = f"{self.verdict}, {self.difference} {self.interval}"
        start = "Again" if self.repeated else "Not repeated: again"
        return f"{start} with {self.seeds} {second}{self._over_all('; over all')}."

    @property
    def short(self) -> str:
        """The same in fewer words, for a table that says which seeds they are."""
        start = "Again" if self.repeated else "Not repeated:"
        return f"{start} {self.difference}{self._over_all(', all')}"

    def _over_all(self, words: str) -> str:
        return f"{words} {self.count} seeds {self.together}" if self.together else ""


def of_pair(
    notebooks: Iterable[str], entries: tuple[VerdictEntry, VerdictEntry], seeds: tuple[Sequence[int], Sequence[int]]
) -> Again | None:
    """What became of a verdict; None where both runs share a seed, which is no new draw, or have no value a seed."""
    first, second = entries
    if set(seeds[0]) & set(seeds[1]) or not first.values or not second.values:
        return None
    both = mean_interval([*first.values, *second.values])
    digits = len(second.difference.partition(".")[2])
    alike = _of_grid(first) == _of_grid(second)
    had_a_sign = alike and first.p is not None and not _reaches_0(first.low, first.high)
    return Again(
        notebooks=[*notebooks],
        claim=first.claim,
        place=first.place,
        values=first.values,
        found=second.values,
        verdict=second.verdict,
        difference=second.difference,
        interval=second.interval,
        seeds=seeds_in_words(seeds[1]),
        together=" ".join(typeset.text_of(both, f"+.{digits}f")) if alike else "",
        count=both.n,
        repeated=not (had_a_sign and _reaches_0(both.low, both.high)),
    )


def carried(repeated: Iterable[Again]) -> str:
    """The text that a page carries them in."""
    text = json.dumps([each.model_dump() for each in repeated], ensure_ascii=False)
    return text.replace("</", "<\\/")


def read(folder: Path) -> list[Again]:
    """All that the pages of repeats in a folder carry.

    >>> read(Path("no such folder"))
    []
    """
    pages = (path.read_text(encoding="utf-8") for path in sorted(folder.glob(PAGES)))
    texts = (found[1] for page in pages if (found := _CARRIED.search(page)))
    return [Again.model_validate(each) for text in texts for each in json.loads(text)]


def of(repeated: Iterable[Again], notebook: str, entry: VerdictEntry) -> list[Again]:
    """Those of a verdict of a notebook."""
    return [
        each
        for each in repeated
        if notebook in each.notebooks and _rounded(each.values) == _rounded(entry.values) and _same(each, entry)
    ]


def shown(entry: VerdictEntry, repeats: Iterable[Again]) -> VerdictEntry:
    """The verdict as it is shown: undecided where one of its repeats did not repeat it."""
    return entry if all(each.repeated for each in repeats) else entry.model_copy(update={"verdict": "undecided"})


def shown_in(record: Record, repeats: Sequence[Again]) -> Record:
    """A record with all of its verdicts as they are shown."""
    verdicts = [shown(entry, of(repeats, record.notebook, entry)) for entry in record.verdicts]
    return record.model_copy(update={"verdicts": verdicts})


def _of_grid(entry: VerdictEntry) -> str:
    """The value of a grid whose difference a verdict shows, as its remark names it; empty of a single difference."""
    found = re.search("Shown: ([^,;]+)", entry.note)
    return found[1] if found else ""


def _reaches_0(low: float | None, high: float | None) -> bool:
    return low is None or high is None or low <= 0 <= high


def _same(repeated: Again, entry: VerdictEntry) -> bool:
    return repeated.claim == entry.claim or (entry.place is not None and repeated.place == entry.place)


def _rounded(values: Sequence[float] | None) -> list[float]:
    return [round(value, DIGITS) for value in values or ()]
