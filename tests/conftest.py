"""Array shapes are checked while tests run; one torch thread a process, since pytest-xdist runs several."""

import torch
from jaxtyping import install_import_hook

MODULES = (
    "cam",
    "data",
    "diagnostics",
    "losses",
    "metrics",
    "mixup",
    "models",
    "segmentation",
    "statistics",
    "training",
)

install_import_hook([f"thesislib.{module}" for module in MODULES], "shape_checks.checked")
torch.set_num_threads(1)
