"""Array shapes are checked while tests run; one torch thread a process, since pytest-xdist runs several."""

import torch
from jaxtyping import install_import_hook

MODULES = (
    "bootstrap",
    "cam",
    "charts",
    "cluster_charts",
    "cluster_heads",
    "cluster_moves",
    "cluster_pictures",
    "cluster_quality",
    "cluster_scores",
    "cluster_tables",
    "clustering",
    "crf",
    "data",
    "diagnostics",
    "diagrams",
    "evidence",
    "exchange",
    "label_quality",
    "losses",
    "figures",
    "folder_scores",
    "metrics",
    "mixup",
    "models",
    "pairs",
    "pickles",
    "pictures",
    "quickstart",
    "random_walk",
    "refinement",
    "result_files",
    "round_scores",
    "scores",
    "segmentation",
    "sensitivity",
    "statistics",
    "submission",
    "tables",
    "training",
)

install_import_hook([f"thesislib.{module}" for module in MODULES], "shape_checks.checked")
torch.set_num_threads(1)
