"""What lists and headers of the user's data tell is said when the plan is made, not after the trainings."""

from pathlib import Path

import pytest
from voc_folder import make_voc, write_split

from companion.experiments.catalogue import experiment
from companion.experiments.experiment import NoTruth
from companion.pipeline import engine
from companion.pipeline.stages import affinity, classifier, segmentation
from companion.settings import Machine, SettingsError, load
from thesislib.data.voc import DataError, read_ids


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Sound data: 12 images in trainaug, of which 4 are train; 4 others are val."""
    folder = make_voc(tmp_path, n=16, classes=("kite", "crab"), size=(64, 64))
    names = read_ids(folder, "train")
    for split, ids in (("trainaug", names[:12]), ("train", names[:4]), ("val", names[12:])):
        write_split(folder, split, ids)
    return folder


def asks(notebook: str, folder: Path):
    return experiment(notebook, load("smoke"), (0,), Machine(data_root=str(folder), device="cpu", crf=True))


def test_scores_need_a_mask_of_every_image(own: Path) -> None:
    for name in read_ids(own, "val")[1:]:
        (own / "SegmentationClass" / f"{name}.png").unlink()
    with pytest.raises(NoTruth, match=r"21_response_maps scores val, but 3 of its 4 images have no mask in .*Segmen"):
        asks("21_response_maps", own).check_truth()
    asks("22_sensitivity", own).check_truth()  # scores train alone
    for path in (own / "SegmentationClass").iterdir():
        path.unlink()
    for notebook in ("00_quickstart", "01_data", "51_performance"):
        asks(notebook, own).check_truth()
    for notebook in ("22_sensitivity", "23_segmentation", "31_response_maps", "33_rounds", "35_segmentation"):
        with pytest.raises(NoTruth, match="4 of its 4 images have no mask"):
            asks(notebook, own).check_truth()


def test_train_must_be_part_of_trainaug(own: Path) -> None:
    write_split(own, "trainaug", read_ids(own, "trainaug")[3:])
    with pytest.raises(DataError, match=r"3 of 4 images of train are not among the 9 of trainaug, such as 2000_000000"):
        engine.bind(asks("01_data", own).stages())


@pytest.mark.parametrize(
    ("step", "section"),
    [
        (classifier.stage, "classifier"),
        (affinity.stage, "affinity"),
        (segmentation.segmenter_stage, "segmentation"),
    ],
)
def test_every_batch_is_filled(own: Path, step, section: str) -> None:
    machine = Machine(data_root=str(own), device="cpu")
    engine.bind([step(load("smoke"), machine)])
    name = f"{section}.batch_size"
    with pytest.raises(SettingsError, match=rf"{name} = 13, but \w+ of .* has \d+ images: lower {name} or add images"):
        engine.bind([step(load("smoke", {name: 13, f"{section}.accumulate": 1}), machine)])
