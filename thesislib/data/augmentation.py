"""How training images are varied; `transforms` does it.

Thesis 2.4.1 and 3.4.1 name the augmentations; values are those of psa `voc12/data.py` and `train_cls.py`, which SC-CAM
repeats, and for the segmentation network those of `configs/voc12.yaml` of kazuto1011/deeplab-pytorch. Apart from
`transforms`, so that what only plans a training need not import torch.
"""

from dataclasses import dataclass, field, fields
from typing import Literal

LARGEST_SCALE = 8
Order = Literal["published", "crop_first"]


@dataclass(frozen=True)
class Augmentation:
    """Strength of the training augmentations; the defaults are psa's for a crop of 448 (SC-CAM: 224).

    DeepLab's are `Augmentation(None, 321, scales=(0.5, 0.75, 1.0, 1.25, 1.5), jitter=(0.0, 0.0, 0.0, 0.0))`.

    Attributes:
        long_side: smallest and largest length of the longer image side, pixels, both included; None keeps the image
            at its own size (as AffinityNet's training does) or resizes it by one of `scales`.
        crop: side of the square crop, pixels.
        mirror: probability of a left-right mirror.
        jitter: strength of brightness, contrast, saturation and hue, as in torchvision's `ColorJitter`: factors from
            U(1 - s, 1 + s), hue shift from U(-s, s) of the colour circle. A strength of 0 leaves that change out
            (hue takes as much time as everything else together).
        scales: factors on the image size, one of which is drawn.
        order: `published` resizes and jitters the whole image and cuts the window out last; `crop_first` resizes and
            jitters what the window shows. Same window, same pixels up to rounding, but the contrast jitter pulls
            towards the mean grey of the window instead of that of the image. Images a second on one core, of
            500 x 375 (`benchmarks/augmentation.py`): 129 and 267 at crop 224, 129 either way at crop 448, which shows
            nearly all; DeepLab's 290 and 556.

    Raises:
        ValueError: a value outside its range; names it.
    """

    long_side: tuple[int, int] | None = (256, 512)
    crop: int = field(default=448, metadata={"ge": 16})
    mirror: float = field(default=0.5, metadata={"ge": 0, "le": 1})
    jitter: tuple[float, float, float, float] = (0.3, 0.3, 0.3, 0.1)
    scales: tuple[float, ...] = ()
    order: Order = "published"

    def __post_init__(self) -> None:
        for item in fields(self):
            value, range_ = getattr(self, item.name), item.metadata
            if "ge" in range_ and value < range_["ge"]:
                raise ValueError(f"{item.name} must be at least {range_['ge']}, got {value}")
            if "le" in range_ and value > range_["le"]:
                raise ValueError(f"{item.name} must be at most {range_['le']}, got {value}")
        if self.long_side is not None and not 1 <= self.long_side[0] <= self.long_side[1]:
            raise ValueError(f"long_side must be (low, high) with 1 <= low <= high, got {self.long_side}")
        if self.scales and self.long_side is not None:
            raise ValueError(
                f"an image is resized by long_side or by scales, got {self.long_side} and {self.scales}: leave one out"
            )
        if any(not 0 < scale <= LARGEST_SCALE for scale in self.scales):
            raise ValueError(
                f"scales must be positive factors of the image size, up to {LARGEST_SCALE}, got {self.scales}"
            )
        if len(self.jitter) != 4 or min(self.jitter) < 0 or max(self.jitter[:3]) > 1 or self.jitter[3] > 0.5:
            raise ValueError(
                "jitter must be (brightness, contrast, saturation, hue), the first three in 0..1 and hue in 0..0.5, "
                f"got {self.jitter}"
            )
