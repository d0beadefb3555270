"""How long rows took: each stage once, without what all rows share, and unknown where a record is of a part alone."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from companion.analysis.durations import COLUMNS, over_known, seconds
from companion.experiments.later_steps import GIVEN


def done(store: Path, name: str, clock: float, cpu: float | None, resumed: bool = False, **inputs: str) -> Path:
    """A finished artefact that took this long."""
    folder = store / name
    folder.mkdir(parents=True)
    record = {"duration_s": clock, "resumed": resumed, "inputs": inputs} | ({} if cpu is None else {"cpu_s": cpu})
    (folder / "provenance.json").write_text(json.dumps(record))
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Path:
    done(tmp_path, "data/d", 1000, 900)
    done(tmp_path, "classifier/zero", 10, 9, data="d")
    done(tmp_path, "features/f", 2, 1, data="d", classifier="zero")
    done(tmp_path, "classifier/one", 20, 18, data="d", labels="f", previous="zero")
    return tmp_path


def test_each_stage_counts_once_without_what_all_rows_share(store: Path) -> None:
    maps = done(store, "response_maps/m", 5, 4, data="d", classifier="one")
    assert seconds(maps).tolist() == [32, 28, 5, 4]


def test_what_was_resumed_or_is_not_here_or_was_not_recorded_is_not_known(store: Path) -> None:
    again = done(store, "response_maps/m", 5, 4, True, data="d", classifier="one")
    np.testing.assert_equal(seconds(again), [32, 28, np.nan, np.nan])
    before = done(store, "response_maps/n", 5, None, data="d", classifier="one")
    np.testing.assert_equal(seconds(before), [32, 28, 5, np.nan])
    shutil.rmtree(store / "classifier/zero")
    np.testing.assert_equal(seconds(before), [np.nan, np.nan, 5, np.nan])


def test_a_mean_is_of_the_seeds_that_are_known() -> None:
    found = over_known([np.array([1, np.nan, 3, np.nan]), np.array([np.nan, np.nan, 5, 6])])
    assert [*found] == [*COLUMNS]
    np.testing.assert_array_equal([*found.values()], [1, np.nan, 4, 6])


def test_the_network_of_a_later_step_counts_without_what_it_is_taught_by(store: Path) -> None:
    done(store, "affinity/a", 7, 6, data="d", labels="f")
    walked = done(store, "refined_maps/r", 3, 2, **{"data": "d", "affinity": "a", "maps of val": "one"})
    assert seconds(walked, GIVEN).tolist() == [7, 6, 3, 2]
