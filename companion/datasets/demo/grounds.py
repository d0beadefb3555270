"""What lies behind the objects of a generated image: a ground with the spectrum of photographs, and clutter on it.

No counterpart in the thesis or in published code. Amplitudes fall as 1/f, as they do in natural images (Field, 1987,
"Relations between the statistics of natural images and the response properties of cortical cells"). Grounds and clutter
are muted: no colour of theirs is one of the hues by which classes are told apart.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32

from companion.datasets.demo.drawing import SHAPES, Canvas, Colour, place, skin


class Context(NamedTuple):
    """A ground of two tones below a plainer strip of distance.

    `stretch`: how much longer its forms are than high; `contrast`: standard deviation of its brightness, as a share.
    """

    name: str
    near: tuple[float, float, float]
    second: tuple[float, float, float]
    far: tuple[float, float, float]
    stretch: float
    contrast: float


CONTEXTS = (
    Context("meadow", (128.0, 140.0, 110.0), (150.0, 150.0, 120.0), (188.0, 198.0, 200.0), 1.0, 0.13),
    Context("water", (112.0, 130.0, 142.0), (136.0, 152.0, 160.0), (200.0, 202.0, 200.0), 4.0, 0.10),
    Context("sand", (184.0, 168.0, 144.0), (166.0, 152.0, 132.0), (198.0, 204.0, 206.0), 2.0, 0.07),
    Context("pavement", (142.0, 138.0, 138.0), (122.0, 120.0, 122.0), (182.0, 178.0, 178.0), 1.0, 0.10),
)
FAR_CONTRAST = 0.3  # of the ground's, in the strip of distance
HORIZON, SLOPE = (0.06, 0.28), 0.06  # height of the strip and how much it may lean, image sides
CLUTTER = 5.0  # mean number of small things on the ground
CLUTTER_RADIUS = (0.012, 0.04)  # image sides
CLUTTER_TONE = (0.62, 1.3)  # times the ground's own colour
COLOUR_JITTER = 0.05  # standard deviation of the common factor on a colour; half of it per channel


def vary(colour: Colour | tuple[float, float, float], rng: np.random.Generator) -> Colour:
    """A colour a little lighter or darker and of a slightly other hue."""
    common, single = COLOUR_JITTER * rng.standard_normal(), COLOUR_JITTER / 2 * rng.standard_normal(3)
    return np.asarray(colour) * (1 + common) * (1 + single)


def cluttered(context: Context, size: int, rng: np.random.Generator) -> Canvas:
    """A canvas of `size` pixels with a ground and small things on it."""
    canvas = Canvas(_ground(context, size, rng))
    shapes = list(SHAPES)
    for _ in range(rng.poisson(CLUTTER)):
        radius, centre = rng.uniform(*CLUTTER_RADIUS), rng.uniform(0.02, 0.98, 2)
        polygon = place(shapes[int(rng.integers(len(shapes)))], centre, (radius, radius), rng.uniform(0, 2 * np.pi))
        colour = vary(context.near, rng) * rng.uniform(*CLUTTER_TONE)
        canvas.paint(polygon, skin("plain", colour, 1.0, contrast=0.1))
    return canvas


def _ground(context: Context, size: int, rng: np.random.Generator) -> Float32[np.ndarray, "size size 3"]:
    brightness, tone = (_one_over_f(size, context.stretch, rng)[..., None] for _ in range(2))
    near, second, far = (vary(colour, rng).astype(np.float32) for colour in (context.near, context.second, context.far))
    ground = near + np.clip(0.5 + 0.5 * tone, 0, 1) * (second - near)
    x, y = np.arange(size)[None, :, None] / size, np.arange(size)[:, None, None] / size
    distant = np.clip((rng.uniform(*HORIZON) + rng.uniform(-SLOPE, SLOPE) * (2 * x - 1) - y) * size, 0, 1)
    ground += distant.astype(np.float32) * (far - ground)
    contrast = context.contrast * (1 - (1 - FAR_CONTRAST) * distant)
    return (ground * (1 + contrast * brightness)).astype(np.float32)


def _one_over_f(size: int, stretch: float, rng: np.random.Generator) -> Float[np.ndarray, "size size"]:
    """Noise of mean 0 and standard deviation 1 whose amplitudes fall as 1/f."""
    across, down = np.fft.rfftfreq(size)[None, :], np.fft.fftfreq(size)[:, None]
    frequency = np.hypot(stretch * across, down)
    frequency[0, 0] = np.inf
    noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((size, size))) / frequency, s=(size, size))
    return noise / noise.std()
