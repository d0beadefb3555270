"""SEAM's equivariance term against what its released lines gave, and within the objective."""

import numpy as np
import pytest
import torch
from golden_formulas import u01
from places import GOLDEN
from torch.nn import functional as F

from thesislib.equivariance import equivariance_loss, smaller
from thesislib.models.classifier import CamClassifier
from thesislib.models.resnet38 import ResNet38
from thesislib.objectives import ClassifierObjective

LABELS = torch.tensor([[1.0, 0, 1], [0, 1, 0]])


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "k_equivariance.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def drawn(stream: int, *shape: int) -> torch.Tensor:
    return torch.from_numpy(u01(stream, int(np.prod(shape))).reshape(shape).astype(np.float32))


def test_the_term_and_its_gradients_agree_with_the_released_code(golden):
    copies = smaller(drawn(9900, 2, 3, 56, 72))
    torch.testing.assert_close(copies, golden["copies"], atol=1e-6, rtol=0)
    maps, of_copies = (drawn(9901, 2, 5, 7, 9).requires_grad_(), drawn(9902, 2, 5, 2, 3).requires_grad_())
    sizes = {"size": (56, 72), "copy_size": copies.shape[2:]}
    loss = equivariance_loss(maps, of_copies, golden["labels"] > 0, **sizes)
    loss.backward()
    assert loss.item() == pytest.approx(golden["loss"].item(), rel=1e-5)
    torch.testing.assert_close(maps.grad, golden["gradient"], atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(of_copies.grad, golden["gradient_of_copies"], atol=1e-6, rtol=1e-4)


def test_maps_that_follow_the_rescaling_cost_nothing_whatever_their_height():
    maps = torch.stack([torch.linspace(0, 3, 41).expand(41, 41), torch.linspace(-1, 2, 41)[:, None].expand(41, 41)])
    copies = 5 * F.interpolate(maps[None].relu(), (13, 13), mode="bilinear", align_corners=True)
    present, sizes = torch.ones(1, 2, dtype=torch.bool), {"size": (41, 41), "copy_size": (13, 13)}
    assert equivariance_loss(maps[None], copies, present, **sizes) < 1e-4
    assert equivariance_loss(maps[None], copies.flip(-1), present, **sizes) > 0.2
    assert equivariance_loss(maps[None], copies.flip(-1), ~present, **sizes) == 0


def test_images_and_copies_are_classified_and_their_maps_compared():
    torch.manual_seed(0)
    model = CamClassifier(ResNet38(width=1 / 64, stride=4), 3, dropout=0.0).eval()
    images, rng = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)), np.random.default_rng(0)
    terms = ClassifierObjective(3, copy_scale=0.5, lambda_er=0.7)(model, [images, LABELS], rng)
    copies = smaller(images, 0.5)
    assert copies.shape[2:] == (16, 16)
    alone = [ClassifierObjective(3)(model, [each, LABELS], rng)["classification"] for each in (images, copies)]
    assert terms["classification"].item() == pytest.approx((alone[0] + alone[1]).item() / 2, rel=1e-5)
    maps = [model(each).response for each in (images, copies)]
    expected = 0.7 * equivariance_loss(*maps, LABELS > 0, size=(32, 32), copy_size=(16, 16))
    assert terms["equivariance"].item() == pytest.approx(expected.item(), rel=1e-5)
    control = ClassifierObjective(3, copy_scale=0.5)(model, [images, LABELS], rng)
    assert control.keys() == {"classification"} and control["classification"] == terms["classification"]
