"""Sub-category labels against the published script, exhaustive search and the properties of K-means."""

import json
import warnings
from itertools import product

import numpy as np
import pytest
from places import GOLDEN

from thesislib.clustering import check_labels, cluster, random_assignments, subcategory_labels, to_labels

K = 3


def example(seed=0, images=40, classes=4, dimension=6):
    """Random features and labels; every class occurs, some images have none."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((images, classes)) < 0.4).astype(np.uint8)
    labels[:classes] |= np.eye(classes, dtype=np.uint8)
    return rng.normal(size=(images, dimension)).astype(np.float32), labels


def golden():
    with np.load(GOLDEN / "h_subcategory.npz") as stored:
        return dict(stored)


# --- The published script ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", ["n_init_default", "n_init_10"])
def test_labels_agree_with_the_published_script_image_by_image(run):
    vectors = golden()
    images = vectors["train_filename_order"]  # the published rows are sorted by the lowest class of an image
    ours = subcategory_labels(vectors["features"], vectors["labels"], K, seed=0)
    assert sorted(images) == list(range(len(ours)))
    assert np.array_equal(vectors["labels"][images], vectors[f"{run}_train_label_20"])
    assert np.array_equal(ours[images], vectors[f"{run}_train_label_200"])


def test_clusters_agree_with_the_published_rows_of_each_class():
    vectors = golden()
    assignments = cluster(vectors["features"], vectors["labels"], K, seed=0).assignments
    images, classes = vectors["merged_rows_image"], vectors["merged_rows_class"]
    assert len(images) == (assignments >= 0).sum()
    assert np.array_equal(classes * K + assignments[images, classes], vectors["n_init_10_kmeans_label_per_row"])


def test_labels_of_the_real_counts_keep_every_pair():
    facts = json.loads((GOLDEN / "hi_meta.json").read_text())["real VOC"]
    rng = np.random.default_rng(0)
    labels = np.zeros((facts["n_images"], len(facts["per_class"])), np.uint8)
    for c, count in enumerate(facts["per_class"]):
        labels[rng.choice(len(labels), count, replace=False), c] = 1
    sub_labels = to_labels(np.where(labels > 0, rng.integers(0, 10, labels.shape), -1), 10)
    check_labels(sub_labels, labels, 10)
    assert sub_labels.sum() == facts["n_rows"]


# --- K-means ----------------------------------------------------------------------------------------------------------


def test_clusters_are_the_best_of_all_partitions():
    points = np.random.default_rng(3).normal(size=(9, 2))
    clusters = cluster(points, np.ones((9, 1), np.uint8), 2, seed=0)
    inertias = []
    for partition in product((0, 1), repeat=9):
        parts = [points[np.array(partition) == j] for j in (0, 1)]
        inertias.append(sum(((part - part.mean(axis=0)) ** 2).sum() for part in parts if len(part)))
    assert (clusters.distances**2).sum() == pytest.approx(min(inertias))


def test_centroids_are_means_and_the_nearest_of_their_class():
    features, labels = example()
    clusters = cluster(features, labels, K, seed=1)
    for c, centroids in enumerate(clusters.centroids):
        assert centroids.shape == (K, features.shape[1])
        for i in np.flatnonzero(labels[:, c]):
            every = [float(np.sqrt(((features[i] - centroid) ** 2).sum())) for centroid in centroids]
            assert clusters.assignments[i, c] == int(np.argmin(every))
            assert clusters.distances[i, c] == pytest.approx(min(every), rel=1e-5)
        for j, centroid in enumerate(centroids):
            np.testing.assert_allclose(centroid, features[clusters.assignments[:, c] == j].mean(axis=0), atol=1e-5)


def test_absent_classes_of_an_image_have_no_cluster_and_no_distance():
    features, labels = example()
    clusters = cluster(features, labels, K, seed=0)
    assert np.array_equal(clusters.assignments >= 0, labels > 0)
    assert np.array_equal(np.isnan(clusters.distances), labels == 0)


def test_a_class_is_clustered_by_itself():
    features, labels = example()
    alone = cluster(features, labels[:, 2:3], K, seed=0).assignments
    assert np.array_equal(cluster(features, labels, K, seed=0).assignments[:, 2:3], alone)


def test_one_seed_gives_one_result_and_another_seed_may_give_another():
    features, labels = example(images=200)
    first, again = (subcategory_labels(features, labels, 8, seed=5) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, subcategory_labels(features, labels, 8, seed=6))


# --- Labels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seed", "k"), [(0, 1), (1, 2), (2, 5), (3, 10)])
def test_labels_hold_one_sub_category_for_each_class_present(seed, k):
    features, labels = example(seed)
    sub_labels = subcategory_labels(features, labels, k, seed=0)
    assert sub_labels.dtype == np.uint8 and sub_labels.shape == (len(labels), labels.shape[1] * k)
    for i, c in np.ndindex(*labels.shape):
        assert sorted(sub_labels[i, c * k : (c + 1) * k]) == [0] * (k - 1) + [labels[i, c]]


def test_columns_are_class_times_k_plus_cluster():
    assignments = np.array([[2, -1, 0], [-1, 1, 2]])
    expected = np.zeros((2, 9), np.uint8)
    for i, c in np.argwhere(assignments >= 0):
        expected[i, c * 3 + assignments[i, c]] = 1
    assert np.array_equal(to_labels(assignments, 3), expected)


def test_labels_may_be_floats():
    features, labels = example()
    expected = subcategory_labels(features, labels, K, seed=0)
    assert np.array_equal(subcategory_labels(features, labels.astype(np.float32), K, seed=0), expected)


def test_random_assignments_keep_the_sizes_and_the_images_of_each_class():
    features, labels = example(images=100)
    assignments = cluster(features, labels, K, seed=0).assignments
    before, rng = assignments.copy(), np.random.default_rng(0)
    shuffled = random_assignments(assignments, rng)
    assert np.array_equal(assignments, before) and not np.array_equal(shuffled, before)
    assert not np.array_equal(random_assignments(assignments, rng), shuffled)
    for c in range(labels.shape[1]):
        assert np.array_equal(np.sort(shuffled[:, c]), np.sort(assignments[:, c]))
    check_labels(to_labels(shuffled, K), labels, K)


# --- Few, equal and absent images -------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("error")
def test_a_class_with_fewer_images_than_k_has_as_many_clusters():
    features, labels = np.eye(5, dtype=np.float32), np.array([[1, 1], [1, 1], [1, 0], [1, 0], [1, 0]])
    clusters = cluster(features, labels, 4, seed=0)
    assert [len(centroids) for centroids in clusters.centroids] == [4, 2]
    assert sorted(clusters.assignments[:2, 1]) == [0, 1]
    assert np.nanmax(clusters.distances[:, 1]) == pytest.approx(0, abs=1e-6)
    assert not to_labels(clusters.assignments, 4)[:, 6:].any()


@pytest.mark.filterwarnings("error")
def test_identical_features_share_one_cluster():
    features = np.array([[0.1, 0.0], [0.1, -0.0], [0.1, 0.0], [7.3, 1.0]], np.float32)
    clusters = cluster(features, np.array([[1, 1], [1, 1], [1, 1], [0, 1]]), 3, seed=0)
    assert [len(centroids) for centroids in clusters.centroids] == [1, 2]
    assert clusters.assignments[:, 0].tolist() == [0, 0, 0, -1]
    assert len(set(clusters.assignments[:3, 1])) == 1 and clusters.assignments[3, 1] != clusters.assignments[0, 1]


@pytest.mark.filterwarnings("error")
def test_a_class_without_images_has_no_clusters():
    features, labels = example(classes=3)
    labels[:, 1] = 0
    clusters = cluster(features, labels, K, seed=0)
    assert clusters.centroids[1].shape == (0, features.shape[1])
    assert (clusters.assignments[:, 1] == -1).all() and np.isnan(clusters.distances[:, 1]).all()
    assert not subcategory_labels(features, labels, K, seed=0)[:, K : 2 * K].any()


def test_features_that_differ_by_rounding_still_give_valid_labels():
    features = np.full((20, 8), 1e4, np.float32)
    features[::2, 0] = np.nextafter(np.float32(1e4), np.float32(2e4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn may say that it found fewer clusters
        sub_labels = subcategory_labels(features, np.ones((20, 1), np.uint8), 5, seed=0)
    assert (sub_labels.sum(axis=1) == 1).all() and not sub_labels[:, 2:].any()


# --- Bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_are_refused_by_name(value):
    features, labels = example()
    features[[7, 12], 3] = value
    with pytest.raises(ValueError, match=r"features of 2 of 40 images are not finite \(first: image 7\)"):
        cluster(features, labels, K, seed=0)


@pytest.mark.parametrize("k", [0, -2])
def test_k_below_one_is_refused(k):
    features, labels = example()
    for call in (
        lambda: cluster(features, labels, k, seed=0),
        lambda: to_labels(np.zeros((2, 1), np.int64), k),
        lambda: check_labels(labels, labels, k),
    ):
        with pytest.raises(ValueError, match=f"set K to 1 or more, got {k}"):
            call()


def test_features_and_labels_of_different_images_are_refused():
    features, labels = example()
    with pytest.raises(ValueError, match=r"a row for each image .* got \(40, 6\) and \(39, 4\)"):
        cluster(features, labels[1:], K, seed=0)
    with pytest.raises(ValueError, match="a row for each image"):
        cluster(features, labels[:, 0], K, seed=0)


def test_no_image_at_all_is_refused():
    with pytest.raises(ValueError, match=r"nothing to cluster: got features \(0, 6\)"):
        cluster(np.zeros((0, 6), np.float32), np.zeros((0, 4), np.uint8), K, seed=0)


def test_soft_labels_are_refused():
    features, labels = example()
    with pytest.raises(ValueError, match="image labels must be 0 or 1"):
        cluster(features, 0.5 * labels, K, seed=0)


@pytest.mark.parametrize("wrong", [-2, 3])
def test_clusters_outside_k_are_refused(wrong):
    with pytest.raises(ValueError, match="with K = 3 clusters must be -1 to 2"):
        to_labels(np.array([[0, wrong]]), 3)


def test_check_labels_names_the_first_pair_that_is_wrong():
    labels = np.array([[1, 0], [1, 1]], np.uint8)
    right = np.array([[0, 1, 0, 0], [1, 0, 0, 1]], np.uint8)
    check_labels(right, labels, 2)
    for (i, j), message in {
        (0, 0): "image 0, class 0: 2 sub-categories, label 1",
        (0, 2): "image 0, class 1: 1 sub-categories, label 0",
        (1, 3): "image 1, class 1: 0 sub-categories, label 1",
    }.items():
        wrong = right.copy()
        wrong[i, j] ^= 1
        with pytest.raises(ValueError, match=f"1 pairs .* {message}"):
            check_labels(wrong, labels, 2)
    with pytest.raises(ValueError, match="must be 0 or 1"):
        check_labels(2 * right, labels, 2)
    with pytest.raises(ValueError, match=r"need sub-category labels \(2, 6\), got \(2, 4\)"):
        check_labels(right, labels, 3)
