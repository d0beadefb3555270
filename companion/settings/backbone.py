"""Which network the classifier, AffinityNet and on request the segmentation network stand on.

The thesis has ResNet-38 (2.4.1, 3.4.1; psa and SC-CAM `network/resnet38d.py`); the others are variants.
"""

from typing import Self

from pydantic import Field, field_validator, model_validator

from companion.settings.base import Count, Frozen
from companion.settings.names import nearest

RESNETS = ("resnet38", "resnet50")
STRIDES = (4, 8, 16, 32)


class BackboneSettings(Frozen):
    """The network of classifier and AffinityNet, and where its initial weights come from."""

    network: str = Field(
        "resnet38",
        description="resnet38, the network of the thesis; resnet50 (torchvision's); or timm/NAME for a convolutional "
        "network of timm, such as timm/tf_efficientnet_lite0",
    )
    width: float = Field(1.0, gt=0, le=1, description="factor on all channel counts")
    stride: int = Field(8, ge=1, le=32, description="pixels per cell of the response map: 4, 8, or 16 and 32 of timm")
    dilations: tuple[Count, Count] = Field((2, 4), description="of stage 5 and of stages 6 and 7; timm has its own")
    dropout: float = Field(1.0, ge=0, le=1, description="factor on ResNet-38's published dropouts; others have none")
    weights: str = Field(
        "",
        description="file with pre-trained weights; timm: timm's own, downloaded; pretext: trained on the demo's "
        "pretext task; empty: the packaged ImageNet weights of timm/tf_efficientnet_lite0, or on generated images "
        "those of the demo's ResNet-38 (another width than 1/32 is trained on the pretext task)",
    )

    @field_validator("network")
    @classmethod
    def _is_known(cls, network: str) -> str:
        if network not in RESNETS and not network.startswith("timm/"):
            near = nearest(network, [*RESNETS, "timm/tf_efficientnet_lite0"])
            raise ValueError(f"expected 'resnet38', 'resnet50' or 'timm/NAME', got {network!r}{near}")
        return network

    @model_validator(mode="after")
    def _fits_network(self) -> Self:
        if self.network != "resnet38" and self.width != 1:
            raise ValueError(
                f"network {self.network!r} exists with width 1 alone, got {self.width:g}: set backbone.width=1"
            )
        if self.stride not in (STRIDES[:2] if self.network in RESNETS else STRIDES):
            allowed = "4 or 8" if self.network in RESNETS else "4, 8, 16 or 32"
            raise ValueError(f"stride of {self.network!r} must be {allowed}, got {self.stride}: set backbone.stride")
        if self.network in RESNETS and self.weights == "timm":
            raise ValueError(f"timm has no weights of network {self.network!r}: set backbone.weights to a file")
        return self
