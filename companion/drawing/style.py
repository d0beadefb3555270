"""How every figure looks: one colour a method, widths, ink, Matplotlib's settings, and plain axes.

Colours are told apart by the colour-blind and, where lines cross, by their dashes. Nothing here corresponds to
published code.
"""

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes

WIDTH = 7.2  # inches: a text column
INK = "#222222"
METHODS = {
    "CAM": "#666666",
    "mixup": "#8cc5e8",
    "mixup + entropy": "#4a9fd8",
    "mixup + concentration": "#1f6fb2",
    "Mixup-CAM": "#08306b",
    "both terms, no mixup": "#c2a25a",
    "Mixup-CAM, written form": "#d98fb0",
    "Mixup-CAM, floored form": "#d98fb0",
    "SC-CAM": "#e07b00",
    "SC-CAM, merged maps": "#a63700",
    "random sub-labels": "#7830bf",
    "K = 1, trained": "#401028",
    "true sub-types": "#9dd962",
    "CAM, schedule of the rounds": "#bfaca3",
    "Mixup-CAM + SC-CAM": "#009e73",
    "truth": "#000000",
}
SOLID = (*tuple(METHODS)[:5], "SC-CAM")  # the rows of Tables 2.1 and 3.1; control rows are dashed
SETTINGS: tuple[Any, ...] = ("default", {"text.parse_math": False})  # names of classes and files are no formulas
OTHERS = ("#a0307a", "#5e3a1a", "#d8c400")  # rows of the user's own


@contextmanager
def own_settings() -> Iterator[None]:
    """Figures are made and saved with the project's settings alone, not with those of a user's matplotlibrc.

    A decorator of every function that draws. Text is literal; where it is a formula, ask for `parse_math=True`.
    """
    with style.context(list(SETTINGS)):
        yield


def colours(methods: Iterable[str]) -> dict[str, str]:
    """The colour of each method; those without one of their own take the others in turn.

    >>> colours(["CAM", "my term"])
    {'CAM': '#666666', 'my term': '#a0307a'}
    """
    others = itertools.cycle(OTHERS)
    return {method: METHODS.get(method) or next(others) for method in methods}


def plain(axis: Axes) -> None:
    """Only the lines that carry something."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=9)
    axis.grid(axis="y", color="#dddddd", linewidth=0.6)
    axis.set_axisbelow(True)
