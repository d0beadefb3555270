"""Random numbers as a function of seed, purpose and position, so that a training can be continued at any step.

Thesis 2.4.1 and 3.4.1 say nothing of randomness, and published code draws from global states; nothing here corresponds
to it. Two purposes, or two positions of one, never share a state.
"""

import numpy as np
import torch

ORDER, AUGMENTATION, MIXING, DROPOUT, INITIALISATION, SHUFFLE = range(6)
"""What random numbers are for."""


def generator(seed: int, stream: int, *position: int) -> np.random.Generator:
    """Random numbers for one purpose at one position (epoch and image, or step).

    >>> generator(0, AUGMENTATION, 2, 7).integers(100) == generator(0, AUGMENTATION, 2, 7).integers(100)
    np.True_
    """
    return np.random.default_rng([seed, stream, *position])


def torch_seed(seed: int, stream: int, *position: int) -> int:
    """The same as a seed for torch."""
    return int(generator(seed, stream, *position).integers(2**62))


def torch_generator(seed: int, stream: int, *position: int) -> torch.Generator:
    """The same as a generator for torch."""
    return torch.Generator().manual_seed(torch_seed(seed, stream, *position))
