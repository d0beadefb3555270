import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import torch
from killed import compare_with_undisturbed
from places import GOLDEN
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import Dataset

from companion.pipeline import artefacts, store
from companion.pipeline.stages import classifier
from companion.pipeline.store import Job, Progress, Stage, Store
from companion.settings import Machine, OptimiserSettings, load
from thesislib import optimisation, training
from thesislib.files import write_whole
from thesislib.models.classifier import parameter_groups


class _Points(Dataset):
    def __getitem__(self, address: tuple[int, int]) -> tuple[Tensor, Tensor]:
        rng = training.generator(5, training.AUGMENTATION, *address)
        return torch.from_numpy(rng.standard_normal(4).astype(np.float32)), torch.tensor(float(address[1]))


def _objective(model: nn.Module, batch: list[Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
    points, targets = batch
    error = model(points)[:, 0] - targets * rng.uniform(0.5, 1)
    return {"square": error.square().mean(), "size": 0.01 * sum(p.square().sum() for p in model.parameters())}


def _train(folder: Path, optimiser: str, objective=_objective) -> dict[str, Tensor]:  # type: ignore[no-untyped-def]
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))
    settings = OptimiserSettings(optimiser=optimiser, momentum=0.9, batch_size=4, epochs=3)
    batches = training.Batches(_Points(), 18, settings.batch_size, settings.epochs, seed=2)
    groups = [{"params": list(model.parameters())}]
    training.train(model, groups, objective, batches, settings, folder, checkpoint_seconds=0)
    return model.state_dict()


