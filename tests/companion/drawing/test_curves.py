"""The statistical figures: what they draw is what scipy and the numbers say."""

import numpy as np
import pytest
from scipy import stats
from voc_folder import make_voc

from companion.analysis.statistics import mean_interval
from companion.drawing import class_chart, curves
from thesislib import metrics
from thesislib.data.voc import VocDataset, counts_per_class

FIXED = 0.3


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


def test_the_band_is_the_t_interval_over_seeds():
    values = np.random.default_rng(0).normal(50, 2, (3, len(metrics.THRESHOLDS)))
    (band,) = curves.threshold_curves([{"CAM": values}], FIXED, "train").axes[0].collections
    corners = band.get_paths()[0].vertices
    for at, of_seeds in zip(metrics.THRESHOLDS, values.T, strict=True):
        low, high = stats.t.interval(0.95, 2, of_seeds.mean(), of_seeds.std(ddof=1) / 3**0.5)
        drawn = corners[np.isclose(corners[:, 0], at), 1]
        assert (drawn.min(), drawn.max()) == pytest.approx((low, high))


def test_bars_are_t_intervals_over_seeds():
    points = {at: mean_interval(np.random.default_rng(at).normal(50, 2, 3)) for at in (0, 1, 3)}
    (axis,) = curves.against({"quantity": [curves.Line("one", points, "#000000")]}, "round").axes
    line, *bars = axis.lines
    np.testing.assert_allclose(line.get_ydata(orig=False), [each.mean for each in points.values()])
    assert len(bars) == len(points)
    for bar, (at, each) in zip(bars, points.items(), strict=True):
        x, y = bar.get_data(orig=False)
        assert np.nanmean(x) == pytest.approx(at)
        assert (np.nanmin(y), np.nanmax(y)) == pytest.approx((each.low, each.high))


def test_one_seed_has_no_bars():
    points = {at: mean_interval([50.0 + at]) for at in range(3)}
    (axis,) = curves.against({"quantity": [curves.Line("one", points, "#000000")]}, "round").axes
    assert not any(np.isfinite(bar.get_ydata(orig=False)).any() for bar in axis.lines[1:])


def test_changes_have_the_line_of_least_squares_of_each_seed():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 20))
    flat = np.full(22, 3.0)
    with_gaps = np.append(x, [np.nan, 1]), np.append(y, [0, np.nan])
    (axis,) = curves.changes([with_gaps, (flat, with_gaps[1])], ("before", "after")).axes
    np.testing.assert_allclose(axis.collections[0].get_offsets(), np.stack([x, y], axis=1))
    (line,) = axis.lines[2:]  # after those through 0; values that are all the same have none
    at, found = line.get_data(orig=False)
    fit = stats.linregress(x, y)
    np.testing.assert_allclose(found, fit.intercept + fit.slope * at)
    assert (at.min(), at.max()) == (x.min(), x.max())


def test_class_chart_of_many_classes_has_names_and_no_numbers():
    names = [f"class {c}" for c in range(80)]
    together = np.arange(6400).reshape(80, 80)
    bars, matrix, *_ = class_chart.class_chart(names, np.arange(80), together + together.T).axes
    assert [bar.get_height() for bar in bars.patches] == [*range(80)]
    assert [label.get_text() for label in matrix.get_yticklabels()] == names and not matrix.texts
    shown = matrix.images[0].get_array()
    assert shown.mask.sum() == 80 and shown[3, 5] == (together + together.T)[3, 5]


def test_one_seed_has_no_band():
    figure = curves.threshold_curves([{"CAM": np.ones((1, len(metrics.THRESHOLDS)))}], FIXED, "train")
    assert not figure.axes[0].collections


def test_class_chart_counts_images_and_pairs(tmp_path):
    images = VocDataset(make_voc(tmp_path, n=5, classes=("heron", "fox", "snail"), size=(24, 32)), "val")
    counts = counts_per_class(images)
    left, right = class_chart.class_chart(images.classes, *counts).axes[:2]
    assert [bar.get_width() for bar in left.patches] == counts.images.tolist()
    shown = [text.get_text() for text in right.texts]
    assert shown == [str(n) if n else "" for n in counts.together[~np.eye(3, dtype=bool)]]
    for axis in (left, right):
        assert [label.get_text() for label in axis.get_yticklabels()] == list(images.classes)
