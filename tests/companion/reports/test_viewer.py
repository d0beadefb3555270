"""The viewer: masks over images, the picture of all steps, and sliders that redraw it."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from companion.drawing.image_grids import Example
from companion.reports import viewer
from companion.reports.viewer import Steps
from thesislib.data.voc import IGNORE


@pytest.fixture
def shown() -> list[Steps]:
    """A heron whose map rises from left to right and whose right half is true; and a fox without a truth."""
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    truth = np.zeros((8, 8), np.uint8)
    truth[:, 4:] = 1
    maps = torch.zeros(2, 8, 8)
    maps[0] = torch.linspace(0, 1, 8)
    heron = Example("heron", image, np.array([1, 0], np.uint8), truth, {"CAM": maps})
    fox = Example("fox", image, np.array([0, 1], np.uint8), None, {"CAM": maps.flip(0)})
    return [Steps(heron, {"pseudo-mask": truth}), Steps(fox, {})]


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def picture_of(view) -> np.ndarray:
    encoded = view.children[-1].value.split("base64,")[1].split('"')[0]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))))


def test_objects_alone_are_coloured():
    labels = np.array([[0, 1, 2, IGNORE]], np.uint8)
    image = np.full((1, 4, 3), 40, np.uint8)
    solid = viewer.coloured(image, labels, 1)
    assert solid[0].tolist() == [[40, 40, 40], [128, 0, 0], [0, 128, 0], [40, 40, 40]]  # VOC's first two colours
    assert np.array_equal(viewer.coloured(image, labels, 0), image)


@pytest.mark.parametrize(("background", "iou"), [(0.5, 100), (0.3, 80), (0.8, 50)])
def test_the_iou_above_a_label_map_follows_the_threshold(shown, background, iou):
    """Columns of the map are k / 7; the truth is k = 4..7. At 0.3 column 3 is added, at 0.8 two remain."""
    expected = ["heron", "truth", "CAM", f"label map, IoU {iou}", "pseudo-mask, IoU 100", "fox", "CAM", "label map"]
    assert [text for text in texts(viewer.draw(shown, background)) if text] == expected


@pytest.mark.parametrize(("background", "strength"), [(-0.1, 0.5), (0.5, 1.2)])
def test_numbers_outside_their_range_are_refused(shown, background, strength):
    with pytest.raises(ValueError, match=r"must lie in 0\.\.1"):
        viewer.draw(shown, background, strength)


def test_sliders_redraw_the_chosen_image(shown):
    view = viewer.sliders(shown, 0.5)
    chosen, threshold, strength, _ = view.children
    start = picture_of(view)
    threshold.value = 0.8
    other_threshold = picture_of(view)
    strength.value = 0.1
    paler = picture_of(view)
    threshold.value, strength.value = 0.5, viewer.STRENGTH
    assert np.array_equal(picture_of(view), start)
    assert not np.array_equal(start, other_threshold) and not np.array_equal(other_threshold, paler)
    chosen.value = 1
    assert picture_of(view).shape != start.shape  # without truth and pseudo-mask it is one line
    assert "alt=" in view.children[-1].value and "background threshold 0.50" in view.children[-1].value
