"""Scores and tables against scikit-learn and per-image loops, on random maps of a tiny folder."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student_t
from sklearn.metrics import confusion_matrix, jaccard_score
from voc_folder import make_voc

from companion import settings
from companion.analysis import maps as tables
from companion.analysis import measures
from companion.analysis.methods import PLAIN_CAM
from companion.experiments import chapter_3
from companion.experiments import printed as paper
from companion.experiments.catalogue import experiment
from companion.pipeline import artefacts
from companion.pipeline.artefacts import ResponseMaps
from companion.pipeline.stages import response_maps
from thesislib import cam, metrics
from thesislib.data.voc import VocDataset

CLASSES = ("heron", "fox", "snail")
FIXED = 0.15
TABLE = experiment("21_response_maps", settings.load("smoke"), (0,), settings.Machine(device="cpu"))
ROWS = [*TABLE.rows.values()]
SEEDS = range(3)
PRINTED = tables.printed_values(ROWS, paper.table_2_1()["cam"])


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return VocDataset(make_voc(tmp_path_factory.mktemp("data"), n=5, classes=CLASSES, size=(24, 32)), "train")


@pytest.fixture(scope="module")
def folders(images, tmp_path_factory):
    """What stage `response_maps` leaves, with random maps; the better the later the row."""
    found = {}
    for r, row in enumerate(ROWS):
        for seed in SEEDS:
            folder = tmp_path_factory.mktemp("maps")
            write_artefact(folder, images, np.random.default_rng((r, seed)), quality=r / len(ROWS))
            found[row.name, seed] = folder
    return found


def write_artefact(folder, images, rng, quality):
    (folder / artefacts.MAPS).mkdir()
    for i, name in enumerate(images.ids):
        present = np.flatnonzero(images.labels[i])
        truth = np.stack([images.mask(i) == c + 1 for c in present])
        maps = (0.4 * rng.random(truth.shape) + quality * truth * rng.random()).astype(np.float32)
        np.savez(folder / artefacts.MAPS / f"{name}.npz", classes=present.astype(np.uint8), maps=maps)
    logits = rng.standard_normal(images.labels.shape) + 3 * quality * images.labels
    found = {"logits": logits, "labels": images.labels}
    found |= response_maps.score(images, folder, FIXED)
    found |= {"part_covered": rng.integers(0, 50, (len(metrics.THRESHOLDS), 3)), "part_total": np.array([50, 100, 0])}
    content = {f"{split}/{name}": values for split in ("train", "val") for name, values in found.items()}
    np.savez(folder / artefacts.SCORES, **content)


@pytest.fixture(scope="module")
def train(folders):
    return measures.read_scores(folders, "train")


def pixels(images, folder, threshold):
    """Truth and prediction of each image's scored pixels, by the public functions."""
    found = []
    for i, name in enumerate(images.ids):
        maps = cam.normalize(ResponseMaps.read(folder, name).of_classes(len(CLASSES)))
        truth = images.mask(i)
        found.append((truth[truth != 255], cam.label_map(maps, threshold).numpy()[truth != 255]))
    return found


# --- Numbers of one run -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [FIXED, 0.4])
def test_miou_equals_sklearn_over_all_pixels(images, folders, train, threshold):
    found = pixels(images, folders["Mixup-CAM", 1], threshold)
    truth, prediction = (np.concatenate(part) for part in zip(*found, strict=True))
    expected = 100 * jaccard_score(truth, prediction, average="macro", labels=np.unique(truth))
    run = train["Mixup-CAM"][1]
    assert measures.miou_curve(run)[measures.step_of(threshold)] == pytest.approx(expected)
    if threshold == FIXED:
        assert measures.fixed_miou(run) == pytest.approx(expected)


