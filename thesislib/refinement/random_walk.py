"""Random walk of class scores along the learned affinity of neighbouring cells.

Thesis sections 2.3.3 and 3.3.3; Ahn and Kwak, "Learning Pixel-level Semantic Affinity with Image-level Supervision",
CVPR 2018. Corresponds to the matrix steps of `infer_aff.py` of jiwoon-ahn/psa.

Deliberate differences, none of which changes a result beyond single-precision rounding:
- The published code fills a dense n x n matrix and squares it eight times. Here a cell knows its neighbours alone, at
  most 68 and itself: a sparse matrix, linear in the number of cells, is applied to the scores.
- The power T^t of the walk is applied through its Chebyshev expansion, 96 sparse products for t = 256 (`_walk`).
- Double precision: an entry of T rounded to single precision is wrong 256 times over in the same direction, which
  costs the dense form up to 1e-5.
"""

import math
import warnings
from functools import lru_cache

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional as F

from thesislib.refinement.pairs import RADIUS, pair_offsets, pair_window, source_shape

TAIL = 1e-9  # what the expansion of T^t may leave out, out of 1


@torch.no_grad()
def random_walk(
    scores: Float[Tensor, "*b r h w"],
    pair_affinity: Float[Tensor, "*m p n"],
    *,
    radius: int = RADIUS,
    beta: float = 8,
    log2_steps: int = 8,
) -> Float[Tensor, "*b r h w"]:
    """Spread each row of scores over cells that belong together: scores . T^(2^log2_steps).

    T is the matrix of a^beta over pairs, symmetric, with unit diagonal and 0 for cells that form no pair, each column
    divided by its sum. A refined score is thus a weighted mean of scores. Rows walk independently: those of absent
    classes, all 0, may be left out.

    Args:
        scores: background and class scores `(R, h, w)` on the backbone's grid, or a batch of maps of one size.
        pair_affinity: a in [0, 1], `(P, n)` of the same grid from `AffinityNet`; batched as the scores are.
        radius: of the pairs, cells.
        beta: power of the affinity; the larger, the less do unlike cells exchange.
        log2_steps: log2 of the number of steps t.

    Returns:
        Refined scores of the same shape, type and device; without gradient.

    Raises:
        ValueError: map too small for the radius, no rows, pair affinity of another grid, values that are not finite,
            negative affinity, or negative `log2_steps`.

    One step on the smallest map, whose one source, cell (0, 4), shares with 34 others:

    >>> scores = torch.eye(45)[4].view(1, 5, 9)
    >>> random_walk(scores, torch.ones(34, 1), log2_steps=0)[0, 0]
    tensor([0.0000, 0.0000, 0.0000, 0.0000, 0.0286, 0.5000, 0.5000, 0.5000, 0.5000])
    """
    _check(scores, pair_affinity, radius, log2_steps)
    stencil = _transition_stencil(pair_affinity.double(), *scores.shape[-2:], radius=radius, beta=beta)
    cells = scores.double().movedim(-3, -1)
    walked = _walk(_sparse(stencil, radius), cells.reshape(-1, cells.shape[-1]), 2**log2_steps)
    refined = walked.reshape(cells.shape).movedim(-1, -3).to(scores.dtype)
    # A mean stays within the scores of its row; the shortened expansion may miss that by its 1e-9, below 0 for one.
    return refined.clamp(scores.amin((-2, -1), keepdim=True), scores.amax((-2, -1), keepdim=True)).contiguous()


def _check(scores: Tensor, pair_affinity: Tensor, radius: int, log2_steps: int) -> None:
    *batch, rows, height, width = scores.shape
    source_rows, source_columns = source_shape(height, width, radius)
    expected = (*batch, len(pair_offsets(radius)), source_rows * source_columns)
    if pair_affinity.shape != expected:
        raise ValueError(
            f"pair affinity of shape {tuple(pair_affinity.shape)} does not belong to scores on {height} x {width} "
            f"cells: expected {expected} at radius {radius}; compute it from the same image, padded to the same size"
        )
    if rows == 0:
        raise ValueError("the random walk got no score rows; expected the background and at least one class")
    if log2_steps < 0:
        raise ValueError(f"log2_steps must be at least 0 (one step), got {log2_steps}")
    if not bool(scores.isfinite().all()):
        raise ValueError("the random walk got scores that are not finite; look at the response maps they come from")
    if not bool((pair_affinity >= 0).all() & pair_affinity.isfinite().all()):
        raise ValueError("pair affinity must be finite and not negative; look at the training of the AffinityNet")


