"""The sweep over K of Fig. 3.4 against counts that are made up; the sweeps of Fig. 2.5 are in `test_chain`."""

import itertools

import numpy as np
import pytest
from scipy.stats import ttest_rel
from sklearn.metrics import jaccard_score

from thesislib import charts, experiments, exploration, paper, sensitivity, settings
from thesislib.experiments import PLAIN_CAM
from thesislib.scores import oracle_miou
from thesislib.settings import Machine, SettingsError

SEEDS = range(3)
CONTROL = exploration.trained_parent()
TRUTH = np.repeat([0, 1], 3000)


def keys(rows):
    stages = experiments.response_map_stages(settings.load("demo"), rows, [0], Machine(device="cpu"))
    return {name: stage.key for (name, _), stage in stages.items()}


def run(right):
    """Counts of one run in which `right` pixels of each of two classes are right."""
    counts = np.array([[right, 3000 - right], [3000 - right, right]])
    return {"confusion": np.stack([counts] * 61), "image_confusion": counts[None]}


def miou(right):
    wrong = np.tile(np.arange(3000) >= right, 2)
    return 100 * jaccard_score(TRUTH, TRUTH ^ wrong, average="macro")


def rights(level, spread):
    return [level + spread * (seed - 1) for seed in SEEDS]


@pytest.fixture
def sweep():
    return exploration.figure_3_4(settings.load("demo"))


@pytest.fixture
def levels(sweep):
    """Right pixels of each row and seed: higher with K by far more than seeds differ."""
    rows = [row.name for row in sweep.rows.values()]
    found = {name: rights(1000 + 200 * i, 3 + i) for i, name in enumerate(rows)}
    return found | {CONTROL.name: rights(1100, 1)}


def scores_of(levels):
    return {name: [run(right) for right in of_seeds] for name, of_seeds in levels.items()}


def test_the_grid_and_the_default_are_those_of_the_preset():
    demo, voc = (exploration.figure_3_4(settings.load(preset)) for preset in ("demo", "voc2012"))
    assert list(demo.rows) == [1, 2, 5, 10, 16] and demo.default == 5
    assert list(voc.rows) == [1, 5, 10, 20, 50] and voc.default == 10
    assert voc.printed == paper.figure_3_4() == {1: 46.8, 10: 49.6}
    added = exploration.figure_3_4(settings.load("demo", {"subcategories.grid": (3,)}))
    assert list(added.rows) == [1, 3, 5]
    with pytest.raises(SettingsError, match="at least 1"):
        exploration.figure_3_4(settings.load("demo"), after_round=0)


def test_its_points_are_rows_of_the_other_tables(sweep):
    of_k = keys(sweep.rows.values())
    of_rounds = keys(exploration.table_3_2(settings.load("demo")))
    assert of_k["CAM"] == of_rounds["CAM"] and of_k["K = 5"] == of_rounds["round 1"]
    last = keys(exploration.figure_3_4(settings.load("demo"), after_round=3).rows.values())
    assert last["K = 5"] == of_rounds["round 3"]
    assert len({*of_k.values(), keys([CONTROL])[CONTROL.name]}) == 6


def test_table_has_the_control_at_the_end_and_the_printed_points(sweep, levels):
    frame = sensitivity.table(sweep, scores_of(levels), "val", [CONTROL])
    assert list(frame.index) == ["1", "2", "5 (default)", "10", "16", CONTROL.name]
    assert frame["thesis, VOC val"].dropna().to_dict() == {"1": 46.8, "10": 49.6}
    assert list(frame["above CAM"]) == ["", "✓", "✓", "✓", "✓", "✓"]
    for (name, of_seeds), line in zip(levels.items(), frame.index, strict=True):
        expected = np.mean([miou(right) for right in of_seeds])
        assert frame.loc[line, "mIoU val, fixed"].mean == pytest.approx(expected), name
    assert frame.loc["1", "fixed, minus CAM"] is None and frame.loc["5 (default)", "fixed, minus default"] is None


def test_plain_cam_is_no_neighbour_of_the_default(levels):
    lowest = exploration.figure_3_4(settings.load("demo", {"subcategories.k": 2}))
    assert [each.value for each in sensitivity.neighbours(lowest, scores_of(levels))] == [5]
    default = exploration.figure_3_4(settings.load("demo"))
    assert [each.value for each in sensitivity.neighbours(default, scores_of(levels))] == [2, 10]


def test_every_value_must_be_above(sweep, levels):
    above = sensitivity.above(sweep, scores_of(levels), PLAIN_CAM)
    assert sensitivity.every_above(above) == "holds"
    assert sensitivity.lowest(above).value == 2
    for each, name in zip(above, ("K = 2", "K = 5", "K = 10", "K = 16"), strict=True):
        of_row, plain = ([miou(right) for right in levels[row]] for row in (name, "CAM"))
        low, high = ttest_rel(of_row, plain).confidence_interval()
        assert (each.difference.low, each.difference.high) == pytest.approx((low, high))

    unsure = levels | {"K = 10": rights(1010, 200)}
    assert sensitivity.above_plain(sweep, scores_of(unsure)) == {2: "holds", 5: "holds", 10: "undecided", 16: "holds"}
    above = sensitivity.above(sweep, scores_of(unsure), PLAIN_CAM)
    assert sensitivity.every_above(above) == "undecided" and sensitivity.lowest(above).value == 10
    worse = unsure | {"K = 2": rights(800, 1)}
    assert sensitivity.every_above(sensitivity.above(sweep, scores_of(worse), PLAIN_CAM)) == "opposite"


def test_one_seed_decides_nothing(sweep, levels):
    single = {name: runs[:1] for name, runs in scores_of(levels).items()}
    above = sensitivity.above(sweep, single, PLAIN_CAM, oracle_miou)
    assert sensitivity.every_above(above) == "undecided" and sensitivity.lowest(above).value == 2


def test_figure_shows_every_point_and_the_control_beside_them(sweep, levels):
    (axis,) = charts.number_of_subcategories(sweep, scores_of(levels), CONTROL).axes
    shown = [tick.get_text().split("\n")[0] for tick in axis.get_xticklabels()]
    assert shown == ["1, trained", "1", "2", "5", "10", "16"]
    lines = {container.get_label(): container.lines[0] for container in axis.containers}
    rows = [row.name for row in sweep.rows.values()]
    for reading, (name, drawn) in itertools.product(
        ("fixed threshold", "oracle"), (("SC-CAM", rows), (CONTROL.name, [CONTROL.name]))
    ):
        line = lines[f"{name}, {reading}"]
        expected = [np.mean([miou(right) for right in levels[row]]) for row in drawn]
        np.testing.assert_allclose(line.get_ydata(orig=False), expected)
        assert (np.round(line.get_xdata(orig=False)) == (range(5) if name == "SC-CAM" else [-1])).all()
    assert not np.isclose(np.concatenate([line.get_ydata(orig=False) for line in lines.values()]), 49.6).any()
