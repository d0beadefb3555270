"""How a network computes on a device, in training and outside it: memory layout, and bfloat16 where it is asked for.

Thesis 2.4.1 and 3.4.1: one GPU, nothing said of its arithmetic; published code computes in float32 throughout. Under
autocast convolutions and matrix products take and give bfloat16, weights stay float32. What is made of a network's
output (CAM fusion, random walk, softmax, CRF) is computed in float32, outside of `autocast`.
"""

from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def place(model: Network, device: str) -> Network:
    """Move a network to the device, on a GPU in the layout in which its convolutions are fastest."""
    model.to(device)
    if device.startswith("cuda"):
        model.to(memory_format=torch.channels_last)  # on a CPU its backward pass crashed with torch 2.13 and 2.15
    return model


def autocast(device: str | torch.device, precision: str) -> torch.autocast:
    """The context of a forward pass on that device.

    Args:
        device: of the network.
        precision: `fp32`, which changes nothing, or `bf16`; outputs may then be bfloat16.

    >>> layer, x = nn.Linear(2, 2), torch.ones(1, 2)
    >>> with autocast("cpu", "bf16"):
    ...     layer(x).dtype, layer.weight.dtype
    (torch.bfloat16, torch.float32)
    """
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16")
