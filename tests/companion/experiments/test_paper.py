"""The transcribed tables against their own printed means and claims."""

import numpy as np
import pytest

from companion.experiments import printed as paper
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


@pytest.mark.parametrize("name", paper.TABLES)
def test_every_table_loads_with_numbers_in_per_cent(name):
    table = paper.table(name)
    assert len(table) == ROWS[name]
    scores = table.select_dtypes("float").drop(columns="thesis_ref", errors="ignore").to_numpy()
    assert scores.size and np.nanmin(scores) > 10 and np.nanmax(scores) < 100


def test_an_unknown_table_is_named_with_those_there_are():
    with pytest.raises(KeyError, match=r"table_9.*table_2_1"):
        paper.table("table_9")


def test_classes_are_those_of_voc():
    assert paper.classes() == ["background", *VOC_CLASSES]


@pytest.mark.parametrize("name", ["table_2_3", "table_3_3"])
def test_means_of_the_printed_per_class_values_agree(name):
    table = paper.table(name)
    means = table[paper.classes()].mean(axis=1)
    np.testing.assert_allclose(means, table["miou_recomputed"], atol=5.1e-4)
    gap = (means - table["miou_printed"]).abs()
    assert ((gap <= 0.05) == table["printed_equals_rounded_mean"]).all()
    assert gap.max() <= 0.058


def test_table_2_1_supports_what_the_text_claims():
    cam, refined = (paper.table_2_1()[column].to_list() for column in ("cam", "cam_refined"))
    plain, mixup, entropy, concentration, full = range(5)
    claims = paper.results()["table_2_1"]["text_claims"]
    assert cam[entropy] - cam[mixup] == pytest.approx(claims["cam_gain_ent_over_mixup"])
    assert cam[concentration] - cam[mixup] == pytest.approx(claims["cam_gain_con_over_mixup"])
    assert refined[entropy] - refined[mixup] == pytest.approx(claims["refined_gain_ent_over_mixup"])
    assert refined[concentration] - refined[mixup] == pytest.approx(claims["refined_gain_con_over_mixup"])
    assert sorted(cam) == cam and (cam[plain], cam[full]) == (48.0, 50.1)


def test_table_3_1_supports_what_the_text_claims():
    baseline, ours = (row for _, row in paper.table("table_3_1").iterrows())
    for column, gain in paper.results()["table_3_1"]["text_claims"]["recomputed"].items():
        assert ours[column] - baseline[column] == pytest.approx(gain)


def test_the_f_scores_of_table_3_2_exceed_any_macro_f1():
    table = paper.table("table_3_2")
    miou = table["miou"] / 100
    np.testing.assert_allclose(200 * miou / (1 + miou), table["largest_possible_macro_f1"], atol=5.1e-3)
    assert (table["f_score"] > table["largest_possible_macro_f1"]).all()


def test_table_3_3_is_best_of_its_group_in_the_classes_the_text_counts():
    table = paper.table("table_3_3")
    group = table[table["group"] == "bottom (with CRF)"].set_index("method")
    best = group[list(VOC_CLASSES)].idxmax()
    ours = [name for name in VOC_CLASSES if best[name] == "Sub-category exploration"]
    assert ours == paper.results()["table_3_3"]["text_claims"]["recomputed"]


def test_comparison_tables_agree_with_the_per_class_tables():
    for comparison, per_class, method in (
        ("table_2_2", "table_2_3", "Mixup-CAM"),
        ("table_3_4", "table_3_3", "Sub-category exploration"),
    ):
        printed = paper.table(per_class).query("ours and crf == True")["miou_printed"].item()
        assert paper.table(comparison).set_index("method").loc[method, "val"] == printed
