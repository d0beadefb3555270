"""The training losses: classification, entropy (2.3), concentration (2.4), and that of the segmentation network.

Thesis section 2.3; Chang et al., "Mixup-CAM", BMVC 2020. No code was released for it, so every reading of
the text is an entry of the ambiguity register, named here by its number (A1-A7). The classification loss is
that of `train_cls.py` in jiwoon-ahn/psa and Juliachang/SC-CAM; the concentration term follows the formula of the
thesis, which goes back to SCOPS (Hung et al., 2019). Their weighted sum is (2.5), in `objectives`.

The loss of the segmentation network (2.3.3, 3.3.3) corresponds to `train` and `resize_labels` in `main.py` of
kazuto1011/deeplab-pytorch. Deliberate differences: label maps need not be square (published, height and width change
places there); a batch in which every pixel is ignored costs 0 instead of giving nan.

Each is computed in float32 or better, whatever the network gives (`precision`). That of AffinityNet is
`refinement.affinity_loss`.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Integer, Real, Shaped
from torch import Tensor
from torch.nn import functional as F

from thesislib.data.voc import IGNORE
from thesislib.precision import at_least_float32

ENTROPY_SCORES = ("sigmoid_max", "logit_max", "logit")
CONCENTRATION_FORMS = ("written", "floored")
COORDINATES = ("pixel", "unit")

MAXIMUM_EPS = 1e-5
ACTIVATION_EPS = 1e-5
MASS_FLOOR = 0.05


def classification_loss(logits: Float[Tensor, "b c"], labels: Real[Tensor, "b c"]) -> Float[Tensor, ""]:
    """Binary cross-entropy of `C` independent classes, mean over classes and images.

    Soft labels need no other form: the loss is linear in its targets. Equal to torch's
    `multilabel_soft_margin_loss`, which the published code calls.

    Args:
        logits: class scores z `(B, C)` before the sigmoid.
        labels: targets in [0, 1] `(B, C)`; mixed labels are taken as they are (A9).

    >>> classification_loss(torch.zeros(1, 4), torch.tensor([[1.0, 0.0, 0.3, 0.0]]))
    tensor(0.6931)
    """
    logits = at_least_float32(logits)
    return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))


def entropy_loss(
    logits: Float[Tensor, "b c *cells"], *, score: str = "sigmoid_max", temperature: float = 1.0
) -> Float[Tensor, ""]:
    """Entropy of the distribution over classes (2.3), in nats; mean over images and, where there are any, cells.

    `(B, C)` logits are the image level, the default reading (A1): H = W = 1 in the formula. `(B, C, h, w)` logits, the
    un-pooled response, are the pixel level. Added to the loss with a positive weight it lowers the entropy; 2.2
    motivates it with more uncertainty, which a negative weight would give (A2).

    Args:
        logits: class scores z `(B, C)` or `(B, C, h, w)`.
        score: what enters the softmax over classes (A2): `sigmoid_max`, probabilities divided by their maximum, the
            literal reading; `logit_max`, logits divided by their maximum, of use only where that is positive;
            `logit`, the logits themselves. The maximum is that of an image: over its classes and cells.
        temperature: divides the scores; 1 is the thesis.

    Raises:
        ValueError: unknown `score`, or `temperature` not positive.

    With `sigmoid_max` and 20 classes it stays between 2.8725 (seven sure classes) and ln 20 = 2.9957:

    >>> one_sure_class = torch.full((1, 20), -30.0).index_fill(1, torch.tensor([3]), 30.0)
    >>> entropy_loss(one_sure_class)
    tensor(2.9530)
    """
    if score not in ENTROPY_SCORES:
        raise ValueError(f"entropy score must be one of {', '.join(ENTROPY_SCORES)}; got {score!r}")
    if not temperature > 0:
        raise ValueError(f"entropy temperature must be positive, got {temperature}")
    logits = at_least_float32(logits)
    scores = logits.sigmoid() if score == "sigmoid_max" else logits
    if score != "logit":
        maximum = scores.amax(dim=tuple(range(1, scores.ndim)), keepdim=True)
        scores = scores / maximum.clamp(min=MAXIMUM_EPS)
    log_p = (scores / temperature).log_softmax(dim=1)
    return -(log_p.exp() * log_p).sum(dim=1).mean()  # (2.3)


def concentration_loss(
    response: Float[Tensor, "b c h w"],
    present: Shaped[Tensor, "b c"],
    *,
    form: str = "written",
    coords: str = "pixel",
    eps: float = ACTIVATION_EPS,
) -> Float[Tensor, ""]:
    """Spatial variance of the response maps of the present classes (2.4); sum over classes, mean over images (A6).

    Each rectified map M is read as a distribution over its cells, q = (M + eps) / sum(M + eps) (A5). The term is the
    variance of the row plus that of the column under q. A uniform n x n map has (n^2 - 1) / 6 cells^2.

    `eps` is absolute, not a share of the map's maximum. Relative to the maximum, q would not change as a map fades,
    and its gradient, (d^2 - variance) / sum(M + eps) per cell at distance d from the centre, would grow without bound;
    an absolute `eps` bounds it by 2 / eps. An empty map is uniform and has no gradient. Of the values named by A5 it is
    the smaller, 1e-5: a class score is the mean of its map, so a score of 1 means that at most 1e-5 of the sum is
    `eps`. SCOPS' 1e-3 would take over a fading map sooner, whose centre the floored form then pushes down as well.

    Args:
        response: un-rectified response maps `(B, C, h, w)` of the training pass, before dropout (A25).
        present: `(B, C)`, the classes counted are those above 0: booleans, 0 and 1, or mixed labels, for which
            that is the union of both images (A7).
        form: `written`, the variance as printed; `floored`, each map's variance times s / (s + 0.05 h w), s the sum of
            the rectified map, so that a fading map stops being pushed (bounded by 40 in cells, whatever `eps`).
        coords: `pixel`, positions are cell indices; `unit`, index / size * 2 - 1, as SCOPS does (A3). On an n x n
            map the pixel value is (n / 2)^2 times the unit value (A4).

    Raises:
        ValueError: unknown `form` or `coords`.

    >>> concentration_loss(torch.ones(1, 1, 28, 28), torch.ones(1, 1))
    tensor(130.5000)
    """
    if form not in CONCENTRATION_FORMS:
        raise ValueError(f"concentration form must be one of {', '.join(CONCENTRATION_FORMS)}; got {form!r}")
    if coords not in COORDINATES:
        raise ValueError(f"concentration coords must be one of {', '.join(COORDINATES)}; got {coords!r}")
    response = at_least_float32(response)
    height, width = response.shape[2:]
    rows, columns = (_positions(size, coords, response) for size in (height, width))
    activation = response.relu()  # (A11)
    q = (activation + eps) / (activation + eps).sum(dim=(2, 3), keepdim=True)
    variance = _variance(q.sum(dim=3), rows) + _variance(q.sum(dim=2), columns)  # (2.4)
    if form == "floored":
        mass = activation.sum(dim=(2, 3))
        variance = variance * mass / (mass + MASS_FLOOR * height * width)
    return (variance * (present > 0)).sum(dim=1).mean()


def segmentation_loss(
    outputs: Sequence[Float[Tensor, "b c _ _"]], labels: Integer[Tensor, "b height width"]
) -> Float[Tensor, ""]:
    """Sum over the outputs of the mean cross-entropy of the cells that are not ignored.

    Args:
        outputs: logits `(B, C, h, w)` of each scale and of their maximum, as `DeepLabV2` gives them in training.
        labels: classes `(B, H, W)` in 0..C-1, or 255 to ignore a pixel; resized to the grid of each output.

    Raises:
        ValueError: a label that is neither a class nor 255.

    >>> segmentation_loss([torch.zeros(1, 4, 2, 2), torch.zeros(1, 4, 1, 1)], torch.tensor([[[0, 3], [255, 255]]]))
    tensor(1.3863)
    """
    classes = outputs[0].shape[1]
    wrong = labels[(labels != IGNORE) & ((labels < 0) | (labels >= classes))]
    if wrong.numel():
        raise ValueError(
            f"labels must lie in 0..{classes - 1} or be {IGNORE} (ignored), got {wrong.unique().tolist()}; "
            "build the network with the number of classes of the masks, background included"
        )
    return torch.stack([_cross_entropy(logits, resize_labels(labels, logits.shape[2:])) for logits in outputs]).sum()


def resize_labels(labels: Integer[Tensor, "b height width"], size: Sequence[int]) -> Integer[Tensor, "b h w"]:
    """Label maps at `size` (rows, columns), each cell the label of the pixel at its centre, as PIL resizes.

    That is pixel floor((i + 0.5) * H / h); `interpolate(mode="nearest")` takes the cell's first, floor(i * H / h).

    >>> resize_labels(torch.arange(6).reshape(1, 1, 6), (1, 2))
    tensor([[[1, 4]]])
    """
    rows, columns = (
        _centre_pixels(pixels, cells).to(labels.device) for pixels, cells in zip(labels.shape[1:], size, strict=True)
    )
    return labels[:, rows[:, None], columns]


def _positions(size: int, coords: str, like: Tensor) -> Float[Tensor, " size"]:
    index = torch.arange(size, dtype=like.dtype, device=like.device)
    return index if coords == "pixel" else index / size * 2 - 1


def _variance(weights: Float[Tensor, "b c n"], positions: Float[Tensor, " n"]) -> Float[Tensor, "b c"]:
    """Variance of positions whose weights sum to 1; the gradient through the mean is zero."""
    mean = (weights * positions).sum(dim=2, keepdim=True)
    return (weights * (positions - mean) ** 2).sum(dim=2)


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    total = F.cross_entropy(at_least_float32(logits), labels.long(), ignore_index=IGNORE, reduction="sum")
    return total / (labels != IGNORE).sum().clamp(min=1)


def _centre_pixels(pixels: int, cells: int) -> Integer[Tensor, " cells"]:
    step = pixels / cells
    # Summed up step by step as in PIL: where a centre lies between two pixels, the rounding decides.
    centres = np.cumsum([step / 2] + [step] * (cells - 1))
    return torch.from_numpy(centres.astype(np.int64))
