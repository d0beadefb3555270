"""Anybody's masks and maps: what is scored equals an independent count, and no stranger's file can run code."""

import errno
import json
import os
import pickletools
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import confusion_matrix
from voc_folder import make_voc, write_indices

from companion.analysis import measures
from companion.cli import main as cli
from companion.exchange import files as exchange
from companion.exchange import scoring as folder_scores
from companion.pipeline import engine
from companion.pipeline.stages import response_maps
from companion.pipeline.store import Store
from companion.settings import Machine, load
from thesislib import metrics
from thesislib.data.voc import DataError, VocDataset, palette, write_mask

SIZE = (23, 31)  # odd, so that a quarter of it is rounded
CLASSES = ("ant", "bee", "cat")
BACKGROUND = 0.3


@pytest.fixture
def images(tmp_path: Path) -> VocDataset:
    return VocDataset(make_voc(tmp_path, 6, CLASSES, SIZE), "val")


@pytest.fixture
def run(images: VocDataset, tmp_path: Path) -> Path:
    """Like a run of stage `response_maps`: un-normalised random maps of the true class and of the one after it."""
    (tmp_path / "run" / "maps").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i, name in enumerate(images.ids):
        classes = np.array(sorted({i % 3, (i + 1) % 3}), np.uint8)
        maps = rng.gamma(0.5, 3, (2, *SIZE)).astype(np.float32)
        maps[classes.tolist().index(i % 3)] += 2 * (images.mask(i) == i % 3 + 1)
        np.savez(tmp_path / "run" / "maps" / f"{name}.npz", classes=classes, maps=maps)
    return tmp_path / "run"


def _normalised(run: Path, name: str) -> dict[int, np.ndarray]:
    with np.load(run / "maps" / f"{name}.npz") as stored:
        pairs = zip(stored["classes"], stored["maps"], strict=True)
        return {int(c): of_class / (of_class.max() + np.float32(1e-5)) for c, of_class in pairs}


def _counts_by_sklearn(images: VocDataset, predictions: list[np.ndarray]) -> np.ndarray:
    truth = np.concatenate([images.mask(i).ravel() for i in range(len(images))])
    predicted = np.concatenate([prediction.ravel() for prediction in predictions])
    counts_all = range(len(images.classes) + 1)
    return confusion_matrix(truth[truth != 255], predicted[truth != 255], labels=counts_all)


def _labels(maps: dict[int, np.ndarray], background: float) -> np.ndarray:
    stacked = np.zeros((len(CLASSES) + 1, *SIZE), np.float32)
    stacked[0] = background
    for c, of_class in maps.items():
        stacked[c + 1] = of_class
    return stacked.argmax(axis=0)


# ---- what is scored


@pytest.mark.parametrize("layout", ["ours", "psa", "irn"])
def test_maps_are_scored_as_counted_pixel_by_pixel(layout, images, run, tmp_path) -> None:
    folder = run
    if layout != "ours":
        folder = tmp_path / layout
        assert exchange.export(run, layout, folder, root=images.root, progress=False) == {"response maps": 6}
    scores = folder_scores.score_folder(folder, images, background=BACKGROUND, progress=False)
    maps = [_normalised(run, name) for name in images.ids]
    for step, threshold in enumerate(metrics.THRESHOLDS):
        expected = _counts_by_sklearn(images, [_labels(each, threshold) for each in maps])
        assert (scores.counts.curve[step] == expected).all()
        if threshold == BACKGROUND:
            assert (scores.counts.fixed == expected).all()


def test_masks_are_scored_as_counted_pixel_by_pixel(images, tmp_path) -> None:
    rng = np.random.default_rng(1)
    predictions = [rng.integers(0, 3, SIZE, np.uint8) for _ in images.ids]  # the last class is never predicted
    for name, prediction in zip(images.ids, predictions, strict=True):
        write_mask(tmp_path / f"{name}.png", prediction)
    scores = folder_scores.score_folder(tmp_path, images, progress=False)
    expected = _counts_by_sklearn(images, predictions)
    found = folder_scores.as_json(scores)
    assert found["confusion"] == expected.tolist()
    hits, truth, predicted = np.diag(expected), expected.sum(1), expected.sum(0)
    iou = 100 * hits / (truth + predicted - hits)
    assert list(found["iou"].values()) == pytest.approx(iou.tolist())
    assert found["miou"] == pytest.approx(iou.mean())
    precision, recall = 100 * (hits / np.maximum(predicted, 1)).mean(), 100 * (hits / truth).mean()
    assert (found["mean_precision"], found["mean_recall"]) == pytest.approx((precision, recall))
    assert found["f_of_means"] == pytest.approx(2 * precision * recall / (precision + recall))
    assert found["mean_f1"] == pytest.approx(200 * (hits / (truth + predicted)).mean())
    assert "curve" not in found and "threshold" not in folder_scores.as_text(scores)


