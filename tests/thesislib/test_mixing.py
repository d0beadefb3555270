"""Other ways to mix: pixels are of one of two images, labels follow the area, noise falls with frequency."""

import numpy as np
import pytest
import torch

from thesislib import mixing
from thesislib.mixup import draw, mixup

COUNT, SIZE = 6, (24, 40)
LABELS = torch.eye(COUNT)
IMAGES = torch.arange(1.0, COUNT + 1)[:, None, None, None].expand(COUNT, 3, *SIZE)
"""Image i is i + 1 everywhere."""


def drawn(alpha, seed):
    weight, partner = draw(COUNT, alpha, np.random.default_rng(seed))
    return weight, partner


@pytest.mark.parametrize("name", ["cutmix", "fmix"])
@pytest.mark.parametrize("seed", range(5))
def test_masks_put_two_images_together_and_labels_follow_the_area(name, seed):
    images, labels, weight = mixing.MIXINGS[name](IMAGES, LABELS, 1.0, np.random.default_rng(seed))
    wanted, partner = drawn(1.0, seed)
    own, other = images == IMAGES, images == IMAGES[partner]
    assert (own | other).all()
    moved = partner != torch.arange(COUNT)
    assert moved.any() and own[moved].float().mean().item() == pytest.approx(weight, abs=1e-6)
    torch.testing.assert_close(labels, weight * LABELS + (1 - weight) * LABELS[partner])
    torch.testing.assert_close(labels.sum(dim=1), torch.ones(COUNT))
    assert weight >= wanted - 0.05 if name == "cutmix" else weight == pytest.approx(wanted, abs=1 / np.prod(SIZE))


def test_the_rectangle_has_the_sides_of_the_image_and_its_area_unless_the_border_cuts_it():
    rng = np.random.default_rng(0)
    for share in (0.1, 0.5, 0.9):
        masks = [mixing.rectangle((60, 90), share, rng) for _ in range(200)]
        for mask in masks:
            rows, columns = mask.any(axis=1), mask.any(axis=0)
            assert np.array_equal(mask, rows[:, None] & columns)
            for line in (rows, columns):
                assert np.abs(np.diff(line.astype(int))).sum() <= 2  # in one piece
        assert max(mask.mean() for mask in masks) == pytest.approx(share, abs=0.03)
    assert not mixing.rectangle((60, 90), 0, rng).any()


@pytest.mark.parametrize("share", [0, 0.3, 1])
def test_the_mask_of_fmix_has_the_share_that_is_asked_for(share):
    assert mixing.noise_mask(SIZE, share, np.random.default_rng(1)).mean() == pytest.approx(share, abs=1e-9)


def test_noise_falls_with_frequency_by_its_power_and_has_large_patches():
    rng, side, decay = np.random.default_rng(2), 64, 3.0
    noise = [mixing.low_frequency_noise((side, side), rng, decay) for _ in range(200)]
    power = np.mean([np.abs(np.fft.fft2(each)) ** 2 for each in noise], axis=0)
    low, high = power[0, 2], power[0, 16]
    assert np.log(low / high) / np.log(16 / 2) == pytest.approx(2 * decay, abs=0.3)
    smooth, rough = (mixing.noise_mask((side, side), 0.5, np.random.default_rng(3), power) for power in (decay, 0.0))
    edges = [np.abs(np.diff(mask.astype(int), axis=0)).sum() for mask in (smooth, rough)]
    assert edges[0] < edges[1] / 4


def test_hard_labels_are_those_of_the_image_that_weighs_more():
    sides = set()
    for seed in range(10):
        images, labels, weight = mixing.hard_labels(IMAGES, LABELS, 1.0, np.random.default_rng(seed))
        mixed, soft, _ = mixup(IMAGES, LABELS, 1.0, np.random.default_rng(seed))
        torch.testing.assert_close(images, mixed)
        torch.testing.assert_close(labels, (soft >= 0.5).float())
        sides.add(weight > 0.5)
    assert sides == {True, False}


def test_labels_alone_are_mixed_so_that_the_own_weigh_more():
    for seed in range(10):
        images, labels, weight = mixing.labels_only(IMAGES, LABELS, 1.0, np.random.default_rng(seed))
        assert torch.equal(images, IMAGES) and weight >= 0.5
        assert (labels.diagonal() >= weight).all()
        torch.testing.assert_close(labels.sum(dim=1), torch.ones(COUNT))


def test_every_way_draws_what_mixup_draws_first():
    for name, mix in mixing.MIXINGS.items():
        weight = mix(IMAGES, LABELS, 0.4, np.random.default_rng(7))[2]
        again = mix(IMAGES, LABELS, 0.4, np.random.default_rng(7))[2]
        assert weight == again, name
        with pytest.raises(ValueError, match="alpha > 0"):
            mix(IMAGES, LABELS, 0.0, np.random.default_rng(7))


def test_smoothed_labels_are_as_unsure_of_a_class_that_is_there_as_of_one_that_is_not():
    smoothed = mixing.smooth(LABELS, 0.1)
    torch.testing.assert_close(smoothed, 1 - mixing.smooth(1 - LABELS, 0.1))
    torch.testing.assert_close(smoothed.diagonal(), torch.full((COUNT,), 0.95))
    assert torch.equal(mixing.smooth(LABELS, 0), LABELS) and (mixing.smooth(LABELS, 1) == 0.5).all()
