"""Own images in VOC layout: sizes, labels, masks, names; what is refused, and what is said to be ignored."""

from pathlib import Path

import numpy as np
import pytest
from own_files import SHOWN, csv_lists, write_images, write_truth
from PIL import Image

from companion.cli import main as cli
from companion.datasets import own
from companion.datasets.checks import check
from thesislib.data.voc import DataError, VocDataset


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images")


def test_images_are_reduced_and_labelled_and_every_split_has_them(images, tmp_path):
    write_images(images, ["a.jpg"], size=(600, 800))
    made = own.prepare(images, csv_lists(tmp_path), tmp_path / "own")
    for split in ("trainaug", "train", "val"):
        dataset = VocDataset(made.folder, split)
        check(dataset, masks=False, full=True)
        assert dataset.ids == tuple("abcd") and dataset.classes == ("cat", "dog")
    assert dataset.labels.tolist() == [[1, 0], [0, 1], [1, 1], [0, 1]]
    assert [dataset.size(i) for i in range(2)] == [(192, 256), (90, 120)]
    assert own.read_images(made.folder) == {name: f"{name}.jpg" for name in SHOWN}


def test_masks_follow_their_own_list_of_classes_and_decide_what_is_scored(images, tmp_path):
    made = own.prepare(images, csv_lists(tmp_path), tmp_path / "own", write_truth(tmp_path / "masks", "bc"))
    val = VocDataset(made.folder, "val")
    assert made.masks == 2 and val.ids == ("b", "c")
    assert len(VocDataset(made.folder, "trainaug")) == 4
    assert val.mask(0)[0, 0] == 2 and val.mask(0)[0, -1] == 1  # dog is their first class and the labels' second


def test_colours_are_classes_where_a_label_map_says_so(images, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    colours = np.zeros((90, 120, 3), np.uint8)
    colours[:, 60:] = (250, 50, 83)
    Image.fromarray(colours).save(masks / "a.png")
    (masks / "labelmap.txt").write_text("# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:250,50,83::\n")
    made = own.prepare(images, csv_lists(tmp_path), tmp_path / "own", masks)
    assert np.unique(VocDataset(made.folder, "val").mask(0)).tolist() == [0, 1]
    colours[0, 0] = (1, 2, 3)
    Image.fromarray(colours).save(masks / "a.png")
    with pytest.raises(DataError, match=r"a\.png has \(1, 2, 3\), which no class has"):
        own.prepare(images, csv_lists(tmp_path), tmp_path / "own", masks)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda masks: (masks / "classes.txt").unlink(), "nothing says what the values of the masks"),
        (lambda masks: (masks / "classes.txt").write_text("background\ndog\ncat\n"), "delete that line"),
        (lambda masks: (masks / "classes.txt").write_text("dog\ncow\n"), "lacks cat"),
        (lambda masks: write_images(masks, ["b.png"], (4, 4)), "mode 'RGB'"),
        (lambda masks: Image.new("L", (50, 90)).save(masks / "b.png"), "has 50 x 90 pixels, its image 120 x 90"),
        (lambda masks: (masks / "b.png").unlink(), "has no mask of an image"),
    ],
)
def test_masks_that_cannot_be_used_are_refused(change, said, images, tmp_path):
    masks = write_truth(tmp_path / "masks", "b")
    change(masks)
    with pytest.raises(DataError, match=said):
        own.prepare(images, csv_lists(tmp_path), tmp_path / "own", masks)


def test_bad_images_are_all_named_and_leave_no_folder_that_looks_whole(images, tmp_path):
    (images / "a.jpg").write_bytes(b"no image")
    write_images(images, ["b.jpg"], size=(10, 900))
    with pytest.raises(DataError) as caught:
        own.prepare(images, csv_lists(tmp_path), tmp_path / "own")
    assert "a.jpg" in str(caught.value) and "cut them: b.jpg (900 x 10)" in str(caught.value)
    with pytest.raises(DataError, match="no split 'trainaug'"):
        VocDataset(tmp_path / "own", "trainaug")


def test_small_images_get_the_cells_that_the_random_walk_needs(images, tmp_path):
    write_images(images, ["a.jpg"], size=(36, 80))
    made = own.prepare(images, csv_lists(tmp_path), tmp_path / "own")
    assert VocDataset(made.folder, "val").size(0) == (72, 160)


def test_changed_labels_are_read_anew_and_foreign_folders_left_alone(images, tmp_path):
    labels = csv_lists(tmp_path)
    own.prepare(images, labels, tmp_path / "own")
    labels.write_text(labels.read_text().replace("a.jpg,cat", "a.jpg,dog"))
    assert VocDataset(own.prepare(images, labels, tmp_path / "own").folder, "val").labels[0].tolist() == [0, 1]
    (tmp_path / "diary").mkdir()
    (tmp_path / "diary" / "today.txt").write_text("sun")
    for output, said in ((tmp_path / "diary", "holds something else"), (images / "own", "lies in")):
        with pytest.raises(DataError, match=said):
            own.prepare(images, labels, output)


def test_the_command_says_what_is_used_and_what_is_ignored(images, tmp_path, capsys):
    labels = csv_lists(tmp_path)
    labels.write_text(labels.read_text().replace("d.jpg,dog", "d.jpg,"))
    (images / "notes.txt").write_text("x")
    arguments = ["--images", str(images), "--labels", str(labels), "--output", str(tmp_path / "own"), "--workers", "1"]
    assert cli.main(["data", "prepare", "own", *arguments]) == 0
    shown = capsys.readouterr().out
    assert "3 images, classes cat, dog\n" in shown
    assert "ignored: 1 images that show no class by their labels, such as d.jpg" in shown
    assert "that are no images, such as notes.txt" in shown
    write_images(tmp_path / "own" / "JPEGImages", ["stray.jpg"])
    assert cli.main(["data", "check", "--root", str(tmp_path / "own"), "--workers", "1"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert (
        ["cat", "2", "2", "2"] in lines
        and ["dog", "2", "2", "2"] in lines
        and ["all", "images", "3", "3", "3"] in lines
    )
    assert any("files in JPEGImages that no list names, such as stray.jpg" in " ".join(line) for line in lines)


def test_half_of_the_options_is_refused(images, capsys):
    assert cli.main(["data", "prepare", "own", "--images", str(images)]) == 2
    assert "needs --images, --labels and --output" in capsys.readouterr().err
