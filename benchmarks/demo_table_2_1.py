"""The demo's Table 2.1 of seed 0 on a processor, as one JSON file that `make gpu-check` is compared with.

    python benchmarks/demo_table_2_1.py

computes what the store `runs` lacks and writes `benchmarks/demo_table_2_1.json`: mIoU of the response maps at the fixed
threshold, in per cent.
"""

import json
from pathlib import Path

from companion.analysis import measures as scores
from companion.cost.gpu.demo import SEED
from companion.experiments import row_stages as experiments
from companion.pipeline import engine
from companion.pipeline.store import Store
from companion.settings import Machine, load

OUTPUT = Path(__file__).with_suffix(".json")


def main() -> None:
    """Compute the rows of the thesis and write their scores."""
    settings, store = load("demo"), Store(Path("runs"))
    rows = [row for row in experiments.table_2_1(settings) if not row.control]
    stages = experiments.response_map_stages(settings, rows, [SEED], Machine(device="cpu", precision="fp32"))
    folders = engine.run(list(stages.values()), store)
    miou = {
        name: {
            split: round(scores.fixed_miou(scores.read_run(folders[stage.key], split)), 2)
            for split in settings.cam.splits
        }
        for (name, _), stage in stages.items()
    }
    origin = store.provenance(next(iter(stages.values())))
    record = {"seed": SEED, "miou": miou} | {name: origin[name] for name in ("commit", "versions", "hardware")}
    OUTPUT.write_text(json.dumps(record, indent=1) + "\n")
    print(OUTPUT)


if __name__ == "__main__":
    main()
