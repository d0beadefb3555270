"""Refinement and segmentation as stages: what they store, what they refuse, and that a killed training continues."""

import dataclasses
import re
import shutil
import sys
from pathlib import Path
from typing import BinaryIO
from unittest import mock

import numpy as np
import pytest
import torch
from killed import compare_with_undisturbed
from linked_store import linked_store
from PIL import Image
from sklearn.metrics import confusion_matrix

from companion.analysis import oracle_walk
from companion.analysis.methods import SUPERVISED
from companion.cli import main as cli
from companion.experiments import row_stages
from companion.experiments.catalogue import EXPERIMENTS, experiment
from companion.pipeline import artefacts, engine
from companion.pipeline.artefacts import RefinedMaps, ResponseMaps
from companion.pipeline.stages import affinity, pseudo_masks, segmentation
from companion.pipeline.store import Job, Progress, Stage, Store
from companion.settings import CrfSettings, Machine, Settings, SettingsError, load
from thesislib.data import voc
from thesislib.data.transforms import to_tensor
from thesislib.data.voc import VocDataset, palette, write_mask
from thesislib.models.deeplab import ResNet101
from thesislib.models.weights import load_weights
from thesislib.refinement import background_score, crf, pad_to_stride, refine_maps

HERE = Machine(device="cpu")
needs_crf = pytest.mark.skipif(not crf.crf_available(), reason="pydensecrf is not installed")


def option(pseudo_mask: str) -> Settings:
    return load("smoke", {"segmentation.pseudo_mask": pseudo_mask})


class Computed:
    """Both kinds of pseudo-masks of val, and the segmentation of val, of preset smoke."""

    def __init__(self, store: Store) -> None:
        self.store, self.settings = store, option("rw_crf")
        self.masks = {kind: pseudo_masks.masks_stage(option(kind), HERE, "val") for kind in ("rw", "rw_crf")}
        self.refined = self.masks["rw"].inputs["refined_maps"]
        self.segmentation = segmentation.stage(self.settings, HERE)
        engine.run([*self.masks.values(), self.segmentation], self.store)
        self.images = VocDataset(self.store.folder(self.refined.inputs["data"]) / artefacts.DATASET, "val")

    def folder(self, stage: Stage, sub: str = "") -> Path:
        return self.store.folder(stage) / sub

    def job(self, stage: Stage, folder: Path) -> Job:
        return Job(folder, {name: self.folder(each) for name, each in stage.inputs.items()}, HERE, Progress())


@pytest.fixture(scope="module")
def computed(shared_store: Store) -> Computed:
    return Computed(shared_store)


# --- What is stored ---------------------------------------------------------------------------------------------------


@needs_crf
def test_both_kinds_of_masks_come_from_the_same_refined_maps(computed: Computed) -> None:
    assert computed.masks["rw"].key != computed.masks["rw_crf"].key
    assert computed.masks["rw"].inputs["refined_maps"].key == computed.masks["rw_crf"].inputs["refined_maps"].key


def test_predicting_other_splits_trains_nothing_anew() -> None:
    more = load("smoke", {"segmentation.splits": ("val", "test")})
    once, twice = (segmentation.stage(settings, HERE) for settings in (load("smoke"), more))
    assert once.key != twice.key and once.inputs["segmenter"].key == twice.inputs["segmenter"].key


@needs_crf
def test_later_steps_of_one_image_make_the_masks_of_the_stages(computed: Computed) -> None:
    from companion.analysis import later_steps
    from companion.drawing.image_grids import examples

    mask_stage = computed.masks["rw_crf"]
    maps = {"CAM": computed.folder(computed.refined.inputs["maps of val"])}
    trained = computed.folder(computed.refined.inputs["affinity"])
    segmenter = computed.folder(computed.segmentation.inputs["segmenter"])
    stored = {
        "random walk": computed.folder(computed.masks["rw"], artefacts.MASKS),
        "pseudo-mask": computed.folder(mask_stage, artefacts.MASKS),
        "DeepLab-v2": computed.folder(computed.segmentation, "plain"),
        "DeepLab-v2 + CRF": computed.folder(computed.segmentation, "crf"),
    }
    for i, example in enumerate(examples(computed.images, range(len(computed.images)), maps)):
        given = example.image, example.labels, example.maps["CAM"]
        found = later_steps.refined(*given, trained, computed.settings, HERE)
        assert list(found) == ["random walk", "pseudo-mask"]
        found |= later_steps.segmented(example.image, len(example.labels), segmenter, computed.settings, HERE)
        assert list(found) == list(stored)
        for step, folder in stored.items():
            expected = np.asarray(Image.open(folder / f"{computed.images.ids[i]}.png"))
            assert np.mean(found[step] == expected) > 0.999, (i, step)


