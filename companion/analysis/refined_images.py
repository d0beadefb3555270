"""What refinement does to single images, and which of them it helps: the numbers behind Fig. 2.4.

Thesis section 2.4.2: a small difference between two response maps becomes a large one after the random walk, because,
so the argument, an even map is refined better than a peaked one. Nothing here corresponds to published code.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Float64

from companion.analysis import measures
from companion.analysis.claims import Printed
from companion.analysis.maps import over_seeds
from companion.analysis.measures import Run, Scores
from companion.analysis.methods import PLAIN_CAM
from companion.analysis.statistics import Interval, paired_difference
from companion.pipeline.artefacts import ResponseMaps
from thesislib import cam
from thesislib.data.voc import VocDataset
from thesislib.refinement.pairs import source_shape

SLOPE = "slope of the refined change on the change of the map"
UNEVEN = "correlation of the change in variation with the refined change"
ALIKE = 1.0  # points: the maps of the pairs in Fig. 2.4 differ by 0.2 and 0.6
SHOWN = (0.1, 0.5, 0.9)  # quantiles of the refined change at which pairs are shown
THIRDS = ("weakest third", "middle third", "strongest third")


class Changes(NamedTuple):
    """Of every image of one seed, NaN where an image has no object.

    Attributes:
        iou: change of IoU from one row to another before refinement, points.
        refined: the same after refinement.
        variation: change of the coefficient of variation of the map inside the objects, per cent.
    """

    iou: Float64[np.ndarray, " n"]
    refined: Float64[np.ndarray, " n"]
    variation: Float64[np.ndarray, " n"]


def changes(maps: Scores, refined: Scores, row: str, reference: str = PLAIN_CAM.name) -> list[Changes]:
    """Differences of `row` to `reference` image by image, one entry a seed."""
    runs = zip(maps[row], maps[reference], refined[row], refined[reference], strict=True)
    return [
        Changes(
            measures.image_iou(a) - measures.image_iou(b),
            measures.image_iou(c) - measures.image_iou(d),
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


def figure_2_4(maps: Scores, refined: Scores, row: str, reference: str = PLAIN_CAM.name) -> dict[str, Interval | None]:
    """The numbers behind Fig. 2.4, means over seeds: slopes, and how well the evenness of a map predicts."""
    found = changes(maps, refined, row, reference)
    answers = {
        SLOPE: [slope(each.iou, each.refined) for each in found],
        "correlation of the two changes": [correlation(each.iou, each.refined) for each in found],
        UNEVEN: [correlation(each.variation, each.refined) for each in found],
    }
    for name in (reference, row):
        pairs = zip(maps[name], refined[name], strict=True)
        answers[f"{name}: correlation of variation with what refinement adds"] = [
            correlation(run["uniformity"], measures.image_iou(walked) - measures.image_iou(run))
            for run, walked in pairs
        ]
    return {name: over_seeds(of_seeds) for name, of_seeds in answers.items()}


def alike(found: Changes) -> Float64[np.ndarray, " n"]:
    """Refined changes of the images whose maps score alike, within `ALIKE` points; NaN for all others."""
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(found.iou) <= ALIKE, found.refined, np.nan)


def of_alike(found: Sequence[Changes]) -> dict[str, Interval | None]:
    """What refinement makes of maps that score alike, means over seeds: how many, and how far apart they end."""
    refined = [alike(each) for each in found]
    seen = [each[np.isfinite(each)] for each in refined]
    scored = [np.isfinite(each.iou).sum() for each in found]
    answers = {
        "images whose maps score alike, per cent": [
            100 * len(own) / number if number else np.nan for own, number in zip(seen, scored, strict=True)
        ],
        f"of these, more than {ALIKE:g} point apart after refinement, per cent": [
            100 * float(np.mean(np.abs(own) > ALIKE)) if len(own) else np.nan for own in seen
        ],
        "their change after refinement, points": [float(own.mean()) if len(own) else np.nan for own in seen],
    }
    answers |= {
        f"{quantile:.0%} of these changes lie below, points": [
            float(np.quantile(own, quantile)) if len(own) else np.nan for own in seen
        ]
        for quantile in SHOWN
    }
    return {name: over_seeds(of_seeds) for name, of_seeds in answers.items()}


def named_values(numbers: Mapping[str, Any], of: str) -> pd.DataFrame:
    """Numbers by name as a table of one column."""
    return pd.DataFrame({"value": numbers}, dtype=object).rename_axis(of)


# --- Why the random walk helps or does not ----------------------------------------------------------------------------


def background_response(folder: Path, images: VocDataset) -> Float64[np.ndarray, " n"]:
    """Mean over the true background of the strongest normalised response, an image each; NaN without background.

    Args:
        folder: of stage `response_maps`, whose maps are read.
        images: the split to measure.
    """
    found = []
    for i, name in enumerate(images.ids):
        maps = cam.normalize(ResponseMaps.read(folder, name).of_classes(len(images.classes)))
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
        "mIoU, map": lambda run, walked, response: measures.fixed_miou(run),
        "mIoU, refined": lambda run, walked, response: measures.fixed_miou(walked),
        "walk adds": lambda run, walked, response: measures.fixed_miou(walked) - measures.fixed_miou(run),
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
        [measures.fixed_miou(walked) - measures.fixed_miou(run) for run, walked, _ in thirds[name]]
        for name in (THIRDS[0], THIRDS[-1])
    ]
    return paired_difference(adds[0], adds[1])


_Part = tuple[Run, Run, Float[np.ndarray, " _"]]


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
    counts = measures.fixed_counts(run)
    return 100 * float(counts[0, 0] / counts[0].sum()) if counts[0].any() else measures.NAN


def objects_found(run: Run) -> float:
    """Share of the objects' pixels that get their class; NaN without objects."""
    counts = measures.fixed_counts(run)
    return 100 * float(np.diag(counts)[1:].sum() / counts[1:].sum()) if counts[1:].any() else measures.NAN


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


