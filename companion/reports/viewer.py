"""Sliders over the picture of all steps, for a running notebook; a report has the picture alone."""

from collections.abc import Sequence
from typing import Any

import ipywidgets

from companion.drawing.all_steps import STRENGTH, Steps, draw
from companion.reports import cells

ALT = "The image, its response map, and over the image the mask that each step makes of it."


def sliders(shown: Sequence[Steps], background: float, strength: float = STRENGTH) -> ipywidgets.VBox:
    """`draw` of one image, with a choice of the image and sliders for both numbers; for a running notebook.

    Args:
        shown: images to choose from.
        background, strength: where the sliders start.
    """
    look: dict[str, Any] = {"style": {"description_width": "11em"}, "layout": ipywidgets.Layout(width="36em")}
    names = [(f"{i + 1}: {steps.example.title}", i) for i, steps in enumerate(shown)]
    chosen = ipywidgets.Dropdown(options=names, description="image", **look)
    threshold, density = (
        ipywidgets.FloatSlider(value, min=0, max=1, step=0.01, description=name, continuous_update=False, **look)
        for name, value in (("background threshold", background), ("overlay strength", strength))
    )
    controls = [chosen, threshold, density]
    picture = ipywidgets.HTML()

    def redraw(_: object = None) -> None:
        figure = draw([shown[chosen.value]], threshold.value, density.value)
        text = f"background threshold {threshold.value:.2f}, overlay strength {density.value:.2f}"
        picture.value = cells.figure(cells.to_png(figure), text, ALT)

    for control in controls:
        control.observe(redraw, names="value")
    redraw()
    return ipywidgets.VBox([*controls, picture])