@needs_crf
def test_masks_of_the_random_walk_are_the_arg_max_of_the_stored_scores(computed: Computed) -> None:
    for i, name in enumerate(computed.images.ids):
        with np.load(computed.folder(computed.refined, artefacts.REFINED) / f"{name}.npz") as stored:
            classes, scores = stored["classes"], stored["scores"]
        assert classes.tolist() == np.flatnonzero(computed.images.labels[i]).tolist()
        assert scores.shape == (len(classes) + 1, *computed.images.size(i))
        full = np.full((len(computed.images.classes) + 1, *computed.images.size(i)), -1.0)
        full[[0, *(classes + 1)]] = scores
        mask = np.asarray(Image.open(computed.folder(computed.masks["rw"], artefacts.MASKS) / f"{name}.png"))
        np.testing.assert_array_equal(mask, full.argmax(axis=0))


@needs_crf
def test_refined_scores_are_those_of_the_stored_weights_image_by_image(computed: Computed) -> None:
    chosen = computed.settings.affinity
    assert HERE.batch_pixels >= 2 * 64 * 64 and len(set(computed.images.labels.sum(axis=1))) > 1
    maps_stage = computed.refined.inputs["maps of val"]
    model = affinity.build(computed.settings.backbone)
    load_weights(model, computed.folder(computed.refined.inputs["affinity"]) / artefacts.AFFINITY_WEIGHTS)
    model.eval()
    for i, name in enumerate(computed.images.ids):
        _, maps = affinity.present_maps(computed.folder(maps_stage), name)
        with torch.no_grad():
            pairs = model(pad_to_stride(to_tensor(computed.images.image(i))[None], model.stride))[0]
        scores = background_score(maps, chosen.walk_alpha)
        expected = refine_maps(scores, pairs, stride=model.stride, beta=chosen.beta, log2_steps=chosen.log2_steps)
        stored = torch.from_numpy(RefinedMaps.read(computed.folder(computed.refined), name).scores)
        torch.testing.assert_close(stored, expected, rtol=1e-4, atol=1e-5)
        assert torch.equal(stored.argmax(0), expected.argmax(0))


def test_images_that_do_not_divide_into_cells_walk_together_as_they_walk_alone() -> None:
    settings, generator = load("smoke"), torch.Generator().manual_seed(0)
    model = affinity.build(settings.backbone, seed=1).eval()
    images = list(np.random.default_rng(0).integers(0, 256, (3, 45, 61, 3), dtype=np.uint8))
    scores = [torch.rand(rows, 45, 61, generator=generator) for rows in (2, 4, 3)]
    together = pseudo_masks.refine(model, images, scores, settings.affinity)
    for image, own, walked in zip(images, scores, together, strict=True):
        (alone,) = pseudo_masks.refine(model, [image], [own], settings.affinity)
        assert walked.shape == own.shape
        torch.testing.assert_close(walked, alone)
        assert torch.equal(walked.argmax(0), alone.argmax(0))


@needs_crf
def test_a_half_finished_folder_continues_with_another_batch_size(computed: Computed, tmp_path: Path) -> None:
    stage = pseudo_masks.refined_stage(computed.settings, Machine(device="cpu", batch_pixels=3 * 64 * 64), ("val",))
    assert [each.key for each in stage.upstream()] == [each.key for each in computed.refined.upstream()]
    whole, folder = computed.folder(computed.refined, artefacts.REFINED), tmp_path / artefacts.REFINED
    shutil.copytree(whole, folder)
    kept, *missing = sorted(folder.iterdir())
    for path in missing:
        path.unlink()
    kept.write_bytes(kept.read_bytes() + b"as it was")
    stage.compute(dataclasses.replace(computed.job(stage, tmp_path), machine=stage.machine), **stage.settings)
    assert kept.read_bytes().endswith(b"as it was")
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in whole.iterdir())
    for path in missing:
        with np.load(path) as continued, np.load(whole / path.name) as stored:
            np.testing.assert_array_equal(continued["classes"], stored["classes"])
            np.testing.assert_allclose(continued["scores"], stored["scores"], rtol=1e-4, atol=1e-5)


