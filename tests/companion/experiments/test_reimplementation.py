"""The numbers of a re-implementation by others, as context in a table of rows."""

import pandas as pd
import pytest

from companion.experiments import reimplementation
from companion.experiments.exhibits import Table


@pytest.mark.parametrize(("column", "expected"), [("cam", [45.0, 46.8, 46.5]), ("refined", [55.6, 55.8, 56.7])])
def test_its_numbers_stand_beside_the_rows_that_they_are_like(column, expected):
    rows = ["CAM", "mixup", "Mixup-CAM", "SC-CAM"]
    table = Table(pd.DataFrame({"mIoU train": [1.0, 2, 3, 4]}, index=rows), "rows", "Caption", note="First.")
    found = reimplementation.beside(table, column)
    assert [*found.frame] == ["mIoU train", "mva-wsss, VOC train (context)"]
    theirs = found.frame["mva-wsss, VOC train (context)"]
    assert theirs.drop("Mixup-CAM").tolist() == expected
    assert theirs["Mixup-CAM"] is None  # its row of that name has neither term
    assert found.note.startswith("First. mva-wsss: ") and "one seed" in found.note and "not thesis data" in found.note
    assert (found.beside, [*table.frame]) == ({}, ["mIoU train"])
