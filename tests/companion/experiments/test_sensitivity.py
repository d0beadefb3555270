"""The sweeps of Fig. 2.5 and over K of Fig. 3.4 against counts that are made up."""

import itertools
import types

import numpy as np
import pytest
from scipy.stats import ttest_rel
from sklearn.metrics import jaccard_score

from companion import settings
from companion.analysis import maps, measures, sensitivity
from companion.analysis.claims import Verdict
from companion.analysis.methods import PLAIN_CAM
from companion.analysis.statistics import mean_interval, p_value
from companion.drawing import curves
from companion.experiments import catalogue, printed, row_stages
from companion.experiments.catalogue import experiment
from companion.experiments.printed_differences import FIG_2_5, FIG_3_4, FIG_3_4_LAST, of_place
from companion.settings import Machine, SettingsError

SEEDS = range(3)
TRUTH = np.repeat([0, 1], 3000)


def of(notebook, parameters=None, overrides=None, preset="demo"):
    """The experiment of a notebook with the parameters of its cell, some of them changed."""
    return experiment(notebook, settings.load(preset, overrides), SEEDS, Machine(device="cpu"), parameters)


def over_k(overrides=None, preset="demo", after_round=1):
    """The experiment of Fig. 3.4; with the demo, over a grid of five."""
    grid = {"subcategories.grid": (1, 2, 5, 10, 16)} if preset == "demo" else {}
    return of("32_number_of_subcategories", {"after_round": after_round}, grid | (overrides or {}), preset)


CONTROL = over_k().control


def keys(rows):
    stages = row_stages.response_map_stages(settings.load("demo"), rows, [0], Machine(device="cpu"))
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
    return over_k().sweep


@pytest.fixture
def levels(sweep):
    """Right pixels of each row and seed: higher with K by far more than seeds differ."""
    rows = [row.name for row in sweep.rows.values()]
    found = {name: rights(1000 + 200 * i, 3 + i) for i, name in enumerate(rows)}
    return found | {CONTROL.name: rights(1100, 1)}


def scores_of(levels):
    return {name: [run(right) for right in of_seeds] for name, of_seeds in levels.items()}


def test_the_grid_and_the_default_are_those_of_the_preset():
    demo, voc = (over_k(preset=preset).sweep for preset in ("demo", "voc2012"))
    assert list(demo.rows) == [1, 2, 5, 10, 16] and demo.default == 5
    assert list(voc.rows) == [1, 5, 10, 20, 50] and voc.default == 10
    assert voc.printed == printed.figure_3_4() == {1: 46.8, 10: 49.6}
    added = over_k({"subcategories.grid": (3,)}).sweep
    assert list(added.rows) == [1, 3, 5]
    with pytest.raises(SettingsError, match="at least 1"):
        over_k(after_round=0).stages()


def test_its_points_are_rows_of_the_other_tables(sweep):
    of_k = keys(sweep.rows.values())
    rounds = catalogue.experiment("33_rounds", settings.load("demo"), (0,), Machine(device="cpu"))
    of_rounds = keys(rounds.rows.values())
    assert of_k["CAM"] == of_rounds["CAM"] and of_k["K = 5"] == of_rounds["round 1"]
    last = keys(over_k(after_round=3).sweep.rows.values())
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


def test_the_whole_grid_but_plain_cam_is_compared_with_the_default(levels):
    lowest = over_k({"subcategories.k": 2}).sweep
    assert [each.value for each in sensitivity.from_default(lowest, scores_of(levels))] == [5, 10, 16]
    default = over_k().sweep
    assert [each.value for each in sensitivity.from_default(default, scores_of(levels))] == [2, 10, 16]


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
    of_10 = next(each.difference for each in above if each.value == 10)
    every = sensitivity.every("all", above)
    assert (every.verdict, every.difference) == ("undecided", of_10)
    assert every.p == sensitivity.p_of_every(above) == max(p_value(each.difference) for each in above)
    worse = unsure | {"K = 2": rights(800, 1)}
    every = sensitivity.every("all", sensitivity.above(sweep, scores_of(worse), PLAIN_CAM))
    assert every.verdict == "opposite" and every.difference.high < 0 and "Shown: 2," in every.note
    assert every.p < 0.05


