"""Sub-categories: K-means of every class over the images that contain it (equation 3.2), and labels made of them.

Thesis section 3.3.2; Chang et al., "Weakly-Supervised Semantic Segmentation via Sub-category Exploration", 2020.
Corresponds to `create_pseudo_label.py` of Juliachang/SC-CAM.

Deliberate differences: labels keep the order of the images (the published script sorts them by their lowest class) and
are made by indexing, not by comparing all pairs of file names; `n_init` is 10, the default of scikit-learn when the
thesis was written (A15); a class with fewer distinct features than K gets fewer clusters; K is the same parameter
everywhere (S19). K-means uses one thread, since the sums of several are added in the order in which they finish.
`subcategories` has other ways to find sub-categories.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int64, Integer, Real, UInt8
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

N_INIT, MAX_ITER = 10, 300
"""Restarts and iterations of K-means (A15)."""


Partition = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Groups points `(n, D)`: the cluster of each, 0 to K - 1, and the centroids `(K, D)`."""


class Clusters(NamedTuple):
    """Clusters of every class; K_c of class c is at most K."""

    assignments: Int64[np.ndarray, "n c"]
    """Cluster of each image within each class, -1 where the class is absent."""
    centroids: tuple[Float[np.ndarray, "k_c d"], ...]
    """Mean feature of each cluster, class by class: C arrays `(K_c, D)`, `(0, D)` for a class without images."""
    distances: Float64[np.ndarray, "n c"]
    """Euclidean distance of each image to its own centroid, NaN where the class is absent."""


def cluster(features: Float[np.ndarray, "rows d"], labels: Real[np.ndarray, "..."], k: int, seed: int) -> Clusters:
    """K-means of each class over the images that contain it (3.2), every class by itself.

    An image with several classes takes part in the clustering of each of them. `K_c = min(K, distinct features)`.

    Args:
        features: pooled last map of each image `(N, D)`, in evaluation mode and not normalised (A12).
        labels: image labels `(N, C)`, 0 or 1.
        k: clusters per class; 10 in the thesis.
        seed: of K-means, the same for every class; 0 in the published code.

    Raises:
        ValueError: `k` below 1, no image, sizes that differ, labels other than 0 and 1, features that are not finite.

    >>> features = np.array([[0.0], [0.2], [5.0], [5.2]])
    >>> clusters = cluster(features, np.array([[1, 0], [1, 0], [1, 1], [0, 1]]), k=2, seed=0)
    >>> clusters.assignments.tolist()
    [[0, -1], [0, -1], [1, 1], [-1, 0]]
    >>> clusters.distances[:, 0].round(3).tolist()
    [0.1, 0.1, 0.0, nan]
    """
    _check_k(k)
    return cluster_classes(points_of_classes(features, labels), labels, partial(k_means, k=k, seed=seed))


def points_of_classes(features: Float[np.ndarray, "rows d"], labels: Real[np.ndarray, "..."]) -> list[np.ndarray]:
    """For each class the features `(N_c, D)` of the images that contain it, in their order.

    Raises:
        ValueError: no image, sizes that differ, labels other than 0 and 1, features that are not finite.
    """
    _check_features(features, labels)
    return [features[present] for present in labels.T > 0]


def cluster_classes(
    points: Sequence[Float[np.ndarray, "_ d"]], labels: Real[np.ndarray, "n c"], partition: Partition
) -> Clusters:
    """Clusters of every class by itself, where an image may have another feature for each of its classes.

    Args:
        points: of each class, a row for each image that contains it, in their order.
        labels: image labels `(N, C)`, 0 or 1.
        partition: groups the points of one class.
    """
    assignments = np.full(labels.shape, -1, np.int64)
    distances = np.full(labels.shape, np.nan)
    centroids = []
    with threadpool_limits(1):
        for c, present in enumerate(labels.T > 0):
            assignments[present, c], centers = partition(points[c])
            distances[present, c] = np.linalg.norm(points[c] - centers[assignments[present, c]], axis=1)
            centroids.append(centers)
    return Clusters(assignments, tuple(centroids), distances)


def subcategory_labels(
    features: Float[np.ndarray, "rows d"], labels: Real[np.ndarray, "n c"], k: int, seed: int
) -> UInt8[np.ndarray, "n c*{k}"]:
    """Labels of the second classifier: those of the clusters (3.2) of these features.

    Returns:
        `(N, C*K)` in the order of the images: 1 in column `c*K + cluster` for each class c of an image, 0 elsewhere.

    Raises:
        ValueError: see `cluster`.
    """
    return labels_of_clusters(cluster(features, labels, k, seed).assignments, labels, k)


def labels_of_clusters(
    assignments: Integer[np.ndarray, "n c"], labels: Real[np.ndarray, "n c"], k: int
) -> UInt8[np.ndarray, "n c*{k}"]:
    """`subcategory_labels` where the clusters of each class are known already; -1 where it is absent.

    Raises:
        ValueError: a cluster that is not -1 to K - 1, or classes that are not those of the image labels.
    """
    sub_labels = to_labels(assignments, k)
    check_labels(sub_labels, labels, k)
    return sub_labels


