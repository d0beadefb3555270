"""What AffinityNet is trained on: augmented crops as published, or maps of whole images that are computed once.

Published code: `voc12/data.py::VOC12AffDataset` of jiwoon-ahn/psa. Where the whole backbone is frozen its maps of an
image never change, and the head alone is trained, on whole images without augmentation.
"""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from companion.pipeline.artefacts import AffinityScores
from companion.pipeline.store import Progress
from companion.settings import AffinitySettings
from thesislib import randomness
from thesislib.data.transforms import Geometry, augment, draw_geometry, to_tensor
from thesislib.data.voc import VocDataset
from thesislib.models.affinitynet import AffinityNet
from thesislib.refinement import affinity_labels_of_crop, pad_to_stride
from thesislib.refinement.pairs import UNDECIDED

KEPT = torch.float16  # of maps in memory; their root mean square is 1


class LabelledCrops(Dataset):
    """Augmented images with the affinity labels of their cells, addressed by (epoch, index)."""

    def __init__(
        self, images: VocDataset, scores: Path, settings: AffinitySettings, model: AffinityNet, seed: int
    ) -> None:
        self.images, self.scores, self.seed = images, scores, seed
        self.stride, self.preprocessing = model.stride, model.preprocessing
        self.augmentation = settings.augmentation

    def __getitem__(self, address: tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, index = address
        image, position = self.images.image(index), (self.seed, randomness.AUGMENTATION, epoch, index)
        # The same generator twice, so that the scores get the crop of the image.
        height, width = image.shape[:2]
        geometry = draw_geometry(height, width, randomness.generator(*position), self.augmentation)
        view = augment(image, randomness.generator(*position), self.augmentation, self.preprocessing)
        return view, cell_labels(self.scores, self.images.ids[index], geometry, self.stride)


class WholeImages(Dataset):
    """Maps of the frozen backbone for whole images with the labels of their cells, addressed by (epoch, index).

    All are padded to the largest image, maps by their last row and column, labels by 255.
    """

    def __init__(self, images: VocDataset, scores: Path, model: AffinityNet, device: str, progress: Progress) -> None:
        side = max(max(images.size(i)) for i in range(len(images)))
        side += -side % max(model.stride, *(tap.stride for tap in model.backbone.taps))
        model.to(device).eval()
        self.items = []
        for i, name in enumerate(images.ids):
            height, width = images.size(i)
            labels = cell_labels(scores, name, Geometry(height, width, False, 0, 0, side), model.stride)
            labels[-(-height // model.stride) :], labels[:, -(-width // model.stride) :] = UNDECIDED, UNDECIDED
            self.items.append((*self._maps(model, images.image(i), side, device), labels))
            progress(i + 1, len(images), "maps of the backbone")

    def __getitem__(self, address: tuple[int, int]) -> tuple[Tensor, ...]:
        *maps, labels = self.items[address[1]]
        return *(each.float() for each in maps), labels

    @staticmethod
    @torch.no_grad()
    def _maps(model: AffinityNet, image: np.ndarray, side: int, device: str) -> list[Tensor]:
        picture = pad_to_stride(to_tensor(image, model.preprocessing)[None], model.stride)
        maps = model.levels(picture.to(device))
        sides = [side // max(model.stride, tap.stride) for tap in model.backbone.taps]
        return [_widened(each, cells)[0].to("cpu", KEPT) for each, cells in zip(maps, sides, strict=True)]


def cell_labels(scores: Path, name: str, geometry: Geometry, stride: int) -> UInt8[Tensor, "h w"]:
    """Affinity labels of an image's cells in a window: 0, c + 1, or 255 where undecided."""
    stored = AffinityScores.read(scores, name)
    classes = stored.classes.astype(np.int64) + 1
    low, high = (torch.from_numpy(of_alpha.astype(np.float32)) for of_alpha in (stored.low, stored.high))
    labels = affinity_labels_of_crop(low, high, geometry, stride)
    names = torch.full((256,), UNDECIDED, dtype=torch.uint8)
    names[0], names[1 : len(classes) + 1] = 0, torch.from_numpy(classes).to(torch.uint8)
    return names[labels.long()]


def _widened(maps: Tensor, cells: int) -> Tensor:
    height, width = maps.shape[2:]
    return F.pad(maps, (0, cells - width, 0, cells - height), mode="replicate")
