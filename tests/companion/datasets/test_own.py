"""Own images in VOC layout: sizes, labels, masks, names; what is refused, and what is said to be ignored."""

import json
from pathlib import Path

import numpy as np
import pytest
from own_files import SHOWN, csv_lists, write_images, write_truth
from PIL import ExifTags, Image

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


TABLES = {
    "labelmap.txt": "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:250,50,83::\ndog:9,9,9::\n",
    "colours.csv": "class,r,g,b\nBackground,0,0,0\ncat,250,50,83\ndog,9,9,9\ncow,1,1,1\nvoid,255,255,255\n",
    "class_dict.csv": "background,0,0,0\ncat,250,50,83\ndog,9,9,9\n",
}


def write_colours(path: Path, left: tuple[int, ...], right: tuple[int, ...], mode: str = "RGB") -> None:
    """A mask of two colours."""
    mask = Image.new(mode, (120, 90), left)
    mask.paste(right, (60, 0, 120, 90))
    path.parent.mkdir(exist_ok=True)
    mask.save(path)


def shown_in(masks: Path, images: Path, tmp_path: Path) -> list[list[int]]:
    """Values in the left and in the right half of each mask of val."""
    val = VocDataset(own.prepare(images, csv_lists(tmp_path), tmp_path / "own", masks).folder, "val")
    return [[int(val.mask(i)[0, 0]), int(val.mask(i)[0, -1])] for i in range(len(val))]


@pytest.mark.parametrize("table", TABLES)
def test_colours_are_classes_where_a_table_says_so(table, images, tmp_path):
    masks = tmp_path / "masks"
    write_colours(masks / "a.png", (0, 0, 0), (250, 50, 83))
    write_colours(masks / "b.TIF", (9, 9, 9, 255), (0, 0, 0, 0), "RGBA")
    (masks / table).write_text(TABLES[table])
    assert shown_in(masks, images, tmp_path) == [[0, 1], [2, 0]]
    write_colours(masks / "a.png", (0, 0, 0), (1, 2, 3))
    with pytest.raises(DataError, match=rf"a\.png has \(1, 2, 3\) in 5400 pixels, which .*{table} does not name"):
        shown_in(masks, images, tmp_path)


def test_void_is_ignored_and_what_no_label_names_is_background(images, tmp_path):
    masks = tmp_path / "masks"
    write_colours(masks / "a.png", (255, 255, 255), (1, 1, 1))
    write_colours(masks / "b.png", (0, 0, 0), (9, 9, 9))
    (masks / "colours.csv").write_text(TABLES["colours.csv"])
    assert shown_in(masks, images, tmp_path) == [[255, 0], [0, 2]]


def test_masks_that_score_nothing_or_another_class_are_refused(images, tmp_path):
    """Black and white masks are void by VOC's rule, and any masks would then score 100 %."""
    masks = write_truth(tmp_path / "masks", "b")
    Image.new("L", (120, 90), 255).save(masks / "b.png")
    with pytest.raises(DataError, match="no mask of --truth shows a class: of 1 masks all pixels are 0 or 255"):
        shown_in(masks, images, tmp_path)
    for name, value in {"a": 1, "b": 2, "d": 2}.items():  # a cat, and two dogs, by a list in the wrong order
        Image.new("L", (120, 90), value).save(masks / f"{name}.png")
    with pytest.raises(DataError, match=r"masks and image labels do not agree: see that classes\.txt"):
        shown_in(masks, images, tmp_path)


def test_colours_of_voc_need_the_list_of_their_classes_alone(images, tmp_path):
    masks = write_truth(tmp_path / "masks", "b")  # dog is the first class of its list
    write_colours(masks / "a.png", (128, 0, 0), (224, 224, 192))
    assert shown_in(masks, images, tmp_path) == [[2, 255], [2, 1]]
    for colour in ((255, 255, 255), (128, 128, 0)):  # white, and VOC's third class of a list of two
        write_colours(masks / "a.png", (128, 0, 0), colour)
        with pytest.raises(DataError, match=r"in 5400 pixels, which is no class by VOC's palette: .*colours\.csv"):
            shown_in(masks, images, tmp_path)


