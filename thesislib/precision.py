"""How a network computes on a device, in training and outside it: memory layout, and bfloat16 where it is asked for.

Thesis 2.4.1 and 3.4.1: one GPU, nothing said of its arithmetic; published code computes in float32 throughout. Under
autocast convolutions and matrix products take and give bfloat16, weights stay float32. What is made of a network's
output is computed in float32: CAM fusion, random walk, softmax and CRF outside of `autocast`, the losses by
`at_least_float32`, the mean distances behind the affinities of cells in `AffinityNet`. A term of the user's own gets
the output as it is.
"""

from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

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


def at_least_float32(tensor: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The tensor in float32 where it has fewer bits, else itself.

    >>> [at_least_float32(torch.ones(1, dtype=t)).dtype for t in (torch.bfloat16, torch.float32, torch.float64)]
    [torch.float32, torch.float32, torch.float64]
    """
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
