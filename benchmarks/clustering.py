"""Time of the sub-category labels at VOC size: K-means itself, and everything else.

`OMP_NUM_THREADS=1 python benchmarks/clustering.py`. 10,582 images with the class counts of trainaug (16,458 pairs of
image and class). "Labels" is all of `clustering.subcategory_labels` but the fit: the checks, gathering and counting the
features of each class, distances, one-hot columns; the published script needs 11 s for it. K-means is timed on the
largest class: 4155 x 4096 float32, K = 10, 10 restarts, on two kinds of random features, both rectified as pooled
features are. Clustered: 10 Gaussian centres with noise as wide as they are; K-means ends after about 3 iterations.
Graded: no clusters, but 100 directions whose width falls as 1/i, and noise; about 45 iterations.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from thesislib import clustering
from thesislib.clustering import MAX_ITER, N_INIT, check_labels, cluster, to_labels

IMAGES, FEATURES, K = 10_582, 4096, 10
PER_CLASS = (590, 504, 705, 468, 714, 393, 1150, 1005, 1228, 267, 613, 1188, 445, 492, 4155, 522, 300, 649, 503, 567)


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


def labels() -> np.ndarray:
    """Image labels with the class counts of trainaug, dealt out at random."""
    rng = np.random.default_rng(0)
    result = np.zeros((IMAGES, len(PER_CLASS)), np.uint8)
    for c, count in enumerate(PER_CLASS):
        result[rng.choice(IMAGES, count, replace=False), c] = 1
    return result


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long the block took."""
    start = time.perf_counter()
    yield
    print(f"{what:52} {time.perf_counter() - start:8.3f} s", flush=True)


def labels_without_fit() -> None:
    """All but the fit, and the one-hot columns and their check alone."""
    values, present = clustered(IMAGES), labels()
    print(f"{IMAGES} images, {present.sum()} pairs, {FEATURES} features, K = {K}")
    for _ in range(3):
        with timed("labels, all but K-means"):
            assignments = cluster(values, present, K, seed=0).assignments
            check_labels(to_labels(assignments, K), present, K)
    with timed("of that, assignments to checked columns"):
        check_labels(to_labels(assignments, K), present, K)


def largest_class(seeds: int) -> None:
    """K-means of the largest class."""
    count = max(PER_CLASS)
    print(f"K-means of {count} images, K = {K}, {N_INIT} restarts, at most {MAX_ITER} iterations")
    for made in (clustered, graded):
        values = made(count)
        for seed in range(seeds):
            with timed(f"{made.__name__} features, seed {seed}"):
                cluster(values, np.ones((count, 1), np.uint8), K, seed)


def main() -> None:
    """Labels with K-means taken out, then K-means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1, help="runs of K-means on each kind of features")
    options = parser.parse_args()
    k_means, clustering.KMeans = clustering.KMeans, Dealt
    try:
        labels_without_fit()
    finally:
        clustering.KMeans = k_means
    largest_class(options.seeds)


if __name__ == "__main__":
    main()
