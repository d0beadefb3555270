"""The formulas behind the inputs and weights of the golden vectors; see golden/README.md."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn


def u01(stream: int, count: int) -> np.ndarray:
    """`count` float64 numbers in [-1, 1) of a stream, from integer arithmetic alone."""
    mask = np.uint64(0xFFFFFFFF)
    x = np.arange(count, dtype=np.uint64)
    x *= np.uint64(2654435761)
    x += np.uint64(stream + 1) * np.uint64(2246822519)
    x &= mask
    for shift, factor in ((15, 2246822519), (13, 3266489917)):
        x ^= x >> np.uint64(shift)
        x *= np.uint64(factor)
        x &= mask
    x ^= x >> np.uint64(16)
    return x.astype(np.float64) / 2147483648.0 - 1.0


def published_name(name: str) -> str:
    """Our name of a tensor as the published code has it: the backbone at the top level."""
    return name.removeprefix("backbone.")


def fill_weights(model: nn.Module, published: Callable[[str], str] = published_name) -> None:
    """Fill a model by formula; the order of the published names decides each tensor's stream."""
    state = model.state_dict()
    norms = {f"{path}.weight" for path, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)}
    for stream, name in enumerate(sorted(state, key=published)):
        tensor = state[name]
        values = _values(name, u01(stream, tensor.numel()), tensor.shape, name in norms)
        tensor.copy_(torch.from_numpy(values.reshape(tuple(tensor.shape)).astype(np.float32)))


def _values(name: str, u: np.ndarray, shape: torch.Size, is_norm: bool) -> np.ndarray:
    if name.endswith("num_batches_tracked"):
        return np.zeros_like(u)
    if name.endswith("running_mean"):
        return 0.05 * u
    if name.endswith("running_var"):
        return 1 + 0.2 * np.abs(u)
    if name.endswith("bias"):
        return 0.1 * u
    if is_norm:
        return 1 + 0.1 * u
    assert len(shape) == 4, name
    u *= np.sqrt(3)
    u *= np.sqrt(1 / (shape[1] * shape[2] * shape[3]))
    return u


def f_input(channels: int, height: int, width: int, stream: int) -> np.ndarray:
    """A float32 feature map or normalised image `(1, c, h, w)`."""
    c, y, x = np.ogrid[:channels, :height, :width]
    noise = u01(stream, channels * height * width).reshape(channels, height, width)
    return (np.sin(0.05 * y + 0.9 * c) * np.cos(0.07 * x) + 0.5 * noise).astype(np.float32)[None]


def f_image(height: int, width: int, stream: int) -> np.ndarray:
    """A uint8 RGB image `(h, w, 3)`."""
    y, x, c = np.ogrid[:height, :width, :3]
    noise = u01(stream, height * width * 3).reshape(height, width, 3)
    wave = np.sin(0.11 * y + 1.3 * c) * np.cos(0.09 * x - 0.4 * c)
    return np.clip(np.rint(127.5 + 90 * wave + 25 * noise), 0, 255).astype(np.uint8)


def f_labels(height: int, width: int, classes: int, stream: int, ignore: bool) -> np.ndarray:
    """An int64 label map `(h, w)`, with 255 in a tenth of the pixels where `ignore` is set."""
    y, x = np.ogrid[:height, :width]
    labels = ((y // 5) * 3 + (x // 7) * 5) % classes
    if ignore:
        labels[u01(stream, height * width).reshape(height, width) > 0.9] = 255
    return labels
