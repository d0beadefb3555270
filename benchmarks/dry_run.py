"""Dry run at full scale: generated data of VOC's shape go the whole way, and every network is trained for one step.

    python benchmarks/dry_run.py [--images 6 | --full] [--folder DIR]

Thesis 2.4.1 and 3.4.1 without anything that has to be fetched. Each step prints its seconds, the peak of the process'
memory so far, and what it did; an error names the step.

1. Archives as VOC and SBD publish them: 500 x 375 JPEGs of generated scenes under the names of the twenty classes,
   annotations, masks, lists (`voc_shaped.py`).
2. `thesis data prepare` verifies and extracts them and lists trainaug; `thesis data check` decodes everything.
3. Files of random weights: ResNet-38 as safetensors, ResNet-101 as torchvision's file of it is laid out.
4. All stages of Mixup-CAM with one round of sub-categories, from the classifier to the segmentation, on the processor:
   preset voc2012 with networks of full width, made short by `SHORTENED` and by lists of one or two images.
5. `thesis submit` with a mask for every test image; those that no network has seen are all background.

The scores mean nothing. `--full` writes the 13,487 images that VOC and SBD have (1.2 GB beside the 3 GB of weights
that the stages keep) and changes steps 1, 2 and 5 alone.
"""

import argparse
import resource
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torchvision.models import resnet101
from voc_shaped import FULL, SIZE, Counts, write_archives, write_list

from companion.analysis.methods import MIXUP_CAM
from companion.datasets.verification import FolderReport, check_folder
from companion.datasets.voc2012.downloads import gigabytes
from companion.datasets.voc2012.prepare import prepare
from companion.datasets.voc2012.protocol import Benchmark
from companion.exchange.submission import write_submission
from companion.pipeline import engine
from companion.pipeline.stages import backbone as backbone_stage
from companion.pipeline.stages import segmentation as segmentation_stage
from companion.pipeline.store import Stage, Store
from companion.settings import Machine, Settings, load
from thesislib.data.voc import DataError, VocDataset, read_ids, write_mask
from thesislib.models.weights import save_weights

SHORTENED = {
    **{f"{stage}.batch_size": 2 for stage in ("classifier", "affinity", "segmentation")},
    **{f"{stage}.accumulate": 2 for stage in ("classifier", "affinity", "segmentation")},
    **{f"{stage}.epochs": 1 for stage in ("classifier", "subcategories", "affinity", "segmentation")},
    **{f"{stage}.augmentation.crop": 224 for stage in ("classifier", "affinity", "segmentation")},
    "subcategories.round": 1,
    "subcategories.used": (1,),
    "subcategories.checkpoints": (1,),
    "cam.scales": (1, 0.5),  # the published 1.5 and 2 are five times as much work
    "cam.splits": ("trainaug",),
    "segmentation.splits": ("test",),
}
Result = TypeVar("Result")


def timed(name: str, work: Callable[[], Result], say: Callable[[Result], object]) -> Result:
    """The result of a step, with a line about it; an error gets the step's name."""
    print(f"{name:<32}", end="", flush=True)
    start = time.perf_counter()
    try:
        result = work()
    except Exception as error:
        error.add_note(f"the dry run stopped at the step {name!r}")
        raise
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{seconds:7.1f} s {peak:6.2f} GiB  {say(result)}", flush=True)
    return result


