"""What a backbone is: the network under the classifier, AffinityNet and DeepLab, whichever it is.

Thesis 2.3 and 3.3 have one, ResNet-38; here ResNet-50, ResNet-101 and the networks of timm do as well. No published
counterpart: jiwoon-ahn/psa and Juliachang/SC-CAM write stride 8 and ImageNet's mean wherever they need them.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from thesislib.data.transforms import Preprocessing


class Tap(NamedTuple):
    """One of the maps that AffinityNet reads.

    Attributes:
        channels: of the map.
        stride: pixels per cell of the map.
        embedded: channels that AffinityNet's 1x1 convolution makes of it.
    """

    channels: int
    stride: int
    embedded: int


@runtime_checkable
class Backbone(Protocol):
    """A network that turns normalised RGB images into a map of features.

    Attributes:
        stride: pixels per cell of the features; an image of H rows gives `ceil(H / stride)`.
        channels: D, of the features.
        taps: the maps that AffinityNet reads, in the order of `levels`.
        grid: pixels per cell of the grid that AffinityNet brings them to.
        preprocessing: what the weights expect images to be.
        frozen: whether `freeze` was called.
    """

    stride: int
    channels: int
    taps: tuple[Tap, ...]
    grid: int
    preprocessing: Preprocessing
    frozen: bool

    def features(self, images: Float[Tensor, "b 3 height width"]) -> Float[Tensor, "b d h w"]:
        """The deepest map, which is pooled, weighted and clustered."""

    def levels(self, images: Float[Tensor, "b 3 height width"]) -> Sequence[Tensor]:
        """The maps of `taps`, `(B, tap.channels, ceil(H / tap.stride), ...)`."""

    def freeze(self) -> "Backbone":
        """Fix the parameters that a training keeps: early layers, and BatchNorm with its statistics."""
