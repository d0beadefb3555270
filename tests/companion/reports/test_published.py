"""Published scores: reports made again from them alone, and what is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from linked_store import linked_store
from voc_folder import make_voc, write_split

from companion import settings
from companion.cli import main as cli
from companion.datasets.published import LeftOut, open_split
from companion.experiments.catalogue import experiment
from companion.pipeline import engine, published
from companion.pipeline.artefacts import ResponseMaps, read_scores
from companion.pipeline.stages import data, response_maps
from companion.pipeline.store import StageFailed, Store
from companion.reports import published as scores
from companion.reports.record import FILE, Artefact, Record
from companion.settings import Machine
from thesislib.data.voc import VocDataset

SMOKE = settings.load("smoke")
HERE = Machine(device="cpu")


@pytest.fixture(autouse=True)
def environment_of_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))


def run(folder: Path, name: str, *options: str) -> Path:
    """Execute a notebook with the store `runs`, take a snapshot, delete the store, and make the report again."""
    command = ["--preset", "smoke", "--runs-dir", f"{folder}/runs", "--reports-dir", f"{folder}/reports", *options]
    assert cli.main(["run", name, *command]) == 0
    assert cli.main(["snapshot", f"{folder}/reports/smoke", "--output", f"{folder}/snapshot"]) == 0
    shutil.rmtree(folder / "runs")
    return folder


def again(folder: Path) -> tuple[Record, Record, Path, Path]:
    """The record of the report and of that which is made again, and their folders."""
    assert cli.main(["report", "--from", f"{folder}/snapshot", "--reports-dir", f"{folder}/again"]) == 0
    first, second = (next((folder / place / "smoke").glob(f"*/{FILE}")) for place in ("reports", "again"))
    return Record.read(first), Record.read(second), first.parent, second.parent


def check_same(there: Record, here: Record, first: Path, second: Path, left_out: set[str]) -> None:
    """Every number, verdict, table and figure is there again, but for figures that are left out, and says the same."""
    assert here.state == "done" and there.key_numbers == here.key_numbers and there.verdicts == here.verdicts
    assert [each.name for each in there.tables] == [each.name for each in here.tables] != []
    for table in there.tables:
        assert (first / table.csv).read_text() == (second / table.csv).read_text(), table.name
    assert {each.name for each in there.figures} - {each.name for each in here.figures} == left_out
    notes = [each.text for each in here.notes]
    assert {each.text for each in there.notes} <= {*notes}
    assert any("nothing was computed anew" in text for text in notes) and str(LeftOut("images")) in notes


@pytest.mark.slow
def test_table_2_1_is_made_again_without_data_maps_and_weights(tmp_path, shared_store, capsys):
    asked = experiment("21_response_maps", SMOKE, range(1), HERE)
    linked_store(asked.stages(), shared_store, tmp_path / "runs")
    run(tmp_path, "21_response_maps", "--seeds", "1")
    published_files = {path.suffix for path in (tmp_path / "snapshot" / scores.SCORES).rglob("*") if path.is_file()}
    assert published_files == {".json", ".npz", ".txt", ""}
    assert not [*(tmp_path / "snapshot").rglob("maps")]
    check_same(*again(tmp_path), {"fig_2_1", "fig_2_2", "fig_2_3", "fig_2_6"})
    assert "as published\n" in capsys.readouterr().out

    (lost,) = [*(tmp_path / "snapshot").rglob("response_maps/*")][:1]
    shutil.rmtree(lost)
    assert cli.main(["report", "--from", f"{tmp_path}/snapshot", "--reports-dir", f"{tmp_path}/third"]) == 1
    failed = Record.read(tmp_path / "third" / "smoke" / "21_response_maps" / FILE)
    assert failed.error is not None and f"response_maps {lost.name}" in failed.error.text
    assert "nothing is computed there" in failed.error.text


@pytest.mark.slow
def test_data_of_a_folder_are_known_without_the_folder(tmp_path):
    root = make_voc(tmp_path / "photographs", n=5)
    ids = [f"2000_{i:06d}" for i in range(5)]
    for split, chosen in {"trainaug": ids[:4], "train": ids[2:4], "val": ids[4:]}.items():
        write_split(root, split, chosen)
    run(tmp_path, "01_data", "--data-root", str(root))
    assert not any(str(tmp_path / "photographs") in path.read_text() for path in tmp_path.glob("snapshot/**/*.json"))
    shutil.rmtree(tmp_path / "photographs")
    check_same(*again(tmp_path), {"images"})


# --- Stores -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def of_photographs(tmp_path):
    """The stage of a folder of data, computed."""
    root = make_voc(tmp_path / "photographs", n=4, size=(24, 32))
    write_split(root, "trainaug", [f"2000_{i:06d}" for i in range(4)])
    (root / "SegmentationClass" / "2000_000001.png").unlink()
    stage = data.stage(SMOKE, Machine(data_root=str(root), device="cpu"))
    engine.run([stage], Store(tmp_path / "runs"))
    return root, stage


def publish(tmp_path, root, *names):
    published.write(tmp_path / "scores", names, tmp_path / "runs", root)
    published.write_mark(tmp_path / "scores")
    return published.open_store(tmp_path / "scores")


def test_names_labels_and_sizes_are_there_and_nothing_that_is_drawn(tmp_path, of_photographs):
    root, stage = of_photographs
    store = publish(tmp_path, root, f"data/{stage.key}")
    for split in data.SPLITS:
        images, here = VocDataset(root, split), open_split(store.folder(stage) / "dataset", split)
        assert here.ids == images.ids and here.classes == images.classes and here.subtypes is None
        np.testing.assert_array_equal(here.labels, images.labels)
        assert [here.size(i) for i in range(4)] == [images.size(i) for i in range(4)]
        assert [here.has_mask(i) for i in range(4)] == [True, False, True, True]
        for drawn in (here.image, here.mask, here.parts):
            with pytest.raises(LeftOut, match="not published; it is made when you run the notebook"):
                drawn(0)
    with pytest.raises(LeftOut, match="response maps"):
        ResponseMaps.read(store.root / "response_maps" / "0123456789abcdef", "2000_000000")


def test_keys_are_found_without_the_files_that_decide_them(tmp_path, of_photographs):
    root, stage = of_photographs
    store = publish(tmp_path, root, f"data/{stage.key}")
    elsewhere = Machine(data_root=str(tmp_path / "nowhere"), device="cpu")
    wanted = data.stage(SMOKE, elsewhere)
    store.expect([wanted])
    assert wanted.key == stage.key and store.crf is False and "nothing was computed anew" in store.remark
    maps = response_maps.stage(SMOKE, elsewhere)
    with pytest.raises(
        StageFailed, match=r"response_maps \w+ is not among the published results.*runs_dir of your own"
    ):
        store.expect([maps])
    other = tmp_path / "scores" / "data" / "0123456789abcdef"
    shutil.copytree(store.folder(stage), other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"fingerprint": "another"}))
    with pytest.raises(StageFailed, match="published of several files"):
        store.expect([data.stage(SMOKE, elsewhere)])


def test_counts_are_the_same_in_a_smaller_file(tmp_path):
    from companion.pipeline import artefacts

    source, target = tmp_path / "runs" / "response_maps" / "0", tmp_path / "scores" / "response_maps" / "0"
    source.mkdir(parents=True)
    for name in published.COPIED[:2]:
        (source / name).write_text("{}")
    rng = np.random.default_rng(0)
    counts = {"image_confusion": rng.integers(0, 9, (50, 7, 7)), "logits": rng.random((50, 6), np.float32)}
    artefacts.write_scores(source, {"train": counts})
    (source / "maps").mkdir()
    published.write(tmp_path / "scores", ["response_maps/0"], tmp_path / "runs", None)
    found = read_scores(target, "train")
    for name, values in counts.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype
    assert (target / "scores.npz").stat().st_size < (source / "scores.npz").stat().st_size
    assert not (target / "maps").exists()


# --- What is refused --------------------------------------------------------------------------------------------------


def report_of(tmp_path: Path, artefacts: list[str]) -> Path:
    """A folder of reports with one record, of a store `runs`."""
    parameters: dict[str, Any] = {"runs_dir": str(tmp_path / "runs"), "reports_dir": "reports", "data_root": ""}
    record = Record(notebook="01_data", state="done", preset="smoke", parameters=parameters)
    record.artefacts = {name: Artefact() for name in artefacts}
    record.write(tmp_path / "reports" / "smoke" / "01_data" / FILE)
    return tmp_path / "reports" / "smoke"


def test_a_missing_artefact_and_too_many_bytes_are_refused(tmp_path):
    reports = report_of(tmp_path, ["response_maps/0123456789abcdef"])
    with pytest.raises(ValueError, match=r"artefact response_maps/0123456789abcdef is not in .*runs: execute"):
        scores.write(reports, tmp_path / "one")
    reports = report_of(tmp_path, [])
    with pytest.raises(ValueError, match=r"would have 0\.\d MB, 0\.0 are allowed: publish fewer"):
        scores.write(reports, tmp_path / "two", most_bytes=10)


def test_reports_of_ones_own_are_not_replaced(tmp_path, capsys):
    reports = report_of(tmp_path, [])
    scores.write(reports, tmp_path / "snapshot" / scores.SCORES)
    command = ["report", "--from", f"{tmp_path}/snapshot", "--reports-dir"]
    assert cli.main([*command, f"{tmp_path}/reports"]) == 2
    assert "give another --reports-dir" in capsys.readouterr().err
    assert cli.main(["report", "--from", f"{tmp_path}/reports/smoke"]) == 2
    assert "has no published scores" in capsys.readouterr().err
