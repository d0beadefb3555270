"""What mixup (2.2) is one of: other ways to mix two examples, and label smoothing. None of it is in the thesis.

Each way draws what `mixup` draws, lambda from Beta(alpha, alpha) and a permutation of the batch as partners, and
returns images, labels `(B, C)` and the weight of the unpermuted examples. Two take mixup apart: images mixed under hard
labels, and labels mixed over images that are not. Two put images together by a mask M, x' = M x_a + (1 - M) x_b, and
mix labels by its area:

- CutMix, the partner shows through a rectangle: Yun et al., "CutMix: Regularization Strategy to Train Strong
  Classifiers with Localizable Features", 2019.
- FMix, M is where low-frequency noise is highest: Harris et al., "FMix: Enhancing Mixed Sample Data Augmentation",
  2020.

Written from the papers' equations; alpha is 1 in both.

Where labels are of pixels or of pairs, with ignored ones among them, there is no mixed label: `Mix` mixes the losses
under the labels of both images instead, which for the cross-entropy of soft labels is the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Integer, Real, Shaped
from torch import Tensor

from thesislib.mixup import draw, mixup

DECAY = 3.0
"""Power by which the noise of FMix falls with frequency, as in the paper."""
Mixed = tuple[Tensor, Tensor, float]
Mixing = Callable[[Tensor, Tensor, float, np.random.Generator], Mixed]


def hard_labels(
    images: Float[Tensor, "b ..."], labels: Real[Tensor, "b c"], alpha: float, rng: np.random.Generator
) -> tuple[Float[Tensor, "b ..."], Float[Tensor, "b c"], float]:
    """Images as mixup makes them, each with the labels of the image that weighs more."""
    weight, partner = draw(len(images), alpha, rng)
    mixed = weight * images + (1 - weight) * images[partner]
    return mixed, (labels if weight >= 0.5 else labels[partner]).float(), weight


def labels_only(
    images: Float[Tensor, "b ..."], labels: Real[Tensor, "b c"], alpha: float, rng: np.random.Generator
) -> tuple[Float[Tensor, "b ..."], Float[Tensor, "b c"], float]:
    """Labels mixed over images as they are; the own ones weigh more, or half of the images would be mislabelled."""
    weight, partner = draw(len(images), alpha, rng)
    own = max(weight, 1 - weight)
    return images, own * labels + (1 - own) * labels[partner], own


def cutmix(
    images: Float[Tensor, "b _ h w"], labels: Real[Tensor, "b c"], alpha: float, rng: np.random.Generator
) -> tuple[Float[Tensor, "b _ h w"], Float[Tensor, "b c"], float]:
    """A rectangle of every image is replaced by that of its partner; one rectangle a batch."""
    weight, partner = draw(len(images), alpha, rng)
    return _by_mask(images, labels, partner, ~rectangle(images.shape[2:], 1 - weight, rng))


def fmix(
    images: Float[Tensor, "b _ h w"], labels: Real[Tensor, "b c"], alpha: float, rng: np.random.Generator
) -> tuple[Float[Tensor, "b _ h w"], Float[Tensor, "b c"], float]:
    """Every image keeps patches, where low-frequency noise is highest; the rest is its partner's; one mask a batch."""
    weight, partner = draw(len(images), alpha, rng)
    return _by_mask(images, labels, partner, noise_mask(images.shape[2:], weight, rng))


MIXINGS: dict[str, Mixing] = {
    "mixup": mixup,
    "hard_labels": hard_labels,
    "labels_only": labels_only,
    "cutmix": cutmix,
    "fmix": fmix,
}
"""Every way to mix by the name that it has in the settings."""


