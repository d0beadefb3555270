"""How complete made-up maps are, against scikit-learn over the split, and what is asked of them."""

import made_results
import numpy as np
import pytest
from sklearn.metrics import average_precision_score
from voc_folder import make_voc

from companion import settings
from companion.analysis import completeness, measures, mechanism
from companion.datasets.published import MARK, LeftOut
from companion.experiments.catalogue import experiment
from companion.pipeline.artefacts import MAPS, ResponseMaps
from companion.settings import Machine
from thesislib import cam
from thesislib.data.voc import VocDataset, write_mask

CLASSES = ("heron", "fox", "snail")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return VocDataset(make_voc(tmp_path_factory.mktemp("data"), n=5, classes=CLASSES, size=(24, 32)), "train")


def write(folder, images, of_object):
    """Maps that are `of_object` of the mask of each class."""
    folder.mkdir(exist_ok=True)
    for i, name in enumerate(images.ids):
        present = np.flatnonzero(images.labels[i])
        maps = np.stack([of_object(images.mask(i) == c + 1) for c in present]).astype(np.float32)
        ResponseMaps(present.astype(np.uint8), maps).write(folder, name)
    return folder


def test_pixel_average_precision_is_that_of_all_images_of_a_class(images, tmp_path):
    rng = np.random.default_rng(0)
    write(tmp_path, images, lambda inside: rng.random(inside.shape) + 0.5 * inside)
    found, _, _ = completeness.measure(tmp_path, images, 0.15)
    expected = []
    for c in range(len(CLASSES)):
        on, scores = [], []
        for i in (i for i in range(len(images)) if (images.mask(i) == c + 1).any()):
            valid = images.mask(i) != 255
            normalized = cam.normalize(ResponseMaps.read(tmp_path, images.ids[i]).of_classes(len(CLASSES)))
            on.append((images.mask(i) == c + 1)[valid])
            scores.append(normalized[c].numpy()[valid])
        if on:
            expected.append(average_precision_score(np.concatenate(on), np.concatenate(scores)))
    assert found == pytest.approx(100 * np.mean(expected), abs=0.1)


def test_right_maps_are_complete_and_empty_ones_are_not(images, tmp_path):
    right = write(tmp_path / "right", images, lambda inside: inside * 2.0)
    empty = write(tmp_path / "empty", images, lambda inside: inside * 0.0)
    assert completeness.measure(right, images, 0.15).tolist() == pytest.approx([100, 100, 100])
    precision, boxes, outline = completeness.measure(empty, images, 0.15)
    assert 0 < precision < 100 and (boxes, outline) == (0, 0)


def test_of_images_without_an_object_nothing_is_known(tmp_path):
    root = make_voc(tmp_path / "data", n=2, classes=CLASSES, size=(24, 32))
    images = VocDataset(root, "train")
    for name, label in zip(images.ids, (0, 255), strict=False):
        write_mask(root / "SegmentationClass" / f"{name}.png", np.full((24, 32), label, np.uint8))
    write(tmp_path, images, np.ones_like)
    assert np.isnan(completeness.measure(tmp_path, images, 0.15)).all()


def test_over_and_under_activation_are_means_over_objects():
    counts = np.zeros((2, 3, 3), np.int64)
    counts[0] = [[50, 10, 0], [20, 20, 0], [0, 0, 0]]  # 10 of 100 pixels in excess, half of the object missed
    counts[1] = [[90, 0, 0], [0, 4, 0], [6, 0, 0]]  # one object right, one missed
    run = {"image_confusion": counts}
    assert measures.over_activation(run) == pytest.approx(10 / 3)
    assert measures.under_activation(run) == pytest.approx((50 + 0 + 100) / 3)
    nothing = {"image_confusion": np.array([[[9, 1], [0, 0]]])}
    assert np.isnan([measures.over_activation(nothing), measures.under_activation(nothing)]).all()


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Table 2.1 on results made up, and the folder of these."""
    folder = tmp_path_factory.mktemp("made")
    compute = made_results.compute(folder)
    here = Machine(device="cpu", crf=False)
    return experiment("21_response_maps", settings.load("smoke"), range(3), here, {}, compute), folder


def test_claims_against_plain_cam_are_corrected_together_and_asked_nowhere_else(asked):
    table, *found = asked[0].completeness()
    assert list(table.frame) == list(completeness.COLUMNS) and table.frame.notna().all(axis=None)
    assert len(found) == 4 and all(each.adjusted is not None and each.adjusted >= each.p for each in found)
    assert [each.claim.split(": ")[1] for each in found] == ["mixup > CAM"] * 2 + ["Mixup-CAM > CAM"] * 2
    assert not {each.measured for each in completeness.ASKED} & {each.measured for each in mechanism.MAPS}


@pytest.mark.parametrize(
    ("notebook", "rows"),
    [
        ("31_response_maps", ["SC-CAM"]),
        ("24_terms", ["entropy, no mixup", "concentration, no mixup", "both terms, no mixup"]),
        ("41_both_methods", ["Mixup-CAM + SC-CAM"]),
        ("43_subcategories", ["pooled features", "features under the map"]),
        ("44_contrast", ["two views", "two views, contrast 0.1"]),
        ("45_peers", ["AdvCAM", "SEAM's equivariance", "ReCAM"]),
        (
            "42_mixing",
            ["mixup", "mixed images, hard labels", "mixed labels, images as they are", "label smoothing 0.1"],
        ),
    ],
)
def test_completeness_is_asked_against_plain_cam_alone(notebook, rows):
    found = experiment(notebook, settings.load("demo"), range(3), Machine(device="cpu", crf=False))
    claims = found.claims_of_completeness
    assert [claim.row.name for claim in claims] == rows and {claim.reference.name for claim in claims} == {"CAM"}


def test_without_published_measurements_it_is_left_out(asked):
    here, folder = asked
    again = experiment("21_response_maps", here.settings, range(3), here.machine, {}, here.compute)
    (folder / MARK).touch()
    for maps in folder.glob(f"response_maps */{MAPS}"):
        maps.rename(maps.with_name("elsewhere"))
    with pytest.raises(LeftOut, match="response maps"):
        next(again.completeness())
    assert len(again.classifiers().frame) == len(again.rows)  # known from the scores