def _slots(radius: int) -> list[tuple[int, int]]:
    """Offsets of a cell's neighbours and of itself, in the order of the cells."""
    offsets = pair_offsets(radius)
    return [(-dy, -dx) for dy, dx in reversed(offsets)] + [(0, 0)] + offsets


def _transition_stencil(
    pair_affinity: Float[Tensor, "*b p n"], height: int, width: int, *, radius: int, beta: float
) -> Float[Tensor, "*b s h w"]:
    """Share of each neighbour in a cell's next score, one map per slot; 0 where there is no pair."""
    weights = pair_affinity.pow(beta).unflatten(-1, source_shape(height, width, radius))
    slots = _slots(radius)
    stencil = weights.new_zeros(*weights.shape[:-3], len(slots), height, width)
    middle = len(slots) // 2
    stencil[..., middle, :, :] = 1
    for index, offset in enumerate(pair_offsets(radius)):
        weight = weights[..., index, :, :]
        pair_window(stencil[..., middle + 1 + index, :, :], (0, 0), radius).copy_(weight)  # source looks at target
        pair_window(stencil[..., middle - 1 - index, :, :], offset, radius).copy_(weight)  # target looks at source
    return stencil / stencil.sum(-3, keepdim=True)


def _sparse(stencil: Float[Tensor, "*b s h w"], radius: int) -> Shaped[Tensor, "cells cells"]:
    """The stencils of all maps as one block-diagonal CSR matrix; row i makes the next score of cell i."""
    width = stencil.shape[-1]
    rows = stencil.movedim(-3, -1).flatten(0, -2)
    steps = torch.tensor([dy * width + dx for dy, dx in _slots(radius)], device=rows.device)
    kept = rows != 0
    columns = torch.arange(len(rows), device=rows.device)[:, None] + steps
    row_starts = F.pad(kept.sum(1).cumsum(0), (1, 0))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            row_starts.int(), columns[kept].int(), rows[kept], (len(rows), len(rows)), check_invariants=False
        )


def _walk(
    transition: Shaped[Tensor, "cells cells"], scores: Float[Tensor, "cells r"], steps: int
) -> Float[Tensor, "cells r"]:
    """`transition` applied `steps` times.

    x^t = sum_j c_j T_j(x) with Chebyshev polynomials T_j, of which little more than sqrt(t) have a coefficient worth
    keeping (Sachdeva and Vishnoi, "Faster Algorithms via Approximation Theory", 2014). It holds for the matrix since
    the transition is similar to a symmetric matrix, and its eigenvalues are within [-1, 1], where |T_j| <= 1.
    """
    coefficients = _coefficients(steps)
    before, now = scores, transition @ scores
    total = coefficients[0] * before + coefficients[1] * now
    for coefficient in coefficients[2:]:
        before, now = now, torch.addmm(before, transition, now, beta=-1, alpha=2)
        total.add_(now, alpha=coefficient)
    return total


@lru_cache
def _coefficients(steps: int) -> list[float]:
    """c_j of x^steps: the probability that `steps` fair steps of +-1 end at distance j, without the far tail."""
    ends = [0.0 if (steps - j) % 2 else math.comb(steps, (steps - j) // 2) / 2**steps for j in range(steps + 1)]
    probabilities = [ends[0]] + [2 * end for end in ends[1:]]
    tail = 0.0
    while tail + probabilities[-1] < TAIL:
        tail += probabilities.pop()
    return [probability / (1 - tail) for probability in probabilities]