def test_grey_indices_are_scored_like_paletted_ones(images, tmp_path) -> None:
    for i, name in enumerate(images.ids):
        Image.fromarray(images.mask(i) % 255).save(tmp_path / f"{name}.png")
    assert folder_scores.as_json(folder_scores.score_folder(tmp_path, images, progress=False))["miou"] == 100


@pytest.mark.parametrize("table", [False, True])
def test_coloured_predictions_are_read_by_vocs_palette_or_a_table_of_theirs(images, tmp_path, table) -> None:
    colours = palette()
    if table:
        colours = np.array([(9, 9, 9), (255, 0, 0), (0, 255, 0), (0, 0, 255)])
        names = ("background", *images.classes)
        lines = [f"{name},{','.join(map(str, colour))}" for name, colour in zip(names, colours, strict=True)]
        (tmp_path / "colours.csv").write_text("\n".join(lines))
    for i, name in enumerate(images.ids):
        found = np.where(images.mask(i) == 255, 0, images.mask(i))
        Image.fromarray(colours[found].astype(np.uint8)).save(tmp_path / f"{name}.png")
    scores = folder_scores.score_folder(tmp_path, images, progress=False)
    assert (folder_scores.as_json(scores)["miou"], scores.kind) == (100, "masks of colours")
    if table:
        (tmp_path / "colours.csv").write_text("\n".join([*lines[:-1], "void,0,0,255"]))
        with pytest.raises(DataError, match=f"colours.csv lacks {images.classes[-1]}"):
            folder_scores.score_folder(tmp_path, images, progress=False)


def test_a_folder_with_results_is_scored_itself_whatever_lies_below_it(images, tmp_path) -> None:
    """Only where it has none are they those of a part, as in a run of the store."""
    below = tmp_path / "given" / "masks"
    below.mkdir(parents=True)
    for i, name in enumerate(images.ids):
        found = np.where(images.mask(i) == 255, 0, images.mask(i)).astype(np.uint8)
        write_indices(below.parent / f"{name}.PNG", found)
        write_indices(below / f"{name}.png", np.zeros(SIZE, np.uint8))

    def miou(folder: Path) -> float:
        return folder_scores.as_json(folder_scores.score_folder(folder, images, progress=False))["miou"]

    scores = [miou(folder) for folder in (below.parent, below)]
    assert scores[0] == 100 > 30 > scores[1]
    for path in below.parent.glob("*.PNG"):
        path.unlink()
    assert miou(below.parent) == scores[1]


def test_exported_maps_of_a_run_score_as_the_store_did(tmp_path) -> None:
    stage = response_maps.stage(load("smoke", {"cam.background": 0.2}), Machine(device="cpu"))
    store = Store(tmp_path / "runs")
    engine.run([stage], store)
    data = store.folder(stage.inputs["data"]) / "dataset"
    for split in ("train", "val"):
        expected = measures.read_run(store.folder(stage), split)
        for layout in ("psa", "irn"):
            folder = tmp_path / layout
            if not folder.is_dir():
                exchange.export(store.folder(stage), layout, folder, root=data, progress=False)
            found = folder_scores.score_folder(folder, VocDataset(data, split), background=0.2, progress=False)
            assert measures.fixed_miou(found.run) == measures.fixed_miou(expected)
            assert (found.counts.fixed == measures.fixed_counts(expected)).all()
            assert (found.counts.curve == expected["confusion"]).all()


