"""How long training and inference took where they were computed, from the provenance of what came out."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from companion.pipeline.provenance import recorded, upstream

COLUMNS = ("training, clock", "training, processor", "maps, clock", "maps, processor")
GIVEN = ("data", "backbone")
"""Stages that all rows share."""


def seconds(folder: Path, given: Collection[str] = GIVEN) -> Float64[np.ndarray, " 4"]:
    """`COLUMNS` of a folder of maps, or of what else a network gave; NaN where it is not known.

    Not counted are the inputs `given`, with what is above them. It is not known of a stage that was resumed, whose
    record is of its last part alone, nor where the provenance of what was trained is not here; that of the processor
    is younger than some published stages.
    """
    maps, *training = (_of_stage(each) for each in upstream(folder, given))
    return np.concatenate([np.sum([*training, np.zeros(2)], axis=0), maps])


def _of_stage(folder: Path | None) -> Float64[np.ndarray, " 2"]:
    record = recorded(folder) if folder else {"resumed": True}
    unknown = record["resumed"]
    found = [np.nan if unknown else record.get(name, np.nan) for name in ("duration_s", "cpu_s")]
    return np.array(found, np.float64)


def over_known(of_seeds: Sequence[Float64[np.ndarray, " 4"]]) -> dict[str, float]:
    """The mean over the seeds of which it is known, by column; NaN where it is not known of any.

    Without an interval: what else a machine did meanwhile is no draw from a distribution.
    """
    known = {head: [found[at] for found in of_seeds if np.isfinite(found[at])] for at, head in enumerate(COLUMNS)}
    return {head: float(np.mean(values)) if values else np.nan for head, values in known.items()}
