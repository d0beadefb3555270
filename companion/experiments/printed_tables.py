"""The printed comparison tables (2.2, 2.3, 3.3, 3.4) as the notebooks show them, and what can be counted in them.

Numbers of the thesis on PASCAL VOC 2012, from `paper`; nothing here was measured.
"""

import pandas as pd

from companion.experiments import printed as paper

BACKGROUND = "background"


def comparison(name: str) -> pd.DataFrame:
    """A table of methods: venue, backbone, whether the response map is improved, and mIoU on the splits it has."""
    frame = paper.table(name).drop(columns=["thesis_ref", "note", "ours"], errors="ignore")
    improves = ["yes" if yes else "no" for yes in frame.pop("improves_initial_response")]
    frame.insert(list(frame.columns).index("val"), "improves the response map", improves)
    return frame.rename(columns={"val": "mIoU val", "test": "mIoU test"})


def by_class(name: str) -> pd.DataFrame:
    """A table of classes: method, the group within which the thesis ranks, IoU of each class, and mIoU."""
    frame = paper.table(name)[["method", "group", *paper.classes(), "miou_printed"]]
    return frame.rename(columns={"miou_printed": "mIoU"})


def improved_classes(name: str) -> pd.DataFrame:
    """S11: in how many object classes ours (with CRF) is the best of its group, and above each other method alone."""
    frame = paper.table(name)[["method", "group", "ours", *_objects()]]
    of_ours = ours(name, crf=True)
    rivals = frame[~frame["ours"]]
    group = rivals[rivals["group"] == of_ours["group"]]
    counted = {"best of the group with CRF": group[_objects()].max()}
    counted |= {f"above {row['method']}, {_short(row['group'])}": row for _, row in rivals.iterrows()}
    lines = {}
    for definition, others in counted.items():
        names = [each for each in _objects() if of_ours[each] > others[each]]
        lines[definition] = {"classes": len(names), "of": len(_objects()), "which": ", ".join(names)}
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("improved means")


def lowered_by_crf(name: str) -> dict[str, tuple[float, float]]:
    """S13: the printed IoU of ours without and with CRF, in the classes where the CRF lowers it."""
    plain, crf = ours(name, crf=False), ours(name, crf=True)
    return {each: (float(plain[each]), float(crf[each])) for each in paper.classes() if crf[each] < plain[each]}


def ours(name: str, *, crf: bool) -> pd.Series:
    """The row of the thesis' own method in a table of classes, without or with CRF."""
    frame = paper.table(name)
    (row,) = (row for _, row in frame.iterrows() if row["ours"] and row["crf"] == crf)
    return row


def _objects() -> list[str]:
    return [name for name in paper.classes() if name != BACKGROUND]


def _short(group: str) -> str:
    """The words in brackets of a group's name."""
    return group[group.index("(") + 1 : group.index(")")]
