"""Alphas of the background score that follow the maps: a control for the random walk's dependence on a threshold.

psa's alphas are constants for maps of one threshold (A21). A method whose maps are lower or higher throughout gains or
loses with them, whatever its maps are worth. `affinity.alphas = matched` lets the walk of each row start from as much
background as that of plain CAM of the same seed; no truth takes part. Nothing here corresponds to published code.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from companion.pipeline.artefacts import ResponseMaps
from companion.pipeline.stages import response_maps
from companion.pipeline.stages.rounds import WITHOUT_REGULARISERS
from companion.pipeline.store import Stage
from companion.settings import Machine, Settings
from thesislib import cam
from thesislib.refinement import balance, balancing_alpha

BINS = 10_000
PLAIN = WITHOUT_REGULARISERS | {"subcategories.round": 0, "cam.head": "parent", "cam.epoch": 0}


def plain_maps(settings: Settings, machine: Machine, split: str) -> dict[str, Stage]:
    """The maps of plain CAM of the same seed as an input of a stage; none where the alphas are constant."""
    if settings.affinity.alphas == "constant":
        return {}
    plain = settings.override(PLAIN)
    return {name_of(split): response_maps.stage_with(plain, machine, split, f"CAM, seed {settings.seed}")}


def name_of(split: str) -> str:
    """Under which name a stage finds these maps among its inputs."""
    return f"plain maps of {split}"


def factor(walk_alpha: float, images: Sequence[str], maps: Path, plain: Path | None) -> float:
    """What the alphas are multiplied with; 1 without plain maps.

    Args:
        walk_alpha: the constant.
        images: names.
        maps, plain: folders of response maps of the row and of plain CAM.
    """
    if plain is None:
        return 1
    reference = balance(walk_alpha)
    ours, theirs = (_histogram(folder, images) for folder in (maps, plain))
    foreground = theirs[round(reference * BINS) :].sum() / theirs.sum()
    above = ours[::-1].cumsum() / ours.sum()  # share of the pixels in the last 1, 2, ... bins
    level = 1 - (int(np.searchsorted(above, foreground)) + 1) / BINS
    return balancing_alpha(min(max(level, 1 / BINS), 1 - 1 / BINS)) / walk_alpha


def _histogram(folder: Path, images: Sequence[str]) -> np.ndarray:
    """How many pixels have their strongest normalised response in each of `BINS` parts of 0 to 1."""
    counts = np.zeros(BINS, np.int64)
    for name in images:
        maps = cam.normalize(torch.from_numpy(ResponseMaps.read(folder, name).maps))
        strongest = maps.amax(dim=0) if len(maps) else torch.zeros(maps.shape[1:])
        counts += np.histogram(strongest.numpy(), BINS, (0, 1))[0]
    return counts
