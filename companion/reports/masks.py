"""What `thesis masks` makes of labelled photographs: masks, overlays, maps, a table and a page.

Thesis 2.3 and 3.3. All that is computed is computed by the stages of the pipeline, in a store of its own inside the
folder, so that a run that was cut short goes on, and new photographs find the trained networks.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from companion.analysis import own_masks
from companion.datasets import own
from companion.datasets.own import Prepared
from companion.datasets.truth import Truth, check_truth, find_truth, own_mask
from companion.exchange import mask_files
from companion.experiments.own_images import METHODS, OwnImages
from companion.experiments.parameters import differences
from companion.pipeline import artefacts, engine
from companion.pipeline.artefacts import ResponseMaps
from companion.pipeline.store import Stage, Store
from companion.reports import found, masks_page
from companion.reports.page import duration
from companion.reports.record import write_text
from companion.settings import Machine, Settings, SettingsError, load
from thesislib import cam, metrics
from thesislib.data.voc import DataError, read_image
from thesislib.refinement.crf import crf_available, crf_missing

RUN = "run.json"
TABLE = "results.csv"


@dataclass(frozen=True)
class Run:
    """One run: where it is, of which photographs, and with what.

    Args:
        folder: of all that it writes.
        images: folder of the photographs.
        method: one of `METHODS`.
        seed: training seed.
        settings: of the preset with overrides.
    """

    folder: Path
    images: Path
    method: str
    seed: int
    settings: Settings

    @property
    def data(self) -> Path:
        """The photographs as they are computed on."""
        return self.folder / "data"

    @property
    def store(self) -> Store:
        """Of its stages."""
        return Store(self.folder / "runs")

    @property
    def machine(self) -> Machine:
        """Where it runs."""
        return Machine(data_root=str(self.data))

    @cached_property
    def experiment(self) -> OwnImages:
        """What it asks."""
        return OwnImages(
            settings=self.settings,
            seeds=[self.seed],
            machine=self.machine,
            compute=self.compute,
            method=self.method,
            images_shown=0,
        )

    def compute(self, stages: Mapping[Any, Stage]) -> Mapping[Any, Path]:
        """The folder of each stage, computed where it is missing."""
        folders = engine.run(list(stages.values()), self.store)
        return {name: folders[stage.key] for name, stage in stages.items()}


def check_crf() -> None:
    """Refuse, before anything is computed, to run without the dense CRF; raises `SettingsError`."""
    if not crf_available():
        raise SettingsError(f"masks need the dense CRF: {crf_missing()}")


def missing(run: Run) -> int:
    """How many stages would be computed."""
    return len(engine.missing(run.experiment.stages(), run.store))


def read(folder: Path) -> Run:
    """The run in a folder that `make` has filled; raises `DataError` if there is none."""
    path = folder / RUN
    if not path.is_file():
        raise DataError(f"{folder} is not the --output of a finished `thesis masks`: there is no {path}")
    found = json.loads(path.read_text(encoding="utf-8"))
    chosen = load(found["preset"], found["settings"])
    return Run(folder, Path(found["images"]), found["method"], found["seed"], chosen)


def read_truth(run: Run, made: Prepared, folder: Path, say: Callable[[str], object]) -> Truth:
    """The true masks of the photographs, all checked; they are not among the data, so that they decide nothing.

    Args:
        run: of these photographs.
        made: its data.
        folder: with the masks.
        say: takes each note on them.

    Raises:
        DataError: with all masks that cannot be used; or they contradict the image labels.
    """
    truth = find_truth(folder, list(made.labels.shown), made.labels.classes)
    for note in check_truth(truth, run.images, made.labels):
        say(f"note: {note}")
    return truth


def make(run: Run, made: Prepared, *, truth: Truth | None = None, maps: bool = False) -> Path:
    """Compute what is missing, write masks, overlays, table and page; returns the page.

    Args:
        run: to make.
        made: its data.
        truth: true masks, for scores at the size of the photographs.
        maps: write response maps too.
    """
    found, classes = run.experiment.found, made.labels.classes
    ids = own.read_images(run.data)
    looks = {look.image: look.reasons for look in run.experiment.looks}
    counts = _write_images(run, ids, classes, truth, maps)
    write_text(run.folder / "classes.txt", "".join(f"{name}\n" for name in classes))
    _write_table(run.folder / TABLE, ids, classes, found, looks)
    scored = None if truth is None or counts is None else (counts, len(truth.masks))
    page = masks_page.write(_content(run, made, ids, looks, scored), run.folder)
    write_text(run.folder / RUN, json.dumps(_described(run), indent=1) + "\n")
    return page


def _described(run: Run) -> dict[str, Any]:
    """What `read` needs."""
    changed = differences(run.settings, load(run.settings.preset))
    described = {"preset": run.settings.preset, "settings": {name: own for name, (own, _) in changed.items()}}
    return described | {"method": run.method, "seed": run.seed, "images": str(run.images)}


def _write_images(
    run: Run, ids: Mapping[str, str], classes: Sequence[str], truth: Truth | None, maps: bool
) -> np.ndarray | None:
    """Write the files of every image; returns confusion counts at the size of the photographs, if there is truth."""
    matrix = metrics.ConfusionMatrix(len(classes) + 1)
    folders, files = run.experiment.folders, mask_files.targets(list(ids.values()))
    for name, image in tqdm(ids.items(), "writing masks", unit="image"):
        picture = read_image(run.images / image)
        size = picture.shape[:2]
        mask = mask_files.enlarged(artefacts.read_mask(folders["masks"], name), size)
        mask_files.write(run.folder, files[image], picture, mask)
        if maps:
            stored = ResponseMaps.read(folders["maps"], name)
            found = cam.normalize(torch.from_numpy(stored.maps)).numpy()
            by_class = {classes[c]: of_class for c, of_class in zip(stored.classes, found, strict=True)}
            mask_files.write_maps(run.folder, files[image], size, by_class)
        if truth and image in truth.masks:
            matrix.update(own_mask(truth, image, size), mask)
    return matrix.counts if truth else None


def _write_table(
    path: Path,
    ids: Mapping[str, str],
    classes: Sequence[str],
    found: own_masks.Findings,
    looks: Mapping[int, Sequence[str]],
) -> None:
    """A line an image: labels, share of each class in per cent, doubt, and why to look at it."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["image", "labels", *(f"{name}, % of pixels" for name in classes), "unsure", "look"])
    for i, image in enumerate(ids.values()):
        labels = ";".join(classes[c] for c in np.flatnonzero(found.labels[i]).tolist())
        shares = [f"{100 * share:.2f}" for share in found.shares[i]]
        writer.writerow([image, labels, *shares, f"{found.doubt[i]:.3f}", "; ".join(looks.get(i, ()))])
    write_text(path, table.getvalue())


