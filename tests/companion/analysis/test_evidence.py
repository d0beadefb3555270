"""The bootstrap over images against scipy and against counting every draw, and the tables of what runs can decide."""

import itertools

import numpy as np
import pytest
from scipy import stats

from companion.analysis import bootstrap
from companion.analysis import chance as evidence
from companion.analysis.claims import Claim, Row, Sweep
from companion.analysis.methods import PLAIN_CAM
from companion.analysis.power import power
from companion.analysis.statistics import mean_interval, sign_flip_test, verdict
from companion.reports import typeset
from thesislib.metrics import ConfusionMatrix

MIXUP = Row("mixup")
CLAIM = Claim("Mixup improves the maps", MIXUP, PLAIN_CAM)


def made_counts(runs: int, images: int, quality: float, seed: int = 0) -> np.ndarray:
    """Confusion counts of images of 36 pixels, of which a share `quality` is called right."""
    rng = np.random.default_rng(seed)
    counts = np.zeros((runs, images, 3, 3), np.int64)
    for of_image in counts.reshape(-1, 3, 3):
        truth = rng.choice(3, 36, p=[0.5, 0.3, 0.2])
        np.add.at(of_image, (truth, np.where(rng.random(36) < quality, truth, rng.integers(0, 3, 36))), 1)
    return counts


def made_scores(runs: int, images: int) -> dict[str, list[dict[str, np.ndarray]]]:
    """Runs of plain CAM and of a better row."""
    rows = {"CAM": made_counts(runs, images, 0.5), "mixup": made_counts(runs, images, 0.8)}
    return {name: [{"image_confusion": run} for run in counts] for name, counts in rows.items()}


def miou(counts: np.ndarray, images: object) -> float:
    """Mean over runs of the mIoU of the chosen images, by the metric that everything else is scored with."""
    found = []
    for run in counts:
        matrix = ConfusionMatrix(3)
        matrix.counts = run[np.asarray(images, int)].sum(axis=0)
        found.append(100 * matrix.miou())
    return float(np.mean(found))


def test_bootstrap_agrees_with_counting_every_draw_of_four_images():
    counts = made_counts(2, 4, 0.7)
    every = [miou(counts, draw) for draw in itertools.product(range(4), repeat=4)]
    found = bootstrap.bootstrap_miou(counts, np.random.default_rng(0))
    assert found.mean == pytest.approx(miou(counts, range(4)))
    assert found.images == 4
    assert found.std == pytest.approx(np.std(every), rel=0.06)
    assert (found.low, found.high) == pytest.approx(np.percentile(every, [2.5, 97.5]), abs=1.0)


def test_bootstrap_agrees_with_scipy():
    counts = made_counts(1, 40, 0.6)
    reference = stats.bootstrap(
        (np.arange(40),), lambda images: miou(counts, images), n_resamples=1000, method="percentile",
        vectorized=False, rng=np.random.default_rng(1),
    )  # fmt: skip
    found = bootstrap.bootstrap_miou(counts, np.random.default_rng(0))
    assert (found.low, found.high) == pytest.approx(tuple(reference.confidence_interval), abs=0.6)
    assert found.std == pytest.approx(reference.standard_error, rel=0.1)


def test_same_images_are_drawn_for_both_sides_of_a_difference():
    a, b = made_counts(1, 30, 0.9), made_counts(1, 30, 0.6, seed=1)
    draw = np.random.default_rng
    same = bootstrap.bootstrap_difference(a, a, draw(0))
    assert (same.mean, same.low, same.high) == (0, 0, 0)
    there, back = bootstrap.bootstrap_difference(a, b, draw(0)), bootstrap.bootstrap_difference(b, a, draw(0))
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert there.mean == pytest.approx(miou(a, range(30)) - miou(b, range(30)))
    with pytest.raises(ValueError, match="same images, got 30 and 29"):
        bootstrap.bootstrap_difference(a, b[:, :29], draw(0))
    with pytest.raises(ValueError, match="got 0 runs of 30 images"):
        bootstrap.bootstrap_miou(a[:0], draw(0))


def test_table_of_seeds_says_what_three_seeds_can_decide():
    scores = {
        name: [{"image_confusion": run} for run in made_counts(3, 8, q)] for name, q in (("CAM", 0.5), ("mixup", 0.8))
    }
    found = evidence.differences([CLAIM], scores)
    (line,) = evidence.of_seeds(found).to_dict("records")
    values = found["mixup > CAM"]
    assert values == pytest.approx(
        [miou(run["image_confusion"][None], range(8)) - miou(other["image_confusion"][None], range(8))
         for run, other in zip(scores["mixup"], scores["CAM"], strict=True)]
    )  # fmt: skip
    assert line[evidence.DIFFERENCE].mean == pytest.approx(np.mean(values))
    assert verdict(mean_interval(np.subtract(values, np.mean(values)) + 1.01 * line[evidence.REACH])) == "holds"
    assert verdict(mean_interval(np.subtract(values, np.mean(values)) + 0.99 * line[evidence.REACH])) == "undecided"
    assert (line[evidence.CHANCE], line[evidence.LEAST]) == sign_flip_test(values)
    assert line[evidence.LEAST] == 0.25


