"""Pairs of neighbouring cells: which exist on a grid, and what a label map says about them.

Thesis sections 2.3.3 and 3.3.3; Ahn and Kwak, "Learning Pixel-level Semantic Affinity with Image-level Supervision",
CVPR 2018. Corresponds to `tool/pyutils.py` and `voc12/data.py::ExtractAffinityLabelInRadius` of jiwoon-ahn/psa.

A pair is a source cell and a target cell, `offset` away from it in the half plane below (or right in the same row) and
nearer than `radius`. Sources are the cells from which every offset stays on the grid, so that all offsets have
the same n sources: on h x w cells and at radius 5, (h - 4) * (w - 8) of them. A pair quantity is `(P, n)`: offsets in
the order of `pair_offsets`, sources row by row.

Deliberate difference: pairs are windows of the map instead of lists of indices.
"""

import torch
from jaxtyping import Bool, Shaped, UInt8
from torch import Tensor

RADIUS = 5
UNDECIDED = 255


def pair_offsets(radius: int = RADIUS) -> list[tuple[int, int]]:
    """Offsets (rows, columns) from source to target, row by row; 34 of them at radius 5.

    Raises:
        ValueError: radius below 2, which no pair is within.

    >>> pair_offsets(2), len(pair_offsets(5))
    ([(0, 1), (1, -1), (1, 0), (1, 1)], 34)
    """
    if radius < 2:
        raise ValueError(f"pair radius must be at least 2 cells, got {radius}")
    right = [(0, dx) for dx in range(1, radius)]
    below = [(dy, dx) for dy in range(1, radius) for dx in range(1 - radius, radius) if dy**2 + dx**2 < radius**2]
    return right + below


def source_shape(height: int, width: int, radius: int = RADIUS) -> tuple[int, int]:
    """Rows and columns of sources on a map of `height` x `width` cells; their product is n.

    Raises:
        ValueError: the map is too small to hold a pair of every offset.

    >>> source_shape(56, 56)
    (52, 48)
    """
    if height < radius or width < 2 * radius - 1:
        raise ValueError(
            f"a map of {height} x {width} cells is too small for pairs of radius {radius}: it needs at least "
            f"{radius} rows and {2 * radius - 1} columns; use a larger image or crop, or a backbone of smaller stride"
        )
    return height - (radius - 1), width - 2 * (radius - 1)


def pair_window(
    maps: Shaped[Tensor, "*n h w"], offset: tuple[int, int], radius: int = RADIUS
) -> Shaped[Tensor, "*n rows columns"]:
    """View of the cells `offset` away from the sources, in the order of the sources; (0, 0) gives the sources."""
    height, width = maps.shape[-2:]
    rows, columns = source_shape(height, width, radius)
    top, left = offset[0], offset[1] + radius - 1
    return maps[..., top : top + rows, left : left + columns]


def pair_labels(
    label_map: UInt8[Tensor, "*b h w"], radius: int = RADIUS
) -> tuple[Bool[Tensor, "*b p n"], Bool[Tensor, "*b p n"], Bool[Tensor, "*b p n"]]:
    """Which pairs are of the background, of one foreground class, and of two different classes.

    Args:
        label_map: affinity labels on the backbone's grid `(h, w)`: 0, c + 1, or 255; batches allowed.
        radius: pairs are nearer than that, cells.

    Returns:
        Three masks `(P, n)`: background, foreground, different. A pair with an undecided cell (255) is in none.

    Raises:
        ValueError: the map is too small for the radius.

    >>> label_map = torch.tensor([[0, 0, 1], [1, 255, 1]], dtype=torch.uint8)
    >>> [mask[:, 0].tolist() for mask in pair_labels(label_map, radius=2)]  # right, below left, below, below right
    [[False, False, False, False], [False, False, False, False], [True, True, False, True]]
    """
    source = pair_window(label_map, (0, 0), radius).flatten(-2)
    targets = [pair_window(label_map, offset, radius).flatten(-2) for offset in pair_offsets(radius)]
    target = torch.stack(targets, dim=-2)
    source = source.unsqueeze(-2)
    decided = (source != UNDECIDED) & (target != UNDECIDED)
    same = decided & (source == target)
    return same & (source == 0), same & (source != 0), decided & (source != target)
