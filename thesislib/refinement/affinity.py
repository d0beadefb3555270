"""From response maps to refined maps: background score, affinity labels and loss, random walk, dense CRF.

Thesis sections 2.3.3 and 3.3.3, which follow Ahn and Kwak, "Learning Pixel-level Semantic Affinity with Image-level
Supervision", CVPR 2018. Corresponds to `infer_cls.py`, `voc12/data.py::VOC12AffDataset`, `train_aff.py` and
`infer_aff.py` of jiwoon-ahn/psa. The pairs of cells are in `pairs`, the walk in `random_walk`, the CRF in `crf`.

Deliberate difference: functions on tensors instead of steps of a script.
"""

import math

import torch
from jaxtyping import Float, Shaped, UInt8
from scipy.optimize import brentq
from torch import Tensor
from torch.nn import functional as F

from thesislib.data.transforms import Geometry, crop_window
from thesislib.precision import at_least_float32
from thesislib.refinement.pairs import RADIUS, UNDECIDED
from thesislib.refinement.random_walk import random_walk

NO_SCORE = 1e-5  # a cell whose scores all stay below it lies outside the image
LOG_EPS = 1e-5


def background_score(
    normalized: Float[Tensor, "*n c height width"], alpha: float
) -> Float[Tensor, "*n c+1 height width"]:
    """Put the background score (1 - max_c M_c)^alpha before the class maps.

    The larger `alpha`, the smaller the background: it exceeds a lone class score below 0.276 at alpha = 4, 0.123 at
    16, 0.077 at 32. An image without any response is background with certainty.

    Args:
        normalized: `(C, H, W)` from `cam.normalize`, in [0, 1]; absent classes are 0 or left out.
        alpha: power, positive. Published (A21): 4 and 32 for the affinity labels, 16 for the random walk.

    Raises:
        ValueError: no class, `alpha` not positive, or maps that leave [0, 1].

    >>> background_score(torch.tensor([[[0.0, 0.5, 1.0]]]), alpha=4)[:, 0]
    tensor([[1.0000, 0.0625, 0.0000],
            [0.0000, 0.5000, 1.0000]])
    """
    if not alpha > 0:
        raise ValueError(f"alpha must be positive, got {alpha}")
    if normalized.numel() == 0:
        raise ValueError(
            f"empty response: expected maps (C, H, W) of at least one class, got {tuple(normalized.shape)}"
        )
    low, high = normalized.aminmax()
    if not (low >= 0 and high <= 1):
        raise ValueError(f"expected maps within 0..1, got {float(low)} to {float(high)}; apply cam.normalize first")
    strongest = normalized.amax(dim=-3, keepdim=True)
    return torch.cat([(1 - strongest) ** alpha, normalized], dim=-3)


def balance(alpha: float) -> float:
    """The lone class score that equals its background score: the v with (1 - v)^alpha = v, in (0, 1).

    >>> [round(balance(alpha), 3) for alpha in (1, 4, 16, 32)]
    [0.5, 0.276, 0.123, 0.077]
    """
    return float(brentq(lambda score: (1 - score) ** alpha - score, 0, 1))


def balancing_alpha(score: float) -> float:
    """The alpha whose background score equals a lone class score, the inverse of `balance`.

    Raises:
        ValueError: a score that is not between 0 and 1.

    >>> round(balancing_alpha(balance(16)), 6)
    16.0
    """
    if not 0 < score < 1:
        raise ValueError(f"a score between 0 and 1 has an alpha, got {score}")
    return math.log(score) / math.log(1 - score)


# --- Training of AffinityNet ------------------------------------------------------------------------------------------


def affinity_labels(low: Float[Tensor, "*b k h w"], high: Float[Tensor, "*b k h w"]) -> UInt8[Tensor, "*b h w"]:
    """Confident labels of cells, from two sets of scores that favour the background and the foreground.

    Foreground where even `low` says a class; background where even `high` says background, whatever `low` says;
    undecided elsewhere, and where a cell has no score at all because it lies outside the image.

    Args:
        low: CRF-refined scores `(1 + C, h, w)` of the low alpha (large background), background first.
        high: the same of the high alpha (small background).

    Returns:
        `(h, w)`: 0, c + 1 (the index in the stack), or 255 for undecided.

    >>> low = torch.tensor([[0.9, 0.6, 0.1, 0.0], [0.1, 0.4, 0.9, 0.0]])[:, None]
    >>> high = torch.tensor([[0.8, 0.2, 0.0, 0.0], [0.2, 0.8, 1.0, 0.0]])[:, None]
    >>> affinity_labels(low, high)
    tensor([[  0, 255,   1, 255]], dtype=torch.uint8)
    """
    by_low, by_high = low.argmax(dim=-3), high.argmax(dim=-3)
    labels = by_low.masked_fill(by_low == 0, UNDECIDED).masked_fill(by_high == 0, 0)
    without_score = torch.maximum(low, high).amax(dim=-3) < NO_SCORE
    return labels.masked_fill(without_score, UNDECIDED).to(torch.uint8)


