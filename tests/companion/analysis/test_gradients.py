"""How hard terms pull, against terms whose pull is known, and against backward passes of their own."""

import numpy as np
import pytest
import torch

from companion.analysis import gradients
from companion.analysis.forward import untrained_classifier
from companion.settings import load
from thesislib.losses import classification_loss, entropy_loss
from thesislib.objectives import ClassifierObjective


@pytest.fixture(scope="module")
def batch():
    torch.manual_seed(0)
    model = untrained_classifier(load("smoke"), 4)
    with torch.no_grad():
        model.fc8.weight.normal_()
    return model, model(torch.randn(3, 3, 32, 32)), torch.tensor([[1.0, 0, 0, 0], [0, 0.3, 0.7, 0], [0, 0, 0, 1]])


def of(batch, **chosen):
    model, output, labels = batch
    ((parameters, logits, cosine),) = gradients.relative(model, output, labels, [ClassifierObjective(4, **chosen)])
    return parameters, logits, cosine


def test_a_share_of_the_classification_loss_pulls_by_that_share(batch):
    def same(output, labels):
        return classification_loss(output.logits, labels)

    assert of(batch, extra=same, lambda_extra=0.3) == pytest.approx((30, 30, 1), rel=1e-4)
    assert of(batch, extra=same, lambda_extra=-0.3) == pytest.approx((30, 30, -1), rel=1e-4)


def test_the_opposite_sign_pulls_as_hard_the_other_way(batch):
    lowered, raised = (of(batch, lambda_ent=weight, entropy_score="logit") for weight in (0.02, -0.02))
    assert raised == pytest.approx((*lowered[:2], -lowered[2]), rel=1e-4)


def test_norms_are_those_of_backward_passes_of_their_own(batch):
    model, output, labels = batch

    def norm(loss):
        model.zero_grad()
        loss.backward(retain_graph=True)
        found = [parameter.grad.norm() for parameter in model.parameters() if parameter.grad is not None]
        return float(torch.stack(found).norm())

    expected = 100 * norm(0.02 * entropy_loss(output.logits)) / norm(classification_loss(output.logits, labels))
    assert of(batch, lambda_ent=0.02)[0] == pytest.approx(expected, rel=1e-4)


def test_the_concentration_acts_on_the_maps_alone(batch):
    parameters, logits, cosine = of(batch, lambda_con=2e-4)
    assert parameters > 0 and logits == 0 and abs(cosine) <= 1
    assert of(batch, lambda_con=2e-4, concentration_map=56)[0] == pytest.approx(4 * parameters, rel=1e-4)


def test_terms_are_weighed_together_and_in_the_order_of_the_rows(batch):
    model, output, labels = batch
    rows = [ClassifierObjective(4, lambda_con=2e-4), ClassifierObjective(4, lambda_ent=0.02)]
    found = gradients.relative(model, output, labels, rows)
    assert found.shape == (2, len(gradients.COLUMNS))
    np.testing.assert_allclose(found[1], of(batch, lambda_ent=0.02), rtol=1e-5)
