"""What methods are said to do to maps, on counts made up."""

import numpy as np
import pytest

from companion.analysis import measures, mechanism
from companion.analysis.claims import Claim, Row
from thesislib import metrics

CLAIM = Claim("", Row("ours"), Row("CAM"), primary=True)


def run(right, uneven, head, body):
    """An object of 100 pixels, `right` of them found, with a map of that variation and known parts of 50 pixels."""
    counts = np.array([[100, 0], [100 - right, right]])
    covered = np.tile([head, body, 0], (len(metrics.THRESHOLDS), 1))
    return {
        "image_confusion": counts[None],
        "uniformity": np.array([uneven]),
        "part_covered": covered,
        "part_total": np.array([50, 50, 0]),
    }


SCORES = {
    "ours": [run(70 + seed, 0.8 + 0.01 * seed, 40, 30 + seed) for seed in range(3)],
    "CAM": [run(60 + 2 * seed, 1.0, 45, 20) for seed in range(3)],
}


def test_each_claim_is_paired_and_has_its_direction():
    asked = [*mechanism.MAPS, mechanism.averts(0.15)]
    area, recall, even, averts = mechanism.verdicts(CLAIM, asked, SCORES, "train")
    assert area.difference.values == pytest.approx((10, 9, 8)) and area.verdict == "holds"
    assert recall.difference.values == pytest.approx((5, 4.5, 4)) and recall.verdict == "holds"
    assert even.difference.values == pytest.approx((-20, -19, -18)) and even.verdict == "holds"
    assert "against" in even.claim and "ours > CAM" in area.claim
    assert averts.difference.values == pytest.approx((30, 32, 34)) and averts.verdict == "holds"
    assert area.sought is None and area.power is None  # a point of mIoU is no yardstick for these


def test_parts_that_are_not_known_decide_nothing():
    bare = {
        name: [{k: v for k, v in each.items() if "part" not in k} for each in runs] for name, runs in SCORES.items()
    }
    (found,) = mechanism.verdicts(CLAIM, [mechanism.averts(0.15)], bare, "train")
    assert found.difference is None and found.verdict == "undecided"
    assert np.isnan(mechanism.body_over_head(bare["CAM"][0], 0.15))


def test_calibration_goes_down():
    assert mechanism.CALIBRATES.sign == -1 and mechanism.CALIBRATES.measure is measures.calibration_error
