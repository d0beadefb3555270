"""Every difference that the thesis prints: between two rows, two rounds, or before and after a step of one row.

All follow from the numbers transcribed in `paper_results.yaml`; a claim of a figure that prints none has no number. A
verdict says by its `Place` which of them it answers: where it is printed, and of which rows, under the names that they
have here. Those that nothing here can answer say why.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import pandas as pd

from companion.analysis import chain, errors
from companion.analysis.claims import Place
from companion.experiments import printed

NAMES = {
    "AffinityNet (plain CAM)": "CAM",
    "Mixup L_cls": "mixup",
    "Mixup L_cls + L_ent": "mixup + entropy",
    "Mixup L_cls + L_con": "mixup + concentration",
    "Mixup L_cls + L_ent + L_con": "Mixup-CAM",
    "Sub-category exploration": "SC-CAM",
}
"""Rows of the thesis' tables by the name that they have here."""
MAPS, WALKED = chain.IN_WORDS[chain.MAPS], chain.IN_WORDS[chain.WALKED]
WALK = "random walk minus response maps"
SEGMENTED, SHARPENED = (f"after {step}" for step in chain.OF_DEEPLAB)
CRF = "DeepLab + CRF minus DeepLab"
STAGES = {chain.MAPS: MAPS, chain.WALKED: WALKED, chain.SEGMENTED: SEGMENTED, chain.SHARPENED: SHARPENED}
"""What is scored after each step of the chain, in a place."""
ADDED = {chain.WALKED: WALK, chain.SHARPENED: CRF}
"""What a step adds to the one before it, in a place."""
FIG_2_5 = Place("Fig. 2.5", "train", MAPS, "mIoU by every hyper-parameter", "every value > CAM")
FIG_3_4 = Place("Fig. 3.4", "val", MAPS, "mIoU by K", "every K above 1 > CAM")
FIG_3_4_LAST = replace(FIG_3_4, stage="response maps, last round")
"""The figure does not say after which round it was made."""
FLAT = "every value as the default"
FLAT_3_4 = replace(FIG_3_4, row=FLAT)
PANELS = {"alpha": "a", "lambda_ent": "b", "lambda_con": "c"}
SAME_NETWORK = "AffinityNet (dagger)"
"""The row of Table 2.2 that is plain CAM here: masks of AffinityNet, with the segmentation network of the thesis."""
BOTH_TABLES = "Table 3.4 minus Table 2.2"
"""SC-CAM is printed in Table 3.4, plain CAM with the same segmentation network in Table 2.2 alone."""
ANOTHER = "a method that is not implemented here"
OWN_NETWORK = "AffinityNet with its own segmentation network, which is not implemented here"
SERVER = "scores on VOC test, whose labels only the evaluation server has"
LEADS = (
    ("mixup", "CAM"),
    ("mixup + entropy", "mixup"),
    ("mixup + concentration", "mixup"),
    ("Mixup-CAM", "mixup + entropy"),
    ("Mixup-CAM", "mixup + concentration"),
    ("Mixup-CAM", "mixup"),
    ("Mixup-CAM", "CAM"),
)
"""Pairs of rows of Table 2.1 that its text compares."""


class Failure(NamedTuple):
    """A way to fail that the thesis shows, as a claim on two of `errors.rates`, the first of which is the larger."""

    claim: str
    rate: str
    other: str


THIN_PARTS = Failure("Thin parts are wrong more often than the others", errors.THIN, errors.NOT_THIN)
BORDERS = Failure("Objects are wrong more often near an object of another class", errors.BETWEEN, errors.NOT_BETWEEN)
RESPONSES = Failure(
    "Away from boundaries, background is called an object more often than an object background",
    errors.RESPONSE,
    errors.MISSED,
)
FAILURES = {"Fig. 2.8": (THIN_PARTS, BORDERS, RESPONSES), "Fig. 3.8": (THIN_PARTS, BORDERS)}
"""By figure; thin parts are the frame of a bicycle in the one, legs in the other."""
MOVED_TOGETHER = Place(
    "Fig. 3.9 to 3.11", "trainaug", "clusters", "similar images", "together in the last round > apart"
)
MOST_CLASSES = Place("Table 3.3", "val", SHARPENED, "object classes improved", "SC-CAM > CAM")


@dataclass(frozen=True)
class PrintedDifference:
    """A difference that the thesis prints or claims.

    Args:
        place: where, and of what; its row names the rows.
        thesis: the difference in points; None where a claim has no number.
        claim: in words.
        out_of_reach: why nothing here can answer it; empty where a notebook asks it.
    """

    place: Place
    thesis: float | None
    claim: str
    out_of_reach: str = ""


def above(row: str, reference: str) -> str:
    """The row of a place that compares two rows, such as `Mixup-CAM > CAM`."""
    return f"{row} > {reference}"


