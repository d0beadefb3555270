"""Whether the maps of an image and of its smaller copy agree, which is what SEAM's term trains a classifier for.

Wang et al., CVPR 2020, whose Figure 1 shows maps of its classifier as more consistent over rescaling. Measured is the
term itself (`thesislib.equivariance`), on whole images that were not trained on. Nothing here corresponds to published
code.
"""

from pathlib import Path

import numpy as np
import torch

from companion.analysis.forward import load_classifier
from companion.datasets.published import LeftOut
from companion.pipeline.provenance import upstream
from companion.settings import Machine, Settings
from thesislib.data.transforms import to_tensor
from thesislib.data.voc import VocDataset
from thesislib.equivariance import equivariance_loss, smaller


@torch.no_grad()
def disagreement(folder: Path, images: VocDataset, settings: Settings, machine: Machine, scale: float) -> float:
    """Mean over images of the difference of the maps of their present classes, in per cent of a map's range.

    Args:
        folder: of stage `response_maps`; its classifier is read.
        images: the split to measure; an image without a class is left out.
        settings: of the network.
        machine: where it runs.
        scale: of the sides of the copies.

    Raises:
        LeftOut: the classifier's weights are not published.
    """
    _, classifier, *_ = upstream(folder, without=("data", "backbone"))
    if classifier is None:
        raise LeftOut("weights")
    model = load_classifier(settings, classifier, len(images.classes), machine)
    found = []
    for i in np.flatnonzero(images.labels.any(axis=1)).tolist():
        image = to_tensor(images.image(i), model.preprocessing)[None].to(machine.torch_device)
        copy = smaller(image, scale)
        present = torch.from_numpy(images.labels[i] > 0)
        large, small = (model(each).response[:, present] for each in (image, copy))
        all_of_them = torch.ones(large.shape[:2], dtype=torch.bool)
        loss = equivariance_loss(large, small, all_of_them, size=image.shape[2:], copy_size=copy.shape[2:])
        found.append(loss.item())
    return 100 * float(np.mean(found))
