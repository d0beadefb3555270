"""Stage `backbone`: the weights that classifier and AffinityNet start from.

At paper scale they are converted from a file of ImageNet weights (thesis 2.4.1, 3.4.1): ResNet-38's, torchvision's
ResNet-50 for the variant of that name, or those of a network of timm. The demo has no ImageNet: its narrow ResNet-38
was trained once on a generated pretext task, one blob an image whose shape, texture and hue are told apart, and its
weights come with the package (`companion.datasets.demo.weights`). Any other width is trained when it is asked for.
"""

import functools
import json
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from companion.datasets.demo import weights as packaged
from companion.datasets.demo.pretext import VOCABULARY, pretext_images
from companion.pipeline import artefacts
from companion.pipeline.store import Job, Stage, absolute_path, without_file
from companion.pipeline.training import train_stage
from companion.settings import BackboneSettings, Machine, PretextSettings, Settings, SettingsError
from thesislib import randomness
from thesislib.data.transforms import to_tensor
from thesislib.models import published as registry
from thesislib.models.resnet38 import BasicBlock, BottleneckBlock, ResNet38
from thesislib.models.resnet50 import ResNet50
from thesislib.models.timm_backbone import PREFIX, TimmBackbone
from thesislib.models.timm_weights import LITE0, LITE0_SHA256, download, packaged_lite0, published_name, read_lite0
from thesislib.models.weights import file_digest, load_weights, read_tensors, save_weights

VERSION = 1
HELD_OUT = 256  # pretext images for the accuracy, after those that are trained on
INITIAL_WEIGHTS = {
    "resnet38": registry.where("resnet38-imagenet"),
    "resnet50": registry.where("resnet50-imagenet-v1"),
}
"""Which file is meant, by `backbone.network`."""
DOWNLOAD = "timm"  # as backbone.weights: timm's own weights of its network
PRETEXT = "pretext"  # as backbone.weights: trained on the pretext task, though the package has weights
Network = ResNet38 | ResNet50 | TimmBackbone
PRETEXT_TARGETS = dict(zip(("shape", "texture", "hue"), map(len, VOCABULARY), strict=True))


def stage(settings: Settings, machine: Machine) -> Stage:
    """The initial weights of `settings.backbone`: a file's, the package's, or those of the pretext task.

    Binding it raises `SettingsError` where the weight file does not exist or is that of another network, settings that
    need a file name none, timm lacks the network or its stride, or the package of weights is not installed.
    """
    backbone = settings.backbone
    given = backbone.weights
    timm = backbone.network.startswith(PREFIX)
    if given == PRETEXT:
        return _pretext_stage(settings, machine)
    if timm or given or settings.data.source == "folder" or backbone.network != "resnet38":
        chosen = {"backbone": without_file(backbone)}
        compute, read = (compute_timm, _read_timm) if timm else (compute_converted, _read_weights)
        file = absolute_path("" if timm and given == DOWNLOAD else given)
        return Stage("backbone", VERSION, compute, chosen, machine=machine, file=file, reads=partial(read, given))
    if backbone.width != packaged.WIDTH:
        return _pretext_stage(settings, machine)
    file = str(packaged.FILE)
    chosen, reads = {"backbone": without_file(backbone)}, partial(_read_weights, file)
    return Stage("backbone", VERSION, compute_converted, chosen, machine=machine, file=file, reads=reads)


def _pretext_stage(settings: Settings, machine: Machine) -> Stage:
    chosen = {"backbone": without_file(settings.backbone), "pretext": settings.pretext}
    return Stage("backbone", VERSION, compute_pretext, chosen, machine=machine, label="pretext task")


def _read_weights(given: str, stage: Stage) -> dict[str, str]:
    network = stage.settings["backbone"].network
    if not given:
        raise SettingsError(
            f"backbone.weights is empty: give the file of ImageNet weights of {registry.NETWORKS[network]} "
            f"({INITIAL_WEIGHTS[network]}), take backbone.network={PREFIX}{LITE0}, whose weights are installed, or "
            "choose preset 'demo' with the network 'resnet38', which has data.source=generated: its weights come "
            "with the package, also where --data-root names a folder"
        )
    read = read_file(given, stage)
    _check_file(stage.file, read["checksum"], stage.settings["backbone"])
    return read


