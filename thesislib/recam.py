"""ReCAM: a trained classifier learns on with a second one, which tells an image's classes apart. Not in the thesis.

Chen, Wang, Wu, Hua, Zhang and Sun, "Class Re-Activation Maps for Weakly-Supervised Semantic Segmentation", CVPR 2022.
Corresponds to `net/resnet50_cam.py` (`Net_CAM_Feature`, `Class_Predictor`, `CAM.forward2`) and `step/train_recam.py` of
zhaozhengChen/ReCAM. With f the features, M_c the rectified map of class c divided by its maximum, w the weights of the
classifier and v those of a second one, which has a softmax over all classes

    f_c = mean over the cells of M_c f                                   for each present class c
    L = l(w mean(f), y) + weight * mean over images of mean over present c of -log softmax_c(v f_c)
    map of c: (w_c v_c) f, the weights multiplied element by element

Gradients flow through the maps too. Where the paper leaves a choice, this is the code: weights are multiplied, and a
class counts by its share of the classes of its image.

Deliberate differences: the classifier's dropout stays as it was, where the released network has none; the second
classifier starts as every head here does (Xavier).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from thesislib.cam import normalize
from thesislib.losses import classification_loss
from thesislib.models.classifier import CamClassifier, head
from thesislib.precision import at_least_float32

WEIGHT = 1.0
"""Of the second classifier's loss on PASCAL VOC; 0.1 on MS-COCO (`run_sample_coco.py`)."""


class ReactivatedOutput(NamedTuple):
    """What one forward pass of `Reactivated` gives."""

    logits: Float[Tensor, "b c"]
    response: Float[Tensor, "b c h w"]
    class_logits: Float[Tensor, "b c c"]


class Reactivated(nn.Module):
    """A trained classifier and a second one on the features under each of its maps.

    Its `response` is made with the product of both weights, so that it stands in for the classifier in
    `cam.response_maps_batch`.

    Args:
        classifier: trained already.
        generator: source of the initial weights of the second one.

    Shapes:
        images `(B, 3, H, W)` -> `ReactivatedOutput` with logits `(B, C)` of the classifier, the re-activated map
        response `(B, C, h, w)`, not rectified, and class_logits `(B, C, C)`: at `[b, c]` what the second classifier
        says of the features under the map of class c.
    """

    def __init__(self, classifier: CamClassifier, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.backbone = classifier  # what is trained already, see `models.classifier.parameter_groups`
        self.stride, self.preprocessing = classifier.stride, classifier.preprocessing
        self.second = head(classifier.fc8.in_channels, classifier.num_classes, generator)

    def forward(self, images: Float[Tensor, "b 3 height width"]) -> ReactivatedOutput:
        """Logits of both classifiers and the re-activated map of a batch."""
        features = self.backbone.features(images)
        plain = self.backbone.of_features(features)
        under_maps = class_features(plain.response, features)
        response = F.conv2d(features, self.backbone.fc8.weight * self.second.weight)
        return ReactivatedOutput(plain.logits, response, F.linear(under_maps, self.second.weight.flatten(1)))


def class_features(response: Float[Tensor, "b c h w"], features: Float[Tensor, "b d h w"]) -> Float[Tensor, "b c d"]:
    """Features under each class's rectified map, which weighs them from 0 to 1; mean over the cells."""
    weights = normalize(at_least_float32(response).relu())
    return torch.einsum("bcn,bdn->bcd", weights.flatten(2), at_least_float32(features).flatten(2)) / (
        weights[0, 0].numel()
    )


def reactivation_loss(class_logits: Float[Tensor, "b c c"], present: Bool[Tensor, "b c"]) -> Float[Tensor, ""]:
    """Softmax cross-entropy of each present class under its own map, in nats; mean over classes, then over images.

    Args:
        class_logits: of `Reactivated`.
        present: classes of each image; one without any counts as 0.

    >>> reactivation_loss(torch.zeros(1, 3, 3), torch.tensor([[True, False, True]]))  # ln 3
    tensor(1.0986)
    """
    classes = present.nonzero()[:, 1]
    losses = F.cross_entropy(at_least_float32(class_logits)[present], classes, reduction="none")
    share = 1 / present.sum(dim=1, keepdim=True).expand_as(present)[present]
    return (losses * share).sum() / len(present)


@dataclass(frozen=True)
class RecamObjective:
    """The weighted terms of L for one batch; their sum is the loss.

    Attributes:
        weight: of the second classifier's loss; 0 leaves it out, and the classifier learns on as it did, a control.
    """

    weight: float = WEIGHT

    def __call__(
        self, model: nn.Module, batch: Sequence[Tensor], rng: np.random.Generator
    ) -> dict[str, Float[Tensor, ""]]:
        """The terms of images `(B, 3, H, W)` with labels `(B, C)`, 0 or 1; nothing is drawn."""
        images, labels = batch
        output = model(images)
        terms = {"classification": classification_loss(output.logits, labels)}
        if self.weight:
            terms["re-activation"] = self.weight * reactivation_loss(output.class_logits, labels > 0)
        return terms
