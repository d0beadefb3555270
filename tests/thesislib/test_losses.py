"""The losses against brute-force loops, values worked out by hand and properties that must hold."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from thesislib.losses import classification_loss, concentration_loss, entropy_loss


def draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def logits_of(*probabilities):
    """Logits `(1, C)` whose sigmoid is the given probabilities."""
    return torch.logit(torch.tensor([probabilities], dtype=torch.float64), eps=1e-12)


# --- Classification ---------------------------------------------------------------------------------------------------


def test_classification_is_the_multilabel_loss_of_the_published_code():
    logits, labels = draw(5, 20) * 4, (draw(5, 20, seed=1) > 1).float()
    torch.testing.assert_close(classification_loss(logits, labels), F.multilabel_soft_margin_loss(logits, labels))


def test_classification_is_linear_in_its_targets():
    logits, a, b = draw(4, 20), (draw(4, 20, seed=1) > 0).float(), (draw(4, 20, seed=2) > 0).float()
    mixed = classification_loss(logits, 0.3 * a + 0.7 * b)
    torch.testing.assert_close(mixed, 0.3 * classification_loss(logits, a) + 0.7 * classification_loss(logits, b))


def test_classification_of_extreme_logits_is_finite():
    logits = torch.tensor([[1e4, -1e4]], requires_grad=True)
    classification_loss(logits, torch.tensor([[0.0, 1.0]])).backward()
    assert logits.grad.isfinite().all()


# --- Entropy (2.3) ----------------------------------------------------------------------------------------------------


def entropy_by_loop(logits, score, temperature):
    """Pixel level, one image at a time, in numpy."""
    total, cells = 0.0, 0
    for z in np.asarray(logits, np.float64):
        scores = {"logit": z, "logit_max": z / z.max(), "sigmoid_max": 1 / (1 + np.exp(-z))}[score]
        if score == "sigmoid_max":
            scores = scores / scores.max()
        for u, v in np.ndindex(z.shape[1:]):
            weights = np.exp(scores[:, u, v] / temperature)
            p = weights / weights.sum()
            total, cells = total - (p * np.log(p)).sum(), cells + 1
    return total / cells


@pytest.mark.parametrize("score", ["sigmoid_max", "logit_max", "logit"])
@pytest.mark.parametrize("temperature", [1.0, 0.25])
def test_entropy_agrees_with_a_loop(score, temperature):
    logits = draw(3, 6, 2, 4, dtype=torch.float64)
    loss = entropy_loss(logits, score=score, temperature=temperature)
    assert loss.item() == pytest.approx(entropy_by_loop(logits, score, temperature), rel=1e-12)
    image_level = entropy_loss(logits[:, :, 0, 0], score=score, temperature=temperature)
    assert image_level.item() == pytest.approx(entropy_by_loop(logits[:, :, :1, :1], score, temperature), rel=1e-12)


@pytest.mark.parametrize(("sure", "entropy"), [(1, 2.953), (2, 2.922), (20, math.log(20))])
def test_entropy_of_sure_classes(sure, entropy):
    logits = logits_of(*[1.0] * sure, *[0.0] * (20 - sure))
    assert entropy_loss(logits).item() == pytest.approx(entropy, abs=5e-4)


def test_entropy_bounds_of_the_literal_score():
    at = {sure: entropy_loss(logits_of(*[1.0] * sure, *[0.0] * (20 - sure))).item() for sure in range(1, 21)}
    assert min(at, key=at.__getitem__) == 7
    assert at[7] == pytest.approx(2.8725, abs=5e-5)
    probabilities = torch.rand(5000, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64) ** 4
    losses = torch.stack([entropy_loss(torch.logit(p[None])) for p in probabilities])
    assert at[7] <= losses.min() and losses.max() <= math.log(20)


@pytest.mark.parametrize(("sure", "low", "high"), [(1, 0.125, 0.135), (2, 0.23, 0.25)])
def test_descent_lowers_low_scores_and_raises_higher_ones(sure, low, high):
    for probability, direction in ((low, 1), (high, -1)):
        logits = logits_of(*[1.0] * sure, probability, *[0.0] * (19 - sure)).requires_grad_()
        entropy_loss(logits).backward()
        assert math.copysign(1, logits.grad[0, sure]) == direction


def test_entropy_of_plain_logits_can_vanish():
    one_class = F.one_hot(torch.tensor([4]), 20).float() * 100
    assert entropy_loss(one_class, score="logit").item() == pytest.approx(0, abs=1e-6)
    assert entropy_loss(one_class, temperature=1e6).item() == pytest.approx(math.log(20), abs=1e-6)


@pytest.mark.parametrize("score", ["sigmoid_max", "logit_max", "logit"])
@pytest.mark.parametrize("shape", [(2, 5), (2, 3, 2, 2)])
def test_entropy_gradient_flows_through_the_maximum(score, shape):
    logits = draw(*shape, seed=3, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: entropy_loss(z, score=score), logits)


@pytest.mark.parametrize("score", ["sigmoid_max", "logit_max", "logit"])
@pytest.mark.parametrize("value", [-1e3, -1.0, 0.0, 1e3])
def test_entropy_of_extreme_logits_is_finite(score, value):
    logits = torch.full((2, 4), value).requires_grad_()
    loss = entropy_loss(logits, score=score)
    loss.backward()
    assert loss.isfinite() and logits.grad.isfinite().all()


def test_entropy_refuses_unknown_settings():
    with pytest.raises(ValueError, match="sigmoid_max, logit_max, logit; got 'softmax'"):
        entropy_loss(torch.zeros(1, 2), score="softmax")
    with pytest.raises(ValueError, match="temperature must be positive"):
        entropy_loss(torch.zeros(1, 2), temperature=0.0)


# --- Concentration (2.4) ----------------------------------------------------------------------------------------------

FORMS_AND_COORDS = list(itertools.product(("written", "floored"), ("pixel", "unit")))


def concentration_by_loop(response, present, form, coords, eps=1e-5):
    total = 0.0
    response = np.maximum(np.asarray(response, np.float64), 0)
    images, classes, height, width = response.shape
    for b, c in itertools.product(range(images), range(classes)):
        if not present[b][c]:
            continue
        q = (response[b, c] + eps) / (response[b, c] + eps).sum()
        place = {
            (u, v): np.array([u, v]) if coords == "pixel" else np.array([2 * u / height - 1, 2 * v / width - 1])
            for u, v in np.ndindex(height, width)
        }
        centre = sum(q[cell] * at for cell, at in place.items())
        term = sum(q[cell] * ((at - centre) ** 2).sum() for cell, at in place.items())
        mass = response[b, c].sum()
        total += term * (mass / (mass + 0.05 * height * width) if form == "floored" else 1)
    return total / images


def blob(size=16, row=7.0, column=6.0, height=10.0):
    """One smooth peak on a map, `(1, 1, size, size)`, float64, zero outside the peak."""
    at = torch.arange(size, dtype=torch.float64)
    distance = (at[:, None] - row) ** 2 + (at - column) ** 2
    return height * (torch.exp(-distance / 4) - 0.1).relu()[None, None]


@pytest.mark.parametrize(("form", "coords"), FORMS_AND_COORDS)
def test_concentration_agrees_with_a_loop(form, coords):
    response, present = draw(3, 4, 5, 7, dtype=torch.float64), draw(3, 4, seed=1) > 0
    loss = concentration_loss(response, present, form=form, coords=coords)
    assert loss.item() == pytest.approx(concentration_by_loop(response, present, form, coords), rel=1e-12)


@pytest.mark.parametrize(("size", "value"), [(28, 130.5), (56, 522.5), (448, 33450.5)])
def test_concentration_of_a_uniform_map(size, value):
    loss = concentration_loss(torch.ones(1, 1, size, size), torch.ones(1, 1))
    assert loss.item() == pytest.approx(value, rel=1e-5)
    assert value == (size**2 - 1) / 6
    unit = concentration_loss(torch.ones(1, 1, size, size), torch.ones(1, 1), coords="unit")
    assert unit.item() == pytest.approx(0.667, abs=1.5e-3)


@pytest.mark.parametrize("form", ["written", "floored"])
def test_pixel_value_is_the_unit_value_times_the_squared_half_size(form):
    response, present = draw(2, 3, 14, 14, dtype=torch.float64), torch.ones(2, 3)
    pixel, unit = (concentration_loss(response, present, form=form, coords=coords) for coords in ("pixel", "unit"))
    torch.testing.assert_close(pixel, (14 / 2) ** 2 * unit)


def test_the_equivalent_weights_of_the_register():
    for size, weight in ((28, 0.0392), (56, 0.157)):
        response = draw(1, 1, size, size, seed=size)
        pixel, unit = (concentration_loss(response, torch.ones(1, 1), coords=coords) for coords in ("pixel", "unit"))
        assert 2e-4 * pixel.item() == pytest.approx(weight * unit.item(), rel=2e-3)


@pytest.mark.parametrize("form", ["written", "floored"])
def test_an_empty_map_has_no_gradient(form):
    for empty in (torch.zeros(1, 1, 16, 16), -draw(1, 1, 16, 16).abs()):
        response = empty.clone().requires_grad_()
        loss = concentration_loss(response, torch.ones(1, 1), form=form)
        loss.backward()
        assert loss.item() == pytest.approx((16**2 - 1) / 6 if form == "written" else 0, rel=1e-5)
        assert torch.equal(response.grad, torch.zeros_like(response))


@pytest.mark.parametrize(("form", "bound"), [("written", 2 / 1e-5), ("floored", 40)])
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-6, 1e-12, 1e-30])
def test_a_fading_map_keeps_bounded_values_and_gradients(form, bound, scale):
    response = (blob() * scale).float().requires_grad_()
    loss = concentration_loss(response, torch.ones(1, 1), form=form)
    loss.backward()
    assert 0 <= loss.item() <= (16**2 - 1) / 6 + 1e-4
    assert response.grad.isfinite().all()
    assert response.grad.abs().max() <= bound


def test_a_map_in_use_is_hardly_changed_by_eps_and_the_floor_lets_a_fading_one_go():
    present = torch.ones(1, 1)
    exact = concentration_loss(blob(), present, eps=0.0).item()
    assert concentration_loss(blob(), present).item() == pytest.approx(exact, rel=1e-3)
    fading = [concentration_loss(blob() * scale, present, form="floored").item() for scale in (1, 1e-2, 1e-4, 1e-6)]
    assert fading == sorted(fading, reverse=True)
    assert fading[-1] < 1e-3 * exact


def test_the_gradient_through_the_centre_is_zero():
    response = blob().requires_grad_()
    concentration_loss(response, torch.ones(1, 1)).backward()
    detached = blob().requires_grad_()
    q = (detached.relu() + 1e-5) / (detached.relu() + 1e-5).sum()
    rows, columns = torch.meshgrid(*[torch.arange(16, dtype=torch.float64)] * 2, indexing="ij")
    centre_row, centre_column = (q * rows).sum().detach(), (q * columns).sum().detach()
    (q * ((rows - centre_row) ** 2 + (columns - centre_column) ** 2)).sum().backward()
    torch.testing.assert_close(response.grad, detached.grad, rtol=1e-10, atol=1e-12)


def test_concentration_does_not_depend_on_place_orientation_or_order():
    present = torch.ones(1, 1)
    value = concentration_loss(blob(), present, eps=1e-12)
    for same in (blob(row=9.0, column=10.0), blob().flip(2), blob().flip(3), blob().transpose(2, 3)):
        torch.testing.assert_close(concentration_loss(same, present, eps=1e-12), value, rtol=1e-7, atol=0)
    response, some = draw(3, 4, 6, 6, dtype=torch.float64), draw(3, 4, seed=1) > 0
    images, classes = torch.tensor([2, 0, 1]), torch.tensor([3, 1, 0, 2])
    shuffled = concentration_loss(response[images][:, classes], some[images][:, classes])
    torch.testing.assert_close(shuffled, concentration_loss(response, some))


def test_concentration_is_the_sum_over_present_classes_and_the_mean_over_images():
    response = draw(2, 3, 6, 6, dtype=torch.float64)
    alone = [[concentration_loss(response[b : b + 1, c : c + 1], torch.ones(1, 1)) for c in range(3)] for b in range(2)]
    present = torch.tensor([[1, 0, 1], [0, 1, 0]])
    torch.testing.assert_close(concentration_loss(response, present), (alone[0][0] + alone[0][2] + alone[1][1]) / 2)
    assert concentration_loss(response, torch.zeros(2, 3)).item() == 0
    mixed = present * torch.tensor([[0.03, 0.5, 0.97], [0.2, 1.0, 0.8]])
    assert concentration_loss(response, mixed) == concentration_loss(response, present.bool())


@pytest.mark.parametrize(("form", "coords"), FORMS_AND_COORDS)
def test_concentration_gradient(form, coords):
    response = draw(2, 2, 3, 4, seed=5, dtype=torch.float64).requires_grad_()
    present = torch.tensor([[1, 1], [0, 1]])
    assert torch.autograd.gradcheck(lambda m: concentration_loss(m, present, form=form, coords=coords), response)


def test_concentration_refuses_unknown_settings():
    with pytest.raises(ValueError, match="written, floored; got 'flat'"):
        concentration_loss(torch.zeros(1, 1, 2, 2), torch.ones(1, 1), form="flat")
    with pytest.raises(ValueError, match="pixel, unit; got 'pixels'"):
        concentration_loss(torch.zeros(1, 1, 2, 2), torch.ones(1, 1), coords="pixels")
