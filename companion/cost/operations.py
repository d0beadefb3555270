"""Floating-point operations of every stage at full size, counted without running it.

The networks are built on torch's meta device, which has shapes and no numbers, and torch.utils.flop_counter adds up
their convolutions and matrix products, forward and backward (frozen layers have no gradient of their weights); a
multiplication with its addition counts two. Activations, BatchNorm, resizing and losses are not counted: together they
are under one per cent of the operations, though not of the time. Thesis 2.4.1 and 3.4.1; nothing here corresponds to
published code.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from companion.pipeline.stages import affinity as affinity_stage
from companion.pipeline.stages import classifier as classifier_stage
from companion.pipeline.stages import segmentation as segmentation_stage
from companion.settings import Settings
from thesislib.models.affinitynet import AffinityNet
from thesislib.models.classifier import CamClassifier
from thesislib.models.deeplab import DeepLabV2
from thesislib.recam import Reactivated
from thesislib.refinement.pairs import RADIUS, pair_offsets, source_shape

VOC_CLASSES = 20
VOC_SIZE = (375, 500)  # rows and columns of the commonest image of VOC
CLASSES = 1.6  # present in an image, on average
SCORE_ROWS = 3  # of an image in the random walk: background and present classes, rounded up
WALK_PRODUCTS = 96  # of a sparse matrix, for 2^8 steps (`random_walk`)


def classifier(settings: Settings, k: int = 0) -> CamClassifier:
    """The classifier as its training builds it, with initial weights; `k` sub-categories a class."""
    return classifier_stage.build(settings.backbone, settings.classifier, VOC_CLASSES, seed=0, k=k)


def affinity(settings: Settings) -> AffinityNet:
    """AffinityNet with initial weights."""
    return affinity_stage.build(settings.backbone)


def segmenter(settings: Settings) -> DeepLabV2:
    """DeepLab-v2 with initial weights."""
    shared = segmentation_stage.shared_backbone(settings).get("backbone")
    return segmentation_stage.build(settings.segmentation, VOC_CLASSES + 1, backbone=shared)


@functools.cache
def classifier_step(settings: Settings, crop: int, k: int = 0) -> int:
    """One batch forward and backward through the classifier."""
    model = _on_meta(lambda: classifier(settings, k))
    return _step(model, settings.classifier.batch_size, crop, lambda output: [output.logits, output.sub_logits])


@functools.cache
def recam_step(settings: Settings, crop: int, second: bool = True) -> int:
    """One batch forward and backward through a trained classifier and ReCAM's second one, or back through the first."""
    model = _on_meta(lambda: Reactivated(classifier(settings)))
    return _step(
        model, settings.recam.batch_size, crop, lambda output: [output.logits, output.class_logits if second else None]
    )


@functools.cache
def affinity_step(settings: Settings) -> int:
    """One batch forward and backward through AffinityNet; through its layers after a backbone that is all frozen."""
    chosen = settings.affinity
    if chosen.trained == "head":
        return _affinity_head_step(settings)
    return _step(_on_meta(lambda: affinity(settings)), chosen.batch_size, chosen.augmentation.crop, lambda out: [out])


def _affinity_head_step(settings: Settings) -> int:
    """One batch of maps of whole images, which are there already, forward and backward."""
    model: Any = _on_meta(lambda: affinity(settings))
    model.backbone.requires_grad_(False)
    with torch.no_grad():
        maps = model.levels(_whole_images(settings.affinity.batch_size, model.stride))
    with FlopCounterMode(display=False) as counter:
        model.affinities(model.embed(maps)).sum().backward()
    return counter.get_total_flops()


@functools.cache
def affinity_maps(settings: Settings) -> int:
    """The maps of one whole image that the layers after a frozen backbone are trained on."""
    model: Any = _on_meta(lambda: affinity(settings))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.levels(_whole_images(1, model.stride))
    return counter.get_total_flops()


def _whole_images(count: int, stride: int) -> Tensor:
    """Squares of the longer side of `VOC_SIZE` in whole cells, as images are padded to the largest one."""
    side = math.ceil(max(VOC_SIZE) / stride) * stride
    return torch.zeros(count, 3, side, side, device="meta")


