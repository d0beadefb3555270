"""The backbone against the published network: names, shapes and values."""

import json

import numpy as np
import pytest
import torch
from golden_formulas import f_image, f_input, f_labels, fill_weights, u01
from places import GOLDEN
from torch import nn

from thesislib.losses import classification_loss
from thesislib.models.classifier import CamClassifier
from thesislib.models.resnet38 import ResNet38

TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
PUBLISHED = next(iter(json.loads((GOLDEN / "a_resnet38d_keys.json").read_text()).values()))
HEADS = {"fc8.weight"}


def test_formulas_give_the_printed_check_values():
    expected = [-0.6356447073630989, -0.6660352977924049, -0.1791837182827294, 0.24587786989286542]
    assert u01(0, 4).tolist() == expected
    assert u01(9001, 3).tolist() == [0.4863648097962141, -0.4798680702224374, -0.6898799263872206]
    np.testing.assert_array_equal(
        f_input(3, 97, 129, 9001)[0, 0, 0, :3], np.float32([0.24318241, -0.23993404, -0.34493998])
    )
    assert int(f_image(61, 83, 9101).sum()) == 1943233
    labels = f_labels(65, 65, 21, 9705, True)
    assert set(np.unique(labels)) == {*range(21), 255}
    assert labels[6, 8] in (8, 255)


def test_names_and_shapes_are_the_published_ones():
    with torch.device("meta"):
        ours = {name: list(tensor.shape) for name, tensor in ResNet38().state_dict().items()}
    assert ours == {name: shape for name, shape in PUBLISHED["keys"] if name not in HEADS}
    assert sum("num_batches_tracked" not in name for name in ours) == 191


def test_dropouts_and_batch_norm_are_the_published_ones():
    with torch.device("meta"):
        modules = dict(ResNet38().named_modules())
    dropouts = [[name, type(m).__name__, m.p] for name, m in modules.items() if isinstance(m, nn.Dropout2d)]
    assert dropouts == [entry for entry in PUBLISHED["dropout"] if entry[0] != "dropout7"]
    assert {(m.eps, m.momentum) for m in modules.values() if isinstance(m, nn.BatchNorm2d)} == {(1e-5, 0.1)}


@pytest.mark.parametrize("stride", [4, 8])
@pytest.mark.parametrize("size", [(64, 64), (33, 50)])
def test_grid_is_the_image_size_over_the_stride_rounded_up(stride, size):
    backbone = ResNet38(width=1 / 64, stride=stride, dilations=(1, 1)).eval()
    features = backbone(torch.zeros(1, 3, *size))
    for level, channels in zip(features, (tap.channels for tap in backbone.taps), strict=True):
        assert level.shape == (1, channels, -(-size[0] // stride), -(-size[1] // stride))
        assert level.min() >= 0


def test_other_strides_are_refused():
    with pytest.raises(ValueError, match="stride must be 4 or 8, got 16"):
        ResNet38(stride=16)


def test_freezing_keeps_what_the_published_training_kept():
    with torch.device("meta"):
        backbone = ResNet38().freeze().train()
    frozen = {name for name, parameter in backbone.named_parameters() if not parameter.requires_grad}
    assert len(frozen) == PUBLISHED["n_requires_grad_false_tensors"]
    assert frozen == set(PUBLISHED["requires_grad_false_after_train()"]) | {
        name for name in frozen if name.split(".")[-2].startswith("bn")
    }
    trainable = sum(p.numel() for p in backbone.parameters() if p.requires_grad)
    assert trainable == PUBLISHED["n_trainable_params_after_train()"] - 20 * 4096
    norms = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == PUBLISHED["n_bn_layers"]
    assert not any(norm.training for norm in norms)
    assert backbone.b7.dropout_2b1.training


def test_a_training_step_of_a_frozen_network_leaves_its_statistics_alone():
    backbone = ResNet38(width=1 / 64).freeze().train()
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    backbone(torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))).conv6.sum().backward()
    assert all(torch.equal(before[name], tensor) for name, tensor in backbone.state_dict().items())
    assert backbone.b2.conv_branch2a.weight.grad is None
    assert backbone.b3.conv_branch2a.weight.grad is not None


