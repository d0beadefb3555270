"""The parameter `seeds` in each of its forms, and captions that name seeds."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import made_results
import pytest

from companion.experiments.clusters import Clusters
from companion.experiments.exhibits import Figure, Table
from companion.experiments.experiment import Experiment
from companion.experiments.rounds import Table32
from companion.experiments.training_seeds import LARGEST, check_seeds, named_seeds, read_seeds, seeds_in_words
from companion.settings import Machine, SettingsError, load


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("3", (0, 1, 2)),
        (" 1 ", (0,)),
        ("100-104", (100, 101, 102, 103, 104)),
        ("7-7", (7,)),
        ("100,", (100,)),
        ("3, 7, ", (3, 7)),
        ("20", tuple(range(20))),
        ("0-20", tuple(range(21))),
        ("0,3,7", (0, 3, 7)),
        ("7, 3 ,0", (0, 3, 7)),
        ("100 - 101,3", (3, 100, 101)),
        (f"1,{LARGEST}", (1, LARGEST)),
    ],
)
def test_text_form(text: str, seeds: tuple[int, ...]) -> None:
    assert check_seeds(read_seeds(text)) == seeds
    assert check_seeds(list(reversed(seeds))) == seeds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected how many"),
        ("few", "expected how many (3 means 0, 1, 2), a range such as 100-104"),
        ("2.5", "expected how many"),
        ("1,,2", "expected how many"),
        ("5,,", "expected how many"),
        (",", "a single one is 7, with a comma"),
        ("21", "seeds 21 could mean 21 seeds or seed 21 alone: say 0-20 or 21,"),
        ("100", "could mean 100 seeds or seed 100 alone: say 0-99 or 100,"),
        ("[1, 2]", "expected how many"),
        ("1,-2", "expected how many"),
        ("-3", "at least 1, got -3"),
        ("0", "at least 1, got 0"),
        ("4-2", "a range goes up"),
        ("0-4000000000", "over at most 1,000 seeds"),
        ("0-999,2000", "at most 1,000 seeds, got 1,001"),
        ("1001", "could mean 1,001 seeds or seed 1001 alone"),
        ("0-3,2", "2 is there twice"),
        (f"0,{LARGEST + 1}", f"from 0 to {LARGEST}"),
    ],
)
def test_bad_text_is_refused_in_words(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        read_seeds(text)


def test_a_large_number_as_parameter_is_refused_and_says_how_to_name_one_seed() -> None:
    with pytest.raises(SettingsError, match=re.escape("seeds = 100 could mean 100 seeds or seed 100 alone")) as refused:
        check_seeds(100)
    assert "[100] for the one" in str(refused.value)


@pytest.mark.parametrize("seeds", [0, -1, True, None, 2.0, {0: 1}, "3", [], [0, 0], [-1], ["0"], [[0]], [1.0], [True]])
def test_bad_parameter_is_refused_and_shown(seeds: object) -> None:
    with pytest.raises(SettingsError, match=re.escape(f"parameter seeds = {seeds!r}: ")):
        check_seeds(seeds)


def test_seeds_are_named_unless_they_are_the_first() -> None:
    assert [seeds_in_words(range(n)) for n in (1, 5)] == ["1 seed", "5 seeds"]
    assert [seeds_in_words(seeds) for seeds in ([100], [1, 2], [0, 2, 3])] == ["seed 100", "seeds 1-2", "seeds 0, 2-3"]
    assert check_seeds(read_seeds(named_seeds([3, 100, 101, 102, 107]))) == (3, 100, 101, 102, 107)


CLUSTERS = {"rounds": 3, "data_seed": 0, "classes_shown": [], "images_per_cluster": 2}
ROUNDS = {"rounds": 2, "margin": 1.0, "data_seed": 0}


@pytest.mark.parametrize(
    ("kind", "own", "questions"),
    [
        (Clusters, CLUSTERS, ("in_common", "projection", "first_and_last")),
        (Table32, ROUNDS, ("table", "over_rounds", "epochs")),
    ],
)
def test_captions_say_which_seeds_where_they_are_not_the_first(
    kind: type[Experiment], own: dict[str, Any], questions: Sequence[str], tmp_path: Path
) -> None:
    given = {"settings": load("demo"), "machine": Machine(device="cpu"), "compute": made_results.compute(tmp_path)}
    first, others = (_captions(kind(seeds=seeds, **given, **own), questions) for seeds in ((0, 1, 2), (100, 101, 102)))
    assert len(first) == len(others) > 2
    for caption, other in zip(first, others, strict=True):
        assert "100" not in caption and not re.search(r"seed 0|3 seeds[^ ]|3 seeds (?!\(100-102\))", other)
        assert ("seed 0" in caption) == ("seed 100" in other) and ("3 seeds" in caption) == ("100-102" in other)
    assert any("seed" in caption for caption in first)


def _captions(experiment: Experiment, questions: Sequence[str]) -> list[str]:
    shown = [getattr(experiment, question)() for question in questions]
    several = [[each] if isinstance(each, Table | Figure) else [*each] for each in shown]
    return [each.caption for found in several for each in found if isinstance(each, Table | Figure)]