def test_single_seed_has_an_interval_over_images_alone():
    scores = {
        name: [{"image_confusion": run} for run in made_counts(1, 8, q)] for name, q in (("CAM", 0.5), ("mixup", 0.8))
    }
    frame = evidence.of_images(scores, ["CAM", "mixup"])
    assert np.isnan(frame.loc["mixup", "mIoU, over seeds"].low)
    over_images = frame.loc["mixup", "minus CAM, over images"]
    assert over_images.low < over_images.mean < over_images.high
    assert frame.loc["CAM", "minus CAM, over images"] is None
    (line,) = evidence.of_seeds(evidence.differences([CLAIM], scores)).to_dict("records")
    names = (evidence.DEVIATION, evidence.REACH, evidence.CHANCE, evidence.NEEDED)
    assert [line[name] for name in names] == [None] * 4


def test_power_is_that_to_see_the_printed_difference_or_one_point():
    frame = evidence.of_seeds(
        {"printed": [1.0, 2.0, 3.0], "own": [1.0, 2.0, 3.0], "wild": [90.0, -90.0, 0.0], "same": [0.0, 0.0, 0.0]},
        printed={"printed": -2.0, "own": None},
    )
    assert frame[evidence.SOUGHT].tolist() == [2.0, 1.0, 1.0, 1.0]
    assert frame[evidence.NEEDED].tolist() == [5, 10, "more than 1,000", None]
    assert frame.loc["printed", evidence.POWER] == pytest.approx(power(2.0, 1.0, 3))
    assert frame.loc["same", evidence.POWER] is None
    assert typeset.text_of(frame.loc["printed", evidence.NEEDED])[0] == "5"


def test_every_step_of_the_chain_is_compared():
    runs = {
        name: [{"image_confusion": run} for run in made_counts(2, 4, q)] for name, q in (("CAM", 0.5), ("mixup", 0.8))
    }
    found = evidence.after_steps({"val": {"CAM": runs, "+ CRF": runs}}, "mixup")
    assert list(found) == ["after CAM, val", "after CRF, val"]
    assert len(found["after CRF, val"]) == 2


def test_a_margin_adds_the_seeds_that_would_show_no_difference():
    frame = evidence.of_seeds({"own": [1.0, 2.0, 3.0]}, margin=1.0)
    assert frame["seeds for the margin of 1"].tolist() == [13]
    assert list(evidence.of_seeds({"own": [1.0, 2.0, 3.0]})) == list(evidence.SEED_COLUMNS)


def test_sweep_is_compared_with_plain_cam_and_with_its_default():
    values = {value: Row(f"K = {value}", {"subcategories.k": value}) for value in (5, 10, 20, 50)}
    sweep = Sweep("K", "", {1: PLAIN_CAM, **values}, 10, {})
    scores = {row.name: [{"image_confusion": run} for run in made_counts(2, 4, 0.6)] for row in sweep.rows.values()}
    above = [f"K = {value} > CAM" for value in values]
    assert list(evidence.along(sweep, scores)) == [*above, "K = 5 > K = 10", "K = 20 > K = 10", "K = 50 > K = 10"]


def test_images_of_several_steps_stand_one_below_the_other():
    plain, after = made_scores(2, 6), made_scores(2, 5)
    chain = {"DeepLab": plain, "DeepLab + CRF": after}
    frame = evidence.of_images_after(chain, list(chain), list(plain))
    assert list(frame.index) == [(name, step) for name in plain for step in ("DeepLab", "DeepLab + CRF")]
    for step, scores in (("DeepLab", plain), ("DeepLab + CRF", after)):
        alone = evidence.of_images(scores, list(plain))
        for column in alone:
            assert frame.loc[("mixup", step), column] == alone.loc["mixup", column]
    assert [*typeset.lay_out(frame).corner] == ["method", "after step"]


def test_tables_say_what_others_report_of_such_differences():
    table = evidence.seeds_table({"a > b": [1.0, 2.0, 4.0]}, "paired differences", "4 images", margin=1.0)
    assert "0.2 to 0.8" in table["note"] and "TransCAM issue 3" in table["note"] and "margin" in table["note"]
    assert table["caption"].endswith("; 4 images.")
