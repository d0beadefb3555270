"""Stage `truth_labels`, and an AffinityNet that it teaches: a positive control of step 2, called oracle.

Thesis 2.3.3 teaches AffinityNet by confident pixels of the response maps; here by the truth masks of the same images,
so that what is lost to wrong labels is told apart from what the network cannot learn.
"""

import numpy as np

from companion.pipeline.artefacts import AffinityScores
from companion.pipeline.stages import affinity
from companion.pipeline.stages import backbone as backbone_stage
from companion.pipeline.stages import data as data_stage
from companion.pipeline.store import Job, Stage, without_file
from companion.settings import Machine, Settings

VERSION = 1


def labels_stage(settings: Settings, machine: Machine) -> Stage:
    """The truth as scores of which AffinityNet's labels are made, of the images that teach it."""
    inputs = {"data": data_stage.stage(settings, machine)}
    return Stage("truth_labels", VERSION, compute_labels, {"split": settings.affinity.split}, inputs, machine)


def stage(settings: Settings, machine: Machine, label: str = "") -> Stage:
    """The AffinityNet of these settings taught by the truth; it starts and is trained as that of stage `affinity`."""
    labels = labels_stage(settings, machine)
    chosen = {
        "backbone": without_file(settings.backbone),
        "affinity": without_file(settings.affinity),
        "seed": settings.seed,
    }
    inputs = {"data": labels.inputs["data"], "backbone": backbone_stage.stage(settings, machine), "labels": labels}
    return Stage("affinity", affinity.VERSION, affinity.compute, chosen, inputs, machine, label)


def compute_labels(job: Job, split: str) -> None:
    """Scores 1 for the class of a pixel, 0 for all others; ignored pixels have none, so their cells are undecided."""
    images = data_stage.open_split(job, split)
    for i, name in enumerate(images.ids):
        mask, classes = images.mask(i), np.flatnonzero(images.labels[i])
        scores = np.stack([mask == value for value in (0, *(classes + 1))]).astype(np.float16)
        AffinityScores(classes, scores, scores).write(job.folder, name)
        job.progress(i + 1, len(images))
