"""Mixup: training on convex combinations of two images and of their labels (equation 2.2).

Thesis section 2.3; Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", 2018.
The code of Mixup-CAM was never released; this follows common mixup practice (register A8): one lambda
per batch, partners from a random permutation of the same batch, mixed after normalisation and cropping.
"""

import numpy as np
import torch
from jaxtyping import Float, Integer, Real
from torch import Tensor


def mixup(
    images: Float[Tensor, "b ..."], labels: Real[Tensor, "b c"], alpha: float, rng: np.random.Generator
) -> tuple[Float[Tensor, "b ..."], Float[Tensor, "b c"], float]:
    """Mix every example of a batch with a random partner of the same batch (2.2).

    The labels become soft: with probability 0.58 at `alpha = 0.2` the weaker example weighs less than 0.05.

    Args:
        images: normalised images `(B, 3, H, W)`; what the network would see without mixup.
        labels: image labels `(B, C)`, 0 or 1.
        alpha: both parameters of the Beta distribution that lambda is drawn from; 0.2 in the thesis.
        rng: as `draw` draws.

    Returns:
        Mixed images, mixed labels, and lambda, the weight of the unpermuted examples.

    Raises:
        ValueError: `alpha` is not positive.

    >>> images, labels = torch.tensor([[0.0], [1.0]]), torch.eye(2)
    >>> mixed_images, mixed_labels, weight = mixup(images, labels, 0.2, np.random.default_rng(2))
    >>> mixed_labels
    tensor([[0.3409, 0.6591],
            [0.6591, 0.3409]])
    """
    weight, partner = draw(len(images), alpha, rng)
    mixed_images = weight * images + (1 - weight) * images[partner]  # (2.2)
    mixed_labels = weight * labels + (1 - weight) * labels[partner]
    return mixed_images, mixed_labels, weight


def draw(count: int, alpha: float, rng: np.random.Generator) -> tuple[float, Integer[Tensor, " b"]]:
    """What a batch of `count` examples is mixed by: lambda first, then the partner of each.

    Raises:
        ValueError: `alpha` is not positive.
    """
    if not alpha > 0:
        raise ValueError(f"mixup needs alpha > 0, got {alpha}; to train without mixup do not call it")
    weight = float(rng.beta(alpha, alpha))
    return weight, torch.from_numpy(rng.permutation(count))
