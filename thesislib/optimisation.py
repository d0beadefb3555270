"""Optimisers and how their learning rate falls.

Thesis 2.4.1 and 3.4.1. Published code: `PolyOptimizer` of jiwoon-ahn/psa (tool/torchutils.py). It hands the weight
decay to SGD as its momentum (S20): `Optimisation` carries the effective values.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

POLY_POWER = 0.9
ONE_CYCLE_WARMUP = 0.3

ParameterGroups = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Optimisation:
    """How weights are updated; the defaults are what the published code runs (S3, S20).

    Attributes:
        optimiser: SGD, Adam or AdamW.
        schedule: of the learning rate, see `learning_rate_factor`.
        learning_rate: of parameter groups without one of their own, at its highest.
        weight_decay: of parameter groups without one of their own.
        momentum: of SGD.
        update_interval: steps between changes of the learning rate.
    """

    optimiser: Literal["sgd", "adam", "adamw"] = "sgd"
    schedule: Literal["poly", "one_cycle"] = "poly"
    learning_rate: float = 0.01
    weight_decay: float = 5e-4
    momentum: float = 5e-4
    update_interval: int = 1

    def build(self, groups: ParameterGroups, *, fused: bool = False) -> torch.optim.Optimizer:
        """The optimiser over parameter groups, which may carry their own `lr` and `weight_decay`."""
        common: dict[str, Any] = {"lr": self.learning_rate, "weight_decay": self.weight_decay, "fused": fused}
        if self.optimiser == "sgd":
            optimiser: torch.optim.Optimizer = torch.optim.SGD(groups, momentum=self.momentum, **common)
        elif self.optimiser == "adam":
            optimiser = torch.optim.Adam(groups, **common)
        else:
            optimiser = torch.optim.AdamW(groups, **common)
        for group in optimiser.param_groups:
            group["base_lr"] = group["lr"]
        return optimiser

    def set_rates(self, optimiser: torch.optim.Optimizer, step: int, total: int) -> None:
        """Give the groups of an optimiser of `build` the learning rates of `step` of `total`."""
        held = step - step % self.update_interval
        for group in optimiser.param_groups:
            group["lr"] = group["base_lr"] * learning_rate_factor(self.schedule, held, total)


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
