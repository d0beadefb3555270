"""Tables and figures of `51_performance`: operations counted, what a GPU reached, and the published method beside ours.

Measured tables come from one results file of `gpu_check`; without one there are only counts. Nothing here corresponds
to published code.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from companion.analysis.gpu_results import Record, measured
from companion.cost import operations
from companion.cost.gpu.projection import TRAINED
from companion.cost.work import CLASSIFIER, PETA, Work
from companion.drawing.style import WIDTH, own_settings, plain
from companion.settings.project import project_root

BENCHMARKS = project_root() / "benchmarks"
PRECISIONS = {"bf16": "#0072b2", "fp32": "#e69f00"}
PARTS = ("fp32", "bf16")
_RATES = {"images/s": ".1f", "GiB used": ".1f", "GiB reserved": ".1f", "TFLOP/s": ".1f", "share of peak": ".0%"}
_DEMO = {"bf16 minus fp32": "+.1f", "GPU minus processor, fp32": "+.1f"}
_OTHERS = {"relative": ".2f", "first step, s": ".1f", "loaded/s": ".0f", "trained/s": ".0f", "hours": ".2f"}
_COUNTS = {"TFLOP a unit": ".2f", "PFLOP": ".0f", "share": ".1%", "ours": ".3g", "published": ".3g", "ratio": ".0f"}


def formats(frame: pd.DataFrame) -> dict[str, str]:
    """How the columns of these tables are shown.

    >>> formats(pd.DataFrame(columns=["unit", "PFLOP"]))
    {'PFLOP': '.0f'}
    """
    known = _RATES | _DEMO | _OTHERS | _COUNTS
    return {column: known[column] for column in frame.columns if column in known}


# --- Counted ----------------------------------------------------------------------------------------------------------


def against_published(path: Path = BENCHMARKS / "against_published.json") -> pd.DataFrame:
    """Steps computed in another way than published, on an image of 500 x 375: operations or values, and memory.

    Args:
        path: times that `benchmarks/against_published.py` wrote; without it the columns of seconds are missing.
    """
    (rows, columns), pixels = (
        ((side + 7) // 8 for side in operations.VOC_SIZE),
        operations.VOC_SIZE[0] * operations.VOC_SIZE[1],
    )
    cells, entries = rows * columns, operations.neighbours(rows, columns)
    pairs, channels = (entries - cells) // 2, 448
    lines = {
        "random walk, GFLOP": (operations.random_walk(rows, columns) / 1e9, operations.dense_walk(rows, columns) / 1e9),
        "random walk, MiB of the transition matrix": (12 * entries / 2**20, 4 * cells**2 / 2**20),
        "pair affinities, MiB of differences": (4 * channels * pairs / 34 / 2**20, 4 * channels * pairs / 2**20),
        "response maps, million values enlarged": (4 * 2 * pixels / 1e6, 8 * 20 * pixels / 1e6),
    }
    frame = pd.DataFrame.from_dict(lines, orient="index", columns=["ours", "published"]).rename_axis("quantity")
    for name, step in _timed_steps(path).items():
        frame.loc[f"{name}, seconds on one core"] = [step["seconds"], step["published_seconds"]]
        frame.loc[f"{name}, MiB"] = [step["mib"], step["published_mib"]]
    return frame.assign(ratio=frame["published"] / frame["ours"])


def _timed_steps(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))["steps"] if path.is_file() else {}


@own_settings()
def cost_chart(works: Sequence[Work]) -> Figure:
    """Operations of the whole thesis by kind of work, as bars."""
    counted = sorted((work for work in works if work.flops), key=lambda work: work.units * work.flops)
    figure = Figure(figsize=(WIDTH, 0.6 + 0.32 * len(counted)), layout="constrained")
    axis = figure.subplots()
    plain(axis)
    values = [work.units * work.flops / PETA for work in counted]
    axis.grid(False)
    bars = axis.barh([work.kind.name for work in counted], values, color="#0072b2")
    axis.bar_label(bars, [f"{value:,.0f}" for value in values], padding=3, fontsize=8)
    axis.set_xlabel("operations for one seed, 10^15 (PFLOP)", fontsize=9)
    axis.margins(x=0.12)
    return figure


# --- Measured ---------------------------------------------------------------------------------------------------------


def throughput(record: Record) -> pd.DataFrame:
    """Every measured stage: images a second, GPU memory, TFLOP/s and share of the card's peak."""
    lines = {}
    for entry in measured(record, "training", "training, fp32", "inference"):
        lines[entry["name"]] = {
            "images/s": entry["images_per_s"],
            "GiB used": entry["peak_gib"],
            "GiB reserved": entry["reserved_gib"],
            "TFLOP/s": entry["tflop_per_s"] or None,
            "share of peak": entry.get("share_of_peak"),
        }
    return pd.DataFrame.from_dict(lines, orient="index", dtype=object).rename_axis("stage")


