"""DeepLab-v2 on a ResNet-101, the segmentation network that is trained on the pseudo-masks.

Thesis sections 2.3.3 and 3.3.3; Chen et al., "DeepLab", 2017. Corresponds to `libs/models/resnet.py`, `deeplabv2.py`
and `msc.py` of kazuto1011/deeplab-pytorch, whose module names are kept so that published weights load key by key.

Deliberate differences: a `width` factor, block counts, a `stride` and dilations, so that the same network serves
64-pixel demo images; a `layout` that fits torchvision's ImageNet weights as well (A22); freezing is an explicit call;
BatchNorm that is not frozen has torch's momentum instead of 0.001, which would need thousands of steps.

Learning rates as published, backbone x1, new weights x10, new biases x20 without weight decay and BatchNorm in none:
`freeze` the backbone and take `thesislib.models.classifier.parameter_groups`.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from thesislib.data.transforms import CAFFE, IMAGENET, Preprocessing
from thesislib.models.backbone import Backbone
from thesislib.models.freezing import FreezableNorms

MIN_CHANNELS = 8

Layout = Literal["caffe", "torchvision"]
PREPROCESSING: dict[Layout, Preprocessing] = {"caffe": CAFFE, "torchvision": IMAGENET}


class ConvNorm(nn.Sequential):
    """A convolution that keeps the size up to its stride, and BatchNorm."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        padding = dilation * (kernel // 2)
        conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation, bias=False)
        super().__init__(OrderedDict(conv=conv, bn=nn.BatchNorm2d(out_channels)))


class Bottleneck(nn.Module):
    """Residual block 1x1 - 3x3 - 1x1; the first block of a stage projects its shortcut.

    `strides` are those of the first 1x1 and of the 3x3 convolution.
    """

    def __init__(
        self, in_channels: int, mid_channels: int, *, strides: tuple[int, int], dilation: int, projects: bool
    ) -> None:
        super().__init__()
        out_channels = 4 * mid_channels
        self.reduce = ConvNorm(in_channels, mid_channels, 1, strides[0])
        self.conv3x3 = ConvNorm(mid_channels, mid_channels, 3, strides[1], dilation)
        self.increase = ConvNorm(mid_channels, out_channels, 1)
        self.shortcut = ConvNorm(in_channels, out_channels, 1, strides[0] * strides[1]) if projects else None

    def forward(self, x: Float[Tensor, "b c_in height width"]) -> Float[Tensor, "b c h w"]:
        """Map `(B, C, H, W)` to the block's output."""
        shortcut = x if self.shortcut is None else self.shortcut(x)
        out = self.conv3x3(self.reduce(x).relu()).relu()
        return (shortcut + self.increase(out)).relu()


