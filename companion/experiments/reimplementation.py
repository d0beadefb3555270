"""A re-implementation of both methods by others (`reimplementation` in `paper_results.yaml`), as context in tables.

Its numbers are not of the thesis: fewer and smaller training images, one seed, readings of its own.
"""

from dataclasses import replace

import pandas as pd

from companion.experiments import printed
from companion.experiments.exhibits import Table


def beside(table: Table, column: str) -> Table:
    """A table of rows with the mIoU of the re-implementation on VOC train as its last column.

    Args:
        table: its rows have the names that they have here.
        column: `cam` or `refined`.
    """
    theirs = printed.results()["reimplementation"]
    scores = {row["beside"]: row[column] for row in theirs["rows"] if row["beside"]}
    heading = f"{theirs['name']}, VOC train (context)"
    index = table.frame.index
    theirs_here = pd.Series([scores.get(row) for row in index], index=index, dtype=object)
    note = f"{theirs['name']}: {theirs['source']}; {theirs['note']}; {theirs['readings']}."
    return replace(table, frame=table.frame.assign(**{heading: theirs_here}), note=f"{table.note} {note}".strip())
