"""What stands between a folder and `--data-root`: the message has the command that helps, and the command helps."""

import shlex
from pathlib import Path

import numpy as np
import pytest
from own_files import CLASSES, SHOWN, SOURCES, csv_lists, write_images, write_truth, yolo
from PIL import Image
from voc_folder import make_voc, write_split

from companion.cli import main as cli
from companion.datasets import layout, own
from companion.datasets.layout import find_layout
from companion.experiments.parameters import existing_folder
from thesislib.data.voc import DataError, VocDataset, colorize, read_ids, read_mask


def command_in(error: pytest.ExceptionInfo[DataError]) -> list[str]:
    """The command that a message gives, without `thesis`."""
    text = next(part for part in str(error.value).split("`") if part.startswith("thesis "))
    return [*shlex.split(text)[1:], "--workers", "1"]


def with_masks(folder: Path) -> None:
    write_truth(write_images(folder / "images").with_name("masks"), "bc")
    csv_lists(folder)


def parts_of_yolo(folder: Path) -> None:
    """As YOLO has train and val: two folders of images, two of texts."""
    yolo(folder)
    write_images(folder / "images", [f"{'train' if name in 'ab' else 'val'}/{name}.jpg" for name in SHOWN])
    for name in SHOWN:
        (folder / "labels" / "val").mkdir(exist_ok=True)
        (folder / "labels" / f"{name}.txt").rename(folder / "labels" / "val" / f"{name}.txt")


FORMS = {
    **{
        source.__name__: lambda folder, source=source: (write_images(folder / "photos"), source(folder))
        for source in SOURCES
    },
    "masks": with_masks,
    "parts of YOLO": parts_of_yolo,
    "beside the table": lambda folder: (write_images(folder), csv_lists(folder)),
    "class folders": lambda folder: write_images(folder, ["cat/a.jpg", "cat/c.jpg", "dog/b.jpg", "dog/d.jpg"]),
    "train of class folders": lambda folder: write_images(
        folder, [f"train/{k}/{n}.jpg" for n, (*_, k) in SHOWN.items()]
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_labels_of_another_form_are_brought_into_the_layout_by_the_command_of_the_message(form, tmp_path, capsys):
    folder = tmp_path / "my photos"
    FORMS[form](folder)
    with pytest.raises(DataError, match="is not in VOC layout") as error:
        existing_folder(folder)
    assert cli.main(command_in(error)) == 0, capsys.readouterr().err
    found = VocDataset(find_layout(tmp_path / "my photos_prepared"), "trainaug")
    assert found.classes == tuple(CLASSES) and len(found) == len(SHOWN)
    assert VocDataset(found.root, "val").has_mask(0) == (form == "masks")


def test_what_has_no_labels_or_too_much_gets_the_form_of_the_command(tmp_path, monkeypatch):
    write_images(tmp_path / "images")
    with_masks(tmp_path / "home" / "photos")
    monkeypatch.setattr(layout, "MOST_FILES", 9)
    for root in (tmp_path / "images", tmp_path / "home"):
        with pytest.raises(DataError, match="`thesis data prepare own --images DIR --labels PATH --output DIR` makes"):
            find_layout(root)


@pytest.fixture
def foldered(tmp_path: Path) -> Path:
    """A folder in VOC layout whose ids have folders, and lists in the formats of VOC, SBD and irn."""
    root = make_voc(tmp_path, classes=("kite", "crab"))
    for sub, suffix in (("JPEGImages", "jpg"), ("Annotations", "xml"), ("SegmentationClass", "png")):
        for i, place in enumerate(("sea", "sea", "sky", "sky")):
            (root / sub / place).mkdir(exist_ok=True)
            name = root / sub / f"2000_{i:06d}.{suffix}"
            name.rename(root / sub / place / f"{i % 2}.{suffix}")
    (root / "JPEGImages" / "sky" / "1.jpg").rename(root / "JPEGImages" / "sky" / "1.JPG")
    write_split(root, "trainaug", ["sea/0", "sea/1", "sky/0 -1", "sky/1.JPG  1"])
    write_split(root, "train", [f"/JPEGImages/sea/{i}.jpg /SegmentationClass/sea/{i}.png" for i in (0, 1)])
    write_split(root, "val", ["sky/0", "sky/1"])
    return root


def test_ids_with_folders_get_names_without_and_splits_stay(foldered, tmp_path, capsys):
    before = [read_mask(foldered / "SegmentationClass" / f"{name}.png") for name in ("sky/0", "sky/1")]
    with pytest.raises(DataError, match=r"without folder; got sea/0.*gives every image a name without folder") as error:
        find_layout(foldered)
    assert cli.main(command_in(error)) == 0
    assert "trainaug 4, train 2, val 2, test 1 images, all sound" in capsys.readouterr().out
    made = foldered.with_name("VOC2012_prepared")
    assert read_ids(made, "train") == ("sea__0", "sea__1")
    val = VocDataset(made, "val")
    assert (
        val.ids == ("sky__0", "sky__1") and val.classes == ("kite", "crab") and val.labels.tolist() == [[1, 0], [0, 1]]
    )
    for i, mask in enumerate(before):
        np.testing.assert_array_equal(val.mask(i), mask)
    assert own.read_images(made)["sky__1"] == "sky/1"
    assert cli.main(command_in(error)) == 2
    assert "holds something else" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../2000_000000", "/etc/passwd", "sea//0", "sea\\0"])
def test_ids_that_leave_their_folder_are_refused(foldered, name):
    write_split(foldered, "val", [name])
    with pytest.raises(DataError, match=r"val\.txt must have one image name per line"):
        read_ids(foldered, "val", folders=True)


def test_masks_of_colours_become_indices(tmp_path, capsys):
    root = make_voc(tmp_path, classes=("kite", "crab"))
    write_split(root, "trainaug", read_ids(root, "train"))
    paths = sorted((root / "SegmentationClass").iterdir())
    masks = [read_mask(path) for path in paths]
    for path, mask in zip(paths, masks, strict=True):
        Image.fromarray(colorize(mask)).save(path)
    assert cli.main(["data", "check", "--root", str(root), "--workers", "1"]) == 1
    shown = capsys.readouterr().out
    assert "4 mask of colours, not of indices: `thesis data prepare own --root" in shown and paths[0].name in shown
    prepare = ["data", "prepare", "own", "--root", str(root), "--workers", "1", "--output"]
    assert cli.main([*prepare, str(tmp_path / "voc")]) == 0
    np.testing.assert_array_equal([VocDataset(tmp_path / "voc", "val").mask(i) for i in range(4)], masks)

    colours = np.array([[0, 0, 0], [9, 8, 7], [250, 50, 83]], np.uint8)
    Image.fromarray(colours[np.where(masks[0] == 255, 0, masks[0]) + (masks[0] == 1)]).save(paths[0])
    assert cli.main([*prepare, str(tmp_path / "odd")]) == 2
    said = capsys.readouterr().err
    assert f"{paths[0]} has (250, 50, 83) in {(masks[0] == 1).sum()} pixels, which is no class by VOC's palette" in said
    assert not (tmp_path / "odd").exists()
    for path, mask in zip(paths, masks, strict=True):
        Image.fromarray(colours[np.where(mask == 255, 0, mask)]).save(path)
    table = root / "SegmentationClass" / "colours.csv"
    table.write_text("background,0,0,0\ncrab,250,50,83\nkite,9,8,7\n")
    assert cli.main([*prepare, str(tmp_path / "odd")]) == 0
    np.testing.assert_array_equal(VocDataset(tmp_path / "odd", "val").mask(1), np.where(masks[1] == 255, 0, masks[1]))
