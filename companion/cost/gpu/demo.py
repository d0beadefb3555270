"""One seed of Table 2.1 on the demo's data, computed on the GPU by the stages themselves, in fp32 and in bf16.

Between a GPU and a processor, and between fp32 and bf16, the same seed gives other roundings and so other weights: the
differences in mIoU are what such a change costs or brings, and only what exceeds the spread over seeds speaks of the
arithmetic. Nothing here corresponds to published code.
"""

import shutil
from pathlib import Path
from typing import Any

from companion.analysis import measures
from companion.analysis.claims import Row
from companion.analysis.methods import MIXUP_CAM, PLAIN_CAM
from companion.experiments import row_stages
from companion.pipeline import engine
from companion.pipeline.store import Store
from companion.settings import Machine, Settings

SEED = 0
DRIFT_ROWS = (PLAIN_CAM, MIXUP_CAM)
SHARED = ("data", "backbone")  # stages that both precisions start from


def prepare(settings: Settings, runs: Path, device: str) -> dict[str, Any]:
    """Generate the data and train the initial weights, which all rows share."""
    trained = row_stages.classifier_stages(settings, [PLAIN_CAM], [SEED], Machine(device=device, precision="fp32"))
    engine.run(list(trained[PLAIN_CAM.name, SEED].inputs.values()), Store(runs))
    return {}


def row(settings: Settings, chosen: Row, runs: Path, device: str, precision: str) -> dict[str, Any]:
    """Train one row and score its maps: mIoU at the fixed threshold on train and val, in per cent.

    Args:
        settings: of the demo.
        chosen: the row.
        runs: store of this precision, with what `prepare` left there.
        device: `cuda` or `cpu`.
        precision: of the training and of the maps.
    """
    machine = Machine(device=device, precision=precision)
    (stage,) = row_stages.response_map_stages(settings, [chosen], [SEED], machine).values()
    folder = engine.run([stage], Store(runs))[stage.key]
    found = {split: measures.fixed_miou(measures.read_run(folder, split)) for split in settings.cam.splits}
    return {"row": chosen.name, "seed": SEED, "precision": precision, "miou": found}


def share(runs: Path, other: Path) -> None:
    """Copy what both precisions start from into another store.

    Raises:
        FileNotFoundError: `prepare` was not run, or failed.
    """
    for name in SHARED:
        shutil.copytree(runs / name, other / name, dirs_exist_ok=True)
