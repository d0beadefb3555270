"""A contrastive term: the pooled features of two views of an image should resemble each other more than others do.

Not in the thesis, whose chapter 4 names contrastive learning as future work. NT-Xent of Chen et al., "A Simple
Framework for Contrastive Learning of Visual Representations", 2020, equation 1, on the pooled features that the heads
see, without the projection head of that paper. Its negatives are all other images of the batch, also those of the same
class.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from thesislib.precision import at_least_float32


def contrastive_loss(views: Float[Tensor, "b two d"], *, temperature: float = 0.1) -> Float[Tensor, ""]:
    """NT-Xent: cross-entropy of finding the other view among all other features of the batch, mean over views, in nats.

    Args:
        views: features of both views of each image `(B, 2, D)`; their lengths do not matter.
        temperature: divides the cosine similarities.

    Raises:
        ValueError: fewer than two images, which have nothing to be told apart from, or a temperature that is not
            positive.

    >>> alike = torch.eye(2)[:, None].expand(2, 2, 2)
    >>> contrastive_loss(alike, temperature=1.0)  # -log(e / (e + 1 + 1))
    tensor(0.5514)
    """
    if len(views) < 2 or not temperature > 0:
        raise ValueError(f"needs two images and a temperature > 0, got {len(views)} and {temperature}")
    features = F.normalize(at_least_float32(views).flatten(0, 1), dim=1)
    similarity = features @ features.T / temperature
    itself = torch.eye(len(features), dtype=torch.bool, device=features.device)
    other_view = torch.arange(len(features), device=features.device) ^ 1  # views of an image stand side by side
    return F.cross_entropy(similarity.masked_fill(itself, -torch.inf), other_view)
