"""Grids of images, masks and response maps: what they show agrees with the numbers."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from voc_folder import make_voc

from companion.analysis import measures
from companion.drawing import image_grids as pictures
from companion.pipeline import artefacts
from companion.pipeline.stages import response_maps
from thesislib import cam, metrics
from thesislib.data.voc import VocDataset, colorize

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


def test_a_map_without_response_leaves_the_grey_image_recognisable():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    shown = pictures.overlay(image, np.zeros((16, 16), np.float32)).astype(float)
    grey = image @ np.array([0.299, 0.587, 0.114])
    assert np.corrcoef(shown.mean(axis=2).ravel(), grey.ravel())[0, 1] > 0.99


def test_a_stronger_response_is_lighter_on_the_same_grey():
    image = np.full((1, 11, 3), 100, np.uint8)
    shown = pictures.overlay(image, np.linspace(0.2, 1, 11, dtype=np.float32)[None]).astype(float)
    assert (np.diff(shown[0] @ np.array([0.2126, 0.7152, 0.0722])) > 0).all()


def test_compare_shows_the_iou_of_the_stored_maps(images, folders):
    figure = pictures.compare(pictures.examples(images, range(5), folders), FIXED, across=2)
    for folder in folders.values():
        counted = response_maps.score(images, folder, FIXED)
        for iou in measures.image_iou(counted):
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
    assert pictures.score(shown, FIXED)["CAM"] == pytest.approx(measures.fixed_miou(counted))


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
