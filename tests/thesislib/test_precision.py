"""bf16 reaches every forward pass that decides a number, and nothing else; float32 is what is handed on."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from companion.datasets.demo.scenes import CLASSES
from companion.pipeline import artefacts, engine
from companion.pipeline.stages import (
    affinity,
    classifier,
    pseudo_masks,
    response_maps,
    rounds,
    segmentation,
    subcategories,
)
from companion.pipeline.store import Store
from companion.settings import Machine, Settings, load
from thesislib.losses import classification_loss, concentration_loss, entropy_loss, segmentation_loss
from thesislib.models.weights import save_weights
from thesislib.precision import autocast, place
from thesislib.refinement import affinity_loss

IMAGES = list(np.random.default_rng(0).integers(0, 256, (2, 45, 61, 3), dtype=np.uint8))
SMOKE = load("smoke")


def maps(precision: str) -> np.ndarray:
    model = classifier.build(SMOKE.backbone, SMOKE.classifier, 8, seed=0, k=0)
    return response_maps.fused_maps(model, np.stack(IMAGES), torch.ones(2, 8), SMOKE.cam, precision).numpy()


def features(precision: str) -> np.ndarray:
    model = classifier.build(SMOKE.backbone, SMOKE.classifier, 8, seed=0, k=0).eval()
    return subcategories.pooled(model, IMAGES, precision)


def walked(precision: str) -> np.ndarray:
    model = affinity.build(SMOKE.backbone, seed=1).eval()
    scores = [torch.rand(3, 45, 61, generator=torch.Generator().manual_seed(i)) for i in range(2)]
    return torch.stack(pseudo_masks.refine(model, IMAGES, scores, SMOKE.affinity, precision)).numpy()


def probabilities(precision: str) -> np.ndarray:
    torch.manual_seed(0)
    model = segmentation.build(SMOKE.segmentation, 9, torch.Generator().manual_seed(0)).eval()
    return segmentation.predict(model, IMAGES[0], precision).numpy()


@pytest.mark.parametrize("compute", [maps, features, walked, probabilities])
def test_bf16_is_near_fp32_and_not_the_same(compute) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    exact = compute("fp32")
    torch.manual_seed(0)
    near = compute("bf16")
    assert near.dtype == exact.dtype == np.float32
    assert not np.array_equal(near, exact)
    assert np.abs(near - exact).max() < 0.03 * np.abs(exact).max()  # bfloat16 has 8 digits: 0.4 % an operation


def test_fp32_is_no_autocast_at_all() -> None:
    layer, x = nn.Linear(8, 8), torch.randn(4, 8)
    with autocast("cpu", "fp32"):
        inside = layer(x)
    assert torch.equal(inside, layer(x)) and inside.dtype == torch.float32


def test_a_network_on_a_processor_keeps_its_memory_layout() -> None:
    layer = nn.Conv2d(4, 8, 3)
    assert place(layer, "cpu") is layer and layer.weight.is_contiguous()


# --- Whole stages -----------------------------------------------------------------------------------------------------


@pytest.fixture
def outputs() -> Iterator[set[torch.dtype]]:
    """The types of all that convolutions give."""
    found: set[torch.dtype] = set()

    def look(module: nn.Module, _: object, output: torch.Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            found.add(output.dtype)

    with torch.nn.modules.module.register_module_forward_hook(look):
        yield found


def given(folder: Path) -> Settings:
    """Settings that take a classifier and an AffinityNet from files, so that little is trained."""
    files = {name: folder / f"{name}.safetensors" for name in ("classifier", "affinity")}
    save_weights(classifier.build(SMOKE.backbone, SMOKE.classifier, len(CLASSES), seed=0, k=0), files["classifier"])
    save_weights(affinity.build(SMOKE.backbone, seed=1), files["affinity"])
    return load("smoke", {f"{name}.weights": str(file) for name, file in files.items()})


@pytest.mark.parametrize(("precision", "expected"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_stages_compute_as_the_machine_says(
    precision: str, expected: torch.dtype, tmp_path: Path, outputs: set[torch.dtype], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segmentation, "dense_crf", lambda image, probabilities, params: probabilities)
    settings, machine = given(tmp_path), Machine(device="cpu", precision=precision)
    truth = settings.override({"segmentation.supervision": "truth"})
    store = Store(tmp_path / "runs")
    stages = [
        rounds.features_stage(settings, machine),
        pseudo_masks.refined_stage(settings, machine, ("val",)),
        segmentation.stage(truth, machine),
    ]
    for stage in stages:
        outputs.clear()
        engine.run([stage], store)
        assert outputs == {expected}, stage.name
    assert store.provenance(stages[0])["precision"] == precision
    assert store.provenance(stages[0])["compile"] is False
    assert np.load(store.folder(stages[0]) / artefacts.FEATURES)["features"].dtype == np.float32
    assert np.isfinite(next(iter(np.load(store.folder(stages[1]) / artefacts.SCORES).values()))).all()


LABELS = torch.tensor([[0.9, 0.0, 0.07], [0.0, 0.013, 0.987]])  # mixed ones, which bfloat16 would round
MASK = torch.randint(0, 3, (2, 9, 9), generator=torch.Generator().manual_seed(2))
PAIRS = torch.rand(3, 2, 5, 7, generator=torch.Generator().manual_seed(3)) < 0.4
LOSSES = {
    "classification": ((2, 3), lambda z: classification_loss(z, LABELS)),
    "entropy": ((2, 3), entropy_loss),
    "entropy of cells": ((2, 3, 9, 9), lambda z: entropy_loss(z, score="logit")),
    "concentration": ((2, 3, 40, 40), lambda maps: concentration_loss(maps, LABELS)),
    "concentration, floored": ((2, 3, 9, 9), lambda maps: concentration_loss(maps, LABELS, form="floored")),
    "affinity": ((2, 5, 7), lambda a: affinity_loss(a.clamp(0, 1), *PAIRS)),
    "segmentation": ((2, 3, 9, 9), lambda z: segmentation_loss([z], MASK)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_bf16_outputs_are_computed_in_float32(name: str) -> None:
    shape, loss = LOSSES[name]
    outputs = torch.randn(shape, generator=torch.Generator().manual_seed(1)).bfloat16().requires_grad_()
    exact = outputs.detach().float().requires_grad_()
    expected = loss(exact)
    with autocast("cpu", "bf16"):
        found = loss(outputs)
    assert found.dtype == torch.float32 and torch.equal(found, expected)
    found.backward()
    expected.backward()
    assert torch.equal(outputs.grad, exact.grad.bfloat16())


def test_affinities_keep_more_digits_than_bf16_has() -> None:
    model = affinity.build(SMOKE.backbone, seed=1).eval()
    with torch.no_grad(), autocast("cpu", "bf16"):
        found = model(torch.rand(1, 3, 64, 80, generator=torch.Generator().manual_seed(0)))
    assert found.dtype == torch.float32 and not torch.equal(found, found.bfloat16().float())
