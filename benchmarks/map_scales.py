"""What each scale and the mirrored image bring to response maps, and what they cost.

    python benchmarks/map_scales.py --preset animals --data-root DIR --seed 100

takes the classifier of plain CAM from the store `runs` (or trains it) and prints, for sets of scales, mIoU of train and
val at the fixed threshold and at the one that is best on train, and the seconds of the stage.
"""

import argparse
from pathlib import Path

import pandas as pd

from companion.analysis import measures
from companion.analysis.methods import PLAIN_CAM
from companion.experiments import row_stages
from companion.pipeline import engine
from companion.pipeline.store import Store
from companion.settings import Machine, load

SETS = (
    ((1,), False),
    ((1, 1.5), False),
    ((1, 1.5, 2), False),
    ((0.5, 1, 1.5, 2), False),
    ((1, 1.5), True),
    ((0.5, 1, 1.5, 2), True),  # as published
)


def main() -> None:
    """Compute the maps that are missing and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--data-root", default="")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    options = parser.parse_args()
    store, machine = Store(options.runs_dir.resolve()), Machine(data_root=options.data_root)
    lines = []
    for scales, flip in SETS:
        settings = load(options.preset, {"cam.scales": scales, "cam.flip": flip})
        stages = row_stages.response_map_stages(settings, [PLAIN_CAM], [options.seed], machine)
        (stage,) = stages.values()
        folder = engine.run([stage], store)[stage.key]
        train, val = (measures.read_run(folder, split) for split in ("train", "val"))
        lines.append(
            {
                "scales": ", ".join(map(str, scales)) + (", mirrored" if flip else ""),
                "train at the fixed": measures.fixed_miou(train),
                "val at the fixed": measures.fixed_miou(val),
                "train at its best": measures.oracle_miou(train),
                "val there": measures.transferred_miou(val, train),
                "best threshold": measures.oracle_threshold(train),
                "seconds": store.provenance(stage)["duration_s"],
            }
        )
    print(pd.DataFrame(lines).set_index("scales").round(2).to_string())


if __name__ == "__main__":
    main()
