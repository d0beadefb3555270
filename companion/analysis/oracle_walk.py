"""Positive controls of step 2: the random walk along affinities that the truth gives, and another way to score it.

Thesis 2.3.3. Whether the walk can help at all on given maps and images is a question of its own: with affinities that
are right it must. All of it looks at the truth (oracle), but for the network's own affinities under `irn`'s scoring.
The second scoring is that of `make_sem_seg_labels.py` of jiwoon-ahn/irn: classes walk alone, and what is not above a
constant share of the image's maximum is background. That of jiwoon-ahn/psa walks a background row, (1 - max M)^alpha,
which is convex: an uneven object loses its middle to it.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional as F

from companion.pipeline.stages import affinity as affinity_stage
from companion.pipeline.stages.pseudo_masks import to_labels
from companion.settings import AffinitySettings, BackboneSettings, Machine
from thesislib import metrics
from thesislib.data.transforms import to_tensor
from thesislib.data.voc import IGNORE, VocDataset
from thesislib.refinement import pad_to_stride, refine_maps
from thesislib.refinement.affinity import cell_means
from thesislib.refinement.pairs import UNDECIDED, pair_labels

SCORINGS = ("psa", "irn")
IRN_BACKGROUND = 0.25  # irn's sem_seg_bg_thres
Affinities = Callable[[int], Float[Tensor, "p n"]]
"""Affinities of the pairs of an image, given its position."""


def of_truth(mask: UInt8[np.ndarray, "height width"], stride: int) -> Float[Tensor, "p n"]:
    """1 for pairs of cells of which most pixels show the same class, 0 for all others and for cells without truth.

    Args:
        mask: classes, 0 background, 255 ignored.
        stride: pixels per cell.
    """
    present = torch.from_numpy(np.unique(mask[mask != IGNORE]).astype(np.int64))
    shown = (torch.from_numpy(mask.astype(np.int64)) == present[:, None, None]).float()
    cells = cell_means(pad_to_stride(shown, stride), stride)
    labels = torch.where(cells.amax(0) > 0, cells.argmax(0), torch.tensor(UNDECIDED)).to(torch.uint8)
    background, foreground, _ = pair_labels(labels)  # whichever of both: of one class
    return (background | foreground).float()


def truths(images: VocDataset, backbone: BackboneSettings) -> Affinities:
    """`of_truth` of images."""
    stride = affinity_stage.grid(backbone)
    return lambda i: of_truth(images.mask(i), stride)


def learned(folder: Path, images: VocDataset, backbone: BackboneSettings, machine: Machine) -> Affinities:
    """What the AffinityNet in the folder of a stage `affinity` says of images."""
    model = affinity_stage.load(folder, backbone, machine)

    def found(i: int) -> Tensor:
        picture = to_tensor(images.image(i), model.preprocessing)[None]
        with torch.no_grad():
            return model(pad_to_stride(picture, model.stride).to(machine.torch_device))[0].float().cpu()

    return found


def walked_counts(
    maps: Path, images: VocDataset, affinities: Affinities, settings: AffinitySettings, stride: int
) -> Int64[np.ndarray, "scorings n c c"]:
    """Confusion counts of each image after the walk, scored as each of `SCORINGS`.

    Args:
        maps: folder of a stage `response_maps`.
        images: the split, all with masks.
        affinities: of its images.
        settings: of the walk.
        stride: pixels per cell of the affinities.
    """
    counts = []
    for i, name in enumerate(images.ids):
        classes, present = affinity_stage.present_maps(maps, name)
        rows = torch.cat([affinity_stage.walk_scores(present, settings.walk_alpha), present])
        walked = refine_maps(rows, affinities(i), stride=stride, beta=settings.beta, log2_steps=settings.log2_steps)
        psa, alone = walked[: len(present) + 1], walked[len(present) + 1 :]
        found = [_counted(images, i, to_labels(classes, scores)) for scores in (psa, irn_scores(alone))]
        counts.append(found)
    return np.stack(counts, axis=1)


def irn_scores(walked: Float[Tensor, "p height width"]) -> Float[Tensor, "q height width"]:
    """Class scores as a share of the image's maximum, below a background that is the same everywhere."""
    strongest = walked.amax() if len(walked) else torch.tensor(1.0)
    return F.pad(walked / strongest.clamp(min=1e-5), (0, 0, 0, 0, 1, 0), value=IRN_BACKGROUND)


def _counted(images: VocDataset, i: int, labels: np.ndarray) -> Int64[np.ndarray, "c c"]:
    matrix = metrics.ConfusionMatrix(len(images.classes) + 1)
    matrix.update(images.mask(i), labels)
    return matrix.counts
