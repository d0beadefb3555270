"""What `51_performance` shows: operations, the published method beside ours, and what a GPU reached.

The frames and charts are those of `tables`. Nothing here corresponds to published code.
"""

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from companion import settings
from companion.cost import complexity, tables, work
from companion.cost import operations as operations_of
from companion.experiments.exhibits import Exhibit, Figure, KeyNumber, Note, Table
from companion.experiments.later_steps import NETWORKS, LaterSteps
from companion.experiments.performance import Performance
from companion.experiments.scored_maps import ScoredMaps
from companion.experiments.training_seeds import check_seeds
from companion.settings import Machine

MEASURED = {
    "throughput": (tables.throughput, "Every full-size stage"),
    "in_parts": (
        tables.in_parts,
        "Trainings in bf16 whose batch goes through the network in parts, so that it fits a smaller card",
    ),
    "effects": (
        tables.effects,
        "The classifier's training step at crop 448 and batch 16 in bf16, one thing changed at a time",
    ),
    "loading": (
        tables.loading,
        "Images a second from JPEG files of 500 x 375: what the loader gives, and what training takes from it, by the "
        "number of loading processes and the order of the augmentation",
    ),
    "demo": (
        tables.demo,
        "The demo's Table 2.1, seed 0, computed on this GPU: mIoU at the fixed threshold in per cent, bf16 beside "
        "fp32, and the same seed on a processor; with one seed, a difference within the spread over seeds says nothing",
    ),
    "projection": (
        tables.projection,
        "Hours of the whole thesis on VOC for one seed, units of work times the measured seconds of one; missing where "
        "it was not measured; the CRF's are those of one processor core, beside the GPU's",
    ),
}
"""The measured tables by name: what makes them, and what they are."""


def operations() -> Iterator[Figure | Table | KeyNumber]:
    """What the thesis costs by kind of work and by notebook."""
    works = work.whole_thesis()
    yield Figure(
        tables.cost_chart(works),
        "costs",
        "Operations of all tables and figures on VOC 2012 for one seed by kind of work; what several need is counted "
        "once.",
        "Horizontal bars of operations for each kind of work: training of the classifiers takes most, then response "
        "maps.",
    )
    stages, results = work.stage_table(works), work.result_table()
    yield Table(
        stages,
        "stages",
        "Kinds of work of the whole thesis on VOC 2012 for one seed: operations of a training step or an image "
        "(10^12), how many, and all together (10^15).",
        formats=tables.formats(stages),
    )
    yield Table(
        results,
        "results",
        "What each notebook needs for one seed with everything it builds on: networks trained, operations (10^15), and "
        "images that go through the dense CRF. Notebooks share stages, so the last line is less than the sum; those "
        "beyond the thesis (26, and 41 and on) are not in it.",
        formats=tables.formats(results),
    )
    total = sum(each.units * each.flops for each in works) / work.PETA
    yield KeyNumber("Operations of the whole thesis, one seed", total / 1000, unit=" EFLOP", note="10^18; counted")


def of_rows(compared: ScoredMaps) -> Table:
    """What the maps of every row of an experiment would cost on VOC 2012, trainings included."""
    chosen = settings.load("voc2012")
    planned = replace(compared, settings=chosen, seeds=check_seeds(1), machine=Machine())
    lines = {}
    for (row, _), stage in planned.maps.items():
        of_row = {work.MAPS: 0.0, work.CLIMBED: 0.0, "training": 0.0}
        for each in work.total(stage.upstream(), chosen):
            kind = each.kind.name if each.kind.name in of_row else "training"
            of_row[kind] += each.units * each.flops / work.PETA
        maps = of_row[work.MAPS] + of_row[work.CLIMBED]
        lines[row] = {"training": of_row["training"], "maps": maps, "together": of_row["training"] + maps}
    frame = pd.DataFrame.from_dict(lines, orient="index").rename_axis("method")
    note = f" An image is taken to show {operations_of.CLASSES} classes, each of which climbs by itself in AdvCAM."
    climbed = note if any(row.overrides.get("cam.climb_steps") for row in compared.scored) else ""
    return Table(
        frame,
        "operations",
        "Counted operations (10^15) of each row on VOC 2012 at full size for one seed: training with features and "
        f"logits, and the maps of train and val.{climbed}",
        formats=dict.fromkeys(frame, ",.0f"),
        lowest=["together"],
    )


