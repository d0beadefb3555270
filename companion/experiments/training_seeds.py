"""The parameter `seeds`: how many training seeds, or which.

A number means the first ones, 0, 1 and so on; a large one is refused, since it may be meant as the name of a seed. What
is to confirm a claim needs seeds that nobody has looked at, so a list names them. Seeds are in ascending order
everywhere; figures of one seed are of the first.
"""

import itertools
import re
from collections.abc import Sequence
from typing import Any

from companion.settings import SettingsError

LARGEST = 2**32 - 1
"""scikit-learn's k-means takes no larger seed."""
MOST = 1_000
MOST_COUNTED = 20
"""A larger number is refused: 100 may mean a hundred seeds, or seed 100."""


def check_seeds(seeds: Any) -> tuple[int, ...]:
    """The training seeds, ascending: those of a list, or 0 to `seeds` - 1.

    >>> check_seeds(3), check_seeds([102, 100])
    ((0, 1, 2), (100, 102))

    Raises:
        SettingsError: neither a whole number from 1 to `MOST_COUNTED` nor a list of distinct ones of at least 0, or too
            many.
    """
    given = f"parameter seeds = {seeds!r}"
    if isinstance(seeds, list | tuple):
        for seed in seeds:
            if not _is_whole(seed) or not 0 <= seed <= LARGEST:
                raise SettingsError(f"{given}: {seed!r} is not a whole number from 0 to {LARGEST}")
            if seeds.count(seed) > 1:
                raise SettingsError(f"{given}: {seed} is there twice")
        if not seeds:
            raise SettingsError(f"{given}: the list is empty")
    elif not _is_whole(seeds) or seeds < 1:
        raise SettingsError(
            f"{given}: expected a whole number of at least 1 (3 means 0, 1, 2) or a list of seeds such as [100, 101]"
            + ("; papermill passes a list with -y 'seeds: [100, 101]'" if isinstance(seeds, str) else "")
        )
    elif seeds > MOST_COUNTED:
        raise SettingsError(
            f"{given} could mean {seeds:,} seeds or seed {seeds} alone: give a list, [{seeds}] for the one, "
            f"[0, 1, ..., {seeds - 1}] for so many"
        )
    if isinstance(seeds, list | tuple) and len(seeds) > MOST:
        raise SettingsError(f"parameter seeds: at most {MOST:,} seeds, got {len(seeds):,}")
    return tuple(sorted(seeds)) if isinstance(seeds, list | tuple) else tuple(range(seeds))


def read_seeds(text: str) -> int | list[int]:
    """The parameter `seeds` as the command line gives it: how many, or numbers and ranges that say which.

    >>> read_seeds("3"), read_seeds("100-102"), read_seeds("0,3,7"), read_seeds("100,")
    (3, [100, 101, 102], [0, 3, 7], [100])

    Raises:
        SettingsError: the text is something else, or `check_seeds` refuses what it says.
    """
    if re.fullmatch(r"\s*-?\d{1,10}\s*", text, re.ASCII):
        count = int(text)
        if count < 1:
            raise SettingsError(f"seeds must be at least 1, got {count}")
        if count > MOST_COUNTED:
            raise SettingsError(
                f"seeds {count} could mean {count:,} seeds or seed {count} alone: say 0-{count - 1} or {count},"
            )
        return count
    found = [seed for part in text.strip().removesuffix(",").split(",") for seed in _range_of(part, text)]
    check_seeds(found)
    return found


def named_seeds(seeds: Sequence[int]) -> str:
    """Which seeds, where they are not the first ones; else nothing.

    >>> named_seeds([100, 101, 102, 107]), named_seeds([0, 1, 2])
    ('100-102, 107', '')
    """
    return "" if list(seeds) == list(range(len(seeds))) else in_ranges(seeds)


def in_ranges(seeds: Sequence[int]) -> str:
    """Which seeds.

    >>> in_ranges([0, 1, 2, 7])
    '0-2, 7'
    """
    runs = [[*run] for _, run in itertools.groupby(enumerate(seeds), key=lambda place: place[1] - place[0])]
    return ", ".join(f"{run[0][1]}-{run[-1][1]}" if len(run) > 1 else f"{run[0][1]}" for run in runs)


def seeds_in_words(seeds: Sequence[int]) -> str:
    """How many seeds, or which where they are not the first ones.

    >>> seeds_in_words([0, 1, 2]), seeds_in_words([100, 101, 102])
    ('3 seeds', 'seeds 100-102')
    """
    plural = "" if len(seeds) == 1 else "s"
    named = named_seeds(seeds)
    return f"seed{plural} {named}" if named else f"{len(seeds)} seed{plural}"


def _range_of(part: str, text: str) -> Sequence[int]:
    """The seeds of `7` or `100-104`."""
    ends = re.fullmatch(r"\s*(\d{1,10})(?:\s*-\s*(\d{1,10}))?\s*", part, re.ASCII)
    if ends is None:
        raise SettingsError(
            f"seeds {text!r}: expected how many (3 means 0, 1, 2), a range such as 100-104, or seeds such as 0,3,7; "
            "a single one is 7, with a comma"
        )
    first, last = int(ends[1]), int(ends[2] or ends[1])
    if not first <= last < first + MOST:
        raise SettingsError(f"seeds {text!r}: a range goes up, over at most {MOST:,} seeds")
    return range(first, last + 1)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
