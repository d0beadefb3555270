"""Array shapes are checked while tests run; one torch thread a process, since pytest-xdist runs several."""

import torch
from jaxtyping import install_import_hook

MODULES = (
    "cam",
    "crf",
    "data",
    "diagnostics",
    "losses",
    "figures",
    "metrics",
    "mixup",
    "models",
    "pairs",
    "pictures",
    "quickstart",
    "random_walk",
    "refinement",
    "scores",
    "segmentation",
    "statistics",
    "tables",
    "training",
)

install_import_hook([f"thesislib.{module}" for module in MODULES], "shape_checks.checked")
torch.set_num_threads(1)
