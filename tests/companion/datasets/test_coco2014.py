"""COCO 2014 in VOC layout: masks, labels, lists, what is refused before anything is written, and what is resumed."""

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from coco_folder import HEIGHT, SCENES, WIDTH, polygons, runs, text_runs, write_coco
from PIL import Image

from companion.cli import main as cli
from companion.datasets import coco2014, own
from companion.datasets.coco2014 import CATEGORIES, CLASSES
from companion.datasets.instances import mask_of, outline_problem, pixels
from companion.datasets.labels.coco import Object
from companion.datasets.layout import find_layout
from companion.datasets.verification import check_folder
from thesislib.data.voc import DataError, VocDataset

TRAIN, VAL = (f"instances_{name}.json" for name in coco2014.SETS)
CROWD_ALONE, MIXED, EMPTY, PERSON = (f"COCO_train2014_{1000 + 7 * i:012}" for i in (1, 2, SCENES["train2014"], 11))


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> tuple[Path, dict[str, np.ndarray]]:
    root = tmp_path_factory.mktemp("coco") / "official"
    return root, write_coco(root)


@pytest.fixture
def spoilt(source, tmp_path) -> Path:
    """A folder that a test may spoil."""
    return Path(shutil.copytree(source[0], tmp_path / "official"))


def test_masks_and_labels_are_those_of_the_scenes(source, tmp_path):
    root, masks = source
    coco2014.prepare(root, tmp_path / "voc")
    for split in ("trainaug", "val"):
        images = VocDataset(tmp_path / "voc", split)
        assert images.classes == CLASSES
        for i, name in enumerate(images.ids):
            np.testing.assert_array_equal(images.mask(i), masks[name])
            shown = {value for value in np.unique(masks[name]).tolist() if 0 < value < 255}
            crowd = (
                {1} if split == "trainaug" and i < 2 else set()
            )  # a crowd of persons is a label, and no class of a mask
            assert set(np.flatnonzero(images.labels[i]) + 1) == shown | crowd
            assert images.image(i).shape == (HEIGHT, WIDTH, 3)


def test_images_without_an_object_are_not_learned_from_and_are_background_in_val(source, tmp_path):
    done = coco2014.prepare(source[0], tmp_path / "voc")
    trainaug, val = (VocDataset(tmp_path / "voc", split) for split in ("trainaug", "val"))
    assert done.images == {"trainaug": 11, "train": 11, "val": 6}
    assert done.empty == {"train2014": 1, "val2014": 1} and done.crowds == 1
    assert EMPTY not in trainaug.ids and {PERSON, CROWD_ALONE} < {*trainaug.ids}
    assert not val.labels[SCENES["val2014"]].any() and not val.mask(SCENES["val2014"]).any()
    report = check_folder(tmp_path / "voc")
    assert not report.problems
    assert any("1 images of val show no class by their annotations, all background" in note for note in report.notes)


def test_a_folder_as_coco_has_it_gets_the_command_that_prepares_it(source):
    with pytest.raises(
        DataError, match=r"`thesis data prepare coco2014 --root .*official --output .*official_prepared`"
    ):
        find_layout(source[0])


def test_one_file_gives_labels_and_masks_of_own_images(source, tmp_path):
    root, masks = source
    where, file = root / "train2014", root / "annotations" / TRAIN
    alone = own.prepare(where, file, tmp_path / "own")
    assert not alone.masks and any(
        "outlines of 20 objects: masks for scores with --truth" in line for line in alone.ignored
    )
    made = own.prepare(where, file, tmp_path / "own", file)
    assert made.masks == 11 and not any("outlines" in line for line in made.ignored)
    classes = VocDataset(made.folder, "val").classes
    shown = np.unique(VocDataset(made.folder, "val").mask(2))  # enlarged: small images have the cells that a walk needs
    assert {CLASSES.index(classes[value - 1]) + 1 for value in shown[shown > 0]} == {*np.unique(masks[MIXED])} - {0}


def test_categories_are_the_official_ones():
    assert len(CLASSES) == 80 and list(CATEGORIES)[-1] == 90
    assert sorted({*range(1, 91)} - {*CATEGORIES}) == [12, 26, 29, 30, 45, 66, 68, 69, 71, 83]
    assert [CATEGORIES[number] for number in (1, 13, 27, 44, 67, 90)] == [
        "person", "stop sign", "backpack", "bottle", "dining table", "toothbrush"
    ]  # fmt: skip


def test_smaller_objects_lie_over_larger_ones_and_all_over_crowds():
    wide, small, crowd = (np.zeros((6, 8), bool) for _ in range(3))
    wide[1:5, 1:7], small[2:4, 2:4], crowd[:2, 2:3] = True, True, True
    objects = [
        Object("cup", polygons(small), False),
        Object("person", runs(crowd), True),
        Object("bed", runs(wide), False),
    ]
    expected = np.where(small, 2, np.where(wide, 1, np.where(crowd, 255, 0)))
    for order in (objects, objects[::-1]):
        np.testing.assert_array_equal(mask_of(order, {"bed": 1, "cup": 2}, (6, 8)), expected)


@pytest.mark.parametrize("form", [polygons, runs, text_runs])
def test_every_form_of_outline_gives_its_pixels(form):
    rng = np.random.default_rng(0)
    for density in (0.05, 0.5, 0.95):
        inside = np.kron(rng.random((9, 5)) < density, np.ones((4, 17))).astype(bool)
        inside[:, -1] = False
        inside[0, 0] = True
        np.testing.assert_array_equal(pixels(form(inside), inside.shape), inside)


