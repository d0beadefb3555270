"""Shapes, textures and colours that the generated images are drawn with.

No counterpart in the thesis or in published code: generated images stand in for photographs where those
cannot be shipped. The demo scenes (`scenes`) and the images of the pretext task that takes the place of
ImageNet (`pretext`) share this vocabulary, which is what makes the pre-training useful.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, UInt8
from PIL import Image, ImageDraw

OVERSAMPLING = 2  # samples per pixel and axis; averaged at the end, hence smooth edges
CORNERS = 40  # of a polygon that stands for a curve
SHADE = 0.22  # how much darker the lower edge of a surface is than its upper edge
GRAIN = 2.0  # standard deviation of the sensor noise, in grey levels

Polygon = Float[np.ndarray, "n 2"]
Colour = Float[np.ndarray, "3"]


def _superellipse(power: float) -> Polygon:
    angle = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    xy = np.stack([np.cos(angle), np.sin(angle)], 1)
    return np.sign(xy) * np.abs(xy) ** (2 / power)


def _star(points: int, inner: float) -> Polygon:
    angle = np.linspace(0, 2 * np.pi, 2 * points, endpoint=False) - np.pi / 2
    radius = np.where(np.arange(2 * points) % 2 == 0, 1.0, inner)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)


def _cross(arm: float) -> Polygon:
    corner = np.array([(arm, -1.0), (arm, -arm), (1.0, -arm)])
    quarter = np.array([[0.0, 1.0], [-1.0, 0.0]])
    return np.concatenate([corner @ np.linalg.matrix_power(quarter, turn) for turn in range(4)])


def _drop() -> Polygon:
    angle = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    return np.stack([-np.cos(angle), np.sin(angle) * np.sin(angle / 2) ** 1.3], 1)


def _crescent() -> Polygon:
    angle = np.linspace(-0.72 * np.pi, 0.72 * np.pi, CORNERS // 2)
    outer = np.stack([np.cos(angle), np.sin(angle)], 1)
    return np.concatenate([outer, outer[::-1] * [0.45, 0.78] + [-0.38, 0.0]])


def _unit_area(polygon: Polygon) -> Polygon:
    """Centred, with the area of the unit disc, so that a size means the same for every shape."""
    following = np.roll(polygon, -1, 0)
    area = np.abs(np.sum(polygon[:, 0] * following[:, 1] - following[:, 0] * polygon[:, 1])) / 2
    centre = (polygon.min(0) + polygon.max(0)) / 2
    return (polygon - centre) * np.sqrt(np.pi / area)


SHAPES: dict[str, Polygon] = {
    name: _unit_area(polygon)
    for name, polygon in {
        "disc": _superellipse(2),
        "box": _superellipse(5),
        "triangle": np.array([(0.0, -1.0), (1.0, 0.8), (-1.0, 0.8)]),
        "diamond": np.array([(0.0, -1.2), (0.85, 0.0), (0.0, 1.2), (-0.85, 0.0)]),
        "star": _star(5, 0.5),
        "cross": _cross(0.42),
        "drop": _drop(),
        "crescent": _crescent(),
    }.items()
}

Field = Float32[np.ndarray, "rows columns"]


def _wave(phase: Field) -> Field:
    """A soft square wave of period 1, in 0..1."""
    return 0.5 + 0.5 * np.tanh(2.5 * np.sin(2 * np.pi * phase))


# Coordinates in periods -> share of the lighter tone, 0..1.
TEXTURES: dict[str, Callable[[Field, Field], Field]] = {
    "plain": lambda u, v: np.full_like(u, 0.6),
    "stripes": lambda u, v: _wave(u),
    "checks": lambda u, v: 0.5 + 0.5 * np.tanh(4 * np.sin(np.pi * u) * np.sin(np.pi * v)),
    "dots": lambda u, v: 0.5 - 0.5 * np.tanh(3 * (np.cos(2 * np.pi * u) + np.cos(2 * np.pi * v) - 0.7)),
    "rings": lambda u, v: _wave(np.hypot(u, v)),
    "waves": lambda u, v: _wave(u + 0.3 * np.sin(np.pi * v)),
    "chevrons": lambda u, v: _wave(u + np.abs(v - 2 * np.round(v / 2))),
    "mottle": lambda u, v: (
        0.5
        + 0.5 * np.tanh(np.sin(4.1 * u + 1.3 * v) + np.sin(4.7 * v - 2.9 * u + 1.0) + np.sin(6.3 * u + 5.1 * v + 4.0))
    ),
}

# Far enough apart to be told apart after the jitter of `companion.datasets.demo.scenes`.
HUES: dict[str, Colour] = {
    "brick": np.array([190.0, 74.0, 58.0]),
    "ochre": np.array([216.0, 160.0, 52.0]),
    "moss": np.array([112.0, 152.0, 56.0]),
    "teal": np.array([40.0, 142.0, 128.0]),
    "sky": np.array([70.0, 130.0, 206.0]),
    "violet": np.array([128.0, 92.0, 182.0]),
    "rose": np.array([212.0, 104.0, 150.0]),
    "umber": np.array([126.0, 90.0, 62.0]),
}


@dataclass(frozen=True)
class Skin:
    """A textured surface: `period` in image sides, `angle` in radians, the two tones in grey levels."""

    texture: str
    light: Colour
    dark: Colour
    period: float
    angle: float = 0.0


def skin(texture: str, colour: Colour, period: float, angle: float = 0.0, *, contrast: float = 0.35) -> Skin:
    """A surface around one colour; the darker tone is `contrast` below the lighter one."""
    return Skin(texture, colour * (1 + contrast / 3), colour * (1 - contrast), period, angle)


class Fade(NamedTuple):
    """How a surface turns into another one between two points."""

    to: Skin
    start: Float[np.ndarray, "2"]
    end: Float[np.ndarray, "2"]


class Canvas:
    """A square image in the making, with the object and the part that each sample shows.

    Positions and lengths are in image sides, x to the right and y downwards.
    """

    def __init__(self, ground: Float32[np.ndarray, "size size 3"]) -> None:
        self.size, self.side = len(ground), len(ground) * OVERSAMPLING
        self.colour = ground.repeat(OVERSAMPLING, axis=0).repeat(OVERSAMPLING, axis=1)
        self.instance = np.zeros((self.side, self.side), np.uint8)  # 0 = none, later objects lie in front
        self.part = np.zeros((self.side, self.side), np.uint8)

    def paint(
        self, polygon: Polygon, surface: Skin, *, fade: Fade | None = None, instance: int = 0, part: int = 0
    ) -> None:
        """Fill a polygon; its texture is anchored at its centre, its upper edge is the brightest."""
        corners = polygon * self.side
        (left, top), (right, bottom) = np.clip(
            [np.floor(corners.min(0)), np.ceil(corners.max(0)) + 1], 0, self.side
        ).astype(int)
        if left >= right or top >= bottom:
            return
        picture = Image.new("1", (right - left, bottom - top))
        ImageDraw.Draw(picture).polygon([tuple(corner) for corner in (corners - (left, top)).tolist()], fill=1)
        inside = np.asarray(picture)
        window = np.s_[top:bottom, left:right]
        colour = self._surface(surface, polygon.mean(0), window)
        if fade:
            share = self._along(fade, window)[..., None]
            colour += share * (self._surface(fade.to, polygon.mean(0), window) - colour)
        np.copyto(self.colour[window], colour, where=inside[..., None])
        if instance:
            self.instance[window][inside] = instance
            self.part[window][inside] = part

    def _surface(
        self, surface: Skin, centre: Float[np.ndarray, "2"], window: tuple[slice, slice]
    ) -> Float32[np.ndarray, "rows columns 3"]:
        x, y = self._positions(centre, window)
        cos = np.float32(np.cos(surface.angle) / surface.period)
        sin = np.float32(np.sin(surface.angle) / surface.period)
        share = TEXTURES[surface.texture](x * cos + y * sin, y * cos - x * sin)
        shade = 1 + SHADE * (0.5 - np.linspace(0, 1, len(y), dtype=np.float32))[:, None]
        light, dark = surface.light.astype(np.float32), surface.dark.astype(np.float32)
        return (share * shade)[..., None] * (light - dark) + shade[..., None] * dark

    def _along(self, fade: Fade, window: tuple[slice, slice]) -> Field:
        """0 up to the start of a fade, 1 from its end on."""
        x, y = self._positions(fade.start, window)
        way = (fade.end - fade.start).astype(np.float32)
        return np.clip((x * way[0] + y * way[1]) / np.float32(way @ way), 0, 1)

    def _positions(self, origin: Float[np.ndarray, "2"], window: tuple[slice, slice]) -> tuple[Field, Field]:
        rows, columns = (np.arange(axis.start, axis.stop, dtype=np.float32) for axis in window)
        x = (columns[None, :] + 0.5) / self.side - np.float32(origin[0])
        return x, (rows[:, None] + 0.5) / self.side - np.float32(origin[1])

    def image(self, rng: np.random.Generator) -> UInt8[np.ndarray, "size size 3"]:
        """The finished image, each pixel the mean of its samples."""
        n, k = self.size, OVERSAMPLING
        sums = sum(self.colour[row::k, column::k] for row in range(k) for column in range(k))
        pixels = sums / k**2 + GRAIN * rng.standard_normal((n, n, 1), np.float32)
        return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)

    def at_pixels(self, samples: UInt8[np.ndarray, "side side"]) -> UInt8[np.ndarray, "size size"]:
        """The value at the sample of each pixel that lies right of its centre and below."""
        middle = OVERSAMPLING // 2
        return samples[middle::OVERSAMPLING, middle::OVERSAMPLING]


def place(
    shape: str, centre: Float[np.ndarray, "2"], half: tuple[float, float], angle: float = 0.0, mirror: bool = False
) -> Polygon:
    """A shape of the vocabulary, stretched to `half` lengths, turned by `angle` (radians), moved to `centre`."""
    scaled = SHAPES[shape] * half * np.array([-1.0 if mirror else 1.0, 1.0])
    cos, sin = np.cos(angle), np.sin(angle)
    return scaled @ np.array([[cos, sin], [-sin, cos]]) + centre


def stroke(start: Float[np.ndarray, "2"], end: Float[np.ndarray, "2"], thickness: float) -> Polygon:
    """A straight thin part from one point to another."""
    along = (end - start) / np.hypot(*(end - start))
    across = np.array([-along[1], along[0]]) * thickness / 2
    return np.array([start + across, end + across, end - across, start - across])