def points(*samples):
    return [sensitivity.Point(value, mean_interval(each)) for value, each in enumerate(samples)]


def test_one_of_many_values_that_is_below_by_chance_is_not_the_opposite():
    below, around, wide = [-1.0, -1.3, -0.9], [-0.5, 0.4, 0.2], [-9.0, 4.0, 3.0]
    assert mean_interval(below).high < 0
    assert sensitivity.every_above(points(below)) == "opposite"
    many = points(below, around, wide, around, around)
    every = sensitivity.every("all", many)
    assert every.verdict == "undecided" and every.p == 1 and every.difference == many[2].difference
    assert sensitivity.insensitive(points(below), 0.1) == "opposite"
    assert sensitivity.insensitive(many, 0.1) == "undecided" and sensitivity.widest(many, 0.1).value == 2


def test_one_seed_decides_nothing(sweep, levels):
    single = {name: runs[:1] for name, runs in scores_of(levels).items()}
    above = sensitivity.above(sweep, single, PLAIN_CAM, measures.oracle_miou)
    assert sensitivity.every_above(above) == "undecided" and sensitivity.lowest(above).value == 2


def test_figure_shows_every_point_and_the_control_beside_them(sweep, levels):
    (axis,) = curves.number_of_subcategories(sweep, scores_of(levels), CONTROL).axes
    shown = [tick.get_text().split("\n")[0] for tick in axis.get_xticklabels()]
    assert shown == ["1, trained", "1", "2", "5", "10", "16"]
    lines = {line.get_label(): line for line in axis.lines}
    rows = [row.name for row in sweep.rows.values()]
    for reading, (name, drawn) in itertools.product(
        ("fixed threshold", "oracle"), (("SC-CAM", rows), (CONTROL.name, [CONTROL.name]))
    ):
        line = lines[f"{name}, {reading}"]
        expected = [np.mean([miou(right) for right in levels[row]]) for row in drawn]
        np.testing.assert_allclose(line.get_ydata(orig=False), expected)
        assert (np.round(line.get_xdata(orig=False)) == (range(5) if name == "SC-CAM" else [-1])).all()
    assert not np.isclose(np.concatenate([line.get_ydata(orig=False) for line in lines.values()]), 49.6).any()


# --- Fig. 2.5 ---------------------------------------------------------------------------------------------------------


def test_ends_and_defaults_of_the_sweeps_are_rows_of_table_2_1():
    found = {key: keys([row])[row.name] for key, row in of("22_sensitivity").rows.items()}
    table = {key: keys([row])[row.name] for key, row in of("21_response_maps").rows.items()}
    assert found["cam"] == found["a", 0] == table["cam"] and found["a", 0.2] == table["mixup"]
    assert found["b", 0] == table["concentration"] and found["b", 0.02] == table["mixup_cam"]
    assert found["c", 0] == table["entropy"] and found["c", 2e-4] == table["mixup_cam"]
    assert len({*found.values()}) == 11


def test_second_series_of_panel_c_and_added_defaults():
    c = of("22_sensitivity", {"lambda_cons": [0], "lambda_ent_of_c": 0.2}).panels["c"]
    assert list(c.rows) == [0, 2e-4]
    assert {row.overrides["classifier.lambda_ent"] for row in c.rows.values()} == {0.2}
    with pytest.raises(SettingsError, match=r"trains each of its rows: leave classifier\.weights empty"):
        of("22_sensitivity", overrides={"classifier.weights": "given.pth"}).stages()


