"""What is said of masks without truth: classes that were not found, labels in doubt, unsure masks."""

import numpy as np
import pytest
from own_files import CLASSES

from companion.analysis import own_masks
from companion.analysis.own_masks import Findings
from companion.pipeline.artefacts import RefinedMaps, write_mask

LABELS = np.array([[1, 0], [0, 1], [1, 1], [0, 1]], np.uint8)
PROBABILITIES = np.array([[0.9, 0.1], [0.2, 0.3], [0.9, 0.9], [0.8, 0.9]])
SHARES = np.array([[0.2, 0], [0, 0.4], [0, 0.1], [0, 0.3]])
FOUND = Findings(LABELS, PROBABILITIES, SHARES, np.array([0.1, 0.2, 0.3, 0.4]))


def test_images_without_an_object_come_first_then_doubtful_labels():
    looks = own_masks.look_first(FOUND, CLASSES)
    assert [(look.image, look.reasons) for look in looks] == [
        (2, ("no cat found",)),
        (3, ("cat too? (80%)", "the mask is unsure")),
        (1, ("label dog in doubt (30%)",)),
    ]


def test_a_line_a_class_counts_images_finds_and_disagreement():
    frame = own_masks.by_class(FOUND, CLASSES)
    assert frame.loc["cat", ["images", "found in", "recognised", "also recognised"]].tolist() == [2, 1, 2, 1]
    assert frame.loc["dog", ["images", "found in", "recognised", "also recognised"]].tolist() == [3, 3, 2, 0]
    assert frame.loc["cat", "area"] == pytest.approx(20) and frame.loc["dog", "AP"] == pytest.approx(100)


def test_shares_and_doubt_come_from_masks_and_scores(tmp_path):
    write_mask(tmp_path, "a", np.array([[0, 2], [2, 2]], np.uint8))
    scores = np.array([[[0.9, 0.1], [0.5, 0.0]], [[0.1, 0.9], [0.5, 0.0]]], np.float32)
    RefinedMaps(np.array([1], np.uint8), scores).write(tmp_path, "a")
    shares, doubt = own_masks.shares_and_doubt(["a"], 2, tmp_path, tmp_path)
    assert shares.tolist() == [[0, 0.75]]
    assert doubt[0] == pytest.approx(1 - (0.8 + 0.8 + 0 + 0) / 4)
