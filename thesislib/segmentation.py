"""The training loss of the segmentation network: cross-entropy at every scale.

Thesis sections 2.3.3 and 3.3.3. Corresponds to `train` and `resize_labels` in `main.py` of kazuto1011/deeplab-pytorch.

Deliberate differences: label maps need not be square (published, height and width change places there); a batch in
which every pixel is ignored costs 0 instead of giving nan.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional as F

from thesislib.data.voc import IGNORE
from thesislib.precision import at_least_float32


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


def _centre_pixels(pixels: int, cells: int) -> Integer[Tensor, " cells"]:
    step = pixels / cells
    # Summed up step by step as in PIL: where a centre lies between two pixels, the rounding decides.
    centres = np.cumsum([step / 2] + [step] * (cells - 1))
    return torch.from_numpy(centres.astype(np.int64))


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


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    total = F.cross_entropy(at_least_float32(logits), labels.long(), ignore_index=IGNORE, reduction="sum")
    return total / (labels != IGNORE).sum().clamp(min=1)
