"""Weight files: ImageNet weights, released key names, and our own format."""

import json
import os
import pickle

import numpy as np
import pytest
import safetensors.torch
import torch
from mxnet_files import V2, V3, mxnet_names, params_file, random_state, write
from places import GOLDEN

from thesislib.models.classifier import CamClassifier
from thesislib.models.resnet38 import ResNet38
from thesislib.models.weights import load_weights, save_weights

# The blocks of ResNet-38 as ademxapp names them: stage -> block letters.


@pytest.fixture(scope="module")
def imagenet():
    """Arrays of a synthetic ImageNet file at a small width, by their names in it, and the state they stand for."""
    state = random_state(ResNet38(width=1 / 64))
    arrays = {theirs: state[ours] for theirs, ours in mxnet_names().items()}
    arrays |= {"arg:linear1000_weight": np.ones((10, 64), np.float32), "arg:linear1000_bias": np.ones(10, np.float32)}
    return arrays, state


def assert_filled(model, expected, prefix=""):
    for name, tensor in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            np.testing.assert_array_equal(tensor, expected[name.removeprefix(prefix)], err_msg=name)


@pytest.mark.parametrize("version", [0, V2, V3])
def test_imagenet_weights_fill_every_backbone_tensor(tmp_path, imagenet, version):
    arrays, state = imagenet
    assert len(arrays) == 193
    path = params_file(tmp_path, arrays, version)
    backbone = ResNet38(width=1 / 64)
    assert load_weights(backbone, path) == 191
    assert_filled(backbone, state)
    model = CamClassifier(ResNet38(width=1 / 64), 4)
    head = model.fc8.weight.clone()
    assert load_weights(model, path, heads=False) == 191
    assert_filled(model.backbone, state)
    assert torch.equal(model.fc8.weight, head)


def test_imagenet_weights_do_not_serve_for_inference(tmp_path, imagenet):
    model = CamClassifier(ResNet38(width=1 / 64), 4)
    before = random_state(model)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in before.items()}, strict=False)
    with pytest.raises(ValueError, match=r"1 missing in the file: fc8\.weight\..*heads=False"):
        load_weights(model, params_file(tmp_path, imagenet[0]))
    assert_filled(model, before)


def test_every_problem_is_listed_and_the_model_stays_as_it_was(tmp_path, imagenet):
    arrays, _ = imagenet
    arrays = dict(arrays)
    del arrays["aux:bn7_moving_var"], arrays["arg:res4b3_branch2a_weight"]
    arrays["arg:res4b7_branch2a_weight"] = arrays["arg:bn5a_branch2a_gamma"]
    arrays["arg:conv1a_weight"] = np.ones((8, 3, 5, 5), np.float32)
    arrays["arg:bn2a_branch2b9_gamma"] = np.ones(3, np.float32)
    model = ResNet38(width=1 / 64)
    before = {name: tensor.clone().numpy() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError) as error:
        load_weights(model, params_file(tmp_path, arrays))
    for part in (
        "file.params",
        "2 missing in the file: b4_3.conv_branch2a.weight, bn7.running_var",
        "b2.bn_branch2b9.weight",
        "conv1a.weight (8, 3, 5, 5) (8, 3, 3, 3)",
    ):
        assert part in str(error.value)
    assert_filled(model, before)


def test_arrays_that_are_not_of_resnet38_are_refused(tmp_path, imagenet):
    path = params_file(tmp_path, imagenet[0] | {"arg:fc_weight": np.ones(3, np.float32)})
    with pytest.raises(ValueError, match=r"file\.params: 'arg:fc_weight' is no array of ResNet-38"):
        load_weights(ResNet38(width=1 / 64), path)


def test_a_network_of_another_width_is_refused(tmp_path, imagenet):
    with pytest.raises(ValueError, match="of another shape") as error:
        load_weights(ResNet38(width=1 / 32), params_file(tmp_path, imagenet[0]))
    assert "b4.conv_branch2a.weight (8, 8, 3, 3) (16, 8, 3, 3)" in str(error.value)


def test_a_known_file_with_another_checksum_is_refused(tmp_path, imagenet):
    path = params_file(tmp_path, imagenet[0]).rename(tmp_path / "ilsvrc-cls_rna-a1_cls1000_ep-0001.params")
    with pytest.raises(ValueError, match="expected ff21f45d6bf03284100dcbec571edfad; download it again"):
        load_weights(ResNet38(width=1 / 64), path)


def published(two_heads, prefix="", seed=1):
    """A released state dictionary at a small width, under the key names that the published code has."""
    facts = list(json.loads((GOLDEN / "a_resnet38d_keys.json").read_text()).values())[two_heads]
    state = random_state(CamClassifier(ResNet38(width=1 / 64), 20, 10 * two_heads), seed)
    heads = {"fc8.weight": "fc8.weight", "fc8_20.weight": "fc8.weight", "fc8_200.weight": "fc8_sub.weight"}
    keys = [name for name, _ in facts["keys"] if "num_batches_tracked" not in name]
    ours = {name: heads.get(name, f"backbone.{name}") for name in keys}
    return {prefix + name: torch.from_numpy(state[ours[name]]) for name in keys}, state


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("two_heads, filled", [(0, 192), (1, 193)])
def test_released_classifiers_fill_backbone_and_heads(tmp_path, prefix, two_heads, filled):
    tensors, state = published(two_heads, prefix)
    torch.save(tensors, tmp_path / "res38_cls.pth")
    model = CamClassifier(ResNet38(width=1 / 64), 20, 10 * two_heads)
    assert load_weights(model, tmp_path / "res38_cls.pth") == filled
    assert_filled(model, state)


