"""A store that goes on from published results: what is computed, what is read where, and what is never borrowed."""

import shutil
from pathlib import Path

import pytest
import stage_functions as functions
from stage_functions import make
from voc_folder import make_voc, write_split

from companion import settings
from companion.pipeline import engine
from companion.pipeline.published import ContinuedStore, PublishedStore, open_store, write, write_mark
from companion.pipeline.stages import data
from companion.pipeline.store import Stage, Store
from companion.reports.continued import in_words
from companion.settings import Machine


def graph(log: Path) -> tuple[list[Stage], Stage]:
    """Two numbers, and a total of each."""
    numbers = [make(functions.number, value=value, log=str(log), seed=100 + value) for value in (1, 2)]
    return numbers, make(functions.total, {"one": numbers[0]}, log=str(log))


def publish(root: Path, stages: list[Stage], store: Store) -> ContinuedStore:
    """The stages' results in a snapshot, and an empty store that goes on from it."""
    write(root / "snapshot" / "scores", [f"{stage.name}/{stage.key}" for stage in stages], [store.root], None)
    write_mark(root / "snapshot" / "scores")
    own = open_store(root / "own", root / "snapshot")
    assert isinstance(own, ContinuedStore) and isinstance(own.published, PublishedStore)
    return own


@pytest.mark.parametrize("scheduler", [None, engine.LOCAL])
def test_what_is_published_is_computed_only_where_something_missing_builds_on_it(tmp_path, scheduler):
    (one, two), total = graph(tmp_path / "log")
    engine.run([one, two], Store(tmp_path / "runs"))
    own = publish(tmp_path, [one, two], Store(tmp_path / "runs"))
    assert engine.missing([one, two], own) == []
    folders = engine.run([one, two], own, scheduler=scheduler, workers=1)
    assert {folder.relative_to(tmp_path).parts[0] for folder in folders.values()} == {"snapshot"}
    assert not (own.root / "number").exists() and own.borrowed([one, two, one]) == [one, two]
    assert in_words(own, [one, two]).startswith(
        "2 of the 2 results behind this page are published ones, of seeds 101-102, computed at commit "
    )
    assert engine.missing([one, two, total], own) == [one, total]
    folders = engine.run([one, two, total], own, scheduler=scheduler, workers=1)
    assert folders[one.key] == own.folder(one) and (folders[total.key] / "number.txt").read_text() == "1"
    assert own.borrowed([one, two, total]) == [two] and not own.has(two)
    assert sorted((tmp_path / "log").read_text().split()) == ["1", "1", "1", "2"]
    assert own.provenance(two) == Store(tmp_path / "runs").provenance(two)


def test_data_are_those_that_are_here_and_other_data_borrow_nothing(tmp_path):
    def of(root: Path) -> Stage:
        return data.stage(settings.load("smoke"), Machine(data_root=str(root), device="cpu"))

    root = make_voc(tmp_path / "photographs", n=4)
    write_split(root, "trainaug", [f"2000_{i:06d}" for i in range(4)])
    log = str(tmp_path / "log")
    runs, stage = Store(tmp_path / "runs"), of(root)
    above = make(functions.number, {"data": stage}, value=1, log=log)
    engine.run([above], runs)
    scores = tmp_path / "snapshot" / "scores"
    write(scores, [f"{each.name}/{each.key}" for each in (stage, above)], [runs.root], root)
    write_mark(scores)
    own = open_store(tmp_path / "own", tmp_path / "snapshot")
    shutil.copytree(root, tmp_path / "same")
    same = of(tmp_path / "same")
    assert engine.missing([same, make(functions.number, {"data": same}, value=1, log=log)], own) == [same]

    (tmp_path / "same" / "JPEGImages" / "2000_000000.jpg").write_bytes(
        (tmp_path / "same" / "JPEGImages" / "2000_000001.jpg").read_bytes()
    )
    other = make(functions.number, {"data": of(tmp_path / "same")}, value=1, log=log)
    assert len(engine.missing([other], own)) == 2
    assert isinstance(own, ContinuedStore) and in_words(own, [other]).startswith("No result behind this page is a")


def test_a_snapshot_without_scores_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"snapshot has no published scores: expected .*which `thesis snapshot` writes"
    ):
        open_store(tmp_path / "own", tmp_path / "snapshot")
