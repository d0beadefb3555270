"""DOC"""

import os
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from thesislib.data.drawing import HUES, SHAPES, TEXTURES, Canvas, Colour, place, skin, stroke


class Kind(NamedTuple):
    """A class: how its head looks, which family's body it wears, its thin parts, what it occurs with."""

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
    """The body that several classes share: a classifier gains little from looking at it."""

    colour: tuple[float, float, float]
    texture: str
    period: float


FAMILIES = {
    "fur": Family((176.0, 148.0, 118.0), "mottle", 0.05),
    "shell": Family((152.0, 132.0, 140.0), "dots", 0.09),
    "hull": Family((140.0, 150.0, 162.0), "stripes", 0.085),
    "cart": Family((172.0, 162.0, 140.0), "checks", 0.075),
}
if os.environ.get("SHARE") == "4":
    FAMILIES["shell"] = FAMILIES["fur"]
    FAMILIES["cart"] = FAMILIES["hull"]


class Form(NamedTuple):
    """A sub-type: shape, length over height, scale, tilt in degrees and tone of the body."""

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
CONTEXT_TIE = float(os.environ.get("TIE",.5))  # probability that a scene shows the main object's favourite context
HALF_LENGTH = ((0.34, 0.46), (0.25, 0.33), (0.20, 0.26))  # of a body, by the number of objects
SLOTS = (((0.5, 0.53),), ((0.30, 0.42), (0.68, 0.66)), ((0.28, 0.32), (0.72, 0.40), (0.46, 0.74)))
SLOT_JITTER = 0.06
HEAD_RADIUS = 0.34  # of the body's half length
HEADLESS = float(os.environ.get("HEADLESS",0))
TINT = float(os.environ.get("TINT",0))
CLUTTER = 6.0  # mean number of small things on the ground
THIN_WIDTH = 0.034
TILT_JITTER = 10.0  # degrees
BLOB = (0.11, 0.30)


class Thing(NamedTuple):
    """One object of a scene: number of its class, of its sub-type (in `FORMS`), and its share of visible samples."""

    kind: int
    form: int
    visible: float


@dataclass(frozen=True)
class Scene:
    image: UInt8[np.ndarray, "size size 3"]
    instances: UInt8[np.ndarray, "size size"]
    parts: UInt8[np.ndarray, "size size"]
    things: tuple[Thing, ...]


def _jitter(colour: tuple[float, ...] | Colour, rng: np.random.Generator, amount: float = 0.05) -> Colour:
    return np.asarray(colour) * (1 + amount * rng.standard_normal()) * (1 + amount * rng.standard_normal(3) / 2)


def _draw_ground(canvas: Canvas, context: Context, rng: np.random.Generator) -> None:
    whole = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
    canvas.paint(whole, skin("plain", _jitter(context.far, rng), 1.0, 0.0, contrast=0.05))
    horizon, slope = rng.uniform(0.08, 0.30), rng.uniform(-0.06, 0.06)
    near = np.array([(0.0, horizon - slope), (1.0, horizon + slope), (1.0, 1.0), (0.0, 1.0)])
    period = context.period * rng.uniform(0.85, 1.2)
    canvas.paint(near, skin(context.texture, _jitter(context.near, rng), period, rng.uniform(1.2, 1.9), contrast=0.1))


def _draw_clutter(canvas: Canvas, context: Context, rng: np.random.Generator) -> None:
    for _ in range(rng.poisson(CLUTTER)):
        shape = str(rng.choice(list(SHAPES)))
        hue = HUES[str(rng.choice(list(HUES)))]
        colour = _jitter(0.45 * hue + 0.55 * np.array(context.near), rng)
        radius = rng.uniform(0.018, 0.045)
        polygon = place(shape, rng.uniform(0.02, 0.98, 2), (radius, radius), rng.uniform(0, 2 * np.pi))
        canvas.paint(polygon, skin("plain", colour, 1.0, 0.0))


