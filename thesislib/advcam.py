"""AdvCAM: maps of an image that climbs towards a class, added up over the steps of the climb. Not in the thesis.

Lee, Kim and Yoon, "Anti-Adversarially Manipulated Attributions for Weakly and Semi-Supervised Semantic Segmentation",
2021. Corresponds to `obtain_CAM_masking.py` of jbeomlee93/AdvCAM. The classifier stays as it is. With A_k the rectified
map of class k, its score s_k the mean of A_k over the cells, and x_0 the image, for each present class c

    L = s_c - sum over k != c of s_k - weight * mean over the cells of M |A_c(x_t) - A_c(x_0)|
    x_(t+1) = x_t + step_size * gradient of L / its largest magnitude, within the range of x_0
    map of c: A_c(x_0) + A_c(x_1) + ... + A_c(x_(steps - 1))

where M is 1 on cells whose map exceeds `DISCRIMINATIVE` times its maximum: what is found already shall not grow.

Deliberate differences: the published code adds up |A_c(x_t) - A_c(x_0)| over the cells of maps that its Grad-CAM
divides by the number of the class's positive weights, so that its weight of 7 depends on the network and on the size of
the image; `WEIGHT` is what it is in a mean over the cells of an image of VOC there. An image and its mirror climb each
by itself, where the published code has one climb for both. All scales take the same number of steps, where the smallest
one takes half as many that count twice.
"""

from types import SimpleNamespace
from typing import Any

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor, nn

STEPS = 27
STEP_SIZE = 0.08
"""Largest change of a pixel in a step, in units of the normalised image."""
DISCRIMINATIVE = 0.5
WEIGHT = 2.5
"""7 / 2 (an image and its mirror share the map, not the scores) * 24 * 32 cells / 1024 of 2048 weights positive."""
DIRECTIONS = ("gradient", "shuffled")


class Climbing(nn.Module):
    """A classifier whose `response` is the map of each present class, added up over its climb; 0 for absent classes.

    It stands in for the classifier in `cam.response_maps_batch`, at every scale.

    Args:
        classifier: its output has the un-rectified maps `(B, C, h, w)` as `response`; in evaluation mode.
        labels: classes `(N, C)`, 0 or 1, of the images that it will be given, in their order.
        steps: maps that are added up; with 1 the map is that of the image itself.
        step_size: see `STEP_SIZE`.
        direction: of a step, one of `DIRECTIONS`: the gradient, or, a control, the gradient with its pixels shuffled.

    Raises:
        ValueError: no step, or another direction.
    """

    def __init__(
        self,
        classifier: nn.Module,
        labels: Shaped[Tensor, "n c"],
        *,
        steps: int = STEPS,
        step_size: float = STEP_SIZE,
        direction: str = "gradient",
    ) -> None:
        super().__init__()
        if steps < 1 or direction not in DIRECTIONS:
            raise ValueError(f"needs at least 1 step in one of {DIRECTIONS}, got {steps} in {direction!r}")
        self.classifier, self.labels = classifier, labels
        self.steps, self.step_size, self.direction = steps, step_size, direction
        if preprocessing := getattr(classifier, "preprocessing", None):
            self.preprocessing = preprocessing

    def forward(self, images: Float[Tensor, "b 3 height width"]) -> Any:
        """`response` `(B, C, h, w)` of images `(B, 3, H, W)`; B may be a multiple of N: the images, then mirrors."""
        present = self.labels.to(images.device).repeat(len(images) // len(self.labels), 1) > 0
        pairs = present.nonzero()
        if not len(pairs):
            return SimpleNamespace(response=torch.zeros(*present.shape, 1, 1, device=images.device))
        chunks = pairs.split(len(images))  # as many at a time as there are images, for the memory
        maps = torch.cat([self.climbed(images[image], c) for image, c in (chunk.unbind(1) for chunk in chunks)])
        response = torch.zeros(*present.shape, *maps.shape[1:], device=images.device)
        response[present] = maps
        return SimpleNamespace(response=response)

    def climbed(self, images: Float[Tensor, "p 3 height width"], c: Int64[Tensor, " p"]) -> Float[Tensor, "p h w"]:
        """The map of class `c` of each image, added up over its climb towards that class."""
        each, current = torch.arange(len(images)), images
        lowest, highest = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
        rng = torch.Generator().manual_seed(0)
        found: list[Tensor] = []
        while len(found) < self.steps:
            with torch.enable_grad():
                current = current.detach().requires_grad_()
                maps = self.classifier(current).response.float().relu()
                found.append(maps[each, c].detach())
                gain = objective(maps, found[0], c).sum()
            if len(found) < self.steps:
                (gradient,) = torch.autograd.grad(gain, current)
                change = gradient / (gradient.abs().amax((1, 2, 3), keepdim=True) + 1e-12)
                if self.direction == "shuffled":
                    change = _shuffled(change, rng)
                current = torch.clamp(current.detach() + self.step_size * change, lowest, highest)
        return torch.stack(found).sum(0)


def objective(
    maps: Float[Tensor, "p c h w"], initial: Float[Tensor, "p h w"], c: Int64[Tensor, " p"]
) -> Float[Tensor, " p"]:
    """L of each image: the lead of class `c`, less what its most discriminative cells have changed.

    Args:
        maps: rectified maps of all classes.
        initial: map of class `c` before the climb.
        c: a class of each image.

    >>> maps = torch.tensor([[[[4.0, 1.0]], [[1.0, 0.0]]]])
    >>> objective(maps, torch.tensor([[[2.0, 1.0]]]), torch.tensor([0]))  # 2.5 - 0.5 - 2.5 * (4 - 2) / 2
    tensor([-0.5000])
    """
    each = torch.arange(len(maps))
    of_class, scores = maps[each, c], maps.mean((2, 3))
    discriminative = of_class > DISCRIMINATIVE * of_class.amax((1, 2), keepdim=True)
    changed = (discriminative * (of_class - initial).abs()).mean((1, 2))
    return 2 * scores[each, c] - scores.sum(1) - WEIGHT * changed


def _shuffled(change: Float[Tensor, "p 3 height width"], rng: torch.Generator) -> Float[Tensor, "p 3 height width"]:
    """The same values at other pixels, channels together, in the same way for all images."""
    order = torch.randperm(change[0, 0].numel(), generator=rng).to(change.device)
    return change.flatten(2)[:, :, order].view_as(change)
