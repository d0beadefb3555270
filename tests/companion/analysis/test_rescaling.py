"""How far maps of images and of their smaller copies are apart, against a loop over images and classes."""

import json

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from voc_folder import make_voc

from companion.analysis import rescaling
from companion.analysis.forward import untrained_classifier
from companion.datasets.published import LeftOut
from companion.pipeline.artefacts import CLASSIFIER_WEIGHTS
from companion.settings import Machine, load
from thesislib.data.transforms import to_tensor
from thesislib.data.voc import VocDataset
from thesislib.models.weights import save_weights

SETTINGS = load("smoke")
HERE = Machine(device="cpu")


def enlarged(maps: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
    return F.interpolate(maps[None, None], size, mode="bilinear", align_corners=True)[0, 0].numpy()


def from_0_to_1(found: np.ndarray) -> np.ndarray:
    found = np.maximum(found, 0)
    return (found - found.min()) / (found.max() - found.min() + 1e-9)


def test_it_is_the_mean_over_images_of_the_difference_of_maps_from_0_to_1(tmp_path):
    images = VocDataset(make_voc(tmp_path), "train")
    store = tmp_path / "runs"
    maps, trained = store / "response_maps/m", store / "classifier/c"
    for folder, inputs in ((maps, {"data": "d", "classifier": "c"}), (trained, {"data": "d", "backbone": "b"})):
        folder.mkdir(parents=True)
        (folder / "provenance.json").write_text(json.dumps({"inputs": inputs}))
    model = untrained_classifier(SETTINGS, len(images.classes))
    model.fc8.weight.data *= 1000  # maps of many units, beside which the loss's small constant is nothing
    save_weights(model, trained / CLASSIFIER_WEIGHTS)
    measured = rescaling.disagreement(maps, images, SETTINGS, HERE, 0.5)

    of_images = []
    for i in range(len(images)):
        image = to_tensor(images.image(i), model.preprocessing)
        height, width = image.shape[1:]
        copy = F.interpolate(image[None], scale_factor=0.5, mode="bilinear", align_corners=True)
        with torch.no_grad():
            large, small = (model(each).response[0] for each in (image[None], copy))
        differences = []
        for c in np.flatnonzero(images.labels[i]):
            whole = from_0_to_1(enlarged(large[c], (height, width)))
            size = tuple(copy.shape[2:])
            shrunk = enlarged(torch.from_numpy(whole), size)
            differences.append(np.abs(shrunk - from_0_to_1(enlarged(small[c], size))).mean())
        if differences:
            of_images.append(np.mean(differences))
    assert measured == pytest.approx(100 * np.mean(of_images), abs=1e-3)


def test_without_the_classifier_it_is_left_out(tmp_path):
    folder = tmp_path / "response_maps/m"
    folder.mkdir(parents=True)
    (folder / "provenance.json").write_text(json.dumps({"inputs": {"classifier": "c"}}))
    with pytest.raises(LeftOut, match="weights"):
        rescaling.disagreement(folder, VocDataset(make_voc(tmp_path), "train"), SETTINGS, HERE, 0.5)