class ResNet101(FreezableNorms):
    """ResNet-101 with dilated last stages, without a classification head.

    Args:
        blocks: number of blocks in each of the four stages.
        width: factor on every channel count; 1.0 is the published network (42 M convolution weights).
        stride: pixels per cell of the output. 8 as published; 4 leaves out the stride of `layer3`.
        dilations: of the 3x3 convolutions of `layer4` and `layer5`.
        layout: whose weights the network is built for, which decides `preprocessing` too. `caffe`, as in the published
            DeepLab: a block strides in its first 1x1 convolution. `torchvision`: it strides in its 3x3, so the first
            3x3 of a stage still lies on the finer grid and keeps the dilation of the stage before.

    Shapes:
        images `(B, 3, H, W)`, in the `preprocessing` of the weights -> `(B, channels, h, w)`; max pooling rounds up,
        so that h is about `H / stride + 1/2` (41 for 321 pixels, 9 for 64, at stride 8).

    Raises:
        ValueError: an argument outside its range.
    """

    def __init__(
        self,
        blocks: tuple[int, int, int, int] = (3, 4, 23, 3),
        width: float = 1.0,
        *,
        stride: int = 8,
        dilations: tuple[int, int] = (2, 4),
        layout: Layout = "caffe",
    ) -> None:
        super().__init__()
        if min(blocks) < 1:
            raise ValueError(f"each of the four stages needs at least one block, got {blocks}")
        if stride not in (4, 8):
            raise ValueError(f"stride must be 4 or 8, got {stride}")
        if layout not in PREPROCESSING:
            raise ValueError(f"layout must be one of {get_args(Layout)}, got {layout!r}")
        stem, *mids = (max(MIN_CHANNELS, round(channels * width)) for channels in (64, 64, 128, 256, 512))
        self.stride, self.layout, self.channels = stride, layout, 4 * mids[3]
        self.preprocessing = PREPROCESSING[layout]
        # Rounding up at the edge is DeepLab's; where no row or column is left over it is torchvision's pooling.
        pool = nn.MaxPool2d(3, 2, padding=1, ceil_mode=True)
        self.layer1 = nn.Sequential(OrderedDict(conv1=ConvNorm(3, stem, 7, 2), relu=nn.ReLU(), pool=pool))
        self.layer2 = _stage(blocks[0], stem, mids[0], 1, (1, 1), layout)
        self.layer3 = _stage(blocks[1], 4 * mids[0], mids[1], stride // 4, (1, 1), layout)
        self.layer4 = _stage(blocks[2], 4 * mids[1], mids[2], 1, (1, dilations[0]), layout)
        self.layer5 = _stage(blocks[3], 4 * mids[2], mids[3], 1, dilations, layout)

    def freeze(self) -> "ResNet101":
        """Fix every BatchNorm with its statistics, as published; the convolutions are trained."""
        self.frozen = True
        for norm in self._norms():
            norm.requires_grad_(False)
        self.train(self.training)
        return self

    def features(self, images: Float[Tensor, "b 3 height width"]) -> Float[Tensor, "b c h w"]:
        """The last feature map."""
        return self(images)

    def forward(self, images: Float[Tensor, "b 3 height width"]) -> Float[Tensor, "b c h w"]:
        """Compute the last feature map."""
        return self.layer5(self.layer4(self.layer3(self.layer2(self.layer1(images)))))


def _stage(
    blocks: int, in_channels: int, mid_channels: int, stride: int, dilations: tuple[int, int], layout: Layout
) -> nn.Sequential:
    """Blocks of one stage; `dilations` are those of the stage before and of this one."""
    caffe = layout == "caffe"
    entry = Bottleneck(
        in_channels,
        mid_channels,
        strides=(stride, 1) if caffe else (1, stride),
        dilation=dilations[1] if caffe else dilations[0],
        projects=True,
    )
    stage = nn.Sequential(OrderedDict(block1=entry))
    for number in range(2, blocks + 1):
        block = Bottleneck(4 * mid_channels, mid_channels, strides=(1, 1), dilation=dilations[1], projects=False)
        stage.add_module(f"block{number}", block)
    return stage


class SummedDilations(nn.ModuleDict):
    """Atrous spatial pyramid pooling of DeepLab-v2: the sum of 3x3 convolutions of several dilations."""

    def __init__(
        self, in_channels: int, out_channels: int, rates: Sequence[int], generator: torch.Generator | None
    ) -> None:
        super().__init__()
        for index, rate in enumerate(rates):
            conv = nn.Conv2d(in_channels, out_channels, 3, padding=rate, dilation=rate)
            nn.init.normal_(conv.weight, std=0.01, generator=generator)
            nn.init.zeros_(conv.get_parameter("bias"))
            self[f"c{index}"] = conv

    def forward(self, x: Float[Tensor, "b d h w"]) -> Float[Tensor, "b c h w"]:
        """Sum over the convolutions."""
        return torch.stack([conv(x) for conv in self.values()]).sum(0)


class DeepLabV2(nn.Module):
    """Multi-scale segmentation network: the same weights at several image sizes, fused by their maximum.

    Args:
        backbone: gives the features, the published ResNet-101 or the classifier's; freeze it first where the published
            training is wanted (`ResNet101.freeze`).
        num_classes: with background.
        rates: dilations of the summed 3x3 convolutions, in cells.
        scales: image sizes beside the full one (A23), as factors.
        generator: source of the head's initial weights, N(0, 0.01); biases start at 0.

    Shapes:
        images `(B, 3, H, W)`, in the `preprocessing` of the weights, give in training the list of logits
        `(B, num_classes, h, w)` at full size, at each of `scales` on its own smaller grid, and last the elementwise
        maximum of all, resized to the first grid; in evaluation that maximum alone.

    Raises:
        ValueError: an argument outside its range.

    >>> model = DeepLabV2(ResNet101((1, 1, 1, 1), width=1 / 16), num_classes=3)
    >>> [tuple(logits.shape[2:]) for logits in model(torch.zeros(2, 3, 64, 96))]
    [(9, 13), (5, 7), (7, 10), (9, 13)]
    >>> model.eval()(torch.zeros(2, 3, 64, 96)).shape
    torch.Size([2, 3, 9, 13])
    """

    def __init__(
        self,
        backbone: ResNet101 | Backbone,
        num_classes: int,
        *,
        rates: Sequence[int] = (6, 12, 18, 24),
        scales: Sequence[float] = (0.5, 0.75),
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if num_classes < 2:
            raise ValueError(f"num_classes counts the background and must be at least 2, got {num_classes}")
        if not rates or min(rates) < 1:
            raise ValueError(f"rates must be one or more dilations of at least 1 cell, got {tuple(rates)}")
        if any(scale <= 0 for scale in scales):
            raise ValueError(f"scales must be positive factors of the image size, got {tuple(scales)}")
        self.num_classes, self.scales = num_classes, tuple(scales)
        self.stride, self.preprocessing = backbone.stride, backbone.preprocessing
        self.backbone: Any = backbone  # a Backbone and a module
        self.aspp = SummedDilations(backbone.channels, num_classes, rates, generator)

    def forward(
        self, images: Float[Tensor, "b 3 height width"]
    ) -> Float[Tensor, "b c h w"] | list[Float[Tensor, "b c _ _"]]:
        """Logits of each scale and their maximum in training; the maximum in evaluation."""
        full = self._logits(images)
        scaled = [self._logits(_resize(images, scale_factor=scale)) for scale in self.scales]
        maximum = torch.stack([full, *(_resize(logits, size=full.shape[2:]) for logits in scaled)]).amax(0)
        return [full, *scaled, maximum] if self.training else maximum

    def _logits(self, images: Tensor) -> Tensor:
        return self.aspp(self.backbone.features(images))


def _resize(maps: Tensor, *, size: Sequence[int] | None = None, scale_factor: float | None = None) -> Tensor:
    # As published, sampled at 1 / scale_factor, even where the size is rounded.
    return F.interpolate(maps, size, scale_factor, mode="bilinear", align_corners=False)
