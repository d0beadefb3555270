"""Dilated depthwise convolutions on a processor: the same numbers from plain ones on interleaved sub-grids.

Not in the thesis. A convolution of dilation d only ever mixes cells whose rows and columns are equal modulo d: each of
these d x d sub-grids is an image of its own to a convolution without dilation (space-to-batch), whose gradient
processors have fast code for. A training step of EfficientNet-Lite0 with its early stages frozen takes 17 instead of
20 ms an image; the forward pass alone would be a tenth slower, so it stays as it is (`benchmarks/cpu_tricks.py`).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class SubgridConv2d(nn.Conv2d):
    """A depthwise convolution of odd kernel, stride 1 and equal dilations that keeps the size."""

    @classmethod
    def of(cls, conv: nn.Conv2d) -> "SubgridConv2d":
        """The same convolution; it shares the parameters."""
        made = cls(
            conv.in_channels,
            conv.out_channels,
            (conv.kernel_size[0], conv.kernel_size[1]),
            padding=(conv.padding[0], conv.padding[1]) if not isinstance(conv.padding, str) else conv.padding,
            dilation=(conv.dilation[0], conv.dilation[1]),
            groups=conv.groups,
            bias=conv.bias is not None,
            device="meta",
        )
        made.weight, made.bias = conv.weight, conv.bias
        return made

    def forward(self, maps: Float[Tensor, "b d h w"]) -> Float[Tensor, "b d h w"]:
        """As `nn.Conv2d`; GPUs have code of their own for dilations."""
        if maps.device.type != "cpu" or not torch.is_grad_enabled():
            return super().forward(maps)
        (batch, channels, height, width), dilation = maps.shape, self.dilation[0]
        # Zeros behind the edge are what the convolution would have found there.
        maps = F.pad(maps, (0, -width % dilation, 0, -height % dilation))
        rows, columns = maps.shape[2] // dilation, maps.shape[3] // dilation
        grids = maps.view(batch, channels, rows, dilation, columns, dilation).permute(0, 3, 5, 1, 2, 4)
        padding = self.kernel_size[0] // 2, self.kernel_size[1] // 2
        mixed = F.conv2d(
            grids.reshape(-1, channels, rows, columns), self.weight, self.bias, padding=padding, groups=self.groups
        )
        mixed = mixed.view(batch, dilation, dilation, channels, rows, columns).permute(0, 3, 4, 1, 5, 2)
        return mixed.reshape(maps.shape)[..., :height, :width]


def is_dilated_depthwise(layer: nn.Module) -> bool:
    """Whether `SubgridConv2d` can stand for this layer."""
    return (
        type(layer) is nn.Conv2d
        and is_depthwise(layer)
        and layer.out_channels == layer.in_channels
        and layer.stride == (1, 1)
        and layer.dilation[0] == layer.dilation[1] > 1
        and all(size % 2 == 1 for size in layer.kernel_size)
        and layer.padding == tuple(layer.dilation[0] * (size // 2) for size in layer.kernel_size)
    )


def is_depthwise(layer: nn.Module) -> bool:
    """Whether each channel of this convolution sees itself alone."""
    return isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1
