"""How many images show each class, and each pair of classes.

Nothing here corresponds to published code.
"""

from collections.abc import Sequence

import numpy as np
import seaborn as sns
from jaxtyping import Int
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from companion.drawing.heat_maps import heat_map
from companion.drawing.style import WIDTH, own_settings

MANY = 30  # classes; the matrix of more has no room for numbers


@own_settings()
def class_chart(names: Sequence[str], images: Int[np.ndarray, " c"], together: Int[np.ndarray, "c c"]) -> Figure:
    """Images that contain each class, and how many contain both of two classes; without numbers if they are many."""
    if len(names) > MANY:
        return _many_classes(names, images, together)
    side = max(2.6, 0.28 * len(names))
    figure = Figure(figsize=(WIDTH, side + 0.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.3))
    sns.barplot(x=images, y=list(names), orient="h", color="#4a6a8a", saturation=1, ax=left)
    left.bar_label(left.containers[0], fontsize=8, padding=2)
    left.set_xlabel("images with the class", fontsize=9)
    left.set_xticks([])
    left.tick_params(axis="y", length=0, labelsize=9)
    left.spines[:].set_visible(False)
    itself = np.eye(len(names), dtype=bool)
    counts, most = np.where(together > 0, together.astype(str), ""), max(1, together[~itself].max(initial=0))
    size = 8 if len(names) <= 10 else 6
    heat_map(right, np.where(itself, np.nan, together), counts, size, cmap="Blues", vmin=0, vmax=most)
    middles = np.arange(len(names)) + 0.5
    right.set_xticks(middles, names, rotation=60, ha="right", rotation_mode="anchor", fontsize=8)
    right.set_yticks(middles, names, fontsize=8)
    right.set_title("images with both classes", fontsize=9)
    return figure


def _many_classes(names: Sequence[str], images: Int[np.ndarray, " c"], together: Int[np.ndarray, "c c"]) -> Figure:
    """Bars that stand over the columns of the matrix, both in powers of ten."""
    figure = Figure(figsize=(WIDTH, 1.25 * WIDTH), layout="constrained")
    bars, matrix = figure.subplots(2, 1, height_ratios=(1, 5))
    positions = np.arange(len(names))
    bars.bar(positions, images, color="#4a6a8a", log=True)
    bars.set_xticks([])
    bars.set_title("images with the class", fontsize=9)
    bars.spines[["top", "right"]].set_visible(False)
    pairs = np.ma.masked_where(np.eye(len(names), dtype=bool) | (together == 0), together)
    shown = matrix.imshow(
        pairs, cmap="Blues", norm=LogNorm(1, max(2, pairs.max() if pairs.count() else 0)), aspect="auto"
    )
    matrix.set_xticks(positions, names, rotation=90, fontsize=5.5)
    matrix.set_yticks(positions, names, fontsize=5.5)
    bars.set_xlim(matrix.get_xlim())
    figure.colorbar(shown, ax=matrix, label="images with both classes", location="bottom", shrink=0.5, aspect=40)
    return figure
