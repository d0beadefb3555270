"""Weight files: MXNet's ImageNet weights, the released PyTorch files, torchvision's, and our own.

Serves the initialisation that thesis sections 2.4.1 and 3.4.1 start from. Corresponds to
`network/resnet38d.py::convert_mxnet_to_torch` and the `load_state_dict` calls of jiwoon-ahn/psa, Juliachang/SC-CAM
and kazuto1011/deeplab-pytorch.

Deliberate differences: `.params` files are read with NumPy alone; what a file does not fill is an error (the
published code loads non-strictly); pickles are opened with `weights_only=True`; our own files are safetensors.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, TypeGuard

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from thesislib.files import write_whole
from thesislib.models import published as registry
from thesislib.models.mxnet import mxnet_to_resnet38, read_mxnet_params

_LISTED = 20  # names per kind of problem in an error


def released_to_ours(name: str) -> str:
    """Our name of a tensor in a released `.pth` file: psa's single head, SC-CAM's two heads, deeplab-pytorch.

    >>> released_to_ours("module.fc8_20.weight"), released_to_ours("fc8_200.weight")
    ('fc8.weight', 'fc8_sub.weight')
    >>> released_to_ours("base.aspp.c0.bias")
    'aspp.c0.bias'
    """
    name = name.removeprefix("module.").removeprefix("base.")
    return {"fc8_20.weight": "fc8.weight", "fc8_200.weight": "fc8_sub.weight"}.get(name, name)


_TORCHVISION_BLOCK = re.compile(r"layer([1-4])\.([0-9]+)\.(.+)\.(\w+)")
_TORCHVISION_LAYERS = {
    "conv1": "reduce.conv",
    "bn1": "reduce.bn",
    "conv2": "conv3x3.conv",
    "bn2": "conv3x3.bn",
    "conv3": "increase.conv",
    "bn3": "increase.bn",
    "downsample.0": "shortcut.conv",
    "downsample.1": "shortcut.bn",
}


def torchvision_to_resnet101(name: str) -> str | None:
    """Our name of a tensor of torchvision's ResNet-101; None for its 1000-class layer.

    >>> torchvision_to_resnet101("layer1.0.bn2.weight"), torchvision_to_resnet101("layer4.0.downsample.0.weight")
    ('layer2.block1.conv3x3.bn.weight', 'layer5.block1.shortcut.conv.weight')

    Raises:
        ValueError: the name is none of torchvision's.
    """
    if name in ("fc.weight", "fc.bias"):
        return None
    layer, _, tensor = name.rpartition(".")
    if layer in ("conv1", "bn1"):
        return f"layer1.conv1.{layer[:-1]}.{tensor}"
    if (match := _TORCHVISION_BLOCK.fullmatch(name)) and match[3] in _TORCHVISION_LAYERS:
        return f"layer{int(match[1]) + 1}.block{int(match[2]) + 1}.{_TORCHVISION_LAYERS[match[3]]}.{tensor}"
    raise ValueError(
        f"{name!r} is no tensor of torchvision's ResNet-101; expected names such as 'layer1.0.conv1.weight'. "
        "Build the network with layout='caffe' for weights that deeplab-pytorch published"
    )


def load_weights(model: nn.Module, path: str | Path, *, heads: bool = True) -> int:
    """Fill a model from a `.params`, a released `.pth` or one of our `.safetensors` files, or leave it untouched.

    Args:
        model: a backbone, or a network that holds one as `backbone` (then what lies outside it are its heads).
        path: the file; its ending decides how it is read. For a ResNet-101 of layout `torchvision` or a ResNet-50, a
            `.pth` is torchvision's file.
        heads: True, for inference: the heads must be filled too. False, for initialisation: the backbone alone is
            filled (`.params` files have no heads). A bare backbone ignores the heads of a file.

    Returns:
        The number of tensors filled: 191 for the whole ResNet-38, batch counters left out.

    Raises:
        FileNotFoundError: no such file.
        ValueError: unreadable or unsafe file, wrong checksum of a known file, numbers that are not finite, or a file
            that does not fit: the message lists what is missing, what has another shape, and what the model does not
            have.
    """
    path = _existing(path)
    backbone = getattr(model, "backbone", model)
    # The backbone's names stand at the top level in every released file.
    targets = {name.removeprefix("backbone."): tensor for name, tensor in model.state_dict().items()}
    tensors = {name.removeprefix("backbone."): tensor for name, tensor in _read(path, backbone).items()}
    if not heads or backbone is model:
        blocks = dict(backbone.named_children())
        targets = {name: tensor for name, tensor in targets.items() if name.split(".")[0] in blocks}
        tensors = {name: tensor for name, tensor in tensors.items() if name.split(".")[0] in blocks}
    _check_fit(path, targets, tensors)
    _check_finite(path, tensors)
    with torch.no_grad():
        for name, tensor in tensors.items():
            targets[name].copy_(tensor)
    return sum(not _is_counter(name) for name in tensors)


def num_outputs(path: str | Path, head: str) -> int:
    """Outputs of a bias-free head (`fc8`, `fc8_sub`) in the weight file of a classifier, 0 where it lacks that head.

    Raises:
        FileNotFoundError, ValueError: as `load_weights`.
    """
    tensors = _read(_existing(path), nn.Identity())
    return len(tensors.get(f"{head}.weight", ()))


def save_weights(model: nn.Module, path: str | Path, about: Mapping[str, str] | None = None) -> None:
    """Write all tensors of a model as safetensors; the file appears under its name only when it is whole.

    `about` is kept with them; of it, `layout` is compared with that of the network the file is loaded into.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    content = safetensors.torch.save(tensors, dict(about or {}) or None)
    write_whole(Path(path), lambda file: file.write(content))


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"weight file {path} does not exist; give the path of a downloaded or trained file")
    return path


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """All tensors of a weight file under the names they have in it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: unreadable or unsafe file, an unknown ending, or the wrong checksum of a file with a known name.
    """
    path = _existing(path)
    _check_checksum(path)
    match path.suffix:
        case ".params":
            return {name: torch.from_numpy(array) for name, array in read_mxnet_params(path).items()}
        case ".pth":
            return _unpickle_tensors(path)
        case ".safetensors":
            try:
                return safetensors.torch.load_file(path)
            except SafetensorError as error:
                raise ValueError(f"{path} is not a whole safetensors file ({error}); copy or train it again") from error
    hint = "; convert.py of deeplab-pytorch makes a .pth of it" if path.suffix == ".caffemodel" else ""
    raise ValueError(f"{path}: unknown ending {path.suffix!r}; expected .params, .pth or .safetensors{hint}")


