"""(2.5) and (3.3) against the equations written out in NumPy."""

import numpy as np
import pytest
import torch
from torch import Tensor

from thesislib.models.classifier import CamClassifier, ClassifierOutput
from thesislib.models.resnet38 import ResNet38
from thesislib.objectives import ClassifierObjective, unit_weight

C, K, SIDE = 3, 2, 8  # a map of 8 x 8 cells
LABELS = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 1]], np.float32)


@pytest.fixture(scope="module")
def model() -> CamClassifier:
    torch.manual_seed(0)
    return CamClassifier(ResNet38(width=1 / 64, stride=4), C, K, dropout=0.0).eval()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(4, 3, 4 * SIDE, 4 * SIDE, generator=torch.Generator().manual_seed(1))


def cross_entropy(logits: np.ndarray, targets: np.ndarray) -> float:
    p = 1 / (1 + np.exp(-logits))
    return float(-(targets * np.log(p) + (1 - targets) * np.log(1 - p)).mean())


def entropy(logits: np.ndarray) -> float:
    p = 1 / (1 + np.exp(-logits))
    e = np.exp(p / p.max(axis=1, keepdims=True))
    q = e / e.sum(axis=1, keepdims=True)
    return float(-(q * np.log(q)).sum(axis=1).mean())


def concentration(response: np.ndarray, present: np.ndarray) -> float:
    """Sum over present classes of the variance of the position in cells, mean over images."""
    rows, columns = np.indices(response.shape[2:])
    total = 0.0
    for maps, of_image in zip(response, present, strict=True):
        for c in np.flatnonzero(of_image):
            q = np.maximum(maps[c], 0) + 1e-5
            q /= q.sum()
            centre = (q * rows).sum(), (q * columns).sum()
            total += (q * ((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2)).sum()
    return total / len(response)


def test_equation_2_5(model: CamClassifier, images: Tensor) -> None:
    objective = ClassifierObjective(C, mixup_alpha=0.4, lambda_ent=0.02, lambda_con=2e-4, concentration_map=SIDE)
    labels = np.concatenate([LABELS, np.repeat(LABELS, K, axis=1)], axis=1)
    terms = objective(model, [images, torch.from_numpy(labels)], np.random.default_rng(3))

    rng = np.random.default_rng(3)
    weight, partner = rng.beta(0.4, 0.4), rng.permutation(4)
    mixed = weight * images + (1 - weight) * images[partner]  # (2.2)
    soft = weight * LABELS + (1 - weight) * LABELS[partner]
    with torch.no_grad():
        output = model(mixed.float())
    logits, response = output.logits.double().numpy(), output.response.double().numpy()
    expected = {
        "classification": cross_entropy(logits, soft),
        "entropy": 0.02 * entropy(logits),
        "concentration": 2e-4 * concentration(response, soft > 0),
    }
    assert {name: terms[name].item() for name in expected} == pytest.approx(expected, rel=1e-4)
    assert list(terms) == ["classification", "sub-categories", "entropy", "concentration"]


def test_equation_3_3(model: CamClassifier, images: Tensor) -> None:
    sub_labels = np.repeat(LABELS, K, axis=1)
    sub_labels[:, ::K] = 0  # every class in its second cluster
    labels = torch.from_numpy(np.concatenate([LABELS, sub_labels], axis=1))
    terms = ClassifierObjective(C, lambda_sub=5)(model, [images, labels], np.random.default_rng(0))
    with torch.no_grad():
        output = model(images)
    expected = {
        "classification": cross_entropy(output.logits.double().numpy(), LABELS),
        "sub-categories": 5 * cross_entropy(output.sub_logits.double().numpy(), sub_labels),
    }
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(expected, rel=1e-5)


def test_another_way_to_mix_and_smoothed_targets(model: CamClassifier, images: Tensor) -> None:
    """Targets of the classes are smoothed, those of sub-categories and what counts as present are not."""
    objective = ClassifierObjective(
        C, mixup_alpha=0.4, mixing="hard_labels", label_smoothing=0.1, lambda_sub=5, lambda_con=2e-4
    )
    labels = np.concatenate([LABELS, np.repeat(LABELS, K, axis=1)], axis=1)
    terms = objective(model, [images, torch.from_numpy(labels)], np.random.default_rng(3))

    rng = np.random.default_rng(3)
    weight, partner = rng.beta(0.4, 0.4), rng.permutation(4)
    hard = labels if weight >= 0.5 else labels[partner]
    with torch.no_grad():
        output = model((weight * images + (1 - weight) * images[partner]).float())
    assert output.sub_logits is not None
    logits, sub_logits = output.logits.double().numpy(), output.sub_logits.double().numpy()
    assert terms["classification"].item() == pytest.approx(cross_entropy(logits, 0.9 * hard[:, :C] + 0.05), rel=1e-4)
    assert terms["sub-categories"].item() == pytest.approx(5 * cross_entropy(sub_logits, hard[:, C:]), rel=1e-4)
    spread = concentration(output.response.double().numpy(), hard[:, :C] > 0)
    assert terms["concentration"].item() == pytest.approx(unit_weight(2e-4, 28) * spread * (2 / SIDE) ** 2, rel=1e-4)


def test_a_weight_of_zero_leaves_its_term_out_and_draws_nothing(images: Tensor) -> None:
    plain = CamClassifier(ResNet38(width=1 / 64, stride=4), C).eval()
    rng = np.random.default_rng(0)
    terms = ClassifierObjective(C)(plain, [images, torch.from_numpy(LABELS)], rng)
    assert list(terms) == ["classification"]
    assert rng.random() == np.random.default_rng(0).random()


def test_the_entropy_of_cells_is_that_of_the_response_maps(model: CamClassifier, images: Tensor) -> None:
    """A1: with `logit`, the mean over cells of the entropy of each cell's softmax."""
    objective = ClassifierObjective(C, lambda_ent=0.5, entropy_level="pixel", entropy_score="logit")
    labels = torch.from_numpy(np.concatenate([LABELS, np.repeat(LABELS, K, axis=1)], axis=1))
    term = objective(model, [images, labels], np.random.default_rng(0))["entropy"]
    with torch.no_grad():
        p = model(images).response.softmax(dim=1)
    assert term.item() == pytest.approx(0.5 * -(p * p.log()).sum(dim=1).mean().item(), rel=1e-5)


def test_a_term_of_ones_own_gets_the_output_and_the_labels_of_the_classes(model: CamClassifier, images: Tensor) -> None:
    def pull(output: ClassifierOutput, labels: Tensor) -> Tensor:
        assert labels.shape == (4, C)
        return (output.pooled * 0).sum() + labels.sum()

    labels = torch.from_numpy(np.concatenate([LABELS, np.repeat(LABELS, K, axis=1)], axis=1))
    terms = ClassifierObjective(C, extra=pull, lambda_extra=0.5)(model, [images, labels], np.random.default_rng(0))
    assert terms["extra"].item() == 0.5 * LABELS.sum()


@pytest.mark.parametrize("side", [4, 28, 56])
def test_the_unit_weight_is_the_weight_in_cells_on_its_own_map(side: int) -> None:
    """A4: a uniform map of n x n cells has (n^2 - 1) / 6 cells^2, and (2 / n)^2 of that in unit coordinates."""
    in_cells = (side**2 - 1) / 6
    assert unit_weight(2e-4, side) * in_cells * (2 / side) ** 2 == pytest.approx(2e-4 * in_cells)
