"""The archive for the test server: what is in it, and that nothing is written while anything is wrong."""

import hashlib
import json
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from places import ROOT
from voc_folder import make_voc, write_indices, write_split

from companion.cli import main as cli
from companion.datasets.voc2012.protocol import SplitFacts
from companion.exchange import submission
from companion.settings import load, parse_override
from thesislib.data.voc import DataError, VocDataset, read_mask, write_mask

README = (ROOT / "README.md").read_text()
SIZES = {"test_0": (24, 32), "2008_000006": (20, 30), "2009_000011": (33, 21)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = make_voc(tmp_path / "data")
    for name, (height, width) in SIZES.items():
        Image.new("RGB", (width, height)).save(root / "JPEGImages" / f"{name}.jpg")
    write_split(root, "test", list(SIZES))
    return root


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    folder, rng = tmp_path / "predictions", np.random.default_rng(0)
    folder.mkdir()
    for name, size in SIZES.items():
        write_mask(folder / f"{name}.png", rng.integers(0, 21, size, np.uint8))
    return folder


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tar.gz"])
@pytest.mark.parametrize("comp", ["comp5", "comp6"])
def test_the_archive_has_the_layout_of_the_server(ending, comp, root, predictions, tmp_path, capsys) -> None:
    archive = tmp_path / "out" / f"results{ending}"
    assert cli.main(["submit", str(predictions), "--root", str(root), "--output", str(archive), "--comp", comp]) == 0
    assert f"3 predictions for {comp}" in capsys.readouterr().out
    shutil.unpack_archive(archive, tmp_path / "unpacked", filter=None if ending == ".zip" else "data")
    files = sorted(path for path in (tmp_path / "unpacked").rglob("*") if path.is_file())
    folder = tmp_path / "unpacked" / "results" / "VOC2012" / "Segmentation" / f"{comp}_test_cls"
    assert files == sorted(folder / f"{name}.png" for name in SIZES)
    for path in files:
        with Image.open(path) as image:
            assert image.format == "PNG" and image.mode == "P" and image.size[::-1] == SIZES[path.stem]
            assert image.getpalette()[3 * 15 : 3 * 16] == [192, 128, 128]
            assert (np.array(image) == read_mask(predictions / path.name)).all()
    assert list(archive.parent.iterdir()) == [archive]


def test_every_deviation_is_listed_and_nothing_is_written(root, predictions, tmp_path) -> None:
    ids = ["a", "b", "c", "d", "e", "f", *SIZES]
    for name in ids[:6]:
        Image.new("RGB", (8, 6)).save(root / "JPEGImages" / f"{name}.jpg")
    write_split(root, "test", ids)
    (predictions / "test_0.png").unlink()
    write_mask(predictions / "other.png", np.zeros((6, 8), np.uint8))
    (predictions / "notes.txt").touch()
    write_mask(predictions / "a.png", np.zeros((8, 6), np.uint8))
    Image.new("L", (8, 6)).save(predictions / "b.png")
    write_mask(predictions / "c.png", np.full((6, 8), 21, np.uint8))
    write_mask(predictions / "d.png", np.full((6, 8), 255, np.uint8))
    write_indices(predictions / "e.png", np.zeros((6, 8), np.uint8))
    few_colours = Image.new("P", (8, 6))
    few_colours.putpalette([0, 0, 0, 128, 0, 0])
    few_colours.save(predictions / "f.png")  # 1 bit a pixel
    archive = tmp_path / "results.zip"
    archive.write_bytes(b"an earlier one")
    with pytest.raises(DataError) as caught:
        submission.write_submission(predictions, archive, VocDataset(root, "test"), progress=False)
    lines = str(caught.value).splitlines()[1:]
    assert set(lines) == {
        "- is missing: test_0.png",
        "- is not in the test list: notes.txt, other.png",
        "- has 8 x 6 pixels (height x width) instead of 6 x 8: a.png",
        "- is not an 8-bit indexed PNG (PIL mode 'L'): b.png",
        "- has values outside 0 to 20: 21: c.png",
        "- has values outside 0 to 20: 255: d.png",
        "- has another palette than VOC's: e.png",
        "- is not an 8-bit indexed PNG (PIL mode 'P'): f.png",
    }
    assert archive.read_bytes() == b"an earlier one"


def test_a_run_of_the_store_is_recognised_with_other_splits_beside(root, predictions, tmp_path) -> None:
    run = tmp_path / "segmentation" / "0123456789abcdef"
    shutil.copytree(predictions, run / "crf")
    shutil.copytree(predictions, run / "plain")
    write_mask(run / "plain" / "test_0.png", np.full(SIZES["test_0"], 7, np.uint8))
    (run / "config.json").write_text(json.dumps({"segmentation": {"splits": ["val", "test"]}}))
    for part in ("crf", "plain"):
        for name in VocDataset(root, "val").ids:
            write_mask(run / part / f"{name}.png", np.zeros((24, 32), np.uint8))
    for folder, options, part in ((run, [], "crf"), (run, ["--plain"], "plain"), (run / "plain", [], "plain")):
        archive = tmp_path / "results.zip"
        assert cli.main(["submit", str(folder), "--root", str(root), "--output", str(archive), *options]) == 0
        with zipfile.ZipFile(archive) as stored:
            assert len(stored.namelist()) == len(SIZES)
            name = "results/VOC2012/Segmentation/comp6_test_cls/test_0.png"
            assert stored.read(name) == (run / part / "test_0.png").read_bytes()
    (run / "config.json").write_text(json.dumps({"segmentation": {"splits": ["val"]}}))
    with pytest.raises(DataError, match="predictions of val alone: compute it with --set") as caught:
        submission.write_submission(run, tmp_path / "other.zip", VocDataset(root, "test"), progress=False)
    (advice,) = re.findall("--set '(.*)'", str(caught.value))
    assert f"--set '{advice}'" in README
    assert load("smoke", dict([parse_override(advice)])).segmentation.splits == ("val", "test")
    (run / "config.json").write_text(json.dumps({"segmentation": {"splits": ["val", "test"]}}))
    write_mask(run / "crf" / "unknown.png", np.zeros((24, 32), np.uint8))
    with pytest.raises(DataError, match=r"not in the test list: unknown\.png$"):
        submission.write_submission(run, tmp_path / "other.zip", VocDataset(root, "test"), progress=False)
    with pytest.raises(DataError, match="leave --plain out"):
        submission.write_submission(predictions, tmp_path / "other.zip", plain=True)


def test_without_data_the_names_must_be_those_of_the_test_list(predictions, tmp_path, monkeypatch, capsys) -> None:
    archive = tmp_path / "results.zip"
    assert cli.main(["submit", str(predictions), "--output", str(archive)]) == 2
    assert "the 3 names of the PNGs" in capsys.readouterr().err
    listed = hashlib.sha256(b"2008_000006\n2009_000011\ntest_0\n").hexdigest()
    monkeypatch.setattr(submission, "TEST", SplitFacts(3, listed))
    assert cli.main(["submit", str(predictions), "--output", str(archive)]) == 0
    assert "sizes were not compared" in capsys.readouterr().out
    write_mask(predictions / "test_0.png", np.full((2, 2), 21, np.uint8))
    with pytest.raises(DataError, match="21: test_0"):
        submission.write_submission(predictions, archive, progress=False)


@pytest.mark.parametrize("loss", ["an entry", "some bytes"])
def test_an_archive_that_reads_back_otherwise_is_not_kept(loss, root, predictions, tmp_path, monkeypatch) -> None:
    write = submission._write

    def write_badly(path, ending, files) -> None:
        last = list(files)[-1]
        changed = {} if loss == "an entry" else {last: files[last][:-20]}
        write(path, ending, {name: content for name, content in files.items() if name != last} | changed)

    monkeypatch.setattr(submission, "_write", write_badly)
    with pytest.raises(DataError, match=r"not stored as it was written \(results/.*2009_000011\.png\)"):
        submission.write_submission(predictions, tmp_path / "results.tar", VocDataset(root, "test"), progress=False)
    assert not list(tmp_path.glob("*results.tar*"))


def test_bad_input_is_refused(root, predictions, tmp_path) -> None:
    images = VocDataset(root, "test")
    with pytest.raises(ValueError, match=r"must end in one of \.zip, \.tar, \.tar\.gz"):
        submission.write_submission(predictions, tmp_path / "results.rar", images)
    with pytest.raises(DataError, match="no folder"):
        submission.write_submission(tmp_path / "nowhere", tmp_path / "results.zip", images)
    (root / "JPEGImages" / "2009_000011.jpg").unlink()
    with pytest.raises(DataError, match="missing in JPEGImages"):
        submission.write_submission(predictions, tmp_path / "results.zip", images)