def read_about(path: str | Path) -> dict[str, str]:
    """What `save_weights` kept with the tensors of a whole file; nothing of files that are not ours."""
    if Path(path).suffix != ".safetensors":
        return {}
    with safe_open(path, framework="pt") as file:
        return file.metadata() or {}


def _read(path: Path, backbone: nn.Module) -> dict[str, Tensor]:
    """All tensors of a weight file under our names."""
    layout = getattr(backbone, "layout", "")
    tensors = {name.removeprefix("module."): tensor for name, tensor in read_tensors(path).items()}  # DataParallel's
    match path.suffix:
        case ".params":
            return _renamed(path, tensors, mxnet_to_resnet38)
        case ".pth":
            return _renamed(path, tensors, torchvision_to_resnet101 if layout == "torchvision" else released_to_ours)
    if layout and (written := read_about(path).get("layout", layout)) != layout:
        raise ValueError(f"{path} holds weights of layout {written!r}, expected {layout!r}: set segmentation.layout")
    return tensors


def _renamed(path: Path, tensors: dict[str, Tensor], rename: Callable[[str], str | None]) -> dict[str, Tensor]:
    """The tensors under the names that `rename` gives them, without those it has no name for."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        try:
            ours = rename(name)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        if ours in renamed:
            raise ValueError(f"{path} holds {ours} twice, the second time as {name}; expected each tensor once")
        if ours is not None:
            renamed[ours] = tensor
    return renamed


def _check_checksum(path: Path) -> None:
    entry = registry.named(path.name)
    if entry is None or not (expected := entry.md5 or entry.sha256):
        return
    kind, received = ("MD5", file_digest(path, "md5")) if entry.md5 else ("SHA-256", file_digest(path, "sha256"))
    if not received.startswith(expected):
        raise ValueError(f"{path} has the {kind} {received}, expected {expected}; download it again")


def file_digest(path: Path, kind: Literal["md5", "sha256"]) -> str:
    """Checksum of a file's bytes, as hexadecimal digits; to recognise a file, not to protect against forgery."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()


def _unpickle_tensors(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged or hostile bytes end in many kinds of exception
        raise ValueError(
            f"{path} was refused: it is damaged or holds more than tensors ({type(error).__name__}). "
            "Expected a dictionary of tensors, as the published code writes; download it again from its source."
        ) from error
    return _only_tensors(path, content)


def _only_tensors(path: Path, content: object) -> dict[str, Tensor]:
    """The dictionary of tensors that a file holds: all of it, or its only one beside epochs, optimisers and so on."""
    if _are_tensors(content):
        return content
    entries = content if isinstance(content, dict) else {}
    of_tensors = {str(name): value for name, value in entries.items() if _are_tensors(value)}
    if len(of_tensors) == 1:
        return next(iter(of_tensors.values()))
    held = f"one with {', '.join(map(str, list(entries)[:_LISTED]))}" if entries else type(content).__name__
    remedy = f"; save one of {', '.join(of_tensors)} alone" if of_tensors else ""
    raise ValueError(f"{path}: expected a dictionary of tensors, received {held}{remedy}")


def _are_tensors(content: object) -> TypeGuard[dict[str, Tensor]]:
    return isinstance(content, dict) and bool(content) and all(isinstance(each, Tensor) for each in content.values())


def _is_counter(name: str) -> bool:
    """Whether a tensor is BatchNorm's count of batches: absent in older files, without effect on any output."""
    return name.endswith("num_batches_tracked")


def _check_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    wrong = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if wrong:
        raise ValueError(
            f"{path}: {len(wrong)} tensors hold numbers that are not finite: {', '.join(wrong[:_LISTED])}; the file is "
            "damaged or its training diverged, get it again"
        )


def _check_fit(path: Path, targets: dict[str, Tensor], tensors: dict[str, Tensor]) -> None:
    problems = {
        "missing in the file": [name for name in targets if name not in tensors and not _is_counter(name)],
        "unknown to the model": [name for name in tensors if name not in targets],
        "of another shape (file, model)": [
            f"{name} {tuple(tensor.shape)} {tuple(targets[name].shape)}"
            for name, tensor in tensors.items()
            if name in targets and tensor.shape != targets[name].shape
        ],
    }
    if any(problems.values()):
        listed = [
            f"{len(names)} {kind}: {', '.join(names[:_LISTED])}{', ...' if len(names) > _LISTED else ''}"
            for kind, names in problems.items()
            if names
        ]
        raise ValueError(
            f"{path} does not fit the model. {'; '.join(listed)}. Build the model as the file was trained "
            "(width, layout, number of classes and sub-categories), or load only the backbone with heads=False."
        )
