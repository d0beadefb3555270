"""What a generated image shows: eight classes of toy objects, their sub-types, their grounds, and the pretext blobs.

No counterpart in the thesis or in published code. The scenes are made to carry what chapters 2 and 3 are about: each
object has a head, which its class alone wears, a larger body, whose texture it shares with another class, and in half
of the classes thin parts. A classifier can finish on the head; the body is the part that a response map misses.
How the numbers below were chosen, and what they give, is in `companion.datasets.demo.generator`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from companion.datasets.demo.drawing import HUES, SHAPES, TEXTURES, Canvas, Colour, place, skin, stroke


class Kind(NamedTuple):
    """A class: the family whose body it wears, how its head looks, its thin parts, the class it often occurs with."""

    name: str
    family: str
    head_shape: str
    head_hue: str
    head_texture: str
    thin: str
    companion: str


KINDS = (
    Kind("heron", "fur", "triangle", "ochre", "plain", "legs", "sloop"),
    Kind("fox", "fur", "diamond", "brick", "stripes", "legs", "wagon"),
    Kind("snail", "shell", "disc", "rose", "rings", "none", "crane"),
    Kind("turtle", "shell", "drop", "moss", "checks", "none", "tractor"),
    Kind("sloop", "hull", "crescent", "sky", "plain", "mast", "heron"),
    Kind("crane", "hull", "cross", "violet", "stripes", "mast", "snail"),
    Kind("tractor", "cart", "box", "teal", "rings", "none", "turtle"),
    Kind("wagon", "cart", "star", "umber", "plain", "none", "fox"),
)
CLASSES = tuple(kind.name for kind in KINDS)
HEAD, BODY, THIN = 1, 2, 3  # values of the part masks


class Family(NamedTuple):
    """The body that two classes share: its colour before the tint, its texture and the period of that."""

    colour: tuple[float, float, float]
    texture: str
    period: float


FAMILIES = {
    "fur": Family((176.0, 148.0, 118.0), "mottle", 0.05),
    "shell": Family((152.0, 132.0, 140.0), "dots", 0.09),
    "hull": Family((140.0, 150.0, 162.0), "stripes", 0.085),
    "cart": Family((172.0, 162.0, 140.0), "checks", 0.075),
}


class Form(NamedTuple):
    """A sub-type: shape, length over height, scale, tilt in degrees, tone and coarseness of texture of the body."""

    name: str
    shape: str
    aspect: float
    scale: float
    tilt: float
    tone: float
    grain: float


FORMS = (
    Form("long", "disc", 2.2, 1.04, 0.0, 1.0, 1.0),
    Form("stout", "box", 1.5, 0.9, 0.0, 0.82, 1.5),
    Form("leaning", "drop", 1.8, 1.0, -32.0, 0.94, 0.8),
    Form("pale", "disc", 1.45, 0.86, 14.0, 1.2, 1.25),
)


class Context(NamedTuple):
    """A muted textured ground, below a plainer strip of distance."""

    name: str
    near: tuple[float, float, float]
    far: tuple[float, float, float]
    texture: str
    period: float


CONTEXTS = (
    Context("meadow", (134.0, 148.0, 112.0), (186.0, 198.0, 198.0), "mottle", 0.06),
    Context("water", (120.0, 144.0, 158.0), (196.0, 200.0, 196.0), "waves", 0.11),
    Context("sand", (190.0, 176.0, 148.0), (192.0, 204.0, 208.0), "mottle", 0.085),
    Context("pavement", (156.0, 152.0, 150.0), (180.0, 176.0, 178.0), "checks", 0.09),
)

OBJECTS = (0.65, 0.30, 0.05)  # probability of 1, 2 and 3 objects
COMPANY = 0.4  # probability that the second object is the first one's companion
CONTEXT_TIE = 0.5  # probability that a scene shows the favourite context of its first object's class and form
HALF_LENGTH = ((0.34, 0.46), (0.25, 0.33), (0.20, 0.26))  # of a body, in image sides, by the number of objects
SLOTS = (((0.5, 0.53),), ((0.30, 0.42), (0.68, 0.66)), ((0.28, 0.32), (0.72, 0.40), (0.46, 0.74)))
SLOT_JITTER = 0.06  # image sides
TINT = 0.3  # share of the class's own hue in the colour of its body: more, and the classifier looks at bodies
HEAD_RADIUS = 0.34  # of the body's half length
HEAD_PERIOD = 0.085  # of its texture, in image sides: five pixels of 64
THIN_WIDTH = 0.034  # of legs and masts, in image sides: two pixels of 64
THIN_COLOUR = (84.0, 70.0, 62.0)
TILT_JITTER, SPIN_JITTER = 5.0, 12.0  # standard deviations for bodies and heads, degrees
COLOUR_JITTER = 0.05  # standard deviation of the common factor on a colour; half of it per channel
CLUTTER = 6.0  # mean number of small things on the ground
CLUTTER_HUE = 0.45  # share of a hue of the vocabulary in their colours, the rest is ground
PRETEXT_RADIUS = (0.26, 0.42)  # of a blob, in image sides: on 32 pixels as large as a head on 64
PRETEXT_PERIOD = (0.16, 0.24)  # of its texture, in image sides
PRETEXT_CONTRAST = 0.5  # more than in scenes, or texture is not learnt within the time


VOCABULARY = (tuple(SHAPES), tuple(TEXTURES), tuple(HUES))  # the three targets of the pretext task
Point = Float[np.ndarray, "2"]


class Thing(NamedTuple):
    """One object of a scene: number of its class, of its sub-type (in `FORMS`), and its share of visible samples."""

    kind: int
    form: int
    visible: float


@dataclass(frozen=True)
class Scene:
    """An image, the number of the object (from 1, 0 for none) and the part that each pixel shows, the objects."""

    image: UInt8[np.ndarray, "size size 3"]
    instances: UInt8[np.ndarray, "size size"]
    parts: UInt8[np.ndarray, "size size"]
    things: tuple[Thing, ...]


def draw_scene(main: int, size: int, rng: np.random.Generator) -> Scene:
    """One image of `size` pixels whose first object is of class `main`."""
    kinds, forms, context = draw_plan(main, rng)
    count = len(kinds)
    canvas = Canvas(size)
    _paint_ground(canvas, CONTEXTS[context], rng)
    centres = rng.permutation(np.array(SLOTS[count - 1])) + rng.uniform(-SLOT_JITTER, SLOT_JITTER, (count, 2))
    drawn = []
    for number, (kind, form, centre) in enumerate(zip(kinds, forms, centres, strict=True), start=1):
        half_length = rng.uniform(*HALF_LENGTH[count - 1])
        _paint_thing(canvas, KINDS[kind], FORMS[form], centre, half_length, number, rng)
        drawn.append(np.count_nonzero(canvas.instance == number))
    visible = np.bincount(canvas.instance.ravel(), minlength=count + 1)[1:] / drawn
    things = tuple(Thing(kind, form, float(share)) for kind, form, share in zip(kinds, forms, visible, strict=True))
    return Scene(canvas.image(rng), canvas.at_pixels(canvas.instance), canvas.at_pixels(canvas.part), things)


def draw_plan(main: int, rng: np.random.Generator) -> tuple[list[int], list[int], int]:
    """What a scene will show: numbers of the classes and sub-types of its objects, and of its ground in `CONTEXTS`."""
    count = 1 + int(rng.choice(len(OBJECTS), p=OBJECTS))
    kinds = _draw_kinds(main, count, rng)
    forms = [int(form) for form in rng.integers(len(FORMS), size=count)]
    favourite, any_other = (main + forms[0]) % len(CONTEXTS), int(rng.integers(len(CONTEXTS)))
    return kinds, forms, favourite if rng.random() < CONTEXT_TIE else any_other


def draw_pretext(target: Int[np.ndarray, "3"], size: int, rng: np.random.Generator) -> UInt8[np.ndarray, "size size 3"]:
    """One blob whose shape, texture and hue are the numbers `target` of the vocabulary, on a ground with clutter."""
    shape, texture, hue = (names[i] for names, i in zip(VOCABULARY, target, strict=True))
    canvas = Canvas(size)
    _paint_ground(canvas, CONTEXTS[int(rng.integers(len(CONTEXTS)))], rng)
    radius, stretch = rng.uniform(*PRETEXT_RADIUS), rng.uniform(1.0, 1.5)
    period, angle = rng.uniform(*PRETEXT_PERIOD), 0.3 * rng.standard_normal()
    surface = skin(texture, _vary(HUES[hue], rng), period, angle, contrast=PRETEXT_CONTRAST)
    half, tilt = (radius * stretch, radius / stretch), rng.uniform(-0.6, 0.6)
    canvas.paint(place(shape, rng.uniform(0.4, 0.6, 2), half, tilt), surface)
    return canvas.image(rng)


def _draw_kinds(main: int, count: int, rng: np.random.Generator) -> list[int]:
    """Class numbers of the objects: the second may be the companion, all others are any class."""
    others = [int(kind) for kind in rng.integers(len(KINDS), size=count - 1)]
    if others and rng.random() < COMPANY:
        others[0] = CLASSES.index(KINDS[main].companion)
    return [main, *others]


def _vary(colour: Colour | tuple[float, float, float], rng: np.random.Generator) -> Colour:
    common, single = COLOUR_JITTER * rng.standard_normal(), COLOUR_JITTER / 2 * rng.standard_normal(3)
    return np.asarray(colour) * (1 + common) * (1 + single)


def _paint_ground(canvas: Canvas, context: Context, rng: np.random.Generator) -> None:
    whole = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
    canvas.paint(whole, skin("plain", _vary(context.far, rng), 1.0, contrast=0.05))
    horizon, slope = rng.uniform(0.08, 0.30), rng.uniform(-0.06, 0.06)
    near = whole.copy()
    near[:2, 1] = horizon - slope, horizon + slope
    period, angle = context.period * rng.uniform(0.85, 1.2), rng.uniform(1.2, 1.9)
    canvas.paint(near, skin(context.texture, _vary(context.near, rng), period, angle, contrast=0.1))
    shapes, hues = list(SHAPES), list(HUES.values())
    for _ in range(rng.poisson(CLUTTER)):
        shape, hue = shapes[int(rng.integers(len(shapes)))], hues[int(rng.integers(len(hues)))]
        colour = CLUTTER_HUE * hue + (1 - CLUTTER_HUE) * np.array(context.near)
        radius, centre = rng.uniform(0.018, 0.045), rng.uniform(0.02, 0.98, 2)
        polygon = place(shape, centre, (radius, radius), rng.uniform(0, 2 * np.pi))
        canvas.paint(polygon, skin("plain", _vary(colour, rng), 1.0))


def _paint_thing(
    canvas: Canvas, kind: Kind, form: Form, centre: Point, half_length: float, number: int, rng: np.random.Generator
) -> None:
    """Thin parts, then the body, then the head, each in front of the one before."""
    length = half_length * form.scale
    height = length / (form.aspect * rng.uniform(0.93, 1.07))
    mirrored = bool(rng.random() < 0.5)
    side = -1.0 if mirrored else 1.0
    angle = side * np.deg2rad(form.tilt + TILT_JITTER * rng.standard_normal())
    along = length * np.array([np.cos(angle), np.sin(angle)])
    down = height * np.array([-np.sin(angle), np.cos(angle)])
    to_head = 0.86 * side * along - 0.55 * down
    centre = centre - 0.3 * to_head  # so that body and head together are centred

    wood = skin("plain", _vary(THIN_COLOUR, rng), 1.0)
    for start, end in _thin_lines(kind.thin, centre, along, down):
        canvas.paint(stroke(start, end, THIN_WIDTH), wood, instance=number, part=THIN)

    family = FAMILIES[kind.family]
    colour = form.tone * ((1 - TINT) * np.array(family.colour) + TINT * HUES[kind.head_hue])
    hide = skin(family.texture, _vary(colour, rng), family.period * form.grain, angle + np.pi / 2, contrast=0.22)
    canvas.paint(place(form.shape, centre, (length, height), angle, mirrored), hide, instance=number, part=BODY)

    radius = HEAD_RADIUS * half_length * rng.uniform(0.92, 1.08)
    face = skin(kind.head_texture, _vary(HUES[kind.head_hue], rng), HEAD_PERIOD, angle)
    spin = angle + np.deg2rad(SPIN_JITTER) * rng.standard_normal()
    head = place(kind.head_shape, centre + to_head, (radius, radius), spin, mirrored)
    canvas.paint(head, face, instance=number, part=HEAD)


def _thin_lines(thin: str, centre: Point, along: Point, down: Point) -> list[tuple[Point, Point]]:
    """Start and end of each leg or spar; `along` and `down` reach from the centre to the edge of the body."""
    length, height = np.hypot(*along), np.hypot(*down)
    if thin == "legs":
        to_ground = np.array([0.0, height + 0.5 * length])
        hips = (centre - 0.5 * along, centre + 0.5 * along)
        return [(hips[0], hips[0] - 0.05 * along + to_ground), (hips[1], hips[1] - 0.05 * along + to_ground)]
    if thin == "mast":
        up = -down / height
        top, yard = centre + (height + 0.62 * length) * up, centre + (height + 0.52 * length) * up
        return [(centre, top), (yard - 0.35 * along, yard + 0.35 * along)]
    return []
