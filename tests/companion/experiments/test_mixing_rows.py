"""Notebook 42: its rows, which of them Table 2.1 has too, and that a temperature leaves maps as they are."""

import numpy as np
import pytest
import torch

from companion import settings
from companion.analysis import measures, temperature
from companion.experiments import parameters
from companion.experiments.catalogue import experiment
from companion.pipeline.artefacts import ResponseMaps
from companion.settings import Machine, SettingsError
from thesislib.data.voc import VocDataset

DEMO = settings.load("demo")


def of(notebook="42_mixing", chosen=DEMO, **given):
    return experiment(notebook, chosen, range(3), Machine(device="cpu", crf=False), given)


def test_plain_cam_and_mixup_are_those_of_table_2_1():
    table = {stage.key for stage in of("21_response_maps").maps.values()}
    asked = of().maps
    assert {row for (row, _), stage in asked.items() if stage.key in table} == {"CAM", "mixup"}
    assert len({stage.key for stage in asked.values()}) == len(asked) == 3 * 9


def test_rows_differ_from_mixup_in_how_they_mix_alone():
    rows = {key: DEMO.override(row.overrides) for key, row in of(alpha_of_masks=0.2).rows.items()}
    for key in ("hard_labels", "labels_only", "cutmix", "fmix"):
        assert [*parameters.differences(rows[key], rows["mixup"])] == ["classifier.mixing"]
    assert parameters.differences(rows["both"], rows["mixup"]) == {"classifier.label_smoothing": (0.1, 0)}
    assert parameters.differences(rows["smooth_0.05"], rows["cam"]) == {"classifier.label_smoothing": (0.05, 0)}


@pytest.mark.parametrize("given", [{"classifier.mixing": "fmix"}, {"classifier.label_smoothing": 0.1}])
def test_what_the_rows_differ_in_cannot_be_set_beside_them(given):
    with pytest.raises(SettingsError, match="are what the rows differ in"):
        of(chosen=settings.load("demo", given)).stages()
    for smoothings in ([], [0.0, 0.1]):
        with pytest.raises(SettingsError, match="give smoothings"):
            of(smoothings=smoothings).stages()


class TwoImages(VocDataset):
    """Two images of two classes, by their truth alone."""

    def __init__(self, masks):
        self.ids, self.classes, self.masks = ["a", "b"], ("heron", "fox"), masks

    def mask(self, i):
        return self.masks[i]


def test_a_temperature_calibrates_and_leaves_maps_as_they_are(tmp_path):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (2000, 2))
    labels = rng.random(logits.shape) < 1 / (1 + np.exp(-logits))
    run = {"logits": 3 * logits.astype(np.float32), "labels": labels}
    fitted = temperature.fitted(run)
    assert fitted == pytest.approx(3, rel=0.1)
    assert temperature.calibration_error(run, 1) == measures.calibration_error(run)
    assert temperature.calibration_error(run, fitted) < measures.calibration_error(run) / 3

    images = TwoImages([rng.integers(0, 3, (16, 20)).astype(np.uint8) for _ in range(2)])
    for name in images.ids:
        maps = torch.rand(2, 16, 20, generator=torch.Generator().manual_seed(1)) * 5
        ResponseMaps(np.arange(2, dtype=np.uint8), maps.numpy()).write(tmp_path, name)
    largest, before, after = temperature.divided_maps(tmp_path, images, fitted, 0.3)
    assert largest < 1e-5 and before == after and 0 < before < 100
