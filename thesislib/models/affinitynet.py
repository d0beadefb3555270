"""AffinityNet: predicts from an image which neighbouring cells belong to the same object or both to the background.

Thesis sections 2.3.3 and 3.3.3; Ahn and Kwak, "Learning Pixel-level Semantic Affinity with Image-level Supervision",
CVPR 2018. Corresponds to `network/resnet38_aff.py` of jiwoon-ahn/psa, whose layer names are kept so that its released
weights load key by key.

Deliberate differences: channel counts follow the backbone; maps of several strides are brought to one grid, which
the published network, whose three maps share one, does not need; the output is always the affinity of the pairs
(`refinement.random_walk` needs no dense matrix), for images of any size; one offset at a time, so that without
gradients the memory is that of one.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from thesislib.models.backbone import Backbone
from thesislib.refinement.pairs import RADIUS, pair_offsets, pair_window

FIRST_LEVEL = 3  # psa calls the layers of conv4, conv5 and conv6 f8_3, f8_4 and f8_5
EMBEDDING_GAIN = 4.0  # of the Xavier initialisation of f9


class AffinityNet(nn.Module):
    """Backbone, a 1x1 convolution per feature level, and one over all of them: an embedding e of each cell.

    Args:
        backbone: gives the maps of its `taps`; freeze it first for the published training (`ResNet38.freeze`).
        radius: of the pairs, cells.
        generator: source of the initial weights of the new layers (Kaiming normal; the last Xavier uniform).

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
        self.radius, self.stride, self.preprocessing = radius, backbone.grid, backbone.preprocessing
        self.backbone: Any = backbone  # a Backbone and a module
        for number, tap in enumerate(backbone.taps, FIRST_LEVEL):
            level = nn.Conv2d(tap.channels, tap.embedded, 1, bias=False)
            nn.init.kaiming_normal_(level.weight, generator=generator)
            self.add_module(f"f8_{number}", level)
        channels = sum(tap.embedded for tap in backbone.taps)
        self.f9 = nn.Conv2d(channels, channels, 1, bias=False)
        nn.init.xavier_uniform_(self.f9.weight, gain=EMBEDDING_GAIN, generator=generator)

    def embedding(self, images: Float[Tensor, "b 3 height width"]) -> Float[Tensor, "b d h w"]:
        """The embedding e of each cell."""
        return self.embed(self.levels(images))

    def levels(self, images: Float[Tensor, "b 3 height width"]) -> list[Tensor]:
        """The backbone's maps, none finer than the grid; they stay the same while the whole backbone is frozen."""
        finest = [max(1, self.stride // tap.stride) for tap in self.backbone.taps]
        return [
            F.avg_pool2d(level, cells, ceil_mode=True, count_include_pad=False) if cells > 1 else level
            for level, cells in zip(self.backbone.levels(images), finest, strict=True)
        ]

    def embed(self, levels: Sequence[Tensor]) -> Float[Tensor, "b d h w"]:
        """The embedding from the maps of `levels`; a 1x1 convolution and a resize may change places."""
        coarser = [max(1, tap.stride // self.stride) for tap in self.backbone.taps]
        height, width = levels[coarser.index(1)].shape[2:]
        embedded = [
            F.elu(_enlarge(self.get_submodule(f"f8_{number}")(level), cells)[..., :height, :width])
            for number, (level, cells) in enumerate(zip(levels, coarser, strict=True), FIRST_LEVEL)
        ]
        return F.elu(self.f9(torch.cat(embedded, dim=1)))

    def forward(self, images: Float[Tensor, "b 3 height width"]) -> Float[Tensor, "b p n"]:
        """Affinity of every pair of a batch."""
        return self.affinities(self.embedding(images))

    def affinities(self, embedding: Float[Tensor, "b d h w"]) -> Float[Tensor, "b p n"]:
        """Affinity of every pair of embedded cells."""
        source = pair_window(embedding, (0, 0), self.radius)
        kept = torch.promote_types(embedding.dtype, torch.float32)  # in bfloat16 1 - a of alike cells would be 0
        distances = [
            (pair_window(embedding, offset, self.radius) - source).abs().mean(dim=1, dtype=kept).flatten(1)
            for offset in pair_offsets(self.radius)
        ]
        return (-torch.stack(distances, dim=1)).exp()


def _enlarge(maps: Float[Tensor, "b d h w"], factor: int) -> Float[Tensor, "b d _ _"]:
    """Maps on a finer grid, which may have a row or column too many."""
    return F.interpolate(maps, scale_factor=factor, mode="bilinear", align_corners=False) if factor > 1 else maps
