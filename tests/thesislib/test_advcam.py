"""Maps of AdvCAM against the climb of a linear classifier, whose gradient is written out cell by cell."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from thesislib.advcam import WEIGHT, Climbing, _shuffled
from thesislib.cam import response_maps

STEP_SIZE = 0.3


class Linear(nn.Module):
    """Maps of three classes, each a weighted sum of the colours of its own pixel."""

    def __init__(self):
        super().__init__()
        self.colours = nn.Parameter(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)))

    def forward(self, images):
        return SimpleNamespace(response=torch.einsum("kc,bchw->bkhw", self.colours, images))


def climbed(colours: np.ndarray, image: np.ndarray, c: int, steps: int) -> np.ndarray:
    """Lee et al. 2021: each step follows the gradient of L, one pixel after the other."""
    lowest, highest, current = image.min(), image.max(), image.copy()
    rows, columns = image.shape[1:]
    total, initial = np.zeros((rows, columns)), None
    for _ in range(steps):
        found = np.maximum(np.einsum("kc,chw->khw", colours, current), 0)
        initial = found[c] if initial is None else initial
        total += found[c]
        gradient = np.zeros_like(current)
        for y in range(rows):
            for x in range(columns):
                for k in range(len(colours)):
                    slope = 1 if k == c else -1
                    if k == c and found[c, y, x] > found[c].max() / 2:
                        slope -= WEIGHT * np.sign(found[c, y, x] - initial[y, x])
                    gradient[:, y, x] += slope * colours[k] * (found[k, y, x] > 0) / (rows * columns)
        current = np.clip(current + STEP_SIZE * gradient / np.abs(gradient).max(), lowest, highest)
    return total


@pytest.fixture(scope="module")
def images():
    return torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))


LABELS = torch.tensor([[1, 0, 1], [0, 1, 0]])


def test_each_present_class_climbs_by_itself_as_in_a_loop_over_pixels(images):
    model = Linear()
    response = Climbing(model, LABELS, steps=4, step_size=STEP_SIZE)(images).response
    assert not response[LABELS == 0].any()
    for i, c in LABELS.nonzero().tolist():
        expected = climbed(model.colours.detach().numpy(), images[i].numpy(), c, steps=4)
        np.testing.assert_allclose(response[i, c], expected, rtol=1e-4, atol=1e-5)
    assert model.colours.grad is None


def test_images_and_their_mirrors_climb_alike(images):
    climb = Climbing(Linear(), LABELS, steps=3, step_size=STEP_SIZE)
    plain, mirrored = climb(torch.cat([images, images.flip(-1)])).response.chunk(2)
    torch.testing.assert_close(plain, mirrored.flip(-1))


def test_one_step_gives_the_maps_of_the_classifier_and_an_image_without_classes_none():
    picture = np.random.default_rng(0).integers(0, 255, (12, 10, 3), np.uint8)
    for labels in ([1, 0, 1], [0, 0, 0]):
        present = torch.tensor(labels)
        given = {"scales": (1.0, 0.5), "flip": True}
        ours = response_maps(Climbing(Linear(), present[None], steps=1), picture, present, **given)
        torch.testing.assert_close(ours, response_maps(Linear(), picture, present, **given))


def test_shuffled_steps_are_as_long_and_lead_elsewhere(images):
    climb = Climbing(Linear(), LABELS[1:], steps=2, step_size=STEP_SIZE)
    other = Climbing(Linear(), LABELS[1:], steps=2, step_size=STEP_SIZE, direction="shuffled")
    assert not torch.equal(climb(images[1:]).response, other(images[1:]).response)
    change = _shuffled(images, torch.Generator().manual_seed(0)).flatten(2)
    assert not torch.equal(change, images.flatten(2))
    torch.testing.assert_close(change.sort().values, images.flatten(2).sort().values)


@pytest.mark.parametrize("given", [{"steps": 0}, {"direction": "down"}])
def test_no_step_and_another_direction_are_refused(given):
    with pytest.raises(ValueError, match="at least 1 step in one of"):
        Climbing(Linear(), LABELS, **given)
