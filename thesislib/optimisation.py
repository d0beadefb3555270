"""Optimisers and how their learning rate falls.

Published code: `PolyOptimizer` of jiwoon-ahn/psa (tool/torchutils.py). It hands the weight decay to SGD as its momentum
(S20): settings carry the effective values.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch

from companion.settings import OptimiserSettings

POLY_POWER = 0.9
ONE_CYCLE_WARMUP = 0.3

ParameterGroups = Sequence[dict[str, Any]]


def learning_rate_factor(schedule: str, step: int, total: int) -> float:
    """Factor on the base learning rate at `step` of `total`.

    `poly`: (1 - t/T)^0.9 (psa tool/torchutils.py). `one_cycle`: cosine up from 1/25 over the first 30 % of the
    steps, then cosine down to 1/250,000 (Smith 2018, as in torch's OneCycleLR).

    >>> round(learning_rate_factor("poly", 50, 100), 3)
    0.536
    """
    if schedule == "poly":
        return max(0.0, 1 - step / total) ** POLY_POWER
    peak = max(ONE_CYCLE_WARMUP * total - 1, 1e-9)
    start, end, position = (
        (1 / 25, 1.0, step / peak) if step <= peak else (1.0, 4e-6, (step - peak) / max(total - 1 - peak, 1e-9))
    )
    return end + (start - end) / 2 * (1 + math.cos(math.pi * min(position, 1.0)))


def build_optimiser(
    groups: ParameterGroups, settings: OptimiserSettings, *, fused: bool = False
) -> torch.optim.Optimizer:
    """SGD, Adam or AdamW over parameter groups that may carry their own `lr` and `weight_decay`."""
    common: dict[str, Any] = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay, "fused": fused}
    if settings.optimiser == "sgd":
        optimiser: torch.optim.Optimizer = torch.optim.SGD(groups, momentum=settings.momentum, **common)
    elif settings.optimiser == "adam":
        optimiser = torch.optim.Adam(groups, **common)
    else:
        optimiser = torch.optim.AdamW(groups, **common)
    for group in optimiser.param_groups:
        group["base_lr"] = group["lr"]
    return optimiser
