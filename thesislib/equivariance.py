"""SEAM's equivariance term: the maps of an image and of its smaller copy should be the same. Not in the thesis.

Wang, Zhang, Kan, Shan and Chen, "Self-supervised Equivariant Attention Mechanism for Weakly Supervised Semantic
Segmentation", CVPR 2020. Corresponds to `loss_er` in `train_SEAM.py` of YudeWang/SEAM and to `max_norm` in its
`tool/visualization.py`. With A the maps of a network, rectified and stretched to [0, 1], and s the rescaling by `SCALE`

    L_ER = mean |s(A(x)) - A(s(x))|

Both images are classified, which `objectives` does. Where paper and code differ, this is the code: the paper has the
L1 norm of the difference, the code the mean over images, all classes and pixels of the copy.

Deliberate differences: maps of absent classes, which are 0 there, are left out before they are enlarged; maps are those
before the dropout (A25); SEAM's other parts, the pixel correlation module with its two terms and the map of the
background, are not here.
"""

from collections.abc import Sequence

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from thesislib.precision import at_least_float32

SCALE = 0.3
STRETCH_EPS = 1e-5


def smaller(images: Float[Tensor, "b c height width"], scale: float = SCALE) -> Float[Tensor, "b c h w"]:
    """Images whose sides are `scale` as long, rounded down; corner pixels keep their place."""
    return F.interpolate(images, scale_factor=scale, mode="bilinear", align_corners=True)


def equivariance_loss(
    response: Float[Tensor, "b c h w"],
    of_copies: Float[Tensor, "b c h2 w2"],
    present: Bool[Tensor, "b c"],
    *,
    size: Sequence[int],
    copy_size: Sequence[int],
) -> Float[Tensor, ""]:
    """L_ER, mean absolute difference of stretched maps over images, classes and pixels of the copies, from 0 to 1.

    Args:
        response: un-rectified response maps of images `(B, C, h, w)`.
        of_copies: those of their smaller copies `(B, C, h2, w2)`.
        present: classes of each image; the others count as equal.
        size: rows and columns of the images, to which their maps are enlarged.
        copy_size: rows and columns of the copies, at which maps are compared.

    >>> import torch
    >>> maps = torch.tensor([[[[0.0, 1.0]], [[1.0, 1.0]]]])
    >>> equivariance_loss(maps, maps.flip(3), torch.tensor([[True, False]]), size=(1, 2), copy_size=(1, 2))
    tensor(0.5000)
    """
    maps = stretched(_resized(at_least_float32(response)[present], size))
    copies = stretched(_resized(at_least_float32(of_copies)[present], copy_size))
    difference = (_resized(maps, copy_size) - copies).abs().sum()
    return difference / (present.numel() * copy_size[0] * copy_size[1])


def stretched(maps: Float[Tensor, "p h w"]) -> Float[Tensor, "p h w"]:
    """Rectified maps from 0 at their least value to 1 at their largest.

    >>> import torch
    >>> stretched(torch.tensor([[[-1.0, 2.0, 4.0]]]))
    tensor([[[0.0000, 0.5000, 1.0000]]])
    """
    rectified = maps.relu()
    least, largest = rectified.amin((1, 2), keepdim=True), rectified.amax((1, 2), keepdim=True)
    return (rectified - least - STRETCH_EPS).relu() / (largest - least + STRETCH_EPS)


def _resized(maps: Float[Tensor, "p _ _"], size: Sequence[int]) -> Float[Tensor, "p h w"]:
    return F.interpolate(maps[:, None], tuple(size), mode="bilinear", align_corners=True)[:, 0]
