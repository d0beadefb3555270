"""Class activation maps of an image, fused over scales and mirrors, and the label maps read from them (2.1, 3.1).

Thesis sections 2.3.1 and 3.3.1; Zhou et al., "Learning Deep Features for Discriminative Localization", 2016.
Corresponds to `infer_cls.py` of jiwoon-ahn/psa and Juliachang/SC-CAM.

Deliberate differences: an image and its mirror share a forward pass, and a scale's two maps are added before they are
enlarged, which is linear, instead of after; the maps are never overwritten by a drawing of them (the released script
saves maps of 0 and 255, misprint S18).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from thesislib.data.transforms import IMAGENET, to_tensor
from thesislib.precision import autocast

SCALES = (1.0, 0.5, 1.5, 2.0)
MAXIMUM_EPS = 1e-5


def response_maps(
    model: nn.Module,
    image: UInt8[np.ndarray, "height width 3"],
    labels: Shaped[Tensor, " c"],
    *,
    scales: Sequence[float] = SCALES,
    flip: bool = True,
) -> Float[Tensor, "c height width"]:
    """Fused response maps of one image at its own size; see `response_maps_batch`."""
    return response_maps_batch(model, image[None], labels[None], scales=scales, flip=flip)[0]


def response_maps_batch(
    model: nn.Module,
    images: UInt8[np.ndarray, "n height width 3"],
    labels: Shaped[Tensor, "n c"],
    *,
    scales: Sequence[float] = SCALES,
    flip: bool = True,
    precision: str = "fp32",
) -> Float[Tensor, "n c height width"]:
    """Fused response maps of images of one size: (2.1) summed over scales and mirrors.

    Each scale resizes the 8-bit image (bicubic, to the rounded size), normalises, mirrors; its rectified maps (A11) are
    enlarged to the image size (bilinear) and added up. All images of a scale go through the network at once, with
    their mirrors: the caller chooses `n` to fit the memory.

    Args:
        model: its output has the un-rectified maps `(B, C, h, w)` as `response`, like `CamClassifier`, and its
            `preprocessing` (without one ImageNet's mean and deviation) normalises the images. It is evaluated
            in evaluation mode without gradients, on its own device; the mode of each of its layers is restored.
        images: RGB `(N, H, W, 3)`, 0-255.
        labels: classes of each image `(N, C)`, 0 or 1 (A18: the true image labels, also on validation images).
        scales: of the image sides; the published four by default.
        flip: add the maps of the mirrored image.
        precision: of the forward passes, `fp32` or `bf16`; maps are added up in float32.

    Returns:
        `(N, C, H, W)`, not normalised, 0 for absent classes, on the model's device.

    Raises:
        ValueError: a scale leaves less than one pixel of an image.
    """
    height, width = images.shape[1:3]
    device = next((parameter.device for parameter in model.parameters()), labels.device)
    preprocessing = getattr(model, "preprocessing", IMAGENET)
    present = labels.to(device) > 0
    maps = torch.zeros(*labels.shape, height, width, device=device)
    with _evaluating(model):
        for scale in scales:
            batch = torch.stack([to_tensor(_resize(image, scale), preprocessing) for image in images]).to(device)
            response = _rectified_response(model, batch, flip, precision)[present]
            maps[present] += _enlarge(response, height, width)
    return maps


def normalize(maps: Float[Tensor, "*n height width"]) -> Float[Tensor, "*n height width"]:
    """Divide each non-negative map `(H, W)` by its maximum + 1e-5, so that its values are in [0, 1).

    >>> normalize(torch.tensor([[[1.0, 4.0]], [[0.0, 0.0]]]))
    tensor([[[0.2500, 1.0000]],
    <BLANKLINE>
            [[0.0000, 0.0000]]])
    """
    return maps / (maps.amax(dim=(-2, -1), keepdim=True) + MAXIMUM_EPS)


def label_map(normalized: Float[Tensor, "*n c height width"], background: float) -> UInt8[Tensor, "*n height width"]:
    """The strongest class of each pixel: `c + 1`, or 0 where none exceeds the constant `background` score (A16).

    The arg-max of the background and the maps stacked on it: at equal scores the background wins, then the lower class.

    >>> label_map(torch.tensor([[[0.1, 0.5, 0.2]], [[0.0, 0.5, 0.9]]]), background=0.15)
    tensor([[0, 1, 2]], dtype=torch.uint8)
    """
    score, winner = normalized.max(dim=-3)
    return torch.where(score > background, winner + 1, 0).to(torch.uint8)


def merge_subcategories(maps: Float[Tensor, "ck height width"], k: int) -> Float[Tensor, "c height width"]:
    """One normalised map per class from fused sub-category maps, map `c*K + k` (A17).

    The K maps of a class are divided by their common maximum + 1e-5, then each pixel takes the largest of them. Since
    a common divisor keeps the order, the largest may be taken first.

    Raises:
        ValueError: the number of maps is no multiple of `k`.

    >>> merge_subcategories(torch.tensor([[[1.0, 0.0]], [[0.0, 2.0]]]), k=2)
    tensor([[[0.5000, 1.0000]]])
    """
    if k < 1 or len(maps) % k:
        raise ValueError(f"expected C * K sub-category maps with K = {k}, got {len(maps)} maps")
    return normalize(maps.unflatten(0, (-1, k)).amax(dim=1))


def _rectified_response(
    model: nn.Module, batch: Float[Tensor, "n 3 h w"], flip: bool, precision: str
) -> Float[Tensor, "n c rows cols"]:
    """Rectified maps of a batch, plus those of its mirror images, turned back."""
    with autocast(batch.device, precision):
        response = model(torch.cat([batch, batch.flip(-1)]) if flip else batch).response
    rectified = response.float().relu()
    if not flip:
        return rectified
    plain, mirrored = rectified.chunk(2)
    return plain + mirrored.flip(-1)


def _enlarge(maps: Float[Tensor, "n h w"], height: int, width: int) -> Float[Tensor, "n height width"]:
    return F.interpolate(maps[:, None], (height, width), mode="bilinear", align_corners=False)[:, 0]


def _resize(image: UInt8[np.ndarray, "height width 3"], scale: float) -> Image.Image:
    height, width = image.shape[:2]
    size = round(width * scale), round(height * scale)
    if min(size) < 1:
        raise ValueError(f"scale {scale} leaves nothing of an image of {width} x {height} pixels; use larger scales")
    return Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every layer gets its own mode back, frozen BatchNorm included."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
