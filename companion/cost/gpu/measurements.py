"""What `gpu_check` measures, the most important first.

Networks are measured in bf16, as the stages compute with THESIS_PRECISION=bf16, then in fp32. An entry is a
dictionary for the results file: `kind` is a kind of work of `costs`, so that seconds can be turned into hours.
"""

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from companion.analysis.claims import Row
from companion.cost import operations
from companion.cost import work as costs
from companion.cost.gpu import demo
from companion.cost.gpu import inference as gpu_inference
from companion.cost.gpu import steps as gpu_work
from companion.cost.gpu.steps import Scale, Step, Timing, Way
from companion.experiments.catalogue import experiment
from companion.settings import Machine, OptimiserSettings, load
from thesislib.data.augmentation import Order

Entry = dict[str, Any]
MATMUL = 8192
PUBLISHED_CROP = 448
EFFECTS: dict[str, dict[str, Any]] = {
    "without channels_last": {"channels_last": False},
    "without the fused optimiser": {"fused": False},
}
BENCHMARK, COMPILED = "with cudnn.benchmark", "with torch.compile"


class Measurement(NamedTuple):
    """One entry to be: what it is, about how many seconds it needs on a data-centre GPU, and how to get it."""

    group: str
    name: str
    expected: float
    run: Callable[[], Entry]


def plan(scale: Scale, folder: Path) -> Iterator[Measurement]:
    """All measurements in the order of their importance; files are written to `folder`."""
    trainings = list(_trainings(scale))
    yield Measurement("peak", "bf16 matrix product", 5, functools.partial(peak, scale))
    yield from (each for each in trainings if each.group == "training")
    yield from _inferences(scale, "bf16", (1,))
    yield Measurement("inference", f"{WALK}, 1 image", 6, functools.partial(_walk, scale, 1))
    yield from _demo(scale, folder)
    yield from (each for each in trainings if each.group == "training, fp32")
    yield from _inferences(scale, "bf16", (8,))
    yield from _inferences(scale, "fp32", (1, 8))
    yield Measurement("inference", f"{WALK}, 8 images", 6, functools.partial(_walk, scale, 8))
    yield from _drift(scale, folder)
    yield from (each for each in trainings if each.group == "training, in parts")
    yield from _effects(scale)
    yield from _loading(scale, folder)
    yield from _inferences(scale, "bf16", (4,))
    yield Measurement("crf", costs.CRF, 10, functools.partial(_crf, scale))
    yield Measurement("effect", COMPILED, 100, functools.partial(_classifier, scale, _usual(scale, compiled=True)))


def peak(scale: Scale) -> Entry:
    """Operations a second of a large bf16 matrix product."""
    side = MATMUL if scale.gpu else 64
    timing = gpu_work.timed(gpu_inference.matmul(scale, side), scale)
    return {"side": side, "tflop_per_s": 2 * side**3 / timing.seconds / 1e12}


def _usual(scale: Scale, **changes: Any) -> Way:
    """How `training.train` computes a step on this device, in bf16."""
    return Way(**({"channels_last": scale.gpu, "fused": scale.gpu} | changes))


# --- Trainings --------------------------------------------------------------------------------------------------------


def _trainings(scale: Scale) -> Iterator[Measurement]:
    of_crops = {
        costs.CLASSIFIER.format(crop=published): functools.partial(_classifier, published=published)
        for published in scale.crops
    }
    for name, run in of_crops.items():
        yield Measurement("training", f"{name}, bf16", 12, functools.partial(run, scale, _usual(scale)))
        way = _usual(scale, precision="fp32")
        yield Measurement("training, fp32", f"{name}, fp32", 15, functools.partial(run, scale, way))
    for name, of_parts, settings in (
        (costs.CLASSIFIER.format(crop=PUBLISHED_CROP), _classifier, scale.settings.classifier),
        (costs.AFFINITY, _affinity, scale.settings.affinity),
        (costs.SEGMENTER, _segmenter, scale.settings.segmentation),
    ):
        for parts in range(1, settings.batch_size + 1):
            usual, once = parts == settings.accumulate, f"{name}, bf16"
            if settings.batch_size % parts or (usual and name in of_crops):
                continue
            measurement = functools.partial(of_parts, scale, _usual(scale, accumulate=parts))
            if usual:
                yield Measurement("training", once, 12, measurement)
            else:
                yield Measurement("training, in parts", f"{once}, {parts} parts", 12, measurement)


def _classifier(scale: Scale, way: Way, published: int = PUBLISHED_CROP) -> Entry:
    crop, settings = scale.crops[published], scale.settings.classifier
    made = gpu_work.classifier_step(scale, way, crop)
    kind = costs.CLASSIFIER.format(crop=published)
    return _training(scale, kind, made, settings, way, operations.classifier_step(scale.settings, crop))


def _affinity(scale: Scale, way: Way) -> Entry:
    made = gpu_work.affinity_step(scale, way)
    return _training(
        scale, costs.AFFINITY, made, scale.settings.affinity, way, operations.affinity_step(scale.settings)
    )


def _segmenter(scale: Scale, way: Way) -> Entry:
    made, counted = gpu_work.segmenter_step(scale, way), operations.segmenter_step(scale.settings)
    return _training(scale, costs.SEGMENTER, made, scale.settings.segmentation, way, counted)


def _training(
    scale: Scale, kind: str, made: tuple[Step, list[Tensor]], settings: OptimiserSettings, way: Way, counted: int
) -> Entry:
    step, batch = made
    timing = gpu_work.timed(lambda: step(batch), scale)
    entry = {"kind": kind, "unit": "step", "images": settings.batch_size, "accumulate": way.accumulate}
    return entry | {"precision": way.precision} | asdict(timing) | _rates(timing, settings.batch_size, counted)


