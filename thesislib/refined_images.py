"""What refinement does to single images, and which of them it helps: the numbers behind Fig. 2.4.

Thesis section 2.4.2: a small difference between two response maps becomes a large one after the random walk, because,
so the argument, an even map is refined better than a peaked one. Nothing here corresponds to published code.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Float64

from thesislib import cam
from thesislib import scores as score
from thesislib.data.voc import VocDataset
from thesislib.experiments import MIXUP_CAM, PLAIN_CAM
from thesislib.pairs import source_shape
from thesislib.scores import Run, Scores
from thesislib.stages import response_maps
from thesislib.statistics import Interval, paired_difference
from thesislib.tables import over_seeds

THIRDS = ("weakest third", "middle third", "strongest third")


class Changes(NamedTuple):
    """Of every image of one seed, NaN where an image has no object.

    Attributes:
        iou: change of IoU from plain CAM to Mixup-CAM before refinement, points.
        refined: the same after refinement.
        variation: change of the coefficient of variation of the map inside the objects, per cent.
    """

    iou: Float64[np.ndarray, " n"]
    refined: Float64[np.ndarray, " n"]
    variation: Float64[np.ndarray, " n"]


def changes(maps: Scores, refined: Scores, row: str = MIXUP_CAM.name, reference: str = PLAIN_CAM.name) -> list[Changes]:
    """Differences of two rows image by image, one entry a seed."""
    runs = zip(maps[row], maps[reference], refined[row], refined[reference], strict=True)
    return [
        Changes(
            score.image_iou(a) - score.image_iou(b),
            score.image_iou(c) - score.image_iou(d),
            100 * (a["uniformity"] - b["uniformity"]),
        )
        for a, b, c, d in runs
    ]


def slope(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> float:
    """Slope of the line of least squares through the images that have both values; NaN if x does not vary."""
    seen = np.isfinite(x) & np.isfinite(y)
    if seen.sum() < 2 or not np.ptp(x[seen]) > 0:
        return float("nan")
    return float(np.polyfit(x[seen], y[seen], 1)[0])


def correlation(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> float:
    """Pearson's correlation over the images that have both values; NaN if either does not vary."""
    seen = np.isfinite(x) & np.isfinite(y)
    if seen.sum() < 2 or not (np.ptp(x[seen]) > 0 and np.ptp(y[seen]) > 0):
        return float("nan")
    return float(np.corrcoef(x[seen], y[seen])[0, 1])


def figure_2_4(maps: Scores, refined: Scores) -> dict[str, Interval | None]:
    """The numbers behind Fig. 2.4, means over seeds: slopes, and how well the evenness of a map predicts."""
    found = changes(maps, refined)
    answers = {
        "slope of the refined change on the change of the map": [slope(each.iou, each.refined) for each in found],
        "correlation of the two changes": [correlation(each.iou, each.refined) for each in found],
        "correlation of the change in variation with the refined change": [
            correlation(each.variation, each.refined) for each in found
        ],
    }
    for row in (PLAIN_CAM.name, MIXUP_CAM.name):
        pairs = zip(maps[row], refined[row], strict=True)
        answers[f"{row}: correlation of variation with what refinement adds"] = [
            correlation(run["uniformity"], score.image_iou(walked) - score.image_iou(run)) for run, walked in pairs
        ]
    return {name: over_seeds(of_seeds) for name, of_seeds in answers.items()}


# --- Why the random walk helps or does not ----------------------------------------------------------------------------


def background_response(folder: Path, images: VocDataset) -> Float64[np.ndarray, " n"]:
    """Mean over the true background of the strongest normalised response, an image each; NaN without background.

    Args:
        folder: of stage `response_maps`, whose maps are read.
        images: the split to measure.
    """
    found = []
    for i, name in enumerate(images.ids):
        maps = cam.normalize(response_maps.read_maps(folder / response_maps.MAPS, name, len(images.classes)))
        behind = maps.amax(dim=0).numpy()[images.mask(i) == 0]
        found.append(behind.mean() if behind.size else np.nan)
    return np.array(found, np.float64)


def by_background(
    maps: Sequence[Run], refined: Sequence[Run], responses: Sequence[Float[np.ndarray, " n"]]
) -> pd.DataFrame:
    """What the random walk does to images whose background responds weakly, middling and strongly.

    Args:
        maps, refined: of one row, one run a seed.
        responses: `background_response` of the same runs.

    Returns:
        A row a third of the images, in per cent: mean background response, mIoU, and the shares of the background
        and of the objects that keep their label, before and after.
    """
    columns = {
        "background response": lambda run, walked, response: 100 * float(np.nanmean(response)),
        "mIoU, map": lambda run, walked, response: score.fixed_miou(run),
        "mIoU, refined": lambda run, walked, response: score.fixed_miou(walked),
        "walk adds": lambda run, walked, response: score.fixed_miou(walked) - score.fixed_miou(run),
        "background kept, map": lambda run, walked, response: background_kept(run),
        "background kept, refined": lambda run, walked, response: background_kept(walked),
        "objects found, map": lambda run, walked, response: objects_found(run),
        "objects found, refined": lambda run, walked, response: objects_found(walked),
    }
    cells = {
        name: [over_seeds([measure(*part) for part in parts]) for measure in columns.values()]
        for name, parts in _in_thirds(maps, refined, responses).items()
    }
    frame = pd.DataFrame.from_dict(cells, orient="index", columns=list(columns), dtype=object)
    return frame.rename_axis("images by background response")


