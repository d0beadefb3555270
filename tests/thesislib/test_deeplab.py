"""DeepLab-v2 against the published network (golden vectors), torchvision's ResNet, PIL and brute force."""

import json
import time

import numpy as np
import pytest
import torch
from golden_formulas import f_input, f_labels, fill_weights
from places import GOLDEN
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet

from thesislib.losses import segmentation_loss
from thesislib.models.classifier import parameter_groups
from thesislib.models.deeplab import DeepLabV2, ResNet101
from thesislib.models.weights import load_weights, save_weights, torchvision_to_resnet101

TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
PUBLISHED = json.loads((GOLDEN / "g_deeplab_keys.json").read_text())
TINY = {"blocks": (1, 1, 1, 1), "width": 1 / 8}


def published_name(name):
    """`base.layer1...` and `base.aspp...`, as deeplab-pytorch saves them."""
    return "base." + name.removeprefix("backbone.")


def tiny(num_classes=5, seed=0, **arguments):
    torch.manual_seed(seed)
    return DeepLabV2(ResNet101(**TINY | arguments), num_classes)


def some_images(*size, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "g_deeplab.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def network():
    model = DeepLabV2(ResNet101((1, 2, 2, 1)).freeze(), 21)
    fill_weights(model, published_name)
    return model


# The published network.


def test_names_and_shapes_are_the_published_ones():
    with torch.device("meta"):
        model = DeepLabV2(ResNet101(), 21)
    ours = {published_name(name): list(tensor.shape) for name, tensor in model.state_dict().items()}
    assert ours == dict(PUBLISHED["full"]["keys"])
    assert sum(parameter.numel() for parameter in model.parameters()) == PUBLISHED["full"]["n_parameters"]
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == PUBLISHED["bn"]["n"]
    assert {norm.eps for norm in norms} == {PUBLISHED["bn"]["eps"]}


def test_parameter_groups_of_a_frozen_network_are_the_published_ones():
    with torch.device("meta"):
        model = DeepLabV2(ResNet101().freeze(), 21)
    weight, bias, new_weight, new_bias, norm = parameter_groups(model, 2.5e-4, 5e-4)
    for group, name, lr, decay in (
        (weight, "1x", 2.5e-4, 5e-4),
        (new_weight, "10x", 2.5e-3, 5e-4),
        (new_bias, "20x", 5e-3, 0),
    ):
        expected = PUBLISHED["param_groups"][name]
        assert len(group["params"]) == expected["unique"]
        assert sum(parameter.numel() for parameter in group["params"]) == expected["numel"]
        assert (group["lr"], group["weight_decay"]) == pytest.approx((lr, decay))
    assert bias["params"] == norm["params"] == []
    left_out = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    assert len(left_out) == PUBLISHED["params_in_no_group"]["n"]


def test_golden_features_and_evaluation(network, golden):
    images = torch.from_numpy(f_input(3, 65, 81, 9703))
    with torch.no_grad():
        maximum = network.eval()(images)
        stem, features = network.backbone.layer1(images), network.backbone(images)
        base = network.aspp(features)
    assert stem.shape == tuple(golden["stem_shape"])
    assert features.shape == tuple(golden["layer5_shape"])
    np.testing.assert_allclose(stem.mean((0, 2, 3)), golden["stem_chmean"], **TOLERANCE)
    np.testing.assert_allclose(features.mean((0, 2, 3)), golden["layer5_chmean"], **TOLERANCE)
    np.testing.assert_allclose(base[0], golden["eval_logits_base"], **TOLERANCE)
    np.testing.assert_allclose(maximum[0], golden["eval_logits_max"], **TOLERANCE)


def test_golden_training_outputs(network, golden):
    with torch.no_grad():
        outputs = network.train()(torch.from_numpy(f_input(3, 65, 81, 9703)))
    assert len(outputs) == 4
    for index, logits in enumerate(outputs):
        np.testing.assert_allclose(logits[0], golden[f"train_logits_{index}"], **TOLERANCE)


def test_golden_loss_and_gradient(network, golden):
    labels = torch.from_numpy(f_labels(65, 65, 21, 9705, True))[None]
    outputs = network.train()(torch.from_numpy(f_input(3, 65, 65, 9704)))
    parts = [segmentation_loss([logits], labels).item() for logits in outputs]
    loss = segmentation_loss(outputs, labels)
    np.testing.assert_allclose(parts, golden["loss_parts"], **TOLERANCE)
    np.testing.assert_allclose(loss.item(), golden["loss_sum"], **TOLERANCE)
    network.zero_grad()
    (loss / 2).backward()
    bias = golden["grad_aspp_c0_bias (after (sum/ITER_SIZE=2).backward())"]
    stem = network.backbone.layer1.conv1.conv.weight.grad
    np.testing.assert_allclose(network.aspp["c0"].bias.grad, bias, **TOLERANCE)
    np.testing.assert_allclose(stem.abs().sum().item(), golden["grad_stem_conv_abssum"], **TOLERANCE)
    assert network.backbone.layer2.block1.reduce.bn.weight.grad is None


# The network at other sizes.


@pytest.mark.parametrize("layout", ["caffe", "torchvision"])
def test_evaluation_is_the_maximum_over_the_scales(layout):
    model = tiny(layout=layout)
    model.backbone.freeze()
    images = some_images(2, 3, 50, 70)
    with torch.no_grad():
        full, *scaled, maximum = model.train()(images)
        fused = model.eval()(images)
    assert torch.equal(fused, maximum)
    resized = [F.interpolate(logits, full.shape[2:], mode="bilinear", align_corners=False) for logits in scaled]
    assert all((maximum >= logits).all() for logits in (full, *resized))
    assert ((maximum == full) | (maximum == resized[0]) | (maximum == resized[1])).all()
    assert all((maximum == logits).any() for logits in (full, *resized))


def test_without_other_scales_evaluation_is_the_plain_network():
    model = DeepLabV2(ResNet101(**TINY), 5, scales=()).eval()
    images = some_images(1, 3, 40, 40)
    assert torch.equal(model(images), model.aspp(model.backbone(images)))


@pytest.mark.parametrize("stride, grid", [(8, (9, 7)), (4, (17, 13))])
def test_stride_gives_the_grid(stride, grid):
    backbone = ResNet101(**TINY, stride=stride)
    assert backbone(torch.zeros(2, 3, 64, 50)).shape == (2, backbone.channels, *grid)
    assert (DeepLabV2(backbone, 2).stride, backbone.channels) == (stride, 256)


def test_head_is_a_sum_of_dilated_convolutions():
    model = DeepLabV2(ResNet101(**TINY), 5, rates=(1, 3), generator=torch.Generator().manual_seed(3))
    features = some_images(2, 256, 9, 9)
    summed = sum(
        F.conv2d(features, model.aspp[name].weight, model.aspp[name].bias, padding=rate, dilation=rate)
        for name, rate in (("c0", 1), ("c1", 3))
    )
    torch.testing.assert_close(model.aspp(features), summed)
    assert model.aspp["c0"].weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert (model.aspp["c0"].bias == 0).all()


def test_the_generator_decides_the_head():
    heads = [
        DeepLabV2(ResNet101(**TINY), 3, generator=torch.Generator().manual_seed(seed)).aspp["c0"].weight
        for seed in (1, 1, 2)
    ]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_freezing_fixes_batch_norm_alone():
    model = tiny()
    model.backbone.freeze()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    outputs = model.train()(some_images(2, 3, 64, 64))
    segmentation_loss(outputs, torch.randint(0, 5, (2, 64, 64))).backward()
    optimiser.step()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    convolutions = {name for name in before if ".conv.weight" in name or name.startswith("aspp")}
    assert changed == convolutions


def test_unfrozen_batch_norm_learns():
    model = tiny()
    before = model.backbone.layer2.block1.reduce.bn.running_mean.clone()
    model.train()(some_images(2, 3, 64, 64))
    assert not torch.equal(model.backbone.layer2.block1.reduce.bn.running_mean, before)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_tiny_network_is_fast():
    model = tiny().eval()
    images = some_images(1, 3, 64, 64)
    times = []
    with torch.no_grad():
        for _ in range(5):
            start = time.process_time()
            model(images)
            times.append(time.process_time() - start)
    assert min(times) < 0.050


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ResNet101((1, 0, 1, 1)), "at least one block"),
        (lambda: ResNet101(stride=16), "stride must be 4 or 8, got 16"),
        (lambda: DeepLabV2(ResNet101(**TINY), 1), "at least 2, got 1"),
        (lambda: DeepLabV2(ResNet101(**TINY), 2, rates=()), "rates must be"),
        (lambda: DeepLabV2(ResNet101(**TINY), 2, rates=(6, 0)), r"rates must be .*\(6, 0\)"),
        (lambda: DeepLabV2(ResNet101(**TINY), 2, scales=(0.5, 0.0)), r"scales must be .*\(0.5, 0.0\)"),
    ],
)
def test_arguments_out_of_range_are_refused(build, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        build()


# Weights.


def torchvision_network(seed=0):
    torch.manual_seed(seed)
    model = resnet.ResNet(resnet.Bottleneck, [1, 2, 2, 1], replace_stride_with_dilation=[False, True, True])
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval()


def test_torchvision_weights_give_torchvisions_features(tmp_path):
    theirs = torchvision_network()
    torch.save(theirs.state_dict(), tmp_path / "resnet101.pth")
    model = DeepLabV2(ResNet101((1, 2, 2, 1), layout="torchvision"), 21).eval()
    head = model.aspp["c0"].weight.clone()
    filled = load_weights(model, tmp_path / "resnet101.pth", heads=False)
    assert filled == sum("num_batches" not in name and "fc." not in name for name in theirs.state_dict())
    assert torch.equal(model.aspp["c0"].weight, head)
    images = some_images(1, 3, 65, 97)  # an odd stem map: rounding the pooling up or down is the same
    with torch.no_grad():
        x = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(images))))
        expected = theirs.layer4(theirs.layer3(theirs.layer2(theirs.layer1(x))))
        torch.testing.assert_close(model.backbone(images), expected, **TOLERANCE)


