"""What a sub-category could be instead of a cluster of pooled features (thesis, chapter 4: future work).

Nothing here corresponds to published code of SC-CAM; each function names its source. `clustering` has the published
labels and groups the points of every class with one of the partitions here.

Deliberate differences: of FINCH's partitions one is taken, the finest with no more clusters than asked for, and it may
be a single cluster, where the published code stops before; the number of clusters by silhouette is that of K-means, at
least two.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64, Real, UInt8
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist
from scipy.special import softmax
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from thesislib.clustering import Clusters, k_means

BINS = 4
"""Of a colour histogram, in each channel."""
LEAST = float(np.finfo(np.float32).tiny)

# --- What is clustered ------------------------------------------------------------------------------------------------


def pool_under_maps(features: Float[Tensor, "b d h w"], response: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c d"]:
    """Mean feature of every class, weighted by its response map (2.1), rectified and with a sum of 1.

    A map that is divided by its maximum first gives the same means. A class without any response has the plain mean.
    """
    weights = response.relu().flatten(2)
    silent = weights.sum(dim=2, keepdim=True) == 0
    weights = weights.masked_fill(silent, 1)
    return (weights / weights.sum(dim=2, keepdim=True)) @ features.flatten(2).mT


def colour_histogram(image: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, " bins"]:
    """Share of the pixels in each of 4 x 4 x 4 equal cells of RGB (Swain and Ballard, "Color Indexing", 1991).

    >>> colour_histogram(np.array([[[0, 0, 0], [0, 0, 255]]], np.uint8)).nonzero()
    (array([0, 3]),)
    """
    cells = image.astype(np.int64) * BINS // 256
    number = cells @ (BINS**2, BINS, 1)
    return (np.bincount(number.ravel(), minlength=BINS**3) / number.size).astype(np.float32)


# --- How many clusters ------------------------------------------------------------------------------------------------


def silhouette_k_means(points: Float[np.ndarray, "n d"], k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`Partition` of K-means with the number of clusters, 2 to `k`, of the largest mean silhouette (Rousseeuw, 1987).

    Of equal ones the smaller number; as many clusters as `clustering.k_means` finds where no silhouette is defined.
    """
    found = [k_means(points, number, seed) for number in range(2, min(k, len(points) - 1) + 1)]
    found = [each for each in found if 1 < len(each[1]) < len(points)]
    if not found:
        return k_means(points, min(k, 2), seed)
    return max(found, key=lambda each: silhouette_score(points, each[0]))


def finch(points: Float[np.ndarray, "n d"], k: int) -> tuple[np.ndarray, np.ndarray]:
    """`Partition` of FINCH: its finest one with at most `k` clusters, and the means of these.

    Sarfraz, Sharma, Stiefelhagen, "Efficient Parameter-free Clustering Using First Neighbor Relations", CVPR 2019,
    algorithm 1, with the cosine distance of the published ssarfraz/FINCH-Clustering.

    >>> finch(np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]]), k=3)[0]
    array([0, 0, 1, 1])
    """
    assignments, centroids = np.arange(len(points)), points
    while len(centroids) > k:
        merged = first_neighbour_components(centroids)
        assignments = merged[assignments]
        members = np.eye(assignments.max() + 1, dtype=points.dtype)[assignments]
        centroids = members.T @ points / members.sum(axis=0)[:, None]
    return assignments, centroids


def first_neighbour_components(points: Float[np.ndarray, "n d"]) -> Int64[np.ndarray, " n"]:
    """Equation (1) of FINCH: points are linked to their nearest other one; the component of each of two or more points.

    Points with the same first neighbour are linked in the paper too, which leaves the components as they are.
    """
    nearest = NearestNeighbors(n_neighbors=1, metric="cosine").fit(points).kneighbors(return_distance=False)[:, 0]
    links = csr_matrix((np.ones(len(points)), (np.arange(len(points)), nearest)), shape=(len(points),) * 2)
    return connected_components(links, directed=False)[1].astype(np.int64)


# --- Soft labels ------------------------------------------------------------------------------------------------------


def soft_labels(
    points: Sequence[Float[np.ndarray, "_ d"]], clusters: Clusters, k: int, tau: float
) -> Float32[np.ndarray, "n ck"]:
    """Labels of the second classifier that share each image among the clusters of its class: softmax(-d^2 / tau).

    d is the distance to a centroid, with the mean squared distance to the own centroid, what (3.2) makes least, as the
    unit of d^2 in every class. With `tau` to 0 these are the labels of the clusters, with a large one they are uniform.

    Args:
        points: of each class, as they were clustered.
        clusters: of these points.
        k: K, columns of each class; those beyond its clusters stay 0.
        tau: above 0, without a unit.

    Returns:
        `(N, C*K)`, columns as in `clustering.subcategory_labels`; those of a class of an image add up to 1.
    """
    images, classes = clusters.assignments.shape
    labels = np.zeros((images, classes, k), np.float32)
    for c, centroids in enumerate(clusters.centroids):
        if len(centroids):  # some image has the class
            present = clusters.assignments[:, c] >= 0
            unit = np.mean(clusters.distances[present, c] ** 2) or LEAST  # 0: every image is its own centroid
            squared = cdist(points[c], centroids, "sqeuclidean")
            labels[present, c, : len(centroids)] = softmax(-squared / (tau * unit), axis=1)
    return labels.reshape(images, classes * k)


def uniform_labels(labels: Real[np.ndarray, "n c"], k: int) -> Float32[np.ndarray, "n c*{k}"]:
    """The end of `soft_labels` that knows nothing of the images: 1/K in all columns of a class that is present.

    >>> uniform_labels(np.array([[1, 0]]), k=2)
    array([[0.5, 0.5, 0. , 0. ]], dtype=float32)
    """
    return np.repeat(labels.astype(np.float32) / k, k, axis=1)


def spread(sub_labels: Real[np.ndarray, "n ck"], k: int) -> Float64[np.ndarray, "n c"]:
    """Over how many sub-categories an image is shared in each class, exp of the entropy: 1 to K; NaN for absent ones.

    >>> spread(np.array([[0.5, 0.5, 1.0, 0.0, 0.0, 0.0]]), k=2)
    array([[ 2.,  1., nan]])
    """
    shares = sub_labels.reshape(len(sub_labels), -1, k).astype(np.float64)
    entropy = -(shares * np.log(shares, out=np.zeros_like(shares), where=shares > 0)).sum(axis=2)
    return np.where(shares.sum(axis=2) > 0, np.exp(entropy), np.nan)