def test_image_iou_is_the_mean_over_the_objects_of_each_image(images, folders, train):
    found = measures.image_iou(train["mixup"][0])
    for i, (truth, prediction) in enumerate(pixels(images, folders["mixup", 0], FIXED)):
        per_class = jaccard_score(truth, prediction, average=None, labels=[c for c in np.unique(truth) if c])
        assert found[i] == pytest.approx(100 * per_class.mean())


def test_oracle_is_the_best_of_the_curve_and_never_below_the_fixed_threshold(train):
    for runs in train.values():
        for run in runs:
            step = measures.oracle_step(run)
            assert measures.oracle_miou(run) == measures.miou_curve(run)[step] >= measures.fixed_miou(run)
            assert measures.transferred_miou(run, run) == measures.oracle_miou(run)


def test_object_share_counts_every_class(images, folders, train):
    truth, prediction = (np.concatenate(part) for part in zip(*pixels(images, folders["CAM", 0], FIXED), strict=True))
    assert measures.object_share(train["CAM"][0]) == pytest.approx(100 * (prediction[truth > 0] > 0).mean())


def test_recall_at_a_precision(images, folders, train):
    run = train["Mixup-CAM"][2]
    reached = measures.object_precision(run["confusion"])
    goal = float(np.nanquantile(reached, 0.6))
    step = int(np.flatnonzero(reached >= goal)[0])
    found = pixels(images, folders["Mixup-CAM", 2], metrics.THRESHOLDS[step])
    truth, prediction = (np.concatenate(part) for part in zip(*found, strict=True))
    assert reached[step] == pytest.approx((truth == prediction)[prediction > 0].mean())
    assert measures.recall_at_precision(run, goal) == pytest.approx(100 * (truth == prediction)[truth > 0].mean())
    assert np.isnan(measures.recall_at_precision(run, 1.1))


def test_mean_precision_and_recall_and_the_bound_of_macro_f1(train):
    run = train["Mixup-CAM"][0]
    counts = measures.fixed_counts(run)
    truth, prediction = (np.repeat(part.ravel(), counts.ravel()) for part in np.indices(counts.shape))
    assert (confusion_matrix(truth, prediction) == counts).all()
    precision = [(truth == c)[prediction == c].mean() for c in range(4)]
    recall = [(prediction == c)[truth == c].mean() for c in range(4)]
    assert measures.mean_precision(run) == pytest.approx(100 * np.mean(precision))
    assert measures.mean_recall(run) == pytest.approx(100 * np.mean(recall))
    objects = (truth > 0) & (prediction > 0)
    assert measures.confused(run) == pytest.approx(100 * (truth != prediction)[objects].mean())
    m = measures.fixed_miou(run) / 100
    assert measures.mean_f1(run) <= 200 * m / (1 + m) + 1e-9


def test_spatial_entropy_of_an_even_map_and_of_a_spot(images, tmp_path):
    (tmp_path / artefacts.MAPS).mkdir()
    for expected, even in ((100, True), (0, False)):
        for i, name in enumerate(images.ids):
            present = np.flatnonzero(images.labels[i])
            maps = np.full((len(present), *images.mask(i).shape), float(even), np.float32)
            maps[:, 12, 16] = 1
            np.savez(tmp_path / artefacts.MAPS / f"{name}.npz", classes=present.astype(np.uint8), maps=maps)
        assert measures.spatial_entropy(tmp_path, images) == pytest.approx(expected)


def test_a_split_without_masks_has_no_scores(tmp_path):
    np.savez(tmp_path / artefacts.SCORES, **{"val/logits": np.zeros((1, 2)), "val/labels": np.ones((1, 2))})
    with pytest.raises(ValueError, match=r"'val' is not scored .* needs a mask"):
        measures.read_run(tmp_path, "val")


# --- Tables -----------------------------------------------------------------------------------------------------------


