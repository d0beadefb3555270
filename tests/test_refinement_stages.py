"""Refinement and segmentation as stages: what they store, what they refuse, and that a killed training continues."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from killed import compare_with_undisturbed
from PIL import Image
from sklearn.metrics import confusion_matrix

from thesislib import crf, engine, experiments
from thesislib.data.transforms import to_tensor
from thesislib.data.voc import VocDataset, palette, write_mask
from thesislib.models.weights import load_weights
from thesislib.refinement import background_score, pad_to_stride, refine_maps
from thesislib.settings import Machine, Settings, load
from thesislib.stages import affinity, data, pseudo_masks, response_maps, segmentation
from thesislib.store import Stage, Store

HERE = Machine(device="cpu")
needs_crf = pytest.mark.skipif(not crf.crf_available(), reason="pydensecrf is not installed")


def option(pseudo_mask: str) -> Settings:
    return load("smoke", {"segmentation.pseudo_mask": pseudo_mask})


class Computed:
    """Both kinds of pseudo-masks of val, and the segmentation of val, of preset smoke."""

    def __init__(self, folder: Path) -> None:
        self.store, self.settings = Store(folder), option("rw_crf")
        self.masks = {kind: pseudo_masks.masks_stage(option(kind), HERE, "val") for kind in ("rw", "rw_crf")}
        self.refined = self.masks["rw"].inputs["refined_maps"]
        self.segmentation = segmentation.stage(self.settings, HERE)
        engine.run([*self.masks.values(), self.segmentation], self.store)
        self.images = VocDataset(self.store.folder(self.refined.inputs["data"]) / data.FOLDER, "val")

    def folder(self, stage: Stage, sub: str = "") -> Path:
        return self.store.folder(stage) / sub


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Computed:
    return Computed(tmp_path_factory.mktemp("runs"))


# --- What is stored ---------------------------------------------------------------------------------------------------


@needs_crf
def test_both_kinds_of_masks_come_from_the_same_refined_maps(computed: Computed) -> None:
    assert computed.masks["rw"].key != computed.masks["rw_crf"].key
    assert computed.masks["rw"].inputs["refined_maps"].key == computed.masks["rw_crf"].inputs["refined_maps"].key


@needs_crf
def test_masks_of_the_random_walk_are_the_arg_max_of_the_stored_scores(computed: Computed) -> None:
    for i, name in enumerate(computed.images.ids):
        with np.load(computed.folder(computed.refined, pseudo_masks.REFINED) / f"{name}.npz") as stored:
            classes, scores = stored["classes"], stored["scores"]
        assert classes.tolist() == np.flatnonzero(computed.images.labels[i]).tolist()
        assert scores.shape == (len(classes) + 1, *computed.images.size(i))
        full = np.full((len(computed.images.classes) + 1, *computed.images.size(i)), -1.0)
        full[[0, *(classes + 1)]] = scores
        mask = np.asarray(Image.open(computed.folder(computed.masks["rw"], pseudo_masks.MASKS) / f"{name}.png"))
        np.testing.assert_array_equal(mask, full.argmax(axis=0))


@needs_crf
def test_refined_scores_are_those_of_the_stored_weights(computed: Computed) -> None:
    maps_stage = computed.refined.inputs["maps of val"]
    model = affinity.build(computed.settings.backbone)
    load_weights(model, computed.folder(computed.refined.inputs["affinity"]) / affinity.WEIGHTS)
    model.eval()
    name = computed.images.ids[0]
    _, maps = affinity.present_maps(computed.folder(maps_stage, response_maps.MAPS), name)
    with torch.no_grad():
        pairs = model(pad_to_stride(to_tensor(computed.images.image(0))[None], model.stride))[0]
    chosen = computed.settings.affinity
    scores = background_score(maps, chosen.walk_alpha)
    expected = refine_maps(scores, pairs, stride=model.stride, beta=chosen.beta, log2_steps=chosen.log2_steps)
    _, stored = pseudo_masks.read_refined(computed.folder(computed.refined, pseudo_masks.REFINED), name)
    torch.testing.assert_close(stored, expected, rtol=1e-4, atol=1e-5)


@needs_crf
@pytest.mark.parametrize("kind", ["rw", "rw_crf", *segmentation.STAGES])
def test_masks_are_paletted_and_scored_as_scikit_learn_does(computed: Computed, kind: str) -> None:
    own = kind in computed.masks
    stage = computed.masks[kind] if own else computed.segmentation
    counts = np.load(computed.folder(stage) / "scores.npz")[
        "val/image_confusion" if own else f"val/{kind}/image_confusion"
    ]
    classes = len(computed.images.classes) + 1
    for i, name in enumerate(computed.images.ids):
        with Image.open(computed.folder(stage, pseudo_masks.MASKS if own else kind) / f"{name}.png") as image:
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
def test_pseudo_masks_of_all_training_images_are_scored_on_train(computed: Computed) -> None:
    stage = computed.segmentation.inputs["segmenter"].inputs["masks"]
    assert len(list(computed.folder(stage, pseudo_masks.MASKS).iterdir())) == computed.settings.data.trainaug
    counts = np.load(computed.folder(stage) / pseudo_masks.SCORES)["train/image_confusion"]
    assert len(counts) == computed.settings.data.train


def test_upper_bound_needs_no_pseudo_masks() -> None:
    stage = segmentation.stage(load("smoke", experiments.SUPERVISED.overrides), HERE)
    assert {each.name for each in stage.upstream()} == {"data", "segmenter", "segmentation"}


# --- Bad input --------------------------------------------------------------------------------------------------------


def test_incomplete_folders_name_the_image(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no response maps of image 2007_000001"):
        affinity.present_maps(tmp_path, "2007_000001")
    with pytest.raises(FileNotFoundError, match="no refined maps of image 2007_000001"):
        pseudo_masks.read_refined(tmp_path, "2007_000001")


def test_an_image_without_a_class_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "blank.npz", classes=np.zeros(0, np.uint8), maps=np.zeros((0, 8, 8), np.float32))
    with pytest.raises(ValueError, match="image blank has no class"):
        affinity.present_maps(tmp_path, "blank")


@needs_crf
def test_missing_masks_and_masks_of_another_size_stop_before_training(tmp_path: Path) -> None:
    stage, store = segmentation.segmenter_stage(option("rw"), HERE), Store(tmp_path)
    masks = stage.inputs["masks"]
    engine.run([masks], store)
    folder = store.folder(masks) / pseudo_masks.MASKS
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


def test_stages_that_need_the_library_are_left_out_without_it(no_crf: None) -> None:
    names = list(experiments.NOTEBOOKS)
    planned = engine.in_order(experiments.stages_of(names, load("smoke"), range(1), HERE))
    assert {stage.name for stage in planned} == {"data", "backbone", "classifier", "response_maps"}


def test_with_the_library_every_step_is_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiments, "crf_available", lambda: True)
    planned = engine.in_order(experiments.stages_of(["23_segmentation"], load("smoke"), range(1), HERE))
    assert {"affinity", "refined_maps", "pseudo_masks", "segmenter", "segmentation"} <= {
        stage.name for stage in planned
    }


def test_the_stage_itself_says_what_is_missing(no_crf: None, tmp_path: Path) -> None:
    with pytest.raises(engine.RunFailed, match="pip install pydensecrf2"):
        engine.run([affinity.labels_stage(load("smoke"), HERE)], Store(tmp_path))


# --- Killed -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@needs_crf
def test_affinity_killed_in_the_middle_continues_to_the_same_bits(tmp_path: Path) -> None:
    files = [affinity.WEIGHTS, "history.npz"]
    compare_with_undisturbed(tmp_path, affinity.__name__, "stage", {"affinity.epochs": 16}, files)


@pytest.mark.slow
def test_segmenter_killed_in_the_middle_continues_to_the_same_bits(tmp_path: Path) -> None:
    overrides = experiments.SUPERVISED.overrides | {"segmentation.epochs": 12}
    files = [segmentation.WEIGHTS, "history.npz"]
    compare_with_undisturbed(tmp_path, segmentation.__name__, "segmenter_stage", overrides, files)