@pytest.mark.parametrize(("orientation", "size"), [(3, (90, 120)), (6, (120, 90))])
def test_masks_fit_the_upright_image(orientation, size, images, tmp_path, capsys):
    """Half a turn cannot be told from the size, so it is said."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    with Image.open(images / "a.jpg") as image:
        image.save(images / "a.jpg", exif=exif)
    masks, labels = write_truth(tmp_path / "masks", "a", size), csv_lists(tmp_path)
    arguments = ["--images", images, "--labels", labels, "--truth", masks, "--workers", "1"]
    assert cli.main(["data", "prepare", "own", *map(str, arguments), "--output", str(tmp_path / "own")]) == 0
    assert "note: 1 images are stored turned" in capsys.readouterr().out
    val = VocDataset(tmp_path / "own", "val")
    assert val.mask(0).shape == val.size(0) == size
    Image.new("L", size).save(masks / "a.png")
    with pytest.raises(DataError, match=r"its image .*, upright as its EXIF says if it is stored turned"):
        own.prepare(images, labels, tmp_path / "own", masks)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cat,250,50\ndog,1,2,3\n", "line 1 has cat 250,50; expected class,red,green,blue"),
        ("cat,250,50,256\n", "each colour 0 to 255"),
        ("cat,1,2,3\ndog,1,2,3\n", "line 2 gives dog a colour that another class has"),
        ("class,r,g,b\n", "names no colour"),
        ("cat,1,2,3\n", "lacks dog, which the image labels name"),
    ],
)
def test_tables_of_colours_that_cannot_be_used_are_refused(text, said, images, tmp_path):
    write_colours(tmp_path / "masks" / "a.png", (0, 0, 0), (1, 2, 3))
    (tmp_path / "masks" / "colours.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        shown_in(tmp_path / "masks", images, tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda masks: (masks / "classes.txt").unlink(), r"nothing says .*classes\.txt.*colours\.csv"),
        (lambda masks: (masks / "classes.txt").write_text("background\ndog\ncat\n"), "delete that line"),
        (lambda masks: (masks / "classes.txt").write_text("dog\ncow\n"), "lacks cat"),
        (lambda masks: Image.new("RGB", (120, 90), "red").save(masks / "b.png"), r"\(255, 0, 0\) in 10800 pixels"),
        (lambda masks: Image.new("L", (50, 90)).save(masks / "b.png"), "has 50 x 90 pixels, its image 120 x 90"),
        (lambda masks: (masks / "b.png").unlink(), "has no mask of an image"),
    ],
)
def test_masks_that_cannot_be_used_are_refused(change, said, images, tmp_path):
    masks = write_truth(tmp_path / "masks", "b")
    change(masks)
    with pytest.raises(DataError, match=said):
        own.prepare(images, csv_lists(tmp_path), tmp_path / "own", masks)


def instances(folder: Path, **changes) -> Path:
    """COCO's JSON in which the left half of a.jpg is a cat; c.jpg has a cat with an outline, and a dog without."""
    left = {"segmentation": [[0, 0, 60, 0, 60, 90, 0, 90]]} | changes
    content = {
        "images": [{"id": i, "file_name": f"{n}.jpg", "height": 90, "width": 120} for i, n in enumerate("acx")],
        "categories": [{"id": 5, "name": "Dog"}, {"id": 9, "name": "cat"}, {"id": 11, "name": "cow"}],
        "annotations": [
            {"image_id": 0, "category_id": 9, **left},
            {"image_id": 1, "category_id": 9, **left},
            {"image_id": 1, "category_id": 5, "segmentation": []},
        ],
    }
    (folder / "instances.json").write_text(json.dumps(content))
    return folder / "instances.json"


def test_outlines_of_coco_are_masks_where_every_object_has_one(images, tmp_path):
    made = own.prepare(images, csv_lists(tmp_path), tmp_path / "own", instances(tmp_path))
    val = VocDataset(made.folder, "val")
    assert val.ids == ("a",) and made.masks == 1
    np.testing.assert_array_equal(val.mask(0), np.where(np.arange(120) < 60, 1, 0) * np.ones((90, 1)))
    assert "1 masks of other images, such as x.jpg" in made.ignored
    assert "1 masks of images with an object that has no outline, such as c.jpg" in made.ignored


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"segmentation": []}, "instances.json outlines no object of an image: give --truth"),
        ({"segmentation": [[1, 2]]}, "object of a.jpg has a polygon .* 3 points or more: export the instances again"),
        ({"category_id": 4}, "annotations of a category that is not listed"),
    ],
)
def test_outlines_that_cannot_be_used_are_refused(changes, said, images, tmp_path):
    with pytest.raises(DataError, match=said):
        own.prepare(images, csv_lists(tmp_path), tmp_path / "own", instances(tmp_path, **changes))


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
    write_images(tmp_path / "own" / "JPEGImages", ["stray.jpg", "old/a.jpg"])
    for name in ("ImageSets/Segmentation/old.txt", "SegmentationClass/a.TIF", "diary.md"):
        (tmp_path / "own" / name).write_text("a\n")
    assert cli.main(["data", "check", "--root", str(tmp_path / "own"), "--workers", "1"]) == 1  # a.TIF is no mask
    Image.new("L", (120, 90)).save(tmp_path / "own" / "SegmentationClass" / "stray.png")
    (tmp_path / "own" / "SegmentationClass" / "a.TIF").unlink()
    capsys.readouterr()
    assert cli.main(["data", "check", "--root", str(tmp_path / "own"), "--workers", "1"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    for expected in (
        "cat 2 2 2",
        "dog 2 2 2",
        "all images 3 3 3",
        "with a mask 0 0 0",
        "JPEGImages 3 2 old/a.jpg, stray.jpg",
        "Annotations 3 0",
        "SegmentationClass 0 1 stray.png",
        "ImageSets 3 1 Segmentation/old.txt",
        "the folder itself 2 1 diary.md",
    ):
        assert expected.split() in lines


def test_a_class_that_every_image_shows_is_named(images, tmp_path):
    labels = csv_lists(tmp_path)
    assert own.prepare(images, labels, tmp_path / "own").notes == ()
    first, *lines = labels.read_text().splitlines()
    labels.write_text("\n".join([first, *(f"{line.partition(',')[0]},cat" for line in lines)]))
    (note,) = own.prepare(images, labels, tmp_path / "cats").notes
    assert note.startswith("every image shows cat, so nothing teaches") and note.endswith("without it")


def test_half_of_the_options_is_refused(images, capsys):
    assert cli.main(["data", "prepare", "own", "--images", str(images)]) == 2
    assert "needs --images, --labels and --output" in capsys.readouterr().err


def test_a_mask_belongs_to_the_image_of_its_folder_alone(tmp_path):
    images = write_images(tmp_path / "images", ["cat/1.jpg", "dog/1.jpg"])
    masks = write_truth(tmp_path / "masks", ["1"])
    with pytest.raises(DataError, match=r"1\.png may be the mask of several images: cat/1\.jpg; dog/1\.jpg"):
        own.prepare(images, images, tmp_path / "own", masks)
    (masks / "cat").mkdir()
    (masks / "1.png").rename(masks / "cat" / "1.png")
    assert VocDataset(own.prepare(images, images, tmp_path / "own", masks).folder, "val").ids == ("cat__1",)
