"""Sliders that redraw the picture of all steps."""

import base64
import io

import numpy as np
from PIL import Image
from walked_images import walked

from companion.drawing.all_steps import STRENGTH
from companion.reports import viewer


def picture_of(view) -> np.ndarray:
    encoded = view.children[-1].value.split("base64,")[1].split('"')[0]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))))


def test_sliders_redraw_the_chosen_image():
    view = viewer.sliders(walked(), 0.5)
    chosen, threshold, strength, _ = view.children
    start = picture_of(view)
    threshold.value = 0.8
    other_threshold = picture_of(view)
    strength.value = 0.1
    paler = picture_of(view)
    threshold.value, strength.value = 0.5, STRENGTH
    assert np.array_equal(picture_of(view), start)
    assert not np.array_equal(start, other_threshold) and not np.array_equal(other_threshold, paler)
    chosen.value = 1
    assert picture_of(view).shape != start.shape  # without truth and pseudo-mask it is one line
    assert "alt=" in view.children[-1].value and "background threshold 0.50" in view.children[-1].value