@functools.cache
def segmenter_step(settings: Settings) -> int:
    """One batch forward and backward through DeepLab-v2 at its three scales."""
    chosen = settings.segmentation
    return _step(_on_meta(lambda: segmenter(settings)), chosen.batch_size, chosen.augmentation.crop, list)


@functools.cache
def features(settings: Settings, size: tuple[int, int] = VOC_SIZE) -> int:
    """One forward pass of the classifier over one image: pooled features, or logits."""
    return _forward(_on_meta(lambda: classifier(settings)), size)


@functools.cache
def response_maps(settings: Settings, size: tuple[int, int] = VOC_SIZE) -> int:
    """All scales of one image, and with `cam.flip` their mirrors."""
    model = _on_meta(lambda: classifier(settings))
    sizes = [(round(size[0] * scale), round(size[1] * scale)) for scale in settings.cam.scales]
    return (1 + settings.cam.flip) * sum(_forward(model, each) for each in sizes)


@functools.cache
def climbed_maps(settings: Settings, steps: int, size: tuple[int, int] = VOC_SIZE) -> int:
    """AdvCAM's maps of one class of one image at all scales, each with `steps` - 1 gradients of the image."""
    model = _on_meta(lambda: classifier(settings))
    sizes = [(round(size[0] * scale), round(size[1] * scale)) for scale in settings.cam.scales]
    gradients = (steps - 1) * sum(_gradient(model, each) for each in sizes)
    return steps * response_maps(settings, size) + (1 + settings.cam.flip) * gradients


@functools.cache
def refined_maps(settings: Settings, size: tuple[int, int] = VOC_SIZE) -> int:
    """The affinities of one image and the random walk along them."""
    model = _on_meta(lambda: affinity(settings))
    stride = affinity_stage.grid(settings.backbone)
    height, width = (math.ceil(side / stride) for side in size)
    padded = height * stride, width * stride
    return _forward(model, padded) + random_walk(height, width)


@functools.cache
def segmentation(settings: Settings, size: tuple[int, int] = VOC_SIZE) -> int:
    """One forward pass of DeepLab-v2 over one image at its three scales."""
    return _forward(_on_meta(lambda: segmenter(settings)), size)


def neighbours(height: int, width: int, radius: int = RADIUS) -> int:
    """Entries of the sparse transition matrix on a map of cells: each cell itself, and every pair both ways.

    >>> neighbours(47, 63)
    163781
    """
    return height * width + 2 * len(pair_offsets(radius)) * math.prod(source_shape(height, width, radius))


def random_walk(height: int, width: int, rows: int = SCORE_ROWS) -> int:
    """The walk of 2^8 steps as it is done here: sparse products of the matrix with the scores."""
    return 2 * WALK_PRODUCTS * rows * neighbours(height, width)


def dense_walk(height: int, width: int, rows: int = SCORE_ROWS, log2_steps: int = 8) -> int:
    """The same walk as published: a dense matrix squared eight times, and one product with the scores."""
    cells = height * width
    return 2 * log2_steps * cells**3 + 2 * rows * cells**2


def _on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """A network without numbers, and without its BatchNorm: this is not counted, and took most of the counting time."""
    with torch.device("meta"):
        model = build()
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
    return model


def _step(model: nn.Module, batch: int, crop: int, losses_of: Callable[[Any], Sequence[Tensor | None]]) -> int:
    """Operations of one training step; a sum stands for the loss, whose own operations are not counted."""
    images = torch.zeros(batch, 3, crop, crop, device="meta")
    with FlopCounterMode(display=False) as counter:
        outputs = [output.sum() for output in losses_of(model.train()(images)) if output is not None]
        torch.stack(outputs).sum().backward()
    return counter.get_total_flops()


def _gradient(model: nn.Module, size: Sequence[int]) -> int:
    """Operations of the gradient of an image alone, without the forward pass."""
    images = torch.zeros(1, 3, *size, device="meta", requires_grad=True)
    response = model.eval()(images).response
    with FlopCounterMode(display=False) as counter:
        torch.autograd.grad(response.sum(), images)
    return counter.get_total_flops()


@torch.no_grad()
def _forward(model: nn.Module, size: Sequence[int]) -> int:
    with FlopCounterMode(display=False) as counter:
        model.eval()(torch.zeros(1, 3, *size, device="meta"))
    return counter.get_total_flops()
