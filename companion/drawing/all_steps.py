"""One image through all steps of the thesis.

Thesis 2.3 and 3.3: response map, its label map at a background threshold, random walk, pseudo-mask and segmentation.
Only the label map has a threshold; the walk weighs the background by a power instead. Nothing here corresponds to
published code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure

from companion.analysis.error_rates import object_iou
from companion.drawing.image_grids import Example, Panel, grid, overlay
from companion.drawing.style import colours
from thesislib import cam
from thesislib.data.voc import IGNORE, colorize

ACROSS = 4
STRENGTH = 0.7


@dataclass(frozen=True)
class Steps:
    """An image with its response map and the masks that later steps make of it.

    Args:
        example: the image, its labels, its truth where there is one, and the maps of one method.
        masks: label maps `(H, W)` of the later steps by name, in their order.
    """

    example: Example
    masks: Mapping[str, UInt8[np.ndarray, "h w"]]


def coloured(
    image: UInt8[np.ndarray, "h w 3"], labels: UInt8[np.ndarray, "h w"], strength: float
) -> UInt8[np.ndarray, "h w 3"]:
    """Objects in their colours of PASCAL VOC over the image; background and void pixels stay as they are.

    >>> coloured(np.full((1, 2, 3), 100, np.uint8), np.array([[0, 1]], np.uint8), 0.5)[0].tolist()
    [[100, 100, 100], [114, 50, 50]]
    """
    objects = ((labels > 0) & (labels != IGNORE))[..., None]
    blended = (1 - strength) * image + strength * colorize(labels)
    return np.where(objects, blended, image).astype(np.uint8)


def draw(shown: Sequence[Steps], background: float, strength: float = STRENGTH) -> Figure:
    """Every step of each image; above a mask the IoU of the image's objects in per cent, where there is a truth.

    Args:
        shown: images.
        background: threshold of the label maps, drawn as a white line on the response maps.
        strength: density of the colours over the image, from 0 to 1.

    Raises:
        ValueError: `background` or `strength` lies outside 0..1.
    """
    for name, value in (("background", background), ("strength", strength)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must lie in 0..1, got {value}")
    lines: list[list[Panel | None]] = []
    for steps in shown:
        panels = _panels(steps, background, strength)
        across = len(panels) if len(panels) <= ACROSS + 1 else ACROSS  # one alone is not left over
        lines += [list(panels[at : at + across]) for at in range(0, len(panels), across)]
    return grid(lines, colour_bar=True)


def _panels(steps: Steps, background: float, strength: float) -> list[Panel]:
    example = steps.example
    [(method, maps)] = example.maps.items()
    [frame] = colours([method]).values()
    strongest = maps.amax(dim=0).numpy()
    masks = {"label map": cam.label_map(maps, background).numpy()} | dict(steps.masks)
    panels = [Panel(example.image, example.title)]
    if example.truth is not None:
        panels.append(Panel(coloured(example.image, example.truth, strength), "truth"))
    panels.append(Panel(overlay(example.image, strongest, strength), method, frame, strongest, background))
    for name, mask in masks.items():
        panels.append(Panel(coloured(example.image, mask, strength), _title(name, example, mask)))
    return panels


def _title(name: str, example: Example, mask: UInt8[np.ndarray, "h w"]) -> str:
    if example.truth is None:
        return name
    return f"{name}, IoU {object_iou(example.truth, mask, len(example.labels)):.0f}"
