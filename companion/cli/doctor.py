"""What this machine has and lacks for each preset, and how to get it."""

import importlib
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from companion.analysis import gpu_results
from companion.cost.gpu import projection
from companion.datasets.checks import check
from companion.datasets.layout import find_layout
from companion.pipeline.stages import backbone as backbone_stage
from companion.pipeline.stages import segmentation as segmentation_stage
from companion.pipeline.stages.data import SPLITS
from companion.settings import Machine, Settings
from thesislib.data.voc import DataError, VocDataset
from thesislib.models.timm_backbone import PREFIX
from thesislib.models.weights import load_weights
from thesislib.refinement.crf import crf_missing

NEEDED_GB = {"smoke": 1, "demo": 3, "animals": 60, "own": 10, "voc2012": 120}
PAPER_SCALE = ("voc2012", "coco2014")  # trained on a GPU
THESIS_GPU = 12  # GB, thesis 2.4.1 and 3.4.1


class Finding(NamedTuple):
    """One thing that a preset needs: whether it is there, what was found, and what to do if it is not."""

    what: str
    present: bool
    found: str
    advice: str = ""


def examine(settings: Settings, machine: Machine, runs_dir: Path) -> Iterator[Finding]:
    """Everything that a run with these settings needs, in the order in which it is needed."""
    version = platform.python_version()
    yield Finding("Python", (3, 11) <= sys.version_info[:2] <= (3, 12), version, "install Python 3.11 or 3.12")
    yield _packages("notebooks", ("papermill", "nbconvert", "ipykernel", "distributed"), "pip install '.[reports]'")
    reason = crf_missing()
    yield Finding("dense CRF", not reason, reason or "pydensecrf can be imported", "apt install g++ python3-dev first")
    yield _gpu(settings)
    if settings.preset in PAPER_SCALE:
        advice = "delete that file; the other results of gpu-check are read again"
        yield _attempt("GPU memory", lambda: memory_settings(gpu_results.newest()), advice)
    yield _disk(settings.preset, runs_dir)
    if settings.data.source == "folder" or machine.data_root:
        yield _attempt("data", lambda: _data(machine.data_root), "--data-root: the folder that holds VOCdevkit")
    if settings.data.source == "folder":
        weights = f"--set backbone.weights=FILE: {backbone_stage.initial_weights(settings.backbone.network)}"
        yield _attempt("ImageNet weights", lambda: _weights(settings), weights)
    if settings.segmentation.init in segmentation_stage.INITIAL_WEIGHTS:
        advice = f"--set segmentation.weights=FILE: {segmentation_stage.INITIAL_WEIGHTS[settings.segmentation.init]}"
        yield _attempt("DeepLab weights", lambda: _deeplab_weights(settings), advice)


def _packages(what: str, modules: tuple[str, ...], advice: str) -> Finding:
    broken = []
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever a package raises that was built for other packages
            broken.append(f"{name} ({type(error).__name__}: {error})")
    found = f"cannot be imported: {', '.join(broken)}" if broken else "can be imported"
    return Finding(what, not broken, found, advice)


def _gpu(settings: Settings) -> Finding:
    needed = settings.preset in PAPER_SCALE
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return Finding("GPU", True, f"{torch.cuda.get_device_name()}, {memory:.0f} GB")
    return Finding("GPU", not needed, f"none; {os.cpu_count()} cores", "training at this scale needs a CUDA GPU")


def memory_settings(results: Path | None) -> str:
    """Settings that fit into 12 GB by the peak memory in a results file of gpu-check; no guess without one."""
    if results is None:
        return f"not measured: `make gpu-check` on a GPU finds the settings that fit {THESIS_GPU} GB"
    record = gpu_results.read(results)
    found = projection.fitting(record, THESIS_GPU)
    unknown = [name for name in projection.TRAINED.values() if name not in found]
    chosen = " ".join(f"{name}={value}" for name, value in found.items()) or "none"
    missing = f"; nothing that was measured fits for {', '.join(unknown)}" if unknown else ""
    return f"{THESIS_GPU} GB in bf16: {chosen}{missing} (measured on {gpu_results.device(record)}, {results.name})"


def _disk(preset: str, runs_dir: Path) -> Finding:
    existing = next(folder for folder in (runs_dir.absolute(), *runs_dir.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free / 1e9
    found, needed = f"{free:.0f} GB free at {existing}", NEEDED_GB.get(preset)
    if needed is None:
        return Finding("disk", True, f"{found}; how much preset {preset} needs was not measured")
    return Finding("disk", free > needed, found, f"free {needed} GB, or use --runs-dir")


def _attempt(what: str, look: Callable[[], str], advice: str) -> Finding:
    try:
        return Finding(what, True, look())
    except ValueError as error:
        return Finding(what, False, str(error), advice)


def _data(root: str) -> str:
    if not root:
        raise DataError("no folder given")
    find_layout(Path(root))
    counts = []
    for split in SPLITS:
        dataset = VocDataset(root, split)
        check(dataset, masks=False, full=True, progress=True)
        counts.append(f"{split} {len(dataset)}")
    return ", ".join(counts)


def _weights(settings: Settings) -> str:
    stage = backbone_stage.stage(settings, Machine())
    if settings.backbone.network.startswith(PREFIX):
        return f"{settings.backbone.network}: {stage.file or stage.bound['checksum']}"
    if not settings.backbone.weights:
        raise ValueError("no file given")
    backbone_stage.read_file(settings.backbone.weights, stage)
    tensors = load_weights(backbone_stage.build(settings.backbone), settings.backbone.weights, heads=False)
    return f"{settings.backbone.weights}: {tensors} tensors"


def _deeplab_weights(settings: Settings) -> str:
    chosen = settings.segmentation
    if not chosen.weights:
        raise ValueError("no file given")
    segmentation_stage.read_initial_weights(chosen.weights, segmentation_stage.segmenter_stage(settings, Machine()))
    tensors = load_weights(segmentation_stage.build(chosen, num_classes=2), chosen.weights, heads=False)
    return f"{chosen.init}, {chosen.weights}: {tensors} tensors"
