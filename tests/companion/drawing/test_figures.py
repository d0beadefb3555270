"""Figures and pictures: what they show agrees with the numbers, and the eye can tell the methods apart."""

import itertools

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image
from voc_folder import make_voc

from companion import settings
from companion.analysis import forward
from companion.analysis import measures as scores
from companion.drawing import curves, style
from companion.drawing import image_grids as pictures
from companion.experiments import quickstart
from companion.pipeline import artefacts
from companion.pipeline.stages import response_maps
from thesislib import cam, metrics
from thesislib.data.voc import DataError, VocDataset, colorize, counts_per_class

CLASSES = ("heron", "fox", "snail")
METHODS = ("CAM", "Mixup-CAM")
FIXED = 0.3


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return VocDataset(make_voc(tmp_path_factory.mktemp("data"), n=5, classes=CLASSES, size=(24, 32)), "val")


@pytest.fixture(scope="module")
def folders(images, tmp_path_factory):
    rng = np.random.default_rng(0)
    found = {}
    for method in METHODS:
        found[method] = tmp_path_factory.mktemp("maps")
        (found[method] / artefacts.MAPS).mkdir()
        for i, name in enumerate(images.ids):
            classes = np.flatnonzero(images.labels[i]).astype(np.uint8)
            maps = rng.random((len(classes), 24, 32)).astype(np.float32)
            np.savez(found[method] / artefacts.MAPS / f"{name}.npz", classes=classes, maps=maps)
    return found


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def pixels_of(figure: Figure) -> list[np.ndarray]:
    return [np.asarray(image.get_array()) for image in figure.axes[0].images]


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


def test_a_map_without_response_leaves_the_grey_image_recognisable():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    shown = pictures.overlay(image, np.zeros((16, 16), np.float32)).astype(float)
    grey = image @ np.array([0.299, 0.587, 0.114])
    assert np.corrcoef(shown.mean(axis=2).ravel(), grey.ravel())[0, 1] > 0.99


def test_a_stronger_response_is_lighter_on_the_same_grey():
    image = np.full((1, 11, 3), 100, np.uint8)
    shown = pictures.overlay(image, np.linspace(0.2, 1, 11, dtype=np.float32)[None]).astype(float)
    assert (np.diff(shown[0] @ np.array([0.2126, 0.7152, 0.0722])) > 0).all()


# --- Pictures ---------------------------------------------------------------------------------------------------------


def test_compare_shows_the_iou_of_the_stored_maps(images, folders):
    figure = pictures.compare(pictures.examples(images, range(5), folders), FIXED, across=2)
    for folder in folders.values():
        counted = response_maps.score(images, folder, FIXED)
        for iou in scores.image_iou(counted):
            assert f"IoU {iou:.0f}" in texts(figure)
    assert len(pixels_of(figure)) == 5 * (2 + len(METHODS))
    assert [t for t in texts(figure) if t in ("image", "truth", *METHODS)] == 2 * ["image", "truth", *METHODS]


def test_compare_shows_the_truth_and_the_label_map_in_the_palette(images, folders):
    (example,) = pictures.examples(images, [1], folders)
    shown = pixels_of(pictures.compare([example], FIXED, label_maps=True))
    assert (shown[1] == colorize(images.mask(1))).all()
    assert (shown[3] == colorize(cam.label_map(example.maps["CAM"], FIXED).numpy())).all()


def test_an_image_without_mask_is_shown_without_truth_and_iou(images):
    maps = {"CAM": torch.rand(3, 24, 32)}
    example = pictures.Example("heron", images.image(0), images.labels[0], None, maps)
    figure = pictures.compare([example], FIXED)
    assert "truth" not in texts(figure) and not any(text.startswith("IoU") for text in texts(figure))
    assert pictures.score([example], FIXED) == {}


def test_score_of_shown_images_is_the_miou_over_their_pixels(images, folders):
    shown = pictures.examples(images, range(5), folders)
    counted = response_maps.score(images, folders["CAM"], FIXED)
    assert pictures.score(shown, FIXED)["CAM"] == pytest.approx(scores.fixed_miou(counted))


def test_pictures_of_different_shapes_keep_their_proportions():
    panels = [pictures.Panel(np.zeros((h, w, 3), np.uint8)) for h, w in ((40, 60), (60, 40), (50, 50))]
    for image in pictures.grid([panels]).axes[0].images:
        left, right, bottom, top = image.get_extent()
        rows, columns = np.asarray(image.get_array()).shape[:2]
        assert (top - bottom) / (right - left) == pytest.approx(rows / columns)


def test_long_titles_are_cut_to_their_place():
    panel = pictures.Panel(np.zeros((8, 8, 3), np.uint8), "diningtable, " * 20)
    shown = texts(pictures.grid([[panel] * 8]))
    assert all(text.endswith("…") and len(text) < 40 for text in shown)


def test_scales_show_each_class_at_each_scale_and_fused(images):
    maps = {1.0: torch.rand(3, 24, 32), 0.5: torch.rand(3, 24, 32)}
    figure = pictures.scales(images.image(0), maps, {0: "heron", 2: "snail"}, FIXED)
    fused = cam.normalize(maps[1.0] + maps[0.5])[2].numpy()
    assert (pixels_of(figure)[-1] == pictures.overlay(images.image(0), fused)).all()
    assert len(pixels_of(figure)) == 2 * 4


