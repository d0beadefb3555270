"""ResNet-38 ("wide" residual network, model A1), the backbone of every classifier in the thesis.

Thesis sections 2.3 and 3.3; Wu, Shen and van den Hengel, "Wider or Deeper", 2016. Corresponds to
`network/resnet38d.py` of jiwoon-ahn/psa and Juliachang/SC-CAM, whose module names are kept so that
published weights load key by key.

Deliberate differences: a `width` factor, a `stride` and `dilations`, so that the same network serves
64-pixel demo images; freezing is an explicit call instead of a side effect of `train()`.
"""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from thesislib.data.transforms import IMAGENET
from thesislib.models.backbone import Tap
from thesislib.models.freezing import FreezableNorms

BATCH_NORM_EPS = 1e-5
MIN_CHANNELS = 8
LEVEL_CHANNELS = (64, 128, 256)  # that AffinityNet makes of conv4, conv5 and conv6, at width 1


class Features(NamedTuple):
    """The three feature levels of the backbone, all on the same grid of `stride` pixels a cell."""

    conv4: Float[Tensor, "b c4 h w"]
    conv5: Float[Tensor, "b c5 h w"]
    conv6: Float[Tensor, "b c6 h w"]


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPS)


def _conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    padding = dilation * (kernel // 2)
    return nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation, bias=False)


