"""Two more things that clusters might follow: how large the object is, and the ground that the image shows.

Thesis Fig. 3.5, which names size and scene beside type and company, from single pictures. Nothing here corresponds to
published code. Sizes come from true masks, the ground is known of generated images alone.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64, Integer, Shaped

from companion.analysis.cluster_quality import ami, mean_over_classes
from companion.analysis.maps import over_seeds

THIRDS = 3
SIZE, CONTEXT = "size of the object, thirds", "ground of the image"


def sizes(areas: Sequence[Float[np.ndarray, " n"]]) -> Int64[np.ndarray, "n c"]:
    """Third of each image among those of its class by area, 0 the smallest; -1 where the area is not known.

    >>> sizes([np.array([5.0, np.nan, 1.0, 3.0])])[:, 0].tolist()
    [2, -1, 0, 1]
    """
    found = np.full((len(areas[0]), len(areas)), -1, np.int64)
    for c, of_class in enumerate(areas):
        known = np.flatnonzero(np.isfinite(of_class))
        ranks = of_class[known].argsort(kind="stable").argsort(kind="stable")
        found[known, c] = ranks * THIRDS // max(len(known), 1)
    return found


def of_images(values: Integer[np.ndarray, " n"], labels: Shaped[np.ndarray, "n c"]) -> Int64[np.ndarray, "n c"]:
    """A number of each image for every class that it shows, else -1."""
    return np.where(labels > 0, np.asarray(values, np.int64)[:, None], -1)


def agreement(
    clusters: Sequence[Integer[np.ndarray, "n c"]], known: Mapping[str, Integer[np.ndarray, "..."]]
) -> dict[str, list[float]]:
    """AMI of clusters with each reference, mean over classes: one a seed."""
    return {
        what: [mean_over_classes(ami(of_seed, reference)) for of_seed in clusters] for what, reference in known.items()
    }


def table(first: Mapping[str, list[float]], last: Mapping[str, list[float]], names: Sequence[str]) -> pd.DataFrame:
    """`agreement` in two rounds, whose names are given."""
    cells = {what: [over_seeds(first[what]), over_seeds(last[what])] for what in last}
    return pd.DataFrame.from_dict(cells, orient="index", columns=[*names], dtype=object).rename_axis("agreement with")
