"""The main numbers that the thesis prints in its tables: which notebook places each beside ours, or why none does."""

from typing import NamedTuple

from companion.experiments import printed as paper
from companion.experiments.printed_differences import all_printed

NOTEBOOKS = {
    "Table 2.1": "21_response_maps",
    "Table 2.2": "23_segmentation",
    "Table 2.3": "23_segmentation",
    "Table 3.1": "31_response_maps",
    "Table 3.2": "33_rounds",
    "Table 3.3": "35_segmentation",
    "Table 3.4": "35_segmentation",
}
MAPS = ("cam", "cam_refined", "train_cam", "train_cam_rw", "val_cam", "val_cam_rw", "miou", "f_score")
COLUMNS = (*MAPS, "val", "test", "miou_printed")  # not the classes
MEASURED_HERE = {
    "Table 2.1": {"AffinityNet (plain CAM)"},
    "Table 2.2": {"AffinityNet (dagger)"},
    "Table 3.1": {"AffinityNet"},
}
"""Rows that are not the thesis' own methods and are measured all the same: plain CAM and what is made of it."""
OTHERS = "of another method, which is not implemented here"
TEST = "the labels of test are on a server"
AGAIN = "printed with the classes too and placed there"


class Number(NamedTuple):
    """A printed number: its table, method or round, column, value, and why no notebook places it (empty: one does)."""

    source: str
    row: str
    column: str
    value: float
    left_out: str


def printed() -> list[Number]:
    """Every main number of every table, in the order of the thesis."""
    found = []
    for source in NOTEBOOKS:
        frame = paper.table("table_" + source.removeprefix("Table ").replace(".", "_"))
        for line in frame.to_dict("records"):
            row = str(line.get("method", line.get("round")))
            own = line.get("ours", True) or row in MEASURED_HERE.get(source, ())
            for column in COLUMNS:
                if column in line:
                    found.append(Number(source, row, column, line[column], _left_out(source, row, column, own)))
    return found


def _left_out(source: str, row: str, column: str, own: bool) -> str:
    if not own:
        return OTHERS
    if column == "test":
        return TEST
    again = {("Table 2.2", "Mixup-CAM"), ("Table 3.4", "Sub-category exploration")}
    return AGAIN if (source, row) in again else ""


def answered(verdicts) -> set[str]:
    """The rows of the printed differences that verdicts answer; each must be one, with its number."""
    known = {each.place: each.thesis for each in all_printed()}
    with_number = [each for each in verdicts if each.thesis is not None]
    assert all(round(each.thesis, 1) == known[each.place] for each in with_number)
    return {f"{each.place.stage}: {each.place.row}" for each in with_number}


def to_place(notebook: str) -> set[tuple[str, float]]:
    """Source and value of the numbers that a notebook has to place."""
    return {
        (number.source, number.value)
        for number in printed()
        if not number.left_out and NOTEBOOKS[number.source] == notebook
    }
