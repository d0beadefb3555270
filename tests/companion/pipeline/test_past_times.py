"""How long stages took and how long those take that are missing, from a store whose durations are set here."""

import json
from pathlib import Path

import pytest
import stage_functions as functions
from stage_functions import make

from companion.pipeline import engine
from companion.pipeline.past_times import PastTimes, Times, times
from companion.pipeline.provenance import PROVENANCE
from companion.pipeline.published import open_store, write, write_mark
from companion.pipeline.store import Stage, Store


def lasted(store: Store, stage: Stage, seconds: float, *, resumed: bool = False) -> None:
    """Compute a stage and say that it took that long."""
    engine.run([stage], store)
    file = store.folder(stage) / PROVENANCE
    file.write_text(json.dumps(json.loads(file.read_text()) | {"duration_s": seconds, "resumed": resumed}))


def test_what_is_missing_takes_as_long_as_others_of_its_kind_on_average(tmp_path: Path) -> None:
    log, store = str(tmp_path / "log"), Store(tmp_path / "runs")
    one, two, three = (make(functions.number, value=value, log=log) for value in (1, 2, 3))
    total = make(functions.total, {"one": one, "three": three}, log=log)
    assert times([one], store) == Times(0, None)
    lasted(store, one, 10)
    lasted(store, two, 40)
    assert times([one, two], store) == Times(50, 0)
    assert times([one, one, three], store) == Times(10, 25)
    assert times([total], store) == Times(10, None)  # no total was ever computed


def test_a_continued_stage_counts_only_where_there_is_no_other(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    one, two = (make(functions.number, value=value, log=str(tmp_path / "log")) for value in (1, 2))
    lasted(store, one, 4, resumed=True)
    assert PastTimes(store).seconds(two) == 4
    lasted(store, two, 10)
    assert PastTimes(store).seconds(two) == 10


def test_published_stages_count_in_a_store_that_goes_on_from_them(tmp_path: Path) -> None:
    runs = Store(tmp_path / "runs")
    one, two = (make(functions.number, value=value, log=str(tmp_path / "log")) for value in (1, 2))
    lasted(runs, one, 7)
    write(tmp_path / "snapshot" / "scores", [f"{one.name}/{one.key}"], [runs.root], None)
    write_mark(tmp_path / "snapshot" / "scores")
    own = open_store(tmp_path / "own", tmp_path / "snapshot")
    assert times([one, two], own) == Times(7, pytest.approx(7))


def test_those_that_share_most_settings_say_how_long_it_takes(tmp_path: Path) -> None:
    store, here, elsewhere = Store(tmp_path / "runs"), str(tmp_path / "log"), str(tmp_path / "another")
    lasted(store, make(functions.number, value=1, log=elsewhere), 100)
    assert PastTimes(store).seconds(make(functions.number, value=3, log=here)) == 100
    lasted(store, make(functions.number, value=2, log=here), 10)
    assert PastTimes(store).seconds(make(functions.number, value=3, log=here)) == 10
    assert PastTimes(store).seconds(make(functions.number, value=3, log=elsewhere)) == 100
