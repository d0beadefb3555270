"""What a generated image shows: six classes of toy objects and their sub-types.

No counterpart in the thesis or in published code. Evidence of a class is graded over its parts, as in photographs: its
head has the class's own shape and hue; the body fades from much of that hue at its front to little of it at its rear,
on a colour that it shares with another class; legs, masts and feelers have none. A sub-type is the form and the pattern
of the body. How the numbers below were chosen, and what they give, is in docs/demo.md.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from companion.datasets.demo.drawing import HUES, Canvas, Colour, Fade, place, skin, stroke
from companion.datasets.demo.grounds import CONTEXTS, cluttered, vary


class Kind(NamedTuple):
    """A class: the family whose body it wears, how its head looks, its thin parts, the class it often occurs with.

    `rear`: share of the class's own hue in the colour of its rear, by which classes respond to about the same extent.
    """

    name: str
    family: str
    head_shape: str
    hue: str
    head_texture: str
    thin: str
    companion: str
    rear: float


KINDS = (
    Kind("heron", "fur", "triangle", "teal", "plain", "legs", "sloop", 0.42),
    Kind("fox", "fur", "diamond", "brick", "stripes", "legs", "turtle", 0.28),
    Kind("snail", "shell", "disc", "rose", "rings", "feelers", "crane", 0.22),
    Kind("turtle", "shell", "drop", "moss", "checks", "legs", "fox", 0.12),
    Kind("sloop", "hull", "crescent", "sky", "plain", "mast", "heron", 0.06),
    Kind("crane", "hull", "cross", "ochre", "stripes", "mast", "snail", 0.3),
)
CLASSES = tuple(kind.name for kind in KINDS)
HEAD, BODY, THIN = 1, 2, 3  # values of the part masks
FAMILIES = {"fur": (214.0, 198.0, 168.0), "shell": (84.0, 84.0, 76.0), "hull": (84.0, 90.0, 104.0)}


class Form(NamedTuple):
    """A sub-type: shape, length over height, scale, tilt in degrees, tone and pattern of the body."""

    name: str
    shape: str
    aspect: float
    scale: float
    tilt: float
    tone: float
    pattern: str


FORMS = (
    Form("long", "disc", 2.2, 1.04, 0.0, 1.0, "stripes"),
    Form("stout", "box", 1.5, 0.9, 0.0, 0.8, "dots"),
    Form("leaning", "drop", 1.8, 1.0, -32.0, 0.95, "plain"),
    Form("pale", "disc", 1.45, 0.86, 14.0, 1.2, "checks"),
)

OBJECTS = (0.65, 0.30, 0.05)  # probability of 1, 2 and 3 objects
COMPANY = 0.4  # probability that the second object is the first one's companion
CONTEXT_TIE = 0.6  # probability that a scene shows the favourite context of its first object's class and form
HALF_LENGTH = ((0.28, 0.40), (0.22, 0.30), (0.18, 0.24))  # of a body, in image sides, by the number of objects
SLOTS = (((0.5, 0.53),), ((0.30, 0.42), (0.68, 0.66)), ((0.28, 0.32), (0.72, 0.40), (0.46, 0.74)))
SLOT_JITTER = 0.06  # image sides
VIVID = 1.5  # times the saturation of a hue of the vocabulary is that of a class
FRONT_TINT = 0.85  # share of the class's own hue in the colour of the front of its body
FADE = (0.6, 0.05)  # where the front begins to turn into the rear and where it has, half lengths towards the head
PATTERN_PERIOD, PATTERN_CONTRAST = 0.1, 0.5  # of a body, in image sides
HEAD_RADIUS = 0.34  # of the body's half length
HEAD_PERIOD = 0.06  # of its texture, in image sides
THIN_WIDTH = 0.034  # of legs, masts and feelers, in image sides
THIN_COLOUR = (84.0, 72.0, 66.0)
TILT_JITTER, SPIN_JITTER = 5.0, 12.0  # standard deviations for bodies and heads, degrees

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
    canvas = cluttered(CONTEXTS[context], size, rng)
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
    favourite, any_other = (main + forms[0] // 2) % len(CONTEXTS), int(rng.integers(len(CONTEXTS)))
    return kinds, forms, favourite if rng.random() < CONTEXT_TIE else any_other


def _draw_kinds(main: int, count: int, rng: np.random.Generator) -> list[int]:
    """Class numbers of the objects: the second may be the companion, all others are any class."""
    others = [int(kind) for kind in rng.integers(len(KINDS), size=count - 1)]
    if others and rng.random() < COMPANY:
        others[0] = CLASSES.index(KINDS[main].companion)
    return [main, *others]


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

    wood = skin("plain", vary(THIN_COLOUR, rng), 1.0)
    for start, end in _thin_lines(kind.thin, centre, along, down, centre + to_head):
        canvas.paint(stroke(start, end, THIN_WIDTH), wood, instance=number, part=THIN)

    own, shared = vary(_vivid(HUES[kind.hue]), rng), vary(FAMILIES[kind.family], rng)
    front, rear = (
        skin(form.pattern, form.tone * (shared + tint * (own - shared)), PATTERN_PERIOD, angle + np.pi / 2,
             contrast=PATTERN_CONTRAST)
        for tint in (FRONT_TINT, kind.rear)
    )  # fmt: skip
    fade = Fade(rear, centre + FADE[0] * side * along, centre + FADE[1] * side * along)
    outline = place(form.shape, centre, (length, height), angle, mirrored)
    canvas.paint(outline, front, fade=fade, instance=number, part=BODY)

    radius = HEAD_RADIUS * half_length * rng.uniform(0.92, 1.08)
    face = skin(kind.head_texture, own, HEAD_PERIOD, angle)
    spin = angle + np.deg2rad(SPIN_JITTER) * rng.standard_normal()
    head = place(kind.head_shape, centre + to_head, (radius, radius), spin, mirrored)
    canvas.paint(head, face, instance=number, part=HEAD)


def _vivid(hue: Colour) -> Colour:
    return np.clip(hue.mean() + VIVID * (hue - hue.mean()), 0, 255)


def _thin_lines(thin: str, centre: Point, along: Point, down: Point, head: Point) -> list[tuple[Point, Point]]:
    """Start and end of each leg, spar or feeler; `along` and `down` reach from the centre to the edge of the body."""
    length, height = np.hypot(*along), np.hypot(*down)
    if thin == "legs":
        to_ground = np.array([0.0, height + 0.5 * length])
        hips = (centre - 0.5 * along, centre + 0.5 * along)
        return [(hips[0], hips[0] - 0.05 * along + to_ground), (hips[1], hips[1] - 0.05 * along + to_ground)]
    if thin == "mast":
        up = -down / height
        top, yard = centre + (height + 0.62 * length) * up, centre + (height + 0.52 * length) * up
        return [(centre, top), (yard - 0.35 * along, yard + 0.35 * along)]
    tips = [head + length * np.array([lean, -0.75]) for lean in (-0.3, 0.3)]
    return [(head, tip) for tip in tips]
