"""Published scores: reports made again from them alone, and what is refused."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from linked_store import linked_store
from voc_folder import make_voc, write_split

from companion import settings
from companion.cli import main as cli
from companion.datasets.published import MARK, LeftOut, open_split
from companion.experiments.catalogue import experiment
from companion.pipeline import engine, published
from companion.pipeline.artefacts import ResponseMaps, read_scores
from companion.pipeline.stages import affinity, data, response_maps, segmentation
from companion.pipeline.store import StageFailed, Store
from companion.reports import driver, kept
from companion.reports import published as scores
from companion.reports import snapshot as copies
from companion.reports.record import FILE, Artefact, NumberEntry, Record, VerdictEntry
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
    published_files = [path for path in (tmp_path / "snapshot" / scores.SCORES).rglob("*") if path.is_file()]
    kinds = {path.suffix for path in published_files if path.name != "thumbnail.png"}  # of a page, of generated data
    assert kinds == {".json", ".npz", ".txt", ""}
    assert not [*(tmp_path / "snapshot").rglob("maps")]
    check_same(*again(tmp_path), {"fig_2_1", "fig_2_2", "fig_2_3", "fig_2_4_pairs", "fig_2_6"})
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
    pages = {page.name: page.read_text() for page in (tmp_path / "snapshot").glob("*.html")}
    first = Record.read(tmp_path / "reports" / "smoke" / "01_data" / FILE)
    (drawn,) = [each.alt for each in first.figures if each.name == "images"]
    assert first.thumbnail and not any(drawn in page or str(tmp_path) in page for page in pages.values())
    assert "-p data_root DIR" in pages["01_data.html"]
    assert str(LeftOut("images")) in pages["01_data.html"] and "nothing was computed anew" in pages["01_data.html"]
    assert not [*(tmp_path / "snapshot").rglob("*.png")]
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
    published.write(tmp_path / "scores", names, [tmp_path / "runs"], root)
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


def test_networks_whose_weights_are_not_published_are_left_out(tmp_path, of_photographs):
    root, stage = of_photographs
    store = publish(tmp_path, root, f"data/{stage.key}")
    with pytest.raises(LeftOut, match="weights"):
        affinity.load(store.root / "affinity" / "0123456789abcdef", SMOKE.backbone, HERE)
    with pytest.raises(LeftOut, match="weights"):
        segmentation.load(store.root / "segmenter" / "0123456789abcdef", SMOKE.segmentation, 3, HERE)


def test_keys_are_found_without_the_files_that_decide_them(tmp_path, of_photographs):
    root, stage = of_photographs
    store = publish(tmp_path, root, f"data/{stage.key}")
    elsewhere = Machine(data_root=str(tmp_path / "nowhere"), device="cpu")
    wanted = data.stage(SMOKE, elsewhere)
    store.expect([wanted])
    assert wanted.key == stage.key and store.crf is False and "nothing was computed anew" in store.remark
    maps = response_maps.stage(SMOKE, elsewhere)
    with pytest.raises(StageFailed, match=r"backbone is not among the published results.*runs_dir of your own"):
        store.expect([maps])
    with pytest.raises(StageFailed, match="nothing is computed there"):
        store.compute(data.stage(SMOKE, Machine(device="cpu")))
    assert store.compute(wanted) == store.folder(stage)
    other = tmp_path / "scores" / "data" / "0123456789abcdef"
    shutil.copytree(store.folder(stage), other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"fingerprint": "another"}))
    with pytest.raises(StageFailed, match="published of several files"):
        store.expect([data.stage(SMOKE, elsewhere)])


@pytest.mark.parametrize("command", [["clean", "--all"], ["stage", "classifier", "--preset", "smoke"]])
def test_published_results_are_neither_deleted_nor_added_to(tmp_path, of_photographs, capsys, command):
    root, stage = of_photographs
    folder = publish(tmp_path, root, f"data/{stage.key}").folder(stage)
    files = {*(tmp_path / "scores").rglob("*")}
    assert cli.main([*command, "--runs-dir", f"{tmp_path}/scores"]) == 2
    assert "give a --runs-dir of your own" in capsys.readouterr().err
    assert folder.is_dir() and {*(tmp_path / "scores").rglob("*")} == files


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
    published.write(tmp_path / "scores", ["response_maps/0"], [tmp_path / "runs"], None)
    found = read_scores(target, "train")
    for name, values in counts.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype
    assert (target / "scores.npz").stat().st_size < (source / "scores.npz").stat().st_size
    assert not (target / "maps").exists()


# --- What is refused --------------------------------------------------------------------------------------------------


def report_of(tmp_path: Path, artefacts: list[str], notebook: str = "01_data", seeds: Sequence[int] = ()) -> Path:
    """A folder of reports with one record, of a store `runs`."""
    parameters: dict[str, Any] = {"runs_dir": str(tmp_path / "runs"), "reports_dir": "reports", "data_root": ""}
    record = Record(notebook=notebook, state="done", preset="smoke", parameters=parameters)
    record.artefacts, record.seed_values = {name: Artefact() for name in artefacts}, list(seeds)
    record.generated = True
    record.write(tmp_path / "reports" / "smoke" / notebook / FILE)
    return tmp_path / "reports" / "smoke"


def test_a_missing_artefact_and_too_many_bytes_are_refused(tmp_path):
    reports = report_of(tmp_path, ["response_maps/0123456789abcdef"])
    with pytest.raises(ValueError, match=r"artefact response_maps/0123456789abcdef is not in .*runs: execute"):
        scores.write(reports, tmp_path / "one")
    shutil.rmtree(tmp_path / "reports")
    reports = report_of(tmp_path, [])
    with pytest.raises(ValueError, match=r"would have 0\.\d MB, 0\.0 are allowed: publish fewer"):
        scores.write(reports, tmp_path / "two", most_bytes=10)


def test_a_published_record_names_the_folder_of_its_data_and_not_its_place(tmp_path):
    photographs = make_voc(tmp_path / "photographs", n=4)
    record = Record.read(report_of(tmp_path, []) / "01_data" / FILE)
    record.parameters["data_root"], record.data = str(photographs), f"images in {photographs}"
    record.write(tmp_path / "reports" / "smoke" / "01_data" / FILE)
    scores.write(tmp_path / "reports" / "smoke", tmp_path / "published")
    (there,) = scores.records(tmp_path / "published")
    assert (there.parameters["data_root"], there.data) == (photographs.name, f"images in {photographs.name}")


def test_reports_of_ones_own_are_not_replaced(tmp_path, capsys):
    reports = report_of(tmp_path, [])
    scores.write(reports, tmp_path / "snapshot" / scores.SCORES)
    command = ["report", "--from", f"{tmp_path}/snapshot", "--reports-dir"]
    assert cli.main([*command, f"{tmp_path}/reports"]) == 2
    assert "give another --reports-dir" in capsys.readouterr().err
    assert cli.main(["report", "--from", f"{tmp_path}/reports/smoke"]) == 2
    assert "has no published scores" in capsys.readouterr().err


# --- Several runs in one snapshot -------------------------------------------------------------------------------------


def computed(tmp_path: Path, *names: str) -> list[str]:
    """Artefacts of the store `runs`, with nothing but where they are from."""
    for name in names:
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({"stage": name.split("/")[0]}))
        hardware = {"processor": "x86_64", "cores": 2, "gpu": None}
        origin = {"commit": f"of {name[-1]}", "hardware": hardware, "duration_s": 1800}
        (folder / "provenance.json").write_text(json.dumps(origin))
    return [*names]


def snapshot(tmp_path: Path, *options: str) -> set[str]:
    """Publish the reports, which are empty pages, and delete them with their store; returns what is published."""
    reports = tmp_path / "reports" / "smoke"
    for folder in [path for path in reports.iterdir() if path.is_dir()]:
        text = f"seeds {Record.read(folder / FILE).seed_values}"
        folder.with_name(f"{folder.name}.html").write_text(f"<html><body>{folder.name} {text}</body></html>")
    assert cli.main(["snapshot", str(reports), "--output", f"{tmp_path}/snapshot", *options]) == 0
    shutil.rmtree(tmp_path / "reports")
    shutil.rmtree(tmp_path / "runs")
    return {"/".join(file.parts[-3:-1]) for file in (tmp_path / "snapshot" / scores.SCORES).glob("*/*/config.json")}


def test_a_snapshot_adds_to_what_is_published(tmp_path, capsys):
    maps = [f"response_maps/000000000000000{i}" for i in range(5)]
    measured = {f"entropy/{name}": [np.array([float(name[-1])])] for name in maps}
    report_of(tmp_path, computed(tmp_path, maps[0], maps[1]), "21_response_maps", [100, 101])
    report_of(tmp_path, [], "51_performance")
    kept.write(tmp_path / "reports" / "smoke" / "21_response_maps" / kept.FILE, dict([*measured.items()][:2]))
    assert snapshot(tmp_path) == {*maps[:2]}

    report_of(tmp_path, computed(tmp_path, maps[2]), "21_response_maps", [102])
    kept.write(tmp_path / "reports" / "smoke" / "21_response_maps" / kept.FILE, dict([*measured.items()][2:3]))
    capsys.readouterr()
    assert snapshot(tmp_path) == {*maps[:3]}  # the page of more seeds stays, the scores of the new one are there
    assert capsys.readouterr().out.splitlines()[1:] == [
        "21_response_maps stays as published, of seeds 100-101",
        "51_performance stays as published, of 0 seeds",
    ]
    page = tmp_path / "snapshot" / "21_response_maps.html"
    assert "seeds [100, 101]" in page.read_text() and page.with_name("51_performance.html").is_file()
    index = page.with_name("index.html").read_text()
    assert 'href="21_response_maps.html"' in index and 'href="51_performance.html"' in index

    report_of(tmp_path, computed(tmp_path, *maps), "21_response_maps", range(100, 105))
    assert snapshot(tmp_path) == {*maps}
    assert "seeds [100, 101, 102, 103, 104]" in page.read_text()
    found = kept.published(tmp_path / "snapshot" / scores.SCORES, "21_response_maps")
    assert found == {name: values for name, values in measured.items() if name[-1] in "012"}
    said = json.loads((tmp_path / "snapshot" / scores.SCORES / MARK).read_text())
    assert said["commits"] == [f"of {i}" for i in range(5)] and said["hours"] == 2.5 and said["artefacts"] == 5
    assert said["hardware"] == ["2 CPU cores, x86_64"]

    report_of(tmp_path, computed(tmp_path, maps[4]), "21_response_maps", [104])
    assert snapshot(tmp_path, "--anew") == {maps[4]} and "seeds [104]" in page.read_text()
    assert not page.with_name("51_performance.html").exists()


def test_published_records_take_what_the_pages_made_again_show(tmp_path):
    root, made = tmp_path / scores.SCORES, tmp_path / "made"
    before, after = ([VerdictEntry(claim=f"said {when}", verdict="holds")] for when in ("before", "now"))
    for folder, verdicts, duration in ((root / kept.REPORTS, before, 60), (made, after, 1)):
        record = Record(notebook="21_maps", state="done", verdicts=verdicts, duration_s=duration)
        record.write(folder / "21_maps" / FILE)
    scores.take_shown(made, root)
    (record,) = scores.records(root)
    assert (record.verdicts, record.duration_s) == (after, 60)


def test_scores_stay_where_the_pages_cannot_be_written(tmp_path, monkeypatch, capsys):
    maps = [f"response_maps/000000000000000{i}" for i in range(2)]
    report_of(tmp_path, computed(tmp_path, maps[0]), "21_response_maps", [100])
    before = snapshot(tmp_path)
    report_of(tmp_path, computed(tmp_path, maps[1]), "21_response_maps", [101])
    (tmp_path / "reports" / "smoke" / "21_response_maps.html").write_text("<html><body>page</body></html>")

    def too_large(*_):
        raise ValueError("21_response_maps is too large")

    monkeypatch.setattr(copies, "write", too_large)
    for option in ([], ["--anew"]):
        command = ["snapshot", str(tmp_path / "reports" / "smoke"), "--output", f"{tmp_path}/snapshot", *option]
        assert cli.main(command) == 2
        files = (tmp_path / "snapshot" / scores.SCORES).glob("*/*/config.json")
        assert {"/".join(file.parts[-3:-1]) for file in files} == before
    assert "21_response_maps" in capsys.readouterr().err


def test_a_report_without_a_kind_of_artefact_does_not_replace_one_that_has_it():
    def of(seeds, *kinds):
        return Record(notebook="x", seed_values=seeds, artefacts={f"{kind}/{seeds}": Artefact() for kind in kinds})

    whole = of([0, 1], "response_maps", "refined_maps")
    assert scores.shows_more(whole, of([0, 1, 2], "response_maps"))  # made without the dense CRF
    assert scores.shows_more(whole, of([1, 2], "response_maps", "refined_maps"))
    assert not scores.shows_more(whole, of([0, 1], "response_maps", "refined_maps", "segmentation"))


def test_results_of_different_data_do_not_go_together(tmp_path, of_photographs):
    root, stage = of_photographs
    publish(tmp_path, root, f"data/{stage.key}")
    other = make_voc(tmp_path / "others", n=5)
    for split in ("trainaug", "train"):
        write_split(other, split, [f"2000_{i:06d}" for i in range(4)])
    another = data.stage(SMOKE, Machine(data_root=str(other), device="cpu"))
    engine.run([another], Store(tmp_path / "runs"))
    with pytest.raises(ValueError, match=r"results of different data do not go together \(data/\w+, data/\w+\)"):
        publish(tmp_path, other, f"data/{another.key}")


# --- Whether the numbers are those that are published -----------------------------------------------------------------


@pytest.mark.parametrize(("text", "status"), [("47.1", 0), ("47.2", 1)])
def test_a_number_that_differs_is_named_and_fails(tmp_path, monkeypatch, capsys, text, status):
    def made(jobs, **_):
        for job in jobs:
            numbers = [NumberEntry(label="mIoU", text=text), NumberEntry(label="mAP", text="80.0")]
            Record(notebook=job.name, state="done", key_numbers=numbers).write(job.exports / FILE)
        return [driver.Outcome(job, "done", 1.0) for job in jobs]

    report = report_of(tmp_path, []) / "01_data" / FILE
    record = Record.read(report)
    record.key_numbers = [NumberEntry(label=label, text="47.1") for label in ("mIoU", "of an image")]
    record.write(report)
    scores.write(report.parents[1], tmp_path / "snapshot" / scores.SCORES)
    monkeypatch.setattr(driver, "make", made)
    assert cli.main(["report", "--from", f"{tmp_path}/snapshot", "--reports-dir", f"{tmp_path}/again"]) == status
    said = capsys.readouterr().out
    assert f"{1 - status} of 2 as published, 1 left out" in said
    assert ("mIoU: published 47.1, here 47.2" in said) == (status == 1)


def test_a_report_that_read_no_data_is_made_again_beside_those_of_a_folder(tmp_path: Path) -> None:
    root = tmp_path / published.SCORES
    for name, read in (("51_performance", {}), ("01_data", {"data/0123": Artefact()})):
        folder = root / kept.REPORTS / name
        folder.mkdir(parents=True)
        Record(notebook=name, parameters={"data_root": "photographs"}, artefacts=read).write(folder / FILE)
    (root / MARK).touch()
    notebooks = settings.project.NOTEBOOKS
    made = scores.jobs(tmp_path, notebooks, tmp_path / "reports")
    assert {Path(job.parameters["data_root"]).parent for job in made} == {root / "data" / "0123"}
