"""Tables of single images before and after refinement against SciPy and loops over counts that are made up."""

import numpy as np
import pytest
from scipy.stats import linregress, pearsonr
from voc_folder import make_voc

from companion.analysis import measures, refined_images
from companion.drawing import curves as charts
from companion.experiments import printed as paper
from companion.pipeline import artefacts
from thesislib import metrics
from thesislib.data.voc import VocDataset

CLASSES = ("heron", "fox", "snail")
SEEDS = range(3)
ROWS = ("CAM", "Mixup-CAM")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return VocDataset(make_voc(tmp_path_factory.mktemp("data"), n=9, classes=CLASSES, size=(24, 32)), "val")


def confusion(rng, right):
    """Counts of nine images of three classes in which a share of the pixels is right."""
    counts = rng.integers(20, 60, (9, 4, 4)) + 0.0
    return (counts * (1 - right) + 400 * right * np.eye(4)).astype(np.int64)


@pytest.fixture(scope="module")
def before_and_after():
    """Counts and evenness by row and seed: the better the later the row, and better once refined."""
    rng = np.random.default_rng(1)
    maps, refined = {}, {}
    for r, row in enumerate(ROWS):
        maps[row] = [{"image_confusion": confusion(rng, 0.4 + 0.2 * r), "uniformity": rng.random(9)} for _ in SEEDS]
        refined[row] = [{"image_confusion": confusion(rng, 0.5 + 0.2 * r)} for _ in SEEDS]
    return maps, refined


def test_slope_and_correlation_are_scipys_and_leave_missing_images_out():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 20))
    with_gaps = np.append(x, [np.nan, 1]), np.append(y, [0, np.nan])
    assert refined_images.slope(*with_gaps) == pytest.approx(linregress(x, y).slope)
    assert refined_images.correlation(*with_gaps) == pytest.approx(pearsonr(x, y)[0])
    assert np.isnan(refined_images.slope(np.ones(4), np.arange(4.0)))
    assert np.isnan(refined_images.correlation(np.arange(4.0), np.ones(4)))


def test_changes_are_differences_image_by_image(before_and_after):
    maps, refined = before_and_after
    for seed, found in enumerate(refined_images.changes(maps, refined, "Mixup-CAM")):
        for change, runs in ((found.iou, maps), (found.refined, refined)):
            own, plain = (measures.image_iou(runs[row][seed]) for row in ("Mixup-CAM", "CAM"))
            np.testing.assert_allclose(change, own - plain)
    numbers = refined_images.figure_2_4(maps, refined, "Mixup-CAM")
    assert all(value is None or value.n == 3 for value in numbers.values())
    pairs = [(each.iou, each.refined) for each in refined_images.changes(maps, refined, "Mixup-CAM")]
    (axis,) = charts.changes(pairs, ("before", "after")).axes
    assert len(axis.collections) == len(pairs) and len(axis.lines) == 2 + len(pairs)


def test_pairs_of_fig_2_4_are_images_whose_maps_score_alike():
    nan, none = np.nan, np.zeros(6)
    iou, refined = np.array([0.2, -1, 1.01, 5, nan, 0.6]), np.array([1.1, -4, 30, 9, 2, 0.5])
    found = refined_images.Changes(iou, refined, none)
    np.testing.assert_array_equal(refined_images.alike(found), [1.1, -4, nan, nan, nan, 0.5])
    numbers = [value.mean for value in refined_images.of_alike([found, found]).values()]
    expected = [60, 100 * 2 / 3, np.mean([1.1, -4, 0.5]), *np.quantile([1.1, -4, 0.5], [0.1, 0.5, 0.9])]
    assert numbers == pytest.approx(expected)
    assert set(refined_images.of_alike([refined_images.Changes(iou + 9, refined, none)]).values()) >= {None}


def test_thirds_hold_every_image_once(before_and_after):
    maps, refined = before_and_after
    responses = [np.random.default_rng(seed).random(9) for seed in SEEDS]
    frame = refined_images.by_background(maps["CAM"], refined["CAM"], responses)
    assert list(frame.index) == list(refined_images.THIRDS)
    levels = [value.mean for value in frame["background response"]]
    assert levels == sorted(levels) and np.mean(levels) == pytest.approx(100 * np.mean(responses))
    adds = frame["walk adds"]
    apart = refined_images.weakest_above_strongest(maps["CAM"], refined["CAM"], responses)
    assert apart.mean == pytest.approx(adds.iloc[0].mean - adds.iloc[-1].mean)
    weakest = np.argsort(responses[0])[:3]
    counts = refined["CAM"][0]["image_confusion"][weakest].sum(axis=0)
    alone = refined_images.by_background(maps["CAM"][:1], refined["CAM"][:1], responses[:1]).iloc[0]
    assert alone["mIoU, refined"].mean == pytest.approx(100 * metrics.mean_iou(counts))
    assert alone["background kept, refined"].mean == pytest.approx(100 * counts[0, 0] / counts[0].sum())


def test_background_response_is_the_mean_over_the_true_background(images, tmp_path):
    (tmp_path / artefacts.MAPS).mkdir()
    rng = np.random.default_rng(0)
    expected = []
    for i, name in enumerate(images.ids):
        classes = np.flatnonzero(images.labels[i]).astype(np.uint8)
        maps = rng.random((len(classes), 24, 32)).astype(np.float32)
        np.savez(tmp_path / artefacts.MAPS / f"{name}.npz", classes=classes, maps=maps)
        relative = maps / maps.max(axis=(1, 2), keepdims=True)
        expected.append(relative.max(axis=0)[images.mask(i) == 0].mean())
    np.testing.assert_allclose(refined_images.background_response(tmp_path, images), expected, rtol=1e-3)


def test_an_even_region_flips_where_both_scores_are_equal():
    for alpha in (4, 16, 32):
        m = refined_images.flip_response(alpha)
        assert m == pytest.approx((1 - m) ** alpha)
    assert refined_images.share_of_sources(16, 16) == pytest.approx(12 * 8 / 256)


def test_refined_column_stands_beside_both_printed_baselines(before_and_after):
    maps, refined = before_and_after
    both = {"train": refined, "val": refined}
    printed = {"train": {"CAM": 58.1, "Mixup-CAM": 61.9}}
    frame = refined_images.refined_columns(ROWS, {"train": maps, "val": maps}, both, printed)
    assert frame["thesis, refined, VOC train"].tolist() == [58.1, 61.9]
    assert list(frame.columns[:3]) == ["CAM train", "refined train", "adds, train"]
    for row in ROWS:
        line = frame.loc[row]
        assert line["adds, train"].mean == pytest.approx(line["refined train"].mean - line["CAM train"].mean)
    published = refined_images.baselines(paper.baselines(), "Mixup-CAM", 61.9, maps, both)
    assert published["Mixup-CAM refined above it"].iloc[:2].tolist() == pytest.approx([3.8, 0.9])
    assert published.iloc[2]["refined train"].mean == pytest.approx(frame.loc["CAM", "refined train"].mean)
    without = refined_images.refined_columns(ROWS, {"train": maps, "val": maps}, {}, printed)
    assert (without[["refined val", "adds, train"]] == "not run").all(axis=None)
    assert (
        refined_images.baselines(paper.baselines(), "Mixup-CAM", 61.9, maps, {}).iloc[2]["refined train"] == "not run"
    )
