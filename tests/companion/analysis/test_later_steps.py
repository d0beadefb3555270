"""Step 3 on one image where the segmentation network stands on the backbone of the classifier."""

import numpy as np
import torch

from companion.analysis import later_steps
from companion.pipeline import artefacts
from companion.pipeline.stages import segmentation
from companion.settings import Machine, load
from thesislib.models.weights import save_weights


def test_network_on_the_backbone_of_the_classifier_is_loaded_as_it_was_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(later_steps, "dense_crf", lambda image, probabilities, params: probabilities)
    settings = load("smoke", {"segmentation.init": "backbone"})
    trained = segmentation.build(settings.segmentation, 4, torch.Generator().manual_seed(0), settings.backbone).eval()
    save_weights(trained, tmp_path / artefacts.SEGMENTER_WEIGHTS)
    image = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
    found = later_steps.segmented(image, 3, tmp_path, settings, Machine(device="cpu"))
    expected = segmentation.predict(trained, image).argmax(dim=0).numpy()
    assert len(np.unique(expected)) > 1
    for mask in found.values():
        np.testing.assert_array_equal(mask, expected)
