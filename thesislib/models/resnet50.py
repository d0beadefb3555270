"""ResNet-50 of torchvision as a backbone: a variant of every experiment, for whoever lacks the weights of ResNet-38.

Not a network of the thesis. He et al., "Deep Residual Learning for Image Recognition", 2016; module names are
torchvision's, so that its published weights load key by key. jiwoon-ahn/irn (`net/resnet50_cam.py`) computes class
activation maps with the same network.

Deliberate differences to irn: stride and dilations are those that ResNet-38 has here (irn: stride 16, none), so that
all later steps find the same grid; freezing is the counterpart of what psa freezes in ResNet-38; dropout is none.
"""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from thesislib.data.transforms import IMAGENET
from thesislib.models.backbone import Tap
from thesislib.models.freezing import FreezableNorms
from thesislib.models.resnet38 import LEVEL_CHANNELS, Features


class ResNet50(FreezableNorms):
    """ResNet-50 without its classification head and with dilated last stages; a `Backbone`.

    Args:
        stride: pixels per cell of all outputs. 8, or 4, which leaves out the stride of `layer2` too.
        dilations: of the 3x3 convolutions of `layer3` and `layer4`; (2, 4) keep what the weights have learned.

    Shapes:
        images `(B, 3, H, W)`, normalised RGB -> `Features` of 512, 1024 and 2048 channels, the outputs of `layer2`,
        `layer3` and `layer4`, all at least 0; the grid has `ceil(H / stride)` rows.

    Raises:
        ValueError: another stride.
    """

    channels = 2048
    preprocessing = IMAGENET

    def __init__(self, *, stride: int = 8, dilations: tuple[int, int] = (2, 4)) -> None:
        super().__init__()
        if stride not in (4, 8):
            raise ValueError(f"stride must be 4 or 8, got {stride}")
        self.stride, self.grid = stride, stride
        self.taps = tuple(
            Tap(channels, stride, embedded)
            for channels, embedded in zip((512, 1024, 2048), LEVEL_CHANNELS, strict=True)
        )
        import torchvision  # see data/transforms.py

        network = torchvision.models.resnet50(weights=None)
        self.conv1, self.bn1, self.relu, self.maxpool = network.conv1, network.bn1, network.relu, network.maxpool
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            network.layer1,
            network.layer2,
            network.layer3,
            network.layer4,
        )
        if stride == 4:
            _dilate(self.layer2, 1, 1)
        _dilate(self.layer3, 1, dilations[0])
        _dilate(self.layer4, *dilations)

    def freeze(self) -> "ResNet50":
        """Fix the stem, the first stage, and every BatchNorm with its statistics."""
        self.frozen = True
        for layer in (self.conv1, self.layer1, *self._norms()):
            layer.requires_grad_(False)
        self.train(self.training)
        return self

    def features(self, images: Float[Tensor, "b 3 height width"]) -> Float[Tensor, "b 2048 h w"]:
        """The output of `layer4`, which is pooled, weighted and clustered."""
        return self(images).conv6

    def levels(self, images: Float[Tensor, "b 3 height width"]) -> Features:
        """All three, for AffinityNet."""
        return self(images)

    def forward(self, images: Float[Tensor, "b 3 height width"]) -> Features:
        """Compute the three feature levels."""
        x = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(images)))))
        conv4 = self.layer2(x)
        conv5 = self.layer3(conv4)
        return Features(conv4, conv5, self.layer4(conv5))


def _dilate(stage: nn.Sequential, before: int, dilation: int) -> None:
    """Take the stride out of a stage; its first 3x3 still lies on the finer grid and keeps the dilation `before`."""
    blocks: list[Any] = list(stage)
    for number, block in enumerate(blocks):
        own = dilation if number else before
        block.conv2.stride, block.conv2.dilation, block.conv2.padding = (1, 1), (own, own), (own, own)
    blocks[0].downsample[0].stride = (1, 1)
