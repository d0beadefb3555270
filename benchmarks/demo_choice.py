"""The baseline on the demo's images against the criteria of docs/demo.md, on data seeds that no comparison uses.

    python -m benchmarks.demo_choice [RUNS_DIR]

Plain CAM, walks along three kinds of affinities, CRF and DeepLab; no method of the thesis.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.demo_measures import affinity_labels, of_maps, sources
from companion import settings
from companion.analysis.oracle_walk import Affinities, learned, truths, walked_counts
from companion.pipeline import engine
from companion.pipeline.artefacts import DATASET, Features, read_scores
from companion.pipeline.stages import affinity, oracle_affinity, pseudo_masks, response_maps, rounds, segmentation
from companion.pipeline.store import Stage, Store
from companion.settings import Machine, Settings
from thesislib import diagnostics, metrics
from thesislib.data.voc import VocDataset

DATA_SEEDS, TRAINING_SEEDS = (101, 102, 103), (0, 1)
MACHINE = Machine(device="cpu")
Measured = dict[str, float | np.ndarray]


def main() -> None:
    """Compute what is missing, print the measures of every training and what the criteria are read from."""
    store = Store(Path(sys.argv[1] if len(sys.argv) > 1 else "runs").resolve())
    rows: dict[tuple[int, int], Measured] = {}
    for data in DATA_SEEDS:
        for seed in TRAINING_SEEDS:
            rows[data, seed] = measure(settings.load("demo", {"data.data_seed": data, "seed": seed}), store)
            print(f"data seed {data}, training seed {seed}", *described(rows[data, seed]), sep="\n  ", flush=True)
    mean = {name: np.mean([row[name] for row in rows.values()], axis=0) for name in next(iter(rows.values()))}
    print("mean", *described(mean), sep="\n  ")
    apart = [float(np.subtract(rows[data, 0]["CAM at .15"], rows[data, 1]["CAM at .15"])) for data in DATA_SEEDS]
    print(f"standard deviation between two repeats: {np.std(apart, ddof=1):.2f} ({apart})")


def described(row: Measured) -> list[str]:
    """A line for each measure; those of each class with their least and largest value."""
    return [f"{name:34} " + " ".join(f"{value:.3f}" for value in np.atleast_1d(values)) for name, values in row.items()]


def measure(chosen: Settings, store: Store) -> Measured:
    """Every measure of one training, mIoU in per cent."""
    stages: dict[str, Stage] = {
        "maps": response_maps.stage(chosen, MACHINE),
        "features": rounds.features_stage(chosen, MACHINE),
        "labels": affinity.labels_stage(chosen, MACHINE),
        "own": affinity.stage(chosen, MACHINE),
        "taught": oracle_affinity.stage(chosen, MACHINE),
        "masks": pseudo_masks.masks_stage(chosen, MACHINE, "train"),
        "DeepLab": segmentation.stage(chosen, MACHINE),
    }
    engine.run(list(stages.values()), store)
    folders = {name: store.folder(stage) for name, stage in stages.items()}
    root = store.folder(stages["maps"].inputs["data"]) / DATASET
    train, trainaug = VocDataset(root, "train"), VocDataset(root, "trainaug")
    found = of_scores(folders["maps"]) | of_maps(folders["maps"], train, chosen.affinity.walk_alpha)
    found |= affinity_labels(folders["labels"], train, affinity.grid(chosen.backbone))
    found |= walks(folders, train, chosen)
    crf = percent(read_scores(folders["masks"], "train")["image_confusion"])
    found |= {"CRF on the walk adds": crf - found["CAM at .15"] - found["own walk adds"]}
    found |= {
        f"DeepLab, {kind}, minus CAM on val": percent(read_scores(folders["DeepLab"], f"val/{kind}")["image_confusion"])
        - found["CAM on val at .15"]
        for kind in ("plain", "crf")
    }
    return found | {"sources": sources(train, chosen), "sub-types": subtypes(folders["features"], trainaug)}


def of_scores(maps: Path) -> Measured:
    """What the stage `response_maps` has counted."""
    train, val = read_scores(maps, "train"), read_scores(maps, "val")
    curve = metrics.mean_iou(train["confusion"])
    best = int(np.argmax(curve))
    covered = train["part_covered"][best]
    head, body, thin = covered / train["part_total"]
    return {
        "best threshold": metrics.THRESHOLDS[best],
        "CAM at best": 100 * curve[best],
        "CAM at .15": 100 * curve[15],
        "CAM on val at .15": percent(val["image_confusion"]),
        "head": head,
        "body": body,
        "thin parts": thin,
        "whole object": covered.sum() / train["part_total"].sum(),
        "val mAP": float(np.nanmean(diagnostics.average_precision(val["labels"], val["logits"]))),
    }


def walks(folders: dict[str, Path], images: VocDataset, chosen: Settings) -> Measured:
    """What the random walk adds on train along three kinds of affinities, scored as psa does and as irn does."""
    along: dict[str, Affinities] = {"perfect": truths(images, chosen.backbone)}
    along |= {name: learned(folders[name], images, chosen.backbone, MACHINE) for name in ("taught", "own")}
    walked = partial(walked_counts, settings=chosen.affinity, stride=affinity.grid(chosen.backbone))
    before, found = percent(read_scores(folders["maps"], "train")["image_confusion"]), {}
    for name, affinities in along.items():
        psa, irn = walked(folders["maps"], images, affinities)
        found |= {f"{name} walk adds": percent(psa) - before, f"{name} walk adds (irn)": percent(irn) - before}
    return found


def subtypes(features: Path, images: VocDataset) -> float:
    """Accuracy of a linear classifier of the sub-type on pooled features of images of one class, held out in five."""
    assert images.subtypes is not None
    alone = images.labels.sum(axis=1) == 1
    kinds = images.subtypes[alone].max(axis=1)
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return float(np.mean(cross_val_predict(linear, Features.read(features).features[alone], kinds, cv=5) == kinds))


def percent(image_confusion: np.ndarray) -> float:
    """The mIoU over all images in per cent."""
    return 100 * float(metrics.mean_iou(image_confusion.sum(axis=0)))


if __name__ == "__main__":
    main()
