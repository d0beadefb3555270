"""The dry run with narrow networks and small images: it goes through, and its data are what they are said to be."""

import importlib
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from places import ROOT

from companion.analysis.methods import MIXUP_CAM
from companion.datasets.voc2012.prepare import prepare
from companion.datasets.voc2012.protocol import list_differences
from companion.settings import load
from thesislib.data.voc import VOC_CLASSES, VocDataset, read_mask, read_names
from thesislib.refinement.crf import crf_available

sys.path.append(str(ROOT / "benchmarks"))
dry_run, voc_shaped = (importlib.import_module(name) for name in ("dry_run", "voc_shaped"))

COUNTS = voc_shaped.Counts(trainaug=5, train=3, val=3, test=3)
SIZE = (64, 96)
TINY = {
    "backbone.width": 1 / 64,
    "classifier.augmentation.long_side": (48, 64),
    "classifier.augmentation.crop": 32,
    "subcategories.crop": 32,
    "affinity.augmentation.crop": 72,
    "segmentation.augmentation.crop": 33,
}


def test_generated_data_have_the_shape_of_voc(tmp_path):
    benchmark = voc_shaped.write_archives(tmp_path, COUNTS, voc_shaped.SIZE)
    voc = prepare(tmp_path, benchmark).folder
    assert dry_run.sound(tmp_path, benchmark).images == COUNTS._asdict()
    assert not list_differences("trainaug", VocDataset(voc, "trainaug").ids, benchmark.splits["trainaug"])
    assert set(VocDataset(voc, "train").ids) < set(VocDataset(voc, "trainaug").ids)
    for split in ("train", "val"):
        images = VocDataset(voc, split)
        for i in range(len(images)):
            values = set(np.unique(read_mask(images.mask_path(i))).tolist()) - {0, 255}
            assert {VOC_CLASSES[value - 1] for value in values} == set(read_names(images.annotation_path(i)))
            assert images.image(i).shape == (375, 500, 3)
    assert not any(path.is_dir() and path.name.startswith("tmp") for path in tmp_path.iterdir())


def test_first_objects_go_through_all_classes():
    seen = [np.unique(voc_shaped.draw(i, voc_shaped.SIZE)[1]) for i in range(20)]
    assert all(i + 1 in values for i, values in enumerate(seen))


def test_an_error_names_its_step():
    with pytest.raises(ZeroDivisionError) as caught:
        dry_run.timed("some step", lambda: 1 / 0, str)
    assert "some step" in caught.value.__notes__[0]


def test_other_content_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(ValueError, match="empty"):
        dry_run.dry_run(tmp_path, COUNTS, load("voc2012"))


@pytest.mark.slow
@pytest.mark.skipif(not crf_available(), reason="needs the dense CRF's library")
def test_everything_goes_through(tmp_path, capsys):
    settings = load("voc2012", MIXUP_CAM.overrides | dry_run.SHORTENED | TINY)
    archive = dry_run.dry_run(tmp_path, COUNTS, settings, SIZE)
    said = capsys.readouterr().out
    print(said)
    assert said.count("steps: 1;") == 4  # both classifiers, AffinityNet, DeepLab
    for term in ("classification", "sub-categories", "entropy", "concentration", "affinity", "segmentation"):
        assert term in said
    with zipfile.ZipFile(archive) as stored:
        assert [Path(name).stem for name in stored.namelist()] == ["2008_000008", "2008_000009", "2008_000010"]
    predicted = sorted(path.stem for path in (tmp_path / "runs").glob("segmentation/*/crf/*.png"))
    assert predicted == ["2008_000008", "2008_000009"]
