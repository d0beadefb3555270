"""Stage `recam`: a trained classifier learns on with the second classifier of ReCAM, or, a control, without it.

Not in the thesis; what it is trained on, and the published code, is `thesislib.recam`. The images are those of the
classifier's training, each once, augmented as there, without mixing and other terms.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from companion.pipeline import artefacts
from companion.pipeline.stages import classifier as classifier_stage
from companion.pipeline.stages import data as data_stage
from companion.pipeline.store import Job, Stage, without_file
from companion.pipeline.training import train_stage
from companion.settings import BackboneSettings, ClassifierSettings, Machine, RecamSettings, Settings
from thesislib import randomness
from thesislib.models.classifier import CamClassifier
from thesislib.models.weights import read_tensors, save_weights
from thesislib.recam import Reactivated, RecamObjective

VERSION = 1


def stage(settings: Settings, machine: Machine, trained: Stage, label: str = "") -> Stage:
    """What becomes of the classifier of stage `trained`, with the settings `recam` and the seed."""
    chosen: Mapping[str, Any] = {
        "backbone": without_file(settings.backbone),
        "classifier": without_file(settings.classifier),
        "recam": settings.recam,
        "seed": settings.seed,
    }
    inputs = {"data": trained.inputs["data"], "classifier": trained}
    fills = data_stage.fills_a_batch(settings, "recam", "trainaug")
    return Stage("recam", VERSION, compute, chosen, inputs, machine, label, check=fills)


def compute(
    job: Job, backbone: BackboneSettings, classifier: ClassifierSettings, recam: RecamSettings, seed: int
) -> None:
    """Train on `trainaug` and keep the weights of both classifiers and the loss terms of every step."""
    images = data_stage.open_split(job, "trainaug", cache=True)
    trained = classifier_stage.load(job, backbone, classifier, len(images.classes))
    # Position 1: at 0 are the initial weights of the classifier itself.
    model = Reactivated(trained, randomness.torch_generator(seed, randomness.INITIALISATION, 1))
    once = classifier.model_copy(update={"views": 1})
    dataset = classifier_stage.TrainingImages(images, once, seed, model.preprocessing)
    history = train_stage(job, model, dataset, len(images), RecamObjective(recam.weight), recam, seed)
    save_weights(trained, job.folder / artefacts.CLASSIFIER_WEIGHTS)
    if recam.weight:
        save_weights(model.second, job.folder / artefacts.SECOND_WEIGHTS)
    artefacts.write_history(job.folder, history)


def reactivated(folder: Path, classifier: CamClassifier) -> nn.Module:
    """What makes the maps of a folder's classifier: with a second classifier beside it both, else itself."""
    file = folder / artefacts.SECOND_WEIGHTS
    if not file.is_file():
        return classifier
    model = Reactivated(classifier)
    model.second.load_state_dict(read_tensors(file))
    return model.eval()
