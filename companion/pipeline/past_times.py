"""How long stages took, and how long those take that are not yet there."""

from collections.abc import Iterable
from statistics import fmean
from typing import NamedTuple

from companion.pipeline import engine
from companion.pipeline.provenance import recorded
from companion.pipeline.store import Stage, Store


class Times(NamedTuple):
    """Seconds, as a clock on the wall shows them: of what is there, and of what is missing."""

    past: float
    left: float | None  # None: a kind is missing of which there were no past stages


def times(stages: Iterable[Stage], store: Store) -> Times:
    """How long the stages and all they build on took, and about how long those take that would have to be computed."""
    stages = list(stages)
    there = [stage for stage in engine.in_order(stages) if store.place(stage).is_dir()]
    each = [past_seconds(store, stage.name) for stage in engine.missing(stages, store)]
    left = sum(seconds or 0 for seconds in each)
    return Times(sum(store.provenance(stage)["duration_s"] for stage in there), None if None in each else left)


def past_seconds(store: Store, name: str) -> float | None:
    """How long stages of that name took on average; those that were continued count only if there are no others."""
    found = [recorded(folder) for folder in store.finished(name)]
    whole = [record["duration_s"] for record in found if not record["resumed"]]
    return fmean(whole or [record["duration_s"] for record in found]) if found else None
