"""Heat maps: every number is there and can be read on its colour."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from companion.drawing.heat_maps import heat_map


def luminance(colour: object) -> float:
    rgb = np.array(to_rgb(colour))
    return float(np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize("colours", ["Blues", "PuOr_r", "viridis"])
def test_every_text_stands_out_from_its_cell(colours):
    shade = np.linspace(0, 1, 64).reshape(8, 8)
    shade[2, 3] = np.nan
    texts = np.arange(64).reshape(8, 8).astype(str)
    axis = Figure().subplots()
    heat_map(axis, shade, texts, 8, cmap=colours, vmin=0, vmax=1)
    seen = np.isfinite(shade).ravel()
    assert [text.get_text() for text in axis.texts] == texts.ravel()[seen].tolist()
    cells = axis.collections[0].get_facecolor()
    assert cells[~seen][0, 3] == 0  # nothing where there is no number
    for text, cell in zip(axis.texts, cells[seen], strict=True):
        dark, light = sorted([luminance(text.get_color()), luminance(cell[:3])])
        assert (light + 0.05) / (dark + 0.05) > 3.9


def test_a_matrix_without_numbers_is_empty():
    axis = Figure().subplots()
    heat_map(axis, np.full((1, 1), np.nan), np.array([["1"]]), 8, cmap="Blues", vmin=0, vmax=1)
    assert not axis.texts
