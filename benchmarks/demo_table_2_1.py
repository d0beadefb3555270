"""The demo's Table 2.1 of seed 0 on a processor, as one JSON file that `make gpu-check` is compared with.

    python benchmarks/demo_table_2_1.py

computes what the store `runs` lacks and writes `benchmarks/demo_table_2_1.json`: mIoU of the response maps at the fixed
threshold, in per cent.
"""

import json
from pathlib import Path

from companion.analysis import measures as scores
from companion.cost.gpu.demo import SEED
from companion.experiments import row_stages
from companion.experiments.catalogue import experiment
from companion.pipeline import engine
from companion.pipeline.store import Store
from companion.settings import Machine, load

OUTPUT = Path(__file__).with_suffix(".json")


def main() -> None:
    """Compute the rows of the thesis and write their scores."""
    settings, store = load("demo"), Store(Path("runs"))
    machine = Machine(device="cpu", precision="fp32")
    rows = experiment("21_response_maps", settings, [SEED], machine).rows.values()
    stages = row_stages.response_map_stages(settings, [row for row in rows if not row.control], [SEED], machine)
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
