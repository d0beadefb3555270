"""Mixup against what its parts must satisfy, and the statistics of lambda for the thesis' alpha and others."""

import numpy as np
import pytest
import torch

from thesislib.losses import classification_loss
from thesislib.mixup import mixup


def test_every_example_is_mixed_with_one_partner_of_a_permutation():
    identity = torch.eye(6)
    images, labels, weight = mixup(identity[:, :, None, None], identity, 1.0, np.random.default_rng(5))
    assert 0 < weight < 1
    others = (images[:, :, 0, 0] - weight * identity) / (1 - weight)
    assert torch.equal(others.round().sum(dim=0), torch.ones(6))
    torch.testing.assert_close(others, others.round(), atol=1e-6, rtol=0)
    torch.testing.assert_close(labels, images[:, :, 0, 0])


def test_the_classification_loss_is_linear_in_mixed_labels():
    logits, labels = torch.randn(1, 20, generator=torch.Generator().manual_seed(0)), torch.eye(20)[[3, 7]]
    _, mixed, weight = mixup(torch.zeros(2, 1), labels, 0.2, np.random.default_rng(2))
    assert not torch.equal(mixed[0], labels[0])
    expected = weight * classification_loss(logits, labels[:1]) + (1 - weight) * classification_loss(logits, labels[1:])
    torch.testing.assert_close(classification_loss(logits, mixed[:1]), expected)


def test_the_same_generator_state_mixes_in_the_same_way():
    batch = torch.arange(8.0)[:, None], torch.eye(8)
    first, second = (mixup(*batch, 0.4, np.random.default_rng(11)) for _ in range(2))
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1]) and first[2] == second[2]


@pytest.mark.parametrize(("alpha", "mean"), [(0.1, 0.058), (0.2, 0.10), (0.4, 0.16), (0.5, 0.18), (1.0, 0.25)])
def test_statistics_of_the_weaker_weight(alpha, mean):
    rng, one = np.random.default_rng(0), torch.zeros(1, 1)
    weights = np.array([mixup(one, one, alpha, rng)[2] for _ in range(2000)])
    weaker = np.minimum(weights, 1 - weights)
    assert weaker.mean() == pytest.approx(mean, abs=0.01)
    assert weights.mean() == pytest.approx(0.5, abs=0.03)
    if alpha == 0.2:
        assert (weaker < 0.05).mean() == pytest.approx(0.58, abs=0.03)
        assert (weaker < 0.1).mean() == pytest.approx(0.67, abs=0.03)


@pytest.mark.parametrize("alpha", [0.0, -0.2, float("nan")])
def test_alpha_must_be_positive(alpha):
    with pytest.raises(ValueError, match="alpha > 0"):
        mixup(torch.zeros(2, 1), torch.zeros(2, 1), alpha, np.random.default_rng(0))