def test_cells_are_means_over_seeds_with_students_interval(train):
    cell = tables.fixed_threshold(train, train, {"thesis, VOC train": PRINTED}).loc["mixup", "mIoU train"]
    values = [measures.fixed_miou(run) for run in train["mixup"]]
    half = student_t.ppf(0.975, 2) * np.std(values, ddof=1) / np.sqrt(3)
    assert (cell.mean, cell.low, cell.high) == pytest.approx(
        (np.mean(values), np.mean(values) - half, np.mean(values) + half)
    )


def test_rows_keep_their_order_and_only_thesis_rows_have_a_printed_value(train):
    frame = tables.fixed_threshold(train, train, {"thesis, VOC train": PRINTED})
    assert frame.index.tolist() == [row.name for row in ROWS]
    assert frame["thesis, VOC train"].dropna().tolist() == [48.0, 49.3, 49.5, 49.9, 50.1]


def test_columns_of_ones_own_stand_before_the_printed_ones(train):
    printed = {"thesis, VOC train": PRINTED}
    frame = tables.fixed_threshold(train, train, printed, {"recall train": measures.mean_recall})
    assert [*frame.columns] == ["mIoU train", "mIoU val", "recall train", "thesis, VOC train"]
    means = [np.mean([measures.mean_recall(run) for run in train[row.name]]) for row in ROWS]
    assert [cell.mean for cell in frame["recall train"]] == pytest.approx(means)
    pd.testing.assert_frame_equal(frame.drop(columns="recall train"), tables.fixed_threshold(train, train, printed))


def test_oracle_table_applies_the_threshold_of_train_to_val(train):
    val = {row: runs[::-1] for row, runs in train.items()}
    frame = tables.oracle_threshold(train, val)
    for row, runs in train.items():
        moved = [measures.miou_curve(v)[measures.miou_curve(t).argmax()] for t, v in zip(runs, val[row], strict=True)]
        assert frame.loc[row, "mIoU val, threshold of train"].mean == pytest.approx(np.mean(moved))
        assert frame.loc[row, "oracle mIoU val"].mean >= np.mean(moved)


def test_part_coverage_at_both_thresholds(train):
    frame = tables.part_coverage(train, FIXED)
    run = train["CAM"]
    fixed = [100 * r["part_covered"][15, 1] / 100 for r in run]
    oracle = [100 * r["part_covered"][measures.oracle_step(r), 0] / 50 for r in run]
    assert frame.loc["CAM", "body, fixed"].mean == pytest.approx(np.mean(fixed))
    assert frame.loc["CAM", "head, oracle"].mean == pytest.approx(np.mean(oracle))
    assert frame.loc["CAM", "thin, fixed"] is None


def test_coverage_at_a_threshold_that_was_not_counted_is_missing(train):
    frame = tables.part_coverage(train, 0.155)
    assert frame["head, fixed"].isna().all() and frame["head, oracle"].notna().all()


def test_class_iou_has_the_mean_over_seeds(train):
    frame = tables.class_iou(train, CLASSES)
    counts = [measures.fixed_counts(run) for run in train["CAM"]]
    expected = np.mean([c[2, 2] / (c[2].sum() + c[:, 2].sum() - c[2, 2]) for c in counts])
    assert frame.loc["CAM", "fox"] == pytest.approx(100 * expected)
    assert frame.loc["CAM", "mIoU"] == pytest.approx(frame.loc["CAM", ["background", *CLASSES]].mean())


def test_spread_takes_recall_at_the_precision_of_the_reference(train, folders, images):
    names = ("CAM", "Mixup-CAM")
    entropies = {name: [measures.spatial_entropy(folders[name, seed], images) for seed in range(3)] for name in names}
    frame = tables.spread({name: train[name] for name in names}, entropies, "CAM")
    assert frame.loc["CAM", "spatial entropy"].mean == pytest.approx(np.mean(entropies["CAM"]))
    assert frame.index.tolist() == ["CAM", "Mixup-CAM"]
    expected = [
        measures.recall_at_precision(run, measures.object_precision(measures.fixed_counts(reference)))
        for run, reference in zip(train["Mixup-CAM"], train["CAM"], strict=True)
    ]
    assert frame.loc["Mixup-CAM", "recall at precision of CAM"].mean == pytest.approx(np.mean(expected))


