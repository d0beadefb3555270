"""No extra complexity, in numbers: what Mixup-CAM and SC-CAM add to the plain classifier, in training and afterwards.

Both keep the network of the baseline (thesis 2.3 and 3.3). Counted here at full size for one seed
on VOC, as in `operations`; what mixup and the terms of (2.5) do, which `operations` leaves out, is one operation for
every value that is written on the way, forward and backward. Nothing here corresponds to published code.
"""

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from companion.analysis.methods import ALPHA, LAMBDA_CON, LAMBDA_ENT
from companion.cost import operations
from companion.cost.work import PETA, images
from companion.settings import Settings, load
from thesislib.mixup import mixup
from thesislib.models.classifier import ClassifierOutput
from thesislib.objectives import ClassifierObjective

ROUNDS = 3  # thesis 3.4.1
STEP, SHARE, PARAMETERS, TRAININGS, WHOLE, TIMES, LATER = COLUMNS = (
    "training step, GFLOP an image",
    "beside it, mixup and terms, %",
    "parameters in training, millions",
    "trainings",
    "training in all, PFLOP",
    "times plain CAM",
    "parameters for maps, millions",
)
FORMATS = {STEP: ",.0f", SHARE: ".4f", PARAMETERS: ".2f", WHOLE: ",.0f", TIMES: ".2f", LATER: ".2f"}


class _Written(TorchDispatchMode):
    """Counts the values that operations write."""

    def __init__(self) -> None:
        super().__init__()
        self.values = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for each in found if isinstance(found, tuple | list) else (found,):
            self.values += each.numel() if isinstance(each, Tensor) else 0
        return found


def beside_the_network(crop: int, stride: int, batch: int = 2) -> int:
    """Operations of mixup and of both terms for one image of `crop` x `crop` pixels in training, at most."""
    cells, classes = crop // stride, operations.VOC_CLASSES
    pixels, labels = torch.rand(batch, 3, crop, crop), torch.eye(classes)[:batch]
    response = torch.rand(batch, classes, cells, cells, requires_grad=True)
    logits = torch.rand(batch, classes, requires_grad=True)
    terms = ClassifierObjective(classes, mixup_alpha=ALPHA, lambda_ent=LAMBDA_ENT, lambda_con=LAMBDA_CON)
    with _Written() as written:
        _, mixed, _ = mixup(pixels, labels, ALPHA, np.random.default_rng(0))
        output = ClassifierOutput(logits, None, logits, response)
        _, *own = terms.terms(output, mixed, mixed[:, :0]).values()
        torch.stack(own).sum().backward()
    return written.values // batch


def table(settings: Settings | None = None) -> pd.DataFrame:
    """A line each for plain CAM, Mixup-CAM, and SC-CAM after the rounds of the thesis; `COLUMNS`."""
    chosen = settings or load("voc2012")
    classifier, rounds = chosen.classifier, chosen.subcategories
    crop, batch = classifier.augmentation.crop, classifier.batch_size
    plain = operations.classifier_step(chosen, crop)
    more = beside_the_network(crop, chosen.backbone.stride) * batch
    of_round = operations.classifier_step(chosen, rounds.crop, rounds.k)
    once = classifier.epochs * _steps(batch) * plain
    regularised = classifier.epochs * _steps(batch) * (plain + more)
    features = images("trainaug") * operations.features(chosen)
    explored = once + ROUNDS * (rounds.epochs * _steps(batch) * of_round + features)
    lines = {
        "plain CAM": (plain, 0.0, 0, 1, once),
        "Mixup-CAM": (plain, 100 * more / plain, 0, 1, regularised),
        f"SC-CAM, K = {rounds.k}, {ROUNDS} rounds": (of_round, 0.0, rounds.k, 1 + ROUNDS, explored),
    }
    cells = {
        name: (
            step / batch / 1e9,
            share,
            _parameters(chosen, k),
            trainings,
            whole / PETA,
            whole / once,
            _parameters(chosen),
        )
        for name, (step, share, k, trainings, whole) in lines.items()
    }
    return pd.DataFrame.from_dict(cells, orient="index", columns=COLUMNS).rename_axis("method")


def _steps(batch: int) -> int:
    return images("trainaug") // batch


def _parameters(settings: Settings, k: int = 0) -> float:
    with torch.device("meta"):
        model = operations.classifier(settings, k)
    return sum(parameter.numel() for parameter in model.parameters()) / 1e6