@pytest.mark.parametrize(
    ("outline", "said"),
    [
        (None, "has no outline"),
        ("polygon", "neither polygons nor runs"),
        ([[1, 2, 3, 4]], "no list of x, y of 3 points"),
        ([[1, 2, 3, 4, 5, 6, 7]], "no list of x, y"),
        ([[1, 2, 3, 4, 5, float("nan")]], "far outside"),
        ([[1, 2, 3, 4, 5, 1e9]], "far outside"),
        ([["a", 2, 3, 4, 5, 6]], "no list of numbers"),
        ({"size": [5, 4], "counts": [20]}, r"runs for an image of \[5, 4\]"),
        ({"size": [4, 5], "counts": [19]}, "runs of 19 pixels, its image has 20"),
        ({"size": [4, 5], "counts": [-1, 21]}, "runs of 20 pixels"),
        ({"size": [4, 5], "counts": "PPYo1"}, "runs"),
        ({"size": [4, 5], "counts": "~~"}, "cannot be read"),
        ({"size": [4, 5]}, "cannot be read"),
        ({"size": 20, "counts": [20]}, "runs for an image of 20"),
    ],
)
def test_outlines_that_pycocotools_would_turn_into_anything_are_refused(outline, said):
    assert outline_problem(outline, (4, 5))
    with pytest.raises(DataError, match=said):
        pixels(outline, (4, 5))


def changed(root: Path, file: str, change) -> None:
    path = root / "annotations" / file
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def cut(root: Path) -> None:
    path = root / "annotations" / TRAIN
    path.write_text(path.read_text()[:-100])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (cut, "instances_train2014.json is no JSON: .* Export it again"),
        (lambda root: (root / "annotations" / VAL).unlink(), "no .*instances_val2014.json: give --root"),
        (lambda root: (root / "val2014").rename(root / "val"), "no .*val2014: give --root"),
        (lambda root: (root / "train2014" / f"{EMPTY}.jpg").unlink(), f"extract train2014.zip again: {EMPTY}"),
        (partial(changed, file=TRAIN, change=lambda c: c["images"].append(c["images"][0])), "images listed twice"),
        (partial(changed, file=TRAIN, change=lambda c: c["categories"][-1].update(name="brush")), "90 toothbrush"),
        (partial(changed, file=VAL, change=lambda c: c["annotations"][0].update(category_id=12)), "annotation 0, 12"),
        (partial(changed, file=VAL, change=lambda c: c["annotations"][0].update(image_id=3)), "an image that is not"),
        (partial(changed, file=VAL, change=lambda c: c["annotations"][0].pop("segmentation")), "jpg has no outline"),
        (partial(changed, file=VAL, change=lambda c: c["annotations"][0].pop("image_id")), "lacks a field .*image_id"),
        (partial(changed, file=VAL, change=lambda c: c["images"][0].pop("height")), "without height and width"),
        (partial(changed, file=VAL, change=lambda c: c["images"][0].update(height="")), "has one of another kind"),
        (partial(changed, file=VAL, change=lambda c: c["images"][0].update(width=7)), "outlines that cannot be used"),
    ],
)
def test_what_is_wrong_is_said_before_an_image_is_written(spoil, said, spoilt, tmp_path):
    spoil(spoilt)
    with pytest.raises(DataError, match=said):
        coco2014.prepare(spoilt, tmp_path / "voc")
    assert not (tmp_path / "voc").exists()


def test_images_of_another_size_leave_no_folder_that_looks_whole_and_are_gone_on_with(spoilt, tmp_path):
    image = spoilt / "val2014" / f"COCO_val2014_{1000:012}.jpg"
    whole = image.read_bytes()
    Image.new("RGB", (9, 9)).save(image)
    with pytest.raises(DataError, match=r"of another size than annotated .*COCO_val2014_0+1000.jpg \(9, 9\)"):
        coco2014.prepare(spoilt, tmp_path / "voc")
    with pytest.raises(DataError, match="no split 'trainaug'"):
        VocDataset(tmp_path / "voc", "trainaug")
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "voc" / "SegmentationClass").iterdir()}
    image.write_bytes(whole)
    assert coco2014.prepare(spoilt, tmp_path / "voc").images["val"] == 6
    assert len(kept) == 17 and kept == {path: path.stat().st_mtime_ns for path in kept}
    assert not check_folder(tmp_path / "voc").problems


def test_folders_of_other_annotations_and_of_something_else_are_left_alone(spoilt, tmp_path):
    coco2014.prepare(spoilt, tmp_path / "voc")
    changed(spoilt, VAL, lambda content: content["annotations"].pop())
    (tmp_path / "diary").mkdir()
    (tmp_path / "diary" / "today.txt").write_text("sun")
    for output, said in (("voc", "made of other annotations"), ("diary", "something else"), ("official", "of its own")):
        with pytest.raises(DataError, match=said):
            coco2014.prepare(spoilt, tmp_path / output)


def test_the_command_says_what_is_left_out(source, tmp_path, capsys):
    where = ["--root", str(source[0]), "--output", str(tmp_path / "voc"), "--workers", "1"]
    assert cli.main(["data", "prepare", "coco2014", *where]) == 0
    printed = capsys.readouterr().out
    for said in (
        "trainaug 11, train 11, val 6 images, 80 classes, all with a mask",
        "1 images of train2014 without an object are left out of trainaug",
        "1 images of val2014 without an object count as background",
        "1 images show crowds alone",
        "trainaug has 11 images, 82081 in the whole COCO 2014",
        "--preset coco2014",
    ):
        assert said in printed
    assert cli.main(["data", "prepare", "coco2014", *where[:2]]) == 2
    assert "--output is the folder that `thesis data prepare animals or coco2014` makes" in capsys.readouterr().err
    assert cli.main(["data", "prepare", "coco2014", *where, "--download"]) == 2
    assert "https://cocodataset.org" in capsys.readouterr().err