def in_parts(record: Record) -> pd.DataFrame:
    """Memory and speed of trainings whose batch goes through the network in parts (the setting `accumulate`)."""
    lines = [
        {
            "training": entry["kind"],
            "parts": entry["accumulate"],
            "GiB reserved": entry["reserved_gib"],
            "images/s": entry["images_per_s"],
        }
        for entry in measured(record, "training", "training, in parts")
        if entry["kind"] in TRAINED
    ]
    frame = pd.DataFrame(lines, columns=["training", "parts", "GiB reserved", "images/s"])
    return frame.sort_values(["training", "parts"], ignore_index=True)


def effects(record: Record) -> pd.DataFrame:
    """One change at a time to the classifier's training at crop 448 in bf16: images a second, and relative to it."""
    names = {"training": "as trained", "training, fp32": "without autocast (fp32)"}
    entries = [e for e in measured(record, *names, "effect") if e["kind"] == CLASSIFIER.format(crop=448)]
    lines = {names.get(entry["group"], entry["name"]): entry for entry in entries}
    usual = lines["as trained"]["images_per_s"] if "as trained" in lines else np.nan
    cells = {
        name: {
            "images/s": entry["images_per_s"],
            "relative": entry["images_per_s"] / usual,
            "GiB used": entry["peak_gib"],
            "first step, s": entry["first_call_s"],
        }
        for name, entry in lines.items()
    }
    return pd.DataFrame.from_dict(cells, orient="index", dtype=object).rename_axis("training step")


def loading(record: Record) -> pd.DataFrame:
    """Images a second that the loader gives alone, and that training takes from it."""
    lines = {
        entry["name"]: {"loaded/s": entry["loaded_per_s"], "trained/s": entry["trained_per_s"]}
        for entry in measured(record, "loading")
    }
    return pd.DataFrame.from_dict(lines, orient="index", dtype=object).rename_axis("loader")


def demo(record: Record, path: Path = BENCHMARKS / "demo_table_2_1.json") -> pd.DataFrame:
    """mIoU of the demo's rows on the GPU in both precisions, their difference, and that of a processor if there is one.

    Args:
        record: results of `gpu_check`.
        path: `{"miou": {row: {split: per cent}}}` of the same seed on a processor.
    """
    entries = [entry for entry in measured(record, "demo") if "miou" in entry]
    comparable = path.is_file() and not record["tiny"]
    cpu = json.loads(path.read_text(encoding="utf-8"))["miou"] if comparable else {}
    lines: dict[tuple[str, str], dict[str, float]] = {}
    for entry in entries:
        for split, value in entry["miou"].items():
            lines.setdefault((entry["row"], split), {})[entry["precision"]] = value
    for (row, split), line in lines.items():
        if row in cpu:
            line["processor, fp32"] = cpu[row][split]
            line["GPU minus processor, fp32"] = line.get("fp32", np.nan) - cpu[row][split]
        if set(PARTS) <= line.keys():
            line["bf16 minus fp32"] = line["bf16"] - line["fp32"]
    frame = pd.DataFrame([{"row": row, "split": split} | line for (row, split), line in lines.items()])
    return frame.rename(columns={precision: f"GPU, {precision}" for precision in PARTS})


def projection(record: Record) -> pd.DataFrame:
    """Hours of the whole thesis for one seed by kind of work, missing where nothing was measured."""
    found = record["projection"] or {"hours": {}}
    lines = found["hours"] | ({"all on the GPU": found["gpu_hours"]} if found["hours"] else {})
    return pd.DataFrame({"hours": pd.Series(lines, dtype=object)}).rename_axis("work")


def not_measured(record: Record) -> list[str]:
    """Measurements that failed or were skipped, with the reason."""
    return [f"{e['name']}: {e['error']}" for e in record["measurements"] if e["state"] != "measured"]


@own_settings()
def throughput_chart(record: Record) -> Figure:
    """Share of the peak, and memory, of every stage; images a second stand beside its name."""
    entries = [e for e in measured(record, "training", "training, fp32", "inference") if e["tflop_per_s"]]
    entries = sorted(entries, key=lambda entry: (entry["unit"], entry["kind"], entry["images"]), reverse=True)
    figure = Figure(figsize=(WIDTH, 1.1 + 0.24 * len(entries)), layout="constrained")
    share, memory = figure.subplots(1, 2, sharey=True)
    names = [f"{entry['name']}: {entry['images_per_s']:,.1f} images/s" for entry in entries]
    _bars(share, names, [100 * (entry.get("share_of_peak") or 0) for entry in entries], entries)
    share.set_xlabel("per cent of the card's peak", fontsize=8)
    _bars(memory, names, [entry["peak_gib"] or 0 for entry in entries], entries)
    memory.set_xlabel("GPU memory, GiB", fontsize=8)
    handles = [Patch(color=colour, label=precision) for precision, colour in PRECISIONS.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, fontsize=8, frameon=False)
    return figure


def _bars(axis: Axes, names: list[str], values: list[float], entries: list[Record]) -> None:
    plain(axis)
    axis.grid(False)
    axis.barh(names, values, color=[PRECISIONS[entry["precision"]] for entry in entries])
    axis.set_ylim(-0.6, len(names) - 0.4)
    axis.set_xlim(left=0, right=1.1 * max(values, default=0) or 1)
    axis.tick_params(labelsize=7)
