"""A positive control of chapter 3: clusters of features pooled under the map of their class.

Thesis 3.3.2 clusters the feature of the whole image for every class in it (3.2), so whatever else the image shows takes
part. Here the mean over cells is weighted by the response map of the class. Nothing here corresponds to published code.
"""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from companion.analysis.forward import load_classifier
from companion.settings import Machine, Settings
from thesislib.clustering import cluster
from thesislib.data.transforms import to_tensor
from thesislib.data.voc import VocDataset


def under_maps(features: Float[Tensor, "d h w"], response: Float[Tensor, "p h w"]) -> Float[Tensor, "p d"]:
    """Means of features over cells, weighted by each rectified map; a map without any response weighs all cells alike.

    >>> under_maps(torch.tensor([[[1.0, 3.0]]]), torch.tensor([[[1.0, 0.0]], [[1.0, 1.0]]])).tolist()
    [[1.0], [2.0]]
    """
    weights = response.relu()
    empty = weights.sum((1, 2), keepdim=True) == 0
    weights = torch.where(empty, torch.ones_like(weights), weights)
    return torch.einsum("dhw,phw->pd", features, weights / weights.sum((1, 2), keepdim=True))


@torch.no_grad()
def clusters_under_maps(
    folder: Path, images: VocDataset, settings: Settings, machine: Machine, seed: int
) -> Int64[np.ndarray, "n c"]:
    """K-means of each class over `under_maps` of its images, with K and seed as for (3.2); -1 without the class.

    Args:
        folder: of stage `classifier`.
        images: that are clustered.
        settings: of the classifier; they have K.
        machine: where the network runs.
        seed: of K-means.
    """
    model = load_classifier(settings, folder, len(images.classes), machine)
    points: list[list[np.ndarray]] = [[] for _ in images.classes]
    for i, labels in enumerate(images.labels):
        present = np.flatnonzero(labels)
        features = model.features(to_tensor(images.image(i), model.preprocessing)[None].to(machine.torch_device))
        means = under_maps(features[0], model.fc8(features)[0, present.tolist()])
        for row, mean in zip(present.tolist(), means.float().cpu().numpy(), strict=True):
            points[row].append(mean)
    found = np.full(images.labels.shape, -1, np.int64)
    for c, of_class in enumerate(points):
        if of_class:
            alone = np.ones((len(of_class), 1), np.uint8)
            assigned = cluster(np.stack(of_class), alone, settings.subcategories.k, seed).assignments
            found[images.labels[:, c] > 0, c] = assigned[:, 0]
    return found
