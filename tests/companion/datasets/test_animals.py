"""The cut of preset `animals`: which images, sizes, classes of masks and labels, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from voc_folder import write_annotation, write_indices, write_split

from companion.cli import main as cli
from companion.datasets import animals
from companion.datasets.checks import check
from thesislib.data.voc import VOC_CLASSES, DataError, VocDataset

SHOWN = {
    "a": ["dog", "person", "head"],
    "b": ["car", "cat"],
    "c": ["person", "sofa"],
    "d": ["sheep"],
    "e": ["aeroplane"],
    "f": ["horse", "bicycle"],
    "g": ["cow"],
}
LISTS = {"trainaug": list("abcdg"), "train": list("abc"), "val": list("ef")}
SIZES = {"a": (375, 500), "b": (500, 333)}  # height, width; the others are small


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """A folder in VOC's layout whose images show what `SHOWN` says, in stripes of a few pixels."""
    root = tmp_path / "voc" / "VOCdevkit" / "VOC2012"
    for sub in ("JPEGImages", "Annotations", "SegmentationClass", "SegmentationClassAug", "ImageSets/Segmentation"):
        (root / sub).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, shown in SHOWN.items():
        height, width = SIZES.get(name, (40, 60))
        Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(root / "JPEGImages" / f"{name}.jpg")
        mask = np.full((height, width), 255, np.uint8)
        for i, kind in enumerate(each for each in shown if each in VOC_CLASSES):
            mask[8 * i : 8 * i + 8] = VOC_CLASSES.index(kind) + 1
        mask[-8:] = 0
        own = name in LISTS["train"] + LISTS["val"]
        write_indices(root / ("SegmentationClass" if own else "SegmentationClassAug") / f"{name}.png", mask)
        write_annotation(root, name, shown, difficult=1)
    for split, names in LISTS.items():
        write_split(root, split, names)
    return tmp_path / "voc"


def test_images_with_one_of_the_animals_keep_their_split(voc, tmp_path):
    done = animals.cut(voc, tmp_path / "cut")
    assert done.images == {"trainaug": 4, "train": 2, "val": 1} and done.masks == 5
    assert {split: list(VocDataset(tmp_path / "cut", split).ids) for split in LISTS} == {
        "trainaug": ["a", "b", "d", "g"],
        "train": ["a", "b"],
        "val": ["f"],
    }
    for split in LISTS:
        check(VocDataset(tmp_path / "cut", split), masks=split != "trainaug", full=True)


def test_classes_are_the_animals_and_person(voc, tmp_path):
    animals.cut(voc, tmp_path / "cut")
    images = VocDataset(tmp_path / "cut", "trainaug")
    assert images.classes == ("cat", "cow", "dog", "horse", "person", "sheep") == animals.CLASSES
    assert images.labels.tolist() == [[0, 0, 1, 0, 1, 0], [1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1], [0, 1, 0, 0, 0, 0]]
    assert "head" not in images.annotation_path(0).read_text()


def test_masks_hold_six_classes_and_other_classes_are_background(voc, tmp_path):
    animals.cut(voc, tmp_path / "cut")
    images = VocDataset(tmp_path / "cut", "train")
    assert np.unique(images.mask(0)).tolist() == [0, 3, 5, 255]
    cat = images.mask(1)
    assert np.unique(cat).tolist() == [0, 1, 255] and cat[0, 0] == 0 and cat[6, 0] == 1  # car, cat
    augmented = tmp_path / "cut" / "SegmentationClassAug"
    assert sorted(path.name for path in augmented.iterdir()) == ["d.png", "g.png"]


def test_images_are_shrunk_to_256_pixels_and_never_enlarged(voc, tmp_path):
    animals.cut(voc, tmp_path / "cut")
    images = VocDataset(tmp_path / "cut", "trainaug")
    assert [images.size(i) for i in range(4)] == [(192, 256), (256, 170), (40, 60), (40, 60)]
    original = Image.open(voc / "VOCdevkit/VOC2012/JPEGImages/a.jpg").convert("RGB")
    expected = np.asarray(original.resize((256, 192), Image.Resampling.LANCZOS), int)
    assert np.abs(images.image(0).astype(int) - expected).mean() < 8  # JPEG's own loss on noise


def test_a_second_run_writes_nothing_new(voc, tmp_path):
    first = animals.cut(voc, tmp_path / "cut")
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "cut" / "JPEGImages").iterdir()}
    assert animals.cut(voc, tmp_path / "cut") == first
    assert written == {path: path.stat().st_mtime_ns for path in written}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda root, output: write_split(root, "val", ["c", "e"]), "none of the 2 images in list val .* shows a cat"),
        (lambda root, output: (root / "Annotations" / "d.xml").unlink(), "no annotation .*d.xml"),
        (lambda root, output: (root / "JPEGImages" / "d.jpg").unlink(), "d.jpg"),
        (lambda root, output: (root / "classes.txt").write_text("cat\n"), "has a classes.txt, so it is not VOC"),
        (lambda root, output: (root / "ImageSets/Segmentation/trainaug.txt").unlink(), "trainaug"),
        (lambda root, output: (output / "other").mkdir(parents=True), "holds something else"),
    ],
)
def test_what_cannot_be_cut_is_said(voc, tmp_path, spoil, said):
    spoil(voc / "VOCdevkit" / "VOC2012", tmp_path / "cut")
    with pytest.raises(DataError, match=said):
        animals.cut(voc, tmp_path / "cut")
    assert not (tmp_path / "cut" / "ImageSets" / "Segmentation" / "train.txt").exists()


def test_command_says_how_many_images_it_found(voc, tmp_path, capsys):
    where = ["--root", str(voc), "--output", str(tmp_path / "cut"), "--workers", "1"]
    assert cli.main(["data", "prepare", "animals", *where]) == 0
    printed = capsys.readouterr().out
    assert "trainaug 4, train 2, val 1; 5 with a mask" in printed
    assert "note: train has 2 images, 439 in the whole VOC 2012" in printed


@pytest.mark.parametrize("arguments", [["animals"], ["voc2012", "--output", "x"]])
def test_output_belongs_to_the_animals(voc, arguments, capsys):
    assert cli.main(["data", "prepare", *arguments, "--root", str(voc)]) != 0
    assert "--output is the folder that" in capsys.readouterr().err


def test_the_whole_voc_has_no_differences():
    assert animals.differences(dict(animals.EXPECTED)) == []
