"""AffinityNet against golden vectors, a loop over pairs, and the published names, groups and initial weights."""

import json

import numpy as np
import pytest
import torch
from golden_formulas import f_input, fill_weights
from places import GOLDEN

from thesislib.models.affinitynet import AffinityNet
from thesislib.models.classifier import CamClassifier, parameter_groups
from thesislib.models.resnet38 import ResNet38
from thesislib.models.weights import load_weights, save_weights
from thesislib.refinement import affinity_loss
from thesislib.refinement.pairs import pair_labels, pair_offsets, source_shape

TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
PUBLISHED = json.loads((GOLDEN / "b_affinity_keys.json").read_text())
NEW_LAYERS = ["f8_3.weight", "f8_4.weight", "f8_5.weight", "f9.weight"]


def small(**options):
    """A small network with weights and statistics by formula, so that cells differ."""
    model = AffinityNet(ResNet38(width=1 / 32, **options)).eval()
    fill_weights(model)
    return model


def test_names_and_shapes_are_the_published_ones():
    with torch.device("meta"):
        state = AffinityNet(ResNet38()).state_dict()
    assert [[name.removeprefix("backbone."), list(tensor.shape)] for name, tensor in state.items()] == PUBLISHED["keys"]


def test_freezing_and_optimiser_groups_are_the_published_ones():
    with torch.device("meta"):
        model = AffinityNet(ResNet38())
    # Counted by the published code before it freezes anything; it has no group for BatchNorm.
    assert [len(group["params"]) for group in parameter_groups(model, 0.01, 5e-4)[:4]] == PUBLISHED[
        "param_groups_before_train"
    ]
    model.backbone.freeze()
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    frozen = {name for name, _ in model.named_parameters()} - trainable
    convolutions = {name.removeprefix("backbone.") for name in frozen if ".bn" not in name}
    assert convolutions == set(PUBLISHED["frozen_conv_after_train"])
    count = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert count == PUBLISHED["n_trainable_params_after_train"]
    groups = parameter_groups(model, 0.01, 5e-4)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert [names[id(parameter)] for parameter in groups[2]["params"]] == NEW_LAYERS == PUBLISHED["group2_names"]
    assert (groups[2]["lr"], groups[2]["weight_decay"]) == (0.1, 5e-4) and not groups[4]["params"]


def test_initial_weights_have_the_published_spread_and_come_from_the_generator():
    with torch.device("meta"):
        backbone = ResNet38()
    model = AffinityNet(backbone, generator=torch.Generator().manual_seed(0))
    for layer, channels in ((model.f8_3, 512), (model.f8_4, 1024), (model.f8_5, 4096)):
        assert layer.weight.std().item() == pytest.approx((2 / channels) ** 0.5, rel=0.02)
        assert layer.weight.abs().max().item() > 3 * layer.weight.std().item()  # normal, not uniform
    bound = 4 * (6 / (448 + 448)) ** 0.5
    assert 0.999 * bound < model.f9.weight.abs().max().item() <= bound
    again = AffinityNet(backbone, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again.f8_3.weight, model.f8_3.weight) and torch.equal(again.f9.weight, model.f9.weight)


@pytest.mark.parametrize(("width", "channels"), [(1 / 8, 56), (1 / 4, 112), (1 / 64, 24)])
def test_channel_counts_follow_the_width(width, channels):
    with torch.device("meta"):
        model = AffinityNet(ResNet38(width=width))
    assert model.f9.weight.shape == (channels, channels, 1, 1)


@pytest.mark.parametrize(("stride", "size"), [(8, (72, 88)), (4, (36, 60)), (8, (65, 90))])
@pytest.mark.parametrize("radius", [3, 5])
def test_affinities_are_those_of_a_loop_over_pairs(stride, size, radius):
    model = AffinityNet(ResNet38(width=1 / 32, stride=stride), radius=radius).eval()
    fill_weights(model)
    images = torch.from_numpy(np.concatenate([f_input(3, *size, 1), f_input(3, *size, 2)]))
    with torch.no_grad():
        affinity, embedding = model(images), model.embedding(images).double().numpy()
    rows, columns = source_shape(*embedding.shape[2:], radius)
    assert affinity.shape == (2, len(pair_offsets(radius)), rows * columns)
    for index, (dy, dx) in enumerate(pair_offsets(radius)):
        for source in range(rows * columns):
            y, x = source // columns, source % columns + radius - 1
            distance = np.abs(embedding[:, :, y, x] - embedding[:, :, y + dy, x + dx]).mean(1)
            np.testing.assert_allclose(affinity[:, index, source], np.exp(-distance), rtol=1e-5)
    assert affinity.min() > 0 and affinity.max() <= 1 and affinity.std() > 1e-3


