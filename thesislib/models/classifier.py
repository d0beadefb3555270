"""The multi-label classifier whose weights turn backbone features into class activation maps.

Thesis sections 2.3.1 and 3.3.1, equations 2.1 and 3.1. Corresponds to `network/resnet38_cls.py` of
jiwoon-ahn/psa (one head) and of Juliachang/SC-CAM (a second head for the sub-categories).
The thesis' text has one more convolution, which no published code has (S4): `feature_channels`.

Deliberate differences: the heads are called `fc8` and `fc8_sub` whatever their number of outputs; one forward
pass returns the response map beside the logits, taken before the dropout (A25) and not rectified; dropout is
applied after the pooling, which gives the same numbers (see `forward`).
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from thesislib.models.backbone import Backbone


class ClassifierOutput(NamedTuple):
    """What one forward pass of `CamClassifier` gives; D is the number of channels of the map that is pooled."""

    logits: Float[Tensor, "b c"]
    sub_logits: Float[Tensor, "b ck"] | None
    pooled: Float[Tensor, "b d"]
    response: Float[Tensor, "b c h w"]


class CamClassifier(nn.Module):
    """Backbone, channel dropout, global average pooling and bias-free linear heads.

    Args:
        backbone: gives the features; freeze it first where the published training is wanted (`ResNet38.freeze`).
        num_classes: C, without background.
        num_subcategories: K per class, for the second head of chapter 3; 0 leaves that head out.
        feature_channels: of a 3x3 convolution with ReLU between features and pooling, 512 in the thesis' text; 0
            leaves it out, as in the published code (S4).
        dropout: probability that a channel of the pooled map is dropped in training.
        generator: source of the initial weights of the heads (Xavier uniform) and of that convolution (He).

    Shapes:
        images `(B, 3, H, W)`, normalised RGB -> `ClassifierOutput` with logits `(B, C)`, sub_logits `(B, C*K)` or
        None (column `c*K + k`), pooled `(B, D)`, what the heads see, and response `(B, C, h, w)`, the un-rectified
        class activation map. Gradients flow through all of them.

    >>> from thesislib.models.resnet38 import ResNet38
    >>> model = CamClassifier(ResNet38(width=1 / 64), num_classes=3, num_subcategories=2).eval()
    >>> [tuple(part.shape) for part in model(torch.zeros(1, 3, 32, 48))]
    [(1, 3), (1, 6), (1, 64), (1, 3, 4, 6)]
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        num_subcategories: int = 0,
        *,
        feature_channels: int = 0,
        dropout: float = 0.5,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if num_classes < 1 or num_subcategories < 0:
            raise ValueError(
                "num_classes must be at least 1 and num_subcategories at least 0, "
                f"got {num_classes} and {num_subcategories}"
            )
        if feature_channels < 0:
            raise ValueError(f"feature_channels must be at least 0 (no such layer), got {feature_channels}")
        self.num_classes, self.num_subcategories = num_classes, num_subcategories
        self.stride, self.preprocessing = backbone.stride, backbone.preprocessing
        self.backbone: Any = backbone  # a Backbone and a module
        self.dropout = nn.Dropout2d(dropout)
        deepest = backbone.channels
        self.conv_features = _feature_layer(deepest, feature_channels, generator) if feature_channels else None
        self.fc8 = head(feature_channels or deepest, num_classes, generator)
        outputs = num_classes * num_subcategories
        self.fc8_sub = head(feature_channels or deepest, outputs, generator) if num_subcategories else None

    def forward(self, images: Float[Tensor, "b 3 height width"]) -> ClassifierOutput:
        """Logits, pooled feature and response map of a batch."""
        return self.of_features(self.features(images))

    def of_features(self, features: Float[Tensor, "b d h w"]) -> ClassifierOutput:
        """What `forward` gives for images with these `features`."""
        # Dropping a channel multiplies it by a constant, so it commutes with the mean over its cells, and
        # dropping it afterwards spares a second copy of the largest map.
        pooled = self.dropout(features.mean((2, 3), keepdim=True))
        sub_logits = None if self.fc8_sub is None else self.fc8_sub(pooled).flatten(1)
        return ClassifierOutput(self.fc8(pooled).flatten(1), sub_logits, pooled.flatten(1), self.fc8(features))

    def features(self, images: Float[Tensor, "b 3 height width"]) -> Float[Tensor, "b d h w"]:
        """The map f that is pooled and weighted: the backbone's, or what a convolution makes of it (S4)."""
        deepest = self.backbone.features(images)
        return deepest if self.conv_features is None else self.conv_features(deepest).relu()

    def response(self, images: Float[Tensor, "b 3 height width"]) -> Float[Tensor, "b c h w"]:
        """The un-rectified class activation maps alone (2.1)."""
        return self.fc8(self.features(images))

    def sub_response(self, images: Float[Tensor, "b 3 height width"]) -> Float[Tensor, "b ck h w"]:
        """The un-rectified maps of the sub-categories, channel `c*K + k` (A17).

        Raises:
            ValueError: the classifier was built without sub-categories.
        """
        if self.fc8_sub is None:
            raise ValueError("this classifier has no sub-category head; build it with num_subcategories=K")
        return self.fc8_sub(self.features(images))


def _feature_layer(channels: int, outputs: int, generator: torch.Generator | None) -> nn.Conv2d:
    layer = nn.Conv2d(channels, outputs, 3, padding=1)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
    nn.init.zeros_(layer.get_parameter("bias"))
    return layer


def head(channels: int, outputs: int, generator: torch.Generator | None) -> nn.Conv2d:
    """A bias-free linear head with its initial weights (Xavier uniform)."""
    layer = nn.Conv2d(channels, outputs, 1, bias=False)
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    return layer


def parameter_groups(
    model: nn.Module, lr: float, weight_decay: float, *, new_layer_factor: float = 10.0
) -> list[dict[str, Any]]:
    """Trainable parameters in the optimiser groups of the published training.

    Corresponds to `get_parameter_groups` of psa. A layer outside `model.backbone` is new. The published groups are:
    backbone weights (lr), backbone biases (2 lr), new weights (10 lr), new biases (20 lr), biases without weight
    decay. A fifth group, empty as published, takes BatchNorm that is not frozen (lr, without weight decay).

    Args:
        model: has its pre-trained part as `backbone`; parameters without `requires_grad` are left out.
        lr: base learning rate.
        weight_decay: of the convolution weights.
        new_layer_factor: factor on the learning rate of new layers; 10 as published.

    Returns:
        Five dictionaries `params`, `lr`, `weight_decay` for a `torch.optim` optimiser; some may be empty.
    """
    groups: dict[str, list[nn.Parameter]] = {kind: [] for kind in ("weight", "bias", "new weight", "new bias", "norm")}
    for path, module in model.named_modules():
        new = "" if path.split(".")[0] == "backbone" else "new "
        for name, parameter in module.named_parameters(recurse=False):
            kind = "norm" if isinstance(module, nn.BatchNorm2d) else new + name
            if parameter.requires_grad:
                groups[kind].append(parameter)
    factors = (1.0, 2.0, new_layer_factor, 2.0 * new_layer_factor, 1.0)
    decays = (weight_decay, 0.0, weight_decay, 0.0, 0.0)
    return [
        {"params": group, "lr": lr * factor, "weight_decay": decay}
        for group, factor, decay in zip(groups.values(), factors, decays, strict=True)
    ]
