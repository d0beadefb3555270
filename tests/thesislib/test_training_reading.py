"""What the loop records and computes does not depend on when losses are read, nor on torch.compile."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small_training import CHECKPOINT, Points, objective
from torch import Tensor, nn

from thesislib import training
from thesislib.batches import Batches
from thesislib.optimisation import Optimisation

EPOCHS = 9


class Shown:
    """Keeps what was shown."""

    def __init__(self) -> None:
        self.texts: list[tuple[int, str]] = []

    def __call__(self, done: int, total: int, text: str = "") -> None:
        self.texts.append((done, text))


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))


def train(folder: Path, terms: Any = objective, **options: Any) -> tuple[nn.Module, dict[str, list[float]]]:
    model = network()
    batches = Batches(Points(), 22, 4, EPOCHS, seed=2, parts=2)  # 45 steps, 5 in an epoch
    groups = [{"params": list(model.parameters())}]
    return model, training.train(
        model, groups, terms, batches, Optimisation("sgd", momentum=0.9), folder / CHECKPOINT, **options
    )


def test_losses_are_those_of_every_step_whenever_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, float]] = []

    def noted(model: nn.Module, batch: list[Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
        terms = objective(model, batch, rng)
        seen.append({name: (term / 2).item() for name, term in terms.items()})
        return terms

    histories = []
    for together in (1, 3, 1000):
        monkeypatch.setattr(training, "READ_TOGETHER", together)
        shown = Shown()
        _, history = train(_new(tmp_path / str(together)), noted, progress=shown)
        histories.append(history)
        assert [done for done, _ in shown.texts] == list(range(1, 46))
        assert shown.texts[-1][1] == f"loss {history['square'][-1] + history['size'][-1]:.3f}"
    assert histories[0] == histories[1] == histories[2]
    for name in ("square", "size"):
        parts = [terms[name] for terms in seen[:90]]
        assert histories[0][name] == [first + second for first, second in zip(parts[::2], parts[1::2], strict=True)]


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_loss_that_is_not_finite_is_found_by_its_step_when_it_is_read(tmp_path: Path) -> None:
    calls = 0

    def diverge(model: nn.Module, batch: list[Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
        nonlocal calls
        calls += 1
        terms = objective(model, batch, rng)
        return terms | {"square": terms["square"] * (math.nan if calls == 2 * 12 + 1 else 1)}

    with pytest.raises(training.NonFiniteLoss, match=r"not finite at step 12 of 45 \(square nan, size "):
        train(tmp_path, diverge, checkpoint_seconds=1000)
    assert calls == 2 * 15  # to the end of the epoch
    assert not (tmp_path / CHECKPOINT).exists()


def test_weights_of_an_epoch_are_never_kept_after_a_loss_that_is_not_finite(tmp_path: Path) -> None:
    def diverge(model: nn.Module, batch: list[Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
        return {"square": objective(model, batch, rng)["square"] * math.inf}

    with pytest.raises(training.NonFiniteLoss, match="not finite at step 0"):
        train(tmp_path, diverge, kept={1: tmp_path / "kept.safetensors"})
    assert not list(tmp_path.iterdir())


def test_a_compiled_training_ends_with_the_same_weights_under_the_same_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled, compile_it = [], torch.compile

    def without_a_compiler(model: nn.Module) -> Any:
        compiled.append(model)
        return compile_it(model, backend="eager")

    monkeypatch.setattr(torch, "compile", without_a_compiler)
    files = {name: tmp_path / f"{name}.safetensors" for name in ("plain", "compiled")}
    for name, file in files.items():
        model, _ = train(_new(tmp_path / name), compiled=name == "compiled", kept={EPOCHS: file})
        assert not model.training and model(torch.zeros(2, 4)).shape == (2, 1)
    assert compiled == [model]
    plain, other = (load_file(file) for file in files.values())
    assert plain.keys() == other.keys() == network().state_dict().keys()
    assert all(torch.equal(tensor, other[name]) for name, tensor in plain.items())