def affinity_labels_of_crop(
    low: Float[Tensor, "k height width"], high: Float[Tensor, "k height width"], geometry: Geometry, stride: int
) -> UInt8[Tensor, "h w"]:
    """`affinity_labels` of a training crop: mirror, cut the window, average over the backbone's cells, decide.

    Args:
        low: scores `(1 + C, H, W)` at image size.
        high: the same.
        geometry: of the image's crop, from `transforms.draw_geometry` without a rescale (`long_side=None`).
        stride: pixels per cell.

    Raises:
        ValueError: scores of another size than the image, or a crop that is no multiple of the stride.
    """
    cropped = []
    for scores in (low, high):
        if scores.shape[-2:] != (geometry.height, geometry.width):
            raise ValueError(
                f"scores of {tuple(scores.shape[-2:])} pixels do not belong to an image of "
                f"{(geometry.height, geometry.width)} pixels; expected the same size and no rescale in training"
            )
        view = scores.flip(-1) if geometry.mirrored else scores
        cropped.append(cell_means(crop_window(view, geometry, fill=0), stride))
    return affinity_labels(*cropped)


def affinity_loss(
    affinity: Float[Tensor, "*b p n"],
    background: Shaped[Tensor, "*#b p n"],
    foreground: Shaped[Tensor, "*#b p n"],
    different: Shaped[Tensor, "*#b p n"],
) -> Float[Tensor, ""]:
    """Cross-entropy of pair affinities: a quarter for background, a quarter for foreground, half for different pairs.

    Each part is the mean over its own pairs, those of the whole batch; a part without pairs counts 0, so that a batch
    without a decided pair has loss 0 and gradient 0.

    Args:
        affinity: a in [0, 1], `(P, n)` or `(B, P, n)`.
        background, foreground, different: masks from `pair_labels`.
    """
    affinity = at_least_float32(affinity)
    alike, unlike = -(affinity + LOG_EPS).log(), -(1 + LOG_EPS - affinity).log()
    return _mean_over(alike, background) / 4 + _mean_over(alike, foreground) / 4 + _mean_over(unlike, different) / 2


def affinity_entropy(affinity: Float[Tensor, "*b p n"]) -> Float[Tensor, ""]:
    """Mean over all pairs of the binary entropy of their affinity, in units of ln 2: 1 where every one is 0.5.

    Pairs without a label count too: they are what the term adds. Minimised as Vu et al. minimise that of a segmentation
    ("ADVENT: Adversarial Entropy Minimization for Domain Adaptation in Semantic Segmentation", CVPR 2019, equation 2),
    divided by the logarithm of the number of classes; nobody has it for affinities.

    Args:
        affinity: a in [0, 1], `(P, n)` or `(B, P, n)`.

    >>> affinity_entropy(torch.tensor([[0.5, 1.0]])).round(decimals=4)
    tensor(0.5000)
    """
    a = at_least_float32(affinity)
    entropy = -a * (a + LOG_EPS).log() - (1 - a) * (1 + LOG_EPS - a).log()
    return entropy.mean() / math.log(2)


def _mean_over(losses: Tensor, mask: Tensor) -> Tensor:
    return (losses * mask).sum() / (mask.expand_as(losses).sum() + LOG_EPS)


# --- Between pixels and cells -----------------------------------------------------------------------------------------


def pad_to_stride(maps: Float[Tensor, "*n height width"], stride: int) -> Float[Tensor, "*n padded_h padded_w"]:
    """Append zeros below and to the right, up to a multiple of the stride.

    For scores, and for the normalised image that AffinityNet sees, so that both have the same grid.
    """
    height, width = maps.shape[-2:]
    return F.pad(maps, (0, -width % stride, 0, -height % stride))


def cell_means(maps: Float[Tensor, "*n height width"], stride: int) -> Float[Tensor, "*n h w"]:
    """Mean over cells of stride x stride pixels.

    Raises:
        ValueError: a side is no multiple of the stride.
    """
    height, width = maps.shape[-2:]
    if height % stride or width % stride:
        raise ValueError(f"maps of {height} x {width} pixels do not divide into cells of {stride} x {stride}")
    return F.avg_pool2d(maps.reshape(-1, 1, height, width), stride).reshape(
        *maps.shape[:-2], height // stride, width // stride
    )


def refine_maps(
    scores: Float[Tensor, "*b r height width"],
    pair_affinity: Float[Tensor, "*m p n"],
    *,
    stride: int,
    radius: int = RADIUS,
    beta: float = 8,
    log2_steps: int = 8,
) -> Float[Tensor, "*b r height width"]:
    """Random walk of scores at image size: pad, average over cells, walk, enlarge (bilinear), cut the padding off.

    Args:
        scores: `(R, H, W)` from `background_score` at the size of the image; rows of absent classes may be left out.
        pair_affinity: `(P, n)` of the image padded by `pad_to_stride`; batched as the scores are.
        stride: of the backbone, pixels per cell.
        radius, beta, log2_steps: as in `random_walk`.

    Returns:
        Refined scores of the same shape; their arg-max over rows is the refined label map.

    Raises:
        ValueError: as `random_walk`.
    """
    height, width = scores.shape[-2:]
    cells = cell_means(pad_to_stride(scores, stride), stride)
    walked = random_walk(cells, pair_affinity, radius=radius, beta=beta, log2_steps=log2_steps)
    size = [side * stride for side in walked.shape[-2:]]
    enlarged = F.interpolate(walked.reshape(1, -1, *walked.shape[-2:]), size, mode="bilinear", align_corners=False)
    return enlarged[..., :height, :width].reshape(scores.shape)