@functools.cache
def all_printed() -> tuple[PrintedDifference, ...]:
    """Every one, in the order of the thesis."""
    return tuple(each for part in (_table_2_1, _fig_2_5, _tables_2_2_and_2_3, _chapter_3) for each in part())


def find(split: str, stage: str, row: str, measure: str = "mIoU") -> PrintedDifference | None:
    """What is printed of a stage on a split, wherever it is; None where nothing is.

    >>> found = find("train", MAPS, "Mixup-CAM > CAM")
    >>> found.place.source, found.thesis
    ('Table 2.1', 2.1)
    """
    asked = (split, stage, row, measure)
    return next((each for each in all_printed() if _key(each.place) == asked), None)


def of_place(place: Place) -> PrintedDifference | None:
    """What is printed or claimed there; None where nothing is."""
    return next((each for each in all_printed() if each.place == place), None)


def of_failure(figure: str, failure: Failure) -> Place:
    """Where the thesis shows it; the row names the two rates.

    >>> of_failure("Fig. 2.8", THIN_PARTS).row
    'thin parts > other parts'
    """
    return Place(figure, "val", SHARPENED, "error rate", above(failure.rate, failure.other))


def of_rounds(before: int, after: int) -> PrintedDifference | None:
    """What is printed of the step between two rounds; from plain CAM to the last one it is that of Table 3.1.

    >>> of_rounds(0, 3).place.source, of_rounds(0, 1).thesis, of_rounds(3, 4)
    ('Table 3.1', 1.2, None)
    """
    last = len(printed.table("table_3_2")) - 1
    if (before, after) == (0, last):
        return find("val", MAPS, above("SC-CAM", "CAM"))
    return find("val", MAPS, above(f"round {after}", f"round {before}"))


def _key(place: Place) -> tuple[str, str, str, str]:
    return place.split, place.stage, place.row, place.measure


def _difference(place: Place, ours: float, theirs: float, claim: str, out_of_reach: str = "") -> PrintedDifference:
    return PrintedDifference(place, round(ours - theirs, 1), claim, out_of_reach)


def _scores(column: pd.Series) -> dict[str, float]:
    """A column of a table by row."""
    return {str(row): float(score) for row, score in column.items()}


# --- Chapter 2 --------------------------------------------------------------------------------------------------------


def _table_2_1() -> Iterator[PrintedDifference]:
    frame = printed.table_2_1().rename(index=NAMES)
    before, after = _scores(frame["cam"]), _scores(frame["cam_refined"])

    def place(stage: str, row: str) -> Place:
        return Place("Table 2.1", "train", stage, row=row)

    for stage, scores in ((MAPS, before), (WALKED, after)):
        for row, reference in LEADS:
            yield _difference(
                place(stage, above(row, reference)), scores[row], scores[reference], f"{row} is above {reference}"
            )
    for row in before:
        yield _difference(place(WALK, row), after[row], before[row], f"The random walk improves the maps of {row}")
    for row, reference in LEADS:
        if reference in ("mixup", "CAM"):
            yield _difference(
                place(WALK, above(row, reference)),
                after[row] - after[reference],
                before[row] - before[reference],
                f"Refinement enlarges the lead of {row} over {reference}",
            )


def _fig_2_5() -> Iterator[PrintedDifference]:
    """The figure prints no numbers."""
    yield PrintedDifference(FIG_2_5, None, "Every value of every hyper-parameter is above plain CAM")
    for name in PANELS:
        panel = panel_of_fig_2_5(name)
        yield PrintedDifference(panel, None, f"Every {name} is above plain CAM")
        yield PrintedDifference(replace(panel, row=FLAT), None, f"Over the whole grid {name} changes little")


def panel_of_fig_2_5(name: str) -> Place:
    """The claim of the panel of a hyper-parameter.

    >>> panel_of_fig_2_5("lambda_ent").source
    'Fig. 2.5 b'
    """
    return Place(f"{FIG_2_5.source} {PANELS[name]}", FIG_2_5.split, MAPS, f"mIoU by {name}", FIG_2_5.row)


def _tables_2_2_and_2_3() -> Iterator[PrintedDifference]:
    for line in printed.table("table_2_2").to_dict("records"):
        if not line["ours"]:
            yield _over(line, "Table 2.2", "Mixup-CAM", printed.ours("table_2_3", crf=True)["miou_printed"], "val")
    yield from _of_classes("table_2_3", "Mixup-CAM")
    yield from _failures("Fig. 2.8", "Mixup-CAM")


def _failures(figure: str, ours: str) -> Iterator[PrintedDifference]:
    """The figure shows images and prints no number."""
    for failure in FAILURES[figure]:
        yield PrintedDifference(of_failure(figure, failure), None, f"{failure.claim} ({ours})")


