"""What the tables and figures of the thesis cost on PASCAL VOC 2012: operations counted, hours only where measured.

    python -m companion.cost.work

prints the tables as Markdown. The stages of each notebook are those that `thesis reproduce --preset voc2012` plans;
their operations are counted by `operations`, their hours are units of work times the seconds that a unit took on a GPU
(`gpu_check`). The dense CRF and K-means run on the processor and are counted in images, not operations. The thesis
names its GPU (12 GB) and no times; nothing here corresponds to published code.
"""

import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from companion import settings
from companion.cost import operations
from companion.datasets.voc2012.protocol import VOC2012
from companion.experiments.catalogue import EXPERIMENTS, experiment, of_the_thesis
from companion.experiments.training_seeds import check_seeds
from companion.pipeline.store import Stage
from companion.settings import Machine, Settings

CLASSIFIER = "classifier, training, crop {crop}"
RECAM = "ReCAM, training, crop {crop}"
MAPS = "response maps"
CLIMBED = "response maps of AdvCAM"
FEATURES = "features or logits"
AFFINITY = "AffinityNet, training"
REFINED = "affinities and random walk"
SEGMENTER = "DeepLab-v2, training"
TEST = "DeepLab-v2, test"
CRF = "dense CRF, on the processor"
PETA = 1e15
WITHOUT_COST = ("data", "backbone", "colours", "subcategories", "truth_labels")
"""Stages with nothing for the GPU or the CRF: K-means runs on the processor, initial weights are given."""


class Kind(NamedTuple):
    """A kind of work: its name, and whether it comes in training steps or in images."""

    name: str
    unit: str


class Work(NamedTuple):
    """Units of one kind of work, and the operations of one of them (0: not counted)."""

    kind: Kind
    units: int
    flops: int


def images(*splits: str) -> int:
    """Images of these splits of VOC 2012 together.

    >>> images("trainaug"), images("train", "val")
    (10582, 2913)
    """
    return sum(VOC2012.splits[split].images for split in splits)


def work_of(stage: Stage, chosen: Settings) -> list[Work]:
    """What a planned stage of VOC has to do on the GPU and in the CRF; nothing for those that only convert a file.

    Raises:
        ValueError: a stage that is not known here.
    """
    given = stage.settings
    converted = stage.name in ("classifier", "affinity") and "seed" not in given
    if converted or stage.name in WITHOUT_COST:
        return []
    if stage.name == "classifier":
        classifier = given["classifier"]
        crop, k = classifier.augmentation.crop, _subcategories(stage)
        steps = classifier.views * _steps(classifier.epochs, classifier.batch_size)  # of two views: as much as two
        sides = [crop, int(classifier.copy_scale * crop)] if classifier.copy_scale else [crop]
        return [
            Work(Kind(CLASSIFIER.format(crop=side), "step"), steps, operations.classifier_step(chosen, side, k))
            for side in sides
        ]
    if stage.name == "recam":
        recam, crop = given["recam"], given["classifier"].augmentation.crop
        of_step = operations.recam_step(chosen, crop, second=recam.weight > 0)
        return [Work(Kind(RECAM.format(crop=crop), "step"), _steps(recam.epochs, recam.batch_size), of_step)]
    if stage.name in ("features", "class_features"):
        return [Work(Kind(FEATURES, "image"), images("trainaug"), operations.features(chosen))]
    if stage.name == "response_maps":
        count = images(*given["cam"].splits)
        maps = Work(Kind(MAPS, "image"), count, operations.response_maps(chosen))
        if steps := given["cam"].climb_steps:
            of_image = round(operations.CLASSES * operations.climbed_maps(chosen, steps))
            maps = Work(Kind(CLIMBED, "image"), count, of_image)
        return [
            maps,
            Work(Kind(FEATURES, "image"), count, operations.features(chosen)),
        ]
    if stage.name == "affinity_labels":
        return [Work(Kind(CRF, "image"), len(given["alphas"]) * images(given["split"]), 0)]
    if stage.name == "affinity":
        affinity = given["affinity"]
        steps = _steps(affinity.epochs, affinity.batch_size, affinity.split)
        training = Work(Kind(AFFINITY, "step"), steps, operations.affinity_step(chosen))
        if affinity.trained == "head":
            return [Work(Kind(FEATURES, "image"), images(affinity.split), operations.affinity_maps(chosen)), training]
        return [training]
    if stage.name == "refined_maps":
        return [Work(Kind(REFINED, "image"), images(*given["splits"]), operations.refined_maps(chosen))]
    if stage.name == "pseudo_masks":
        return [Work(Kind(CRF, "image"), images(given["split"]) * (given["pseudo_mask"] == "rw_crf"), 0)]
    if stage.name == "segmenter":
        steps = _steps(given["segmentation"].epochs, given["segmentation"].batch_size)
        return [Work(Kind(SEGMENTER, "step"), steps, operations.segmenter_step(chosen))]
    if stage.name == "segmentation":
        count = images(*given["segmentation"].splits)
        return [Work(Kind(TEST, "image"), count, operations.segmentation(chosen)), Work(Kind(CRF, "image"), count, 0)]
    raise ValueError(f"stage {stage.name!r} has no cost: give its work here, or name it in WITHOUT_COST")


