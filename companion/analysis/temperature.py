"""A temperature fitted after training: what it does to a classifier's calibration, and what to its response maps.

Logits are means of response maps, so dividing the weights of the head by T divides both. Every map is normalised by its
own maximum, which takes T out again. Guo et al., "On Calibration of Modern Neural Networks", 2017; nothing here
corresponds to published code.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float64

from companion.analysis import measures
from companion.analysis.measures import Run
from companion.pipeline.artefacts import ResponseMaps
from thesislib import cam, metrics
from thesislib.data.voc import VocDataset
from thesislib.diagnostics import fitted_temperature

MAPS = ("largest change of a normalised map", "mIoU before", "mIoU after")


def fitted(on_train: Run) -> float:
    """The temperature that fits the logits of train to its labels."""
    return fitted_temperature(on_train["logits"], on_train["labels"])


def calibration_error(run: Run, temperature: float) -> float:
    """Expected calibration error in per cent once the logits are divided."""
    return measures.calibration_error({**run, "logits": run["logits"] / temperature})


def divided_maps(folder: Path, images: VocDataset, temperature: float, background: float) -> Float64[np.ndarray, " 3"]:
    """`MAPS` of the response maps of a folder, mIoU in per cent at the threshold `background`."""
    classes, most = len(images.classes), 0.0
    before, after = (metrics.ConfusionMatrix(classes + 1) for _ in range(2))
    for i, name in enumerate(images.ids):
        maps, truth = ResponseMaps.read(folder, name).of_classes(classes), images.mask(i)
        plain, divided = cam.normalize(maps), cam.normalize(maps / temperature)
        most = max(most, float((plain - divided).abs().max()))
        before.update(truth, cam.label_map(plain, background).numpy())
        after.update(truth, cam.label_map(divided, background).numpy())
    return np.array([most, 100 * before.miou(), 100 * after.miou()])
