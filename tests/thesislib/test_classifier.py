"""The classifier: linearity of its head, dropout, freezing and optimiser groups."""

import json

import pytest
import torch
from places import GOLDEN
from torch import nn

from thesislib.models.classifier import CamClassifier, parameter_groups
from thesislib.models.resnet38 import ResNet38

PUBLISHED = json.loads((GOLDEN / "a_resnet38d_keys.json").read_text())


@pytest.fixture(scope="module")
def images():
    return torch.randn(3, 3, 40, 56, generator=torch.Generator().manual_seed(1))


def small(num_subcategories=0, **options):
    return CamClassifier(ResNet38(width=1 / 64), 4, num_subcategories, **options)


def test_shapes_with_and_without_subcategories(images):
    output = small(num_subcategories=5)(images)
    assert [tuple(part.shape) for part in output] == [(3, 4), (3, 20), (3, 64), (3, 4, 5, 7)]
    assert output._fields == ("logits", "sub_logits", "pooled", "response")
    assert small()(images).sub_logits is None


def test_logits_are_the_spatial_means_of_the_responses_in_evaluation(images):
    model = small(num_subcategories=2).eval()
    output = model(images)
    torch.testing.assert_close(output.logits, output.response.mean((2, 3)))
    torch.testing.assert_close(output.sub_logits, model.sub_response(images).mean((2, 3)))
    torch.testing.assert_close(output.pooled, model.backbone(images).conv6.mean((2, 3)))
    torch.testing.assert_close(output.response, model.response(images))


def test_response_is_the_weighted_sum_of_features_and_takes_both_signs(images):
    model = small().eval()
    features = model.backbone(images).conv6
    expected = torch.stack([(features * weight).sum(1) for weight in model.fc8.weight], 1)
    output = model(images)
    torch.testing.assert_close(output.response, expected)
    assert output.response.min() < 0 < output.response.max()


def test_convolution_of_the_text_stands_between_backbone_and_pooling(images):
    """S4: everything is as without it, on the map that it makes of conv6."""
    model = small(num_subcategories=2, feature_channels=16).eval()
    torch.nn.init.normal_(model.conv_features.bias, std=0.1, generator=torch.Generator().manual_seed(0))
    output, conv6 = model(images), model.backbone(images).conv6
    features = torch.relu(nn.functional.conv2d(conv6, model.conv_features.weight, model.conv_features.bias, padding=1))
    torch.testing.assert_close(model.features(images), features)
    torch.testing.assert_close(output.pooled, features.mean((2, 3)))
    torch.testing.assert_close(output.response, torch.einsum("bdhw,cd->bchw", features, model.fc8.weight[..., 0, 0]))
    torch.testing.assert_close(output.logits, output.response.mean((2, 3)))
    torch.testing.assert_close(output.sub_logits, model.sub_response(images).mean((2, 3)))
    assert [tuple(part.shape) for part in output] == [(3, 4), (3, 8), (3, 16), (3, 4, 5, 7)]


def test_convolution_of_the_text_is_trained_as_a_new_layer():
    model = small(feature_channels=16, generator=torch.Generator().manual_seed(5))
    model.backbone.freeze()
    weights, _, heads, biases, _ = (group["params"] for group in parameter_groups(model, 0.01, 5e-4))
    assert {id(p) for p in heads} == {id(model.fc8.weight), id(model.conv_features.weight)}
    assert [id(p) for p in biases] == [id(model.conv_features.bias)]
    assert not {id(p) for p in weights} & {id(p) for p in model.conv_features.parameters()}
    again = small(feature_channels=16, generator=torch.Generator().manual_seed(5))
    assert torch.equal(model.conv_features.weight, again.conv_features.weight)
    assert model.conv_features.weight.std().item() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.05)
    assert small().conv_features is None and "conv_features.weight" not in small().state_dict()


def test_dropout_acts_on_the_pooled_feature_but_not_on_the_response(images):
    model = small(dropout=0.5)
    model.backbone.eval()
    evaluated = model.eval()(images)
    model.dropout.train()
    torch.manual_seed(2)
    trained = model(images)
    torch.testing.assert_close(trained.response, evaluated.response)
    kept = trained.pooled != 0
    torch.testing.assert_close(trained.pooled[kept], 2 * evaluated.pooled[kept])
    assert 0.3 < kept.float().mean() < 0.7
    torch.testing.assert_close(trained.logits, trained.pooled @ model.fc8.weight.flatten(1).T)


