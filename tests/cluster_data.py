"""Random clusters of a tiny folder in VOC layout, for the tests of chapter 3."""

import numpy as np
from voc_folder import make_voc, write_annotation

from companion.analysis.cluster_tables import Round
from thesislib.data.voc import VocDataset

CLASSES = ("heron", "fox", "snail")
K = 3


def make_images(folder, n=24, seed=0):
    """Images with one to three of `CLASSES`; image 0 has no mask."""
    root = make_voc(folder, n=n, classes=CLASSES)
    rng = np.random.default_rng(seed)
    for i in range(n):
        others = [name for name in CLASSES if name != CLASSES[i % 3] and rng.random() < 0.4]
        write_annotation(root, f"2000_{i:06d}", [CLASSES[i % 3], *others])
    (root / "SegmentationClass" / "2000_000000.png").unlink()
    return VocDataset(root, "train")


def random_round(labels, seed, k=K):
    rng = np.random.default_rng(seed)
    assignments = np.where(labels > 0, rng.integers(0, k, labels.shape), -1).astype(np.int16)
    return Round(assignments, np.where(labels > 0, rng.random(labels.shape), np.nan), k)


def random_labels(images, classes, seed=0, share=0.4):
    """At least one class an image."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((images, classes)) < share).astype(np.uint8)
    labels[np.arange(images), rng.integers(0, classes, images)] = 1
    return labels
