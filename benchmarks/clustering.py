"""Time and memory of the sub-category labels at the size of VOC or COCO: K-means itself, and everything else.

`OMP_NUM_THREADS=1 python benchmarks/clustering.py [--data coco2014]`. VOC: 10,582 images with the class counts of
trainaug (16,458 pairs of image and class). COCO: 82,081 images, 2.9 classes each, of 80, person in 45,174; the sizes of
the other 79 are not published ones, they fall off as 1 / (rank + 12). "Labels" is all of
`clustering.subcategory_labels` but the fit: the checks, gathering and counting the features of each class, distances,
one-hot columns; the published script needs 11 s for it on VOC. K-means is timed on the largest class and on one of
median size, K = 10, 10 restarts, float32, on two kinds of random features, both rectified as pooled features are.
Clustered: 10 Gaussian centres with noise as wide as they are; K-means ends after about 3 iterations. Graded: no
clusters, but 100 directions whose width falls as 1/i, and noise; about 45 iterations with 4155 images. All classes are
extrapolated: the largest as measured, the others at the median's seconds an image. CPU seconds; memory is the peak of
the process so far, features of the class alone in K-means, of all images in the labels.

COCO, one core of a busy machine (scikit-learn 1.9.1, seed 0, single runs):

    K-means of 1,900 images      1.7 s clustered     3.5 s graded
    K-means of 45,174 images      88 s               192 s                    3.6 GB
    all 80 classes               257 s               552 s     extrapolated
    labels, all but K-means       10 s                                        5.2 GB
"""

import argparse
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from thesislib import clustering
from thesislib.clustering import MAX_ITER, N_INIT, check_labels, cluster, to_labels

FEATURES, K = 4096, 10


class Size(NamedTuple):
    """How many images a data set has, and how many of them show each class."""

    images: int
    per_class: tuple[int, ...]

    @property
    def median(self) -> int:
        """Images of the class in the middle."""
        return sorted(self.per_class)[len(self.per_class) // 2]


def coco_size(images: int = 82_081, person: int = 45_174, labels_per_image: float = 2.9) -> Size:
    """Person, and 79 classes that share the other labels as 1 / (rank + 12)."""
    falling = 1 / (np.arange(1, 80) + 12)
    others = (labels_per_image * images - person) * falling / falling.sum()
    return Size(images, (person, *others.round().astype(int).tolist()))


VOC_PER_CLASS = (
    590,
    504,
    705,
    468,
    714,
    393,
    1150,
    1005,
    1228,
    267,
    613,
    1188,
    445,
    492,
    4155,
    522,
    300,
    649,
    503,
    567,
)
SIZES = {"voc2012": Size(10_582, VOC_PER_CLASS), "coco2014": coco_size()}


class Dealt:
    """Stands in for K-means: deals the points out in turn, so that all the rest can be timed."""

    def __init__(self, clusters: int, **_: object) -> None:
        self.clusters = clusters

    def fit(self, points: np.ndarray) -> "Dealt":
        """Every K-th point is of one cluster; the first points are the centroids."""
        self.labels_ = np.arange(len(points)) % self.clusters
        self.cluster_centers_ = points[: self.clusters]
        return self


def clustered(images: int) -> np.ndarray:
    """Features `(images, 4096)` around 10 centres."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((K, FEATURES), np.float32)[rng.integers(0, K, images)]
    return np.maximum(centres + rng.standard_normal((images, FEATURES), np.float32), 0)


def graded(images: int) -> np.ndarray:
    """Features `(images, 4096)` without clusters, of falling width in 100 directions."""
    rng = np.random.default_rng(0)
    position = rng.standard_normal((images, 100), np.float32) / np.arange(1, 101, dtype=np.float32)
    noise = 0.3 * rng.standard_normal((images, FEATURES), np.float32)
    return np.maximum(position @ rng.standard_normal((100, FEATURES), np.float32) + noise, 0)


def labels(size: Size) -> np.ndarray:
    """Image labels with these class counts, dealt out at random."""
    rng = np.random.default_rng(0)
    result = np.zeros((size.images, len(size.per_class)), np.uint8)
    for c, count in enumerate(size.per_class):
        result[rng.choice(size.images, count, replace=False), c] = 1
    return result


@contextmanager
def timed(what: str) -> Iterator[list[float]]:
    """Print the CPU seconds of the block, and the peak memory of the process; the list then holds the seconds."""
    start, found = time.process_time(), list[float]()
    yield found
    found.append(time.process_time() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{what:52} {found[0]:8.3f} s  {peak:5.2f} GB", flush=True)


def labels_without_fit(size: Size) -> None:
    """All but the fit, and the one-hot columns and their check alone."""
    values, present = np.random.default_rng(0).random((size.images, FEATURES), np.float32), labels(size)
    print(f"{size.images} images, {present.sum()} pairs, {FEATURES} features, K = {K}")
    k_means, clustering.KMeans = clustering.KMeans, Dealt
    try:
        for _ in range(3):
            with timed("labels, all but K-means"):
                assignments = cluster(values, present, K, seed=0).assignments
                check_labels(to_labels(assignments, K), present, K)
    finally:
        clustering.KMeans = k_means
    with timed("of that, assignments to checked columns"):
        check_labels(to_labels(assignments, K), present, K)


def fits(size: Size, seeds: int) -> None:
    """K-means of the class of median size and of the largest."""
    print(f"K-means, K = {K}, {N_INIT} restarts, at most {MAX_ITER} iterations")
    largest = max(size.per_class)
    for made in (clustered, graded):
        for seed in range(seeds):
            seconds = {}
            for count in (size.median, largest):
                values = made(count)
                with timed(f"{made.__name__} features of {count} images, seed {seed}") as found:
                    cluster(values, np.ones((count, 1), np.uint8), K, seed)
                seconds[count] = found[0]
            others = (sum(size.per_class) - largest) * seconds[size.median] / size.median
            print(
                f"{made.__name__} features, all {len(size.per_class)} classes, extrapolated: "
                f"{seconds[largest] + others:.0f} s"
            )


def main() -> None:
    """K-means, then labels with K-means taken out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=SIZES, default="voc2012", help="whose size")
    parser.add_argument("--seeds", type=int, default=1, help="runs of K-means on each kind of features")
    options = parser.parse_args()
    fits(SIZES[options.data], options.seeds)
    labels_without_fit(SIZES[options.data])


if __name__ == "__main__":
    main()