def test_older_torchvision_files_load(tmp_path):
    """Not zipped, and of a time when BatchNorm did not count its batches."""
    theirs = {name: tensor for name, tensor in torchvision_network().state_dict().items() if "num_batches" not in name}
    torch.save(theirs, tmp_path / "resnet101.pth", _use_new_zipfile_serialization=False)
    model = ResNet101((1, 2, 2, 1), layout="torchvision")
    assert load_weights(model, tmp_path / "resnet101.pth", heads=False) == sum("fc." not in name for name in theirs)
    assert torch.equal(model.layer5.block1.reduce.conv.weight, theirs["layer4.0.conv1.weight"])


def test_every_torchvision_tensor_has_a_place():
    with torch.device("meta"):
        theirs = resnet.resnet101().state_dict()
        ours = ResNet101(layout="torchvision").state_dict()
    renamed = {torchvision_to_resnet101(name): tensor.shape for name, tensor in theirs.items()}
    assert renamed.pop(None) is not None
    assert renamed == {name: tensor.shape for name, tensor in ours.items()}


def test_published_files_load(tmp_path):
    source = tiny(seed=1)
    published = {published_name(name): tensor for name, tensor in source.state_dict().items()}
    torch.save(published, tmp_path / "deeplabv2.pth")
    target = tiny(seed=2)
    load_weights(target, tmp_path / "deeplabv2.pth")
    for name, tensor in source.state_dict().items():
        if "num_batches" not in name:
            assert torch.equal(target.state_dict()[name], tensor)


