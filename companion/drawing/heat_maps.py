"""A matrix in colour with its numbers: classes that occur together, sub-categories beside the other classes (Fig. 3.6).

Nothing here corresponds to published code.
"""

from typing import Any

import numpy as np
import seaborn as sns
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes
from seaborn.utils import relative_luminance

from companion.drawing.style import INK

HALF_CONTRAST = 0.213  # relative luminance on which white and `INK` are equally legible (WCAG 2)


def heat_map(
    axis: Axes, shade: Float[np.ndarray, "h w"], texts: Shaped[np.ndarray, "h w"], size: float, **scale: Any
) -> None:
    """A matrix in colour with a text in every cell, dark or white, whichever has more contrast.

    Args:
        axis: where it is drawn; a cell is as high and wide as 1, ticks are the caller's.
        shade: the numbers behind the colours; a cell without one stays white and has no text.
        texts: of the cells.
        size: of the texts, in points.
        scale: colour map and limits, as for `seaborn.heatmap`.
    """
    sns.heatmap(
        shade, annot=texts, fmt="", annot_kws={"size": size}, cbar=False, xticklabels=False, yticklabels=False, ax=axis,
        **scale,
    )  # fmt: skip
    cells = np.asarray(axis.collections[0].get_facecolor())[np.isfinite(shade).ravel()]
    for text, colour in zip(axis.texts, cells, strict=True):
        text.set_color("white" if relative_luminance(colour) < HALF_CONTRAST else INK)
    axis.spines[:].set_visible(True)