def dry_run(folder: Path, counts: Counts, settings: Settings, size: tuple[int, int] = SIZE) -> Path:
    """All steps in a new or empty folder; returns the archive for the test server.

    Raises:
        ValueError: the folder has other content.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} must be a new or empty folder; choose another or empty it")
    data = folder.resolve() / "data"
    data.mkdir(parents=True)
    benchmark = timed("write archives", partial(write_archives, data, counts, size), archive_sizes)
    voc = timed("data prepare", partial(prepare, data, benchmark), lambda found: "; ".join(found.done)).folder
    timed("data check", partial(sound, data, benchmark), lambda report: f"all sound: {report.images}")
    settings = timed("write weights", partial(with_weights, settings, folder), lambda _: "ResNet-38, ResNet-101")
    few = first_images(voc, folder.resolve() / "few")
    last = segmentation_stage.stage(settings, Machine(data_root=str(few), device="cpu", precision="fp32"))
    store = Store(folder / "runs")
    for stage in engine.in_order([last]):
        timed(step_name(stage), partial(store.compute, stage), described)
    predicted = store.folder(last) / "crf"
    return timed("submit", partial(submit, predicted, VocDataset(voc, "test"), folder), read_back)


# --- Data -------------------------------------------------------------------------------------------------------------


def archive_sizes(benchmark: Benchmark) -> str:
    """Names and sizes of both archives."""
    return ", ".join(f"{each.filename} {gigabytes(each.size)}" for each in (benchmark.voc, benchmark.sbd))


def sound(data: Path, benchmark: Benchmark) -> FolderReport:
    """What `thesis data check` finds; raises `DataError` if anything is wrong."""
    report = check_folder(data, benchmark)
    if report.problems:
        raise DataError("\n".join(report.problems))
    return report


def first_images(voc: Path, target: Path) -> Path:
    """The same folder with lists of one or two images."""
    target.mkdir()
    for folder in ("JPEGImages", "Annotations", "SegmentationClass"):
        (target / folder).symlink_to(voc / folder)
    train, val, test = (read_ids(voc, split) for split in ("train", "val", "test"))
    for split, names in {"trainaug": train[:2], "train": train[:1], "val": val[:1], "test": test[:2]}.items():
        write_list(target / "ImageSets" / "Segmentation" / f"{split}.txt", names)
    return target


# --- Networks and results ---------------------------------------------------------------------------------------------


def with_weights(settings: Settings, folder: Path) -> Settings:
    """The settings with files of random initial weights that are written here."""
    torch.manual_seed(0)
    backbone, segmenter = folder / "resnet38-random.safetensors", folder / "resnet101-random.pth"
    save_weights(backbone_stage.build(settings.backbone), backbone)
    # Residual branches that begin as zero: with He's weights alone, 33 blocks would double the signal 33 times.
    torch.save(resnet101(weights=None, zero_init_residual=True).state_dict(), segmenter)
    return settings.override({"backbone.weights": str(backbone), "segmentation.weights": str(segmenter)})


def step_name(stage: Stage) -> str:
    """The stage, and for a second classifier what it differs in."""
    return f"{stage.name} (sub-categories)" if "subcategories" in stage.inputs else stage.name


def described(folder: Path) -> str:
    """Losses of a training; of other stages how much was written."""
    if (folder / "history.npz").is_file():
        with np.load(folder / "history.npz") as history:
            losses = {name: history[name] for name in history.files}
        steps = {len(values) for values in losses.values()}
        return f"steps: {steps.pop()}; " + ", ".join(f"{name} {values[-1]:.3g}" for name, values in losses.items())
    files = [path for path in folder.rglob("*") if path.is_file()]
    return f"{len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB"


def submit(predicted: Path, images: VocDataset, folder: Path) -> Path:
    """The archive for the test server; images without a prediction get a mask of background."""
    predictions = folder / "predictions"
    predictions.mkdir()
    for i, name in enumerate(images.ids):
        mask = predicted / f"{name}.png"
        if mask.is_file():
            shutil.copy(mask, predictions)
        else:
            write_mask(predictions / mask.name, np.zeros(images.size(i), np.uint8))
    write_submission(predictions, folder / "submission.zip", images, progress=False)
    return folder / "submission.zip"


def read_back(archive: Path) -> str:
    """What is in an archive for the test server."""
    with zipfile.ZipFile(archive) as stored:
        names, sizes = stored.namelist(), set()
        for name in names:
            with stored.open(name) as file, Image.open(file) as mask:
                sizes.add((mask.mode, *mask.size))
    return f"{len(names)} masks such as {names[0]}; (mode, width, height): {sorted(sizes)}"


def main() -> None:
    """Run it in the given folder, or in one that is deleted afterwards."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--images", type=int, default=6, help="of train, val and test each, at least 2; default 6")
    amount.add_argument("--full", action="store_true", help=f"the real numbers: {FULL}")
    parser.add_argument("--folder", type=Path, help="new or empty; kept. Default: a temporary folder")
    options = parser.parse_args()
    n = options.images
    if n < 2:
        parser.error(f"--images must be at least 2, got {n}")
    settings = load("voc2012", MIXUP_CAM.overrides | SHORTENED)
    with tempfile.TemporaryDirectory(prefix="dry-run-") as temporary:
        dry_run(options.folder or Path(temporary), FULL if options.full else Counts(2 * n, n, n, n), settings)


if __name__ == "__main__":
    main()
