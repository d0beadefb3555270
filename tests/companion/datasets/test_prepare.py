"""VOC 2012 made ready at a small scale: the same code with other facts, archives made here, a server on loopback."""

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from archive_server import Server, describe
from PIL import Image
from scipy.io import savemat
from small_voc import (
    SBD_TGZ,
    TRAIN,
    TRAINAUG,
    VOC_TAR,
    archives,
    benchmark_of,
    error_of,
    sbd_mask,
    state,
    voc,
    write_mat,
    write_sources,
)
from voc_folder import make_voc, write_annotation, write_split

from companion.datasets import fingerprints
from companion.datasets.verification import check_folder
from companion.datasets.voc2012.prepare import prepare
from companion.datasets.voc2012.protocol import VOC2012, Benchmark, supervision_masks
from companion.datasets.voc2012.sbd import read_sbd_mask
from companion.pipeline.workers import share
from thesislib.data.voc import VOC_CLASSES, DataError, VocDataset, palette, read_ids, read_mask


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> dict[str, bytes]:
    return archives(tmp_path_factory.mktemp("sources"))


@pytest.fixture
def benchmark(packed) -> Benchmark:
    return benchmark_of(*(describe(name, packed[name]) for name in (VOC_TAR, SBD_TGZ)))


@pytest.fixture
def root(tmp_path) -> Path:
    """Both data sets extracted, as if by hand."""
    write_sources(tmp_path)
    return tmp_path


# ---- what prepare makes