def test_released_files_in_the_old_container_are_read(tmp_path):
    tensors, state = published(0)
    torch.save(tensors, tmp_path / "res38_cls.pth", _use_new_zipfile_serialization=False)
    backbone = ResNet38(width=1 / 64)
    assert load_weights(backbone, tmp_path / "res38_cls.pth") == 191
    assert_filled(backbone, {name.removeprefix("backbone."): array for name, array in state.items()})


def test_heads_must_agree_unless_only_the_backbone_is_wanted(tmp_path):
    path = tmp_path / "sc_cam.pth"
    torch.save(published(1)[0], path)
    one_head = CamClassifier(ResNet38(width=1 / 64), 20)
    with pytest.raises(ValueError, match=r"1 unknown to the model: fc8_sub\.weight"):
        load_weights(one_head, path)
    assert load_weights(one_head, path, heads=False) == 191
    with pytest.raises(ValueError, match=r"fc8\.weight \(20, 64, 1, 1\) \(8, 64, 1, 1\)"):
        load_weights(CamClassifier(ResNet38(width=1 / 64), 8, 25), path)


def test_a_head_given_twice_is_refused(tmp_path):
    tensors, _ = published(0)
    torch.save(tensors | {"fc8_20.weight": tensors["fc8.weight"]}, tmp_path / "both.pth")
    with pytest.raises(ValueError, match=r"fc8\.weight twice, the second time as fc8_20\.weight"):
        load_weights(CamClassifier(ResNet38(width=1 / 64), 20), tmp_path / "both.pth")


class Payload:
    """An object whose unpickling would create a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, 2))])
def test_a_pickle_that_runs_code_is_refused_without_running_it(tmp_path, save):
    save({"conv1a.weight": Payload(tmp_path / "executed")}, tmp_path / "bad.pth")
    with pytest.raises(ValueError, match=r"bad\.pth was refused"):
        load_weights(ResNet38(width=1 / 64), tmp_path / "bad.pth")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("content", "received"),
    [
        ({"epoch": 3, "lr": 0.1}, "one with epoch, lr"),
        ({"net": {"a": torch.ones(1)}, "ema": {"a": torch.ones(1)}}, "save one of net, ema alone"),
        ([torch.ones(1)], "received list"),
    ],
)
def test_a_pickle_of_other_things_is_refused(tmp_path, content, received):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=f"expected a dictionary of tensors, .*{received}"):
        load_weights(ResNet38(width=1 / 64), tmp_path / "other.pth")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_saved_with_the_rest_of_a_training_of_several_gpus_are_read(tmp_path, suffix):
    source, model = ResNet38(width=1 / 64), ResNet38(width=1 / 64)
    tensors = {f"module.{name}": tensor for name, tensor in source.state_dict().items()}
    path = tmp_path / f"saved{suffix}"
    if suffix == ".pth":
        torch.save({"epoch": 3, "state_dict": tensors, "optimizer": {"state": {}}}, path)
    else:
        safetensors.torch.save_file(tensors, path)
    load_weights(model, path)
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in source.state_dict().items())


def test_safetensors_round_trip(tmp_path):
    model = CamClassifier(ResNet38(width=1 / 64), 4, 2)
    model.train()(torch.ones(2, 3, 16, 16))  # moves the statistics and batch counters
    save_weights(model, tmp_path / "model.safetensors")
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]
    other = CamClassifier(ResNet38(width=1 / 64), 4, 2)
    assert load_weights(other, tmp_path / "model.safetensors") == 193
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_safetensors_pass_between_a_bare_backbone_and_a_classifier(tmp_path):
    source = CamClassifier(ResNet38(width=1 / 64), 4)
    save_weights(source, tmp_path / "model.safetensors")
    save_weights(source.backbone, tmp_path / "backbone.safetensors")
    expected = {name: tensor.numpy() for name, tensor in source.backbone.state_dict().items()}
    for file in ("model.safetensors", "backbone.safetensors"):
        backbone, model = ResNet38(width=1 / 64), CamClassifier(ResNet38(width=1 / 64), 9, 3)
        load_weights(backbone, tmp_path / file)
        load_weights(model, tmp_path / file, heads=False)
        assert_filled(backbone, expected)
        assert_filled(model.backbone, expected)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_cut_files_are_refused(tmp_path, suffix):
    model = ResNet38(width=1 / 64)
    path = tmp_path / f"model{suffix}"
    torch.save(model.state_dict(), path) if suffix == ".pth" else save_weights(model, path)
    content = path.read_bytes()
    for length in (0, 1, 7, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=f"model{suffix}"):
            load_weights(model, path)


def test_missing_files_and_unknown_endings_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.params does not exist"):
        load_weights(ResNet38(width=1 / 64), tmp_path / "none.params")
    with pytest.raises(ValueError, match=r"unknown ending '\.h5'; expected \.params, \.pth or \.safetensors"):
        load_weights(ResNet38(width=1 / 64), write(tmp_path, b"", "model.h5"))
