"""What the plain CAM does on the demo data: the table in the docstring of `companion.datasets.demo.generator`.

`python benchmarks/demo_choice.py [RUNS_DIR]`: data seeds that no comparison uses.
"""

import sys
from pathlib import Path

import numpy as np

from companion import settings
from companion.pipeline import engine
from companion.pipeline.artefacts import read_scores
from companion.pipeline.stages import response_maps
from companion.pipeline.store import Store
from companion.settings import Machine
from thesislib import diagnostics, metrics

DATA_SEEDS = (101, 102, 103)
TRAINING_SEEDS = (0, 1, 2)
COLUMNS = ("threshold", "mIoU", "at .15", "head", "body", "val mAP")


def main() -> None:
    """Compute what is missing and print a line for each training."""
    store = Store(Path(sys.argv[1] if len(sys.argv) > 1 else "runs").resolve())
    stages = {
        (data, seed): response_maps.stage(
            settings.load("demo", {"data.data_seed": data, "pretext.data_seed": data, "seed": seed}),
            Machine(device="cpu"),
        )
        for data in DATA_SEEDS
        for seed in TRAINING_SEEDS
    }
    engine.run(list(stages.values()), store, scheduler=engine.LOCAL)
    print("data  seed  " + "".join(f"{name:>10}" for name in COLUMNS))
    rows = [measure(store.folder(stage)) for stage in stages.values()]
    for (data, seed), row in zip(stages, rows, strict=True):
        print(f"{data:4}  {seed:4}  " + "".join(f"{value:10.3f}" for value in row))
    for name, values in (("mean", np.mean(rows, 0)), ("least", np.min(rows, 0)), ("most", np.max(rows, 0))):
        print(f"{name:10}  " + "".join(f"{value:10.3f}" for value in values))


def measure(folder: Path) -> list[float]:
    """The columns for one training; `folder` is that of its stage `response_maps`."""
    train, val = read_scores(folder, "train"), read_scores(folder, "val")
    curve = metrics.mean_iou(train["confusion"])
    best = int(np.argmax(curve))
    head, body = (train["part_covered"][best] / train["part_total"])[:2]
    precision = np.nanmean(diagnostics.average_precision(val["labels"], val["logits"]))
    return [metrics.THRESHOLDS[best], curve[best], curve[15], head, body, float(precision)]


if __name__ == "__main__":
    main()
