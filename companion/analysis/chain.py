"""The whole chain from response map to segmentation as tables: every step, its effect, and the classes.

Thesis Tables 2.1 and 3.1 (refined columns), 2.2, 2.3, 3.3 and 3.4. A step is scored like every other: one confusion
matrix over the split. Nothing here corresponds to published code.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from companion.analysis import measures
from companion.analysis.claims import (
    SIGNS,
    Claim,
    Printed,
    Row,
    added,
    difference,
    lines_as_table,
    printed_difference,
    seed_values,
    sign,
    versus,
)
from companion.analysis.maps import over_seeds
from companion.analysis.measures import Scores
from companion.analysis.methods import PLAIN_CAM, SUPERVISED
from companion.analysis.statistics import Interval
from companion.pipeline import artefacts
from companion.settings import Settings
from thesislib import metrics

MAPS, WALKED, MASKS, SEGMENTED, SHARPENED = "CAM", "+ random walk", "+ CRF", "DeepLab", "DeepLab + CRF"
STEPS = (MAPS, WALKED, MASKS, SEGMENTED, SHARPENED)
"""Step 1; step 2, whose two parts make the pseudo-mask; step 3 without and with the CRF at test time."""
OF_DEEPLAB = (SEGMENTED, SHARPENED)
IN_WORDS = {MAPS: "response maps", WALKED: "after the random walk", MASKS: "pseudo-masks"} | {
    step: step for step in OF_DEEPLAB
}
"""What is scored after each step, in a claim."""
NOT_RUN = "not run"
Folders = Mapping[tuple[str, int], Path]
Chain = Mapping[str, Scores]
"""Counts by step, row and seed; steps that were not run are missing."""


def read_counts(folders: Folders, part: str) -> Scores:
    """Counts of `part` of the `scores.npz` of stages `refined_maps`, `pseudo_masks` or `segmentation`.

    Args:
        folders: by row and seed.
        part: a split, for stage `segmentation` followed by `/plain` or `/crf`.

    Raises:
        ValueError: the part was not scored because images lack a mask.
    """
    found: dict[str, list[measures.Run]] = {}
    for (row, _), folder in folders.items():
        counts = artefacts.read_scores(folder, part)
        if "image_confusion" not in counts:
            raise ValueError(f"{part!r} is not scored in {folder}: every image of it needs a mask")
        found.setdefault(row, []).append(counts)
    return found


def read_chain(maps: Scores, refined: Folders, masks: Folders, segmented: Folders, split: str) -> Chain:
    """Every step on a split; folders may be empty, and those of segmentation lack what they were trained on.

    Args:
        maps: scores of the response maps on that split.
        refined, masks, segmented: of the later stages, by row and seed.
        split: `train` or `val`.
    """
    chain: dict[str, Scores] = {MAPS: maps}
    plain, sharpened = (f"{split}/{part}" for part in artefacts.SEGMENTATIONS)
    later = [
        (WALKED, refined, split),
        (MASKS, masks, split),
        (SEGMENTED, segmented, plain),
        (SHARPENED, segmented, sharpened),
    ]
    return chain | {step: read_counts(folders, part) for step, folders, part in later if folders}


def short(step: str) -> str:
    """What a step is called where it is not said that it is added.

    >>> short(WALKED)
    'random walk'
    """
    return step.removeprefix("+ ")


def table(chains: Mapping[str, Chain], rows: Sequence[str]) -> pd.DataFrame:
    """mIoU after every step, one column a row of the experiment and split; `chains` by split."""
    cells = {
        f"{row}, {split}": [
            _miou(chain, step, row, missing=not any(step in c for c in chains.values())) for step in STEPS
        ]
        for row in rows
        for split, chain in chains.items()
    }
    return pd.DataFrame(cells, index=pd.Index(STEPS, name="after step"), dtype=object)


def _miou(chain: Chain, step: str, row: str, *, missing: bool) -> Interval | str | None:
    if row not in chain.get(step, {}):
        return NOT_RUN if missing else None
    return over_seeds(values(chain, step, row))


def values(chain: Chain, step: str, row: str) -> list[float]:
    """mIoU in per cent, one a seed."""
    return seed_values(chain[step], row)


def effect(chain: Chain, row: str, step: str) -> Interval:
    """What a step adds to the one before it, in mIoU points, seed by seed."""
    return added(chain[step], chain[STEPS[STEPS.index(step) - 1]], row)


def gain(chain: Chain, step: str, row: str, reference: str = PLAIN_CAM.name) -> Interval:
    """By how much one row is above another after a step, in mIoU points, seed by seed."""
    return difference(chain[step], row, reference)


def claims(
    questions: Sequence[Claim], steps: Mapping[str, Scores], printed: Mapping[str, Printed] | None = None
) -> pd.DataFrame:
    """Each claim as row > row: our difference after every step with its verdict, and the printed one beside it.

    Args:
        questions: the claims.
        steps: scores by the heading of their column, such as maps and refined maps.
        printed: the thesis' values of a step by its heading.
    """
    lines = {}
    for claim in questions:
        line: dict[str, object] = {}
        for name, runs in steps.items():
            if printed and name in printed:
                line[f"thesis, {name}"] = printed_difference(claim, printed[name])
            found = difference(runs, claim.row.name, claim.reference.name)
            line |= {name: found, f"{name}, verdict": sign(found)}
        lines[versus(claim)] = line
    return lines_as_table(lines)


def effects(chains: Mapping[str, Chain], rows: Sequence[str]) -> pd.DataFrame:
    """What each step adds in each row of the experiment, by split, with verdicts on "the step helps" as `SIGNS`."""
    lines: dict[str, dict[str, object]] = {f"{row}: {step}": {} for row in rows for step in STEPS[1:]}
    for split, chain in chains.items():
        for row in rows:
            for before, step in pairwise(STEPS):
                both = row in chain.get(step, {}) and row in chain.get(before, {})
                found = effect(chain, row, step) if both else None
                lines[f"{row}: {step}"] |= {split: found, f"{split}, helps": sign(found)}
    return lines_as_table(lines, "step")


def gains(chains: Mapping[str, Chain], row: str, reference: str = PLAIN_CAM.name) -> pd.DataFrame:
    """By how much one row is above another after every step, one column a split, with verdicts as `SIGNS`."""
    frame = pd.DataFrame(index=pd.Index(STEPS, name="after step"))
    for split, chain in chains.items():
        found = [gain(chain, step, row, reference) if step in chain else None for step in STEPS]
        frame[f"{row} minus {reference}, {split}"] = pd.Series(found, index=frame.index, dtype=object)
        frame[f"{split}, above"] = [sign(each) for each in found]
    return frame


# --- What the segmentation starts from, and its classes (Tables 2.3, 3.3) ---------------------------------------------


_ORIGINS = {
    "imagenet": "ImageNet weights",
    "coco": "MS-COCO weights, trained with pixel labels",
    "random": "random weights",
    "backbone": "the initial weights of the classifier",
}


def initial_weights(settings: Settings, rows: Sequence[Row]) -> str:
    """A22 in words: what DeepLab starts from, and in which rows from something else.

    >>> from companion.settings import load
    >>> initial_weights(load("demo"), [PLAIN_CAM, SUPERVISED])
    'DeepLab starts from the initial weights of the classifier (A22).'
    """
    usual = settings.segmentation.init
    starts = {row.name: settings.override(row.overrides).segmentation.init for row in rows}
    others = [f"; in the row “{row}”, from {_ORIGINS[init]}" for row, init in starts.items() if init != usual]
    return f"DeepLab starts from {_ORIGINS[usual]} (A22){''.join(others)}."


def groups(names: Iterable[str], rows: Sequence[Row]) -> list[str | None]:
    """In which rows scores are ranked: those taught by image labels alone, not those that pixel labels taught too."""
    with_pixels = {
        row.name
        for row in rows
        if row.overrides.get("segmentation.supervision") == "truth" or row.overrides.get("segmentation.init") == "coco"
    }
    return [None if name in with_pixels else "weak" for name in names]


def class_table(chain: Chain, names: Sequence[str]) -> pd.DataFrame:
    """IoU of each class without and with CRF, mIoU, and the share of the fully supervised mIoU, in per cent.

    Means over seeds; `CRF` says which post-processing.
    """
    lines = []
    for step in OF_DEEPLAB:
        bound = np.mean(values(chain, step, SUPERVISED.name)) if SUPERVISED.name in chain[step] else None
        for row, runs in chain[step].items():
            iou = 100 * np.mean([metrics.class_iou(measures.fixed_counts(run)) for run in runs], axis=0)
            line = {"trained on masks of": row, "CRF": "yes" if step == SHARPENED else "no"}
            line |= dict(zip(("background", *names), iou, strict=True))
            miou = float(np.mean(values(chain, step, row)))
            lines.append(line | {"mIoU": miou, "of supervised": None if bound is None else miou / bound})
    return pd.DataFrame(lines)


def miou_table(chain: Chain) -> pd.DataFrame:
    """mIoU of the segmentation without and with CRF, and as a share of the fully supervised one, seed by seed."""
    frame = {}
    for name, step in (("mIoU", SEGMENTED), ("mIoU, CRF", SHARPENED)):
        found = {row: values(chain, step, row) for row in chain[step]}
        frame[name] = {row: over_seeds(of_seeds) for row, of_seeds in found.items()}
        if bound := found.get(SUPERVISED.name):
            frame[f"{name}, of supervised"] = {
                row: over_seeds([100 * a / b for a, b in zip(of_seeds, bound, strict=True)])
                for row, of_seeds in found.items()
            }
    return pd.DataFrame(frame, dtype=object).rename_axis("trained on masks of")


def crf_by_class(chain: Chain, names: Sequence[str]) -> pd.DataFrame:
    """S13: what the CRF at test time changes in each class, in points of IoU, one column a row."""
    columns = {}
    for row in chain[SEGMENTED]:
        pairs = zip(chain[SHARPENED][row], chain[SEGMENTED][row], strict=True)
        change = [_class_iou(after) - _class_iou(before) for after, before in pairs]
        columns[row] = [over_seeds(of_class) for of_class in np.array(change).T.tolist()]
    return pd.DataFrame(columns, index=pd.Index(["background", *names], name="class"), dtype=object)


def _class_iou(run: measures.Run) -> np.ndarray:
    return 100 * metrics.class_iou(measures.fixed_counts(run))


def lowered(frame: pd.DataFrame) -> str:
    """In words: in which classes the CRF lowers the mean, and in how many the whole interval lies below 0."""
    said = []
    for row in frame:
        below = [name for name, change in frame[row].items() if change is not None and change.mean < 0]
        certain = sum(sign(change) == SIGNS["opposite"] for change in frame[row])
        names = f" ({', '.join(map(str, below))})" if below else ""
        said.append(f"{row}: {len(below)} of {len(frame)} classes{names}, {certain} with their whole interval")
    return "The CRF at test time lowers the mean IoU of, " + "; ".join(said) + "."