@dataclass(frozen=True)
class Mix:
    """How a batch is mixed of which the losses are mixed, not the labels.

    Attributes:
        weight: lambda, of the unpermuted examples in what the network sees.
        partner: of each example in the same batch.
        of_labels: weight of the loss under their own labels; lambda in mixup, 0 or 1 with `hard_labels`.

    >>> mix = Mix(0.75, torch.tensor([1, 0]), 0.75)
    >>> mix.inputs(torch.tensor([[0.0], [1.0]])).flatten(), mix.loss(lambda labels: labels[0], torch.tensor([4.0, 8.0]))
    (tensor([0.2500, 0.7500]), tensor(5.))
    """

    weight: float
    partner: Integer[Tensor, " b"]
    of_labels: float

    def inputs(self, inputs: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        """What the network sees of images or of maps."""
        return self.weight * inputs + (1 - self.weight) * inputs[self.partner]

    def loss(self, loss: Callable[[Tensor], Tensor], labels: Shaped[Tensor, "b ..."]) -> Float[Tensor, ""]:
        """The losses under the labels of both examples, mixed; one without weight is not computed."""
        whose = ((self.of_labels, labels), (1 - self.of_labels, labels[self.partner]))
        return torch.stack([weight * loss(of_whom) for weight, of_whom in whose if weight]).sum()


def draw_mix(count: int, alpha: float, rng: np.random.Generator, mixing: str = "mixup") -> Mix:
    """What a batch of `count` examples is mixed by, drawn as `mixup` draws.

    Args:
        count: examples.
        alpha: both parameters of the Beta distribution; 0: every example by itself, and nothing is drawn.
        rng: of this batch.
        mixing: `mixup`, or `hard_labels`, a control: the loss is that of the example that weighs more.

    Raises:
        ValueError: another `mixing`.
    """
    if mixing not in LOSS_MIXINGS:
        raise ValueError(f"losses are mixed by one of {', '.join(LOSS_MIXINGS)}; got {mixing!r}")
    if not alpha:
        return Mix(1, torch.arange(count), 1)
    weight, partner = draw(count, alpha, rng)
    return Mix(weight, partner, weight if mixing == "mixup" else float(weight >= 0.5))


LOSS_MIXINGS = ("mixup", "hard_labels")
"""The ways to mix that losses can be mixed by."""


def rectangle(size: Sequence[int], share: float, rng: np.random.Generator) -> Bool[np.ndarray, "h w"]:
    """A rectangle of CutMix with the sides of the image times sqrt(share), its centre anywhere, cut at the border.

    Args:
        size: height and width of the image in pixels.
        share: of the image's area, before it is cut.
        rng: draws row and column of the centre.
    """
    inside = []
    for length in size:
        half, centre = length * np.sqrt(share) / 2, rng.uniform(0, length)
        inside.append(np.abs(np.arange(length) + 0.5 - centre) < half)
    return inside[0][:, None] & inside[1][None]


def noise_mask(
    size: Sequence[int], share: float, rng: np.random.Generator, decay: float = DECAY
) -> Bool[np.ndarray, "h w"]:
    """The mask of FMix: a share of the pixels, those where low-frequency noise is highest."""
    highest = np.argsort(low_frequency_noise(size, rng, decay), axis=None)[::-1][: round(share * size[0] * size[1])]
    mask = np.zeros(size, bool)
    mask.flat[highest] = True
    return mask


def low_frequency_noise(size: Sequence[int], rng: np.random.Generator, decay: float) -> Float[np.ndarray, "h w"]:
    """Gaussian noise whose amplitude at frequency f, in cycles a pixel, is divided by f^decay.

    The frequency 0 counts as the lowest other one, 1 / max(h, w).
    """
    rows, columns = (np.fft.fftfreq(length) for length in size)
    frequency = np.maximum(np.hypot(rows[:, None], columns[None]), 1 / max(size))
    spectrum = rng.normal(size=size) + 1j * rng.normal(size=size)
    return np.fft.ifft2(spectrum / frequency**decay).real


def smooth(labels: Real[Tensor, "b c"], eps: float) -> Float[Tensor, "b c"]:
    """Targets of label smoothing for `C` yes-or-no questions, y (1 - eps) + eps / 2 (Szegedy et al., 2016).

    >>> smooth(torch.tensor([[1.0, 0.0]]), 0.1)
    tensor([[0.9500, 0.0500]])
    """
    return labels * (1 - eps) + eps / 2


def _by_mask(images: Tensor, labels: Tensor, partner: Tensor, own: np.ndarray) -> Mixed:
    """Images put together by the mask of the pixels that stay, and labels mixed by its area."""
    mask, weight = torch.from_numpy(own).to(images.device), float(own.mean())
    return torch.where(mask, images, images[partner]), weight * labels + (1 - weight) * labels[partner], weight