@pytest.mark.parametrize("optimiser", ["sgd", "adam", "adamw"])
def test_training_cut_at_any_step_ends_with_the_same_bits(tmp_path: Path, optimiser: str) -> None:
    undisturbed = _train(tmp_path, optimiser)
    at_the_end = _train(tmp_path, optimiser)  # cut between the last step and what comes after: nothing to repeat
    assert all(torch.equal(tensor, at_the_end[name]) for name, tensor in undisturbed.items())
    for cut in range(1, 12, 3):
        calls = 0

        def power_cut(model: nn.Module, batch: list[Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
            nonlocal calls
            calls += 1
            if calls > cut:  # noqa: B023 - used within the loop
                raise KeyboardInterrupt
            return _objective(model, batch, rng)

        folder = tmp_path / f"{cut}"
        folder.mkdir()
        with pytest.raises(KeyboardInterrupt):
            _train(folder, optimiser, power_cut)
        resumed = _train(folder, optimiser)
        for name, tensor in undisturbed.items():
            assert torch.equal(tensor, resumed[name]), name


def test_batches_visit_every_image_once_an_epoch_and_can_start_anywhere() -> None:
    batches = training.Batches(_Points(), 18, 4, 3, seed=0)
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
    alone, helped = (list(training.Batches(_Points(), 8, 4, 2, seed=0, workers=n).starting_at(0)) for n in (0, 2))
    for (a, _), (b, _) in zip(alone, helped, strict=True):
        assert torch.equal(a, b)


def test_too_few_images_for_one_batch_is_a_clear_error() -> None:
    with pytest.raises(ValueError, match="3 training images do not fill a batch of 4"):
        training.Batches(_Points(), 3, 4, 1, seed=0)


def test_non_finite_loss_stops_at_its_step_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    def diverge(model: nn.Module, batch: list[Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
        terms = _objective(model, batch, rng)
        if (tmp_path / training.CHECKPOINT).is_file():
            step = int(training.safe_open(tmp_path / training.CHECKPOINT, framework="pt").metadata()["step"])
            if step == 5:
                terms["square"] = terms["square"] * float("inf")
        return terms

    with pytest.raises(training.NonFiniteLoss, match="not finite at step 5 of 12"):
        _train(tmp_path, "sgd", diverge)
    checkpoint = load_file(tmp_path / training.CHECKPOINT)
    assert all(torch.isfinite(tensor).all() for tensor in checkpoint.values())


def _train_stage(job: Job, calls: str) -> None:
    """A training that counts its steps in the file `calls`."""

    def counted(model: nn.Module, batch: list[Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
        with Path(calls).open("a") as file:
            file.write(".")
        return _objective(model, batch, rng)

    save_file(_train(job.folder, "adam", counted), job.folder / "weights.safetensors")


def test_training_cut_while_its_artefact_is_finished_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def power_cut(folder: Path) -> None:
        raise KeyboardInterrupt

    calls, artefacts = tmp_path / "calls", Store(tmp_path / "runs")
    stage = Stage("training", 1, _train_stage, {"calls": str(calls)})
    monkeypatch.setattr(store, "_flush", power_cut)
    with pytest.raises(KeyboardInterrupt):
        artefacts.compute(stage)
    monkeypatch.undo()
    folder = artefacts.compute(stage)
    assert calls.read_text() == "." * 12
    assert not (folder / training.CHECKPOINT).exists()
    expected = _train(tmp_path, "adam")
    assert all(
        torch.equal(tensor, expected[name]) for name, tensor in load_file(folder / "weights.safetensors").items()
    )


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
    undisturbed = _train(_new(tmp_path / "a"), "adam")
    written: list[Path] = []

    def fifth_is_too_much(path: Path, write: Callable[[Any], Any]) -> None:
        written.append(path)
        write_whole(path, (lambda file: write(_FullDisk(file))) if len(written) == 5 else write)

    monkeypatch.setattr(training, "write_whole", fifth_is_too_much)
    with pytest.raises(OSError, match="No space left on device"):
        _train(_new(tmp_path / "b"), "adam")
    monkeypatch.undo()
    assert [path.name for path in (tmp_path / "b").iterdir()] == [training.CHECKPOINT]
    with training.safe_open(tmp_path / "b" / training.CHECKPOINT, framework="pt") as checkpoint:
        assert checkpoint.metadata()["step"] == "4"
    steps = 0

    def counted(model: nn.Module, batch: list[Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
        nonlocal steps
        steps += 1
        return _objective(model, batch, rng)

    resumed = _train(tmp_path / "b", "adam", counted)
    assert steps == 12 - 4
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in undisturbed.items())


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("variable", "value", "argument", "expected"),
    [
        ("THESIS_CHECKPOINT_MINUTES", "0.5", "checkpoint_seconds", 30),
        ("THESIS_CHECKPOINT_MINUTES", None, "checkpoint_seconds", 300),
        ("THESIS_COMPILE", "1", "compiled", True),
        ("THESIS_COMPILE", "0", "compiled", False),
        ("THESIS_COMPILE", None, "compiled", False),
    ],
)
def test_the_environment_says_how_stages_are_trained(
    variable: str, value: str | None, argument: str, expected: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(variable, raising=False)
    if value is not None:
        monkeypatch.setenv(variable, value)
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(training, "train", lambda *_, **given: asked.append(given) or {})
    model = nn.Module()
    model.backbone, model.head = nn.Linear(4, 4), nn.Linear(4, 1)
    job = Job(tmp_path, {}, Machine(device="cpu"), Progress())
    training.train_stage(job, model, _Points(), 18, _objective, OptimiserSettings(), seed=0)
    assert [given[argument] for given in asked] == [expected]


def test_gpu_memory_error_names_the_settings_that_lower_it(tmp_path: Path) -> None:
    def too_large(model: nn.Module, batch: list[Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(MemoryError, match="lower batch_size or"):
        _train(tmp_path, "sgd", too_large)


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
    ours = [optimisation.learning_rate_factor("one_cycle", step, total) for step in range(total)]
    np.testing.assert_allclose(ours, expected, atol=1e-9)


class _Weights(nn.Module):
    """A layer that has nothing but a weight and a bias of two numbers each."""

    def __init__(self, weight: list[float], bias: list[float]) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.tensor(weight)), nn.Parameter(torch.tensor(bias))


@pytest.mark.parametrize("trained", ["classifier", "affinity"])
def test_released_settings_train_with_the_published_optimiser(trained: str) -> None:
    """S20: groups, rates, weight decay, momentum and schedule of profile `released`, as they reach the optimiser."""
    golden = np.load(GOLDEN / "i_polyoptimizer.npz")
    model = nn.Module()
    model.backbone, model.head = _Weights([1.0, -2.0], [0.0, 0.0]), _Weights([0.5, 0.25], [0.0, 0.0])
    parameters = list(model.parameters())
    settings = getattr(load("voc2012", profile="released"), trained)
    groups = parameter_groups(
        model, settings.learning_rate, settings.weight_decay, new_layer_factor=settings.new_layer_factor
    )
    assert groups.pop()["params"] == []
    optimiser = optimisation.build_optimiser(groups, settings)
    for step, (rates_used, after) in enumerate(
        zip(golden["lr_used_at_step"], golden["params_after_step"].reshape(-1, 4, 2), strict=True)
    ):
        for group in optimiser.param_groups:
            group["lr"] = group["base_lr"] * optimisation.learning_rate_factor(settings.schedule, min(step, 50), 50)
        rates_now = [group["lr"] for group in optimiser.param_groups]
        for p in parameters:
            p.grad = torch.cos(torch.tensor([0.0, 1.0]) + 0.1 * step + p.detach())
        optimiser.step()
        if step < 50:  # the published optimiser repeats its last rate after the end; no training goes there
            np.testing.assert_allclose(rates_now, rates_used, atol=1e-5)
            np.testing.assert_allclose(torch.stack(parameters).detach().numpy(), after, atol=1e-5)


@pytest.mark.slow
def test_classifier_killed_in_the_middle_continues_to_the_same_bits(tmp_path: Path, shared_store: Store) -> None:
    overrides = {"classifier.epochs": 12, "classifier.mixup_alpha": 0.2, "classifier.lambda_con": 2e-4}
    files = ["classifier.safetensors", artefacts.HISTORY]
    compare_with_undisturbed(tmp_path, shared_store, classifier.stage, overrides, files)