@pytest.mark.slow
def test_processes_change_nothing(images, run) -> None:
    alone, together = (folder_scores.score_folder(run, images, workers=n, progress=False).counts for n in (0, 2))
    assert (alone.fixed == together.fixed).all() and (alone.curve == together.curve).all()


# ---- the layouts of psa and irn


def test_psa_gets_its_dictionary(images, run, tmp_path) -> None:
    exchange.export(run, "psa", tmp_path / "psa", progress=False)
    for name in images.ids:
        stored = np.load(tmp_path / "psa" / f"{name}.npy", allow_pickle=True).item()
        expected = _normalised(run, name)
        assert all(type(c) is int for c in stored) and stored.keys() == expected.keys()
        for c, of_class in stored.items():
            assert of_class.dtype == np.float32 and of_class.shape == SIZE
            assert (of_class == expected[c]).all()


def test_irn_gets_its_dictionary_with_maps_at_a_quarter_of_the_size(images, run, tmp_path) -> None:
    exchange.export(run, "irn", tmp_path / "irn", progress=False)
    for name in images.ids:
        stored = np.load(tmp_path / "irn" / f"{name}.npy", allow_pickle=True).item()
        expected = _normalised(run, name)
        assert stored.keys() == {"keys", "cam", "high_res"}
        assert stored["keys"].tolist() == sorted(expected) and (stored["high_res"] == list(expected.values())).all()
        # irn calls `.cuda()` of `cam` and adds 1 to `keys`, as tensors and arrays can.
        assert stored["cam"].shape == (2, 6, 8) and torch.is_tensor(stored["cam"])
        assert stored["cam"].amax(dim=(1, 2)).tolist() == pytest.approx([1, 1], abs=1e-4)
    # A cell of the small map lies between the four pixels around the middle of its 4 x 4.
    even = exchange.PresentMaps(np.array([1]), torch.rand(1, 8, 12))
    exchange.write_irn(tmp_path / "even.npy", even)
    small = np.load(tmp_path / "even.npy", allow_pickle=True).item()["cam"][0]
    centres = even.maps[0].reshape(2, 4, 3, 4)[:, 1:3, :, 1:3].mean(dim=(1, 3))
    torch.testing.assert_close(small, centres / (centres.max() + 1e-5))


@pytest.mark.parametrize("layout", ["psa", "irn"])
def test_exported_files_name_only_what_numpy_1_has_too(layout, images, run, tmp_path) -> None:
    exchange.export(run, layout, tmp_path / layout, progress=False)
    content = (tmp_path / layout / f"{images.ids[0]}.npy").read_bytes()
    pickled = content[content.index(b"\n") + 1 :]  # after NumPy's header
    modules = {argument.split()[0] for opcode, argument, _ in pickletools.genops(pickled) if opcode.name == "GLOBAL"}
    assert modules <= {"numpy", "numpy.core.multiarray", "torch._utils", "torch.storage", "collections"}


def test_files_as_psa_and_irn_themselves_store_them_are_read(tmp_path) -> None:
    maps = np.random.default_rng(0).random((2, *SIZE), np.float32)
    np.save(tmp_path / "psa.npy", {0: maps[0], 2: maps[1]}, allow_pickle=True)
    tensors = {"keys": torch.tensor([0, 2]), "cam": torch.rand(2, 6, 8), "high_res": maps}
    np.save(tmp_path / "irn.npy", tensors, allow_pickle=True)
    np.save(tmp_path / "tensor.npy", tensors | {"high_res": torch.from_numpy(maps)}, allow_pickle=True)
    np.save(tmp_path / "column.npy", {"keys": np.array([2, 0]), "high_res": np.asfortranarray(maps[::-1])})
    np.save(tmp_path / "big.npy", {np.int64(0): maps[0].astype(">f4"), 2: maps[1].astype(np.float64)})
    for path in tmp_path.glob("*.npy"):
        found = exchange.read_maps(path, 3, SIZE).numpy()
        assert (found[[0, 2]] == maps).all() and not found[1].any(), path
    np.save(tmp_path / "none.npy", {}, allow_pickle=True)
    assert exchange.read_maps(tmp_path / "none.npy", 3, SIZE).tolist() == np.zeros((3, *SIZE)).tolist()


# ---- bad input


