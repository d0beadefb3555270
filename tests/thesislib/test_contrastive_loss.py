"""The contrastive term against a loop over pairs."""

import numpy as np
import pytest
import torch

from thesislib.contrast import contrastive_loss
from thesislib.models.classifier import CamClassifier
from thesislib.models.resnet38 import ResNet38
from thesislib.objectives import ClassifierObjective


def by_pairs(views: np.ndarray, temperature: float) -> float:
    """Chen et al. 2020, equation 1, one view after the other."""
    points = [view / np.linalg.norm(view) for pair in views for view in pair]
    losses = []
    for i, point in enumerate(points):
        similar = {j: np.exp(point @ other / temperature) for j, other in enumerate(points) if j != i}
        losses.append(-np.log(similar[i + 1 if i % 2 == 0 else i - 1] / sum(similar.values())))
    return float(np.mean(losses))


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_it_is_the_mean_over_views_of_telling_the_other_view_from_all_others(temperature: float) -> None:
    views = torch.randn(5, 2, 7, generator=torch.Generator().manual_seed(0))
    expected = by_pairs(views.double().numpy(), temperature)
    assert contrastive_loss(views, temperature=temperature).item() == pytest.approx(expected, rel=1e-5)
    assert contrastive_loss(3 * views, temperature=temperature).item() == pytest.approx(expected, rel=1e-5)


def test_views_that_agree_cost_less_than_views_that_are_exchanged() -> None:
    features = torch.randn(4, 1, 9, generator=torch.Generator().manual_seed(0))
    agreeing = features.expand(4, 2, 9)
    exchanged = torch.stack([features[:, 0], features.roll(1, 0)[:, 0]], dim=1)
    assert contrastive_loss(agreeing) < contrastive_loss(exchanged)


@pytest.mark.parametrize(("images", "temperature"), [(1, 0.1), (2, 0.0)])
def test_one_image_has_nothing_to_be_told_apart_from(images: int, temperature: float) -> None:
    with pytest.raises(ValueError, match="two images and a temperature > 0"):
        contrastive_loss(torch.ones(images, 2, 3), temperature=temperature)


def test_both_views_are_classified_and_then_compared() -> None:
    torch.manual_seed(0)
    model = CamClassifier(ResNet38(width=1 / 64, stride=4), 3, dropout=0.0).eval()
    views = torch.randn(2, 2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([[1.0, 0, 1], [0, 1, 0]])
    rng = np.random.default_rng(0)
    terms = ClassifierObjective(3, lambda_contrast=0.5)(model, [views, labels], rng)
    alone = [ClassifierObjective(3)(model, [views[:, v], labels], rng)["classification"] for v in (0, 1)]
    assert terms["classification"].item() == pytest.approx((alone[0] + alone[1]).item() / 2, rel=1e-5)
    pooled = torch.stack([model(views[:, v]).pooled for v in (0, 1)], dim=1)
    assert terms["contrast"].item() == pytest.approx(0.5 * contrastive_loss(pooled).item(), rel=1e-5)
