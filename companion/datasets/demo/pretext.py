"""Images of the pretext task, which takes the place of ImageNet: one blob each, of a shape, a texture and a hue.

No counterpart in the thesis or in published code. Shapes, textures, hues and grounds are those of the demo's scenes, so
that the weights fit the demo better than ImageNet's fit VOC.
"""

import numpy as np
from jaxtyping import Int, Int64, UInt8

from companion.datasets.demo.drawing import HUES, SHAPES, TEXTURES, place, skin
from companion.datasets.demo.grounds import CONTEXTS, cluttered, vary

VOCABULARY = (tuple(SHAPES), tuple(TEXTURES), tuple(HUES))  # the three targets
STREAM = 3  # beside the splits of the demo, whose numbers are 0 to 2
RADIUS = (0.22, 0.40)  # of a blob, in image sides: on 48 pixels as large as a head on 128
PERIOD = (0.11, 0.20)  # of its texture, in image sides
CONTRAST = (0.3, 0.5)
PALER = 0.5  # at most so much of the hue's saturation is taken away


def pretext_images(
    count: int, seed: int, size: int
) -> tuple[UInt8[np.ndarray, "count size size 3"], Int64[np.ndarray, "count 3"]]:
    """Images of one blob each, and the numbers (0-7) of its shape, texture and hue, each balanced."""
    order = np.random.default_rng((seed, STREAM))
    targets = np.stack([order.permutation(np.arange(count) % len(names)) for names in VOCABULARY], axis=1)
    rngs = (np.random.default_rng((seed, STREAM, i)) for i in range(count))
    images = [draw_pretext(target, size, rng) for target, rng in zip(targets, rngs, strict=True)]
    return np.stack(images), targets


def draw_pretext(target: Int[np.ndarray, "3"], size: int, rng: np.random.Generator) -> UInt8[np.ndarray, "size size 3"]:
    """One blob whose shape, texture and hue are the numbers `target` of the vocabulary, on a ground with clutter."""
    shape, texture, hue = (names[i] for i, names in zip(target, VOCABULARY, strict=True))
    canvas = cluttered(CONTEXTS[int(rng.integers(len(CONTEXTS)))], size, rng)
    radius, stretch = rng.uniform(*RADIUS), rng.uniform(1.0, 1.5)
    colour = vary(HUES[hue], rng)
    colour = colour + rng.uniform(0, PALER) * (colour.mean() - colour)
    surface = skin(texture, colour, rng.uniform(*PERIOD), 0.3 * rng.standard_normal(), contrast=rng.uniform(*CONTRAST))
    half, tilt = (radius * stretch, radius / stretch), rng.uniform(-0.6, 0.6)
    canvas.paint(place(shape, rng.uniform(0.35, 0.65, 2), half, tilt), surface)
    return canvas.image(rng)
