"""Two images with maps and masks that are made up, as a walk through all steps leaves them."""

import numpy as np
import torch

from companion.drawing.all_steps import Steps
from companion.drawing.image_grids import Example


def walked() -> list[Steps]:
    """A heron whose map rises from left to right and whose right half is true; and a fox without a truth."""
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    truth = np.zeros((8, 8), np.uint8)
    truth[:, 4:] = 1
    maps = torch.zeros(2, 8, 8)
    maps[0] = torch.linspace(0, 1, 8)
    heron = Example("heron", image, np.array([1, 0], np.uint8), truth, {"CAM": maps})
    fox = Example("fox", image, np.array([0, 1], np.uint8), None, {"CAM": maps.flip(0)})
    return [Steps(heron, {"pseudo-mask": truth}), Steps(fox, {})]