def test_sheets_explain_their_colours(images):
    shown = pictures.examples(images, range(3))
    (legend,) = pictures.contact_sheet(shown, CLASSES).legends
    assert [text.get_text() for text in legend.get_texts()] == [*CLASSES, "not scored"]
    (legend,) = pictures.part_sheet(shown, [images.mask(i) % 4 for i in range(3)]).legends
    assert tuple(text.get_text() for text in legend.get_texts()) == metrics.PARTS


# --- Charts -----------------------------------------------------------------------------------------------------------


def test_curves_show_means_the_fixed_threshold_and_the_mean_oracle():
    rng = np.random.default_rng(0)
    found = {"CAM": rng.random((3, len(metrics.THRESHOLDS))), "mine": rng.random((3, len(metrics.THRESHOLDS)))}
    axis = curves.threshold_curves([found], FIXED, "train").axes[0]
    lines = {line.get_label(): line for line in axis.lines}
    for method, values in found.items():
        np.testing.assert_allclose(lines[method].get_ydata(), values.mean(axis=0))
    marks = [line for line in axis.lines if line.get_marker() == "^"]
    expected = metrics.THRESHOLDS[found["CAM"].argmax(axis=1)].mean(), found["CAM"].max(axis=1).mean()
    np.testing.assert_allclose(marks[0].get_xydata()[0], expected)
    assert any(list(line.get_xdata()) == [FIXED, FIXED] for line in axis.lines)
    assert lines["CAM"].get_linestyle() == "-" and lines["mine"].get_linestyle() == "--"


def test_one_seed_has_no_band():
    figure = curves.threshold_curves([{"CAM": np.ones((1, len(metrics.THRESHOLDS)))}], FIXED, "train")
    assert not figure.axes[0].collections


def test_class_chart_counts_images_and_pairs(images):
    counts = counts_per_class(images)
    left, right = curves.class_chart(images.classes, *counts).axes[:2]
    assert [bar.get_width() for bar in left.patches] == counts.images.tolist()
    assert [text.get_text() for text in right.texts] == [str(n) for n in counts.together[~np.eye(3, dtype=bool)] if n]


# --- One image, step by step ------------------------------------------------------------------------------------------


def test_maps_of_the_scales_add_up_to_the_fused_map(images):
    smoke = settings.load("smoke", {"cam.scales": (1, 0.75)})
    model = forward.untrained_classifier(smoke, 3)
    picture, labels = np.repeat(np.repeat(images.image(0), 2, 0), 2, 1), images.labels[0]
    fused = forward.fuse(forward.maps_by_scale(model, picture, labels, smoke.cam))
    expected = cam.response_maps(model, picture, torch.from_numpy(labels), scales=smoke.cam.scales)
    torch.testing.assert_close(fused, expected)
    assert forward.logit_is_mean(model, picture)


def test_a_square_is_the_middle_of_the_picture():
    picture = np.zeros((20, 40, 3), np.uint8)
    picture[:, 10:30] = 200
    assert (forward.square(picture, 10) == 200).all()
    assert forward.square(picture, 10).shape == (10, 10, 3)


@pytest.fixture
def own_file(tmp_path):
    path = tmp_path / "own.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)).save(path)
    return path


def test_a_picture_of_the_users_own_and_its_labels(own_file):
    picture, labels = quickstart.own_picture(own_file, ["snail"], CLASSES)
    assert picture.shape == (40, 60, 3) and labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "image_labels is empty.*heron, fox, snail"),
        (["snial"], "'snial'; did you mean 'snail'"),
        (["3"], "unknown class '3'"),
    ],
)
def test_labels_of_the_users_own_picture_are_checked(own_file, labels, message):
    with pytest.raises(settings.SettingsError, match=message):
        quickstart.own_picture(own_file, labels, CLASSES)


def test_a_picture_that_cannot_be_used_is_refused(own_file):
    with pytest.raises(DataError, match=r"missing\.png"):
        quickstart.own_picture(own_file.with_name("missing.png"), ["fox"], CLASSES)
    own_file.write_text("no picture")
    with pytest.raises(DataError, match=r"own\.png"):
        quickstart.own_picture(own_file, ["fox"], CLASSES)
    Image.new("RGB", (5000, 40)).save(own_file)
    with pytest.raises(DataError, match=r"500 x 4 pixels"):
        quickstart.own_picture(own_file, ["fox"], CLASSES)


def test_a_picture_for_the_random_walk_has_room_for_its_pairs(own_file):
    """40 x 60 pixels: at stride 4 enough for 9 cells, at stride 8 not."""
    quickstart.own_picture(own_file, ["fox"], CLASSES, quickstart.smallest_side(4, steps=2))
    quickstart.own_picture(own_file, ["fox"], CLASSES, quickstart.smallest_side(8, steps=1))
    with pytest.raises(DataError, match=r"60 x 40 pixels.*sides of at least 72"):
        quickstart.own_picture(own_file, ["fox"], CLASSES, quickstart.smallest_side(8, steps=2))


def test_a_large_picture_is_made_smaller(own_file):
    Image.new("RGB", (2000, 1000)).save(own_file)
    picture, labels = quickstart.own_picture(own_file, ["fox"], CLASSES)
    assert picture.shape == (250, 500, 3)
    assert labels.sum() == 1
