"""AffinityNet: predicts from an image which neighbouring cells belong to the same object or both to the background.

Thesis sections 2.3.3 and 3.3.3; Ahn and Kwak, "Learning Pixel-level Semantic Affinity with Image-level Supervision",
CVPR 2018. Corresponds to `network/resnet38_aff.py` of jiwoon-ahn/psa, whose layer names are kept so that its released
weights load key by key.

Deliberate differences: channel counts follow the backbone's `width`; the output is always the affinity of the pairs
(`refinement.random_walk` needs no dense matrix), for images of any size; one offset at a time, so that without
gradients the memory is that of one.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from thesislib.models.resnet38 import MIN_CHANNELS
from thesislib.models.resnet50 import Backbone
from thesislib.refinement.pairs import RADIUS, pair_offsets, pair_window

LEVEL_CHANNELS = (64, 128, 256)  # of conv4, conv5, conv6, at width 1
EMBEDDING_GAIN = 4.0  # of the Xavier initialisation of f9


class AffinityNet(nn.Module):
    """Backbone, a 1x1 convolution per feature level, and one over all of them: an embedding e of each cell.

    Args:
        backbone: gives conv4, conv5 and conv6; freeze it first for the published training (`ResNet38.freeze`).
        radius: of the pairs, cells.
        generator: source of the initial weights of the four new layers (Kaiming normal; the last Xavier uniform).

    Shapes:
        images `(B, 3, H, W)`, normalised RGB -> pair affinities `(B, P, n)` in (0, 1], with P = 34 offsets at radius 5
        in the order of `pairs.pair_offsets` and the n sources row by row: a = exp(-mean_d |e_source - e_target|).

    Raises:
        ValueError: in `forward`, images too small for the radius.

    >>> from thesislib.models.resnet38 import ResNet38
    >>> AffinityNet(ResNet38(width=1 / 64)).eval()(torch.zeros(1, 3, 40, 80)).shape
    torch.Size([1, 34, 2])
    """

    def __init__(self, backbone: Backbone, *, radius: int = RADIUS, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.radius, self.stride = radius, backbone.stride
        self.backbone = backbone
        levels = [max(MIN_CHANNELS, round(channels * backbone.width)) for channels in LEVEL_CHANNELS]
        self.f8_3 = nn.Conv2d(backbone.channels.conv4, levels[0], 1, bias=False)
        self.f8_4 = nn.Conv2d(backbone.channels.conv5, levels[1], 1, bias=False)
        self.f8_5 = nn.Conv2d(backbone.channels.conv6, levels[2], 1, bias=False)
        self.f9 = nn.Conv2d(sum(levels), sum(levels), 1, bias=False)
        for layer in (self.f8_3, self.f8_4, self.f8_5):
            nn.init.kaiming_normal_(layer.weight, generator=generator)
        nn.init.xavier_uniform_(self.f9.weight, gain=EMBEDDING_GAIN, generator=generator)

    def embedding(self, images: Float[Tensor, "b 3 height width"]) -> Float[Tensor, "b d h w"]:
        """The embedding e of each cell."""
        features = self.backbone(images)
        levels = (self.f8_3(features.conv4), self.f8_4(features.conv5), self.f8_5(features.conv6))
        return F.elu(self.f9(torch.cat([F.elu(level) for level in levels], dim=1)))

    def forward(self, images: Float[Tensor, "b 3 height width"]) -> Float[Tensor, "b p n"]:
        """Affinity of every pair of a batch."""
        embedding = self.embedding(images)
        source = pair_window(embedding, (0, 0), self.radius)
        kept = torch.promote_types(embedding.dtype, torch.float32)  # in bfloat16 1 - a of alike cells would be 0
        distances = [
            (pair_window(embedding, offset, self.radius) - source).abs().mean(dim=1, dtype=kept).flatten(1)
            for offset in pair_offsets(self.radius)
        ]
        return (-torch.stack(distances, dim=1)).exp()