def _content(
    run: Run,
    made: Prepared,
    ids: Mapping[str, str],
    looks: Mapping[int, Sequence[str]],
    scored: tuple[np.ndarray, int] | None,
) -> masks_page.Content:
    classes, images = made.labels.classes, list(ids.values())
    files = mask_files.targets(images)
    overlays = [run.folder / mask_files.OVERLAYS / f"{files[image]}.jpg" for image in images]
    seconds = {str(stage.name): run.store.provenance(stage)["duration_s"] for stage in _stages(run)}
    facts = {"images": str(len(images)), "classes": ", ".join(classes), "labels": made.labels.kind}
    frame = own_masks.by_class(run.experiment.found, classes)
    if scored is not None:
        counts, images_with_mask = scored
        iou = metrics.class_iou(counts)
        frame["IoU"] = [None if np.isnan(value) else 100 * float(value) for value in iou[1:]]
        facts["mIoU with your masks"] = (
            f"{100 * float(np.nanmean(iou)):.1f} % on {images_with_mask} images, with background"
        )
    facts |= {"time": duration(sum(seconds.values())), "training seed": str(run.seed), "preset": run.settings.preset}
    return masks_page.Content(
        source=run.images.name,
        method=METHODS[run.method].name,
        why=found.on_photographs(),
        facts=facts,
        classes=frame,
        looks=[
            masks_page.Look(images[i], ", ".join(made.labels.shown[images[i]]), reasons, overlays[i])
            for i, reasons in looks.items()
        ],
        sheet=list(zip(images, overlays, strict=True)),
        ignored=made.ignored,
        notes=made.notes,
        seconds=seconds,
        settings=differences(run.settings.override(METHODS[run.method].overrides), load("voc2012")),
    )


def _stages(run: Run) -> list[Stage]:
    return engine.in_order(run.experiment.stages())