def test_dropout_after_pooling_equals_dropout_before_it(images):
    model = small(num_subcategories=2, dropout=0.5)
    model.backbone.eval()
    torch.manual_seed(3)
    pooled = model(images).pooled
    torch.manual_seed(3)
    published = model.dropout(model.backbone(images).conv6).mean((2, 3))
    torch.testing.assert_close(pooled, published)


def test_gradients_flow_through_the_response_into_head_and_backbone(images):
    model = small()
    model(images).response.square().mean().backward()
    assert model.fc8.weight.grad.abs().sum() > 0
    assert model.backbone.conv1a.weight.grad.abs().sum() > 0


def test_a_generator_decides_the_heads_within_xavier_bounds():
    heads = [small(3, generator=torch.Generator().manual_seed(seed)) for seed in (5, 5, 6)]
    assert torch.equal(heads[0].fc8.weight, heads[1].fc8.weight)
    assert torch.equal(heads[0].fc8_sub.weight, heads[1].fc8_sub.weight)
    assert not torch.equal(heads[0].fc8.weight, heads[2].fc8.weight)
    bound = (6 / (64 + 4)) ** 0.5
    assert 0.9 * bound < heads[0].fc8.weight.abs().max() <= bound
    assert heads[0].fc8.bias is None


def test_bad_arguments_are_refused(images):
    with pytest.raises(ValueError, match="got 0 and 0"):
        CamClassifier(ResNet38(width=1 / 64), 0)
    with pytest.raises(ValueError, match="got 3 and -1"):
        CamClassifier(ResNet38(width=1 / 64), 3, -1)
    with pytest.raises(ValueError, match=r"feature_channels must be at least 0 .*, got -1"):
        small(feature_channels=-1)
    with pytest.raises(ValueError, match="num_subcategories=K"):
        small().sub_response(images)


@pytest.mark.parametrize("facts, num_subcategories", zip(PUBLISHED.values(), (0, 10), strict=True))
def test_size_freezing_and_groups_are_the_published_ones(facts, num_subcategories):
    with torch.device("meta"):
        model = CamClassifier(ResNet38(), 20, num_subcategories)
    assert len(model.state_dict()) == facts["n_state_entries"]
    assert sum(p.numel() for p in model.parameters()) == facts["n_parameters"]
    sizes = [len(group["params"]) for group in parameter_groups(model, 0.01, 5e-4)]
    assert sizes == [*facts["param_groups_called_before_train()"], 2 * facts["n_bn_layers"]]

    model.backbone.freeze()
    model.train()
    assert sum(not p.requires_grad for p in model.parameters()) == facts["n_requires_grad_false_tensors"]
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == facts["n_trainable_params_after_train()"]
    assert {m.training for m in model.modules() if isinstance(m, nn.BatchNorm2d)} == {False}
    groups = parameter_groups(model, 0.01, 5e-4)
    assert [len(group["params"]) for group in groups] == [*facts["param_groups_called_after_train()"], 0]
    assert [round(group["lr"], 9) for group in groups] == [0.01, 0.02, 0.1, 0.2, 0.01]
    assert [group["weight_decay"] for group in groups] == [5e-4, 0, 5e-4, 0, 0]


def test_groups_hold_every_trainable_parameter_once_and_tell_new_layers_apart():
    model = nn.Module()
    model.backbone = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    model.head = nn.Conv2d(4, 2, 1)
    model.backbone_like_head = nn.Conv2d(4, 2, 1, bias=False)
    groups = parameter_groups(model, 1.0, 0.1, new_layer_factor=3.0)
    expected = [
        [model.backbone[0].weight],
        [model.backbone[0].bias],
        [model.head.weight, model.backbone_like_head.weight],
        [model.head.bias],
        [model.backbone[1].weight, model.backbone[1].bias],
    ]
    assert [[id(p) for p in group["params"]] for group in groups] == [[id(p) for p in group] for group in expected]
    assert [group["lr"] for group in groups] == [1, 2, 3, 6, 1]
    torch.optim.SGD(groups)
