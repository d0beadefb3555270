"""What `thesis masks` has to beat: grad-cam's maps of the same network without any training, at a fixed threshold.

    pip install grad-cam
    python benchmarks/grad_cam_baseline.py --data-root DIR

Anybody can do this in an hour: EfficientNet-Lite0 as ImageNet left it, package `grad-cam` (jacobgil/pytorch-grad-cam)
on its last convolution, the image labels of the folder as with `thesis masks`, and background where no map reaches .15
of its maximum. A class of the folder is the maximum, or the sum, of the logits of the ImageNet classes that WordNet has
below it; person has none and is predicted nowhere. Prints IoU against SegmentationClass, and the time.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from thesislib import cam, metrics
from thesislib.data.voc import VocDataset
from thesislib.models.timm_weights import LITE0, packaged_lite0, read_lite0

IMAGENET = {  # places in ImageNet's list of 1000, ends excluded
    "cat": range(281, 286),  # tabby to Egyptian cat
    "dog": range(151, 269),  # Chihuahua to Mexican hairless
    "horse": range(339, 340),  # sorrel; zebra is no horse of VOC
    "cow": range(345, 348),  # ox, water buffalo, bison
    "sheep": range(348, 350),  # ram, bighorn
}
TARGETS: dict[str, Callable[[Tensor], Tensor]] = {"max": torch.max, "sum": torch.sum}
BACKGROUND = 0.15


def main() -> None:
    """Map, threshold and score every image of the split."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-root", required=True, help="folder in VOC layout")
    parser.add_argument("--split", default="val")
    parser.add_argument("--target", choices=TARGETS, default="max", help="of the logits of a class")
    parser.add_argument("--scale", type=float, default=1, help="of the image before the network")
    options = parser.parse_args()
    images = VocDataset(options.data_root, options.split)
    mapped = _mapper(TARGETS[options.target], options.scale)
    confusion, begun = metrics.ConfusionMatrix(len(images.classes) + 1), time.monotonic()
    for i in tqdm(range(len(images)), "grad-cam", unit="image"):
        shown = [c for c in np.flatnonzero(images.labels[i]) if images.classes[c] in IMAGENET]
        maps = torch.zeros(len(images.classes), *images.size(i))
        for c in shown:
            maps[c] = mapped(images.image(i), IMAGENET[images.classes[c]])
        confusion.update(images.mask(i), cam.label_map(maps, BACKGROUND).numpy())
    iou = 100 * confusion.iou()
    for name, value in zip(("background", *images.classes), iou, strict=True):
        print(f"{name:12} {value:5.1f}" + ("" if name in ("background", *IMAGENET) else "   not among ImageNet's"))
    known = [0, *(c + 1 for c, name in enumerate(images.classes) if name in IMAGENET)]
    print(f"mIoU {np.nanmean(iou):.1f} %; of background and ImageNet's classes alone {np.nanmean(iou[known]):.1f} %")
    print(f"{len(images)} images in {time.monotonic() - begun:.0f} s, {torch.get_num_threads()} threads")


def _mapper(target: Callable[[Tensor], Tensor], scale: float) -> Callable[[np.ndarray, Sequence[int]], Tensor]:
    """A function of an RGB image and ImageNet classes: their map at the image's size, from 0 to 1."""
    try:
        from pytorch_grad_cam import GradCAM
    except ImportError as error:
        sys.exit(
            f"{error}: this baseline needs the package grad-cam, which nothing else here does: pip install grad-cam"
        )
    network: Any = timm.create_model(LITE0, pretrained=False)
    network.load_state_dict(read_lite0(packaged_lite0()), strict=False)  # lacks the counts of batches alone
    config = timm.data.resolve_model_data_config(network)
    mean, std = (torch.tensor(config[name])[:, None, None] for name in ("mean", "std"))
    grad_cam = GradCAM(network.eval(), [network.bn2])  # behind the last convolution

    def mapped(image: np.ndarray, classes: Sequence[int]) -> Tensor:
        height, width = image.shape[:2]
        picture = Image.fromarray(image).resize((round(scale * width), round(scale * height)), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255
        found = grad_cam(((pixels - mean) / std)[None], [lambda logits: target(logits[[*classes]])])[0]
        at_size = Image.fromarray(found).resize((width, height), Image.Resampling.BILINEAR)
        return cam.normalize(torch.from_numpy(np.array(at_size))[None])[0]

    return mapped


if __name__ == "__main__":
    main()
