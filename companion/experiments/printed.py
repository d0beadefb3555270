"""The thesis' printed numbers as tables: Tables 2.1-2.3 and 3.1-3.4, in per cent, as printed, and what they add up to.

Transcribed in `paper_results.yaml`, where means recomputed from the printed values stand beside them. All scores are
of PASCAL VOC 2012; they are context for numbers measured on other data, never a standard for them.
"""

import functools
from importlib import resources
from typing import Any

import pandas as pd
import yaml  # type: ignore[import-untyped]

BACKGROUND = "background"
TABLES = ("table_2_1", "table_2_2", "table_2_3", "table_3_1", "table_3_2", "table_3_3", "table_3_4")


@functools.cache
def results() -> dict[str, Any]:
    """Everything that was transcribed: the tables, text claims, notes, points of the figures, hyper-parameters."""
    text = resources.files("companion.experiments").joinpath("paper_results.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


def table(name: str) -> pd.DataFrame:
    """A printed table, one row a method (a round in Table 3.2); per-class IoU in columns named by class.

    >>> table("table_3_2")["miou"].tolist()
    [46.8, 48.0, 48.7, 49.6]

    Raises:
        KeyError: no such table; names those there are.
    """
    if name not in TABLES:
        raise KeyError(f"no table {name!r} was transcribed; there are {', '.join(TABLES)}")
    rows = [row | row.get("iou", {}) for row in results()[name]["rows"]]
    return pd.DataFrame(rows).drop(columns="iou", errors="ignore")


def title(name: str) -> str:
    """What the thesis calls a table.

    >>> title("table_3_2")
    'Table 3.2'
    """
    return name.replace("table_", "Table ").replace("_", ".")


def cell(name: str, method: str, column: str) -> float:
    """One number of a printed table.

    >>> cell("table_3_4", "AffinityNet", "val")
    61.7

    Raises:
        ValueError: the table does not have exactly one row of that method.
    """
    frame = table(name)
    (number,) = frame.loc[frame["method"] == method, column]
    return float(number)


def classes() -> list[str]:
    """The 21 classes of the per-class tables in their order, background first."""
    return list(results()["meta"]["class_order"])


def table_2_1() -> pd.DataFrame:
    """Table 2.1: mIoU of the response maps (`cam`) and of the refined ones (`cam_refined`) on VOC train, by method."""
    return table("table_2_1").set_index("method")[["cam", "cam_refined"]]


def table_3_1() -> pd.DataFrame:
    """Table 3.1: mIoU of the response maps and of the refined ones on VOC train and val, by method.

    Columns `train_cam`, `train_cam_rw`, `val_cam`, `val_cam_rw`.
    """
    columns = ["train_cam", "train_cam_rw", "val_cam", "val_cam_rw"]
    return table("table_3_1").set_index("method")[columns]


def figure_3_4() -> dict[int, float]:
    """The points of Fig. 3.4 whose values are known: mIoU of the response maps on VOC val by K."""
    return {point["x"]: point["y"] for point in results()["figures_with_numbers"]["fig_3_4"]["known_points"]}


def grid_of_figure_3_4() -> list[int]:
    """The values of K in Fig. 3.4."""
    return list(results()["figures_with_numbers"]["fig_3_4"]["x_values"])


def hyperparameters() -> dict[str, Any]:
    """What the text states of trainings, networks and images, by name."""
    return dict(results()["hyperparameters_in_text"])


def figure_2_5(panel: str) -> dict[float, float]:
    """The points of one panel of Fig. 2.5 whose values are known: mIoU on VOC train by the hyper-parameter.

    The figure prints no numbers; these are the rows of Table 2.1 read as points of it.
    """
    return {
        point["x"]: point["y"]
        for point in results()["figures_with_numbers"]["fig_2_5"]["panels"][panel]["known_points"]
    }


def baselines() -> pd.DataFrame:
    """The two published results of AffinityNet (S8), mIoU of response maps and of refined maps on VOC train and val."""
    return pd.DataFrame(results()["affinitynet_baselines"]["rows"]).set_index("source")


# --- Tables 2.2, 2.3, 3.3 and 3.4 as notebooks show them, and what can be counted in them -----------------------------


def comparison(name: str) -> pd.DataFrame:
    """A table of methods: venue, backbone, whether the response map is improved, and mIoU on the splits it has."""
    frame = table(name).drop(columns=["thesis_ref", "note", "ours"], errors="ignore")
    improves = ["yes" if yes else "no" for yes in frame.pop("improves_initial_response")]
    frame.insert(list(frame.columns).index("val"), "improves the response map", improves)
    return frame.rename(columns={"val": "mIoU val", "test": "mIoU test"})


def by_class(name: str) -> pd.DataFrame:
    """A table of classes: method, the group within which the thesis ranks, IoU of each class, and mIoU."""
    frame = table(name)[["method", "group", *classes(), "miou_printed"]]
    return frame.rename(columns={"miou_printed": "mIoU"})


def improved_classes(name: str) -> pd.DataFrame:
    """S11: in how many object classes ours (with CRF) is the best of its group, and above each other method alone."""
    frame = table(name)[["method", "group", "ours", *_objects()]]
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
    return {each: (float(plain[each]), float(crf[each])) for each in classes() if crf[each] < plain[each]}


def others(name: str, column: str) -> dict[str, float]:
    """A column of a table of classes for the methods that are not the thesis' own."""
    return {row["method"]: float(row[column]) for _, row in table(name).iterrows() if not row["ours"]}


def ours(name: str, *, crf: bool) -> pd.Series:
    """The row of the thesis' own method in a table of classes, without or with CRF."""
    frame = table(name)
    (row,) = (row for _, row in frame.iterrows() if row["ours"] and row["crf"] == crf)
    return row


def _objects() -> list[str]:
    return [name for name in classes() if name != BACKGROUND]


def _short(group: str) -> str:
    """The words in brackets of a group's name."""
    return group[group.index("(") + 1 : group.index(")")]
