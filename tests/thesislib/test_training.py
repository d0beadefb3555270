import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from small_training import CHECKPOINT, Points, objective, train
from torch import Tensor, nn

from thesislib import checkpoints, training
from thesislib.batches import Batches
from thesislib.files import write_whole
from thesislib.optimisation import learning_rate_factor


@pytest.mark.parametrize("optimiser", ["sgd", "adam", "adamw"])
def test_training_cut_at_any_step_ends_with_the_same_bits(tmp_path: Path, optimiser: str) -> None:
    undisturbed = train(tmp_path, optimiser)
    at_the_end = train(tmp_path, optimiser)  # cut between the last step and what comes after: nothing to repeat
    assert all(torch.equal(tensor, at_the_end[name]) for name, tensor in undisturbed.items())
    for cut in range(1, 12, 3):
        calls = 0

        def power_cut(model: nn.Module, batch: list[Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
            nonlocal calls
            calls += 1
            if calls > cut:  # noqa: B023 - used within the loop
                raise KeyboardInterrupt
            return objective(model, batch, rng)

        folder = tmp_path / f"{cut}"
        folder.mkdir()
        with pytest.raises(KeyboardInterrupt):
            train(folder, optimiser, power_cut)
        resumed = train(folder, optimiser)
        for name, tensor in undisturbed.items():
            assert torch.equal(tensor, resumed[name]), name


def test_batches_visit_every_image_once_an_epoch_and_can_start_anywhere() -> None:
    batches = Batches(Points(), 18, 4, 3, seed=0)
    assert (batches.per_epoch, batches.total) == (4, 12)
    seen = [tuple(int(i) for i in targets) for _, targets in batches.starting_at(0)]
    for epoch in range(3):
        images = [i for batch in seen[epoch * 4 : epoch * 4 + 4] for i in batch]
        assert len(set(images)) == 16
    assert seen[:4] != seen[4:8]
    for step in (1, 4, 7, 11):
        rest = [tuple(int(i) for i in targets) for _, targets in batches.starting_at(step)]
        assert rest == seen[step:]


def test_loader_processes_do_not_change_the_batches() -> None:
    alone, helped = (list(Batches(Points(), 8, 4, 2, seed=0, workers=n).starting_at(0)) for n in (0, 2))
    for (a, _), (b, _) in zip(alone, helped, strict=True):
        assert torch.equal(a, b)


def test_too_few_images_for_one_batch_is_a_clear_error() -> None:
    with pytest.raises(ValueError, match="3 training images do not fill a batch of 4"):
        Batches(Points(), 3, 4, 1, seed=0)


def test_non_finite_loss_stops_at_its_step_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    def diverge(model: nn.Module, batch: list[Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
        terms = objective(model, batch, rng)
        if (tmp_path / CHECKPOINT).is_file():
            step = int(safe_open(tmp_path / CHECKPOINT, framework="pt").metadata()["step"])
            if step == 5:
                terms["square"] = terms["square"] * float("inf")
        return terms

    with pytest.raises(training.NonFiniteLoss, match="not finite at step 5 of 12"):
        train(tmp_path, "sgd", diverge)
    checkpoint = load_file(tmp_path / CHECKPOINT)
    assert all(torch.isfinite(tensor).all() for tensor in checkpoint.values())


class _FullDisk:
    """A file on a disk that has room for half of what is written."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def write(self, content: bytes) -> None:
        self.file.write(content[: len(content) // 2])
        self.file.flush()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_disk_that_is_full_in_mid_checkpoint_keeps_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = train(_new(tmp_path / "a"), "adam")
    written: list[Path] = []

    def fifth_is_too_much(path: Path, write: Callable[[Any], Any]) -> None:
        written.append(path)
        write_whole(path, (lambda file: write(_FullDisk(file))) if len(written) == 5 else write)

    monkeypatch.setattr(checkpoints, "write_whole", fifth_is_too_much)
    with pytest.raises(OSError, match="No space left on device"):
        train(_new(tmp_path / "b"), "adam")
    monkeypatch.undo()
    assert [path.name for path in (tmp_path / "b").iterdir()] == [CHECKPOINT]
    with safe_open(tmp_path / "b" / CHECKPOINT, framework="pt") as checkpoint:
        assert checkpoint.metadata()["step"] == "4"
    steps = 0

    def counted(model: nn.Module, batch: list[Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
        nonlocal steps
        steps += 1
        return objective(model, batch, rng)

    resumed = train(tmp_path / "b", "adam", counted)
    assert steps == 12 - 4
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in undisturbed.items())


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_gpu_memory_error_names_the_settings_that_lower_it(tmp_path: Path) -> None:
    def too_large(model: nn.Module, batch: list[Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(MemoryError, match="lower batch_size or"):
        train(tmp_path, "sgd", too_large)


@pytest.mark.parametrize("total", [7, 50, 661])
def test_one_cycle_is_torchs(total: int) -> None:
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=1.0, total_steps=total)
    expected = []
    for _ in range(total):
        expected.append(schedule.get_last_lr()[0])
        optimiser.step()
        if len(expected) < total:
            schedule.step()
    ours = [learning_rate_factor("one_cycle", step, total) for step in range(total)]
    np.testing.assert_allclose(ours, expected, atol=1e-9)
