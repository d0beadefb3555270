"""BatchNorm whose statistics are fixed, folded into the convolution in front of it.

Both published trainings that start from ImageNet keep BatchNorm in evaluation mode (psa, SC-CAM): it is then a factor
and a shift of each channel, which weight and bias of the convolution can hold. The numbers stay the same to rounding;
`benchmarks/cpu_tricks.py` measures the gain.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def followers(network: nn.Module, run: Callable[[], object]) -> list[tuple[nn.Conv2d, str]]:
    """Convolutions with the name of the BatchNorm that gets their output, as `run`, a forward pass, shows it."""
    outputs: dict[int, tuple[nn.Conv2d, Tensor]] = {}  # the tensor is kept, so that its number is not given twice
    pairs: list[tuple[nn.Conv2d, str]] = []
    handles = []

    def remember(conv: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(conv, nn.Conv2d):
            outputs[id(output)] = conv, output

    def find(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(norm: nn.Module, args: tuple[Tensor, ...]) -> None:
            if id(args[0]) in outputs:
                pairs.append((outputs[id(args[0])][0], name))

        return hook

    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d):
            handles.append(layer.register_forward_hook(remember))
        elif isinstance(layer, nn.BatchNorm2d):
            handles.append(layer.register_forward_pre_hook(find(name)))
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return pairs


def fold(network: nn.Module, run: Callable[[], object]) -> list[nn.Conv2d]:
    """Replace each BatchNorm behind a convolution by its activation, in place; returns these convolutions."""
    pairs = followers(network, run)
    for conv, name in pairs:
        norm = network.get_submodule(name)
        if not isinstance(norm, nn.BatchNorm2d):
            raise TypeError(f"{name} is no BatchNorm")
        _fold_into(conv, norm)
        network.set_submodule(name, getattr(norm, "act", nn.Identity()))  # timm's holds its activation
    return [conv for conv, _ in pairs]


@torch.no_grad()
def _fold_into(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    if norm.running_var is None or norm.running_mean is None:
        raise ValueError("BatchNorm without running statistics cannot be folded")
    factor = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    before = 0 if conv.bias is None else conv.bias.double()
    bias = norm.bias.double() + (before - norm.running_mean.double()) * factor
    conv.weight.copy_(conv.weight.double() * factor[:, None, None, None])
    conv.bias = nn.Parameter(bias.to(conv.weight.dtype))
