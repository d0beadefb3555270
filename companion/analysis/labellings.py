"""How labels of sub-categories differ: how many there are, how even, how shared, and how far they agree.

Not in the thesis; nothing here corresponds to published code. Agreement is AMI within each class, which is 0 by chance
whatever the number of sub-categories (`cluster_quality.ami`); scores are means over classes.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Integer

from companion.analysis.cluster_quality import ami, mean_over_classes
from companion.analysis.maps import over_seeds
from companion.pipeline.artefacts import Subcategories
from thesislib.subcategories import spread

Labellings = Mapping[str, Sequence[Subcategories]]
"""By name, one a seed."""
NUMBER, LARGEST, SHARED = "sub-categories a class", "largest, per cent", "an image is shared among"


def number(found: Subcategories) -> float:
    """Sub-categories of a class that have images, mean over classes."""
    return float((_sizes(found) > 0).sum(axis=1).mean())


def largest(found: Subcategories) -> float:
    """Images of a class in its largest sub-category, per cent, mean over classes that have images."""
    sizes = _sizes(found)
    sizes = sizes[sizes.any(axis=1)]
    return float(100 * (sizes.max(axis=1) / sizes.sum(axis=1)).mean())


def shared(found: Subcategories) -> float:
    """Over how many sub-categories of a class the label of an image is spread, mean over images and their classes."""
    return 1.0 if found.soft is None else float(np.nanmean(spread(found.soft, found.k)))


def _sizes(found: Subcategories) -> np.ndarray:
    """Images in each sub-category `(C, K)`; those that are shared count for all in which they have a share."""
    if found.soft is not None:
        return found.soft.reshape(len(found.soft), -1, found.k).astype(np.float64).sum(axis=0)
    return np.stack([np.bincount(each[each >= 0], minlength=found.k) for each in found.assignments.T])


def table(found: Labellings) -> pd.DataFrame:
    """A row a labelling, over seeds."""
    measures: dict[str, Callable[[Subcategories], float]] = {NUMBER: number, LARGEST: largest, SHARED: shared}
    lines = {
        name: {column: over_seeds([measure(each) for each in of_seeds]) for column, measure in measures.items()}
        for name, of_seeds in found.items()
    }
    return pd.DataFrame.from_dict(lines, orient="index", dtype=object).rename_axis("sub-labels")


def follow(found: Sequence[Integer[np.ndarray, "n c"]], known: Sequence[Integer[np.ndarray, "n c"]]) -> list[float]:
    """AMI of groups of images with other ones, mean over classes, one value a seed."""
    return [mean_over_classes(ami(one, other)) for one, other in zip(found, known, strict=True)]


def agreement(found: Labellings, known: Mapping[str, Integer[np.ndarray, "n c"]]) -> pd.DataFrame:
    """AMI of every two labellings, and of each with what is `known` of the images, mean over seeds.

    Args:
        found: labels that give an image one sub-category of each class.
        known: by name, a number for each image and class that has it, else -1.
    """
    references = {name: [each.assignments for each in of_seeds] for name, of_seeds in found.items()}
    seeds = max(map(len, references.values()), default=0)
    references |= {name: [values] * seeds for name, values in known.items()}
    names = [*found]
    cells: dict[str, dict[str, float | None]] = {name: {} for name in names}
    for i, name in enumerate(names):
        for other in [*names[i + 1 :], *known]:
            scores = over_seeds(follow(references[name], references[other]))
            cells[name][other] = scores.mean if scores else None
            if other in cells:
                cells[other][name] = cells[name][other]
    frame = pd.DataFrame.from_dict(cells, orient="index", columns=[*names, *known], dtype=object)
    return frame.rename_axis("sub-labels")
