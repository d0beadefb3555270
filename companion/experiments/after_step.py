"""Claims about rows after a step of the chain: which are asked in Tables 2.2, 2.3, 3.3 and 3.4, and their words."""

from collections.abc import Iterable
from typing import NamedTuple

from companion.analysis import chain
from companion.analysis.claims import Claim

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


def in_words(gains: Iterable[AfterStep]) -> str:
    """Printed gains by split."""
    said: dict[str, list[str]] = {}
    for each in gains:
        said.setdefault(each.split, []).append(f"{chain.short(each.step)} {each.thesis:+.1f}")
    return "; ".join(f"on VOC {split}: {', '.join(steps)}" for split, steps in said.items())
