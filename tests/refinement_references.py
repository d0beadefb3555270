"""References that the tests of pairs, random walk, refinement and dense CRF share."""

import numpy as np
import torch
from places import GOLDEN

from thesislib.refinement.pairs import pair_offsets, source_shape


def vectors(name):
    with np.load(GOLDEN / f"{name}.npz") as file:
        return dict(file)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pairs_by_search(height, width, radius):
    """Source, target cells of each offset (dictionary by offset), from the definition alone."""
    reach = radius - 1
    pairs = {}
    for y in range(height - reach):
        for x in range(reach, width - reach):
            for dy in range(radius):
                for dx in range(-reach, reach + 1):
                    if (dy, dx) > (0, 0) and dy * dy + dx * dx < radius * radius:
                        pairs.setdefault((dy, dx), []).append((y * width + x, (y + dy) * width + x + dx))
    return pairs


def random_map(height, width, radius=5, rows=3, seed=0):
    rng = generator(seed)
    sources = np.prod(source_shape(height, width, radius))
    affinity = 0.4 + 0.6 * torch.rand(len(pair_offsets(radius)), int(sources), generator=rng)
    return torch.rand(rows, height, width, generator=rng), affinity
