"""Networks of timm as backbones: against timm's own, their strides and maps, what is frozen, what is refused."""

import pytest
import timm
import torch
from torch import nn

from thesislib.models.affinitynet import AffinityNet
from thesislib.models.backbone import Backbone, Tap
from thesislib.models.classifier import CamClassifier
from thesislib.models.deeplab import DeepLabV2
from thesislib.models.resnet38 import ResNet38
from thesislib.models.resnet50 import ResNet50
from thesislib.models.timm_backbone import TimmBackbone, create

TINY = "test_efficientnet"


def filled(name=TINY, stride=16):
    """timm's own network with weights and statistics that differ from layer to layer."""
    network = create(name, stride).eval()
    generator = torch.Generator().manual_seed(0)
    for key, tensor in network.state_dict().items():
        if tensor.is_floating_point() and tensor.ndim == 1:
            tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.4 + (0.8 if "bias" not in key else -0.2))
    return network


@pytest.mark.parametrize("name", [TINY, "test_resnet", "test_convnext", "resnetv2_50d"])
@pytest.mark.parametrize("stride", [8, 16, 32])
def test_features_are_timms(name, stride):
    network = filled(name, stride)
    backbone = TimmBackbone(name, stride=stride, tensors=network.state_dict()).eval()
    images = torch.randn(2, 3, 75, 90, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        whole_cells = nn.functional.pad(images, (0, -90 % stride, 0, -75 % stride))
        expected = network.forward_features(whole_cells if "convnext" in name else images)
        features = backbone.features(images)
    assert features.shape == (2, backbone.channels, -(-75 // stride), -(-90 // stride))
    torch.testing.assert_close(features, expected, rtol=1e-3, atol=1e-4 * expected.abs().max().item())


def test_maps_are_the_same_with_and_without_gradients():
    backbone = TimmBackbone(TINY, tensors=filled().state_dict()).eval()
    images = torch.randn(1, 3, 70, 90, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = [backbone.features(images), *backbone.levels(images)]
    for each, expected in zip(found, [backbone.features(images), *backbone.levels(images)], strict=True):
        torch.testing.assert_close(each, expected.detach(), rtol=1e-4, atol=1e-5 * expected.abs().max().item())


def test_strides_maps_and_normalisation_come_from_timm():
    backbone = TimmBackbone("tf_efficientnet_lite0", stride=16)
    assert backbone.taps == (Tap(24, 4, 32), Tap(40, 8, 32), Tap(112, 16, 64), Tap(320, 16, 128))
    assert (backbone.channels, backbone.grid, backbone.preprocessing.mean) == (1280, 8, (0.5, 0.5, 0.5))
    assert TimmBackbone("test_resnet").preprocessing.mean == tuple(
        timm.create_model("test_resnet").pretrained_cfg["mean"]
    )


def test_levels_have_a_root_mean_square_of_one():
    backbone = TimmBackbone(TINY).eval()
    levels = backbone.levels(torch.randn(2, 3, 64, 96))
    assert [tuple(level.shape) for level in levels] == [
        (2, tap.channels, 64 // tap.stride, 96 // tap.stride) for tap in backbone.taps
    ]
    for level in levels:
        torch.testing.assert_close(level.square().mean((1, 2, 3)), torch.ones(2), rtol=1e-2, atol=0)


def test_last_stage_alone_is_trained():
    backbone = TimmBackbone("tf_efficientnet_lite0").freeze()
    trained = {name for name, parameter in backbone.named_parameters() if parameter.requires_grad}
    blocks = [f"network.blocks.5.{n}.conv_{kind}.weight" for n in range(4) for kind in ("pw", "pwl")]
    assert trained == {
        *blocks,
        "network.blocks.6.0.conv_pw.weight",
        "network.blocks.6.0.conv_pwl.weight",
        "network.conv_head.weight",
    }


def test_frozen_layers_get_no_gradient_and_the_others_the_same():
    images = torch.randn(2, 3, 48, 64)
    free, frozen = TimmBackbone(TINY), TimmBackbone(TINY).freeze()
    frozen.load_state_dict(free.state_dict())
    for backbone in (free, frozen):
        backbone.features(images).square().sum().backward()
    for name, parameter in frozen.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(parameter.grad, free.get_parameter(name).grad)
        else:
            assert parameter.grad is None, name


def test_norms_that_cannot_be_folded_stay_in_evaluation_mode():
    backbone = TimmBackbone("resnetv2_50d", stride=16).freeze().train()
    norms = [layer for layer in backbone.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert norms and not any(norm.training for norm in norms)


@pytest.mark.parametrize("network", [ResNet38(1 / 64), ResNet50(), TimmBackbone(TINY)], ids=["38", "50", "timm"])
def test_every_backbone_carries_all_three_networks(network):
    assert isinstance(network, Backbone)
    images = torch.randn(1, 3, 72, 104)
    classifier = CamClassifier(network, 3).eval()
    cells = -(-72 // network.stride), -(-104 // network.stride)
    with torch.no_grad():
        assert classifier(images).response.shape == (1, 3, *cells)
        assert AffinityNet(network).eval()(images).shape == (1, 34, (9 - 4) * (13 - 8))
        assert DeepLabV2(network, 4, rates=(1, 2)).eval()(images).shape == (1, 4, *cells)
    assert classifier.preprocessing == network.preprocessing


def test_affinities_come_from_the_maps_alone():
    model = AffinityNet(TimmBackbone(TINY)).eval()
    images = torch.randn(2, 3, 80, 88)
    with torch.no_grad():
        assert torch.equal(model.embed(model.levels(images)), model.embedding(images))
        assert model.embedding(images).shape == (2, 256, 10, 11)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tf_eficientnet_lite0", "the nearest are tf_efficientnet_lite0"),
        ("resnet50.a1_in2k", "the nearest are resnet50.a1_in1k"),
        ("vit_tiny_patch16_224", "gives no map of features"),
        ("vgg11", "choose a convolutional network of any stride"),
        (
            "mobilenetv3_small_050",
            "has stride 32 where backbone.stride = 16 was asked for; set",
        ),
    ],
)
def test_names_that_cannot_serve_are_refused(name, said):
    with pytest.raises(ValueError, match=said):
        TimmBackbone(name)


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "dla46_c"])
def test_a_network_whose_stride_cannot_be_chosen_serves_at_its_own(name):
    """The second adds maps that differ by a begun cell, so it gets whole ones."""
    model = TimmBackbone(name, stride=32).eval()
    with torch.no_grad():
        assert model.features(torch.zeros(1, 3, 97, 129)).shape == (1, model.channels, 4, 5)
    assert [tap.stride for tap in model.taps] == [4, 8, 16, 32]


def test_stride_that_cannot_be_had_is_refused():
    with pytest.raises(ValueError, match="test_resnet cannot have stride 4"):
        TimmBackbone("test_resnet", stride=4)


def test_weights_of_another_network_are_refused():
    with pytest.raises(ValueError, match=r"not those of timm's test_efficientnet: .* missing \(conv_stem"):
        TimmBackbone(TINY, tensors=timm.create_model("test_resnet").state_dict())
