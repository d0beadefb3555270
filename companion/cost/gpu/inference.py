"""Inference and loading that `gpu_check` times: the functions of the stages on random images with random weights.

Each function builds what it needs and returns a call without arguments that does the work once, the copy of the result
to the processor included. Nothing here corresponds to published code.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from companion.cost import operations
from companion.cost.gpu.steps import Scale, fresh
from companion.pipeline.stages import classifier as classifier_stage
from companion.pipeline.stages import pseudo_masks, subcategories
from companion.pipeline.stages import response_maps as response_maps_stage
from companion.pipeline.stages import segmentation as segmentation_stage
from companion.settings import ClassifierSettings, Settings
from thesislib.batches import Batches
from thesislib.data.transforms import IMAGENET
from thesislib.data.voc import VocDataset
from thesislib.precision import place
from thesislib.refinement.crf import PSA, dense_crf
from thesislib.refinement.pairs import pair_offsets, source_shape
from thesislib.refinement.random_walk import random_walk

EPOCHS = 50  # of the loader: more batches than are measured


def pictures(count: int, size: tuple[int, int]) -> np.ndarray:
    """Random images without hard edges `(count, H, W, 3)`, which compress and decode about like photographs."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, size[0] // 5, size[1] // 5, 3), dtype=np.uint8)
    return np.stack([np.array(Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC)) for image in coarse])


def _network(scale: Scale, build: Callable[[Settings], nn.Module]) -> Any:
    """A network of `flops` as a stage loads it."""
    return place(fresh(scale, build).eval(), scale.device)


def response_maps(scale: Scale, count: int, precision: str) -> Callable[[], Any]:
    """Multi-scale response maps of `count` images, two classes in each, as stage `response_maps` computes them."""
    model, images = _network(scale, operations.classifier), pictures(count, scale.size)
    labels = torch.zeros(count, operations.VOC_CLASSES)
    labels[:, :2] = 1
    return lambda: response_maps_stage.fused_maps(model, images, labels, scale.settings.cam, precision).cpu()


def features(scale: Scale, count: int, precision: str) -> Callable[[], Any]:
    """Pooled features of `count` images at their own size, as stage `features` computes them."""
    model, images = _network(scale, operations.classifier), pictures(count, scale.size)
    return lambda: subcategories.pooled(model, list(images), precision)


def refined_maps(scale: Scale, count: int, precision: str) -> Callable[[], Any]:
    """Affinities and random walk of `count` images, as stage `refined_maps` computes them."""
    model, images = _network(scale, operations.affinity), pictures(count, scale.size)
    scores = list(torch.rand(count, operations.SCORE_ROWS, *scale.size))
    return lambda: pseudo_masks.refine(model, list(images), scores, scale.settings.affinity, precision)


def walk(scale: Scale, count: int) -> Callable[[], Any]:
    """The random walk alone, of `count` images."""
    cells = [-(-side // scale.settings.backbone.stride) for side in scale.size]
    scores = torch.rand(count, operations.SCORE_ROWS, *cells, device=scale.device)
    pairs = torch.rand(count, len(pair_offsets()), int(np.prod(source_shape(*cells))), device=scale.device)
    return lambda: random_walk(scores, pairs)


def segmentation(scale: Scale, count: int, precision: str) -> Callable[[], Any]:
    """DeepLab-v2 on `count` images one after the other, as stage `segmentation` computes them."""
    model, images = _network(scale, operations.segmenter), pictures(count, scale.size)
    return lambda: [segmentation_stage.predict(model, image, precision) for image in images]


def matmul(scale: Scale, side: int) -> Callable[[], Any]:
    """A large bf16 matrix product: what the card reaches at best."""
    a, b = (torch.randn(side, side, device=scale.device, dtype=torch.bfloat16) for _ in range(2))
    return lambda: a @ b


def crf(scale: Scale) -> Callable[[], Any]:
    """The dense CRF of one image with three labels, on the processor."""
    (image,), scores = pictures(1, scale.size), torch.rand(operations.SCORE_ROWS, *scale.size)
    return lambda: dense_crf(image, scores / scores.sum(0), PSA)


def write_folder(root: Path, count: int, size: tuple[int, int]) -> None:
    """JPEG images of that size in VOC layout, with one object each."""
    for part in ("JPEGImages", "Annotations", "ImageSets/Segmentation"):
        (root / part).mkdir(parents=True)
    names = [f"{number:06}" for number in range(count)]
    for name, image in zip(names, pictures(count, size), strict=True):
        Image.fromarray(image).save(root / "JPEGImages" / f"{name}.jpg", quality=90)
        xml = "<annotation><object><name>cat</name></object></annotation>"
        (root / "Annotations" / f"{name}.xml").write_text(xml, encoding="utf-8")
    (root / "ImageSets" / "Segmentation" / "trainaug.txt").write_text("\n".join(names), encoding="utf-8")


def loader(root: Path, settings: ClassifierSettings, workers: int) -> Iterator[list[Tensor]]:
    """Batches of augmented training images from a folder, loaded as in training but decoded every time."""
    images = VocDataset(root, "trainaug")
    dataset = classifier_stage.TrainingImages(images, settings, seed=0, preprocessing=IMAGENET)
    return Batches(dataset, len(images), settings.batch_size, EPOCHS, seed=0, workers=workers).starting_at(0)
