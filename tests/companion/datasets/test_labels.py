"""Image labels in every form: what is read from it, and what is said of labels that cannot be used."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from own_files import SHOWN, SOURCES, csv_lists, psa, voc_xml, write_images, yolo

from companion.datasets.labels.assignment import Labels, assign
from companion.datasets.labels.images import find_images
from companion.datasets.labels.recognition import read
from thesislib.data.voc import DataError


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images")


def labels_of(path: Path, images: Path) -> Labels:
    return assign(read(path), find_images(images)[0], images)


def error_of(path: Path, images: Path) -> str:
    with pytest.raises(DataError) as caught:
        labels_of(path, images)
    return str(caught.value)


def table(folder: Path, text: str, name: str = "labels.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize("write", SOURCES)
def test_every_source_says_the_same_of_the_same_images(write, images, tmp_path):
    found = labels_of(write(tmp_path), images)
    assert found.shown == {f"{name}.jpg": shown for name, shown in SHOWN.items()}
    assert found.classes == ("cat", "dog")


def test_one_folder_a_class(tmp_path):
    images = write_images(tmp_path / "images", ["cat/a.jpg", "cat/more/b.JPG", "dog/a.png"])
    found = labels_of(images, images)
    assert found.shown == {"cat/a.jpg": ("cat",), "cat/more/b.JPG": ("cat",), "dog/a.png": ("dog",)}
    (images / "cow").mkdir()
    write_images(images, ["c.jpg"])
    assert "empty folders: delete them: cow" in (said := error_of(images, images))
    assert "beside the class folders: move each into one: c.jpg" in said


def test_a_detection_table_is_read_by_its_column_of_classes(images, tmp_path):
    rows = "".join(f"{name}.jpg,120,{';'.join(shown)}\n" for name, shown in SHOWN.items())
    found = labels_of(table(tmp_path, f"filename,width,class\n{rows}"), images)
    assert found.shown["c.jpg"] == ("cat", "dog")
    assert found.notes == ("columns of labels.csv: width",)


def test_a_table_without_heading_and_one_with_the_row_numbers_of_pandas(images, tmp_path):
    assert labels_of(table(tmp_path, "a.jpg,cat\nb.jpg,dog\nc.jpg,cat,dog\nd.jpg,dog\n"), images).shown["a.jpg"] == (
        "cat",
    )
    numbered = table(tmp_path, ",image,cat,dog\n0,a,1,0\n1,b,0,1\n2,c,1,1\n3,d,0,1\n")
    assert labels_of(numbered, images).shown["c.jpg"] == ("cat", "dog")


def test_an_image_that_is_said_to_show_nothing_is_left_out_and_named(images, tmp_path):
    path = table(tmp_path, "image,class\na,cat\nb,dog\nc,\nd,dog\n")
    found = labels_of(path, images)
    assert found.without == ("c.jpg",) and "c.jpg" not in found.shown


def test_everything_that_is_wrong_is_listed_at_once_with_its_line(images, tmp_path):
    text = "image,class\na.jpg,cat\na,Cat\nb.jpg,dogs;dog\nmissing.jpg,cat\nc.jpg,__background__\n"
    said = error_of(table(tmp_path, text), images)
    assert "with two labels: join them in one: a (labels.csv line 2 and labels.csv line 3)" in said
    assert "correct the name, or take the label out: missing.jpg (labels.csv line 5)" in said
    assert "without a label: name them among the labels, or move them away: d.jpg" in said
    assert "__background__ (labels.csv line 6)" in said
    assert "Cat (labels.csv line 3) and cat (labels.csv line 2)" in said
    assert "dog (labels.csv line 4) and dogs (labels.csv line 4)" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image,cat,dog\na,1,0\nb,0,2\nc,1,1\nd,0,1\n", "line 3 has '2'"),
        ("image,cat,dog\na,1,0\nb,0\n", "line 3 has 1 cells for 2 classes"),
        ("image,cat,cow,dog\na,1,0,0\nb,0,0,1\nc,1,0,1\nd,0,0,1\n", "columns of .* without a 1: delete them: cow"),
        ("image,label\na,1\nb,2\n", "numbers for classes .*: write their names: labels.csv line 2"),
        ("", "lists no image"),
    ],
)
def test_a_table_that_cannot_be_read_names_line_and_remedy(text, said, images, tmp_path):
    with pytest.raises(DataError, match=said):
        labels_of(table(tmp_path, text), images)


def test_names_with_folders_find_their_image_and_others_are_not_guessed(tmp_path):
    images = write_images(tmp_path / "images", ["x/a.jpg", "y/a.jpg", "y/b.JPG"])
    path = table(tmp_path, "image,class\nC:\\photos\\x\\a.jpg,cat\nimages/y/a.jpg,dog\nB.jpg,cat\n")
    assert labels_of(path, images).shown == {"x/a.jpg": ("cat",), "y/a.jpg": ("dog",), "y/b.JPG": ("cat",)}
    said = error_of(table(tmp_path, "image,class\na.jpg,cat\nb.jpg,cat\n"), images)
    assert "may mean several images" in said and "a.jpg (labels.csv line 2): x/a.jpg; y/a.jpg" in said


def test_psa_labels_are_read_without_running_what_they_ask_for(images, tmp_path):
    path = psa(tmp_path)
    np.save(path, np.array([_Evil()]), allow_pickle=True)
    assert "could run any code" in error_of(path, images)


class _Evil:
    def __reduce__(self) -> tuple:
        return pickle.loads, (b"",)


def test_psa_labels_need_names_unless_they_are_those_of_voc(images, tmp_path):
    path = psa(tmp_path)
    (tmp_path / "classes.txt").unlink()
    assert f"there is no {tmp_path / 'classes.txt'}: write their 2 names there" in error_of(path, images)
    voc = {int(f"2007{n:06}"): np.eye(20, dtype=np.float32)[7] for n in range(4)}  # as irn stores names
    np.save(path, voc, allow_pickle=True)  # type: ignore[arg-type]
    own = write_images(tmp_path / "voc", [f"2007_{n:06}.jpg" for n in range(4)])
    assert set(labels_of(path, own).shown.values()) == {("cat",)}


def test_yolo_needs_class_names_and_numbers_that_have_one(images, tmp_path):
    folder = yolo(tmp_path)
    (folder / "a.txt").write_text("5 .5 .5 .1 .1\n")
    assert f"{folder / 'a.txt'} line 1 (class 5 of 3)" in error_of(folder, images)
    (tmp_path / "data.yaml").write_text("nc: 3\n")
    assert "data.yaml has no class names under `names`" in error_of(folder, images)


def test_broken_files_are_all_named(images, tmp_path):
    folder = voc_xml(tmp_path)
    (folder / "a.xml").write_text("<annotation>")
    (folder / "b.xml").write_text("<html/>")
    said = error_of(folder, images)
    assert str(folder / "a.xml") in said and str(folder / "b.xml") in said
    (tmp_path / "other.json").write_text(json.dumps({"info": 1}))
    assert "lacks lists images, annotations, categories" in error_of(tmp_path / "other.json", images)


def test_two_sources_in_one_folder_are_named(images, tmp_path):
    folder = voc_xml(tmp_path)
    csv_lists(folder)
    assert "more than one source of labels: labels.csv, 4 .xml" in error_of(folder, images)
    assert labels_of(folder / "labels.csv", images).shown["a.jpg"] == ("cat",)


def test_a_place_without_labels_says_what_is_expected(images, tmp_path):
    assert "give --labels, labels.csv" in error_of(tmp_path / "nowhere", images)
    assert "expected labels.csv" in error_of(images, images)
    assert f"give its folder, {tmp_path}" in error_of(table(tmp_path, "0 1 1 1 1", "a.txt"), images)
