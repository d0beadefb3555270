"""What a weight file is: published key names at full size, small files from end to end, and files that are refused."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from golden_formulas import fill_weights
from places import GOLDEN
from safetensors import safe_open
from torch import Tensor, nn
from torchvision.models import resnet

from companion.cli import main as cli
from companion.pipeline.stages import segmentation
from companion.settings import load
from companion.weights import description as weight_files
from companion.weights.recognition import identify, recognise
from thesislib.models import published as registry
from thesislib.models.affinitynet import AffinityNet
from thesislib.models.classifier import CamClassifier
from thesislib.models.deeplab import DeepLabV2, ResNet101
from thesislib.models.published import WEIGHT_FILES
from thesislib.models.resnet38 import ResNet38
from thesislib.models.resnet50 import ResNet50
from thesislib.models.weights import load_weights, released_to_ours, save_weights


def published(name: str, part: str = "") -> dict[str, tuple[int, ...]]:
    """Key names and shapes that the published code has, at full size."""
    facts = json.loads((GOLDEN / f"{name}_keys.json").read_text())
    chosen = next(value for key, value in facts.items() if part in key) if part else facts
    return {released_to_ours(key): tuple(shape) for key, shape in chosen["keys"]}


def torchvisions(blocks: list[int]) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        network = resnet.ResNet(resnet.Bottleneck, blocks)
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize(
    ("shapes", "names"),
    [
        (published("a_resnet38d", "round_nb=0"), ["psa-classifier"]),
        (published("a_resnet38d", "round_nb>=1"), ["sc-cam-classifier"]),
        (published("b_affinity"), ["psa-affinitynet"]),
        (torchvisions([3, 4, 6, 3]), ["resnet50-imagenet-v1", "resnet50-imagenet-v2"]),
        (torchvisions([3, 4, 23, 3]), ["resnet101-imagenet-v1", "resnet101-imagenet-v2"]),
        (
            {name: shape for name, shape in published("g_deeplab", "full").items() if "aspp" not in name},
            ["deeplab-coco", "deeplab-imagenet"],
        ),
        ({name: shape for name, shape in published("a_resnet38d", "nb=0").items() if "fc8" not in name},
         ["resnet38-imagenet"]),
    ],
)  # fmt: skip
def test_published_names_and_shapes_are_told_apart(shapes: dict[str, tuple[int, ...]], names: list[str]) -> None:
    found = identify(shapes)
    assert [entry.name for entry in WEIGHT_FILES if entry.network == found] == names


def test_every_entry_can_be_told_from_every_other() -> None:
    assert len({entry.name for entry in WEIGHT_FILES}) == len(WEIGHT_FILES)
    by_network: dict[registry.Network, list[registry.WeightFile]] = {}
    for entry in WEIGHT_FILES:
        by_network.setdefault(entry.network, []).append(entry)
        for file in entry.files:
            assert registry.named(file) is entry
            assert entry.sha256 in file
    for entries in by_network.values():
        checksums = [entry.checksum for entry in entries if entry.md5 or entry.sha256]
        assert len(set(checksums)) == len(checksums)


def test_torchvisions_entries_are_those_of_the_installed_torchvision() -> None:
    for network in ("ResNet50", "ResNet101"):
        for weights in getattr(resnet, f"{network}_Weights"):
            entry = registry.named(weights.url.rsplit("/", 1)[1])
            assert entry is not None and entry.source == weights.url
            for accuracy in weights.meta["_metrics"]["ImageNet-1K"].values():
                assert f"{accuracy:.3f} %" in entry.score
            assert entry.preprocessing.mean == tuple(weights.transforms().mean)
            assert entry.preprocessing.std == tuple(weights.transforms().std)


def test_settings_that_ask_for_a_file_accept_the_usage_of_its_entry() -> None:
    for entry in WEIGHT_FILES:
        given = dict(setting.split("=") for setting in weight_files.usage(entry.network, "FILE", entry.init))
        chosen = load("voc2012", given)
        parts = (chosen.backbone, chosen.classifier, chosen.affinity, chosen.segmentation)
        assert "FILE" in [part.weights for part in parts]
    assert "resnet101-63fe2227.pth" in segmentation.INITIAL_WEIGHTS["imagenet"]


# --- Files from end to end --------------------------------------------------------------------------------------------


def psa_file(folder: Path, model: nn.Module, name: str = "given.pth", **changes: Tensor) -> Path:
    """The tensors of a model under psa's names, filled by formula, as a `.pth`."""
    with torch.no_grad():
        fill_weights(model)
    state = {key.removeprefix("backbone."): tensor for key, tensor in model.state_dict().items()}
    torch.save(state | changes, folder / name)
    return folder / name


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, dict[str, str], str]:
    status = cli.main(["weights", "import", *map(str, arguments)])
    printed = capsys.readouterr()
    return status, dict(line.split(maxsplit=1) for line in printed.out.splitlines()), printed.err


