"""What `demo_choice.py` measures on response maps and affinity labels beyond the scores of their stages."""

from pathlib import Path

import numpy as np
import torch

from companion.pipeline.artefacts import ResponseMaps
from companion.pipeline.stages.affinity import grid
from companion.pipeline.stages.affinity_data import cell_labels
from companion.settings import Settings
from thesislib import cam
from thesislib.data.transforms import Geometry
from thesislib.data.voc import IGNORE, VocDataset
from thesislib.refinement.affinity import cell_means
from thesislib.refinement.pairs import source_shape


def of_maps(folder: Path, images: VocDataset, alpha: float) -> dict[str, np.ndarray | float]:
    """Peak, background response (each a class) and objects lost to the mean of the background row."""
    peaks: list[list[bool]] = [[] for _ in images.classes]
    quiet: list[list[float]] = [[] for _ in images.classes]
    lost: list[bool] = []
    for i, name in enumerate(images.ids):
        maps = cam.normalize(ResponseMaps.read(folder, name).of_classes(len(images.classes))).numpy()
        mask, background = images.mask(i), (1 - maps.max(axis=0)) ** alpha
        for c in np.flatnonzero(images.labels[i]):
            inside = mask == c + 1
            peaks[c].append(bool(inside.flat[maps[c].argmax()]))
            quiet[c].append(maps[c][mask == 0].mean())
            lost.append(background[inside].mean() > maps[c][inside].mean())
    return {
        "peak on the object": np.array([np.mean(values) for values in peaks]),
        "background response": np.array([np.mean(values) for values in quiet]),
        "objects lost": float(np.mean(lost)),
    }


def affinity_labels(folder: Path, images: VocDataset, stride: int) -> dict[str, float]:
    """Share of labelled cells that are right, those labelled background and those labelled with a class; how many."""
    right: dict[bool, list[np.ndarray]] = {True: [], False: []}
    cells = 0
    for i, name in enumerate(images.ids):
        height, width = images.size(i)
        labels = cell_labels(folder, name, Geometry(height, width, False, 0, 0, max(height, width)), stride).numpy()
        mask = torch.from_numpy(images.mask(i).astype(np.int64))
        shown = torch.stack([(mask == value).float() for value in (*range(len(images.classes) + 1),)])
        means = cell_means(shown, stride)
        truth = torch.where(means.amax(0) > 0, means.argmax(0), IGNORE).numpy()
        cells += labels.size
        for background in right:
            of_kind = (labels != IGNORE) & ((labels == 0) == background) & (truth != IGNORE)
            right[background].append((labels == truth)[of_kind])
    background, foreground = (np.concatenate(right[kind]) for kind in (True, False))
    return {
        "labels right, background": float(background.mean()),
        "labels right, classes": float(foreground.mean()),
        "cells labelled": (len(background) + len(foreground)) / cells,
    }


def sources(images: VocDataset, chosen: Settings) -> float:
    """Share of the cells of the first image from which AffinityNet has pairs."""
    rows, columns = (-(-side // grid(chosen.backbone)) for side in images.size(0))
    return float(np.prod(source_shape(rows, columns)) / (rows * columns))
