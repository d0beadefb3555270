"""What a batch of the classifier is trained on: equations (2.5) and (3.3).

Thesis 2.3.2, Mixup-CAM, on the mixed images x' and labels y' of (2.2), z^p the logits and M the response maps of the
same forward pass:

    (2.5)  L = l(z^p(x'), y') + lambda_ent L_ent(z^p) + lambda_con L_con(M, y')

Thesis 3.3.2, SC-CAM, y^s the sub-category labels of (3.2) and z^s the logits of the second head:

    (3.3)  L = l(z^p(x), y) + lambda l(z^s(x), y^s)

(3.3) corresponds to `train_cls.py` of Juliachang/SC-CAM and its plain first term to that of jiwoon-ahn/psa; the authors
of Mixup-CAM released no code. The thesis has the two methods side by side. Where both are asked for, labels of
sub-categories are mixed like labels, and the terms of both equations are added. Where the network sees an image more
than once, in passes of several sizes, each term is the mean over the passes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Real
from torch import Tensor, nn

from thesislib.contrast import contrastive_loss
from thesislib.equivariance import equivariance_loss, smaller
from thesislib.losses import classification_loss, concentration_loss, entropy_loss
from thesislib.mixing import MIXINGS, smooth
from thesislib.models.classifier import ClassifierOutput

VIEWS_NDIM = 5  # images, views, channels, height, width
ExtraTerm = Callable[[ClassifierOutput, Tensor], Tensor]


@dataclass(frozen=True)
class ClassifierObjective:
    """The weighted terms of (2.5) and (3.3) for one batch; their sum is the loss. A weight of 0 leaves its term out.

    The thesis' Mixup-CAM is `ClassifierObjective(20, mixup_alpha=0.2, lambda_ent=0.02, lambda_con=2e-4)`, its SC-CAM
    `ClassifierObjective(20, lambda_sub=5)` with a classifier that has a second head.

    Attributes:
        num_classes: C; labels behind it are those of sub-categories.
        mixup_alpha: of (2.2); 0: no mixup.
        mixing: one of `mixing.MIXINGS`; `mixup` is (2.2), the others are controls and rivals of it.
        label_smoothing: eps of `mixing.smooth`, of the targets of the classes alone; 0: none.
        lambda_ent: weight of the entropy (2.3); below 0 the entropy is raised (A2).
        entropy_level: `image`, of the logits, or `pixel`, of the response maps (A1).
        entropy_score: see `entropy_loss` (A2).
        lambda_con: weight of the concentration (2.4) on a response map of `concentration_map` x `concentration_map`
            cells, positions counted in cells.
        concentration_form: see `concentration_loss` (A5).
        concentration_map: other maps keep the equivalent weight in unit coordinates (A4).
        lambda_sub: lambda of (3.3).
        lambda_contrast: weight of the contrastive term, which needs two views of every image.
        contrast_temperature: see `contrastive_loss`.
        copy_scale: of the sides of a smaller copy of every image, which is seen beside it; 0: none.
        lambda_er: weight of the equivariance of maps to that rescaling, which needs the copies.
        extra: a term of one's own, of the classifier's output and the labels `(B, C)`.
        lambda_extra: its weight.
    """

    num_classes: int
    mixup_alpha: float = 0
    mixing: str = "mixup"
    label_smoothing: float = 0
    lambda_ent: float = 0
    entropy_level: Literal["image", "pixel"] = "image"
    entropy_score: str = "sigmoid_max"
    lambda_con: float = 0
    concentration_form: str = "written"
    concentration_map: int = 28
    lambda_sub: float = 0
    lambda_contrast: float = 0
    contrast_temperature: float = 0.1
    copy_scale: float = 0
    lambda_er: float = 0
    extra: ExtraTerm | None = None
    lambda_extra: float = 0

    def __call__(self, model: nn.Module, batch: Sequence[Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
        """The terms of a batch of images and labels; `rng` draws the mix.

        Args:
            model: the classifier.
            batch: images `(B, 3, H, W)`, or views of them `(B, V, 3, H, W)`, and labels `(B, C)` or `(B, C + C*K)`.
            rng: of this batch.
        """
        images, labels = batch
        if images.ndim == VIEWS_NDIM:
            labels = labels.repeat_interleave(images.shape[1], dim=0)
            images = images.flatten(0, 1)
        if self.mixup_alpha:
            images, labels, _ = MIXINGS[self.mixing](images, labels, self.mixup_alpha, rng)  # (2.2)
        passes = [images, smaller(images, self.copy_scale)] if self.copy_scale else [images]
        outputs = [model(each) for each in passes]
        classes, sub_labels = labels[:, : self.num_classes], labels[:, self.num_classes :]
        of_passes = [self.terms(output, classes, sub_labels) for output in outputs]
        terms = {name: torch.stack([each[name] for each in of_passes]).mean() for name in of_passes[0]}
        if self.lambda_er:
            terms["equivariance"] = self.lambda_er * equivariance_loss(
                outputs[0].response,
                outputs[1].response,
                classes > 0,
                size=passes[0].shape[2:],
                copy_size=passes[1].shape[2:],
            )
        return terms

    def terms(
        self, output: ClassifierOutput, labels: Real[Tensor, "b c"], sub_labels: Real[Tensor, "b ck"]
    ) -> dict[str, Float[Tensor, ""]]:
        """The weighted terms of one pass by name, given what the classifier says of the images."""
        targets = smooth(labels, self.label_smoothing) if self.label_smoothing else labels
        terms = {"classification": classification_loss(output.logits, targets)}
        if output.sub_logits is not None:
            terms["sub-categories"] = self.lambda_sub * classification_loss(output.sub_logits, sub_labels)  # (3.3)
        if self.lambda_ent:
            scores = output.logits if self.entropy_level == "image" else output.response
            terms["entropy"] = self.lambda_ent * entropy_loss(scores, score=self.entropy_score)  # (2.3)
        if self.lambda_con:
            terms["concentration"] = unit_weight(self.lambda_con, self.concentration_map) * concentration_loss(
                output.response, labels > 0, form=self.concentration_form, coords="unit"
            )  # (2.4), present classes: A7
        if self.lambda_contrast:
            views = output.pooled.unflatten(0, (-1, 2))
            terms["contrast"] = self.lambda_contrast * contrastive_loss(views, temperature=self.contrast_temperature)
        if self.extra:
            terms["extra"] = self.lambda_extra * self.extra(output, labels)
        return terms


def unit_weight(lambda_con: float, side: int) -> float:
    """Weight of the concentration in unit coordinates that equals `lambda_con` on a map of `side` x `side` cells (A4).

    >>> round(unit_weight(2e-4, 28), 4), round(unit_weight(2e-4, 56), 4)
    (0.0392, 0.1568)
    """
    return lambda_con * (side / 2) ** 2
