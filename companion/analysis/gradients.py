"""How hard each term of (2.5) pulls: the norm of its gradient beside that of the classification loss.

Thesis 2.3.2 gives the weights of the terms, and 2.4.2 reads their effect off mIoU alone. Whether a term moves the
network at all is seen earlier, in its gradient. Terms are compared on one classifier and the same batches, so that they
differ in nothing else. Nothing here corresponds to published code.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor, nn

from companion.analysis.forward import load_classifier
from companion.pipeline.stages import classifier as classifier_stage
from companion.settings import Machine, Settings
from thesislib.batches import Batches
from thesislib.data.voc import VocDataset
from thesislib.mixing import MIXINGS
from thesislib.models.classifier import ClassifierOutput
from thesislib.objectives import ClassifierObjective
from thesislib.randomness import DROPOUT, MIXING, generator, torch_seed

BATCHES = 4
COLUMNS = ("parameters", "logits", "cosine")
PER_CENT = 100


def of_classifier(
    folder: Path, images: VocDataset, settings: Settings, rows: Mapping[str, Settings], machine: Machine, seed: int = 0
) -> Float64[np.ndarray, "rows 3"]:
    """`relative` of the terms that each row adds to the classification loss, mean over `BATCHES` training batches.

    Args:
        folder: of stage `classifier`.
        images: it was trained on.
        settings: it was trained with; they say how batches are drawn and mixed.
        rows: settings of the rows whose terms are weighed, by name.
        machine: where the network runs.
        seed: of the batches, their mixing and dropout.
    """
    model = load_classifier(settings, folder, len(images.classes), machine).train()
    chosen = settings.classifier
    objectives = [classifier_stage.objective(row.classifier, len(images.classes)) for row in rows.values()]
    training = classifier_stage.TrainingImages(images, chosen, seed, model.preprocessing)
    batches = Batches(training, len(images), chosen.batch_size, BATCHES, seed)
    found = []
    for step, batch in enumerate(islice(batches.starting_at(0), BATCHES)):
        pixels, labels = (tensor.to(machine.torch_device) for tensor in batch)
        if chosen.mixup_alpha:
            mix = MIXINGS[chosen.mixing]
            pixels, labels, _ = mix(pixels, labels, chosen.mixup_alpha, generator(seed, MIXING, step))
        with torch.random.fork_rng():
            torch.manual_seed(torch_seed(seed, DROPOUT, step))
            output = model(pixels)
        found.append(relative(model, output, labels, objectives))
    return np.mean(found, axis=0)


def relative(
    model: nn.Module, output: ClassifierOutput, labels: Tensor, objectives: Sequence[ClassifierObjective]
) -> Float64[np.ndarray, "objectives 3"]:
    """The gradient of all that each objective adds to the classification loss, beside the gradient of that loss.

    Args:
        model: gave `output`, whose graph is kept.
        output: of one batch.
        labels: `(B, C)`, mixed or not.
        objectives: with at least one term of their own.

    Returns:
        `COLUMNS`: norm over the trained parameters and over the logits, in per cent of that of the classification loss,
        and the cosine of both over the parameters, below 0 where the terms work against it. A term that does not act on
        the pooled logits, such as the concentration, has 0 there.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    lines, nothing = [], labels[:, :0]
    for objective in objectives:
        classification, *terms = objective.terms(output, labels, nothing).values()
        base, base_logits = _gradients(classification, output, parameters)
        own, own_logits = _gradients(torch.stack(terms).sum(), output, parameters)
        norms = own.norm() / base.norm(), own_logits.norm() / base_logits.norm()
        lines.append([*(PER_CENT * float(each) for each in norms), float(own @ base / (own.norm() * base.norm()))])
    return np.array(lines, np.float64)


def _gradients(term: Tensor, output: ClassifierOutput, parameters: Sequence[nn.Parameter]) -> tuple[Tensor, Tensor]:
    """The gradient of a term with respect to all parameters, and to the logits, each as one vector."""
    inputs = [output.logits, *parameters]
    found = torch.autograd.grad(term, inputs, retain_graph=True, allow_unused=True)
    of_logits, *rest = [
        torch.zeros(each.numel(), device=each.device) if gradient is None else gradient.flatten().float()
        for each, gradient in zip(inputs, found, strict=True)
    ]
    return torch.cat(rest), of_logits
