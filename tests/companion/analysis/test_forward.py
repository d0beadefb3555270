"""One image through a network: maps by scale, and the square that thumbnails show."""

import numpy as np
import torch

from companion import settings
from companion.analysis import forward
from thesislib import cam


def test_maps_of_the_scales_add_up_to_the_fused_map():
    smoke = settings.load("smoke", {"cam.scales": (1, 0.75)})
    model = forward.untrained_classifier(smoke, 3)
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    labels = np.array([1, 0, 1], np.uint8)
    fused = forward.fuse(forward.maps_by_scale(model, picture, labels, smoke.cam))
    expected = cam.response_maps(model, picture, torch.from_numpy(labels), scales=smoke.cam.scales)
    torch.testing.assert_close(fused, expected)
    assert forward.logit_is_mean(model, picture)


def test_a_square_is_the_middle_of_the_picture():
    picture = np.zeros((20, 40, 3), np.uint8)
    picture[:, 10:30] = 200
    assert (forward.square(picture, 10) == 200).all()
    assert forward.square(picture, 10).shape == (10, 10, 3)
