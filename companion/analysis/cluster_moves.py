"""Which images moved together or were scattered between two rounds, as tables and as marks (Figs 3.9-3.11).

Thesis section 3.4, which points at such images by eye; nothing here corresponds to published code. The rule is that of
`cluster_quality`: a set of images is together where one cluster holds more than half of it. The sets are the true
sub-types where these are known, and else the clusters themselves.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int8, Integer

from companion.analysis.cluster_quality import Movement, chance_level, cluster_movement, movement
from companion.analysis.cluster_scores import by_class, chance_rng, seeds_of
from companion.analysis.cluster_tables import Round, Rounds
from companion.analysis.statistics import Interval, mean_interval, paired_difference

MOVES = ("moved together", "kept", "scattered")
TOGETHER, SCATTERED = 1, -1


def moved(earlier: Round, later: Round, subtypes: Integer[np.ndarray, "n c"] | None = None) -> Movement:
    """What became of the true sub-types between two rounds or, where they are unknown, of the clusters."""
    if subtypes is None:
        return cluster_movement(earlier.assignments, later.assignments, later.k)
    return movement(subtypes, earlier.assignments, later.assignments, int(subtypes.max()) + 1)


def moved_by_chance(
    earlier: Round, later: Round, subtypes: Integer[np.ndarray, "n c"] | None, seed: int
) -> Float64[np.ndarray, "3 c"]:
    """Counts of `moved` for a later round whose clusters are dealt out at random."""

    def counts(dealt: np.ndarray) -> np.ndarray:
        return moved(earlier, later._replace(assignments=dealt), subtypes).counts()

    return chance_level(counts, later.assignments, chance_rng(seed))


def movement_table(
    found: Rounds, first: int, last: int, subtypes: Integer[np.ndarray, "n c"] | None, classes: Sequence[str]
) -> pd.DataFrame:
    """Sets of each class that moved together, were kept and were scattered, each beside its chance level."""
    counts = [moved(found[first, seed], found[last, seed], subtypes).counts() for seed in seeds_of(found)]
    chance = [moved_by_chance(found[first, seed], found[last, seed], subtypes, seed) for seed in seeds_of(found)]
    scores = {}
    for row, name in enumerate(MOVES):
        scores[name] = [each[row].astype(float) for each in counts]
        scores[f"{name}, chance"] = [each[row] for each in chance]
    return by_class(scores, classes)


def net(found: Rounds, first: int, last: int, subtypes: Integer[np.ndarray, "n c"] | None, move: str) -> Interval:
    """Sets a class that made one of `MOVES`, minus those that do so by chance: mean over classes, over seeds."""
    row = MOVES.index(move)
    values = []
    for seed in seeds_of(found):
        earlier, later = found[first, seed], found[last, seed]
        chance = moved_by_chance(earlier, later, subtypes, seed)
        values.append((moved(earlier, later, subtypes).counts() - chance)[row].mean())
    return mean_interval(values)


def surplus(found: Rounds, first: int, last: int, subtypes: Integer[np.ndarray, "n c"] | None) -> Interval:
    """Sets a class that moved together minus those that were scattered: mean over classes, over seeds."""
    moves = [moved(found[first, seed], found[last, seed], subtypes) for seed in seeds_of(found)]
    return paired_difference(
        [each.gathered.sum(axis=1).mean() for each in moves], [each.scattered.sum(axis=1).mean() for each in moves]
    )


def marks(
    earlier: Round, later: Round, subtypes: Integer[np.ndarray, "n c"] | None
) -> tuple[Int8[np.ndarray, "n c"], Int8[np.ndarray, "n c"]]:
    """What the frame around each image says in the earlier and in the later round.

    `TOGETHER` and `SCATTERED` follow the image's true sub-type in both rounds. Where these are unknown, images of the
    earlier round can be scattered, with their cluster, and images of the later one can have moved together.
    """
    found = moved(earlier, later, subtypes)
    if subtypes is None:
        scattered, together = (
            _of_sets(found.scattered, earlier.assignments),
            _of_sets(found.gathered, later.assignments),
        )
        return (SCATTERED * scattered).astype(np.int8), (TOGETHER * together).astype(np.int8)
    both = TOGETHER * _of_sets(found.gathered, subtypes) + SCATTERED * _of_sets(found.scattered, subtypes)
    return both.astype(np.int8), both.astype(np.int8)


def in_words(
    found: Rounds, first: int, last: int, subtypes: Integer[np.ndarray, "n c"] | None, c: int, seed: int
) -> str:
    """What became of the sets of one class and seed, with the chance level of each count."""
    earlier, later = found[first, seed], found[last, seed]
    counts = moved(earlier, later, subtypes).counts()[:, c]
    chance = moved_by_chance(earlier, later, subtypes, seed)[:, c]
    kind = "clusters" if subtypes is None else "true sub-types"
    said = ", ".join(f"{n} {name} (by chance {by:.1f})" for n, name, by in zip(counts, MOVES, chance, strict=True))
    return f"Of the {kind} of this class {said}."


def _of_sets(flags: Bool[np.ndarray, "c s"], sets: Integer[np.ndarray, "n c"]) -> np.ndarray:
    """The flag of each image's set, as 0 or 1; 0 where the class is absent."""
    columns = np.arange(sets.shape[1])
    return np.where(sets >= 0, flags[columns, np.maximum(sets, 0)], 0)
