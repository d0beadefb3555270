"""What 01_data says of a folder in VOC layout, where neither parts nor sub-types are known."""

import pytest
from exhibit_list import flat
from voc_folder import make_voc, write_split

from companion import settings
from companion.experiments.catalogue import experiment
from companion.settings import Machine


@pytest.fixture
def of_a_folder(tmp_path):
    """Images 0 to 3 in trainaug, 2 and 3 of them in train, 4 alone in val."""
    root = make_voc(tmp_path, n=5)
    ids = [f"2000_{i:06d}" for i in range(5)]
    for split, chosen in {"trainaug": ids[:4], "train": ids[2:4], "val": ids[4:]}.items():
        write_split(root, split, chosen)
    machine = Machine(device="cpu", data_root=str(root))
    return experiment("01_data", settings.load("voc2012"), range(1), machine, compute=lambda stages: {"data": tmp_path})


def test_parts_and_subtypes_are_shown_of_generated_images_alone(of_a_folder):
    assert of_a_folder.parts().text.startswith("Parts and sub-types are known for generated images only")
    assert list(of_a_folder.subtypes()) == []
    *_, pixels = flat(of_a_folder.images_and_masks)
    assert list(pixels.frame.columns) == ["share of pixels", "area where present"] and "parts" not in pixels.caption


def test_splits_are_counted_and_what_must_hold_is_said(of_a_folder):
    assert of_a_folder.data_note == "4 images of trainaug, 2 images of train, 1 images of val"
    assert of_a_folder.sizes().frame["images"].to_dict() == {"trainaug": 4, "train": 2, "val": 1}
    assert list(of_a_folder.invariants()) == [
        "training images: printed 10528 but every list has 10582",
        "scored images in the thesis: train 1464 val 1449 test 1456",
        "train is part of trainaug: True",
        "val shares no image with trainaug: True",
        "every image has a label: True",
    ]
