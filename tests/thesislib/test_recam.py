"""ReCAM's loss and maps against what its released code gave, and its parts against loops over classes."""

import math

import numpy as np
import pytest
import torch
from golden_formulas import u01
from places import GOLDEN
from torch import nn

from thesislib.data.transforms import IMAGENET
from thesislib.models.classifier import CamClassifier, parameter_groups
from thesislib.models.resnet38 import ResNet38
from thesislib.recam import Reactivated, RecamObjective, reactivation_loss

C, D = 4, 16


class Given(nn.Module):
    """A backbone whose features are given, whatever the images."""

    stride, channels, preprocessing = 1, D, IMAGENET
    taps, grid, frozen = (), 1, False

    def __init__(self, features):
        super().__init__()
        self.given = features

    def features(self, images):
        return self.given

    def levels(self, images):
        return ()

    def freeze(self):
        return self


IMAGES = torch.zeros(3, 3, 5, 7)


def drawn(stream: int, *shape: int) -> torch.Tensor:
    return torch.from_numpy(u01(stream, int(np.prod(shape))).reshape(shape).astype(np.float32))


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "l_recam.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def test_loss_gradients_and_maps_agree_with_the_released_code(golden):
    features = drawn(9911, 3, D, 5, 7).abs().requires_grad_()
    model = Reactivated(CamClassifier(Given(features), C, dropout=0.0))
    with torch.no_grad():
        model.backbone.fc8.weight.copy_(drawn(9912, C, D, 1, 1))
        model.second.weight.copy_(drawn(9913, C, D, 1, 1))
    output = model(IMAGES)
    loss = reactivation_loss(output.class_logits, golden["labels"] > 0)
    loss.backward()
    under_maps = torch.einsum("bcd,kd->bck", golden["class_features"], model.second.weight.flatten(1))
    for ours, theirs in (
        (output.logits, golden["logits"]),
        (output.class_logits, under_maps),
        (output.response, golden["response"]),
        (loss, golden["loss"]),
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    for ours, theirs in (
        (features.grad, golden["gradient"]),
        (model.backbone.fc8.weight.grad, golden["gradient_of_head"]),
        (model.second.weight.grad, golden["gradient_of_second_head"]),
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_an_image_counts_once_however_many_classes_it_shows():
    logits, present = torch.zeros(2, 3, 3), torch.tensor([[True, True, True], [True, False, False]])
    logits[1, 0, 0] = 5.0
    sure = -math.log(math.exp(5) / (math.exp(5) + 2))
    assert reactivation_loss(logits, present).item() == pytest.approx((math.log(3) + sure) / 2, rel=1e-5)
    logits[1, 1:] = 100.0  # classes that are absent are not asked
    assert reactivation_loss(logits, present).item() == pytest.approx((math.log(3) + sure) / 2, rel=1e-5)


def test_what_is_trained_already_learns_slower_than_the_second_classifier():
    model = Reactivated(CamClassifier(ResNet38(width=1 / 64), 3))
    groups = parameter_groups(model, 0.01, 0.1)
    (new,) = (group for group in groups if model.second.weight in {*group["params"]})
    (old,) = (group for group in groups if model.backbone.fc8.weight in {*group["params"]})
    assert new["params"] == [model.second.weight] and (new["lr"], old["lr"]) == (0.1, 0.01)


def test_without_its_weight_the_classifier_learns_as_it_did():
    model = Reactivated(CamClassifier(Given(drawn(9911, 3, D, 5, 7).abs()), C, dropout=0.0))
    batch, rng = [IMAGES, torch.eye(C)[:3]], np.random.default_rng(0)
    terms, control = (RecamObjective(weight)(model, batch, rng) for weight in (0.5, 0))
    assert control.keys() == {"classification"} and control["classification"] == terms["classification"]
    expected = 0.5 * reactivation_loss(model(batch[0]).class_logits, batch[1] > 0)
    torch.testing.assert_close(terms["re-activation"], expected)