def test_classifier_behaviour_is_in_per_cent(train):
    frame = tables.classifier_behaviour(train)
    values = np.array([[cell.mean for cell in line] for line in frame.to_numpy()])
    assert ((values > 0) & (values <= 100)).all()
    certain = {"labels": np.eye(2, dtype=np.uint8), "logits": 100 * (2 * np.eye(2) - 1)}
    assert measures.prediction_entropy(certain) == pytest.approx(0, abs=1e-6)
    assert measures.prediction_entropy({"logits": np.zeros((2, 2))}) == pytest.approx(100)
    assert measures.mean_average_precision(certain) == 100


def test_one_seed_gives_means_without_an_interval(train):
    one = {row: runs[:1] for row, runs in train.items()}
    cell = tables.fixed_threshold(one, one, {}).loc["CAM", "mIoU train"]
    assert np.isfinite(cell.mean) and np.isnan(cell.low) and cell.n == 1
    claims = tables.claims(TABLE.claims, one, one, PRINTED)
    assert set(claims["verdicts"]) == {"? ? ?"}


# --- Claims -----------------------------------------------------------------------------------------------------------


def run_with_miou(miou: float) -> dict[str, np.ndarray]:
    """One class, background and object equally large, at every threshold the same mIoU."""
    right = round(4000 * miou / (1 + miou))
    counts = np.array([[right, 2000 - right], [2000 - right, right]])
    return {"image_confusion": counts[None], "confusion": np.repeat(counts[None], len(metrics.THRESHOLDS), axis=0)}


def test_claims_hold_fail_or_stay_open():
    levels = dict.fromkeys((row.name for row in ROWS), (0.5, 0.51, 0.52))
    levels |= {"mixup": (0.53, 0.545, 0.55), "mixup + entropy": (0.5, 0.52, 0.52), "Mixup-CAM": (0.56, 0.52, 0.59)}
    runs = {row: [run_with_miou(m) for m in values] for row, values in levels.items()}
    frame = tables.claims(TABLE.claims, runs, runs, PRINTED)
    assert frame.loc["mixup > CAM", "verdicts"] == "✓ ✓ ✓"
    assert frame.loc["mixup + entropy > mixup", "verdicts"] == "✗ ✗ ✗"
    assert frame.loc["Mixup-CAM > mixup", "verdicts"] == "? ? ?"
    assert frame.loc["mixup > CAM", "train, fixed"].mean == pytest.approx(100 * np.mean([0.03, 0.035, 0.03]), abs=0.1)


def test_settings_that_no_row_changes_are_left_out():
    smoke = settings.load("smoke")
    frame = tables.row_settings([PLAIN_CAM, *chapter_3.controls(smoke, generated=True).values()], smoke)
    assert list(frame) == ["round", "labels"]
    assert frame.loc["CAM", "round"] == 0 and frame.loc["random sub-labels", "labels"] == "random"


def test_tally_counts_the_claims_of_the_thesis_alone():
    levels = {row.name: (0.5 + 0.01 * i, 0.51 + 0.01 * i, 0.52 + 0.011 * i) for i, row in enumerate(ROWS)}
    runs = {row: [run_with_miou(m) for m in values] for row, values in levels.items()}
    said = tables.tally(TABLE.claims, runs, runs)
    assert said.startswith("The thesis' 7 claims, by reading. train, fixed: 7 holds; train, oracle: 7 holds;")


def test_values_nearest_to_quantiles():
    values = np.array([3.0, 1.0, np.nan, 2.0])
    assert measures.nearest_to_quantiles(values, [0.1, 0.3, 0.5, 0.7, 0.9]) == [1, 3, 0]
    assert measures.nearest_to_quantiles(np.array([np.nan]), [0.5]) == []
