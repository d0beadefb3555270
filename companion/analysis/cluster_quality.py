"""How good clusters are, how far two rounds agree, and which images moved together or were scattered between them.

Thesis section 3.4 and Figs 3.5 and 3.9-3.11, which judge clusters by eye; nothing here corresponds to published code.
Clusters are given as `clustering.Clusters.assignments`: `(N, C)`, -1 where an image lacks the class. Scores are per
class, NaN for a class where they are undefined; `mean_over_classes` leaves these out.

The rule behind "moved together" and "scattered" (`movement`): a set of similar images is *together* in a round if one
cluster holds more than half of it, *apart* otherwise. Apart before and together after, it has been gathered; the
other way round, scattered. Where true sub-types are known they are the sets. Elsewhere the sets are the clusters
themselves (`cluster_movement`): then two unrelated rounds gather and scatter nearly every cluster and keep almost
none, so that these counts say something only beside their chance level (`chance_level`).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64, Integer
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, silhouette_score

from thesislib.clustering import check_assignments, random_assignments


def mean_over_classes(scores: Float[np.ndarray, " c"]) -> float:
    """Mean of the scores that are defined; NaN if none is.

    >>> mean_over_classes(np.array([0.5, np.nan, 1.0]))
    0.75
    """
    defined = scores[~np.isnan(scores)]
    return float(defined.mean()) if len(defined) else float("nan")


# --- Quality of one clustering ----------------------------------------------------------------------------------------


def silhouettes(
    features: Float[np.ndarray, "n d"], assignments: Integer[np.ndarray, "n c"]
) -> Float64[np.ndarray, " c"]:
    """Mean silhouette of the images of each class (Rousseeuw 1987): -1 to 1, near 0 where clusters overlap.

    NaN for a class with fewer than two clusters, or whose clusters are all single images.
    """
    scores = np.full(assignments.shape[1], np.nan)
    for c, present in enumerate(assignments.T >= 0):
        clusters = assignments[present, c]
        if 2 <= len(np.unique(clusters)) < len(clusters):
            scores[c] = silhouette_score(features[present], clusters)
    return scores


def purity(assignments: Integer[np.ndarray, "n c"], truth: Integer[np.ndarray, "..."]) -> Float64[np.ndarray, " c"]:
    """Share of images whose true sub-type is the most frequent one of their cluster, for each class.

    It grows with the number of clusters: `chance_level` gives what shuffled clusters reach.

    >>> purity(np.array([[0], [0], [0], [1]]), np.array([[2], [2], [0], [0]]))
    array([0.75])
    """
    counts = overlaps(assignments, truth, _number(assignments), _number(truth))
    return _ratio(counts.max(axis=2, initial=0).sum(axis=1), counts.sum(axis=(1, 2)))


# --- Agreement of two clusterings -------------------------------------------------------------------------------------


def nmi(a: Integer[np.ndarray, "n c"], b: Integer[np.ndarray, "..."]) -> Float64[np.ndarray, " c"]:
    """Normalised mutual information over the images that are in a cluster of both, for each class.

    0 to 1 (arithmetic mean of the entropies), above 0 by chance; NaN for a class with fewer than two such images. All
    classes at once, since chance levels need it hundreds of times.

    Raises:
        ValueError: shapes differ.

    >>> nmi(np.array([[0], [0], [1]]), np.array([[1], [1], [0]]))
    array([1.])
    """
    counts = overlaps(a, b, _number(a), _number(b))
    number = counts.sum(axis=(1, 2))
    share = counts / np.maximum(number, 1)[:, None, None]
    of_a, of_b, joint = _entropy(share.sum(axis=2)), _entropy(share.sum(axis=1)), _entropy(share)
    common, mean = of_a + of_b - joint, (of_a + of_b) / 2
    found = np.divide(common, mean, out=np.ones_like(mean), where=mean > 0)  # one group in both: equal
    return np.where(number < 2, np.nan, found)


def _entropy(share: np.ndarray) -> np.ndarray:
    """Of each class, over all other axes."""
    flat = share.reshape(len(share), -1)
    return -(flat * np.log(flat, out=np.zeros_like(flat), where=flat > 0)).sum(axis=1)


def ari(a: Integer[np.ndarray, "n c"], b: Integer[np.ndarray, "..."]) -> Float64[np.ndarray, " c"]:
    """Rand index adjusted for chance, 1 for equal clusterings and 0 on average for unrelated ones; else as `nmi`.

    >>> ari(np.array([[0], [0], [1]]), np.array([[1], [1], [0]]))
    array([1.])
    """
    return _each_class(adjusted_rand_score, a, b)


def ami(a: Integer[np.ndarray, "n c"], b: Integer[np.ndarray, "..."]) -> Float64[np.ndarray, " c"]:
    """Mutual information adjusted for chance (Vinh et al. 2010): 1 for equal clusterings, 0 on average for unrelated.

    Unlike `nmi` it does not grow with the number of clusters or of values, so references of different kinds can be
    compared; else as `nmi`.

    >>> ami(np.array([[0], [0], [1]]), np.array([[1], [1], [0]]))
    array([1.])
    """
    return _each_class(adjusted_mutual_info_score, a, b)


def _each_class(score: Callable[[np.ndarray, np.ndarray], float], a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A score of scikit-learn over the images that are in a cluster of both, NaN with fewer than two of them."""
    both = _in_both(a, b)
    found = [score(a[shared, c], b[shared, c]) if shared.sum() >= 2 else np.nan for c, shared in enumerate(both.T)]
    return np.array(found, np.float64)


