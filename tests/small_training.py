"""A training of 12 steps on random points that takes no time, shared by the tests of the loop and of stages."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from thesislib import training
from thesislib.batches import Batches
from thesislib.optimisation import Optimisation
from thesislib.randomness import AUGMENTATION, generator

CHECKPOINT = "checkpoint.safetensors"


class Points(Dataset):
    def __getitem__(self, address: tuple[int, int]) -> tuple[Tensor, Tensor]:
        rng = generator(5, AUGMENTATION, *address)
        return torch.from_numpy(rng.standard_normal(4).astype(np.float32)), torch.tensor(float(address[1]))


def objective(model: nn.Module, batch: list[Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
    points, targets = batch
    error = model(points)[:, 0] - targets * rng.uniform(0.5, 1)
    return {"square": error.square().mean(), "size": 0.01 * sum(p.square().sum() for p in model.parameters())}


def train(folder: Path, optimiser: str, objective=objective) -> dict[str, Tensor]:  # type: ignore[no-untyped-def]
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))
    batches = Batches(Points(), 18, 4, 3, seed=2)
    how = Optimisation(optimiser, momentum=0.9)
    training.train(
        model,
        [{"params": list(model.parameters())}],
        objective,
        batches,
        how,
        folder / CHECKPOINT,
        checkpoint_seconds=0,
    )
    return model.state_dict()