NARROW = {
    "classifier": lambda: CamClassifier(ResNet38(width=1 / 64), 20, 10),
    "affinity": lambda: AffinityNet(ResNet38(width=1 / 64)),
    "text profile": lambda: CamClassifier(ResNet38(width=1 / 32), 7, feature_channels=16),
    "backbone": lambda: ResNet38(width=1 / 64),
    "deeplab": lambda: DeepLabV2(ResNet101((1, 2, 1, 1), width=1 / 16), 21),
    "trunk": lambda: ResNet101((1, 1, 2, 1), width=1 / 16),
}


@pytest.mark.parametrize(
    ("name", "network", "use"),
    [
        ("classifier", "classifier on ResNet-38 of width 1/64 with 20 classes and 10 sub-categories each",
         "--set backbone.width=0.015625 --set classifier.weights={}"),
        ("affinity", "AffinityNet on ResNet-38 of width 1/64",
         "--set backbone.width=0.015625 --set affinity.weights={}"),
        ("text profile", "classifier on ResNet-38 of width 1/32 with 7 classes, features of 16 channels",
         "--set backbone.width=0.03125 --set classifier.feature_channels=16 --set classifier.weights={}"),
        ("backbone", "ResNet-38 of width 1/64", "--set backbone.width=0.015625 --set backbone.weights={}"),
        ("deeplab", "DeepLab-v2 on ResNet-101 of width 1/16 with 21 classes, caffe layout", weight_files.NO_SETTING),
        ("trunk", "ResNet-101 of width 1/16, caffe layout",
         "--set segmentation.width=0.0625 --set segmentation.weights={} "
         "--set 'segmentation.blocks=[1,1,2,1]' --set segmentation.layout=caffe"),
    ],
)  # fmt: skip
def test_a_small_file_is_recognised_and_converted(
    name: str, network: str, use: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = NARROW[name]()
    status, report, _ = run(capsys, psa_file(tmp_path, model))
    target = tmp_path / "given.safetensors"
    assert (status, report["network"], report["written"]) == (0, network, str(target))
    assert report["use"] == use.format(target)
    assert report["is"].startswith("none of the published files")
    other = NARROW[name]()
    filled = load_weights(other, target)
    assert report["verified"].startswith(f"{filled} tensors")
    assert all(torch.equal(tensor, other.state_dict()[key]) for key, tensor in model.state_dict().items())
    assert run(capsys, target)[1]["network"] == network


def test_an_imagenet_file_of_mxnet_is_recognised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from mxnet_files import mxnet_names, params_file, random_state

    state = random_state(ResNet38(width=1 / 64))
    path = params_file(tmp_path, {theirs: state[ours] for theirs, ours in mxnet_names().items()})
    status, report, _ = run(capsys, path, "--output", tmp_path / "ours.safetensors")
    assert (status, report["network"]) == (0, "ResNet-38 of width 1/64")
    assert report["verified"].startswith("191 tensors")
    backbone = ResNet38(width=1 / 64)
    load_weights(backbone, tmp_path / "ours.safetensors")
    np.testing.assert_array_equal(backbone.bn7.running_var, state["bn7.running_var"])


def test_a_resnet50_tells_what_to_set_and_remembers_its_origin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(resnet.ResNet(resnet.Bottleneck, [3, 4, 6, 3]).state_dict(), tmp_path / "renamed.pth")
    assert run(capsys, tmp_path / "renamed.pth")[1]["is"].startswith("none of the published files")
    (tmp_path / "renamed.safetensors").unlink()
    monkeypatch.setattr("companion.weights.recognition.file_digest", lambda path, kind: "0676ba61" + "0" * 56)
    _, report, _ = run(capsys, tmp_path / "renamed.pth")
    assert report["is"] == "resnet50-imagenet-v1"
    assert report["use"] == f"--set backbone.network=resnet50 --set backbone.weights={tmp_path}/renamed.safetensors"
    assert "76.130 %" in report["expected"] and "BSD" in report["licence"]
    again = run(capsys, tmp_path / "renamed.safetensors")[1]
    assert (again["is"], again["written"]) == ("resnet50-imagenet-v1", "nothing, the file is one of ours")


def test_layout_of_a_converted_resnet101_is_kept_and_compared(tmp_path: Path) -> None:
    theirs = resnet.ResNet(resnet.Bottleneck, [1, 1, 1, 1])
    torch.save(theirs.state_dict(), tmp_path / "resnet.pth")
    assert cli.main(["weights", "import", str(tmp_path / "resnet.pth")]) == 0
    with safe_open(tmp_path / "resnet.safetensors", framework="pt") as file:
        assert file.metadata() == {"layout": "torchvision"}
    load_weights(ResNet101((1, 1, 1, 1), layout="torchvision"), tmp_path / "resnet.safetensors")
    with pytest.raises(ValueError, match=r"holds weights of layout 'torchvision', expected 'caffe'"):
        load_weights(ResNet101((1, 1, 1, 1)), tmp_path / "resnet.safetensors")


@pytest.mark.slow
def test_the_released_classifier_at_full_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = json.loads((GOLDEN / "a_resnet38d_keys.json").read_text())
    facts = next(value for key, value in keys.items() if "nb=0" in key)
    tensors = {name: torch.zeros(()).expand(tuple(shape)) for name, shape in facts["keys"]}  # hardly a byte on disk
    torch.save(tensors, tmp_path / "res38_cls.pth")
    status, report, _ = run(capsys, tmp_path / "res38_cls.pth")
    assert status == 0 and report["is"].startswith("psa-classifier, by its tensors; no checksum")
    assert "47.7 on VOC 2012 train" in report["expected"] and "MIT" in report["licence"]
    assert report["use"] == f"--set classifier.weights={tmp_path}/res38_cls.safetensors"


# --- Files that are refused -------------------------------------------------------------------------------------------


class Payload:
    """An object whose unpickling would create a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.folder),)


def test_hostile_files_are_refused_without_running_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.pth").write_bytes(pickle.dumps({"conv1a.weight": Payload(tmp_path / "executed")}, 2))
    status, _, error = run(capsys, tmp_path / "bad.pth")
    assert status == 2 and "bad.pth was refused" in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.pth"]


def test_unknown_files_are_told_what_was_looked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(resnet.resnet18(weights=None).state_dict(), tmp_path / "resnet18.pth")
    status, _, error = run(capsys, tmp_path / "resnet18.pth")
    assert status == 2
    for part in ("resnet18.pth is of no known kind", "'bn7.weight'", "'fc8_200.weight'", "Found 122 tensors: conv1.w"):
        assert part in error
    wide = {"bn7.weight": (4097,)}
    assert identify(wide) is None and identify({"bn7.weight": ()}) is None and identify({}) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"bn7.running_var": torch.full((64,), float("nan"))},
            "1 tensors hold numbers that are not finite: b",
        ),
        ({"b4.conv_branch2a.weight": torch.zeros(8, 8, 1, 1)}, "1 of another shape"),
        ({"surplus.weight": torch.zeros(3)}, "1 unknown to the model: surplus.weight"),
    ],
)
def test_damaged_files_are_refused_and_leave_nothing(
    changes: dict[str, Tensor], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = psa_file(tmp_path, NARROW["classifier"](), **changes)
    status, _, error = run(capsys, file)
    assert status == 2 and message in error
    assert [path.name for path in tmp_path.iterdir()] == ["given.pth"]


def test_incomplete_and_cut_files_are_refused(tmp_path: Path) -> None:
    file = psa_file(tmp_path, NARROW["classifier"]())
    tensors = torch.load(file, weights_only=True)
    del tensors["b5.bn_branch2a.running_mean"]
    torch.save(tensors, file)
    with pytest.raises(ValueError, match=r"1 missing in the file: b5\.bn_branch2a\.running_mean"):
        recognise(file)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match="was refused: it is damaged"):
        recognise(file)
    (tmp_path / "init.caffemodel").write_bytes(b"")
    with pytest.raises(ValueError, match=r"expected \.params, \.pth or \.safetensors; convert\.py of deeplab-pytorch"):
        recognise(tmp_path / "init.caffemodel")
    with pytest.raises(FileNotFoundError, match=r"none\.pth does not exist"):
        recognise(tmp_path / "none.pth")


@pytest.mark.parametrize("name", [entry.files[0] for entry in WEIGHT_FILES if entry.sha256])
def test_a_known_name_with_other_bytes_is_refused(name: str, tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / name)
    with pytest.raises(ValueError, match=f"SHA-256 .*, expected {name.split('-')[1][:8]}; download it again"):
        load_weights(ResNet50(), tmp_path / name)


def test_output_never_replaces_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = psa_file(tmp_path, NARROW["backbone"]())
    save_weights(nn.Linear(1, 1), tmp_path / "given.safetensors")
    before = (tmp_path / "given.safetensors").read_bytes()
    for arguments, message in (
        ((), "given.safetensors exists already"),
        (("--output", tmp_path / "given.bin"), "ends in .safetensors"),
        (("--output", tmp_path / "no" / "x.safetensors"), "there is no folder"),
    ):
        status, _, error = run(capsys, file, *arguments)
        assert status == 2 and message in error
    assert (tmp_path / "given.safetensors").read_bytes() == before


def test_list_is_an_aligned_table_of_every_entry(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["weights", "list"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [entry.name for entry in WEIGHT_FILES]
    for column in ("CHECKSUM", "INPUT", "USE", "EXPECTED", "LICENCE", "SOURCE"):
        start = header.index(column)
        assert all(line[start - 2 : start] == "  " and line[start] != " " for line in lines), column
