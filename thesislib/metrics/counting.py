"""How pixels are counted and shares are taken, for all scores of this package."""

from typing import Any

import numpy as np
from jaxtyping import Int64, Shaped
from torch import Tensor

Array = np.ndarray | Tensor
Numbers = np.ndarray | np.number


def count(indices: tuple[np.ndarray, ...], shape: tuple[int, ...]) -> Int64[np.ndarray, "..."]:
    """How often each combination of indices occurs, as an array of `shape`."""
    flat = np.ravel_multi_index(indices, shape)
    return np.bincount(flat, minlength=int(np.prod(shape))).astype(np.int64).reshape(shape)


def ratio(numerator: Numbers, denominator: Numbers) -> Any:
    """A share; NaN where there is nothing to take it of."""
    with np.errstate(invalid="ignore"):
        return numerator / denominator


def check_same_size(truth: Shaped[np.ndarray, "..."], size: tuple[int, ...], what: str) -> None:
    """See that something has the size of the truth.

    Raises:
        ValueError: it has another one; names it.
    """
    if truth.shape != size:
        raise ValueError(f"{what} of size {size} cannot be compared with a truth of size {truth.shape}")
