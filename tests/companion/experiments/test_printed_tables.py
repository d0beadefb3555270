"""What is counted in the printed tables, against the counts that the text and the fact sheet give."""

import pytest

from companion.experiments import printed

FRUITFUL = ["bird", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog", "horse", "sofa"]


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
