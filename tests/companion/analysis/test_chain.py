"""Tables of the chain, of single images and of sensitivity against loops over counts that are made up."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.metrics import jaccard_score
from voc_folder import make_voc

from companion.analysis import chain, error_rates
from companion.analysis import errors as failures
from companion.analysis import maps as tables
from companion.analysis.claims import Claim, grown
from companion.analysis.methods import MIXUP_CAM, PLAIN_CAM
from companion.drawing import curves as charts
from companion.drawing import image_grids as pictures
from companion.drawing import predictions
from companion.experiments import printed as paper
from companion.pipeline import artefacts
from companion.pipeline.stages import pseudo_masks
from thesislib.data.voc import VocDataset, colorize, write_mask

CLASSES = ("heron", "fox", "snail")
SEEDS = range(3)
ROWS = ("CAM", "Mixup-CAM", "fully supervised")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return VocDataset(make_voc(tmp_path_factory.mktemp("data"), n=9, classes=CLASSES, size=(24, 32)), "val")


def predict(truth, rng, right):
    """The truth with a share of its pixels replaced by any class."""
    return np.where(rng.random(truth.shape) < right, truth % 255, rng.integers(0, 4, truth.shape)).astype(np.uint8)


@pytest.fixture(scope="module")
def segmented(images, tmp_path_factory):
    """What stage `segmentation` leaves, the better the later the row, and better with CRF."""
    found = {}
    for r, row in enumerate(ROWS):
        for seed in SEEDS:
            folder, stored = tmp_path_factory.mktemp("segmentation"), {}
            for k, kind in enumerate(("plain", "crf")):
                (folder / kind).mkdir()
                rng = np.random.default_rng((r, seed, k))
                for i, name in enumerate(images.ids):
                    write_mask(folder / kind / f"{name}.png", predict(images.mask(i), rng, 0.4 + 0.2 * r + 0.1 * k))
                counts = pseudo_masks.score_labels(images, lambda i, at=folder / kind: error_rates.read(at, images, i))
                stored[f"val/{kind}/image_confusion"] = counts["image_confusion"]
            np.savez(folder / artefacts.SCORES, **stored)
            found[row, seed] = folder
    return found


@pytest.fixture(scope="module")
def val(segmented):
    crf = chain.read_counts(segmented, "val/crf")
    maps = {row: [{"image_confusion": run["image_confusion"][::-1]} for run in runs] for row, runs in crf.items()}
    return chain.read_chain(maps, {}, {}, segmented, "val")


def miou(images, folder):
    truth = np.concatenate([images.mask(i).ravel() for i in range(len(images))])
    mask = np.concatenate([error_rates.read(folder, images, i).ravel() for i in range(len(images))])
    return 100 * jaccard_score(truth[truth != 255], mask[truth != 255], average="macro")


# --- The chain --------------------------------------------------------------------------------------------------------


def test_steps_are_scored_over_all_pixels(images, segmented, val):
    frame = chain.table({"val": val}, ["Mixup-CAM"])
    for kind, step in (("plain", "DeepLab"), ("crf", "DeepLab + CRF")):
        expected = np.mean([miou(images, segmented["Mixup-CAM", seed] / kind) for seed in SEEDS])
        assert frame.loc[step, "Mixup-CAM, val"].mean == pytest.approx(expected)


def test_steps_without_results_are_not_run_and_unscored_splits_are_empty(val):
    frame = chain.table({"train": {"CAM": val["CAM"]}, "val": val}, ["CAM"])
    assert list(frame.loc["+ random walk"]) == [chain.NOT_RUN] * 2
    assert frame.loc["DeepLab", "CAM, train"] is None and frame.loc["DeepLab", "CAM, val"].n == 3


def test_effects_are_paired_by_seed(images, segmented, val):
    frame = chain.effects({"val": val}, ["CAM"])
    pairs = [[miou(images, segmented["CAM", seed] / kind) for kind in ("crf", "plain")] for seed in SEEDS]
    found = frame.loc["CAM: DeepLab + CRF", "val"]
    assert found.mean == pytest.approx(np.mean([a - b for a, b in pairs]))
    assert found.std == pytest.approx(np.std([a - b for a, b in pairs], ddof=1))
    assert frame.loc["CAM: DeepLab + CRF", "val, helps"] == "✓"
    assert frame.loc["CAM: + CRF", "val"] is None and frame.loc["CAM: + CRF", "val, helps"] == ""
    gained = chain.gains({"val": val}, "Mixup-CAM").loc["DeepLab"]
    assert gained["val, above"] == "✓" and gained["Mixup-CAM minus CAM, val"].mean > 0


def test_shares_are_of_the_supervised_network(val):
    frame = chain.miou_table(val)
    assert frame.loc["fully supervised", "mIoU, of supervised"].mean == pytest.approx(100)
    ratios = [a / b for a, b in zip(*(chain.values(val, "DeepLab", row) for row in (ROWS[0], ROWS[2])), strict=True)]
    assert frame.loc["CAM", "mIoU, of supervised"].mean == pytest.approx(100 * np.mean(ratios))
    without = {step: {row: runs for row, runs in of.items() if row != ROWS[2]} for step, of in val.items()}
    assert list(chain.miou_table(without)) == ["mIoU", "mIoU, CRF"]
    assert chain.class_table(without, CLASSES)["of supervised"].isna().all()


def test_classes_and_what_the_crf_changes_in_them(images, segmented, val):
    frame = chain.class_table(val, CLASSES).set_index(["trained on masks of", "CRF"])
    change = chain.crf_by_class(val, CLASSES)
    for c, name in enumerate(("background", *CLASSES)):
        runs = {kind: [] for kind in ("plain", "crf")}
        for kind, seed in ((kind, seed) for kind in runs for seed in SEEDS):
            truth = np.stack([images.mask(i) for i in range(len(images))])
            mask = np.stack([error_rates.read(segmented["CAM", seed] / kind, images, i) for i in range(len(images))])
            valid = truth != 255
            hit, either = ((truth == c) & (mask == c) & valid).sum(), (((truth == c) | (mask == c)) & valid).sum()
            runs[kind].append(100 * hit / either)
        assert frame.loc[("CAM", "no"), name] == pytest.approx(np.mean(runs["plain"]))
        assert frame.loc[("CAM", "yes"), name] == pytest.approx(np.mean(runs["crf"]))
        assert change.loc[name, "CAM"].mean == pytest.approx(np.mean(np.subtract(runs["crf"], runs["plain"])))


def test_lowered_classes_are_named():
    frame = chain.crf_by_class(
        {step: {"CAM": [{"image_confusion": np.array([counts])}] * 3} for step, counts in STEPS_OF_TWO_CLASSES.items()},
        ["heron"],
    )
    text = chain.lowered(frame)
    assert "CAM: 1 of 2 classes (heron), 1 with their whole interval" in text


STEPS_OF_TWO_CLASSES = {"DeepLab": [[50, 10], [0, 10]], "DeepLab + CRF": [[60, 0], [8, 2]]}


def test_unscored_parts_are_named(segmented):
    with pytest.raises(ValueError, match="'train/plain' is not scored in"):
        chain.read_counts(segmented, "train/plain")


def test_claims_stand_beside_the_printed_differences_of_their_step(val):
    claim = Claim("better", MIXUP_CAM, PLAIN_CAM)
    printed = tables.printed_values([PLAIN_CAM, MIXUP_CAM], paper.table_2_1()["cam_refined"])
    frame = chain.claims([claim], {"map": val["DeepLab"], "refined": val["DeepLab + CRF"]}, {"refined": printed})
    assert list(frame) == ["map", "map, verdict", "thesis, refined", "refined", "refined, verdict"]
    line = frame.loc["Mixup-CAM > CAM"]
    assert line["thesis, refined"] == pytest.approx(3.8)
    pairs = zip(chain.values(val, "DeepLab", "Mixup-CAM"), chain.values(val, "DeepLab", "CAM"), strict=True)
    assert line["map"].mean == pytest.approx(np.mean([a - b for a, b in pairs]))


def test_a_lead_grows_by_the_difference_of_two_differences(val):
    claim = Claim("better", MIXUP_CAM, PLAIN_CAM)
    larger = grown(val["DeepLab + CRF"], val["DeepLab"], claim)
    leads = [chain.gain(val, step, "Mixup-CAM") for step in ("DeepLab + CRF", "DeepLab")]
    assert larger.mean == pytest.approx(leads[0].mean - leads[1].mean)
    assert grown(val["DeepLab"], val["DeepLab"], claim).mean == 0


# --- Predictions and their errors -------------------------------------------------------------------------------------


def test_errors_of_a_split_add_up_to_its_wrong_pixels(images, segmented):
    folders = {key: folder / "plain" for key, folder in segmented.items()}
    counts = dict(zip(folders, error_rates.count([*folders.values()], images, 0.05), strict=True))
    table, rates = error_rates.table(counts), error_rates.mean_rates(counts)
    for row in ROWS:
        wrong, scored = [], 0
        for seed in SEEDS:
            pairs = [(images.mask(i), error_rates.read(folders[row, seed], images, i)) for i in range(len(images))]
            wrong.append(sum(((t != p) & (t != 255)).sum() for t, p in pairs))
            scored = sum((t != 255).sum() for t, _ in pairs)
        assert table.loc[row, "all"].mean == pytest.approx(100 * np.mean(wrong) / scored)
        assert sum(rates[row][kind] for kind in failures.KINDS) == pytest.approx(rates[row]["all"])
        apart = error_rates.difference(counts, row, "in the band", "inside")
        assert apart.mean == pytest.approx(table.loc[row, "in the band"].mean - table.loc[row, "inside"].mean)
    assert isinstance(charts.error_kinds(rates), Figure)


def test_pictures_show_truth_prediction_and_errors(images, segmented):
    shown = {row: segmented[row, 0] / "crf" for row in ROWS[:2]}
    figure = predictions.compare(images, [0, 1, 2], shown, across=2)
    texts = [text.get_text() for text in figure.axes[0].texts]
    truth, mask = images.mask(1), error_rates.read(shown["CAM"], images, 1)
    assert f"IoU {error_rates.object_iou(truth, mask, len(CLASSES)):.0f}" in texts
    assert {"image", "truth", *shown} <= set(texts)
    sheet = predictions.failure_sheet(images, {"boundary": [0], "thin wrong": [1]}, shown["CAM"], 0.05)
    assert len(sheet.axes[0].images) == 8


def test_maps_stand_beside_the_masks_of_their_method(images, segmented, tmp_path):
    (tmp_path / artefacts.MAPS).mkdir()
    rng = np.random.default_rng(0)
    for i, name in enumerate(images.ids):
        classes = np.flatnonzero(images.labels[i]).astype(np.uint8)
        maps = rng.random((len(classes), 24, 32)).astype(np.float32)
        np.savez(tmp_path / artefacts.MAPS / f"{name}.npz", classes=classes, maps=maps)
    masks = {row: segmented[row, 0] / "crf" for row in ROWS[:2]}
    figure = predictions.maps_and_masks(images, [0, 3], dict.fromkeys(masks, tmp_path), masks, 0.3)
    shown = [np.asarray(each.get_array()) for each in figure.axes[0].images]
    assert len(shown) == 2 * 6
    assert (shown[1] == colorize(images.mask(0))).all()
    assert (shown[3] == colorize(error_rates.read(masks["CAM"], images, 0))).all()
    (example,) = pictures.examples(images, [0], {"CAM": tmp_path})
    assert (shown[2] == pictures.overlay(example.image, example.maps["CAM"].amax(dim=0).numpy())).all()


def test_picture_of_errors_leaves_right_pixels_grey(images):
    truth, image = images.mask(0), images.image(0)
    where = failures.regions(truth, 4, 1.0)
    right = predictions.error_picture(image, truth, truth, where)
    assert (np.ptp(right, axis=2) == 0).all()
    wrong = predictions.error_picture(image, truth, np.zeros_like(truth), where)
    assert (wrong[(truth > 0) & (truth < 255)] != right[(truth > 0) & (truth < 255)]).any(axis=1).all()
    assert (wrong[truth == 0] == right[truth == 0]).all()


def test_missing_prediction_names_the_image(images, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"no predicted mask of image {images.ids[2]}"):
        error_rates.read(tmp_path, images, 2)
