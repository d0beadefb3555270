"""Masks over images, and the picture of all steps."""

import numpy as np
import pytest
from walked_images import walked

from companion.drawing import all_steps
from thesislib.data.voc import IGNORE


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_objects_alone_are_coloured():
    labels = np.array([[0, 1, 2, IGNORE]], np.uint8)
    image = np.full((1, 4, 3), 40, np.uint8)
    solid = all_steps.coloured(image, labels, 1)
    assert solid[0].tolist() == [[40, 40, 40], [128, 0, 0], [0, 128, 0], [40, 40, 40]]  # VOC's first two colours
    assert np.array_equal(all_steps.coloured(image, labels, 0), image)


@pytest.mark.parametrize(("background", "iou"), [(0.5, 100), (0.3, 80), (0.8, 50)])
def test_the_iou_above_a_label_map_follows_the_threshold(background, iou):
    """Columns of the map are k / 7; the truth is k = 4..7. At 0.3 column 3 is added, at 0.8 two remain."""
    expected = ["heron", "truth", "CAM", f"label map, IoU {iou}", "pseudo-mask, IoU 100", "fox", "CAM", "label map"]
    assert [text for text in texts(all_steps.draw(walked(), background)) if text] == expected


@pytest.mark.parametrize(("background", "strength"), [(-0.1, 0.5), (0.5, 1.2)])
def test_numbers_outside_their_range_are_refused(background, strength):
    with pytest.raises(ValueError, match=r"must lie in 0\.\.1"):
        all_steps.draw(walked(), background, strength)
