"""The weight rows of the two heads of chapter 3 as charts: t-SNE, and cosines beside counts of images (Fig. 3.6).

Nothing here corresponds to published code. The numbers come from `cluster_heads`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Shaped, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from companion.analysis.cluster_heads import shares
from companion.analysis.cluster_scores import (
    AMI_BEFORE,
    AMI_OTHERS,
    AMI_TRUE,
    ARI_BEFORE,
    CHANCE,
    NMI_BEFORE,
    NMI_OTHERS,
    NMI_TRUE,
    SILHOUETTE,
    Quality,
    values,
)
from companion.analysis.cluster_tables import cluster_name
from companion.analysis.forward import square
from companion.analysis.statistics import mean_interval
from companion.drawing.curves import Line
from companion.drawing.heat_maps import heat_map
from companion.drawing.style import METHODS, WIDTH, colours, own_settings

MATRICES = ("cosine of the weight rows", "images of the cluster with each other class")
PARENT, SUB = METHODS["CAM"], METHODS["SC-CAM"]
THUMB = 96  # pixels


@own_settings()
def embeddings(
    panels: Mapping[str, Float[np.ndarray, "rows 2"]], classes: Sequence[str], c: int, clusters: Sequence[int]
) -> Figure:
    """Fig. 3.6: the rows of both heads by t-SNE, once for each start.

    Args:
        panels: by start; a row each class, then a row each sub-category of class `c`.
        classes: names.
        c: the class whose sub-categories are shown.
        clusters: the sub-categories.
    """
    deep = -(-len(panels) // 2)
    figure = Figure(figsize=(WIDTH, 3.3 * deep), layout="constrained")
    for axis, (start, points) in zip(figure.subplots(deep, 2, squeeze=False).flat, panels.items(), strict=False):
        of_classes, of_clusters = points[: len(classes)], points[len(classes) :]
        axis.scatter(*of_classes.T, s=26, color=PARENT, zorder=4, label="classes")
        axis.scatter(*of_clusters.T, s=110, color=SUB, marker="s", zorder=4, label=f"sub-categories of {classes[c]}")
        for name, point in zip(classes, of_classes, strict=True):
            weight = "bold" if name == classes[c] else "normal"
            text = axis.annotate(
                name, point, (0, 5), textcoords="offset points", ha="center", fontsize=8, weight=weight
            )
            text.set_path_effects([withStroke(linewidth=2, foreground="white")])
        for cluster, point in zip(clusters, of_clusters, strict=True):
            axis.annotate(str(cluster + 1), point, ha="center", va="center_baseline", fontsize=8, zorder=5)
        axis.set_title(start, fontsize=9)
        axis.set(xticks=[], yticks=[])
        axis.margins(0.16)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


@own_settings()
def matrices(
    cosine: Float[np.ndarray, "c k c"],
    counts: Float[np.ndarray, "c k c"],
    c: int,
    classes: Sequence[str],
    pictures: Sequence[UInt8[np.ndarray, "h w 3"] | None],
) -> Figure:
    """Cosines of the sub-categories of a class with the other classes, beside their counts in the same clusters.

    Args:
        cosine: from `cosines`.
        counts: from `together`; the shade is the share of the cluster, the number the images.
        c: the class.
        classes: names.
        pictures: one of each cluster, None for an empty one.
    """
    others = [j for j in range(len(classes)) if j != c]
    k = cosine.shape[1]
    names = [f"{cluster_name(classes[c], j)}: {n:.0f}" for j, n in enumerate(np.nan_to_num(counts[c, :, c]))]
    figure = Figure(figsize=(WIDTH, 2.2 + 0.72 * k), layout="constrained")
    (top, upper), (bottom, lower) = figure.subplots(2, 2, width_ratios=(0.062, 1))
    found, part = cosine[c][:, others], shares(counts)[c][:, others]
    bound, most = (float(np.nanmax(np.abs(each), initial=1e-9)) for each in (found, part))
    heat_map(upper, found, _texts(found, ".2f"), 7.5, cmap="PuOr_r", vmin=-bound, vmax=bound)
    heat_map(lower, part, _texts(counts[c][:, others], ".0f"), 7.5, cmap="Blues", vmin=0, vmax=most)
    for strip, axis, title in zip((top, bottom), (upper, lower), MATRICES, strict=True):
        _draw_clusters(strip, names, pictures)
        axis.set_title(title, fontsize=9)
        axis.set_xticks(np.arange(len(others)) + 0.5, [classes[j] for j in others], fontsize=8, rotation=45, ha="right")
    return figure


def _draw_clusters(strip: Axes, names: Sequence[str], pictures: Sequence[UInt8[np.ndarray, "h w 3"] | None]) -> None:
    """Name and image of each cluster, at the height of its line in the matrix."""
    for row, picture in enumerate(pictures):
        if picture is not None:
            strip.imshow(square(picture, THUMB), extent=(0, 1, row + 0.46, row - 0.46), interpolation="nearest")
    strip.set(xlim=(0, 1), ylim=(len(names) - 0.5, -0.5), aspect="auto", xticks=[])
    strip.set_yticks(range(len(names)), names, fontsize=8)
    strip.tick_params(length=0)
    strip.spines[:].set_visible(False)


def _texts(numbers: Float[np.ndarray, "k others"], form: str) -> Shaped[np.ndarray, "k others"]:
    """The number of each cell, without the 0 before the point."""
    return np.array(
        [[format(round(x, 2) + 0.0, form).replace("-", "−").replace("0.", ".") for x in line] for line in numbers]
    )


# --- The quality of clusters by round (Table 3.2) ---


def quality_lines(quality: Quality) -> dict[str, list[Line]]:
    """Panels for `curves.against`: silhouette, agreement with the round before and with what is known."""
    ours = METHODS["SC-CAM"]
    second, third = colours(["second", "third"]).values()
    panels = {
        "silhouette": [(SILHOUETTE, ours, "-", "o")],
        "agreement with the round before": [
            (NMI_BEFORE, ours, "-", "o"),
            (CHANCE[NMI_BEFORE], ours, ":", "."),
            (AMI_BEFORE, ours, "--", "D"),
            (ARI_BEFORE, second, "-", "s"),
        ],
        "agreement with what is known": [
            (NMI_TRUE, ours, "-", "o"),
            (CHANCE[NMI_TRUE], ours, ":", "."),
            (AMI_TRUE, ours, "--", "D"),
            (NMI_OTHERS, third, "-", "^"),
            (CHANCE[NMI_OTHERS], third, ":", "."),
            (AMI_OTHERS, third, "--", "v"),
        ],
    }
    return {label: [_line(quality, *each) for each in drawn if each[0] in quality] for label, drawn in panels.items()}


def _line(quality: Quality, name: str, colour: str, dashes: str, marker: str) -> Line:
    found = {number: values(quality, name, number) for number in quality[name]}
    points = {number: mean_interval(seeds) for number, seeds in found.items() if np.isfinite(seeds).all()}
    return Line(name, points, colour, dashes, marker)