def to_labels(assignments: Integer[np.ndarray, "n c"], k: int) -> UInt8[np.ndarray, "n c*{k}"]:
    """One-hot blocks of K columns per class, zero where the class is absent.

    Raises:
        ValueError: `k` below 1, or a cluster that is not -1 to K - 1.

    >>> to_labels(np.array([[1, -1], [0, 2]]), k=3)
    array([[0, 1, 0, 0, 0, 0],
           [1, 0, 0, 0, 0, 1]], dtype=uint8)
    """
    _check_k(k)
    check_assignments(assignments, k)
    images, classes = assignments.shape
    sub_labels = np.zeros((images, classes, k), np.uint8)
    i, c = np.nonzero(assignments >= 0)
    sub_labels[i, c, assignments[i, c]] = 1
    return sub_labels.reshape(images, classes * k)


def check_labels(sub_labels: Integer[np.ndarray, "..."], labels: Real[np.ndarray, "..."], k: int) -> None:
    """Sub-category labels must be 0 or 1 with exactly one 1 in the block of a class present, none in an absent one.

    Raises:
        ValueError: they are not; names the first image and class.
    """
    _check_k(k)
    images, classes = labels.shape
    if sub_labels.shape != (images, classes * k):
        raise ValueError(
            f"labels {labels.shape} with K = {k} need sub-category labels {(images, classes * k)}, "
            f"got {sub_labels.shape}"
        )
    if not np.isin(sub_labels, (0, 1)).all():
        raise ValueError(f"sub-category labels must be 0 or 1, got {np.setdiff1d(sub_labels, (0, 1))[:5]}")
    wrong = np.argwhere(sub_labels.reshape(images, classes, k).sum(axis=2) != labels)
    if len(wrong):
        image, c = wrong[0].tolist()
        found = int(sub_labels[image, c * k : (c + 1) * k].sum())
        raise ValueError(
            f"each class of an image needs one sub-category and an absent class none; {len(wrong)} pairs of image and "
            f"class differ, the first is image {image}, class {c}: {found} sub-categories, label {labels[image, c]}"
        )


def random_assignments(assignments: Integer[np.ndarray, "n c"], rng: np.random.Generator) -> Integer[np.ndarray, "n c"]:
    """Control: clusters of the same sizes, dealt out at random to the images of each class.

    >>> random_assignments(np.array([[0], [0], [1], [-1]]), np.random.default_rng(0)).ravel().tolist()
    [1, 0, 0, -1]
    """
    shuffled = assignments.copy()
    for c, present in enumerate(assignments.T >= 0):
        shuffled[present, c] = rng.permutation(assignments[present, c])
    return shuffled


def check_assignments(assignments: Integer[np.ndarray, "n c"], k: int) -> None:
    """Clusters must be -1 (class absent) or 0 to K - 1.

    Raises:
        ValueError: they are not.
    """
    if assignments.size and not -1 <= assignments.min() <= assignments.max() < k:
        raise ValueError(f"with K = {k} clusters must be -1 to {k - 1}, got {assignments.min()} to {assignments.max()}")


def k_means(points: Float[np.ndarray, "n d"], k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`Partition` of K-means, with fewer than `k` clusters where there are fewer distinct points."""
    clusters = _count_distinct(points, k)
    if not clusters:
        return np.zeros(0, np.int64), points
    found = KMeans(clusters, n_init=N_INIT, max_iter=MAX_ITER, random_state=seed).fit(points)
    return found.labels_, found.cluster_centers_


def _count_distinct(points: np.ndarray, limit: int) -> int:
    """Number of distinct rows, counted no further than `limit`."""
    distinct: set[bytes] = set()
    for point in points:
        distinct.add((point + 0).tobytes())  # + 0: minus zero equals zero
        if len(distinct) == limit:
            break
    return len(distinct)


def _check_k(k: int) -> None:
    if k < 1:
        raise ValueError(f"a class needs at least one cluster: set K to 1 or more, got {k}")


def _check_features(features: np.ndarray, labels: np.ndarray) -> None:
    if labels.ndim != 2 or features.ndim != 2 or len(labels) != len(features):
        raise ValueError(
            "features (N, D) and labels (N, C) must have a row for each image in the same order, "
            f"got {features.shape} and {labels.shape}"
        )
    if not features.size or not labels.size:
        raise ValueError(f"nothing to cluster: got features {features.shape} and labels {labels.shape}")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError(f"image labels must be 0 or 1, got {np.setdiff1d(labels, (0, 1))[:5]}")
    broken = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(broken):
        raise ValueError(
            f"features of {len(broken)} of {len(features)} images are not finite (first: image {broken[0]}); "
            "the network that made them has diverged or read a broken weight file: train it again"
        )
