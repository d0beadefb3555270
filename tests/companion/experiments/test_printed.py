"""The transcribed tables against their own printed means and claims, and what is counted in them."""

import numpy as np
import pytest

from companion.experiments import printed
from thesislib.data.voc import VOC_CLASSES

ROWS = {
    "table_2_1": 5,
    "table_2_2": 13,
    "table_2_3": 7,
    "table_3_1": 2,
    "table_3_2": 4,
    "table_3_3": 6,
    "table_3_4": 11,
}
FRUITFUL = ["bird", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog", "horse", "sofa"]


@pytest.mark.parametrize("name", printed.TABLES)
def test_every_table_loads_with_numbers_in_per_cent(name):
    table = printed.table(name)
    assert len(table) == ROWS[name]
    scores = table.select_dtypes("float").drop(columns="thesis_ref", errors="ignore").to_numpy()
    assert scores.size and np.nanmin(scores) > 10 and np.nanmax(scores) < 100


def test_an_unknown_table_is_named_with_those_there_are():
    with pytest.raises(KeyError, match=r"table_9.*table_2_1"):
        printed.table("table_9")


def test_classes_are_those_of_voc():
    assert printed.classes() == ["background", *VOC_CLASSES]


@pytest.mark.parametrize("name", ["table_2_3", "table_3_3"])
def test_means_of_the_printed_per_class_values_agree(name):
    table = printed.table(name)
    means = table[printed.classes()].mean(axis=1)
    np.testing.assert_allclose(means, table["miou_recomputed"], atol=5.1e-4)
    gap = (means - table["miou_printed"]).abs()
    assert ((gap <= 0.05) == table["printed_equals_rounded_mean"]).all()
    assert gap.max() <= 0.058


def test_table_2_1_supports_what_the_text_claims():
    cam, refined = (printed.table_2_1()[column].to_list() for column in ("cam", "cam_refined"))
    plain, mixup, entropy, concentration, full = range(5)
    claims = printed.results()["table_2_1"]["text_claims"]
    assert cam[entropy] - cam[mixup] == pytest.approx(claims["cam_gain_ent_over_mixup"])
    assert cam[concentration] - cam[mixup] == pytest.approx(claims["cam_gain_con_over_mixup"])
    assert refined[entropy] - refined[mixup] == pytest.approx(claims["refined_gain_ent_over_mixup"])
    assert refined[concentration] - refined[mixup] == pytest.approx(claims["refined_gain_con_over_mixup"])
    assert sorted(cam) == cam and (cam[plain], cam[full]) == (48.0, 50.1)


def test_table_3_1_supports_what_the_text_claims():
    baseline, ours = (row for _, row in printed.table("table_3_1").iterrows())
    for column, gain in printed.results()["table_3_1"]["text_claims"]["recomputed"].items():
        assert ours[column] - baseline[column] == pytest.approx(gain)


def test_the_f_scores_of_table_3_2_exceed_any_macro_f1():
    table = printed.table("table_3_2")
    miou = table["miou"] / 100
    np.testing.assert_allclose(200 * miou / (1 + miou), table["largest_possible_macro_f1"], atol=5.1e-3)
    assert (table["f_score"] > table["largest_possible_macro_f1"]).all()


def test_table_3_3_is_best_of_its_group_in_the_classes_the_text_counts():
    table = printed.table("table_3_3")
    group = table[table["group"] == "bottom (with CRF)"].set_index("method")
    best = group[list(VOC_CLASSES)].idxmax()
    ours = [name for name in VOC_CLASSES if best[name] == "Sub-category exploration"]
    assert ours == printed.results()["table_3_3"]["text_claims"]["recomputed"]


def test_comparison_tables_agree_with_the_per_class_tables():
    for comparison, per_class, method in (
        ("table_2_2", "table_2_3", "Mixup-CAM"),
        ("table_3_4", "table_3_3", "Sub-category exploration"),
    ):
        miou = printed.table(per_class).query("ours and crf == True")["miou_printed"].item()
        assert printed.table(comparison).set_index("method").loc[method, "val"] == miou


# --- As notebooks show them ---


def test_comparisons_keep_their_numbers_and_their_splits():
    for name, splits in (("table_2_2", ["mIoU val"]), ("table_3_4", ["mIoU val", "mIoU test"])):
        frame, table = printed.comparison(name), printed.table(name)
        assert [column for column in frame if column.startswith("mIoU")] == splits
        assert frame["mIoU val"].tolist() == table["val"].tolist()
        answers = {True: "yes", False: "no"}
        assert frame["improves the response map"].tolist() == [answers[x] for x in table["improves_initial_response"]]
    assert frame.set_index("method").loc["Sub-category exploration", "mIoU test"] == 65.9


def test_improved_classes_of_table_3_3():
    frame = printed.improved_classes("table_3_3")
    best = frame.loc["best of the group with CRF"]
    assert (best["classes"], best["of"], best["which"].split(", ")) == (11, 20, FRUITFUL)
    assert frame.loc["above AffinityNet, without CRF", "classes"] == 14
    assert frame.loc["above FickleNet, with CRF", "classes"] == 14
    assert len(frame) == 5


def test_the_crf_lowers_the_potted_plant_alone_and_only_in_chapter_3():
    assert printed.lowered_by_crf("table_3_3") == {"pottedplant": (40.7, 40.2)}
    assert printed.lowered_by_crf("table_2_3") == {}


@pytest.mark.parametrize(("name", "without", "crf"), [("table_2_3", 54.5, 57.0), ("table_3_3", 49.6, 51.6)])
def test_the_thesis_own_rows(name, without, crf):
    assert printed.ours(name, crf=False)["aeroplane"] == without
    assert printed.ours(name, crf=True)["aeroplane"] == crf
    assert list(printed.by_class(name).columns[2:-1]) == printed.classes()


def test_one_cell_is_of_one_row():
    assert printed.cell("table_2_2", "AffinityNet (dagger)", "val") == 61.9
    for method in ("Mixup-CAM", "no such method"):  # twice in Table 2.3, without and with CRF
        with pytest.raises(ValueError, match="values to unpack"):
            printed.cell("table_2_3", method, "miou_printed")
    others = printed.others("table_3_3", "aeroplane")
    assert set(others) == {"AffinityNet", "MCOF", "Zeng et al.", "FickleNet"} and others["AffinityNet"] == 68.2