def _steps(epochs: int, batch: int, split: str = "trainaug") -> int:
    return epochs * (images(split) // batch)


def _subcategories(stage: Stage) -> int:
    """K of the second head of a classifier, 0 without one."""
    labels = stage.inputs.get("subcategories")
    if labels is None:
        return 0
    clusters = labels.inputs.get("clusters", labels)
    return clusters.settings.get("k", 1)


@functools.cache
def planned(chosen: Settings, seeds: int | tuple[int, ...] = 1) -> dict[str, list[Stage]]:
    """All stages that each notebook needs, with those they build on, on a machine that has the CRF.

    They are described and not bound, so neither data nor weights have to be there.
    """
    asked = {name: experiment(name, chosen, check_seeds(seeds), Machine(crf=True)) for name in EXPERIMENTS}
    return {
        name: each_once(above for stage in asks.stages() for above in stage.upstream()) for name, asks in asked.items()
    }


def each_once(stages: Iterable[Stage]) -> list[Stage]:
    """Stages without those that ask what another asks."""
    return list({stage.description: stage for stage in stages}.values())


def total(stages: Iterable[Stage], chosen: Settings) -> list[Work]:
    """The work of stages, each counted once however often it is named, added up by kind."""
    units: Counter[Kind] = Counter()
    flops: Counter[Kind] = Counter()
    for stage in each_once(stages):
        for work in work_of(stage, chosen):
            units[work.kind] += work.units
            flops[work.kind] += work.units * work.flops
    return [Work(kind, count, flops[kind] // count) for kind, count in units.items() if count]


def whole_thesis(chosen: Settings | None = None, seeds: int | tuple[int, ...] = 1) -> list[Work]:
    """The work of all notebooks but those beyond the thesis; what several of them share is done once."""
    chosen = chosen or settings.load("voc2012")
    of_notebooks = planned(chosen, seeds)
    return total((stage for name in of_the_thesis() for stage in of_notebooks[name]), chosen)


def stage_table(works: Iterable[Work]) -> pd.DataFrame:
    """By kind of work: operations of a unit (10^12), units, operations of all (10^15), and their share."""
    works = list(works)
    everything = sum(work.units * work.flops for work in works)
    lines = {
        work.kind.name: {
            "unit": work.kind.unit,
            "TFLOP a unit": work.flops / 1e12 if work.flops else None,
            "units": work.units,
            "PFLOP": work.units * work.flops / PETA if work.flops else None,
            "share": work.units * work.flops / everything if work.flops else None,
        }
        for work in works
    }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("stage")


def result_table(chosen: Settings | None = None) -> pd.DataFrame:
    """By notebook, for one seed: its tables and figures, trained networks, operations (10^15), images of the CRF.

    A notebook is counted with everything it needs. The last line counts what several need once, and leaves out the
    notebooks beyond the thesis.
    """
    chosen = chosen or settings.load("voc2012")
    of_notebooks = planned(chosen)
    lines = {
        name: {"thesis": _results(name)} | line
        for name, stages in of_notebooks.items()
        if (line := _line(stages, chosen))["PFLOP"]
    }
    everything = (stage for name in of_the_thesis() for stage in of_notebooks[name])
    lines["all of the thesis, each stage once"] = {"thesis": ""} | _line(everything, chosen)
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("notebook")


def _line(stages: Iterable[Stage], chosen: Settings) -> dict[str, Any]:
    once = each_once(stages)
    works = total(once, chosen)
    count = Counter(stage.name for stage in once)
    trained = {"classifiers": "classifier", "AffinityNets": "affinity", "DeepLabs": "segmenter"}
    line: dict[str, Any] = {text: count[name] for text, name in trained.items()}
    line["PFLOP"] = sum(work.units * work.flops for work in works) / PETA
    line["CRF images"] = sum(work.units for work in works if work.kind.name == CRF)
    return line


def _results(notebook: str) -> str:
    """Its tables and figures in words, such as "Table 2.2, 2.3, Fig 2.7"."""
    kinds: dict[str, list[str]] = {}
    for result in EXPERIMENTS[notebook].reproduces:
        kind, number = result.split("-")
        kinds.setdefault(kind.capitalize(), []).append(number)
    return ", ".join(f"{kind} {', '.join(numbers)}" for kind, numbers in kinds.items())


def hours(works: Iterable[Work], seconds: Mapping[str, float]) -> dict[str, float | None]:
    """Hours by kind of work from the measured seconds of a unit; None where none was measured."""
    return {
        work.kind.name: work.units * seconds[work.kind.name] / 3600 if work.kind.name in seconds else None
        for work in works
    }


def markdown() -> str:
    """Both tables for one seed, for the README."""
    formats = {"TFLOP a unit": "{:.2f}", "units": "{:,.0f}", "PFLOP": "{:,.0f}", "share": "{:.1%}"}
    formats["CRF images"] = "{:,.0f}"
    return "\n\n".join(_markdown(table, formats) for table in (stage_table(whole_thesis()), result_table()))


def _markdown(frame: pd.DataFrame, formats: Mapping[str, str]) -> str:
    lines = [[str(frame.index.name), *frame.columns], ["---"] * (1 + len(frame.columns))]
    for name, row in zip(frame.index, frame.to_dict("records"), strict=True):
        cells = (
            "–" if pd.isna(value) else formats.get(str(column), "{}").format(value) for column, value in row.items()
        )
        lines.append([name, *cells])
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


if __name__ == "__main__":
    print(markdown())