def of_networks(later: LaterSteps) -> Table:
    """What the networks of steps 2 and 3 would cost on VOC 2012, which is alike however they are trained."""
    chosen = settings.load("voc2012")
    planned = replace(later, settings=chosen, seeds=check_seeds(1), machine=Machine(crf=True)).planned
    lines = {}
    for network, step, names in (
        (NETWORKS["affinity"], "refined", ("affinity", "refined_maps")),
        (NETWORKS["segmentation"], "segmented", ("segmenter", "segmentation")),
    ):
        first, *_ = planned[step].values()
        stages = [*first.upstream()]
        works = [work.total([stage for stage in stages if stage.name == name], chosen) for name in names]
        training, inference = (sum(each.units * each.flops for each in of) / work.PETA for of in works)
        lines[network] = {"training": training, "inference": inference, "together": training + inference}
    frame = pd.DataFrame.from_dict(lines, orient="index").rename_axis("network")
    return Table(
        frame,
        "operations",
        "Counted operations (10^15) of the networks of steps 2 and 3 on VOC 2012 at full size for one seed: training, "
        "and the walk on train and val or the segmentation of val. Rows of one network do not differ: mixing and the "
        "entropy are not counted, and one pass serves the labels of both images.",
        formats=dict.fromkeys(frame, ",.0f"),
    )


def against_published() -> Table:
    """What is computed in another way than published."""
    compared = tables.against_published()
    return Table(
        compared,
        "published",
        "One image of 500 x 375 with two classes, ours beside a direct reading of the published method; seconds and "
        "memory from `benchmarks/against_published.py` where it was run.",
        formats=tables.formats(compared),
    )


def extra_complexity() -> Table:
    """What each method adds to the plain classifier."""
    return Table(
        complexity.table(),
        "complexity",
        "What the methods add to the plain classifier, counted at full size on VOC 2012 for one seed: operations of a "
        "training step for one image (10^9), those of mixup and the terms beside them, parameters, and training in all "
        f"(10^15), for SC-CAM with round 0, the schedules of {complexity.ROUNDS} rounds (S6, run to their end) and the "
        "features in between. The maps of all three are made by the same network.",
        formats=complexity.FORMATS,
    )


def throughput(performance: Performance) -> Figure | Note:
    """How fast every stage is on the measured GPU."""
    if performance.record is None:
        return Note("No GPU was measured yet: run `make gpu-check` on a machine with one, then this notebook again.")
    return Figure(
        tables.throughput_chart(performance.record),
        "throughput",
        f"Images a second, share of the peak and memory of every full-size stage; {performance.measured_on}.",
        "Three panels of horizontal bars, one bar a stage, in one colour for bf16 and another for fp32.",
    )


def measured(performance: Performance) -> Iterator[Table]:
    """Every measured table that has a line."""
    if performance.record is None:
        return
    for name, (make, caption) in MEASURED.items():
        frame = make(performance.record)
        if len(frame):
            yield Table(frame, name, f"{caption}; {performance.measured_on}.", formats=tables.formats(frame))


def hours(performance: Performance) -> Iterator[Exhibit]:
    """How long the whole thesis would take, and what was not measured."""
    if performance.record is None:
        return
    found = (performance.record["projection"] or {}).get("gpu_hours")
    if found is not None:
        note = f"projected; {performance.measured_on}"
        yield KeyNumber("Whole thesis on VOC, one seed", found, unit=" GPU hours", note=note)
    for missing in tables.not_measured(performance.record):
        yield Note(f"Not measured: {missing}")
