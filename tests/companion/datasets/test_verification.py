"""`thesis data check` says everything that is wrong with a folder at once, and the commands end as they should."""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from archive_server import describe
from small_voc import SIZE, TRAINAUG, benchmark_of, error_of, voc, write_sources
from voc_folder import make_voc, write_annotation, write_indices, write_split

from companion.cli import data as cli_data
from companion.datasets.verification import check_folder
from companion.datasets.voc2012.prepare import prepare
from companion.datasets.voc2012.protocol import Benchmark
from companion.pipeline.workers import share
from thesislib.data.voc import read_ids


@pytest.fixture
def benchmark() -> Benchmark:
    return benchmark_of(describe("a.tar", b""), describe("b.tgz", b""))


@pytest.fixture
def root(tmp_path) -> Path:
    write_sources(tmp_path)
    return tmp_path


# ---- thesis data check


@pytest.fixture
def own(tmp_path) -> Path:
    """Sound data of one's own: 80 images in trainaug, of which 4 are train; 4 others are val."""
    folder = make_voc(tmp_path, n=84, classes=("kite", "crab"))
    names = read_ids(folder, "train")
    for split, ids in (("trainaug", names[:80]), ("train", names[:4]), ("val", names[80:])):
        write_split(folder, split, ids)
    return folder


def test_sound_data_of_ones_own(own):
    assert check_folder(own) == ([], [], {"trainaug": 80, "train": 4, "val": 4, "test": 1})


def damage(folder: Path) -> list[str]:
    """Spoil images 5.. of `trainaug`; the words that must be said about each."""
    names = read_ids(folder, "trainaug")
    image, mask, annotation = (
        lambda i, sub=sub, suffix=suffix: folder / sub / f"{names[i]}{suffix}"
        for sub, suffix in (("JPEGImages", ".jpg"), ("SegmentationClass", ".png"), ("Annotations", ".xml"))
    )
    image(5).unlink()
    image(6).write_bytes(image(6).read_bytes()[:-200])
    image(7).write_bytes(b"")
    write_indices(mask(8), np.zeros((5, 6), np.uint8))
    write_indices(mask(9), np.full((24, 32), 3, np.uint8))
    write_annotation(folder, names[10], ["head"])
    annotation(11).unlink()
    annotation(12).write_text("<annotation>")
    mask(70).write_bytes(mask(70).read_bytes()[:-40])
    write_split(folder, "train", [*names[:4], "ghost"])
    (folder / "ImageSets/Segmentation/val.txt").write_text("")
    return [
        f"missing in JPEGImages: copy the image, or take its name out of the list: {names[5]}",
        f"cannot read image {image(6)}: image file is truncated",
        f"cannot read image {image(7)}",
        f"{names[8]}.png (5, 6) for (24, 32)",
        f"mask values other than 0..2 and 255: store class indices: {names[9]}.png has 3",
        f"without a known class (kite, crab, ...; other names need a classes.txt): {names[10]}.xml has head",
        f"missing in Annotations: copy the annotation; image labels come from it: {names[11]}",
        f"cannot read annotation {annotation(12)}",
        f"cannot read mask {mask(70)}",
        "JPEGImages: copy the image, or take its name out of the list: ghost",
        "val.txt lists no image",
    ]


def test_everything_that_is_wrong_is_said_at_once(own):
    expected = damage(own)
    report = check_folder(own)
    text = "\n".join(report.problems)
    assert [words for words in expected if words not in text] == []
    assert report.images == {"trainaug": 80, "train": 5, "test": 1}
    assert "(9 in all)" in text


def test_processes_find_the_same(own, capsys):
    damage(own)
    assert check_folder(own, share=partial(share, workers=2, chunk=3), progress=True) == check_folder(own)
    assert "checking trainaug: 100%" in capsys.readouterr().err


def test_output_is_bounded(own):
    for path in (own / "JPEGImages").glob("2*"):
        path.write_bytes(b"")
    text = "\n".join(check_folder(own, listed=3).problems)
    assert "80 unreadable" in text and "and 77 more" in text
    assert text.count("cannot read image") == 3 * 3


