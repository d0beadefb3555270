"""Image normalisation and the seeded training augmentations, for an image alone or together with its label maps.

Thesis 2.4.1 and 3.4.1 name the augmentations; their order comes from psa `voc12/data.py`, `tool/imutils.py` and
`train_cls.py`, which SC-CAM repeats; that of the segmentation network from `libs/datasets/base.py` of
kazuto1011/deeplab-pytorch. Their strength is an `Augmentation`. Deliberate differences: one numpy Generator per call
instead of the global random state; the position of mirror and crop is drawn before the colours, so that an image and
its label maps share one `Geometry`; DeepLab's images too are resized bicubically and lie anywhere in a larger window,
where the published code resizes bilinearly and pads below and to the right. An option does the same work on the crop
alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from PIL import Image
from torch import Tensor

from thesislib.data.augmentation import Augmentation
from thesislib.data.voc import IGNORE

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preprocessing:
    """What the weights of a network expect its images to be: (value / scale - mean) / std in every channel.

    Attributes:
        mean: of each channel, in the network's order of channels.
        std: of each channel; 1 where the weights were trained without.
        scale: 255 for values in 0..1, 1 for the bytes themselves.
        bgr: whether the channels are in the order blue, green, red.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    scale: float = 255
    bgr: bool = False


IMAGENET = Preprocessing(IMAGENET_MEAN, IMAGENET_STD)
CAFFE = Preprocessing((104.008, 116.669, 122.675), (1, 1, 1), scale=1, bgr=True)  # deeplab-pytorch configs/voc12.yaml


class Geometry(NamedTuple):
    """Where the pixels of one example go: resize, then mirror, then cut a square window.

    `top` and `left` are the window's corner in the resized image; negative values mean that much padding before it.
    """

    height: int
    width: int
    mirrored: bool
    top: int
    left: int
    crop: int


