from pathlib import Path
from types import SimpleNamespace

import dask
import distributed
import pytest
import stage_functions as functions
import torch
from stage_functions import make

from companion.pipeline import engine
from companion.pipeline.store import Stage, Store


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


@pytest.mark.parametrize("scheduler", [None, engine.LOCAL])
def test_what_is_asked_first_is_whole_before_the_last_is_begun(tmp_path: Path, scheduler: str | None) -> None:
    """A cluster's worker may have a few stages in hand when others become ready."""
    log, firsts = tmp_path / "log", range(1, 8)
    numbers = [make(functions.number, value=value, log=str(log)) for value in firsts]
    doubled = [make(functions.total, {"a": number, "b": number}, log=str(log)) for number in numbers]
    asked = [make(functions.total, {"a": double, "b": double}, log=str(log)) for double in doubled]
    engine.run(asked, Store(tmp_path / "runs"), scheduler=scheduler, workers=1)
    done = log.read_text().split()
    assert sorted(done, key=int) == sorted((str(factor * value) for value in firsts for factor in (1, 2, 4)), key=int)
    assert [done.index(str(4 * value)) for value in firsts] == sorted(done.index(str(4 * value)) for value in firsts)
    assert done.index("12") < done.index("5")


def test_no_stage_stands_behind_a_long_one_while_another_worker_has_nothing_to_do(tmp_path: Path) -> None:
    """The long one ends only when all others have, and what is dealt to a worker at once may never leave it."""
    log, end = str(tmp_path / "log"), str(tmp_path / "end")
    long = make(functions.after_file, file=end, log=log)
    numbers = {str(value): make(functions.number, value=value, log=log) for value in (1, 2, 3)}
    asked, store = [long, make(functions.total, numbers, log=end)], Store(tmp_path / "runs")
    with dask.config.set({"distributed.scheduler.work-stealing": False}):
        engine.run(asked, store, scheduler=engine.LOCAL, workers=2)
    assert sorted(Path(log).read_text().split()) == ["1", "1", "2", "3"]


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
    assert "as planned" in str(error.value).splitlines()[0]
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


def test_local_workers_are_numbered(tmp_path: Path) -> None:
    stages = [make(functions.note_worker, value=value) for value in range(8)]
    folders = engine.run(stages, Store(tmp_path / "runs"), scheduler=engine.LOCAL, workers=2)
    assert {(folder / "worker.txt").read_text() for folder in folders.values()} <= {"0", "1"}


@pytest.mark.parametrize(
    ("worker", "gpus", "chosen"),
    [(0, 4, [0]), (3, 4, [3]), (5, 4, [1]), (0, 1, []), (2, 0, []), ("SLURMCluster-3", 4, [])],
)
def test_a_numbered_worker_takes_the_gpu_of_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worker: int | str, gpus: int, chosen: list[int]
) -> None:
    """A worker of a job has another name: it sees the GPUs of its job, of which the first is right."""
    taken: list[int] = []
    monkeypatch.setattr(distributed, "get_worker", lambda: SimpleNamespace(name=worker))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    stage = make(functions.number, value=1, log=str(tmp_path / "log"))
    engine._compute_on_worker(stage, Store(tmp_path / "runs"), "topic")
    assert taken == chosen
