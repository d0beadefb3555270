"""How long stages took, and how long those take that are not yet there."""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from companion.pipeline import engine
from companion.pipeline.provenance import recorded
from companion.pipeline.store import Stage, Store


class Times(NamedTuple):
    """Seconds, as a clock on the wall shows them: of what is there, and of what is missing."""

    past: float
    left: float | None  # None: a kind is missing of which there were no past stages


class PastTimes:
    """How long the finished stages of a store took, each read once.

    Args:
        store: as it is now; what is finished later does not count.
    """

    def __init__(self, store: Store) -> None:
        self._of_kind = cache(lambda name: [_read(folder) for folder in store.finished(name)])

    def seconds(self, stage: Stage) -> float | None:
        """How long the stages that are most like this one took on average; None if none of its kind was finished.

        Those most like it share most of its settings (network, training, sizes), so they are of its preset where there
        are such. Those that were continued count only if there are no others.
        """
        asked = stage.question
        alike = [
            (_shared(asked, settings), seconds, resumed) for settings, seconds, resumed in self._of_kind(stage.name)
        ]
        most = max((shared for shared, *_ in alike), default=0)
        found = [(seconds, resumed) for shared, seconds, resumed in alike if shared == most]
        whole = [seconds for seconds, resumed in found if not resumed]
        return fmean(whole or [seconds for seconds, _ in found]) if found else None


def times(stages: Iterable[Stage], store: Store) -> Times:
    """How long the stages and all they build on took, and about how long those take that would have to be computed."""
    stages, past = list(stages), PastTimes(store)
    there = [stage for stage in engine.in_order(stages) if store.place(stage).is_dir()]
    each = [past.seconds(stage) for stage in engine.missing(stages, store)]
    left = sum(seconds or 0 for seconds in each)
    return Times(sum(store.provenance(stage)["duration_s"] for stage in there), None if None in each else left)


def _read(folder: Path) -> tuple[dict[str, Any], float, bool]:
    record, settings = recorded(folder), folder / "config.json"
    return json.loads(settings.read_text(encoding="utf-8")), record["duration_s"], record["resumed"]


def _shared(one: Mapping[str, Any], other: Mapping[str, Any]) -> int:
    """How many settings are the same, those within others each by itself."""
    nested = [(value, other.get(name)) for name, value in one.items()]
    return sum(
        _shared(mine, its) if isinstance(mine, dict) and isinstance(its, dict) else mine == its for mine, its in nested
    )
