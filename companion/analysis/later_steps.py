"""One image through steps 2 and 3: masks after the random walk, after the CRF, and of the segmentation network.

Thesis 2.3 and 3.3. The networks are trained stages of the store; nothing here is stored. The published counterparts are
`infer_aff.py` of jiwoon-ahn/psa and `main.py` of kazuto1011/deeplab-pytorch.
"""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from companion.pipeline.stages import affinity as affinity_stage
from companion.pipeline.stages import pseudo_masks, segmentation
from companion.settings import Machine, Settings
from thesislib.refinement.affinity import background_score
from thesislib.refinement.crf import DEEPLAB, dense_crf

Masks = dict[str, UInt8[np.ndarray, "h w"]]
"""Label maps by the name of their step, in the order of the steps."""


def refined(
    image: UInt8[np.ndarray, "h w 3"],
    labels: UInt8[np.ndarray, " c"],
    maps: Float[Tensor, "c h w"],
    affinity: Path,
    settings: Settings,
    machine: Machine,
) -> Masks:
    """Step 2: label maps after the random walk, and after the CRF, which is the pseudo-mask.

    Args:
        image: RGB, 0-255.
        labels: 1 for each class in it.
        maps: of one method, normalised.
        affinity: folder of that method's stage `affinity`.
        settings: of that method.
        machine: where it is computed.
    """
    classes = np.flatnonzero(labels)
    start = background_score(maps[classes], settings.affinity.walk_alpha)
    network = affinity_stage.load(affinity, settings.backbone, machine)
    [walked] = pseudo_masks.refine(network, [image], [start], settings.affinity, precision=machine.precision)
    final = pseudo_masks.final_scores(image, walked, settings.segmentation.pseudo_mask, settings.crf)
    masks = {"random walk": walked, "pseudo-mask": final}
    return {name: pseudo_masks.to_labels(classes, scores) for name, scores in masks.items()}


def segmented(
    image: UInt8[np.ndarray, "h w 3"], num_classes: int, segmenter: Path, settings: Settings, machine: Machine
) -> Masks:
    """Step 3: label maps of the segmentation network without and with the CRF.

    Args:
        image: RGB, 0-255.
        num_classes: without background.
        segmenter: folder of a method's stage `segmenter`.
        settings: of that method.
        machine: where it is computed.
    """
    own = segmentation.shared_backbone(settings).get("backbone")
    trained = segmentation.load(segmenter, settings.segmentation, num_classes + 1, machine, own)
    probabilities = segmentation.predict(trained, image, precision=machine.precision)
    sharpened = dense_crf(image, probabilities, affinity_stage.crf_params(DEEPLAB, settings.crf))
    found = {"DeepLab-v2": probabilities, "DeepLab-v2 + CRF": sharpened}
    return {name: scores.argmax(dim=0).to(torch.uint8).numpy() for name, scores in found.items()}