@pytest.fixture(scope="module")
def sweep_scores():
    """Threshold counts whose mIoU rises with the value and hardly varies with the seed."""
    sweep = of("22_sensitivity").panels["a"]
    found = {}
    for r, name in enumerate(["CAM", *(row.name for row in sweep.rows.values())]):
        runs = []
        for seed in SEEDS:
            right = 1000 + 100 * max(r - 1, 0) + seed
            counts = np.array([[right, 3000 - right], [3000 - right, right]])
            runs.append({"confusion": np.stack([counts] * 61), "image_confusion": counts[None]})
        found[name] = runs
    return sweep, found


def test_sweep_table_compares_with_default_and_plain_cam(sweep_scores):
    sweep, found = sweep_scores
    frame = sensitivity.table(sweep, found)
    assert list(frame.index) == ["0", "0.1", "0.2 (default)", "0.8"]
    assert frame["thesis, VOC train"].dropna().to_dict() == {"0.2 (default)": 49.3}
    default = [measures.fixed_miou(run) for run in found["alpha 0.2"]]
    other = [measures.fixed_miou(run) for run in found["alpha 0.8"]]
    assert frame.loc["0.8", "fixed, minus default"].mean == pytest.approx(np.mean(np.subtract(other, default)))
    assert frame.loc["0.2 (default)", "fixed, minus default"] is None
    assert list(frame["above CAM"]) == ["", "✓", "✓", "✓"]


def test_insensitive_only_where_the_whole_grid_is_within_the_margin(sweep_scores):
    sweep, found = sweep_scores
    others = sensitivity.from_default(sweep, found)
    assert [each.value for each in others] == [0.1, 0.8]
    steps = [abs(each.difference.mean) for each in others]
    assert sensitivity.insensitive(others, max(steps) + 0.5) == "holds"
    assert sensitivity.insensitive(others, max(steps) - 0.5) == "opposite"
    margin = max(steps) - 0.5
    assert sensitivity.widest(others, margin).value == others[int(np.argmax(steps))].value


def test_sweep_figure_has_a_panel_a_sweep_and_no_printed_point(sweep_scores):
    sweep, found = sweep_scores
    figure = curves.sensitivity([sweep], found)
    (axis,) = figure.axes
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["0", "0.1", "0.2", "0.8"]
    shown = np.concatenate([np.asarray(line.get_ydata(), float) for line in axis.lines])
    assert not np.isclose(shown, 49.3).any()


# --- What is shown ----------------------------------------------------------------------------------------------------


class Scored:
    """24 images of one class beside the background."""

    classes = ("heron",)

    def __len__(self):
        return 24


def scored(chosen, of_value):
    """An experiment whose rows have `of_value(key)` right pixels of each class, more with the seed."""
    levels = {row.name: rights(of_value(key), 3) for key, row in chosen.rows.items()}
    made = scores_of(levels)
    vars(chosen).update(scores=made, moved=made, scored=Scored())
    return chosen


def of_panels(key):
    """Rises with the value from plain CAM on, which is the left end of panel a."""
    return 1000 if key in ("cam", ("a", 0)) else 1200 + round(300 * key[1] / {"a": 0.8, "b": 0.2, "c": 2e-3}[key[0]])