def _draw_thing(
    canvas: Canvas,
    kind: Kind,
    form: Form,
    centre: Float[np.ndarray, "2"],
    half_length: float,
    instance: int,
    rng: np.random.Generator,
) -> None:
    a = half_length * form.scale
    b = a / (form.aspect * rng.uniform(0.93, 1.07))
    mirror = bool(rng.random() < 0.5)
    sign = -1.0 if mirror else 1.0
    angle = sign * np.deg2rad(form.tilt + TILT_JITTER * rng.standard_normal() / 2)
    axis = np.array([np.cos(angle), np.sin(angle)])
    down = np.array([-np.sin(angle), np.cos(angle)])
    to_head = sign * axis * a * 0.86 - down * b * 0.55
    centre = centre - 0.3 * to_head  # body and head together are centred
    family = FAMILIES[kind.family]
    tone = _jitter(((1 - TINT) * np.array(family.colour) + TINT * HUES[kind.head_hue]) * form.tone, rng)
    body_skin = skin(family.texture, tone, family.period * form.grain, angle + 0.5 * np.pi, contrast=0.22)

    thin_skin = skin("plain", _jitter((84.0, 70.0, 62.0), rng), 1.0, 0.0)
    for start, end in _thin_lines(kind.thin, centre, a, b, axis, down):
        canvas.paint(stroke(start, end, THIN_WIDTH), thin_skin, instance=instance, part=THIN)
    canvas.paint(place(form.shape, centre, (a, b), angle, mirror), body_skin, instance=instance, part=BODY)
    if rng.random() < HEADLESS:
        return
    radius = HEAD_RADIUS * half_length * rng.uniform(0.92, 1.08)
    head_skin = skin(kind.head_texture, _jitter(HUES[kind.head_hue], rng), 0.085, angle)
    spin = angle + np.deg2rad(12) * rng.standard_normal()
    canvas.paint(
        place(kind.head_shape, centre + to_head, (radius, radius), spin, mirror),
        head_skin,
        instance=instance,
        part=HEAD,
    )


def _thin_lines(
    thin: str,
    centre: Float[np.ndarray, "2"],
    a: float,
    b: float,
    axis: Float[np.ndarray, "2"],
    down: Float[np.ndarray, "2"],
) -> list[tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"]]]:
    """Start and end of each leg or spar."""
    if thin == "legs":
        feet = [(-0.5, -0.55), (0.5, 0.45)]
        ground = np.array([0.0, b + 0.5 * a])
        return [(centre + axis * a * hip, centre + axis * a * foot + ground) for hip, foot in feet]
    if thin == "mast":
        top = centre - down * (b + 0.62 * a)
        return [(centre, top), (top + axis * 0.35 * a + down * 0.1 * a, top - axis * 0.35 * a + down * 0.1 * a)]
    return []


def draw_scene(main: int, size: int, rng: np.random.Generator) -> Scene:
    """One image whose main object is of class `main`."""
    count = 1 + int(rng.choice(len(OBJECTS), p=OBJECTS))
    kinds = [main]
    if count > 1:
        friend = CLASSES.index(KINDS[main].companion)
        kinds.append(friend if rng.random() < COMPANY else int(rng.integers(len(KINDS))))
    kinds += [int(rng.integers(len(KINDS))) for _ in range(count - len(kinds))]
    forms = [int(rng.integers(len(FORMS))) for _ in kinds]
    tied = rng.random() < CONTEXT_TIE
    context = CONTEXTS[(main + forms[0]) % len(CONTEXTS) if tied else int(rng.integers(len(CONTEXTS)))]

    canvas = Canvas(size)
    _draw_ground(canvas, context, rng)
    _draw_clutter(canvas, context, rng)
    slots = rng.permutation(np.array(SLOTS[count - 1]))
    if rng.random() < 0.5:
        slots[:, 0] = 1 - slots[:, 0]
    drawn = []
    for number, (kind, form, slot) in enumerate(zip(kinds, forms, slots, strict=True), start=1):
        centre = slot + rng.uniform(-SLOT_JITTER, SLOT_JITTER, 2)
        half = rng.uniform(*HALF_LENGTH[count - 1])
        _draw_thing(canvas, KINDS[kind], FORMS[form], centre, half, number, rng)
        drawn.append(int((canvas.instance == number).sum()))
    instances = canvas.at_pixels(canvas.instance)
    things = tuple(
        Thing(kind, form, float((canvas.instance == number).sum()) / drawn[number - 1])
        for number, (kind, form) in enumerate(zip(kinds, forms, strict=True), start=1)
    )
    return Scene(canvas.image(rng), instances, canvas.at_pixels(canvas.part), things)


def draw_pretext(target: Int[np.ndarray, "3"], size: int, rng: np.random.Generator) -> UInt8[np.ndarray, "size size 3"]:
    """One blob whose shape, texture and hue are numbers 0-7 of the vocabulary, on a ground with clutter."""
    shape, texture, hue = (list(names)[number] for names, number in zip((SHAPES, TEXTURES, HUES), target, strict=True))
    canvas = Canvas(size)
    context = CONTEXTS[int(rng.integers(len(CONTEXTS)))]
    _draw_ground(canvas, context, rng)
    _draw_clutter(canvas, context, rng)
    radius, stretch = rng.uniform(*BLOB), rng.uniform(1.0, 1.5)
    centre = rng.uniform(0.4, 0.6, 2)
    surface = skin(texture, _jitter(HUES[hue], rng), rng.uniform(0.16, 0.24), 0.3 * rng.standard_normal(), contrast=0.5)
    polygon = place(shape, centre, (radius * stretch, radius / stretch), rng.uniform(-0.6, 0.6))
    canvas.paint(polygon, surface)
    return canvas.image(rng)