def weakest_above_strongest(
    maps: Sequence[Run], refined: Sequence[Run], responses: Sequence[Float[np.ndarray, " n"]]
) -> Interval:
    """By how many mIoU points the walk adds more to the weakest third than to the strongest, seed by seed."""
    thirds = _in_thirds(maps, refined, responses)
    adds = [
        [score.fixed_miou(walked) - score.fixed_miou(run) for run, walked, _ in thirds[name]]
        for name in (THIRDS[0], THIRDS[-1])
    ]
    return paired_difference(adds[0], adds[1])


_Part = tuple[Run, Run, Float[np.ndarray, " n"]]


def _in_thirds(
    maps: Sequence[Run], refined: Sequence[Run], responses: Sequence[Float[np.ndarray, " n"]]
) -> dict[str, list[_Part]]:
    """Map, refined map and response of a third of the images, one a seed."""
    parts: dict[str, list[_Part]] = {name: [] for name in THIRDS}
    for run, walked, response in zip(maps, refined, responses, strict=True):
        for name, chosen in zip(THIRDS, np.array_split(np.argsort(response, kind="stable"), len(THIRDS)), strict=True):
            parts[name].append((_part(run, chosen), _part(walked, chosen), response[chosen]))
    return parts


def _part(run: Run, chosen: np.ndarray) -> Run:
    return {"image_confusion": run["image_confusion"][chosen]}


def background_kept(run: Run) -> float:
    """Share of the true background that is called background; NaN without background."""
    counts = score.fixed_counts(run)
    return 100 * float(counts[0, 0] / counts[0].sum()) if counts[0].any() else score.NAN


def objects_found(run: Run) -> float:
    """Share of the objects' pixels that get their class; NaN without objects."""
    counts = score.fixed_counts(run)
    return 100 * float(np.diag(counts)[1:].sum() / counts[1:].sum()) if counts[1:].any() else score.NAN


def flip_response(alpha: float) -> float:
    """The mean response at which an even region stops being background: m = (1 - m)^alpha.

    >>> round(flip_response(16), 3)
    0.123
    """
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if middle < (1 - middle) ** alpha else (low, middle)
    return low


def share_of_sources(height: int, width: int) -> float:
    """Share of the cells of a map that are a source of pairs; the others have affinities to fewer neighbours."""
    rows, columns = source_shape(height, width)
    return rows * columns / (height * width)


# --- Table 2.1, refined column ----------------------------------------------------------------------------------------


def table_2_1(maps: Scores, refined: Mapping[str, Scores], printed: Mapping[str, float | None]) -> pd.DataFrame:
    """The refined column: mIoU on train before and after the walk, what it adds, and mIoU on val.

    Args:
        maps: response maps on train.
        refined: by split; empty where refinement was not run, which the cells then say.
        printed: the thesis' refined value of each row, None for rows that it does not have.
    """
    lines = {}
    for row, runs in maps.items():
        before = [score.fixed_miou(run) for run in runs]
        line: dict[str, object] = {"CAM train": over_seeds(before)}
        if refined:
            after = [score.fixed_miou(run) for run in refined["train"][row]]
            line |= {
                "refined train": over_seeds(after),
                "refinement adds": over_seeds((np.array(after) - before).tolist()),
                "refined val": over_seeds([score.fixed_miou(run) for run in refined["val"][row]]),
            }
        else:
            line |= dict.fromkeys(("refined train", "refinement adds", "refined val"), "not run")
        lines[row] = line | {"thesis, refined, VOC train": printed[row]}
    return pd.DataFrame.from_dict(lines, orient="index").astype(object).rename_axis("method")


def baselines(published: pd.DataFrame, thesis: float, maps: Scores, refined: Mapping[str, Scores]) -> pd.DataFrame:
    """S8: plain CAM as published twice and as measured here, and how far Mixup-CAM is above each after refinement.

    Args:
        published: `paper.baselines()`.
        thesis: the printed refined mIoU of Mixup-CAM on VOC train.
        maps, refined: as `table_2_1`; `maps` on train.
    """
    frame = published[["train_cam", "train_refined", "val_refined"]].astype(object)
    frame.columns = pd.Index(["CAM train", "refined train", "refined val"])
    frame["Mixup-CAM refined above it"] = [thesis - value for value in frame["refined train"]]
    ours: list[object] = [over_seeds([score.fixed_miou(run) for run in maps[PLAIN_CAM.name]])]
    if refined:
        plain = {split: [score.fixed_miou(run) for run in of[PLAIN_CAM.name]] for split, of in refined.items()}
        mixed = [score.fixed_miou(run) for run in refined["train"][MIXUP_CAM.name]]
        ours += [over_seeds(plain["train"]), over_seeds(plain["val"])]
        ours += [over_seeds((np.array(mixed) - plain["train"]).tolist())]
    else:
        ours += ["not run"] * 3
    measured = pd.DataFrame([ours], index=["plain CAM, measured here"], columns=frame.columns, dtype=object)
    return pd.concat([frame, measured]).rename_axis("baseline")