def test_rounding_beyond_the_range_is_clipped(tmp_path) -> None:
    np.save(tmp_path / "a.npy", {3: np.array([[-1.6e-6, 0.5], [1.0000001, 0.25]], np.float32)}, allow_pickle=True)
    (found,) = exchange.read_present(tmp_path / "a.npy", 20).maps
    assert found.tolist() == [[0, 0.5], [1, 0.25]]
    for beyond in (-1e-3, 1.001):
        np.save(tmp_path / "b.npy", {3: np.array([[beyond, 0.5]], np.float32)}, allow_pickle=True)
        with pytest.raises(DataError, match=r"b\.npy: expected"):
            exchange.read_present(tmp_path / "b.npy", 20)


def test_everything_wrong_is_listed_before_anything_is_scored(images, run, monkeypatch) -> None:
    first, second, third, fourth, fifth, _ = ((run / "maps" / f"{name}.npz") for name in images.ids)
    maps = np.ones((1, *SIZE), np.float32)
    first.unlink()
    np.savez(second, classes=[0], maps=maps[:, 1:])
    np.savez(third, classes=[3], maps=maps)
    np.savez(fourth, classes=[0], maps=maps * np.nan)
    np.savez(fifth, classes=[0], scores=maps)
    monkeypatch.setattr(folder_scores, "_count", None)
    with pytest.raises(DataError) as caught:
        folder_scores.score_folder(run, images, progress=False)
    for text in (
        f"is missing: {first.name}",
        r"expected maps of numbers of shape (1, 23, 31) (classes, height, width of the image), got float32 of shape",
        "expected classes 0 to 2 (without background), got [3]",
        "expected finite maps",
        "holds classes, scores; expected the arrays classes and maps",
    ):
        assert text in str(caught.value)


def test_wrong_masks_are_listed(images, tmp_path) -> None:
    first, second, third, fourth, *rest = (tmp_path / f"{name}.png" for name in images.ids)
    write_mask(first, np.full(SIZE, 255, np.uint8))
    write_mask(second, np.zeros(SIZE[::-1], np.uint8))
    Image.new("RGB", SIZE[::-1], (1, 2, 3)).save(third)
    fourth.write_bytes(b"nothing")
    for path in rest:
        write_mask(path, np.full(SIZE, 4, np.uint8))
    with pytest.raises(DataError) as caught:
        folder_scores.score_folder(tmp_path, images, progress=False)
    for text in (
        f"has values outside 0 to 3: 255: {first.name}",
        f"has 31 x 23 pixels (height x width) instead of 23 x 31: {second.name}",
        f"has values outside 0 to 3: 255: {first.name}",
        f"(1, 2, 3) in {SIZE[0] * SIZE[1]} pixels, which is no class by VOC's palette",
        "cannot read mask",
        f"has values outside 0 to 3: 4: {', '.join(path.name for path in rest)}",
    ):
        assert text in str(caught.value)


def test_maps_that_are_not_normalised_and_other_dictionaries_are_refused(tmp_path) -> None:
    ones = np.ones(SIZE, np.float32)
    for content, message in (
        ({0: 255 * ones}, "normalised to 0..1, got values up to 255"),
        ({0: -ones}, "finite maps from 0 up"),
        ({0: ones, 1: ones[1:]}, "different sizes"),
        ({"keys": np.array([0, 0]), "high_res": np.stack([ones, ones])}, "different classes"),
        ({"keys": np.array([0]), "cam": ones[None]}, "got a dictionary with keys, cam"),
        ({20: ones}, "expected classes 0 to 19"),
    ):
        np.save(tmp_path / "a.npy", content, allow_pickle=True)
        with pytest.raises(DataError, match=message):
            exchange.read_maps(tmp_path / "a.npy", 20, SIZE)
    np.save(tmp_path / "a.npy", ones)
    with pytest.raises(DataError, match="got no dictionary"):
        exchange.read_maps(tmp_path / "a.npy", 20, SIZE)
    np.savez(tmp_path / "a.npz", classes=np.array([{}], object), maps=ones)
    with pytest.raises(DataError, match="plain arrays without pickles"):
        exchange.read_maps(tmp_path / "a.npz", 20, SIZE)


