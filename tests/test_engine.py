from pathlib import Path

import pytest
import stage_functions as functions
from stage_functions import make

from thesislib import engine
from thesislib.store import Stage, Store


def _graph(log: str) -> tuple[Stage, dict[str, Stage]]:
    numbers = {str(value): make(functions.number, value=value, log=log) for value in (1, 2, 3)}
    return make(functions.total, numbers, log=log), numbers


@pytest.mark.parametrize("scheduler", [None, engine.LOCAL])
def test_graph_is_computed_in_order_and_once(tmp_path: Path, scheduler: str | None) -> None:
    store, log = Store(tmp_path / "runs"), tmp_path / "log"
    top, numbers = _graph(str(log))
    folders = engine.run([top, numbers["2"], top], store, scheduler=scheduler, workers=2)
    assert (folders[top.key] / "number.txt").read_text() == "6"
    assert sorted(log.read_text().split()) == ["1", "2", "3", "6"]
    assert engine.missing([top], store) == []
    engine.run([top], store, scheduler=scheduler)
    assert len(log.read_text().split()) == 4


def test_what_is_upstream_of_a_finished_artefact_is_not_needed(tmp_path: Path) -> None:
    store, log = Store(tmp_path / "runs"), str(tmp_path / "log")
    top, numbers = _graph(log)
    engine.run([top], store)
    for stage in numbers.values():
        for file in store.folder(stage).iterdir():
            file.unlink()
        store.folder(stage).rmdir()
    assert engine.missing([top], store) == []
    assert [stage.key for stage in engine.missing([numbers["3"]], store)] == [numbers["3"].key]


@pytest.mark.parametrize("scheduler", [None, engine.LOCAL])
def test_failed_stage_is_reported_and_the_rest_finishes(tmp_path: Path, scheduler: str | None) -> None:
    store, log = Store(tmp_path / "runs"), str(tmp_path / "log")
    bad = make(functions.fail, error="os", log=str(tmp_path / "tries"))
    above = make(functions.total, {"bad": bad}, log=log)
    good, _ = _graph(log)
    with pytest.raises(engine.RunFailed, match="as planned") as error:
        engine.run([above, good], store, scheduler=scheduler, workers=2)
    assert list(error.value.failures) == [bad.key]
    assert "1 that depend on them" in str(error.value)
    assert store.has(good)
    assert not store.has(above)
    assert (tmp_path / "tries").read_text() == "tried\n" * engine.TRIES
    assert "OSError: as planned" in (store.failure(bad) or "")


def test_bad_input_is_not_tried_again(tmp_path: Path) -> None:
    bad = make(functions.fail, error="value", log=str(tmp_path / "tries"))
    with pytest.raises(engine.RunFailed):
        engine.run([bad], Store(tmp_path / "runs"))
    assert (tmp_path / "tries").read_text() == "tried\n"


def test_passing_fault_is_tried_again(tmp_path: Path) -> None:
    stage = make(functions.fail_once, log=str(tmp_path / "log"))
    engine.run([stage], Store(tmp_path / "runs"))
    assert Store(tmp_path / "runs").has(stage)
