"""A report that goes on from published scores: only the new seed is computed, and it says what the whole run says."""

import json
import shutil
from pathlib import Path

import pytest

from companion import settings
from companion.cli import main as cli
from companion.pipeline import engine
from companion.pipeline.stages import data
from companion.reports import published as scores
from companion.reports.record import FILE, Record
from companion.settings import Machine

NAME = "33_rounds"


def run(folder: Path, runs: str, reports: str, *options: str) -> Record:
    """Execute the notebook with one round on the data of a folder; returns its record."""
    places = ["--data-root", f"{folder}/data", "--runs-dir", f"{folder}/{runs}", "--reports-dir", f"{folder}/{reports}"]
    assert cli.main(["run", NAME, "--preset", "smoke", "-p", "rounds", "1", *places, *options]) == 0
    return Record.read(folder / reports / "smoke" / NAME / FILE)


def publish(folder: Path, reports: str) -> None:
    assert cli.main(["snapshot", f"{folder}/{reports}/smoke", "--output", f"{folder}/snapshot"]) == 0


@pytest.mark.slow
def test_a_third_seed_is_added_to_two_published_ones(tmp_path, shared_store, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    generated = data.stage(settings.load("smoke"), Machine(device="cpu"))
    engine.run([generated], shared_store)
    shutil.copytree(shared_store.folder(generated) / "dataset", tmp_path / "data")

    assert run(tmp_path, "first", "two", "--seeds", "2").seeds == 2
    publish(tmp_path, "two")
    more = run(tmp_path, "second", "three", "--seeds", "3", "--published", f"{tmp_path}/snapshot")
    whole = run(tmp_path, "first", "all", "--seeds", "3")
    assert more.key_numbers == whole.key_numbers != [] and more.verdicts == whole.verdicts != []
    assert more.artefacts.keys() == whole.artefacts.keys()
    for table in whole.tables:
        here, there = (tmp_path / place / "smoke" / NAME / table.csv for place in ("three", "all"))
        assert here.read_text() == there.read_text(), table.name
    configs = [json.loads(file.read_text()) for file in (tmp_path / "second").glob("*/*/config.json")]
    assert {config["seed"] for config in configs if config["stage"] == "classifier"} == {2}
    maps = [len([*(tmp_path / runs).glob("response_maps/*/maps")]) for runs in ("second", "first")]
    assert 3 * maps[0] == maps[1] > 0
    (said,) = [note.text for note in more.notes if "published ones" in note.text]
    assert "of seeds 0-1, computed at commit" in said and "the others were computed here" in said

    publish(tmp_path, "three")
    (record,) = scores.records(tmp_path / "snapshot" / scores.SCORES)
    assert record.seed_values == [0, 1, 2] and record.key_numbers == whole.key_numbers
    page = (tmp_path / "snapshot" / f"{NAME}.html").read_text()
    assert all(verdict.interval in page for verdict in whole.verdicts) and f"{tmp_path}/data" not in page