@functools.lru_cache(maxsize=8)
def _check_file(file: str, checksum: str, backbone: BackboneSettings) -> None:
    """A file that does not fit is found here, before anything is computed."""
    with torch.device("meta"):  # shapes without numbers
        model = build(backbone)
    try:
        load_weights(model, file, heads=False)
    except ValueError as error:
        raise SettingsError(f"backbone.weights: {error} `thesis weights import` tells what a file is.") from error


def build(settings: BackboneSettings) -> Network:
    """The network of these settings, to be filled with weights."""
    if settings.network.startswith(PREFIX):
        return TimmBackbone(settings.network.removeprefix(PREFIX), stride=settings.stride)
    if settings.network == "resnet50":
        return ResNet50(stride=settings.stride, dilations=settings.dilations)
    return ResNet38(settings.width, stride=settings.stride, dilations=settings.dilations, dropout=settings.dropout)


def _read_timm(given: str, stage: Stage) -> dict[str, str]:
    """What stands in keys for weights of a network of timm: a checksum, or the name of those that timm downloads."""
    network, stride = stage.settings["backbone"].network, stage.settings["backbone"].stride
    name = network.removeprefix(PREFIX)
    try:
        _check_timm(name, stride)
        if given == DOWNLOAD:
            return {"checksum": published_name(name)}
        if not given and name == LITE0:
            packaged_lite0()
            return {"checksum": LITE0_SHA256}
    except (ValueError, OSError) as error:
        raise SettingsError(f"backbone.network = {network!r}: {error}") from error
    if not given:
        raise SettingsError(
            f"backbone.weights is empty: the installation has weights of {PREFIX}{LITE0} alone; for "
            f"{network} set backbone.weights to {DOWNLOAD!r} (downloaded by timm) or to a file"
        )
    read = read_file(given, stage)
    _check_timm_file(name, stride, read["checksum"], stage.file)
    return read


@functools.lru_cache(maxsize=8)
def _check_timm(name: str, stride: int) -> None:
    with torch.device("meta"):  # shapes without numbers
        TimmBackbone(name, stride=stride)


@functools.lru_cache(maxsize=8)
def _check_timm_file(name: str, stride: int, checksum: str, file: str) -> None:
    try:
        _timm_network(name, stride, checksum, file)
    except ValueError as error:
        raise SettingsError(f"backbone.weights: {file}: {error}") from error


def _timm_network(name: str, stride: int, checksum: str, file: str) -> TimmBackbone:
    """A network of timm with its weights from a file: the package's, timm's own, or ours, already folded."""
    if checksum == LITE0_SHA256 and name == LITE0:
        return TimmBackbone(name, stride=stride, tensors=read_lite0(Path(file) if file else packaged_lite0()))
    if not file:
        return TimmBackbone(name, stride=stride, tensors=download(name))
    tensors = read_tensors(file)
    if any(key.startswith("network.") for key in tensors):
        model = TimmBackbone(name, stride=stride)
        load_weights(model, file, heads=False)
        return model
    return TimmBackbone(name, stride=stride, tensors=tensors)


def initial_weights(network: str) -> str:
    """Which file is meant by `backbone.weights`, in words."""
    if network.startswith(PREFIX):
        return f"a file of timm's, or {DOWNLOAD!r}, or empty for those of {PREFIX}{LITE0} that are installed"
    return INITIAL_WEIGHTS[network]


def read_file(given: str, stage: Stage) -> dict[str, str]:
    """The checksum (SHA-256) of a stage's weight file, which stands for the file in its key.

    Args:
        given: its path in the user's words.
        stage: the stage; its `file` is the path from any working directory.

    Raises:
        SettingsError: there is no such file.
    """
    if not Path(stage.file).is_file():
        raise SettingsError(f"no weight file {given}: give the path of an existing .params, .pth or .safetensors file")
    state = Path(stage.file).stat()
    return {"checksum": _checksum(stage.file, state.st_mtime_ns, state.st_size)}