def test_download_and_a_second_time_nothing(packed, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    root = tmp_path / "new"
    with Server() as server:
        archives = [server.archive(name, packed[name]) for name in (VOC_TAR, SBD_TGZ)]
        server.cuts = [1000]
        benchmark = benchmark_of(*archives)
        first = prepare(root, benchmark, download=True, sbd_masks=True)
        assert first.folder == voc(root)
        assert [line.split(":")[0] for line in first.done] == [
            *(VOC_TAR, VOC_TAR, SBD_TGZ, SBD_TGZ, "trainaug.txt", "SegmentationClassAug")
        ]
        assert len(server.requests) == 3
        before = state(root)
        assert prepare(root, benchmark, download=True, sbd_masks=True).done == []
        assert len(server.requests) == 3
    assert state(root) == before
    assert list(read_ids(voc(root), "trainaug")) == TRAINAUG
    assert not (root / "benchmark_RELEASE/dataset/img").exists()
    assert "account" in first.notes[0]
    assert check_folder(root, benchmark).problems == []


def test_archives_in_the_folder_are_taken(packed, benchmark, tmp_path):
    for name, content in packed.items():
        (tmp_path / name).write_bytes(content)
    done = prepare(tmp_path, benchmark).done
    assert done[-1] == "trainaug.txt: listed 7 images"
    assert not (tmp_path / "benchmark_RELEASE/dataset/cls").exists()
    assert prepare(tmp_path, benchmark, sbd_masks=True).done[0].startswith(f"{SBD_TGZ}: extracted 9 files")


def test_wrong_archive_in_the_folder_is_left_alone(packed, benchmark, tmp_path):
    (tmp_path / VOC_TAR).write_bytes(packed[VOC_TAR][:-1])
    (tmp_path / SBD_TGZ).write_bytes(packed[SBD_TGZ])
    before = state(tmp_path)
    assert f"expected {benchmark.voc.md5}: it is incomplete" in error_of(prepare, tmp_path, benchmark, download=True)
    assert state(tmp_path) == before


@pytest.mark.parametrize("place", ["benchmark_RELEASE/dataset", "SBD", "sbd", "."])
@pytest.mark.parametrize("given", [".", "VOCdevkit"])
def test_extracted_folders_are_enough(root, benchmark, place, given):
    lists = root / given / place
    lists.parent.mkdir(parents=True, exist_ok=True)
    if lists != root / "benchmark_RELEASE/dataset":
        shutil.copytree(root / "benchmark_RELEASE/dataset", lists, dirs_exist_ok=True)
        shutil.rmtree(root / "benchmark_RELEASE")
    assert prepare(root / given, benchmark).done == ["trainaug.txt: listed 7 images"]
    assert list(read_ids(voc(root), "trainaug")) == TRAINAUG


def test_sbd_is_not_needed_where_the_list_is_there(root, benchmark):
    shutil.rmtree(root / "benchmark_RELEASE")
    write_split(voc(root), "trainaug", TRAINAUG[::-1])  # the order is nobody's concern
    before = state(root)
    assert prepare(root, benchmark).done == []
    assert state(root) == before
    assert SBD_TGZ in error_of(prepare, root, benchmark, sbd_masks=True)


@pytest.mark.parametrize("workers", [0, 2])
def test_masks_of_sbd_stand_in_for_voc_in_a_folder_of_their_own(root, benchmark, workers):
    before = {p.name: p.read_bytes() for p in (voc(root) / "SegmentationClass").iterdir()}
    prepare(root, benchmark, sbd_masks=True, share=partial(share, workers=workers))
    made = voc(root) / "SegmentationClassAug"
    assert sorted(p.name for p in made.iterdir()) == [f"{name}.png" for name in TRAINAUG]
    for name in TRAINAUG:
        path = made / f"{name}.png"
        if name in TRAIN:  # c has a mask in SBD as well
            assert path.read_bytes() == before[path.name]
        else:
            np.testing.assert_array_equal(read_mask(path), sbd_mask(name))
            with Image.open(path) as image:
                assert image.mode == "P"
                np.testing.assert_array_equal(np.reshape(image.getpalette(), (-1, 3)), palette())
    assert {p.name: p.read_bytes() for p in (voc(root) / "SegmentationClass").iterdir()} == before
    images = VocDataset(root, "trainaug")
    assert supervision_masks(images) == [made / f"{name}.png" for name in TRAINAUG]
    assert [images.mask_path(i).is_file() for i in range(len(images))] == [name in TRAIN for name in TRAINAUG]


def test_masks_that_were_not_made_yet_are_made(root, benchmark):
    prepare(root, benchmark)
    known = fingerprints.fingerprint(root, ["trainaug"])
    assert fingerprints.masks_fingerprint(VocDataset(root, "trainaug")) == ""
    prepare(root, benchmark, sbd_masks=True)
    assert fingerprints.fingerprint(root, ["trainaug"]) == known
    before = state(root)
    images = VocDataset(root, "trainaug")
    whole = fingerprints.masks_fingerprint(images)
    (voc(root) / "SegmentationClassAug" / "g.png").unlink()
    assert fingerprints.masks_fingerprint(images) not in (whole, "")
    assert supervision_masks(images)[4] == images.mask_path(4)
    lacking = "SegmentationClassAug lacks 1 masks of trainaug: prepare again with --sbd-masks"
    assert lacking in check_folder(root, benchmark).notes
    assert prepare(root, benchmark, sbd_masks=True).done == [
        "SegmentationClassAug: wrote 1 masks, VOC's where it has them, else SBD's"
    ]
    assert sum(state(root)[path] != before[path] for path in before) == 2  # the mask and its folder
    assert fingerprints.masks_fingerprint(images) == whole


# ---- what prepare refuses


def test_missing_pieces_are_all_named_and_nothing_is_made(benchmark, tmp_path):
    (tmp_path / "holiday").mkdir()
    message = error_of(prepare, tmp_path, benchmark, sbd_masks=True)
    for archive in (benchmark.voc, benchmark.sbd):
        assert f"- {archive.filename}" in message
        assert archive.md5 in message
        assert archive.urls[0] in message
    assert "--download" in message
    assert "by hand and put them into" in message
    assert "found holiday" in message
    assert [p.name for p in tmp_path.iterdir()] == ["holiday"]
    assert "no folder" in error_of(prepare, tmp_path / "nowhere", benchmark)


def test_missing_sbd_alone(root, benchmark):
    shutil.rmtree(root / "benchmark_RELEASE")
    message = error_of(prepare, root, benchmark)
    assert SBD_TGZ in message and VOC_TAR not in message


def test_lists_of_voc_that_are_gone(root, benchmark):
    (voc(root) / "ImageSets/Segmentation/val.txt").unlink()
    message = error_of(prepare, root, benchmark)
    assert f"- {VOC_TAR}" in message and "lacks the list train or val" in message


def test_own_data_are_refused(benchmark, tmp_path):
    own = make_voc(tmp_path, classes=("kite", "crab"))
    before = state(tmp_path)
    message = error_of(prepare, tmp_path, benchmark, download=True)
    assert "has a classes.txt: these are data of your own" in message and "`thesis data prepare own`" in message
    (own / "classes.txt").unlink()  # classes with VOC's names need none
    for name in read_ids(own, "train"):
        write_annotation(own, name, ["cat"])
    write_split(own, "trainaug", read_ids(own, "train"))
    message = error_of(prepare, tmp_path, benchmark)
    assert "is not small VOC as the thesis uses it" in message and "`thesis data check`" in message
    assert set(state(tmp_path)) == set(before) - {str(own / "classes.txt")} | {
        str(own / "ImageSets/Segmentation/trainaug.txt")
    }


@pytest.mark.parametrize(
    ("split", "ids", "words"),
    [
        ("train", "ab", "list train has 2 images, expected 3"),
        ("val", "df", "list val has 2 images as expected, but not the same ones ("),
        ("train", "abca", "listed more than once in the split: remove the repetition: a"),
    ],
)
def test_other_lists(root, benchmark, split, ids, words):
    write_split(voc(root), split, list(ids))
    assert words in error_of(prepare, root, benchmark)
    assert not (voc(root) / "ImageSets/Segmentation/trainaug.txt").exists()


def test_everything_that_differs_is_in_one_error(root, benchmark):
    write_split(voc(root), "train", list("ab"))
    write_annotation(voc(root), "e", ["person", "cat"])
    (voc(root) / "JPEGImages" / "b.jpg").unlink()
    (voc(root) / "SegmentationClass" / "a.png").unlink()
    message = error_of(prepare, root, benchmark)
    assert "list train has 2 images" in message
    assert "1 missing in JPEGImages" in message
    assert "1 missing in SegmentationClass" in message
    assert "images per class of val by the annotations: person 1 (expected 0)" in message


def test_other_labels_of_trainaug(root, benchmark):
    write_annotation(voc(root), "g", ["cat"])
    message = error_of(prepare, root, benchmark)
    assert "images per class of trainaug by the annotations: cat 4 (expected 3), person 1 (expected 2)" in message


def test_other_trainaug_is_compared_image_by_image_and_kept(root, benchmark):
    write_split(voc(root), "trainaug", list("abcfgde"))
    message = error_of(prepare, root, benchmark)
    assert "list trainaug has 7 images as expected, but not the same ones" in message
    assert "2 images that are not listed (h, i) and without 2 that are (d, e). Delete trainaug.txt" in message
    assert list(read_ids(voc(root), "trainaug")) == list("abcfgde")


def test_other_lists_of_sbd(root, benchmark):
    (root / "benchmark_RELEASE/dataset/train.txt").write_text("c\nf\n")
    message = error_of(prepare, root, benchmark)
    assert "list trainaug has 6 images, expected 7" in message
    assert "train has 2 images, expected 4; val has 3 images, expected 3" in message
    assert not (voc(root) / "ImageSets/Segmentation/trainaug.txt").exists()


def test_masks_of_sbd_that_do_not_fit(root, benchmark):
    cls = root / "benchmark_RELEASE/dataset/cls"
    write_mat(cls / "f.mat", np.zeros((30, 20), np.uint8))
    (cls / "g.mat").unlink()
    message = error_of(prepare, root, benchmark, sbd_masks=True)
    assert "2 of 7 masks cannot be made: SBD's mask of f has (height, width) (30, 20), its image (20, 30); " in message
    assert "g.mat" in message
    assert len(list((voc(root) / "SegmentationClassAug").iterdir())) == 5


def test_files_that_are_no_mask_of_sbd(tmp_path):
    path = tmp_path / "a.mat"
    write_mat(path, sbd_mask("c"))
    np.testing.assert_array_equal(read_sbd_mask(path), sbd_mask("c"))
    for content in ({"GTinst": 1}, {"GTcls": 1}, {"GTcls": "text"}, {"GTcls": []}, {"GTcls": {"Boundaries": 1}}):
        savemat(path, content)
        assert f"{path} holds no mask of SBD; expected GTcls.Segmentation" in error_of(read_sbd_mask, path)
    for mask in (np.full((4, 5), 21, np.uint8), np.zeros((4, 5), np.int16), np.zeros((4, 5, 3), np.uint8), "text"):
        savemat(path, {"GTcls": {"Segmentation": mask}})
        assert "; expected " in error_of(read_sbd_mask, path)
    for content in (b"", b"text" * 99, b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM", path.read_bytes()[:150]):
        path.write_bytes(content)
        assert f"cannot read SBD's mask {path}" in error_of(read_sbd_mask, path)


@pytest.mark.parametrize("compressed", [False, True])
def test_files_of_sbd_that_were_cut_anywhere(tmp_path, compressed):
    path = tmp_path / "a.mat"
    savemat(path, {"GTcls": {"Segmentation": sbd_mask("c")}}, do_compression=compressed)
    whole = path.read_bytes()
    np.testing.assert_array_equal(read_sbd_mask(path), sbd_mask("c"))
    for length in range(0, len(whole), 3):
        path.write_bytes(whole[:length])
        assert str(path) in error_of(read_sbd_mask, path)


@pytest.mark.parametrize("compressed", [False, True])
def test_files_of_sbd_with_bits_turned_over_end_in_an_error_or_a_mask(tmp_path, compressed):
    """With such files scipy's reader ran for ever, or ended the process (SIGBUS)."""
    path, rng = tmp_path / "a.mat", np.random.default_rng(0)
    savemat(path, {"GTcls": {"Boundaries": np.eye(3), "Segmentation": sbd_mask("c")}}, do_compression=compressed)
    whole, refused = np.frombuffer(path.read_bytes(), np.uint8), 0
    for _ in range(400):
        damaged = whole.copy()
        damaged[rng.integers(0, whole.size, 4)] ^= 1 << rng.integers(0, 8, 4).astype(np.uint8)
        path.write_bytes(damaged.tobytes())
        try:
            assert read_sbd_mask(path).ndim == 2
        except DataError as error:
            refused += 1
            assert str(path) in str(error)
    assert refused > 0


# ---- what the thesis uses


def test_facts_add_up():
    counts = {split: known.images for split, known in VOC2012.splits.items()}
    assert counts == {"trainaug": 10582, "train": 1464, "val": 1449, "test": 1456}
    labels = {split: sum(known.per_class) for split, known in VOC2012.splits.items()}
    assert labels == {"trainaug": 16458, "train": 2171, "val": 2147, "test": 0}
    person = VOC_CLASSES.index("person")
    assert [VOC2012.splits[split].per_class[person] for split in ("trainaug", "train", "val")] == [4155, 442, 445]
    assert sum(VOC2012.sbd_images.values()) == 11355
    assert all(len(known.checksum) == 64 for known in VOC2012.splits.values())


def test_archives_are_those_of_torchvision():
    from torchvision.datasets import SBDataset
    from torchvision.datasets.voc import DATASET_YEAR_DICT

    known = DATASET_YEAR_DICT["2012"]
    assert (VOC2012.voc.filename, VOC2012.voc.md5) == (known["filename"], known["md5"])
    assert (VOC2012.sbd.filename, VOC2012.sbd.md5) == (SBDataset.filename, SBDataset.md5)
    assert SBDataset.url in VOC2012.sbd.urls


def test_data_are_prepared_without_torch():
    modules = "companion.datasets.voc2012.prepare, companion.datasets.verification"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
