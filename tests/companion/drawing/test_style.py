"""The eye can tell the methods apart; no setting of a user and no sign in a name changes a figure."""

import ast
import itertools
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import companion
from companion.analysis.errors import KINDS
from companion.analysis.statistics import mean_interval
from companion.drawing import class_chart, cluster_charts, cluster_pictures, curves, diagrams, image_grids, style
from companion.reports import cells
from thesislib import metrics

# --- Colours ----------------------------------------------------------------------------------------------------------

# Machado, Oliveira and Fernandes 2009, complete deficiency; rows give linear R, G, B as seen.
SEEN = {
    "normal": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colour: str, seen: np.ndarray) -> np.ndarray:
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    x, y, z = np.cbrt(TO_XYZ @ np.clip(seen @ linear, 0, 1) / (TO_XYZ @ np.ones(3)))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("eye", SEEN)
def test_methods_are_told_apart_by_every_eye(eye):
    shades = {*style.METHODS.values(), *style.OTHERS}
    for a, b in itertools.combinations(shades, 2):
        distance = np.linalg.norm(lab(a, SEEN[eye]) - lab(b, SEEN[eye]))
        assert distance > 10, f"{a} and {b} look alike ({distance:.0f})"


def test_a_method_keeps_its_colour_whatever_stands_beside_it():
    assert style.colours(["mine", "CAM"])["CAM"] == style.colours(["CAM"])["CAM"]
    assert len(set(style.colours(["a", "b", "c", *style.METHODS]).values())) == 3 + len(style.METHODS) - 1


# --- Settings and names -----------------------------------------------------------------------------------------------

HOSTILE = {
    "text.usetex": True, "text.color": "red", "font.size": 25, "font.family": "serif", "axes.unicode_minus": False,
    "axes.grid": True, "axes.facecolor": "black", "axes.formatter.use_mathtext": True, "lines.linewidth": 7,
    "lines.markersize": 20, "hatch.linewidth": 5, "patch.force_edgecolor": True, "legend.frameon": True,
    "image.origin": "lower", "image.cmap": "jet", "figure.facecolor": "red", "figure.dpi": 30,
    "figure.constrained_layout.w_pad": 1, "savefig.transparent": True, "savefig.pad_inches": 2, "xtick.direction": "in",
}  # fmt: skip
ODD = r"a$_b$ \frac_^{%"
RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (24, 24, 3), np.uint8)
NAMES = [ODD, "fox", "snail"]
CURVES = RNG.random((3, len(metrics.THRESHOLDS)))
SHAPES = dict.fromkeys(
    ("image", "features", "pooled", "head", "sub_head", "logits", "sub_logits", "response"), (7, 4, 4)
)
MATRIX = RNG.integers(1, 40, (3, 3))
POINTS = {at: mean_interval(RNG.random(3)) for at in range(3)}
DRAWN: dict[str, Callable[[], Figure]] = {
    "threshold curves": lambda: curves.threshold_curves([{ODD: CURVES, "CAM": CURVES[:1]}], 0.3, "train"),
    "classes": lambda: class_chart.class_chart(NAMES, MATRIX[0], MATRIX),
    "lines": lambda: curves.against({"mIoU": [curves.Line(name, POINTS, "#000000") for name in NAMES]}, "round"),
    "changes": lambda: curves.changes([(CURVES[0], CURVES[1])], ("before", "after")),
    "errors": lambda: curves.error_kinds({ODD: dict.fromkeys(KINDS, 2.0)}),
    "grid": lambda: image_grids.grid(
        [[image_grids.Panel(IMAGE, ODD, "red", IMAGE[..., 0] / 255.0), None]], NAMES, colour_bar=True
    ),
    "idea": lambda: diagrams.idea([[IMAGE]], IMAGE, {ODD: IMAGE, "SC-CAM": IMAGE}, ODD),
    "mixup": lambda: diagrams.method_diagram(SHAPES, IMAGE, IMAGE),
    "sub-categories": lambda: diagrams.subcategory_diagram(SHAPES, IMAGE, k=3, weight=5),
    "embeddings": lambda: cluster_charts.embeddings({ODD: RNG.random((4, 2))}, NAMES, 0, [0]),
    "matrices": lambda: cluster_charts.matrices(np.ones((3, 2, 3)), np.ones((3, 2, 3)), 1, NAMES, [IMAGE, None]),
    "clusters": lambda: cluster_pictures.sheet([[cluster_pictures.Strip(ODD, [IMAGE], [1])]], across=2, legend=True),
}


def png(name: str, **hostile: object) -> bytes:
    """A figure as reports save it, made and saved with a user's settings."""
    global RNG
    RNG = np.random.default_rng(1)
    with matplotlib.rc_context(hostile):
        return cells.to_png(DRAWN[name]())


@pytest.mark.parametrize("name", DRAWN)
def test_a_users_matplotlibrc_changes_no_figure(name):
    assert png(name, **HOSTILE) == png(name)


@pytest.mark.parametrize("name", DRAWN)
def test_names_are_drawn_as_they_are(name):
    formulas = [
        text.get_text()
        for text in DRAWN[name]().findobj(matplotlib.text.Text)
        if text.get_parse_math() and ODD in text.get_text()
    ]
    assert not formulas


def test_every_function_that_makes_a_figure_has_the_settings():
    root = Path(companion.__file__).parent
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            public = isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
            if public and "Figure(figsize=" in ast.unparse(node):
                assert "own_settings()" in map(ast.unparse, node.decorator_list), f"{path}: {node.name}"


def test_formulas_of_the_diagrams_are_formulas():
    for name in ("mixup", "sub-categories"):
        texts = DRAWN[name]().findobj(matplotlib.text.Text)
        assert all(text.get_parse_math() for text in texts if "$" in text.get_text())