class BasicBlock(nn.Module):
    """Pre-activation block of two 3x3 convolutions."""

    def __init__(
        self,
        in_channels: int,
        mid_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        dilations: tuple[int, int] = (1, 1),
    ) -> None:
        super().__init__()
        self.bn_branch2a = _norm(in_channels)
        self.conv_branch2a = _conv(in_channels, mid_channels, 3, stride, dilations[0])
        self.bn_branch2b1 = _norm(mid_channels)
        self.conv_branch2b1 = _conv(mid_channels, out_channels, 3, 1, dilations[1])
        self.conv_branch1 = (
            _conv(in_channels, out_channels, 1, stride) if in_channels != out_channels or stride != 1 else None
        )

    def activate(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """BN and ReLU in front of the block; also a side output of the network."""
        return self.bn_branch2a(x).relu()

    def forward(self, x: Float[Tensor, "b c_in height width"]) -> Float[Tensor, "b c h w"]:
        """Map `(B, C, H, W)` to the block's output."""
        activated = self.activate(x)
        shortcut = x if self.conv_branch1 is None else self.conv_branch1(activated)
        out = self.conv_branch2a(activated)
        return shortcut + self.conv_branch2b1(self.bn_branch2b1(out).relu())


class BottleneckBlock(nn.Module):
    """Pre-activation 1x1 - 3x3 - 1x1 block with channel dropout and a projection shortcut."""

    def __init__(
        self, in_channels: int, mid_channels: tuple[int, int], out_channels: int, *, dilation: int, dropout: float
    ) -> None:
        super().__init__()
        self.bn_branch2a = _norm(in_channels)
        self.conv_branch2a = _conv(in_channels, mid_channels[0], 1)
        self.bn_branch2b1 = _norm(mid_channels[0])
        self.dropout_2b1 = nn.Dropout2d(dropout)
        self.conv_branch2b1 = _conv(mid_channels[0], mid_channels[1], 3, 1, dilation)
        self.bn_branch2b2 = _norm(mid_channels[1])
        self.dropout_2b2 = nn.Dropout2d(dropout)
        self.conv_branch2b2 = _conv(mid_channels[1], out_channels, 1)
        self.conv_branch1 = _conv(in_channels, out_channels, 1)

    def activate(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """BN and ReLU in front of the block; also a side output of the network."""
        return self.bn_branch2a(x).relu()

    def forward(self, x: Float[Tensor, "b c_in height width"]) -> Float[Tensor, "b c h w"]:
        """Map `(B, C, H, W)` to the block's output."""
        activated = self.activate(x)
        out = self.conv_branch2a(activated)
        out = self.conv_branch2b1(self.dropout_2b1(self.bn_branch2b1(out).relu()))
        out = self.conv_branch2b2(self.dropout_2b2(self.bn_branch2b2(out).relu()))
        return self.conv_branch1(activated) + out


class ResNet38(FreezableNorms):
    """ResNet-38 without a classification head; a `Backbone`.

    Args:
        width: factor on every channel count; 1.0 is the published network (105 M weights).
        stride: pixels per cell of all outputs. 8 as published; 4 leaves out the stride of stage 4.
        dilations: of the 3x3 convolutions of stage 5, and of stages 6 and 7; (2, 4) as published.
        dropout: factor on the published channel dropouts 0.3 (stage 6) and 0.5 (stage 7).

    Shapes:
        images `(B, 3, H, W)`, normalised RGB -> `Features`; the grid has `ceil(H / stride)` rows.
    """

    preprocessing = IMAGENET

    def __init__(
        self,
        width: float = 1.0,
        *,
        stride: int = 8,
        dilations: tuple[int, int] = (2, 4),
        dropout: float = 1.0,
    ) -> None:
        super().__init__()
        if stride not in (4, 8):
            raise ValueError(f"stride must be 4 or 8, got {stride}")

        def n(channels: int) -> int:
            return max(MIN_CHANNELS, round(channels * width))

        self.width, self.stride, self.grid = width, stride, stride
        self.channels = n(4096)
        self.taps = tuple(
            Tap(n(channels), stride, n(embedded))
            for channels, embedded in zip((512, 1024, 4096), LEVEL_CHANNELS, strict=True)
        )
        d5, d6 = dilations
        self.conv1a = _conv(3, n(64), 3)
        self.b2 = BasicBlock(n(64), n(128), n(128), stride=2)
        self.b2_1 = BasicBlock(n(128), n(128), n(128))
        self.b2_2 = BasicBlock(n(128), n(128), n(128))
        self.b3 = BasicBlock(n(128), n(256), n(256), stride=2)
        self.b3_1 = BasicBlock(n(256), n(256), n(256))
        self.b3_2 = BasicBlock(n(256), n(256), n(256))
        self.b4 = BasicBlock(n(256), n(512), n(512), stride=stride // 4)
        self.b4_1 = BasicBlock(n(512), n(512), n(512))
        self.b4_2 = BasicBlock(n(512), n(512), n(512))
        self.b4_3 = BasicBlock(n(512), n(512), n(512))
        self.b4_4 = BasicBlock(n(512), n(512), n(512))
        self.b4_5 = BasicBlock(n(512), n(512), n(512))
        self.b5 = BasicBlock(n(512), n(512), n(1024), dilations=(1, d5))
        self.b5_1 = BasicBlock(n(1024), n(512), n(1024), dilations=(d5, d5))
        self.b5_2 = BasicBlock(n(1024), n(512), n(1024), dilations=(d5, d5))
        self.b6 = BottleneckBlock(n(1024), (n(512), n(1024)), n(2048), dilation=d6, dropout=0.3 * dropout)
        self.b7 = BottleneckBlock(n(2048), (n(1024), n(2048)), n(4096), dilation=d6, dropout=0.5 * dropout)
        self.bn7 = _norm(n(4096))

    def freeze(self) -> "ResNet38":
        """Fix what the published training kept: the stem, stage 2, and every BatchNorm with its statistics.

        The dropouts stay on in training.
        """
        self.frozen = True
        for layer in (self.conv1a, self.b2, self.b2_1, self.b2_2, *self._norms()):
            layer.requires_grad_(False)
        self.train(self.training)
        return self

    def features(self, images: Float[Tensor, "b 3 height width"]) -> Float[Tensor, "b c6 h w"]:
        """`conv6`, which is pooled, weighted and clustered."""
        return self(images).conv6

    def levels(self, images: Float[Tensor, "b 3 height width"]) -> Features:
        """All three, for AffinityNet."""
        return self(images)

    def forward(self, images: Float[Tensor, "b 3 height width"]) -> Features:
        """Compute the three feature levels."""
        x = self.conv1a(images)
        for block in (self.b2, self.b2_1, self.b2_2, self.b3, self.b3_1, self.b3_2):
            x = block(x)
        for block in (self.b4, self.b4_1, self.b4_2, self.b4_3, self.b4_4, self.b4_5):
            x = block(x)
        conv4 = self.b5.activate(x)
        x = self.b5_2(self.b5_1(self.b5(x)))
        conv5 = self.b6.activate(x)
        conv6 = self.bn7(self.b7(self.b6(x))).relu()
        return Features(conv4, conv5, conv6)
