"""Training steps that `gpu_check` times: the networks and objectives of the stages on random images and weights.

The step is `thesislib.training.train_step`, of networks and optimisers that are built in different ways. What is
measured at all, on which machine and for how long, is a `Scale`. Nothing here corresponds to published code.
"""

import copy
import functools
import gc
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from companion.cost import operations
from companion.pipeline.stages import affinity as affinity_stage
from companion.pipeline.stages import classifier as classifier_stage
from companion.pipeline.stages import segmentation as segmentation_stage
from companion.pipeline.training import groups, optimisation
from companion.settings import OptimiserSettings, Settings, load
from thesislib.refinement.pairs import UNDECIDED
from thesislib.training import Objective, train_step

GIB = 2**30
TINY = {
    "cam.scales": (1, 0.5),
    "affinity.augmentation.crop": 48,
    "segmentation.augmentation.crop": 33,
    "segmentation.accumulate": 1,
}
Step = Callable[[list[Tensor]], Any]


@dataclass(frozen=True)
class Scale:
    """What is measured, where, and for how long.

    Attributes:
        settings: of the networks and trainings.
        size: rows and columns of an image outside training.
        crops: the classifier's crops that are used, by the published ones they stand for.
        device: `cuda`, or `cpu` for a test.
        seconds: about how long a measurement is repeated.
        backend: of torch.compile.
        loaded: images in the folder that loading is measured on.
        workers: numbers of processes that load them.
    """

    settings: Settings
    size: tuple[int, int]
    crops: dict[int, int]
    device: str = "cuda"
    seconds: float = 1.5
    backend: str = "inductor"
    loaded: int = 256
    workers: tuple[int, ...] = (0, 4, 8)

    @property
    def gpu(self) -> bool:
        """Whether a GPU is measured."""
        return self.device != "cpu"


def full_scale() -> Scale:
    """The published sizes on a GPU."""
    return Scale(load("voc2012"), operations.VOC_SIZE, {448: 448, 224: 224})


def tiny_scale() -> Scale:
    """Narrow networks and small images on the processor, to test the check itself."""
    return Scale(load("smoke", TINY), (48, 64), {448: 48, 224: 32}, "cpu", 0.01, "eager", 8, (0, 2))


@dataclass(frozen=True)
class Way:
    """How a training step is computed; the defaults are those of `training.train` on a GPU, in bf16."""

    precision: str = "bf16"
    channels_last: bool = True
    fused: bool = True
    compiled: bool = False
    accumulate: int = 1


@dataclass(frozen=True)
class Timing:
    """Median seconds of a call, and the peak of GPU memory from its first call on.

    Attributes:
        seconds: of a call.
        first_call_s: of the first one, which also loads, compiles or tries out.
        repetitions: calls that were timed.
        peak_gib: GPU memory in use, GiB; None without a GPU.
        reserved_gib: GPU memory that PyTorch held for it.
    """

    seconds: float
    first_call_s: float
    repetitions: int
    peak_gib: float | None
    reserved_gib: float | None


def timed(call: Callable[[], Any], scale: Scale) -> Timing:
    """Repeat a call for the scale's seconds, at least twice and after one or two that do not count."""
    if scale.gpu:
        torch.cuda.reset_peak_memory_stats()
    first = _seconds(call, scale)
    if first < scale.seconds:
        _seconds(call, scale)
    measured: list[float] = []
    while len(measured) < 2 or sum(measured) < scale.seconds:
        measured.append(_seconds(call, scale))
    memory = (torch.cuda.max_memory_allocated() / GIB, torch.cuda.max_memory_reserved() / GIB) if scale.gpu else None
    return Timing(statistics.median(measured), first, len(measured), *(memory or (None, None)))


def _seconds(call: Callable[[], Any], scale: Scale) -> float:
    start = time.perf_counter()
    call()
    if scale.gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - start


@contextmanager
def clean_memory(scale: Scale) -> Iterator[None]:
    """Gives the GPU's memory back afterwards, so that a measurement does not see that of the one before."""
    try:
        yield
    finally:
        if scale.gpu:
            gc.collect()
            torch.cuda.empty_cache()


@functools.cache
def _built(build: Callable[[Settings], nn.Module], settings: Settings) -> nn.Module:
    torch.manual_seed(0)
    return build(settings)


def fresh(scale: Scale, build: Callable[[Settings], nn.Module]) -> Any:
    """A network of `flops` on the device; building takes seconds, so it is built once and copied."""
    return copy.deepcopy(_built(build, scale.settings)).to(scale.device)


def training_step(
    scale: Scale,
    model: nn.Module,
    objective: Objective,
    settings: OptimiserSettings,
    way: Way,
) -> Step:
    """A function that trains `model` on one batch, as `training.train` does apart from checkpoints."""
    if way.channels_last:
        model.to(memory_format=torch.channels_last)
    optimiser = optimisation(settings).build(groups(model, settings), fused=way.fused)
    network: Any = torch.compile(model.train(), backend=scale.backend) if way.compiled else model.train()
    return functools.partial(
        train_step,
        network,
        optimiser,
        objective,
        step=0,
        seed=0,
        parts=way.accumulate,
        device=scale.device,
        precision=way.precision,
    )


def classifier_step(scale: Scale, way: Way, crop: int) -> tuple[Step, list[Tensor]]:
    """The plain classifier's step and a batch on the device."""
    chosen = scale.settings.classifier
    model = fresh(scale, operations.classifier)
    images = torch.randn(chosen.batch_size, 3, crop, crop, device=scale.device)
    labels = (torch.rand(chosen.batch_size, operations.VOC_CLASSES, device=scale.device) < 0.1).float()
    objective = classifier_stage.objective(chosen, operations.VOC_CLASSES)
    return training_step(scale, model, objective, chosen, way), [images, labels]


def affinity_step(scale: Scale, way: Way) -> tuple[Step, list[Tensor]]:
    """AffinityNet's step and a batch on the device."""
    chosen = scale.settings.affinity
    model = fresh(scale, operations.affinity)
    crop = chosen.augmentation.crop
    images = torch.randn(chosen.batch_size, 3, crop, crop, device=scale.device)
    cells = -(-crop // model.stride)
    names = torch.tensor([0, 1, 2, UNDECIDED], dtype=torch.uint8, device=scale.device)
    labels = names[torch.randint(4, (chosen.batch_size, cells, cells), device=scale.device)]
    return training_step(scale, model, affinity_stage.objective(chosen), chosen, way), [images, labels]


def segmenter_step(scale: Scale, way: Way) -> tuple[Step, list[Tensor]]:
    """DeepLab-v2's step and a batch on the device."""
    chosen = scale.settings.segmentation
    crop = chosen.augmentation.crop
    images = torch.randn(chosen.batch_size, 3, crop, crop, device=scale.device)
    shape = (chosen.batch_size, crop, crop)
    labels = torch.randint(operations.VOC_CLASSES + 1, shape, dtype=torch.uint8, device=scale.device)
    model = fresh(scale, operations.segmenter)
    return training_step(scale, model, segmentation_stage.objective(chosen), chosen, way), [images, labels]