def _over(line: Mapping[Any, Any], source: str, ours: str, score: float, split: str) -> PrintedDifference:
    """The method of a chapter above the one of a line of Table 2.2 or 3.4."""
    same = line["method"] == SAME_NETWORK
    reason = SERVER if split == "test" else OWN_NETWORK if line["method"] == "AffinityNet" else ANOTHER
    reference = "CAM" if same else line["method"]
    return _difference(
        Place(source, split, SHARPENED, row=above(ours, reference)),
        score,
        line[split],
        f"The masks of {ours} train a better segmentation than those of {reference}",
        "" if same else reason,
    )


def _of_classes(table: str, ours: str) -> Iterator[PrintedDifference]:
    """What Tables 2.3 and 3.3 print of the mean over classes: above AffinityNet without CRF, and what the CRF adds."""
    source = printed.title(table)
    plain, crf = (printed.ours(table, crf=each)["miou_printed"] for each in (False, True))
    yield _difference(
        Place(source, "val", SEGMENTED, row=above(ours, "AffinityNet")),
        plain,
        printed.cell(table, "AffinityNet", "miou_printed"),
        f"The masks of {ours} train a better segmentation than those of AffinityNet",
        OWN_NETWORK,
    )
    yield _difference(Place(source, "val", CRF, row=ours), crf, plain, f"A CRF at test time improves {ours}")


# --- Chapter 3 --------------------------------------------------------------------------------------------------------


def _chapter_3() -> Iterator[PrintedDifference]:
    yield from _table_3_1()
    yield from _table_3_2()
    yield from _of_classes("table_3_3", "SC-CAM")
    improved = printed.results()["table_3_3"]["text_claims"]["classes_improved_with_crf"]
    place = Place("Table 3.3", "val", SHARPENED, "IoU of each class", "SC-CAM > the others")
    yield PrintedDifference(place, None, f"SC-CAM is the best of its group in {improved} classes", ANOTHER)
    yield PrintedDifference(MOST_CLASSES, None, "SC-CAM improves more than half of the object classes")
    yield from _table_3_4()
    yield PrintedDifference(FIG_3_4, None, "Every K above 1 is above plain CAM")
    yield PrintedDifference(FIG_3_4_LAST, None, "Every K above 1 is above plain CAM after the last round")
    yield PrintedDifference(FLAT_3_4, None, "K needs no tuning: every K above 1 scores as the default does")
    yield from _failures("Fig. 3.8", "SC-CAM")
    yield PrintedDifference(MOVED_TOGETHER, None, "Similar images that are apart in round 1 are together in round 3")


def _table_3_1() -> Iterator[PrintedDifference]:
    frame = printed.table_3_1().rename(index=NAMES | {"AffinityNet": "CAM"})
    for split in ("train", "val"):
        before, after = (_scores(frame[f"{split}_{column}"]) for column in ("cam", "cam_rw"))

        def place(stage: str, row: str, split: str = split) -> Place:
            return Place("Table 3.1", split, stage, row=row)

        lead = above("SC-CAM", "CAM")
        for stage, scores in ((MAPS, before), (WALKED, after)):
            yield _difference(place(stage, lead), scores["SC-CAM"], scores["CAM"], "SC-CAM is above CAM")
        for row in before:
            if (row, split) != ("CAM", "train"):  # copied from Table 2.1
                yield _difference(
                    place(WALK, row), after[row], before[row], f"The random walk improves the maps of {row}"
                )
        larger, smaller = (scores["SC-CAM"] - scores["CAM"] for scores in (after, before))
        yield _difference(place(WALK, lead), larger, smaller, "Refinement enlarges the lead of SC-CAM over CAM")


def _table_3_2() -> Iterator[PrintedDifference]:
    """Steps of one round; mIoU from the first to the last is SC-CAM above CAM of Table 3.1."""
    frame = printed.table("table_3_2")
    for column, measure in (("miou", "mIoU"), ("f_score", "F-Score")):
        scores = [float(score) for score in frame[column]]
        last = len(scores) - 1
        steps = [*pairwise(range(len(scores))), *[(0, last)] * (measure != "mIoU")]
        for before, after in steps:
            place = Place("Table 3.2", "val", MAPS, measure, above(f"round {after}", f"round {before}"))
            yield _difference(
                place, scores[after], scores[before], f"{measure} rises from round {before} to round {after}"
            )


def _table_3_4() -> Iterator[PrintedDifference]:
    frame = printed.table("table_3_4")
    (ours,) = frame[frame["ours"]].to_dict("records")
    for split in ("val", "test"):
        for line in frame[~frame["ours"]].to_dict("records"):
            yield _over(line, "Table 3.4", "SC-CAM", ours[split], split)
    same = {"method": SAME_NETWORK, "val": printed.cell("table_2_2", SAME_NETWORK, "val")}
    yield _over(same, BOTH_TABLES, "SC-CAM", ours["val"], "val")