@functools.lru_cache(maxsize=8)
def _checksum(path: str, changed: int, size: int) -> str:
    """Every stage of a plan asks for the file's; published files have hundreds of megabytes."""
    return file_digest(Path(path), "sha256")


def compute_converted(job: Job, backbone: BackboneSettings, checksum: str) -> None:
    """Convert a published weight file; every tensor of the network must be in it."""
    model = build(backbone)
    load_weights(model, job.file, heads=False)
    save_weights(model, job.folder / artefacts.BACKBONE_WEIGHTS)


def compute_timm(job: Job, backbone: BackboneSettings, checksum: str) -> None:
    """The weights of a network of timm with BatchNorm folded."""
    model = _timm_network(backbone.network.removeprefix(PREFIX), backbone.stride, checksum, job.file)
    save_weights(model, job.folder / artefacts.BACKBONE_WEIGHTS)


class PretextNetwork(nn.Module):
    """Backbone, global average pooling and one softmax head for each of shape, texture and hue."""

    def __init__(self, backbone: Network) -> None:
        super().__init__()
        self.backbone = backbone
        self.heads = nn.ModuleList(nn.Linear(backbone.channels, n) for n in PRETEXT_TARGETS.values())

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b n"]]:
        pooled = self.backbone.features(images).mean((2, 3))
        return [head(pooled) for head in self.heads]


class _PretextImages(Dataset):
    def __init__(self, settings: PretextSettings) -> None:
        count = settings.images + HELD_OUT
        self.images, self.targets = pretext_images(count, settings.data_seed, settings.image_size)
        self.seed = settings.data_seed

    def __getitem__(self, address: tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, index = address
        mirrored = randomness.generator(self.seed, randomness.AUGMENTATION, epoch, index).random() < 0.5
        image = self.images[index][:, ::-1] if mirrored else self.images[index]
        return to_tensor(np.ascontiguousarray(image)), torch.from_numpy(self.targets[index])


def compute_pretext(job: Job, backbone: BackboneSettings, pretext: PretextSettings) -> None:
    """Train on the pretext task and keep the backbone; the accuracy on held-out images is recorded."""
    torch.manual_seed(pretext.data_seed)
    # Without dropout, and with blocks that begin as the identity, 38 narrow layers learn in a minute.
    network = build(backbone.model_copy(update={"dropout": 0.0}))
    _start_as_identity(network)
    model = PretextNetwork(network)
    dataset = _PretextImages(pretext)
    one_rate = pretext.model_copy(update={"new_layer_factor": 1.0})  # all layers are new
    train_stage(job, model, dataset, pretext.images, _pretext_objective, one_rate, pretext.data_seed)
    accuracy = _accuracy(model.cpu(), dataset)
    (job.folder / artefacts.PRETEXT_ACCURACY).write_text(json.dumps(accuracy, indent=1), encoding="utf-8")
    save_weights(model.backbone, job.folder / artefacts.BACKBONE_WEIGHTS)


def _pretext_objective(model: nn.Module, batch: list[Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
    images, targets = batch
    scores = model(images)
    return {
        name: F.cross_entropy(score, target.long())
        for name, score, target in zip(PRETEXT_TARGETS, scores, targets.T, strict=True)
    }


def _start_as_identity(network: Network) -> None:
    """He initialisation, but zeros in the last convolution of each block (Goyal et al., 2017, section 5.1)."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    for block in network.children():
        if isinstance(block, BasicBlock):
            nn.init.zeros_(block.conv_branch2b1.weight)
        elif isinstance(block, BottleneckBlock):
            nn.init.zeros_(block.conv_branch2b2.weight)


@torch.no_grad()
def _accuracy(model: PretextNetwork, dataset: _PretextImages) -> dict[str, float]:
    images = torch.stack([to_tensor(image) for image in dataset.images[-HELD_OUT:]])
    targets = torch.from_numpy(dataset.targets[-HELD_OUT:])
    scores = model(images)
    return {
        name: (score.argmax(1) == target).float().mean().item()
        for name, score, target in zip(PRETEXT_TARGETS, scores, targets.T, strict=True)
    }
