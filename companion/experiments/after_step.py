"""Claims about rows after a step of the chain: which are asked in Tables 2.2, 2.3, 3.3 and 3.4, and their words."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from companion.analysis import by_class, chain
from companion.analysis.chain import Chain
from companion.analysis.claims import Claim, Place, judged, versus
from companion.analysis.families import Judged
from companion.experiments.printed_differences import STAGES

HELPING = (
    ("train", chain.WALKED),
    ("train", chain.MASKS),
    ("val", chain.SEGMENTED),
    ("val", chain.SHARPENED),
)
"""Splits and steps that are asked whether they improve on the step before."""


class AfterStep(NamedTuple):
    """A claim about two rows after a step on a split, and the printed difference with its table where there is one."""

    claim: Claim
    split: str
    step: str
    thesis: float | None = None
    source: str = ""
    primary: bool = False


def judged_after(chains: Mapping[str, Chain], asked: Iterable[AfterStep]) -> Iterator[Judged]:
    """What became of claims about two rows, of those whose step was run; `chains` by split."""
    for claim, split, step, thesis, source, _ in asked:
        if step in chains[split]:
            rows = claim.row.name, claim.reference.name
            place = Place(source, split, STAGES[step], row=versus(claim)) if source else None
            found = judged(claim.text, chain.gain(chains[split], step, *rows), thesis=thesis, place=place)
            yield found, by_class.pair(chains[split][step], *rows)


def in_words(gains: Iterable[AfterStep]) -> str:
    """Printed gains by split."""
    said: dict[str, list[str]] = {}
    for each in gains:
        said.setdefault(each.split, []).append(f"{chain.short(each.step)} {each.thesis:+.1f}")
    return "; ".join(f"on VOC {split}: {', '.join(steps)}" for split, steps in said.items())