def test_published_initialisation_leaves_the_head(tmp_path):
    source = tiny(num_classes=91, seed=1).state_dict()
    torch.save({name.removeprefix("backbone."): tensor for name, tensor in source.items()}, tmp_path / "coco.pth")
    target = tiny(num_classes=21, seed=2)
    load_weights(target, tmp_path / "coco.pth", heads=False)
    name = "layer5.block1.increase.conv.weight"
    assert torch.equal(target.backbone.state_dict()[name], source["backbone." + name])
    with pytest.raises(ValueError, match=r"aspp\.c0\.weight \(91, .*\(21, "):
        load_weights(target, tmp_path / "coco.pth")


def test_own_files_load(tmp_path):
    source, target = tiny(seed=1), tiny(seed=2)
    save_weights(source, tmp_path / "segmenter.safetensors")
    load_weights(target, tmp_path / "segmenter.safetensors")
    images = some_images(1, 3, 64, 64)
    assert torch.equal(source.eval()(images), target.eval()(images))


def test_weights_of_the_other_layout_are_refused(tmp_path):
    torch.save(torchvision_network().state_dict(), tmp_path / "resnet101.pth")
    with pytest.raises(ValueError, match=r"resnet101\.pth does not fit.*layout"):
        load_weights(ResNet101((1, 2, 2, 1)), tmp_path / "resnet101.pth", heads=False)
    source = ResNet101(**TINY).state_dict()
    torch.save({f"base.{name}": tensor for name, tensor in source.items()}, tmp_path / "deeplab.pth")
    with pytest.raises(ValueError, match=r"deeplab\.pth: 'base\.layer1.*layout='caffe'"):
        load_weights(ResNet101(**TINY, layout="torchvision"), tmp_path / "deeplab.pth", heads=False)


# Preprocessing.


def test_preprocessing_belongs_to_the_weights():
    caffe, torchvision = (tiny(layout=layout).preprocessing for layout in ("caffe", "torchvision"))
    assert (caffe.bgr, caffe.mean, caffe.std, caffe.scale) == (True, (104.008, 116.669, 122.675), (1, 1, 1), 1)
    assert (torchvision.bgr, torchvision.scale) == (False, 255)
    assert torchvision.mean == (0.485, 0.456, 0.406)
    with pytest.raises(AttributeError):
        caffe.bgr = False
