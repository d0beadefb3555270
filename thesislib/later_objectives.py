"""What a batch of AffinityNet and of the segmentation network is trained on, and self-regularisation of both.

Thesis 2.3.3 and 3.3.3 train both by their published losses alone (`refinement.affinity_loss`, `losses`), and so do
these objectives as they are made. What the thesis does to the classifier can be done to both, which it does not:

- mixup (2.2): two images are mixed, and so are the losses under the labels of both, lambda L(a) + (1 - lambda) L(b).
  Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", 2018, with the loss of every pixel
  or pair in place of that of the image, so that what one image ignores the other may not. Where the whole backbone is
  frozen its maps are mixed in place of images: Verma et al., "Manifold Mixup", 2019, at a fixed layer.
- entropy of the predictions, lowered: Vu et al., "ADVENT: Adversarial Entropy Minimization for Domain Adaptation in
  Semantic Segmentation", CVPR 2019, equation 2; divided by ln C, as `advent/utils/loss.py` of valeoai/ADVENT does,
  with the mean over all cells or pairs, those without a label too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from thesislib.losses import entropy_loss, segmentation_loss
from thesislib.mixing import draw_mix
from thesislib.refinement import affinity_entropy, affinity_loss
from thesislib.refinement.pairs import pair_labels

Terms = dict[str, Float[Tensor, ""]]


@dataclass(frozen=True)
class SegmentationObjective:
    """The weighted terms of the segmentation network for one batch; their sum is the loss.

    Attributes:
        mixup_alpha: of (2.2); 0: no mixup, as in the thesis.
        mixing: one of `mixing.LOSS_MIXINGS`.
        lambda_ent: weight of the entropy of the fused prediction; 0: none, as in the thesis.
    """

    mixup_alpha: float = 0
    mixing: str = "mixup"
    lambda_ent: float = 0

    def __call__(self, model: nn.Module, batch: Sequence[Tensor], rng: np.random.Generator) -> Terms:
        """The terms of images `(B, 3, H, W)` with masks `(B, H, W)` of palette indices; `rng` draws the mix."""
        images, labels = batch
        mix = draw_mix(len(images), self.mixup_alpha, rng, self.mixing)
        outputs = model(mix.inputs(images) if self.mixup_alpha else images)
        terms = {"segmentation": mix.loss(partial(segmentation_loss, outputs), labels.long())}
        if self.lambda_ent:
            fused = outputs[-1]
            terms["entropy"] = self.lambda_ent * entropy_loss(fused, score="logit") / math.log(fused.shape[1])
        return terms


@dataclass(frozen=True)
class AffinityObjective:
    """The weighted terms of AffinityNet for one batch; their sum is the loss.

    Attributes:
        mixup_alpha, mixing: see `SegmentationObjective`.
        lambda_ent: weight of the entropy of the pair affinities; 0: none, as in the thesis.
        of_maps: whether a batch has the backbone's maps (`AffinityNet.levels`) in place of images.
    """

    mixup_alpha: float = 0
    mixing: str = "mixup"
    lambda_ent: float = 0
    of_maps: bool = False

    def __call__(self, model: Any, batch: Sequence[Tensor], rng: np.random.Generator) -> Terms:
        """The terms of images `(B, 3, H, W)`, or maps of them, with labels of cells `(B, h, w)`."""
        *inputs, labels = batch
        mix = draw_mix(len(labels), self.mixup_alpha, rng, self.mixing)
        seen = [mix.inputs(each) for each in inputs] if self.mixup_alpha else inputs
        affinity = model.affinities(model.embed(seen)) if self.of_maps else model(*seen)
        terms = {"affinity": mix.loss(partial(_loss_under, affinity), labels)}
        if self.lambda_ent:
            terms["entropy"] = self.lambda_ent * affinity_entropy(affinity)
        return terms


def _loss_under(affinity: Float[Tensor, "b p n"], labels: UInt8[Tensor, "b h w"]) -> Float[Tensor, ""]:
    return affinity_loss(affinity, *pair_labels(labels))