def test_notes_on_data_of_ones_own(own):
    for name in read_ids(own, "val")[1:]:
        (own / "SegmentationClass" / f"{name}.png").unlink()
    write_split(own, "trainaug", [*read_ids(own, "trainaug"), read_ids(own, "val")[0]])
    report = check_folder(own)
    assert report.problems == []
    assert report.notes == [
        "3 of 4 images of val have no mask: no scores on val",
        "1 images of val are in trainaug too: they are trained on, scores on val mean little",
    ]


def test_missing_trainaug(own):
    (own / "ImageSets/Segmentation/trainaug.txt").unlink()
    (problem,) = check_folder(own).problems
    assert "no split 'trainaug'" in problem


def test_check_holds_the_benchmark_to_its_facts(root, benchmark):
    prepare(root, benchmark, sbd_masks=True)
    assert check_folder(root, benchmark).problems == []
    write_split(voc(root), "val", ["d"])
    write_annotation(voc(root), "g", ["cat"])
    write_indices(voc(root) / "SegmentationClassAug" / "h.png", np.full(SIZE, 99, np.uint8))
    (voc(root) / "SegmentationClass" / "a.png").unlink()
    text = "\n".join(check_folder(root, benchmark).problems)
    for words in ("list val has 1 images, expected 2", "h.png has 99", "missing in SegmentationClass"):
        assert words in text
    (voc(root) / "SegmentationClassAug" / "h.png").unlink()
    assert "cat 4 (expected 3)" in "\n".join(check_folder(root, benchmark).problems)


def test_folder_without_a_list_of_the_benchmark_is_ones_own(root):
    write_split(voc(root), "trainaug", TRAINAUG)
    report = check_folder(root)
    assert report.problems == []
    assert "neither train nor val is the list of PASCAL VOC 2012: taken as data of your own" in report.notes


# ---- the command


def thesis(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    cli_data.add_commands(parser.add_subparsers(required=True))
    options = parser.parse_args([*map(str, arguments), "--workers", "0"])
    return options.command(options)


def test_own_data_are_prepared_by_verifying_them(own, capsys):
    before = sorted((path, path.stat().st_mtime_ns) for path in own.rglob("*"))
    assert thesis("data", "prepare", "own", "--root", own) == 0
    assert "trainaug 80, train 4, val 4, test 1 images, all sound" in capsys.readouterr().out
    (own / "JPEGImages" / f"{read_ids(own, 'val')[0]}.jpg").write_bytes(b"no")
    assert thesis("data", "prepare", "own", "--root", own) == 1
    assert f"{read_ids(own, 'val')[0]}.jpg" in capsys.readouterr().out
    with pytest.raises(ValueError, match="--download and --sbd-masks are for voc2012"):
        thesis("data", "prepare", "own", "--root", own, "--download")
    assert [path for path, _ in before] == sorted(own.rglob("*"))


def test_commands(root, benchmark, monkeypatch, capsys):
    monkeypatch.setitem(cli_data.BENCHMARKS, "voc2012", benchmark)
    assert thesis("data", "prepare", "voc2012", "--root", root, "--sbd-masks") == 0
    shown = capsys.readouterr().out
    assert "trainaug.txt: listed 7 images\n" in shown
    assert "note: no split test" in shown
    assert "is small VOC as the thesis uses it: trainaug 7, train 3, val 2 images" in shown
    assert thesis("data", "prepare", "voc2012", "--root", root) == 0
    assert "nothing to do\n" in capsys.readouterr().out
    assert thesis("data", "check", "--root", root) == 0
    assert "trainaug 7, train 3, val 2 images, all sound" in capsys.readouterr().out
    (voc(root) / "JPEGImages" / "g.jpg").write_bytes(b"no")
    assert thesis("data", "check", "--root", root) == 1
    assert "g.jpg" in capsys.readouterr().out


def test_folder_that_cannot_be_used_is_bad_input(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "nowhere", tmp_path / "file", tmp_path):
        assert str(root) in error_of(thesis, "data", "check", "--root", root)
    assert str(tmp_path / "file") in error_of(
        thesis, "data", "prepare", "voc2012", "--download", "--root", tmp_path / "file"
    )
