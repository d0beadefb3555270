"""From response maps to refined maps: background score, affinity labels and loss, random walk, dense CRF.

Thesis sections 2.3.3 and 3.3.3, which follow Ahn and Kwak, "Learning Pixel-level Semantic Affinity with Image-level
Supervision", CVPR 2018. Corresponds to `infer_cls.py`, `voc12/data.py::VOC12AffDataset`, `train_aff.py` and
`infer_aff.py` of jiwoon-ahn/psa, as functions on tensors instead of steps of a script.
"""

from thesislib.refinement.affinity import (
    affinity_entropy,
    affinity_labels,
    affinity_labels_of_crop,
    affinity_loss,
    background_score,
    balance,
    balancing_alpha,
    cell_means,
    pad_to_stride,
    refine_maps,
)
from thesislib.refinement.crf import CRF_PARAMS, DEEPLAB, IRN, PSA, CrfMissing, CrfParams, dense_crf
from thesislib.refinement.pairs import pair_labels
from thesislib.refinement.random_walk import random_walk

__all__ = [
    "CRF_PARAMS",
    "DEEPLAB",
    "IRN",
    "PSA",
    "CrfMissing",
    "CrfParams",
    "affinity_entropy",
    "affinity_labels",
    "affinity_labels_of_crop",
    "affinity_loss",
    "background_score",
    "balance",
    "balancing_alpha",
    "cell_means",
    "dense_crf",
    "pad_to_stride",
    "pair_labels",
    "random_walk",
    "refine_maps",
]
