"""The batches of a training, which can start at any step, and the share of each that a process works on.

The order of an epoch is a function of the seed and the epoch. Corresponds to the `DataLoader` of `train_cls.py` in
jiwoon-ahn/psa, which shuffles and drops the incomplete last batch as well.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from thesislib.randomness import ORDER, generator


class Share:
    """The share of every batch that this process works on: here all of it, as a process of its own does.

    Where several processes train together, a subclass deals out the parts and adds up what the others have.
    """

    def own_parts(self, parts: Sequence[Any]) -> list[tuple[int, Any]]:
        """The parts of a batch that this process works on, each with its number."""
        return list(enumerate(parts))

    def check(self, model: nn.Module, parts: int) -> None:
        """Refuse a network or a number of parts that cannot be shared."""

    def add_up(self, model: nn.Module, terms: dict[str, Float[Tensor, ""]]) -> dict[str, Float[Tensor, ""]]:
        """Gradients (in place) and loss terms, summed over the processes."""
        return terms

    def of_first(self, value: Any) -> Any:
        """What the first process has, in every process."""
        return value


ALONE = Share()


@dataclass(frozen=True)
class Batches:
    """Batches of a dataset whose items are addressed by (epoch, index); incomplete last batches are dropped.

    Attributes:
        dataset: of `size` items.
        epochs: times that every item is seen, but for those of an incomplete batch.
        seed: of order, mixing and dropout.
        workers: processes that load items.
        parts: equal parts of a batch that go through the network one after the other.
        share: those of them that this process gets.

    Raises:
        ValueError: fewer items than a batch, or parts that are not equal.
    """

    dataset: Dataset
    size: int
    batch_size: int
    epochs: int
    seed: int
    workers: int = 0
    parts: int = 1
    share: Share = ALONE

    def __post_init__(self) -> None:
        if self.size < self.batch_size:
            raise ValueError(
                f"{self.size} training images do not fill a batch of {self.batch_size}; lower batch_size or add images"
            )
        if self.batch_size % self.parts:
            raise ValueError(f"a batch of {self.batch_size} has no {self.parts} equal parts")

    @property
    def per_epoch(self) -> int:
        """Steps in one epoch."""
        return self.size // self.batch_size

    @property
    def total(self) -> int:
        """Steps of the whole training."""
        return self.epochs * self.per_epoch

    def _addresses(self, start: int) -> Iterator[list[tuple[int, int]]]:
        for epoch in range(start // self.per_epoch, self.epochs):
            order = generator(self.seed, ORDER, epoch).permutation(self.size)
            first = start % self.per_epoch if epoch == start // self.per_epoch else 0
            for step in range(first, self.per_epoch):
                chosen = order[step * self.batch_size : (step + 1) * self.batch_size]
                parts = np.split(chosen, self.parts)
                yield [(epoch, int(index)) for _, part in self.share.own_parts(parts) for index in part]

    def starting_at(self, step: int) -> Iterator[Any]:
        """Collated batches from `step` to the end."""
        loader: DataLoader = DataLoader(
            self.dataset,
            batch_sampler=list(self._addresses(step)),
            num_workers=self.workers,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator().manual_seed(0),
        )
        return iter(loader)
