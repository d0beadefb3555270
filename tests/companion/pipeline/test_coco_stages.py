"""Response maps on COCO 2014 in VOC layout: 80 classes, images of val without an object, 800 sub-category outputs."""

import numpy as np
import pytest
from coco_folder import SCENES, write_coco

from companion import settings
from companion.datasets import coco2014
from companion.experiments.catalogue import experiment
from companion.pipeline import artefacts, engine
from companion.pipeline.stages import response_maps
from companion.settings import Machine

EMPTY = SCENES["val2014"]
SHORT = {
    "classifier.epochs": 1,
    "subcategories.epochs": 1,
    "subcategories.checkpoints": (1,),
    "cam.scales": (1,),
    "cam.flip": False,
}


@pytest.fixture(scope="module")
def machine(tmp_path_factory) -> Machine:
    root = tmp_path_factory.mktemp("coco")
    write_coco(root / "official")
    coco2014.prepare(root / "official", root / "voc")
    return Machine(device="cpu", data_root=str(root / "voc"))


@pytest.mark.slow
def test_maps_are_scored_on_80_classes_and_an_empty_image_counts_as_background(machine, shared_store):
    chosen = settings.load("smoke", SHORT | {"subcategories.k": 10})
    plain = response_maps.stage(chosen, machine)
    explored = response_maps.stage(chosen.override({"subcategories.round": 1}), machine)
    folders = engine.run([plain, explored], shared_store)
    for stage in (plain, explored):
        scores = artefacts.read_scores(folders[stage.key], "val")
        counts = scores["image_confusion"]
        assert scores["confusion"].shape == (61, 81, 81) and counts.shape == (6, 81, 81)
        assert counts[EMPTY, 0, 0] == counts[EMPTY].sum() > 0
        assert np.isnan(scores["uniformity"][EMPTY])
        np.testing.assert_array_equal(scores["confusion"][15], counts.sum(axis=0))  # threshold .15
    assert not artefacts.ResponseMaps.read(folders[plain.key], "COCO_val2014_000000001028").classes.size


def test_the_stages_of_a_table_can_be_planned_on_it(machine):
    planned = experiment("21_response_maps", settings.load("smoke"), [0], machine).stages()
    engine.bind(planned)
    names = [stage.name for stage in planned]
    assert {"response_maps", "refined_maps"} <= {*names}
    assert len({stage.inputs["data"].key for stage in planned if stage.name == "response_maps"}) == 1