@needs_crf
def test_a_batch_cut_while_its_files_are_written_ends_with_the_same_bits(computed: Computed, tmp_path: Path) -> None:
    """In a smaller batch of what is lacking, the network rounds otherwise."""
    whole, folder = computed.folder(computed.refined, artefacts.REFINED), tmp_path / artefacts.REFINED
    shutil.copytree(whole, folder)
    lacking = sorted(folder.iterdir())[3:6]
    for path in lacking:
        path.unlink()
    computed.refined.compute(computed.job(computed.refined, tmp_path), **computed.refined.settings)
    assert [path.read_bytes() for path in lacking] == [(whole / path.name).read_bytes() for path in lacking]


@needs_crf
def test_full_gpu_memory_names_the_batch_size_of_the_walk(
    computed: Computed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(pseudo_masks, "refine", full)
    with pytest.raises(MemoryError, match="lower THESIS_BATCH_PIXELS"):
        computed.refined.compute(computed.job(computed.refined, tmp_path), **computed.refined.settings)


@needs_crf
@pytest.mark.parametrize("kind", ["rw", "rw_crf", *artefacts.SEGMENTATIONS])
def test_masks_are_paletted_and_scored_as_scikit_learn_does(computed: Computed, kind: str) -> None:
    own = kind in computed.masks
    stage = computed.masks[kind] if own else computed.segmentation
    counts = np.load(computed.folder(stage) / artefacts.SCORES)[
        "val/image_confusion" if own else f"val/{kind}/image_confusion"
    ]
    classes = len(computed.images.classes) + 1
    for i, name in enumerate(computed.images.ids):
        with Image.open(computed.folder(stage, artefacts.MASKS if own else kind) / f"{name}.png") as image:
            assert image.mode == "P"
            assert image.getpalette()[: 3 * classes] == palette()[:classes].ravel().tolist()
            mask = np.asarray(image)
        truth = computed.images.mask(i)
        assert mask.shape == truth.shape
        expected = confusion_matrix(truth[truth != 255], mask[truth != 255], labels=range(classes))
        np.testing.assert_array_equal(counts[i], expected)
        if own:
            assert set(np.unique(mask)) <= {0, *(np.flatnonzero(computed.images.labels[i]) + 1)}


@needs_crf
def test_a_mask_cut_in_mid_write_is_written_again(
    computed: Computed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def half(file: BinaryIO, mask: np.ndarray) -> None:
        nonlocal calls
        calls += 1
        write_mask(file, mask)
        if calls == 4:  # the second image's, after the CRF
            file.truncate(40)
            raise KeyboardInterrupt

    stage = computed.segmentation
    monkeypatch.setattr(voc, "write_mask", half)
    with pytest.raises(KeyboardInterrupt):
        stage.compute(computed.job(stage, tmp_path), **stage.settings)
    assert len(list((tmp_path / "crf").iterdir())) == 1
    stage.compute(computed.job(stage, tmp_path), **stage.settings)
    assert calls == 4 + 2 * (len(computed.images) - 1)
    for kind in artefacts.SEGMENTATIONS:
        whole = computed.folder(stage, kind)
        assert sorted(path.name for path in (tmp_path / kind).iterdir()) == sorted(p.name for p in whole.iterdir())
        for path in whole.iterdir():
            assert (tmp_path / kind / path.name).read_bytes() == path.read_bytes()


@needs_crf
def test_pseudo_masks_of_all_training_images_are_scored_on_train(computed: Computed) -> None:
    stage = computed.segmentation.inputs["segmenter"].inputs["masks"]
    assert len(list(computed.folder(stage, artefacts.MASKS).iterdir())) == computed.settings.data.trainaug
    counts = np.load(computed.folder(stage) / artefacts.SCORES)["train/image_confusion"]
    assert len(counts) == computed.settings.data.train


def test_upper_bound_needs_no_pseudo_masks() -> None:
    stage = segmentation.stage(load("smoke", SUPERVISED.overrides), HERE)
    assert {each.name for each in stage.upstream()} == {"data", "segmenter", "segmentation"}


def coco_file(folder: Path, seed: int = 0) -> Path:
    """Random weights as deeplab-pytorch's conversion of `init.caffemodel` names them, for the network of smoke."""
    chosen, path = load("smoke").segmentation, folder / f"coco-{seed}.pth"
    torch.manual_seed(seed)
    backbone = ResNet101(chosen.blocks, chosen.width, stride=chosen.stride, dilations=chosen.dilations)
    torch.save(backbone.state_dict() | {"fc.weight": torch.zeros(91, 8, 1, 1), "fc.bias": torch.zeros(91)}, path)
    return path


def test_initial_weights_are_where_the_training_starts(tmp_path: Path) -> None:
    given = {"coco_weights": str(coco_file(tmp_path))}
    row = experiment("23_segmentation", load("smoke"), range(1), HERE, given).rows["from_coco"]
    still = {"segmentation.supervision": "truth", "segmentation.learning_rate": 1e-12}
    stage, store = segmentation.segmenter_stage(load("smoke", row.overrides | still), HERE), Store(tmp_path / "runs")
    engine.run([stage], store)
    trained = segmentation.build(load("smoke", row.overrides).segmentation, num_classes=9)
    load_weights(trained, store.folder(stage) / artefacts.SEGMENTER_WEIGHTS, heads=False)
    expected = torch.load(coco_file(tmp_path), weights_only=True)
    for name, weight in trained.backbone.named_parameters():
        torch.testing.assert_close(weight.detach(), expected[name], rtol=0, atol=1e-7)


def test_initial_weights_are_known_by_their_content_and_origin(tmp_path: Path) -> None:
    def key(path: Path, init: str) -> str:
        overrides = {"segmentation.init": init, "segmentation.weights": str(path), "segmentation.layout": "caffe"}
        return segmentation.segmenter_stage(load("smoke", overrides), HERE).key

    first, second = coco_file(tmp_path), coco_file(tmp_path, seed=1)
    elsewhere = shutil.copy(first, tmp_path / "elsewhere.pth")
    assert key(first, "coco") == key(elsewhere, "coco")
    assert len({key(first, "coco"), key(second, "coco"), key(first, "imagenet")}) == 3


# --- Bad input --------------------------------------------------------------------------------------------------------


def test_incomplete_folders_name_the_image(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no response maps of image 2007_000001"):
        affinity.present_maps(tmp_path, "2007_000001")
    with pytest.raises(FileNotFoundError, match="no refined maps of image 2007_000001"):
        RefinedMaps.read(tmp_path, "2007_000001")


def test_an_image_without_a_class_teaches_no_affinity_and_walks_as_background(tmp_path: Path) -> None:
    ResponseMaps(np.zeros(0, np.uint8), np.zeros((0, 8, 8), np.float32)).write(tmp_path, "blank")
    images = mock.Mock(ids=["blank"])
    with pytest.raises(ValueError, match="image blank has no class"):
        affinity._write_scores(images, tmp_path, tmp_path, [4, 32], CrfSettings(), 0)
    classes, present = affinity.present_maps(tmp_path, "blank")
    scores = affinity.walk_scores(present, 16)
    assert not len(classes) and torch.equal(scores, torch.ones(1, 8, 8))
    assert torch.equal(
        pseudo_masks.final_scores(np.zeros((8, 8, 3), np.uint8), scores, "rw_crf", CrfSettings()), scores
    )
    assert oracle_walk.irn_scores(present).shape == (1, 8, 8)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"init": "imagenet"}, r"segmentation\.weights to .*resnet101-63fe2227\.pth from https.*layout=torchvision"),
        ({"init": "coco"}, r"segmentation\.weights to .*init\.caffemodel .*layout=caffe"),
        ({"weights": "some.pth"}, r"init = 'random' reads no file, but segmentation\.weights is some\.pth"),
        ({"init": "coco", "weights": "some.pth"}, "layout = 'torchvision': expected layout 'caffe'"),
        ({"init": "imagenet", "weights": "/nowhere.pth"}, "no weight file /nowhere.pth"),
    ],
)
def test_initial_weights_that_cannot_be_had_stop_before_anything_runs(
    overrides: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_stages, "crf_available", lambda: True)
    settings = load("smoke", {f"segmentation.{name}": value for name, value in overrides.items()})
    with pytest.raises(SettingsError, match=message):
        engine.bind(experiment("23_segmentation", settings, range(1), HERE).stages())


