"""Other sub-categories: FINCH against its published code, soft labels against their ends, pooling against loops."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from thesislib.clustering import cluster, cluster_classes, points_of_classes, to_labels
from thesislib.subcategories import (
    colour_histogram,
    finch,
    first_neighbour_components,
    pool_under_maps,
    silhouette_k_means,
    soft_labels,
    spread,
    uniform_labels,
)

K = 3
# Both partitions of `points` by ssarfraz/FINCH-Clustering, python/finch.py, commit 153bda8.
FINE = "0 1 2 2 3 4 1 5 6 6 1 4 2 7 8 0 5 7 9 3 2 1 7 8 3 0 1 4 5 1 3 5 10 3 9 6 10 8 3 7"
COARSE = "0 1 1 1 2 1 1 2 0 0 1 1 1 1 1 0 2 1 2 2 1 1 1 1 2 0 1 1 2 1 2 2 1 2 2 0 1 1 2 1"


def points():
    return np.random.default_rng(5).random((40, 3)).round(3)


def example():
    rng = np.random.default_rng(0)
    labels = (rng.random((50, 3)) < 0.5).astype(np.uint8)
    return rng.normal(size=(50, 4)), labels


# --- What is clustered ------------------------------------------------------------------------------------------------


def test_pooling_under_a_map_is_the_weighted_mean_of_its_cells_whatever_the_maximum():
    rng = torch.Generator().manual_seed(0)
    features, response = torch.rand(2, 5, 3, 4, generator=rng), torch.randn(2, 3, 3, 4, generator=rng)
    response[1, 2] = -1  # no response at all
    found = pool_under_maps(features, response)
    assert found.shape == (2, 3, 5)
    for b in range(2):
        for c in range(3):
            weights = [max(float(v), 0) for v in response[b, c].ravel()]
            weights = weights if sum(weights) else [1] * len(weights)
            cells = features[b].reshape(5, -1)
            mean = sum(w * cells[:, j] for j, w in enumerate(weights)) / sum(weights)
            torch.testing.assert_close(found[b, c], mean)
    torch.testing.assert_close(found, pool_under_maps(features, response * 7))


def test_a_map_of_one_value_pools_as_the_classifier_does():
    features = torch.rand(1, 5, 3, 4, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(pool_under_maps(features, torch.ones(1, 1, 3, 4))[:, 0], features.mean((2, 3)))


def test_colour_histograms_count_every_pixel_wherever_it_is():
    image = np.random.default_rng(0).integers(0, 256, (6, 5, 3)).astype(np.uint8)
    counts, _ = np.histogramdd(image.reshape(-1, 3), bins=4, range=[(0, 256)] * 3)
    np.testing.assert_allclose(colour_histogram(image), counts.ravel() / 30, rtol=1e-6)
    np.testing.assert_array_equal(colour_histogram(image), colour_histogram(image[::-1, ::-1]))


# --- How many clusters ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "expected"), [(12, FINE), (11, FINE), (10, COARSE), (3, COARSE)])
def test_finch_gives_the_finest_published_partition_with_few_enough_clusters(k, expected):
    assignments, centroids = finch(points(), k)
    assert assignments.tolist() == [*map(int, expected.split())]
    for j, centroid in enumerate(centroids):
        np.testing.assert_allclose(centroid, points()[assignments == j].mean(axis=0))


def test_components_are_those_of_the_equation_of_finch():
    given = points()
    unit = given / np.linalg.norm(given, axis=1, keepdims=True)
    similar = unit @ unit.T - 2 * np.eye(len(given))
    first = similar.argmax(axis=1)
    number = np.arange(len(given))
    for _ in number:  # spread the least number along the links of (1)
        for i in range(len(given)):
            for j in range(len(given)):
                if j == first[i] or first[j] == i or first[i] == first[j]:
                    number[i] = number[j] = min(number[i], number[j])
    found = first_neighbour_components(given)
    assert len({*zip(found, number, strict=True)}) == len({*found}) == len({*number})


def test_fewer_points_than_clusters_are_left_alone_by_finch():
    assert finch(points()[:2], 5)[0].tolist() == [0, 1] and len(finch(points()[:0], 5)[0]) == 0


def test_the_number_of_clusters_is_that_of_the_largest_silhouette():
    rng = np.random.default_rng(0)
    blobs = np.concatenate([rng.normal(centre, 0.3, (15, 2)) for centre in ((0, 0), (4, 0), (0, 4))])
    assert len(silhouette_k_means(blobs, 8, seed=0)[1]) == 3
    given = points()
    of_number = [silhouette_score(given, KMeans(k, n_init=10, random_state=0).fit_predict(given)) for k in range(2, 9)]
    assert len(silhouette_k_means(given, 8, seed=0)[1]) == 2 + int(np.argmax(of_number))


@pytest.mark.parametrize("few", [points()[:0], points()[:1], points()[:2], np.ones((4, 2))])
def test_classes_too_small_for_a_silhouette_have_the_clusters_of_k_means(few):
    assignments, centroids = silhouette_k_means(few, 5, seed=0)
    assert len(assignments) == len(few) and len(centroids) == min(2, len({*map(tuple, few)}))


def test_other_features_for_each_class_are_clustered_class_by_class():
    features, labels = example()
    expected = cluster(features, labels, K, seed=0)
    shifted = [each + 10 * c for c, each in enumerate(points_of_classes(features, labels))]
    assert cluster_classes(shifted, labels, lambda given: finch(given + 1, K)).assignments.shape == labels.shape
    for c in range(labels.shape[1]):
        alone = cluster(shifted[c], np.ones((len(shifted[c]), 1), np.uint8), K, seed=0)
        np.testing.assert_array_equal(alone.assignments[:, 0], expected.assignments[labels[:, c] > 0, c])


# --- Soft labels ------------------------------------------------------------------------------------------------------


def test_soft_labels_go_from_those_of_the_clusters_to_uniform_ones():
    features, labels = example()
    clusters, given = cluster(features, labels, K, seed=0), points_of_classes(features, labels)
    np.testing.assert_allclose(soft_labels(given, clusters, K, 1e-9), to_labels(clusters.assignments, K), atol=1e-6)
    np.testing.assert_allclose(soft_labels(given, clusters, K, 1e9), uniform_labels(labels, K), atol=1e-6)
    spreads = [np.nanmean(spread(soft_labels(given, clusters, K, tau), K)) for tau in (1e-9, 0.1, 1, 10, 1e9)]
    assert spreads == sorted(spreads) and spreads[0] == pytest.approx(1) and spreads[-1] == pytest.approx(K)


def test_soft_labels_are_the_softmax_of_distances_in_their_unit_and_share_out_each_class():
    features, labels = example()
    clusters, given = cluster(features, labels, K, seed=0), points_of_classes(features, labels)
    found = soft_labels(given, clusters, 5, 0.7).reshape(50, 3, 5)  # two columns more than clusters
    np.testing.assert_allclose(found.sum(axis=2), labels, atol=1e-6)
    i, c = np.argwhere(labels)[20]
    squared = [((features[i] - centroid) ** 2).sum() for centroid in clusters.centroids[c]]
    unit = np.nanmean(clusters.distances[:, c] ** 2)
    powers = [np.exp(-each / (0.7 * unit)) for each in squared]
    np.testing.assert_allclose(found[i, c], [*(each / sum(powers) for each in powers), 0, 0], rtol=1e-5)
    assert (found.argmax(axis=2)[labels > 0] == clusters.assignments[labels > 0]).all()
    larger = [10 * each for each in given]
    again = soft_labels(larger, cluster(10 * features, labels, K, seed=0), 5, 0.7)
    np.testing.assert_allclose(again.reshape(found.shape), found, atol=1e-5)


def test_images_that_are_their_own_centroids_have_hard_labels():
    features, labels = np.array([[0.0], [1.0], [1.0]]), np.array([[1, 0], [1, 0], [1, 0]])
    clusters = cluster(features, labels, 2, seed=0)
    found = soft_labels(points_of_classes(features, labels), clusters, 2, 1.0)
    np.testing.assert_array_equal(found, to_labels(clusters.assignments, 2))