def test_a_value_inserted_into_a_grid_changes_its_own_lines_alone():
    grids = [0, 0.1, 0.2, 0.4], [0, 0.1, 0.15, 0.2, 0.4]
    usual, more = (scored(of("22_sensitivity", {"alphas": grid}), of_panels) for grid in grids)
    (a, *others), (a_more, *others_more) = usual.tables(), more.tables()
    assert [*a_more.frame.index] == ["0", "0.1", "0.15", "0.2 (default)", "0.4"]
    assert a_more.frame.drop(index="0.15").equals(a.frame) and a_more.beside == a.beside
    assert all(table.frame.equals(same.frame) for table, same in zip(others_more, others, strict=True))
    *verdicts, number = usual.verdicts()
    *verdicts_more, number_more = more.verdicts()
    assert number_more == number and number.thesis == printed.figure_2_5("b")[0.02]
    claims, claims_more = ([e.claim for e in found if isinstance(e, Verdict)] for found in (verdicts, verdicts_more))
    assert set(claims_more) - set(claims) == {
        "alpha: over the whole grid (0.1, 0.15, 0.4) mIoU is within 1 points of that at 0.2"
    }
    assert claims[0].startswith("Every value of alpha, lambda_ent and lambda_con in the grids is above plain CAM, mIoU")
    assert [found.verdict for found in verdicts if isinstance(found, Verdict) and found.primary] == ["holds"]
    placed = [found.place for found in verdicts if isinstance(found, Verdict) and found.place]
    assert placed[0] == FIG_2_5 and [each.source[-1] for each in placed[1:]] == ["a", "b", "c"] * 2
    assert all(of_place(each) for each in placed)
    assert [axis.get_xlabel() for axis in more.figure().drawing.axes] == [
        axis.get_xlabel() for axis in usual.figure().drawing.axes
    ]
    assert set(more.chance_table().frame.index) - set(usual.chance_table().frame.index) == {
        "alpha 0.15 > CAM",
        "alpha 0.15 > alpha 0.2",
    }


def test_a_k_inserted_into_the_grid_changes_its_own_lines_alone():
    usual, more = (
        scored(over_k({"subcategories.grid": grid}), lambda key: 1100 if isinstance(key, str) else 1000 + 20 * key)
        for grid in ((1, 2, 5, 10, 16), (1, 2, 5, 7, 10, 16))
    )
    (_, values), (_, values_more) = usual.figure(), more.figure()
    assert [*values_more.frame.index] == ["1", "2", "5 (default)", "7", "10", "16", CONTROL.name]
    assert values_more.frame.drop(index="7").equals(values.frame)
    *verdicts, _, number = usual.is_it_the_clusters()
    *verdicts_more, _, number_more = more.is_it_the_clusters()
    assert number_more == number
    assert [(each.claim, each.difference) for each in verdicts_more] == [
        (each.claim, each.difference) for each in verdicts
    ]
    claims, claims_more = (
        [each.claim for each in chosen.verdicts() if isinstance(each, Verdict)] for chosen in (usual, more)
    )
    assert [found.place for found in usual.verdicts() if isinstance(found, Verdict)][:3] == [FIG_3_4, FIG_3_4, None]
    every = "Every K above 1 (2, 5, 7, 10, 16) is above plain CAM after round 1"
    assert set(claims_more) - set(claims) == {
        every,
        f"{every}, {maps.PRIMARY_IN_WORDS}",
        "K = 7 is above plain CAM after round 1",
        "K is a flat choice after round 1: over the whole grid (2, 7, 10, 16) mIoU is within 1 point of that at 5",
    }


@pytest.mark.parametrize("k", [1, 0, -3])
def test_a_k_of_the_last_round_that_is_none_is_refused(k: int) -> None:
    with pytest.raises(SettingsError, match=f"at least 2, got {k}"):
        of("32_number_of_subcategories", {"last_round": 2, "last_grid": [10, k]}).stages()


def test_after_the_last_round_the_claim_is_asked_of_some_k():
    usual = over_k()
    assert list(usual.last_sweep.rows) == [1, 5, 16] and over_k(after_round=3).last_sweep is None
    last = keys(over_k(after_round=3).sweep.rows.values())
    assert keys(usual.last_sweep.rows.values())["K = 16, round 3"] == last["K = 16"]
    asked = of("32_number_of_subcategories", {"last_round": 2, "last_grid": [2, 10]})
    assert list(asked.last_sweep.rows) == [1, 2, 5, 10] and asked.last_sweep.text == "after round 2"

    found = scored(usual, lambda key: 1100 if isinstance(key, str) else 1000 + 20 * key)
    every, *each = [verdict for verdict in found.after_last_round() if isinstance(verdict, Verdict)]
    assert every.claim == "Every K above 1 (5, 16) is above plain CAM after round 3" and every.place == FIG_3_4_LAST
    assert [verdict.claim for verdict in each[:2]] == [f"K = {k} is above plain CAM after round 3" for k in (5, 16)]
    assert every.adjusted is not None and every.adjusted >= every.p