@needs_crf
def test_missing_masks_and_masks_of_another_size_stop_before_training(tmp_path: Path, shared_store: Store) -> None:
    stage = segmentation.segmenter_stage(option("rw"), HERE)
    masks = stage.inputs["masks"]
    store = linked_store(masks.inputs.values(), shared_store, tmp_path)
    engine.run([masks], store)
    folder = store.folder(masks) / artefacts.MASKS
    missing, other_size = sorted(folder.iterdir())[:2]
    missing.unlink()
    with pytest.raises(engine.RunFailed, match=f"1 of 12 masks are missing .* such as {missing.name}"):
        engine.run([stage], store)
    write_mask(missing, np.zeros((64, 64), np.uint8))
    write_mask(other_size, np.zeros((8, 8), np.uint8))
    with pytest.raises(engine.RunFailed, match=f"{other_size.name} has 8 x 8 pixels, its image 64 x 64"):
        engine.run([stage], store)


# --- Without the CRF library ------------------------------------------------------------------------------------------


@pytest.fixture
def no_crf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydensecrf", None)


def test_missing_library_is_reported_with_what_to_do(no_crf: None) -> None:
    assert not crf.crf_available()
    assert "pip install pydensecrf2" in crf.crf_missing()


def test_library_that_raises_anything_at_its_import_is_as_good_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pydensecrf").mkdir()
    (tmp_path / "pydensecrf" / "__init__.py").write_text("raise ValueError('numpy.dtype size changed')")
    for name in [name for name in sys.modules if name.split(".")[0] == "pydensecrf"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    assert not crf.crf_available()
    assert "numpy.dtype size changed). Compile it anew" in crf.crf_missing()
    assert cli.main(["doctor", "--preset", "smoke"]) == 1
    assert re.search(r"MISSING dense CRF .*numpy.dtype size changed", capsys.readouterr().out)


def test_stages_that_need_the_library_are_left_out_without_it(no_crf: None) -> None:
    planned = engine.in_order(
        stage for name in EXPERIMENTS for stage in experiment(name, load("smoke"), range(1), HERE).stages()
    )
    assert {stage.name for stage in planned} == {
        *("data", "backbone", "classifier", "recam", "response_maps", "features", "subcategories"),
        *("class_features", "colours"),
        *("truth_labels", "affinity"),  # taught by the truth, without the CRF
    }


def test_with_the_library_every_step_is_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_stages, "crf_available", lambda: True)
    planned = engine.in_order(experiment("23_segmentation", load("smoke"), range(1), HERE).stages())
    assert {"affinity", "refined_maps", "pseudo_masks", "segmenter", "segmentation"} <= {
        stage.name for stage in planned
    }


