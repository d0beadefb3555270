"""A picture of the user's own: what is taken, and what is refused with which words."""

import numpy as np
import pytest
from PIL import Image

from companion import settings
from companion.experiments.own_picture import own_picture, smallest_side
from thesislib.data.voc import DataError

CLASSES = ("heron", "fox", "snail")


@pytest.fixture
def own_file(tmp_path):
    path = tmp_path / "own.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)).save(path)
    return path


def test_a_picture_of_the_users_own_and_its_labels(own_file):
    picture, labels = own_picture(own_file, ["snail"], CLASSES)
    assert picture.shape == (40, 60, 3) and labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "image_labels is empty.*heron, fox, snail"),
        (["snial"], "'snial'; did you mean 'snail'"),
        (["3"], "unknown class '3'"),
    ],
)
def test_labels_of_the_users_own_picture_are_checked(own_file, labels, message):
    with pytest.raises(settings.SettingsError, match=message):
        own_picture(own_file, labels, CLASSES)


def test_a_picture_that_cannot_be_used_is_refused(own_file):
    with pytest.raises(DataError, match=r"missing\.png"):
        own_picture(own_file.with_name("missing.png"), ["fox"], CLASSES)
    own_file.write_text("no picture")
    with pytest.raises(DataError, match=r"own\.png"):
        own_picture(own_file, ["fox"], CLASSES)
    Image.new("RGB", (5000, 40)).save(own_file)
    with pytest.raises(DataError, match=r"500 x 4 pixels"):
        own_picture(own_file, ["fox"], CLASSES)


def test_a_picture_for_the_random_walk_has_room_for_its_pairs(own_file):
    """40 x 60 pixels: at stride 4 enough for 9 cells, at stride 8 not."""
    own_picture(own_file, ["fox"], CLASSES, smallest_side(4, steps=2))
    own_picture(own_file, ["fox"], CLASSES, smallest_side(8, steps=1))
    with pytest.raises(DataError, match=r"60 x 40 pixels.*sides of at least 72"):
        own_picture(own_file, ["fox"], CLASSES, smallest_side(8, steps=2))


def test_a_large_picture_is_made_smaller(own_file):
    Image.new("RGB", (2000, 1000)).save(own_file)
    picture, labels = own_picture(own_file, ["fox"], CLASSES)
    assert picture.shape == (250, 500, 3)
    assert labels.sum() == 1
