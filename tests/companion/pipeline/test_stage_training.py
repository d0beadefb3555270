"""Trainings as stages run them: continued in the store, on the machine of the environment, as published."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from killed import compare_with_undisturbed
from places import GOLDEN
from safetensors.torch import load_file, save_file
from small_training import Points, objective, train
from torch import Tensor, nn

from companion.pipeline import artefacts, store
from companion.pipeline.stages import classifier
from companion.pipeline.store import CHECKPOINT, Job, Progress, Stage, Store
from companion.pipeline.training import optimisation, train_stage
from companion.settings import Machine, OptimiserSettings, load
from thesislib import training
from thesislib.models.classifier import parameter_groups


def _train_stage(job: Job, calls: str) -> None:
    """A training that counts its steps in the file `calls`."""

    def counted(model: nn.Module, batch: list[Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
        with Path(calls).open("a") as file:
            file.write(".")
        return objective(model, batch, rng)

    save_file(train(job.folder, "adam", counted), job.folder / "weights.safetensors")


def test_training_cut_while_its_artefact_is_finished_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def power_cut(folder: Path) -> None:
        raise KeyboardInterrupt

    calls, artefacts = tmp_path / "calls", Store(tmp_path / "runs")
    stage = Stage("training", 1, _train_stage, {"calls": str(calls)})
    monkeypatch.setattr(store, "sync_all", power_cut)
    with pytest.raises(KeyboardInterrupt):
        artefacts.compute(stage)
    monkeypatch.undo()
    folder = artefacts.compute(stage)
    assert calls.read_text() == "." * 12
    assert not (folder / CHECKPOINT).exists()
    expected = train(tmp_path, "adam")
    assert all(
        torch.equal(tensor, expected[name]) for name, tensor in load_file(folder / "weights.safetensors").items()
    )


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
    train_stage(job, model, Points(), 18, objective, OptimiserSettings(), seed=0)
    assert [given[argument] for given in asked] == [expected]


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
    how = optimisation(settings)
    optimiser = how.build(groups)
    for step, (rates_used, after) in enumerate(
        zip(golden["lr_used_at_step"], golden["params_after_step"].reshape(-1, 4, 2), strict=True)
    ):
        how.set_rates(optimiser, min(step, 50), 50)
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
    files = [artefacts.CLASSIFIER_WEIGHTS, artefacts.HISTORY]
    compare_with_undisturbed(tmp_path, shared_store, classifier.stage, overrides, files)