def test_the_stage_itself_says_what_is_missing(no_crf: None, tmp_path: Path, shared_store: Store) -> None:
    stage = affinity.labels_stage(load("smoke"), HERE)
    store = linked_store(stage.inputs.values(), shared_store, tmp_path)
    with pytest.raises(engine.RunFailed, match="pip install pydensecrf2"):
        engine.run([stage], store)


# --- Killed -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@needs_crf
def test_affinity_killed_in_the_middle_continues_to_the_same_bits(tmp_path: Path, shared_store: Store) -> None:
    overrides = {"affinity.epochs": 16, "affinity.mixup_alpha": 0.2, "affinity.lambda_ent": 0.02}
    files = [artefacts.AFFINITY_WEIGHTS, artefacts.HISTORY]
    compare_with_undisturbed(tmp_path, shared_store, affinity.stage, overrides, files)


@pytest.mark.slow
def test_segmenter_killed_in_the_middle_continues_to_the_same_bits(tmp_path: Path, shared_store: Store) -> None:
    overrides = SUPERVISED.overrides | {"segmentation.epochs": 12, "segmentation.mixup_alpha": 0.2}
    files = [artefacts.SEGMENTER_WEIGHTS, artefacts.HISTORY]
    compare_with_undisturbed(tmp_path, shared_store, segmentation.segmenter_stage, overrides, files)