def test_folders_without_results_or_with_two_kinds_are_refused(images, run, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no result of split 'val'"):
        folder_scores.score_folder(tmp_path / "empty", images)
    write_mask(run / "maps" / f"{images.ids[0]}.png", np.zeros(SIZE, np.uint8))
    with pytest.raises(DataError, match=r"results as \.png and \.npz"):
        folder_scores.score_folder(run, images)
    with pytest.raises(ValueError, match="score from 0 to 1"):
        folder_scores.score_folder(run, images, background=15)
    with pytest.raises(DataError, match="missing in SegmentationClass"):
        folder_scores.score_folder(run, VocDataset(images.root, "test"))


# ---- the commands


def test_numbers_for_which_the_disk_has_no_space_are_not_half_there(images, run, tmp_path, capsys, monkeypatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    target = tmp_path / "scores.json"
    monkeypatch.setattr(os, "fsync", full)
    assert cli.main(["score", str(run), "--root", str(images.root), "--json", str(target)]) == 1
    assert f"thesis: no space is left where {target} is written" in capsys.readouterr().err
    assert not list(tmp_path.glob("scores*"))


def test_score_prints_a_table_and_writes_the_numbers(images, run, tmp_path, capsys) -> None:
    arguments = ["score", str(run), "--root", str(images.root), "--background", "0.3"]
    assert cli.main([*arguments, "--json", str(tmp_path / "scores.json")]) == 0
    shown = capsys.readouterr().out.splitlines()
    found = json.loads((tmp_path / "scores.json").read_text())
    assert found["curve"]["miou"][30] == found["miou"] and max(found["curve"]["miou"]) == found["oracle"]["miou"]
    table = shown[3:9]
    assert [line.split()[0] for line in table] == ["class", "background", *CLASSES, "mean"]
    assert len({len(line) for line in table}) == 1
    assert float(table[-1].split()[1]) == pytest.approx(found["miou"], abs=0.005)
    printed = [float(value) for line in shown if line[:1] == "0" for value in line.split()[1:]]
    assert printed == pytest.approx(found["curve"]["miou"], abs=0.005)
    assert shown[-1].startswith(f"oracle: {found['oracle']['miou']:.2f} at {found['oracle']['threshold']:.2f}")
    assert cli.main([*arguments, "--json", str(tmp_path / "nowhere" / "scores.json")]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_export_copies_masks_once_they_are_verified(images, tmp_path, capsys) -> None:
    masks = tmp_path / "run" / "masks"
    masks.mkdir(parents=True)
    for i, name in enumerate(images.ids):
        write_mask(masks / f"{name}.png", images.mask(i))  # pseudo-masks may have undecided pixels
    arguments = ["export", str(masks.parent), "--layout", "irn", "--root", str(images.root), "--output"]
    assert cli.main([*arguments, str(tmp_path / "out")]) == 0
    assert "6 masks for irn" in capsys.readouterr().out
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == {
        p.name: p.read_bytes() for p in masks.iterdir()
    }
    assert cli.main([*arguments, str(tmp_path / "out")]) == 2
    assert "must be a new or empty folder" in capsys.readouterr().err
    write_indices(masks / f"{images.ids[0]}.png", images.mask(0))
    assert cli.main([*arguments, str(tmp_path / "other")]) == 2
    assert f"has another palette than VOC's: {images.ids[0]}.png" in capsys.readouterr().err
    assert not (tmp_path / "other").exists() and not list(tmp_path.glob(".other*"))


def test_export_refuses_maps_of_other_images(images, run, tmp_path) -> None:
    maps = run / "maps"
    np.savez(maps / f"{images.ids[0]}.npz", classes=[0], maps=np.ones((1, 5, 5), np.float32))
    with pytest.raises(DataError, match=r"shape \(1, 23, 31\)"):
        exchange.export(run, "psa", tmp_path / "out", root=images.root, progress=False)
    (maps / f"{images.ids[0]}.npz").rename(maps / "unknown.npz")
    with pytest.raises(DataError, match="no readable image for the results of 'unknown'"):
        exchange.export(run, "psa", tmp_path / "out", root=images.root, progress=False)
    with pytest.raises(DataError, match="no response maps"):
        exchange.export(images.root, "psa", tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()