# --- Tables 2.1 and 3.1, refined columns ------------------------------------------------------------------------------


def refined_columns(
    rows: Sequence[str], maps: Mapping[str, Scores], refined: Mapping[str, Scores], printed: Mapping[str, Printed]
) -> pd.DataFrame:
    """The refined columns: for each split mIoU before and after the walk, and what it adds.

    Args:
        rows: their names.
        maps: response maps by split.
        refined: the same; empty where refinement was not run, which the cells then say.
        printed: the thesis' refined values by split, where it has them.
    """
    lines: dict[str, dict[str, object]] = {row: {} for row in rows}
    for row, line in lines.items():
        for split, scores in maps.items():
            before = [measures.fixed_miou(run) for run in scores[row]]
            line[f"CAM {split}"] = over_seeds(before)
            if refined:
                after = [measures.fixed_miou(run) for run in refined[split][row]]
                line[f"refined {split}"] = over_seeds(after)
                line[f"adds, {split}"] = over_seeds(np.subtract(after, before).tolist())
            else:
                line |= dict.fromkeys((f"refined {split}", f"adds, {split}"), "not run")
            if split in printed:
                line[f"thesis, refined, VOC {split}"] = printed[split].get(row)
    return pd.DataFrame.from_dict(lines, orient="index").astype(object).rename_axis("method")


def baselines(
    published: pd.DataFrame, row: str, thesis: float, maps: Scores, refined: Mapping[str, Scores]
) -> pd.DataFrame:
    """S8: plain CAM as published twice and as measured here, and how far a row is above each after refinement.

    Args:
        published: `paper.baselines()`.
        row: the method of the thesis.
        thesis: its printed refined mIoU on VOC train.
        maps: response maps on train.
        refined: by split; empty where refinement was not run, which the cells then say.
    """
    frame = published[["train_cam", "train_refined", "val_refined"]].astype(object)
    frame.columns = pd.Index(["CAM train", "refined train", "refined val"])
    frame[f"{row} refined above it"] = [thesis - value for value in frame["refined train"]]
    ours: list[object] = [over_seeds([measures.fixed_miou(run) for run in maps[PLAIN_CAM.name]])]
    if refined:
        plain = {split: [measures.fixed_miou(run) for run in of[PLAIN_CAM.name]] for split, of in refined.items()}
        method = [measures.fixed_miou(run) for run in refined["train"][row]]
        ours += [over_seeds(plain["train"]), over_seeds(plain["val"])]
        ours += [over_seeds(np.subtract(method, plain["train"]).tolist())]
    else:
        ours += ["not run"] * 3
    measured = pd.DataFrame([ours], index=["plain CAM, measured here"], columns=frame.columns, dtype=object)
    return pd.concat([frame, measured]).rename_axis("baseline")