def to_tensor(
    image: Image.Image | UInt8[np.ndarray, "h w 3"], preprocessing: Preprocessing = IMAGENET
) -> Float[Tensor, "3 h w"]:
    """Normalise an RGB image as the weights of a network expect it.

    Args:
        image: PIL image in mode RGB, or uint8 array `(H, W, 3)`.
        preprocessing: that of the weights; ImageNet's mean and deviation for ResNet-38 and torchvision's networks.

    Returns:
        float32 `(3, H, W)`, contiguous, not sharing memory with the input.

    Raises:
        ValueError: if the image is not 8-bit RGB.

    >>> to_tensor(np.zeros((4, 6, 3), np.uint8))[:, 0, 0]
    tensor([-2.1179, -2.0357, -1.8044])
    """
    if isinstance(image, Image.Image) and image.mode != "RGB":
        raise ValueError(f"expected an RGB image, got PIL mode {image.mode!r}: convert it with image.convert('RGB')")
    array = np.array(image)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise ValueError(f"expected a uint8 RGB image (H, W, 3), got {array.dtype} {array.shape}")
    pixels = torch.from_numpy(array).permute(2, 0, 1).to(torch.float32, memory_format=torch.contiguous_format)
    if preprocessing.bgr:
        pixels = pixels.flip(0)
    mean, std = (torch.tensor(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
    return pixels.div_(preprocessing.scale).sub_(mean).div_(std)


def augment(
    image: Image.Image | UInt8[np.ndarray, "h w 3"],
    rng: np.random.Generator,
    settings: Augmentation,
    preprocessing: Preprocessing = IMAGENET,
) -> Float[Tensor, "3 crop crop"]:
    """One random training view of an image; order and values of psa's `train_cls.py`.

    Resize (bicubic), mirror, colour jitter in random order, normalise, random crop; a window larger than the image
    holds it at a random offset, and the padding is exactly 0, the mean colour, because it is added after normalisation.
    `settings.order` may put the crop first.

    >>> augment(np.zeros((9, 7, 3), np.uint8), np.random.default_rng(0), Augmentation(crop=32)).shape
    torch.Size([3, 32, 32])
    """
    return augment_jointly(image, (), rng, settings, preprocessing)[0]


def augment_jointly(
    image: Image.Image | UInt8[np.ndarray, "h w 3"],
    label_maps: Sequence[UInt8[np.ndarray, "h w"]],
    rng: np.random.Generator,
    settings: Augmentation,
    preprocessing: Preprocessing = IMAGENET,
) -> tuple[Float[Tensor, "3 crop crop"], list[UInt8[Tensor, "crop crop"]]]:
    """`augment` for an image and label maps of the same size, which share resize, mirror and crop.

    Label maps are resized to the nearest pixel and padded with 255 (ignored). With the same `rng` the image is the one
    that `augment` returns.

    Raises:
        ValueError: if a label map is not uint8 of the image's size.
    """
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    geometry = draw_geometry(picture.height, picture.width, rng, settings)
    windows = [_label_window(label_map, picture, geometry) for label_map in label_maps]
    if settings.order == "crop_first":
        picture, placed = _visible_part(picture, geometry)
    else:
        picture, placed = _resize_and_mirror(picture, geometry, Image.Resampling.BICUBIC), geometry
    view = _jitter(picture, rng, settings.jitter)
    return crop_window(to_tensor(view, preprocessing), placed, fill=0), windows


def draw_geometry(height: int, width: int, rng: np.random.Generator, settings: Augmentation) -> Geometry:
    """Draw the size, the mirror and the window for an image of `height` x `width` pixels."""
    new, old = 1.0, 1
    if settings.long_side is not None:
        new, old = int(rng.integers(settings.long_side[0], settings.long_side[1] + 1)), max(height, width)
    elif settings.scales:
        new = settings.scales[int(rng.integers(len(settings.scales)))]
    height, width = (max(1, round(side * new / old)) for side in (height, width))
    mirrored = bool(rng.random() < settings.mirror)
    top, left = (_draw_offset(side - settings.crop, rng) for side in (height, width))
    return Geometry(height, width, mirrored, top, left, settings.crop)


def crop_window(
    maps: Shaped[Tensor, "*channels h w"], geometry: Geometry, fill: int | float
) -> Shaped[Tensor, "*channels crop crop"]:
    """Cut the window of `geometry` out of maps already resized and mirrored; `fill` where there is no image."""
    rows, columns = (slice(max(start, 0), max(start + geometry.crop, 0)) for start in (geometry.top, geometry.left))
    visible = maps[..., rows, columns]
    window = maps.new_full((*maps.shape[:-2], geometry.crop, geometry.crop), fill)
    y, x = max(-geometry.top, 0), max(-geometry.left, 0)
    window[..., y : y + visible.shape[-2], x : x + visible.shape[-1]] = visible
    return window


def _draw_offset(space: int, rng: np.random.Generator) -> int:
    """Window corner along one axis: inside the image if there is space, before it (negative) if there is not."""
    return int(rng.integers(0, space + 1)) if space >= 0 else -int(rng.integers(0, -space + 1))


def _resize_and_mirror(picture: Image.Image, geometry: Geometry, resample: Image.Resampling) -> Image.Image:
    size = (geometry.width, geometry.height)
    if picture.size != size:
        picture = picture.resize(size, resample)
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if geometry.mirrored else picture


def _visible_part(picture: Image.Image, geometry: Geometry) -> tuple[Image.Image, Geometry]:
    """What the window shows of the image, resized and mirrored, and where it lies in the window.

    The pixels are those of the whole resized image: a bicubic pixel is made of its neighbours in the source, which may
    lie outside the window.
    """
    top, left = max(geometry.top, 0), max(geometry.left, 0)
    bottom, right = (
        min(geometry.top + geometry.crop, geometry.height),
        min(geometry.left + geometry.crop, geometry.width),
    )
    placed = geometry._replace(
        height=bottom - top, width=right - left, top=min(geometry.top, 0), left=min(geometry.left, 0)
    )
    if geometry.mirrored:
        left, right = geometry.width - right, geometry.width - left
    down, across = picture.height / geometry.height, picture.width / geometry.width
    box = (left * across, top * down, min(right * across, picture.width), min(bottom * down, picture.height))
    seen = picture.resize((placed.width, placed.height), Image.Resampling.BICUBIC, box)
    return (seen.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if geometry.mirrored else seen), placed


def _label_window(
    label_map: UInt8[np.ndarray, "h w"], picture: Image.Image, geometry: Geometry
) -> UInt8[Tensor, "crop crop"]:
    if label_map.dtype != np.uint8 or label_map.shape != (picture.height, picture.width):
        raise ValueError(
            f"expected a uint8 label map of the image's size {(picture.height, picture.width)}, "
            f"got {label_map.dtype} {label_map.shape}"
        )
    resized = _resize_and_mirror(Image.fromarray(label_map), geometry, Image.Resampling.NEAREST)
    return crop_window(torch.from_numpy(np.array(resized)), geometry, fill=IGNORE)


def _jitter(picture: Image.Image, rng: np.random.Generator, strengths: Sequence[float]) -> Image.Image:
    """torchvision's `ColorJitter` on a PIL image: the changes that have a strength, each once, in random order."""
    import torchvision.transforms.functional as F  # takes as long as torch itself; only trainings need it

    changes = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
    centres = (1.0, 1.0, 1.0, 0.0)
    for index in rng.permutation(4):
        strength = strengths[index]
        if strength > 0:
            amount = float(rng.uniform(centres[index] - strength, centres[index] + strength))
            picture = changes[index](picture, amount)
    return picture
