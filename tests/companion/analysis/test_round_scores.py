"""Scores round by round and epoch by epoch against loops over pixels that are made up."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, jaccard_score, precision_recall_fscore_support

from companion.analysis import round_scores, statistics
from companion.analysis.claims import Row
from companion.analysis.methods import PLAIN_CAM
from companion.drawing import curves as charts
from companion.drawing import rounds as drawing
from companion.experiments import printed as paper

CLASSES, SEEDS = 4, range(3)
ROWS = {0: PLAIN_CAM} | {r: Row(f"round {r}", {"subcategories.round": r}) for r in (1, 2, 3)}
KEPT = {(r, e): Row(f"round {r}, epoch {e}", {"cam.epoch": e}) for r in (1, 2, 3) for e in (5, 10)}
KEPT |= {(r, 14): ROWS[r] for r in (1, 2, 3)}
NAMES = list(dict.fromkeys(row.name for row in (*ROWS.values(), *KEPT.values())))
MIOU = dict(enumerate(paper.table("table_3_2")["miou"]))


@pytest.fixture(scope="module")
def pixels():
    """Truth and prediction by row, one pair a seed; the later in `NAMES`, the more are right."""
    found = {}
    for r, name in enumerate(NAMES):
        found[name] = []
        for seed in SEEDS:
            rng = np.random.default_rng((r, seed))
            truth = rng.integers(0, CLASSES, 4000)
            right = rng.random(4000) < 0.3 + 0.05 * r
            found[name].append((truth, np.where(right, truth, rng.integers(0, CLASSES, 4000))))
    return found


@pytest.fixture(scope="module")
def val(pixels):
    def run(truth, predicted):
        counts = np.zeros((CLASSES, CLASSES), np.int64)
        np.add.at(counts, (truth, predicted), 1)
        return {"confusion": np.stack([counts] * 61), "image_confusion": counts[None]}

    return {name: [run(*pair) for pair in pairs] for name, pairs in pixels.items()}


def miou(pixels, name):
    return np.array([100 * jaccard_score(*pair, average="macro") for pair in pixels[name]])


def test_rounds_are_scored_in_both_readings_of_the_f_score(pixels, val):
    printed = {name: dict(enumerate(paper.table("table_3_2")[name])) for name in ("miou", "f_score")}
    frame = round_scores.by_round(val, ROWS, printed)
    assert list(frame.index) == ["0 (plain CAM)", "1", "2", "3"]
    for row, line in zip(ROWS.values(), frame.itertuples(index=False), strict=True):
        assert line[0].mean == pytest.approx(miou(pixels, row.name).mean())
        of_means = []
        for pair in pixels[row.name]:
            precision, recall, *_ = precision_recall_fscore_support(*pair)
            of_means.append(200 * precision.mean() * recall.mean() / (precision.mean() + recall.mean()))
        assert line[1].mean == pytest.approx(np.mean(of_means))
        f1 = [100 * f1_score(*pair, average="macro") for pair in pixels[row.name]]
        assert line[2].mean == pytest.approx(np.mean(f1))
        assert line[2].mean <= line[3].mean
    assert frame["miou"].tolist() == [46.8, 48.0, 48.7, 49.6]
    assert frame["f_score"].tolist() == [65.1, 65.6, 66.6, 67.0]


def test_rounds_beyond_the_third_have_no_printed_value(val):
    rows = ROWS | {r: Row(f"round {r}", {"subcategories.round": r}) for r in (4, 5)}
    more = val | {rows[r].name: val["round 3"] for r in (4, 5)}
    frame = round_scores.by_round(more, rows, {"thesis, mIoU": MIOU})
    assert frame["thesis, mIoU"].isna().tolist() == [False] * 4 + [True] * 2
    assert round_scores.printed_step(MIOU, 3, 4) is None
    assert "thesis, mIoU" not in round_scores.by_round(val, ROWS)


def test_the_bound_is_the_transcribed_one_and_is_reached_where_all_classes_are_alike():
    table = paper.table("table_3_2")
    bounds = [round_scores.largest_mean_f1(m) for m in table["miou"]]
    np.testing.assert_allclose(bounds, table["largest_possible_macro_f1"], atol=0.006)
    truth = np.repeat([0, 1], 50)
    predicted = np.where(np.arange(100) % 50 < 30, truth, 1 - truth)
    f1 = 100 * f1_score(truth, predicted, average="macro")
    assert round_scores.largest_mean_f1(100 * jaccard_score(truth, predicted, average="macro")) == pytest.approx(f1)


def test_steps_are_paired_by_seed_and_end_with_first_to_last(pixels, val):
    steps = round_scores.steps(ROWS)
    assert list(steps) == [(0, 1), (1, 2), (2, 3), (0, 3)]
    for (earlier, later), step in steps.items():
        found = round_scores.readings(val, val, step)
        expected = miou(pixels, ROWS[later].name) - miou(pixels, ROWS[earlier].name)
        assert found["val, fixed"].values == pytest.approx(tuple(expected))
        assert found["val, fixed"][:5] == pytest.approx(statistics.mean_interval(expected)[:5])
        assert found["train, fixed"] == found["val, fixed"]
    frame = round_scores.steps_table(val, val, steps, MIOU)
    assert frame["thesis, VOC val"].tolist() == [1.2, 0.7, 0.9, 2.8]
    assert frame.loc["0 to 3", "verdicts"] == "✓ ✓ ✓ ✓"
    assert list(round_scores.steps({1: ROWS[1], 0: ROWS[0]})) == [(0, 1)]


def test_the_used_epoch_is_the_row_of_its_round():
    assert round_scores.used_epochs(KEPT, ROWS) == {1: 14, 2: 14, 3: 14}


def test_epochs_table_says_what_choosing_by_val_would_add(pixels, val):
    frame = round_scores.epochs_table(KEPT, ROWS, val)
    assert list(frame) == ["epoch 5", "epoch 10", "epoch 14", "used", "best kept, minus used"]
    for number in (1, 2, 3):
        of_epochs = {epoch: miou(pixels, row.name) for (n, epoch), row in KEPT.items() if n == number}
        line = frame.loc[f"round {number}"]
        assert line["epoch 10"].mean == pytest.approx(of_epochs[10].mean())
        best = [max(of_epochs[epoch][seed] for epoch in of_epochs) for seed in SEEDS]
        assert line["best kept, minus used"].mean == pytest.approx(np.mean(best - of_epochs[14]))
        assert line["used"] == "epoch 14"


def test_lines_have_a_point_a_round_and_a_ring_at_the_used_epoch(pixels, val):
    axes = drawing.over_rounds(val, val, ROWS).axes
    assert [axis.get_ylabel() for axis in axes] == ["mIoU on val, per cent", "mIoU on train, per cent"]
    assert [axis.get_legend_handles_labels()[1] for axis in axes] == [["fixed threshold", "oracle"]] * 2
    np.testing.assert_allclose(
        axes[0].lines[0].get_ydata(orig=False), [miou(pixels, row.name).mean() for row in ROWS.values()]
    )
    (axis,) = drawing.over_epochs(KEPT, ROWS, val).axes
    rings = [line for line in axis.lines if line.get_markerfacecolor() == "none"]
    assert [round(line.get_xdata(orig=False)[0]) for line in rings] == [14, 14, 14]
    np.testing.assert_allclose(
        [line.get_ydata(orig=False)[0] for line in rings], [miou(pixels, ROWS[r].name).mean() for r in (1, 2, 3)]
    )
    assert len(set(drawing.shades(5))) == 5


def test_a_chart_leaves_gaps_and_draws_a_single_position():
    value = statistics.mean_interval([1.0, 2.0, 3.0])
    line = charts.Line("one", {1: value, 2: None, 3: value}, "#000000", ringed=2)
    (axis,) = charts.against({"quantity": [line]}, "round").axes
    np.testing.assert_allclose(axis.lines[0].get_xdata(orig=False), [1, 3])
    assert not any(line.get_markerfacecolor() == "none" for line in axis.lines)  # no ring
    single = charts.Line("one", {4: statistics.mean_interval([1.0])}, "#000000")
    assert charts.against({"quantity": [single, single]}, "round").axes[0].get_legend() is not None
