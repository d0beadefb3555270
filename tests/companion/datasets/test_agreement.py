"""Masks, image labels and class list, held against each other: what cannot be true is refused, the rest counted."""

import numpy as np
import pytest
from PIL import ExifTags, Image
from voc_folder import make_voc, write_annotation, write_indices, write_split

from companion.datasets import agreement
from companion.datasets.agreement import ImageFacts
from companion.datasets.verification import check_folder
from companion.exchange.scoring import score_folder
from thesislib.data.voc import DataError, VocDataset, read_ids, read_mask


@pytest.fixture
def own(tmp_path):
    """Sound data with two classes: 12 images in trainaug, of which 4 are train; 4 others are val."""
    folder = make_voc(tmp_path, n=16, classes=("dog", "dining table"))
    names = read_ids(folder, "train")
    for split, ids in (("trainaug", names[:12]), ("train", names[:4]), ("val", names[12:])):
        write_split(folder, split, ids)
    return folder


def recode(folder, change):
    for path in (folder / "SegmentationClass").iterdir():
        write_indices(path, change(read_mask(path)))


def empty_predictions(folder):
    """Masks without an object."""
    made = folder / "predictions"
    made.mkdir()
    for path in (folder / "SegmentationClass").iterdir():
        write_indices(made / path.name, np.zeros_like(read_mask(path)))
    return made


def test_sound_data_say_nothing(own):
    assert check_folder(own)[:2] == ([], [])


def test_masks_of_0_and_255_show_no_class(tmp_path):
    """A common export of one class: all that is left to score is background, and every prediction has 100 per cent."""
    folder = make_voc(tmp_path, n=4, classes=("kite",))
    recode(folder, lambda mask: np.where(mask == 1, 255, 0).astype(np.uint8))
    text = "\n".join(check_folder(folder).problems)
    for split in ("train", "val"):
        assert f"no mask of {split} shows a class: of 4 masks all pixels are 0 or 255" in text
    with pytest.raises(DataError, match="no truth to score with: no mask of val shows a class"):
        score_folder(empty_predictions(folder), VocDataset(folder, "val"), progress=False)


def test_a_class_list_in_another_order_than_the_masks(own):
    swapped = np.arange(256, dtype=np.uint8)
    swapped[[1, 2]] = 2, 1
    recode(own, lambda mask: swapped[mask])
    (problem,) = check_folder(own).problems
    assert "masks and image labels do not agree: see that classes.txt has the classes in the order" in problem
    assert "dog: 0 images by label and mask, 8 by label alone, 8 by mask alone" in problem
    with pytest.raises(DataError, match="dog: 0 images by label and mask, 2 by label alone, 2 by mask alone"):
        score_folder(empty_predictions(own), VocDataset(own, "val"), progress=False)


def test_single_differences_are_counted_in_both_directions(own):
    names = read_ids(own, "trainaug")
    write_annotation(own, names[0], ["dog", "dining table"])
    recode_one = own / "SegmentationClass" / f"{names[1]}.png"
    mask = read_mask(recode_one)
    mask[0] = 1
    write_indices(recode_one, mask)
    report = check_folder(own)
    assert report.problems == []
    assert report.notes == [
        "masks and image labels differ in some images. dog: 8 images by label and mask, 0 by label alone, 1 by mask "
        "alone; dining table: 8 images by label and mask, 1 by label alone, 0 by mask alone"
    ]


@pytest.mark.parametrize("name", ["Dog", "dogs", "dining_table", "DiningTable", "dining-tables"])
def test_a_class_in_another_spelling_is_not_dropped(own, name):
    write_annotation(own, read_ids(own, "trainaug")[2], ["dog", name, name])
    (problem,) = check_folder(own).problems
    nearest = "dog" if name.lower().startswith("dog") else "dining table"
    assert f"a class but for their spelling: {name!r} (2 objects, nearest {nearest!r}): correct them" in problem


def test_other_names_are_listed_with_their_count_and_the_nearest_class(own):
    write_annotation(own, read_ids(own, "trainaug")[2], ["dog", "spaceship", "doge", "doge"])
    assert check_folder(own).notes == [
        "names of objects that are no class and are ignored: 'doge' (2 objects, nearest 'dog'), 'spaceship' (1 objects)"
    ]


def test_classes_without_a_training_image_are_named(own):
    (own / "classes.txt").write_text("dog\ndining table\ncrab\n")
    assert check_folder(own).notes == ["1 of 3 classes have no image in trainaug: crab"]


def test_masks_of_turned_images_are_named(own):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3
    path = own / "JPEGImages" / f"{read_ids(own, 'val')[0]}.jpg"
    Image.open(path).save(path, exif=exif)
    (note,) = check_folder(own).notes
    assert note.startswith("1 images are stored turned (EXIF orientation)") and note.endswith(path.stem)


def test_labels_of_the_main_object_alone_are_no_contradiction():
    shown = frozenset({0, 1, 2})
    facts = {str(i): ImageFacts(labels=frozenset({i % 3}), shown=shown) for i in range(9)}
    assert agreement.problems({"train": facts}, ("a", "b", "c")) == []
    assert [each[1:] for each in agreement.agreement(facts.values(), ("a", "b", "c"))] == [(3, 0, 6)] * 3