def test_sizes_of_clusters_are_those_of_the_data_and_of_voc():
    chosen = over_k()
    labels = np.array([[1, 0], [1, 1], [1, 1], [1, 0]], np.uint8)
    vars(chosen).update(trained_on=types.SimpleNamespace(labels=labels))
    assert chosen.sizes().text == (
        "Images in a cluster, on average over classes: 3 with K = 1, 2 with K = 2, 1 with K = 5, 0 with K = 10, 0 with "
        "K = 16. On VOC there are 82 with K = 10 and 16 with K = 50."
    )


# --- The weight of an output ------------------------------------------------------------------------------------------


def weights(rows):
    """lambda and K, as `lambda / K`, of the settings that rows ask for."""
    chosen = [settings.load("demo", row.overrides).subcategories for row in rows]
    return [(each.weight, 1 if each.labels == "parent" else each.k) for each in chosen]


def test_the_second_series_has_the_weight_that_an_output_has_with_the_default_k():
    chosen = over_k()
    assert weights(chosen.second_series.values()) == [(1, 1), (5, 5), (16, 16)]
    assert weights(chosen.first_series.values()) == [(5, 1), (5, 2), (5, 5), (5, 10), (5, 16)]
    for preset in ("voc2012", "coco2014"):  # of 20 classes and of 80: the weight is that over the one of a class
        large = over_k(preset=preset).second_series
        assert {k: row.overrides.get("subcategories.weight", 5) for k, row in large.items()} == {1: 0.5, 10: 5, 50: 25}
    asked = of("32_number_of_subcategories", {"fixed_weight": [2]}).second_series
    assert weights(asked.values()) == [(2, 2), (5, 5)]


def test_what_the_demo_asks_beyond_fig_3_4_is_two_rows_on_val_alone():
    chosen = over_k()
    beyond = chosen.weighted_rows
    assert [*beyond] == ["K = 1, trained, lambda 1", "K = 16, lambda 16"]
    assert {row.overrides["cam.splits"] for row in beyond.values()} == {("val",)}
    first = keys([chosen.control, *chosen.sweep.rows.values()]).values()
    assert len({*first, *keys(beyond.values()).values()}) == len(first) + 2


def test_lambda_is_swept_for_clusters_and_for_random_labels_of_their_sizes():
    pairs = of("32_number_of_subcategories", {"lambdas": [1, 20]}).over_lambda
    assert [weights(pair) for pair in pairs.values()] == [[(1, 5)] * 2, [(5, 5)] * 2, [(20, 5)] * 2]
    assert all(dealt.overrides["subcategories.labels"] == "random" for _, dealt in pairs.values())
    assert pairs[5][0].overrides == over_k().sweep.rows[5].overrides
    assert over_k().over_lambda == {} and "empty" in next(over_k().sweep_of_lambda()).text


def test_the_second_series_is_compared_with_the_first_and_with_its_own_control():
    level = {"K = 1, trained, lambda 1": 1150, "K = 16, lambda 16": 1600}
    chosen = scored(over_k(), lambda key: level.get(key, 1100) if isinstance(key, str) else 1000 + 20 * key)
    table, _, default, largest, _ = chosen.same_weight()
    frame = table.frame
    assert [*frame.index] == ["1", "2", "5 (default)", "10", "16"]
    assert [*frame["weight of an output × C"]] == [5, 2.5, 1, 0.5, 5 / 16]
    minus = frame["second minus first"]
    expected = np.mean([miou(a) - miou(b) for a, b in zip(rights(1600, 3), rights(1320, 3), strict=True)])
    assert minus["16"].mean == pytest.approx(expected) and minus["1"].mean > 0
    assert minus["2"] is None and minus["5 (default)"] is None
    assert default.verdict == "opposite" and largest.verdict == "holds"
