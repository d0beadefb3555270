"""Diagrams: every shape in them is that of a real pass, and pictures are the ones given."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from companion import settings
from companion.analysis import forward
from companion.drawing import diagrams
from thesislib.clustering import to_labels

SMOKE = settings.load("smoke")
K = 3


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for axis in figure.axes for text in axis.texts)


def pixels_of(figure: Figure) -> list[np.ndarray]:
    return [np.asarray(image.get_array()) for image in figure.axes[0].images]


def test_shapes_of_a_pass():
    model = forward.untrained_classifier(SMOKE, 7, K)
    shapes = forward.forward_shapes(model, np.zeros((48, 48, 3), np.uint8))
    assert shapes["image"] == (3, 48, 48) and shapes["logits"] == (7,) and shapes["response"][0] == 7
    assert shapes["features"] == (shapes["pooled"][0], *shapes["response"][1:])
    assert shapes["head"] == (7, shapes["pooled"][0])
    labels = to_labels(np.zeros((1, 7), int), K)
    assert shapes["sub_logits"] == labels.shape[1:] and shapes["sub_head"] == (7 * K, shapes["pooled"][0])
    plain = forward.forward_shapes(forward.untrained_classifier(SMOKE, 7), np.zeros((48, 48, 3), np.uint8))
    assert not {"sub_logits", "sub_head"} & set(plain)


def test_diagram_of_mixup_has_the_shapes_and_the_mixed_image(rng):
    first, second = (rng.integers(0, 256, (48, 48, 3), np.uint8) for _ in range(2))
    shapes = forward.forward_shapes(forward.untrained_classifier(SMOKE, num_classes=7), first)
    figure = diagrams.method_diagram(shapes, first, second, share=0.25, network=forward.describe(SMOKE))
    shown = texts(figure)
    for shape in shapes.values():
        assert " × ".join(map(str, shape)) in shown
    assert "ResNet-38" in shown and "stride 4" in shown
    np.testing.assert_allclose(pixels_of(figure)[2], 0.25 * first + 0.75 * second, atol=1)


def test_diagram_of_subcategories_has_the_shapes_of_both_heads(rng):
    image = rng.integers(0, 256, (48, 48, 3), np.uint8)
    shapes = forward.forward_shapes(forward.untrained_classifier(SMOKE, 7, K), image)
    figure = diagrams.subcategory_diagram(shapes, image, k=K, weight=5, network=forward.describe(SMOKE))
    shown = texts(figure)
    for shape in shapes.values():
        assert " × ".join(map(str, shape)) in shown
    for symbol in ("$E$", "$f$", "$Y_s$", "$H_p$", "$H_s$", "$M$", f"$K$ = {K}", "(3.1)", "(3.2)", "(3.3)"):
        assert symbol in shown
    assert (pixels_of(figure)[0] == image).all()


def test_idea_shows_the_same_pictures_mixed_and_by_cluster(rng):
    clusters = [[rng.integers(0, 256, (8, 8, 3), np.uint8) for _ in range(n)] for n in (4, 2, 3)]
    image, before, after = (rng.integers(0, 256, (20, 30, 3), np.uint8) for _ in range(3))
    shown = pixels_of(diagrams.idea(clusters, image, {"CAM": before, "SC-CAM": after}, "heron"))
    left, right = shown[:9], shown[11:20]
    by_cluster = [picture for members in clusters for picture in members]
    assert all((a == b).all() for a, b in zip(right, by_cluster, strict=True))
    assert sorted(p.tobytes() for p in left) == sorted(p.tobytes() for p in right)
    assert any((a != b).any() for a, b in zip(left, right, strict=True))
    assert (shown[10] == before).all() and (shown[21] == after).all()


def test_pictures_keep_their_proportions(rng):
    clusters = [[np.zeros((8, 8, 3), np.uint8)]]
    image = rng.integers(0, 256, (20, 30, 3), np.uint8)
    for shown in diagrams.idea(clusters, image, {"CAM": image, "SC-CAM": image}, "heron").axes[0].images:
        left, right, bottom, top = shown.get_extent()
        rows, columns = np.asarray(shown.get_array()).shape[:2]
        assert (top - bottom) / (right - left) == pytest.approx(rows / columns)
