"""What a weight file is, told by its tensors: which network it fills, and which published file it is.

Serves `thesis weights import`. Corresponds to no published code: psa, SC-CAM and deeplab-pytorch load what they are
given without a check. A file's name decides nothing but which of several equal candidates is meant.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from torch import nn

from thesislib.models.affinitynet import AffinityNet
from thesislib.models.classifier import CamClassifier
from thesislib.models.deeplab import DeepLabV2, Layout, ResNet101
from thesislib.models.mxnet import mxnet_to_resnet38
from thesislib.models.published import WEIGHT_FILES, Network, WeightFile
from thesislib.models.resnet38 import ResNet38
from thesislib.models.resnet50 import ResNet50
from thesislib.models.weights import file_digest, load_weights, read_about, read_tensors, released_to_ours

Shapes = Mapping[str, tuple[int, ...]]

_RESNET50 = (3, 4, 6, 3)
_LISTED = 8  # names in an error
LOOKED_FOR = (
    "ResNet-38 of ademxapp, psa or SC-CAM ('arg:conv1a_weight' or 'b2.conv_branch2a.weight' to 'bn7.weight'), its "
    "classifiers ('fc8.weight', 'fc8_20.weight', 'fc8_200.weight') and AffinityNet ('f9.weight'), ResNet-50 and "
    "ResNet-101 of torchvision ('layer1.0.conv1.weight', 'layer1.0.conv3.weight'), ResNet-101 and DeepLab-v2 of "
    "deeplab-pytorch ('layer2.block1.reduce.conv.weight', 'aspp.c0.weight')"
)


class Recognised(NamedTuple):
    """A file that is whole and fills a network.

    Attributes:
        network: what it fills.
        origins: the published files that it can be; none where it is none of them.
        certain: whether a checksum or the file's own record says so.
        model: the filled network, in evaluation mode.
        tensors: how many the file fills, batch counters left out.
    """

    network: Network
    origins: tuple[WeightFile, ...]
    certain: bool
    model: nn.Module
    tensors: int


def recognise(path: str | Path) -> Recognised:
    """Read a weight file, tell what it is, and verify it: every tensor of the network filled with finite numbers.

    Raises:
        FileNotFoundError: no such file.
        ValueError: unreadable, unsafe, unknown or incomplete file, a wrong checksum, or numbers that are not finite.
    """
    path = Path(path)
    shapes = {name: tuple(tensor.shape) for name, tensor in read_tensors(path).items()}
    about = read_about(path)
    network = identify(_ours(shapes))
    if network is None:
        some = ", ".join([*shapes][:_LISTED]) + (", ..." if len(shapes) > _LISTED else "")
        raise ValueError(f"{path} is of no known kind. Looked for: {LOOKED_FOR}. Found {len(shapes)} tensors: {some}")
    if network.trunk == "ResNet-101" and path.suffix == ".safetensors":
        network = replace(network, layout=about.get("layout", ""))  # our names are the same for both
    model = build(network).eval()
    tensors = load_weights(model, path)
    origins, certain = _origins(path, network, about.get("name", ""))
    return Recognised(network, origins, certain, model, tensors)


def identify(shapes: Shapes) -> Network | None:
    """The network that tensors of these names (ours or torchvision's) and shapes belong to, None for any other.

    >>> print(identify({"bn7.weight": (64,), "fc8.weight": (20, 64, 1, 1)}))
    classifier on ResNet-38 of width 1/64 with 20 classes
    """
    trunk = _trunk(shapes)
    if trunk is None or not 0 < trunk.width <= 1:
        return None
    if "fc8.weight" in shapes:
        classes = _rows(shapes, "fc8.weight")
        return replace(
            trunk,
            head="classifier",
            classes=classes,
            subcategories=_rows(shapes, "fc8_sub.weight") // max(1, classes),
            feature_channels=_rows(shapes, "conv_features.weight"),
        )
    if "f9.weight" in shapes:
        return replace(trunk, head="AffinityNet")
    if "aspp.c0.weight" in shapes:
        rates = sum(re.fullmatch(r"aspp\.c\d+\.weight", name) is not None for name in shapes)
        return replace(trunk, head="DeepLab-v2", classes=_rows(shapes, "aspp.c0.weight"), rates=rates)
    return trunk


def build(network: Network) -> nn.Module:
    """A network of this kind, to be filled; what its tensors do not tell (stride, dilations) is as published."""
    if network.trunk == "ResNet-101":
        layout: Layout = "torchvision" if network.layout == "torchvision" else "caffe"
        trunk = ResNet101(network.blocks, network.width, layout=layout)
        return DeepLabV2(trunk, network.classes, rates=(1,) * network.rates) if network.head else trunk
    backbone = ResNet50() if network.trunk == "ResNet-50" else ResNet38(network.width)
    if network.head == "classifier":
        features = network.feature_channels
        return CamClassifier(backbone, network.classes, network.subcategories, feature_channels=features)
    return AffinityNet(backbone) if network.head else backbone


def _trunk(shapes: Shapes) -> Network | None:
    if "bn7.weight" in shapes:
        return Network("ResNet-38", width=_rows(shapes, "bn7.weight") / 4096)
    if "layer1.0.conv3.weight" in shapes:
        blocks = _blocks(shapes, r"layer{}\.\d+\.conv3\.weight", 1)
        if blocks == _RESNET50:
            return Network("ResNet-50")
        width = _rows(shapes, "layer4.0.conv3.weight") / 2048
        return Network("ResNet-101", width=width, blocks=blocks, layout="torchvision")
    if "layer2.block1.increase.conv.weight" in shapes:
        width = _rows(shapes, "layer5.block1.increase.conv.weight") / 2048
        blocks = _blocks(shapes, r"layer{}\.block\d+\.increase\.conv\.weight", 2)
        return Network("ResNet-101", width=width, blocks=blocks, layout="caffe")
    return None


def _blocks(shapes: Shapes, pattern: str, first: int) -> tuple[int, int, int, int]:
    """How many blocks each of the four stages of a ResNet has."""
    counts = [
        sum(re.fullmatch(pattern.format(stage), name) is not None for name in shapes)
        for stage in range(first, first + 4)
    ]
    return counts[0], counts[1], counts[2], counts[3]


def _rows(shapes: Shapes, name: str) -> int:
    """First extent of a tensor; 0 where it is missing or a scalar."""
    return (*shapes.get(name, ()), 0)[0]


def _ours(shapes: Shapes) -> Shapes:
    """The same under our names: MXNet's and psa's renamed, torchvision's as they are."""
    renamed = {}
    for name, shape in shapes.items():
        try:
            ours = mxnet_to_resnet38(name)
        except ValueError:
            ours = released_to_ours(name).removeprefix("backbone.")
        if ours:
            renamed[ours] = shape
    return renamed


def _origins(path: Path, network: Network, name: str) -> tuple[tuple[WeightFile, ...], bool]:
    """Which published files this can be, and whether that is certain; see `Recognised`."""
    candidates = [entry for entry in WEIGHT_FILES if entry.network == network]
    if path.suffix == ".safetensors":  # not published as such: what it was converted from is written in it, or nowhere
        return tuple(entry for entry in candidates if entry.name == name), True
    for entry in candidates:
        if entry.md5 and file_digest(path, "md5") == entry.md5:
            return (entry,), True
        if entry.sha256 and file_digest(path, "sha256").startswith(entry.sha256):
            return (entry,), True
    unsigned = [entry for entry in candidates if not (entry.md5 or entry.sha256)]
    return tuple([entry for entry in unsigned if path.name in entry.files] or unsigned), False
