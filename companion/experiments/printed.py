"""The thesis' printed numbers as tables: Tables 2.1-2.3 and 3.1-3.4, in per cent, as printed.

Transcribed in `paper_results.yaml`, where means recomputed from the printed values stand beside them. All scores are
of PASCAL VOC 2012; they are context for numbers measured on other data, never a standard for them.
"""

import functools
from importlib import resources
from typing import Any

import pandas as pd
import yaml  # type: ignore[import-untyped]

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