def test_images_too_small_for_the_radius_are_refused():
    with pytest.raises(ValueError, match="a map of 5 x 8 cells is too small for pairs of radius 5"):
        small()(torch.zeros(1, 3, 40, 64))
    assert small(stride=4)(torch.zeros(1, 3, 20, 36)).shape == (1, 34, 1)


def test_a_batch_gives_the_affinities_of_its_images():
    images = torch.from_numpy(np.concatenate([f_input(3, 48, 80, stream) for stream in range(3)]))
    model = small()
    with torch.no_grad():
        torch.testing.assert_close(model(images), torch.cat([model(image[None]) for image in images]))


def test_training_lowers_the_loss_and_leaves_the_frozen_part_alone():
    model = small()
    model.backbone.freeze()
    model.train()
    images = torch.from_numpy(np.concatenate([f_input(3, 64, 96, stream) for stream in range(2)]))
    label_map = torch.zeros(2, 8, 12, dtype=torch.uint8)
    label_map[:, 2:7, 5:9], label_map[0, 0] = 4, 255
    masks = pair_labels(label_map)
    assert all(mask.any() for mask in masks)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = torch.optim.SGD(parameter_groups(model, 1e-3, 0.0))
    losses = []
    for _ in range(6):
        torch.manual_seed(0)  # the same channels dropped each time
        loss = affinity_loss(model(images), *masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True) and losses[-1] < 0.99 * losses[0]
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(before[name], tensor)}
    assert changed == {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def released(prefix=""):
    """A state dictionary at a small width, under the key names of the released file."""
    model = AffinityNet(ResNet38(width=1 / 64), generator=torch.Generator().manual_seed(3))
    fill_weights(model)
    state = model.state_dict()
    names = [name for name, _ in PUBLISHED["keys"]]
    return {prefix + name: state[name if name in NEW_LAYERS else f"backbone.{name}"] for name in names}, state


def assert_filled(model, expected):
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize("prefix", ["", "module."])
def test_released_weights_fill_every_tensor(tmp_path, prefix):
    tensors, state = released(prefix)
    torch.save(tensors, tmp_path / "res38_aff.pth")
    model = AffinityNet(ResNet38(width=1 / 64))
    assert load_weights(model, tmp_path / "res38_aff.pth") == 195
    assert_filled(model, state)


def test_our_own_file_fills_every_tensor(tmp_path):
    state = released()[1]
    model = AffinityNet(ResNet38(width=1 / 64))
    model.load_state_dict(state)
    save_weights(model, tmp_path / "affinity.safetensors")
    loaded = AffinityNet(ResNet38(width=1 / 64))
    load_weights(loaded, tmp_path / "affinity.safetensors")
    assert_filled(loaded, state)


def test_weights_of_a_classifier_serve_as_initialisation_only(tmp_path):
    classifier = CamClassifier(ResNet38(width=1 / 64), 4)
    save_weights(classifier, tmp_path / "classifier.safetensors")
    model = AffinityNet(ResNet38(width=1 / 64))
    with pytest.raises(ValueError, match=r"4 missing in the file: f8_3\.weight.*1 unknown to the model: fc8\.weight"):
        load_weights(model, tmp_path / "classifier.safetensors")
    assert load_weights(model, tmp_path / "classifier.safetensors", heads=False) == 191
    assert torch.equal(model.backbone.bn7.weight, classifier.backbone.bn7.weight)


@pytest.fixture(scope="module")
def golden():
    """Affinities and embedding of the full-width network of the golden vectors, and the vectors."""
    torch.set_num_threads(1)
    with torch.device("meta"):
        model = AffinityNet(ResNet38())
    model = model.to_empty(device="cpu").eval()
    fill_weights(model)
    images = torch.from_numpy(f_input(3, 72, 88, 9002))
    with torch.no_grad():
        affinity, embedding = model(images), model.embedding(images)
    with np.load(GOLDEN / "b_affinity.npz") as file:
        return affinity.numpy(), embedding[0].numpy(), dict(file)


@pytest.mark.slow
def test_golden_affinities(golden):
    affinity, _, expected = golden
    np.testing.assert_allclose(affinity, expected["aff_train_form"], **TOLERANCE)


@pytest.mark.slow
def test_golden_embedding(golden):
    _, embedding, expected = golden
    assert list(embedding.shape[1:]) == expected["feat_hw"].tolist()
    np.testing.assert_allclose(embedding.mean((1, 2)), expected["f9_chmean"], **TOLERANCE)
    np.testing.assert_allclose(embedding[:8], expected["f9_slice8"], **TOLERANCE)


@pytest.mark.slow
def test_golden_dense_matrix_holds_the_pairs_and_nothing_else(golden):
    affinity, _, expected = golden
    dense = np.eye(99)
    sources = np.tile(expected["ind_from_9x11"], 34)
    dense[sources, expected["ind_to_9x11"]] = dense[expected["ind_to_9x11"], sources] = affinity.ravel()
    np.testing.assert_allclose(dense, expected["aff_dense_99x99"], **TOLERANCE)