def overlaps(
    a: Integer[np.ndarray, "n c"], b: Integer[np.ndarray, "..."], rows: int, columns: int
) -> Int64[np.ndarray, "c {rows} {columns}"]:
    """Number of images in cluster i of `a` and cluster j of `b`, for each class.

    Raises:
        ValueError: shapes differ, or clusters outside `rows` or `columns`.
    """
    both = _in_both(a, b)
    check_assignments(a, rows)
    check_assignments(b, columns)
    counts = np.zeros((a.shape[1], rows, columns), np.int64)
    np.add.at(counts, (np.nonzero(both)[1], a[both], b[both]), 1)
    return counts


def match(a: Integer[np.ndarray, "n c"], b: Integer[np.ndarray, "..."], k: int) -> Int64[np.ndarray, "c {k}"]:
    """Cluster of `b` that goes with each cluster of `a`: one to one, with the most images in common.

    Raises:
        ValueError: shapes differ, or clusters beyond `k`.

    >>> match(np.array([[0], [0], [1]]), np.array([[1], [1], [0]]), k=2)
    array([[1, 0]])
    """
    return np.stack([linear_sum_assignment(counts, maximize=True)[1] for counts in overlaps(a, b, k, k)])


# --- Movement between two rounds --------------------------------------------------------------------------------------


class Movement(NamedTuple):
    """What became of each set of images of each class, `(C, S)`; a set without images is none of the three."""

    gathered: Bool[np.ndarray, "c s"]
    """Apart before, together after: "moved together"."""
    kept: Bool[np.ndarray, "c s"]
    """Together in both."""
    scattered: Bool[np.ndarray, "c s"]
    """Together before, apart after."""

    def counts(self) -> Int64[np.ndarray, "3 c"]:
        """Sets of each class that were gathered, kept, scattered."""
        return np.sum(self, axis=2)


def largest_share(
    sets: Integer[np.ndarray, "n c"], clusters: Integer[np.ndarray, "..."], number: int
) -> Float64[np.ndarray, "c {number}"]:
    """Share of each of `number` sets of images that lies in one cluster; NaN for a set without images."""
    counts = overlaps(sets, clusters, number, _number(clusters))
    return _ratio(counts.max(axis=2, initial=0), counts.sum(axis=2))


def movement(
    sets: Integer[np.ndarray, "n c"],
    earlier: Integer[np.ndarray, "..."],
    later: Integer[np.ndarray, "..."],
    number: int,
) -> Movement:
    """Sets of similar images, such as true sub-types, that were gathered, kept or scattered from one round to another.

    Args:
        sets: set of each image within each class, 0 to `number` - 1, or -1.
        earlier: clusters of the earlier round.
        later: clusters of the later round.
        number: of sets.

    Raises:
        ValueError: shapes differ, or sets beyond `number`.

    >>> kinds, earlier = np.array([[0], [0], [1], [1]]), np.array([[0], [1], [0], [0]])
    >>> movement(kinds, earlier, later=np.array([[0], [0], [1], [1]]), number=2).gathered
    array([[ True, False]])
    """
    before, after = largest_share(sets, earlier, number), largest_share(sets, later, number)
    return Movement(
        gathered=(before <= 0.5) & (after > 0.5),
        kept=(before > 0.5) & (after > 0.5),
        scattered=(before > 0.5) & (after <= 0.5),
    )


def cluster_movement(earlier: Integer[np.ndarray, "n c"], later: Integer[np.ndarray, "..."], k: int) -> Movement:
    """`movement` with the clusters themselves as sets.

    A later cluster is gathered if no earlier one holds more than half of it, and kept if its matched one (`match`)
    does; an earlier cluster is scattered if no later one holds more than half of it. So `gathered` and `kept` speak of
    clusters of `later`, `scattered` of clusters of `earlier`.
    """
    counts = overlaps(earlier, later, k, k)
    of_later, of_earlier = movement(later, earlier, later, k), movement(earlier, earlier, later, k)
    partner = np.argsort(match(earlier, later, k), axis=1)  # of each later cluster: the inverse of the permutation
    from_partner = np.take_along_axis(counts, partner[:, None], axis=1)[:, 0]
    return Movement(of_later.gathered, 2 * from_partner > counts.sum(axis=1), of_earlier.scattered)


def chance_level(
    score: Callable[[np.ndarray], np.ndarray],
    assignments: Integer[np.ndarray, "n c"],
    rng: np.random.Generator,
    repeats: int = 20,
) -> Float64[np.ndarray, "..."]:
    """Mean score of clusters of the same sizes whose images are dealt out at random.

    For example `chance_level(lambda later: cluster_movement(earlier, later, k).counts(), later, rng)`.
    """
    scores = [score(random_assignments(assignments, rng)) for _ in range(repeats)]
    return np.stack(scores).mean(axis=0, dtype=np.float64)


def _number(clusters: np.ndarray) -> int:
    return int(clusters.max(initial=-1)) + 1


def _in_both(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.shape != b.shape:
        raise ValueError(f"clusterings of the same images and classes needed, got shapes {a.shape} and {b.shape}")
    return (a >= 0) & (b >= 0)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return numerator / denominator
