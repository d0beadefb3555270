"""Figures of clusters show the images, marks and numbers that they are given."""

import numpy as np
import pytest
from cluster_data import CLASSES, K, make_images, random_round
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from companion.analysis import cluster_heads
from companion.analysis.cluster_moves import SCATTERED, TOGETHER
from companion.analysis.cluster_quality import match
from companion.analysis.cluster_tables import cluster_name
from companion.drawing import cluster_charts, cluster_pictures


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def rounds(images):
    return random_round(images.labels, 1), random_round(images.labels, 2)


def texts(axis):
    return [text.get_text() for text in axis.texts]


def colours_of_frames(axis):
    return [to_hex(patch.get_edgecolor()) for patch in axis.patches if isinstance(patch, Rectangle)]


def test_nearest_images_of_each_cluster_are_shown_in_order(images, rounds):
    found = rounds[0]
    shown = {0: found.largest(0, 2), 2: found.largest(2, 2)}
    axis = cluster_pictures.nearest_sheet(images, found, shown, 4).axes[0]
    expected = [images.image(i) for c, clusters in shown.items() for j in clusters for i in found.nearest(c, j, 4)]
    assert len(axis.images) == len(expected)
    for drawn, image in zip(axis.images, expected, strict=True):
        np.testing.assert_array_equal(drawn.get_array(), image)
    titles = [f"{cluster_name(CLASSES[c], j)}: {found.sizes(c)[j]} images" for c in shown for j in shown[c]]
    assert texts(axis) == titles


def test_pictures_lie_inside_the_figure_and_keep_their_proportions(images, rounds):
    axis = cluster_pictures.nearest_sheet(images, rounds[0], {1: [0, 1, 2]}, 5).axes[0]
    (left, right), (bottom, top) = axis.get_xlim(), axis.get_ylim()
    for picture in axis.images:
        x, far, y, high = picture.get_extent()
        assert left <= x < far <= right and bottom <= y < high <= top
        rows, columns = picture.get_array().shape[:2]
        assert (far - x) / (high - y) == pytest.approx(columns / rows)


def test_marked_images_have_a_frame_and_a_letter(images, rounds):
    rng = np.random.default_rng(0)
    marks = [np.where(images.labels > 0, rng.choice([0, TOGETHER, SCATTERED], images.labels.shape), 0) for _ in rounds]
    partners = match(rounds[0].assignments, rounds[1].assignments, K)
    sheet = cluster_pictures.rounds_sheet(images, rounds, marks, 0, partners[0], 5, ("round 1", "round 3"))
    axis = sheet.axes[0]
    shown = []
    for j in range(K):
        for found, mark, cluster in zip(rounds, marks, (j, int(partners[0][j])), strict=True):
            shown += [int(mark[i, 0]) for i in found.nearest(0, cluster, 5)]
    for kind in (TOGETHER, SCATTERED):
        colour, _, letter = cluster_pictures.FRAMES[kind]
        assert colours_of_frames(axis).count(colour) == shown.count(kind) > 0
        assert texts(axis).count(letter) == shown.count(kind)
    assert {"round 1", "round 3"} <= set(texts(axis))
    legend = [text.get_text() for text in axis.get_legend().get_texts()]
    assert legend == ["T: moved together", "S: scattered"]
    dashes = {frame[1] for frame in cluster_pictures.FRAMES.values()}
    assert len(dashes) == 2  # told apart without colour


def test_partners_stand_in_one_line(images, rounds):
    partners = match(rounds[0].assignments, rounds[1].assignments, K)[1]
    none = [np.zeros_like(rounds[0].assignments)] * 2
    axis = cluster_pictures.rounds_sheet(images, rounds, none, 1, partners, 3, ("a", "b")).axes[0]
    places = {text.get_text(): text.get_position() for text in axis.texts}
    for j, partner in enumerate(partners):
        left = places[f"fox {j + 1}: {rounds[0].sizes(1)[j]} images"]
        right = [place for name, place in places.items() if name.startswith(f"fox {partner + 1}:") and place[0] > 1]
        assert left[0] == 0 and [place[1] for place in right] == [left[1]]


def test_matrices_show_cosines_and_counts_of_the_other_classes(images, rounds):
    rng = np.random.default_rng(0)
    heads = cluster_heads.Heads(rng.random((3, 8), np.float32), rng.random((3, K, 8), np.float32))
    cosine, counts = cluster_heads.cosines(heads), cluster_heads.together(rounds[0], images.labels)
    figure = cluster_charts.matrices(cosine, counts, 1, CLASSES, [images.image(0), None, images.image(1)])
    _, upper, _, lower = figure.axes
    assert [label.get_text() for label in lower.get_xticklabels()] == ["heron", "snail"]
    assert texts(upper) == [f"{value:.2f}".replace("0.", ".") for value in cosine[1][:, [0, 2]].ravel()]
    assert texts(lower) == [f"{value:.0f}" for value in counts[1][:, [0, 2]].ravel()]
    assert len(figure.axes[0].images) == 2  # no picture for the empty cluster


def test_every_row_of_the_heads_has_a_name_in_every_panel():
    rng = np.random.default_rng(0)
    panels = {name: rng.random((5, 2)) for name in ("a", "b", "c")}
    figure = cluster_charts.embeddings(panels, CLASSES, 0, [0, 4])
    drawn = [axis for axis in figure.axes if axis.has_data()]
    assert [axis.get_title() for axis in drawn] == ["a", "b", "c"]
    for axis, points in zip(drawn, panels.values(), strict=True):
        assert texts(axis) == [*CLASSES, "1", "5"]
        np.testing.assert_allclose([text.xy for text in axis.texts], points)
