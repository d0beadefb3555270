"""Alphas that follow the maps of a row: as much background as on the maps of plain CAM, unchanged where constant."""

from pathlib import Path

import numpy as np
import pytest
import torch

from companion.pipeline import artefacts, engine
from companion.pipeline.artefacts import ResponseMaps
from companion.pipeline.stages import matched_alphas, pseudo_masks
from companion.pipeline.store import Store
from companion.settings import Machine, load
from thesislib import cam
from thesislib.refinement import background_score, crf

HERE = Machine(device="cpu")
IMAGES = ("a", "b", "c")
needs_crf = pytest.mark.skipif(not crf.crf_available(), reason="pydensecrf is not installed")


def write_maps(folder: Path, exponent: float) -> Path:
    """Maps of two classes whose values are powers of the same smooth ones: higher throughout for small exponents."""
    (folder / "maps").mkdir(parents=True)
    for seed, name in enumerate(IMAGES):
        values = np.random.default_rng(seed).random((2, 40, 50)) ** exponent
        ResponseMaps(np.arange(2, dtype=np.uint8), values.astype(np.float32)).write(folder, name)
    return folder


def background_share(folder: Path, alpha: float) -> float:
    won = []
    for name in IMAGES:
        scores = background_score(cam.normalize(torch.from_numpy(ResponseMaps.read(folder, name).maps)), alpha)
        won.append((scores.argmax(dim=0) == 0).float().mean().item())
    return float(np.mean(won))


def test_higher_maps_get_smaller_alphas_and_as_much_background(tmp_path: Path) -> None:
    plain, hot = write_maps(tmp_path / "plain", 2), write_maps(tmp_path / "hot", 1)
    factor = matched_alphas.factor(5, IMAGES, hot, plain)
    assert factor < 0.8
    assert background_share(hot, 5 * factor) == pytest.approx(background_share(plain, 5), abs=0.001)
    assert abs(background_share(hot, 5) - background_share(plain, 5)) > 0.05


def test_the_same_maps_keep_the_constants(tmp_path: Path) -> None:
    plain = write_maps(tmp_path, 1.5)
    assert matched_alphas.factor(16, IMAGES, plain, plain) == pytest.approx(1, abs=0.002)


def test_maps_of_plain_cam_are_an_input_only_where_alphas_are_matched() -> None:
    settings = load("smoke", {"classifier.mixup_alpha": 0.2, "subcategories.round": 1})
    constant = pseudo_masks.refined_stage(settings, HERE, ("train", "val"))
    matched = pseudo_masks.refined_stage(settings.override({"affinity.alphas": "matched"}), HERE, ("train", "val"))
    assert set(matched.inputs) - set(constant.inputs) == {"plain maps of train", "plain maps of val"}
    plain = matched.inputs["plain maps of val"].inputs["classifier"]
    assert plain.settings["classifier"].mixup_alpha == 0 and "subcategories" not in plain.inputs
    assert matched.inputs["maps of val"].key == constant.inputs["maps of val"].key
    labels = matched.inputs["affinity"].inputs["labels"]
    assert "plain maps of train" in labels.inputs and labels.settings["walk_alpha"] == settings.affinity.walk_alpha


@needs_crf
def test_matched_alphas_run_from_labels_to_refined_maps(shared_store: Store) -> None:
    settings = load("smoke", {"classifier.mixup_alpha": 0.2, "affinity.alphas": "matched"})
    stage = pseudo_masks.refined_stage(settings, HERE, ("train", "val"))
    engine.run([stage], shared_store)
    counts = artefacts.read_scores(shared_store.folder(stage), "val")["image_confusion"]
    assert len(counts) == settings.data.val and counts.sum() > 0