def test_an_unfrozen_network_trains_its_batch_norm():
    backbone = ResNet38(width=1 / 64).train()
    assert all(parameter.requires_grad for parameter in backbone.parameters())
    before = backbone.bn7.running_mean.clone()
    backbone(torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert not torch.equal(before, backbone.bn7.running_mean)


@pytest.fixture(scope="module")
def golden():
    """The full-width network of the golden vectors, its outputs, and the vectors."""
    torch.set_num_threads(1)
    with torch.device("meta"):
        model = CamClassifier(ResNet38(), 20, 10)
    model = model.to_empty(device="cpu").eval()
    fill_weights(model)
    images = torch.from_numpy(f_input(3, 97, 129, 9001))
    with torch.no_grad():
        features = model.backbone(images)
        output = model(images)
        sub_response = model.sub_response(images)
    with np.load(GOLDEN / "a_resnet38d.npz") as file:
        expected = dict(file)
    return model, features, output, sub_response, expected


@pytest.mark.slow
def test_golden_weights_are_filled_as_described(golden):
    model, *_ = golden
    first = model.backbone.conv1a.weight.flatten()[:3].tolist()
    np.testing.assert_allclose(first, [-0.15860808, -0.11446703, -0.31635872], rtol=0, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("level", ["conv4", "conv5", "conv6"])
def test_golden_features(golden, level):
    _, features, _, _, expected = golden
    ours = getattr(features, level)[0]
    assert list(ours.shape) == expected[f"{level}__shape"].tolist()
    ours = ours.numpy()
    for name, values in {
        "chmean": ours.mean((1, 2)),
        "spmean": ours.mean(0),
        "sub": ours.reshape(-1)[::997],
        "slice": ours[:8],
        "std": ours.std(),
    }.items():
        np.testing.assert_allclose(values, expected[f"{level}__{name}"], **TOLERANCE, err_msg=name)


@pytest.mark.slow
def test_golden_classifier_with_one_head(golden):
    """The single head has the same place in the fill order as the parent head, hence the same weights."""
    _, _, output, _, expected = golden
    np.testing.assert_allclose(output.response[0].relu(), expected["r0_cam"], **TOLERANCE)
    np.testing.assert_allclose(output.logits, expected["r0_logit20"], **TOLERANCE)
    np.testing.assert_allclose(output.pooled, expected["r0_feature"], **TOLERANCE)
    np.testing.assert_allclose(output.logits.sigmoid(), expected["r0_sigmoid"], **TOLERANCE)


@pytest.mark.slow
def test_golden_classifier_with_two_heads(golden):
    _, _, output, sub_response, expected = golden
    np.testing.assert_allclose(output.logits, expected["r1_x20"], **TOLERANCE)
    np.testing.assert_allclose(output.logits.sigmoid(), expected["r1_y20"], **TOLERANCE)
    np.testing.assert_allclose(output.sub_logits, expected["r1_x200"], **TOLERANCE)
    np.testing.assert_allclose(output.sub_logits.sigmoid(), expected["r1_y200"], **TOLERANCE)
    np.testing.assert_allclose(output.pooled, expected["r1_feature"], **TOLERANCE)
    np.testing.assert_allclose(output.response[0].relu(), expected["r1_cam20"], **TOLERANCE)
    np.testing.assert_allclose(sub_response[0, :20].relu(), expected["r1_cam200_first20"], **TOLERANCE)
    np.testing.assert_allclose(sub_response[0].relu().mean((1, 2)), expected["r1_cam200_chmean"], **TOLERANCE)


@pytest.mark.slow
def test_golden_loss(golden):
    _, _, output, _, _ = golden
    expected = json.loads((GOLDEN / "a_loss.json").read_text())
    parents, children = torch.zeros(1, 20), torch.zeros(1, 200)
    parents[0, [3, 14]] = 1
    children[0, [31, 147]] = 1
    parent = classification_loss(output.logits, parents).item()
    child = classification_loss(output.sub_logits, children).item()
    np.testing.assert_allclose([parent, child], [expected["cls20"], expected["cls200"]], **TOLERANCE)
    np.testing.assert_allclose(parent + 5 * child, expected["total"], **TOLERANCE)
