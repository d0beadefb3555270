"""SC-CAM, the method of chapter 3 (Algorithm 1), on `thesislib` alone: from images and their labels to response maps.

    python examples/sc_cam.py DATA --weights backbone.safetensors --output sc_cam

DATA is a folder in VOC layout (see `thesislib.data.voc`). `thesis stage classifier --preset demo` generates the demo's,
in `runs/data/<key>/dataset`, and copies its backbone to `runs/backbone/<key>/backbone.safetensors`; with them this
takes a minute on one core. Numbers are the demo's; behind them those of the published code, where they differ.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from thesislib import cam, randomness
from thesislib.batches import Batches
from thesislib.clustering import subcategory_labels
from thesislib.data.augmentation import Augmentation
from thesislib.data.transforms import augment, to_tensor
from thesislib.data.voc import VocDataset, write_mask
from thesislib.metrics import ConfusionMatrix
from thesislib.models.classifier import CamClassifier, parameter_groups
from thesislib.models.resnet38 import ResNet38
from thesislib.models.weights import load_weights
from thesislib.objectives import ClassifierObjective
from thesislib.optimisation import Optimisation
from thesislib.training import train

SEED = 0
ROUNDS, K = 3, 5  # 3, 10
BATCH_SIZE, EPOCHS = 8, 6  # 16, of 61 the first 31, 41, 51
AUGMENTATION = Augmentation(long_side=(80, 128), crop=80, jitter=(0.2, 0.2, 0.2, 0.0))  # (256, 512), 224, 0.3
OPTIMISATION = Optimisation("adamw", "one_cycle", learning_rate=4e-3, weight_decay=0.1)  # SGD, poly, 0.01, 5e-4
SCALES, FLIP = (1, 0.25), False  # (1, 0.5, 1.5, 2), True
BACKGROUND = 0.15  # constant score of the background (A16)


class TrainingImages(Dataset):
    """Augmented images with their labels, those of sub-categories behind them, addressed by (epoch, index)."""

    def __init__(self, images: VocDataset, sub_labels: np.ndarray | None) -> None:
        labels = images.labels if sub_labels is None else np.concatenate([images.labels, sub_labels], axis=1)
        self.images, self.labels = images, torch.from_numpy(labels).float()

    def __getitem__(self, address: tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, index = address
        rng = randomness.generator(SEED, randomness.AUGMENTATION, epoch, index)
        return augment(self.images.image(index), rng, AUGMENTATION), self.labels[index]


def train_classifier(images: VocDataset, weights: Path | None, sub_labels: np.ndarray | None = None) -> CamClassifier:
    """Minimise (3.3), or its first term where there are no sub-category labels yet, from the initial weights (A13)."""
    backbone = ResNet38(width=1 / 32, stride=4, dilations=(1, 1))  # 1, 8, (2, 4)
    if weights:
        load_weights(backbone.freeze(), weights)
    heads = randomness.torch_generator(SEED, randomness.INITIALISATION)
    model = CamClassifier(backbone, len(images.classes), 0 if sub_labels is None else K, generator=heads)
    objective = ClassifierObjective(len(images.classes), lambda_sub=5)
    groups = parameter_groups(model, OPTIMISATION.learning_rate, OPTIMISATION.weight_decay, new_layer_factor=30)  # 10
    batches = Batches(TrainingImages(images, sub_labels), len(images), BATCH_SIZE, EPOCHS, SEED)
    history = train(model, groups, objective, batches, OPTIMISATION)
    print(", ".join(f"{name} {np.mean(values[-batches.per_epoch :]):.4f}" for name, values in history.items()))
    return model


@torch.no_grad()
def pooled_features(model: CamClassifier, images: VocDataset) -> np.ndarray:
    """What the heads see of every image at its own size (A12)."""
    return np.concatenate([model(to_tensor(images.image(i))[None]).pooled.numpy() for i in range(len(images))])


def algorithm_1(images: VocDataset, weights: Path | None) -> CamClassifier:
    """Round 0 is the plain classifier; each later one trains on the clusters of the features of the one before."""
    model = train_classifier(images, weights)
    for _ in range(ROUNDS):
        sub_labels = subcategory_labels(pooled_features(model, images), images.labels, K, SEED)  # (3.2)
        model = train_classifier(images, weights, sub_labels)
    return model


def write_maps(model: CamClassifier, images: VocDataset, folder: Path) -> float:
    """Response maps (3.1) of the present classes, and label maps; returns the mIoU of those that have a truth."""
    folder.mkdir(parents=True, exist_ok=True)
    confusion = ConfusionMatrix(len(images.classes) + 1)
    for i, name in enumerate(images.ids):
        image, labels = images.image(i), torch.from_numpy(images.labels[i])
        maps = cam.normalize(cam.response_maps(model, image, labels, scales=SCALES, flip=FLIP))
        present, shown = np.flatnonzero(images.labels[i]), cam.label_map(maps, BACKGROUND).numpy()
        np.savez_compressed(folder / f"{name}.npz", classes=present, maps=maps[present].numpy())
        write_mask(folder / f"{name}.png", shown)
        if images.has_mask(i):
            confusion.update(images.mask(i), shown)
    return confusion.miou()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder in VOC layout: trained on trainaug, maps of train")
    parser.add_argument("--weights", type=Path, help="of a pre-trained backbone; else random ones, all trained")
    parser.add_argument("--output", type=Path, default=Path("sc_cam"), help="folder of the maps")
    options = parser.parse_args()
    model = algorithm_1(VocDataset(options.data, "trainaug", cache=True), options.weights)
    miou = write_maps(model, VocDataset(options.data, "train"), options.output)
    print(f"{options.output}: response maps of train, mIoU {miou:.3f} at threshold {BACKGROUND}")