def _rates(timing: Timing, images: int, counted: int) -> Entry:
    return {"images_per_s": images / timing.seconds, "tflop_per_s": counted / timing.seconds / 1e12}


# --- Inference --------------------------------------------------------------------------------------------------------


INFERENCE = {
    costs.MAPS: (gpu_inference.response_maps, operations.response_maps),
    costs.FEATURES: (gpu_inference.features, operations.features),
    costs.REFINED: (gpu_inference.refined_maps, operations.refined_maps),
    costs.TEST: (gpu_inference.segmentation, operations.segmentation),
}
WALK = "random walk alone"


def _inferences(scale: Scale, precision: str, counts: tuple[int, ...]) -> Iterator[Measurement]:
    for kind in INFERENCE:
        for count in counts:
            if kind != costs.TEST or count == 1:  # DeepLab gets its images one by one
                text = f"{kind}, {count} image{'s' if count > 1 else ''} at once, {precision}"
                yield Measurement("inference", text, 6, functools.partial(_inference, scale, kind, precision, count))


def _inference(scale: Scale, kind: str, precision: str, count: int) -> Entry:
    make, operations_of = INFERENCE[kind]
    counted = count * operations_of(scale.settings, scale.size)
    return _of_images(scale, kind, make(scale, count, precision), count, precision, counted)


def _walk(scale: Scale, count: int) -> Entry:
    return _of_images(scale, WALK, gpu_inference.walk(scale, count), count)


def _crf(scale: Scale) -> Entry:
    return _of_images(scale, costs.CRF, gpu_inference.crf(scale), 1)


def _of_images(
    scale: Scale, kind: str, call: Callable[[], Any], count: int, precision: str = "fp32", counted: int = 0
) -> Entry:
    timing = gpu_work.timed(call, scale)
    entry = {"kind": kind, "unit": "image", "images": count, "precision": precision}
    return entry | asdict(timing) | _rates(timing, count, counted) | {"seconds": timing.seconds / count}


# --- The demo, single effects, loading --------------------------------------------------------------------------------


def _demo(scale: Scale, folder: Path) -> Iterator[Measurement]:
    settings, runs = load("demo" if scale.gpu else "smoke"), folder / "fp32"
    asked: Any = experiment("21_response_maps", settings, [demo.SEED], Machine(device=scale.device))
    rows = [row for row in asked.rows.values() if not row.control]
    yield Measurement(
        "demo", "data and initial weights", 90, functools.partial(demo.prepare, settings, runs, scale.device)
    )
    for row in rows:
        run = functools.partial(demo.row, settings, row, runs, scale.device, "fp32")
        yield Measurement("demo", f"Table 2.1, {row.name}, fp32", 25, run)


def _drift(scale: Scale, folder: Path) -> Iterator[Measurement]:
    settings = load("demo" if scale.gpu else "smoke")
    for row in demo.DRIFT_ROWS:

        def run(row: Row = row) -> Entry:
            demo.share(folder / "fp32", folder / "bf16")
            return demo.row(settings, row, folder / "bf16", scale.device, "bf16")

        yield Measurement("demo", f"Table 2.1, {row.name}, bf16", 25, run)


def _effects(scale: Scale) -> Iterator[Measurement]:
    """Each changes one thing of the classifier's training in bf16; its fp32 entry is the effect of autocast."""
    for name, changes in EFFECTS.items():
        yield Measurement("effect", name, 12, functools.partial(_classifier, scale, _usual(scale, **changes)))
    yield Measurement("effect", BENCHMARK, 12, functools.partial(_with_benchmark, scale))


def _with_benchmark(scale: Scale) -> Entry:
    before, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, True
    try:
        return _classifier(scale, _usual(scale))
    finally:
        torch.backends.cudnn.benchmark = before


def _loading(scale: Scale, folder: Path) -> Iterator[Measurement]:
    orders: dict[int, tuple[Order, ...]] = dict.fromkeys(scale.workers, ("published",))
    orders[scale.workers[-1]] = ("published", "crop_first")
    for workers, of_workers in orders.items():
        for order in of_workers:
            run = functools.partial(loading, scale, folder / "images", workers, order)
            yield Measurement("loading", f"{workers} processes, {order}", 15, run)


def loading(scale: Scale, folder: Path, workers: int, order: Order) -> Entry:
    """Images a second that the loader gives, and that a training step takes from it."""
    if not folder.is_dir():
        gpu_inference.write_folder(folder, scale.loaded, scale.size)
    settings = scale.settings.classifier
    augmentation = replace(settings.augmentation, order=order)
    batches = gpu_inference.loader(folder, settings.model_copy(update={"augmentation": augmentation}), workers)
    step, _ = gpu_work.classifier_step(scale, _usual(scale), settings.augmentation.crop)
    step(next(batches))  # starts the processes and loads the libraries of the GPU
    alone = _rate(lambda: next(batches), settings.batch_size, scale)
    fed = _rate(lambda: step(next(batches)), settings.batch_size, scale)
    return {"workers": workers, "order": order, "loaded_per_s": alone, "trained_per_s": fed}


def _rate(call: Callable[[], Any], images: int, scale: Scale) -> float:
    """Images a second over several seconds; what was loaded ahead makes the first ones faster, so they do not count."""
    _repeat(call, scale.seconds)
    count, seconds = _repeat(call, 2 * scale.seconds)
    return images * count / seconds


def _repeat(call: Callable[[], Any], seconds: float) -> tuple[int, float]:
    start, count = time.perf_counter(), 0
    while count == 0 or time.perf_counter() - start < seconds:
        call()
        count += 1
    return count, time.perf_counter() - start
