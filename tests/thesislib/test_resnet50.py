"""ResNet-50 as a backbone: against torchvision's own forward pass, and in the place of ResNet-38 through all stages."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from companion.pipeline import artefacts, engine
from companion.pipeline.stages import affinity, backbone, pseudo_masks, response_maps
from companion.pipeline.store import Store
from companion.settings import Machine, Settings, SettingsError, load
from thesislib.models.affinitynet import AffinityNet
from thesislib.models.classifier import CamClassifier, parameter_groups
from thesislib.models.resnet50 import ResNet50
from thesislib.models.weights import load_weights, save_weights
from thesislib.refinement.crf import crf_available

HERE = Machine(device="cpu")


@pytest.fixture(scope="module")
def theirs() -> nn.Module:
    """Torchvision's ResNet-50, dilated by its own means, with BatchNorm that is not the identity."""
    torch.manual_seed(0)
    network = torchvision.models.resnet50(weights=None, replace_stride_with_dilation=[False, True, True]).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.8, 1.2)
    return network


@pytest.fixture(scope="module")
def file(theirs: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its weights as torchvision's file has them."""
    path = tmp_path_factory.mktemp("weights") / "resnet50.pth"
    torch.save(theirs.state_dict(), path)
    return path


def _loaded(file: Path, **options: object) -> ResNet50:
    network = ResNet50(**options).eval()
    load_weights(network, file, heads=False)
    return network


@torch.no_grad()
def test_torchvisions_weights_give_torchvisions_features(theirs: nn.Module, file: Path) -> None:
    images = torch.randn(2, 3, 65, 96, generator=torch.Generator().manual_seed(1))
    seen = {}
    for name in ("layer2", "layer3", "layer4"):
        theirs.get_submodule(name).register_forward_hook(lambda _, __, out, name=name: seen.update({name: out.clone()}))
    theirs(images)
    features = _loaded(file)(images)
    for ours, expected in zip(features, seen.values(), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)
        assert ours.shape[2:] == (9, 12) and ours.min() >= 0


def test_every_tensor_but_the_1000_classes_is_filled(theirs: nn.Module, file: Path) -> None:
    names = [name for name in theirs.state_dict() if not name.startswith("fc.") and "num_batches" not in name]
    assert load_weights(ResNet50(), file, heads=False) == len(names) == 265


@pytest.mark.parametrize(("stride", "grid"), [(8, (5, 7)), (4, (9, 13))])
@torch.no_grad()
def test_levels_share_the_grid_of_the_stride(stride: int, grid: tuple[int, int]) -> None:
    network = ResNet50(stride=stride, dilations=(1, 2)).eval()
    features = network(torch.zeros(1, 3, 36, 52))
    assert [tuple(level.shape[1:]) for level in features] == [(n, *grid) for n, *_ in network.taps]
    with pytest.raises(ValueError, match="4 or 8, got 16"):
        ResNet50(stride=16)


@torch.no_grad()
def test_without_its_stride_the_second_stage_begins_with_the_same_cells(file: Path) -> None:
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    coarse, fine = _loaded(file), _loaded(file, stride=4)
    seen = []
    for network in (coarse, fine):
        network.layer2[0].register_forward_hook(lambda _, __, out: seen.append(out.clone()))
        network(images)
    assert [tuple(out.shape[2:]) for out in seen] == [(8, 8), (16, 16)]
    torch.testing.assert_close(seen[1][..., ::2, ::2], seen[0], rtol=1e-5, atol=1e-5)


def test_freezing_fixes_stem_first_stage_and_all_statistics() -> None:
    network = ResNet50().freeze().train()
    model = CamClassifier(network, 4)
    assert {m.training for m in network.modules() if isinstance(m, nn.BatchNorm2d)} == {False}
    frozen = {name.split(".")[0] for name, p in network.named_parameters() if p.ndim == 4 and not p.requires_grad}
    assert frozen == {"conv1", "layer1"}
    weights, biases, heads, new_biases, norms = (len(g["params"]) for g in parameter_groups(model, 0.01, 5e-4))
    assert (weights, biases, heads, new_biases, norms) == (53 - 1 - 10, 0, 1, 0, 0)


@torch.no_grad()
def test_classifier_and_affinitynet_stand_on_it() -> None:
    images = torch.randn(1, 3, 72, 88, generator=torch.Generator().manual_seed(3))
    output = CamClassifier(ResNet50(), 20, 10).eval()(images)
    assert [tuple(part.shape) for part in output] == [(1, 20), (1, 200), (1, 2048), (1, 20, 9, 11)]
    torch.testing.assert_close(output.logits, output.response.mean((2, 3)), rtol=1e-4, atol=1e-5)
    net = AffinityNet(ResNet50()).eval()
    assert net(images).shape == (1, 34, 15) and net.f9.weight.shape[:2] == (448, 448)


def variant(file: Path, **others: object) -> Settings:
    """Preset smoke on a handful of images with this network."""
    chosen = {"backbone.network": "resnet50", "backbone.width": 1, "backbone.weights": str(file)}
    chosen |= {"data.trainaug": 4, "data.train": 2, "data.val": 2, "data.test": 0, "classifier.epochs": 1}
    chosen |= {
        "subcategories.epochs": 1,
        "subcategories.checkpoints": (1,),
        "cam.scales": (1,),
        "cam.flip": False,
        "affinity.batch_size": 2,
    }
    return load("smoke", chosen | others)


def test_other_widths_and_missing_weights_are_refused(file: Path) -> None:
    with pytest.raises(SettingsError, match=r"width 1 alone, got 0\.03125: set backbone\.width=1"):
        load("demo", {"backbone.network": "resnet50"})
    with pytest.raises(SettingsError, match=r"ImageNet weights of ResNet-50 \(resnet50-0676ba61\.pth from https"):
        engine.bind([backbone.stage(variant(file).override({"backbone.weights": ""}), HERE)])


def test_network_is_part_of_every_question() -> None:
    plain, other = load("voc2012").backbone, load("voc2012", {"backbone.network": "resnet50"}).backbone
    assert plain != other and type(backbone.build(other)) is ResNet50


@pytest.mark.slow
def test_all_stages_on_the_classifier_run_with_it(file: Path, tmp_path: Path) -> None:
    settings, store = variant(file, **{"subcategories.round": 1, "subcategories.k": 1}), Store(tmp_path)
    maps = response_maps.stage(settings, HERE, "ResNet-50")
    wanted = [maps]
    if crf_available():
        wanted += [affinity.stage(settings, HERE), pseudo_masks.refined_stage(settings, HERE, ("val",))]
    engine.run(wanted, store)
    assert {stage.name for stage in engine.in_order(wanted)} >= {"backbone", "classifier", "features", "subcategories"}
    with np.load(store.folder(maps) / artefacts.SCORES) as scores:
        assert np.isfinite(scores["val/logits"]).all()
    (kept,) = (stage for stage in engine.in_order(wanted) if stage.name == "backbone")
    start = ResNet50()
    load_weights(start, store.folder(kept) / artefacts.BACKBONE_WEIGHTS)
    expected = _loaded(file).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in start.state_dict().items())


def test_backbone_of_a_run_does_not_fit_the_other_network(tmp_path: Path) -> None:
    save_weights(ResNet50(), tmp_path / "backbone.safetensors")
    with pytest.raises(ValueError, match="does not fit the model"):
        load_weights(backbone.build(load("smoke").backbone), tmp_path / "backbone.safetensors")
