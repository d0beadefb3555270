"""What stages leave, made up of random maps, counts and clusters, for the tests of experiments.

A row's results depend on its name and seed alone, so that other rows beside it change nothing.
"""

import zlib

import numpy as np
from cluster_data import K, random_round
from safetensors.numpy import save_file
from voc_folder import make_voc, write_split

from companion.pipeline import artefacts
from companion.pipeline.artefacts import Features, ResponseMaps, Subcategories
from companion.pipeline.stages import response_maps
from thesislib import metrics
from thesislib.data.voc import VocDataset

CLASSES = ("heron", "fox", "snail")


def make_data(folder, n=9):
    """The folder of stage `data`: n images of one class each, of two true sub-types."""
    root = make_voc(folder / artefacts.DATASET, n=n, classes=CLASSES)
    ids = [f"2000_{i:06d}" for i in range(n)]
    write_split(root, "trainaug", ids)
    lines = [f"{name},{CLASSES[i % 3]},{i // 3 % 2}" for i, name in enumerate(ids)]
    (root / "subtypes.csv").write_text("\n".join(["image_id,class_name,subtype", *lines]) + "\n")
    return folder


def compute(folder, threshold=0.15):
    """A `Compute` that makes up what stages leave under `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    images = VocDataset(make_data(folder / "data") / artefacts.DATASET, "train")

    def made(name, stage):
        if stage.name == "data":
            return folder / "data"
        place = folder / f"{stage.name} {name[0]} {name[1]}"
        if not place.exists():
            place.mkdir()
            rng = np.random.default_rng([zlib.crc32(str(name[0]).encode()), name[1]])
            WRITERS[stage.name](place, images, rng, threshold)
        return place

    return lambda stages: {name: made(name, stage) for name, stage in stages.items()}


def write_maps(folder, images, rng, threshold):
    """Maps of stage `response_maps` with their scores."""
    quality = rng.random()
    for i, name in enumerate(images.ids):
        present = np.flatnonzero(images.labels[i])
        truth = np.stack([images.mask(i) == c + 1 for c in present])
        maps = (0.4 * rng.random(truth.shape) + quality * truth * rng.random()).astype(np.float32)
        ResponseMaps(present.astype(np.uint8), maps).write(folder, name)
    logits = rng.standard_normal(images.labels.shape) + 3 * quality * images.labels
    found = {"logits": logits, "labels": images.labels}
    found |= response_maps.score(images, folder, threshold)
    found |= {"part_covered": rng.integers(0, 50, (len(metrics.THRESHOLDS), 3)), "part_total": np.array([50, 100, 60])}
    artefacts.write_scores(folder, dict.fromkeys(("train", "val"), found))


def write_refined(folder, images, rng, threshold):
    """The scores of stage `refined_maps`."""
    counts = rng.integers(1, 50, (len(images), len(images.classes) + 1, len(images.classes) + 1))
    artefacts.write_scores(folder, {split: {"image_confusion": counts} for split in ("train", "val")})


def write_clusters(folder, images, rng, threshold):
    """The labels of stage `subcategories`."""
    found = random_round(images.labels, int(rng.integers(1000)))
    Subcategories(found.assignments, found.k, found.distances).write(folder)


def write_features(folder, images, rng, threshold):
    """The features of stage `features`."""
    Features(rng.random((len(images), 8), np.float32)).write(folder)


def write_heads(folder, images, rng, threshold):
    """The weight rows of both heads of stage `classifier`."""
    classes = len(images.classes)
    rows = {"fc8.weight": rng.random((classes, 8, 1, 1), np.float32)}
    rows |= {"fc8_sub.weight": rng.random((classes * K, 8, 1, 1), np.float32)}
    save_file(rows, folder / artefacts.CLASSIFIER_WEIGHTS)


WRITERS = {
    "classifier": write_heads,
    "response_maps": write_maps,
    "refined_maps": write_refined,
    "subcategories": write_clusters,
    "features": write_features,
}
