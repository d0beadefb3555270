"""Generated data: reproducible, in VOC layout, and consistent between annotations, masks, parts and sub-types."""

import hashlib
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from companion.datasets.checks import check
from companion.datasets.demo.generator import contexts, demo_scene, truth, write_demo
from companion.datasets.demo.grounds import CONTEXTS
from companion.datasets.demo.pretext import VOCABULARY, pretext_images
from companion.datasets.demo.scenes import BODY, CLASSES, FAMILIES, FORMS, HEAD, KINDS, THIN
from companion.settings import DataSettings, SettingsError, load
from thesislib.data.voc import IGNORE, VocDataset, palette

DATA = DataSettings(source="generated", image_size=64, trainaug=48, train=16, val=16, test=4, data_seed=5)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    root = tmp_path_factory.mktemp("demo") / "data"
    write_demo(root, DATA, progress=False)
    return root


def digests(root):
    files = [path for path in root.rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def scenes(count=48, split="trainaug"):
    return [demo_scene(split, i, DATA) for i in range(count)]


# ---- reproducible


def test_same_settings_same_bytes(demo, tmp_path):
    write_demo(tmp_path, DATA, progress=False)
    assert digests(tmp_path) == digests(demo)


def test_an_image_does_not_depend_on_the_counts(demo, tmp_path):
    write_demo(
        tmp_path, DataSettings(source="generated", trainaug=9, train=2, val=3, test=0, data_seed=5), progress=False
    )
    few, many = digests(tmp_path), digests(demo)
    pictures = [name for name in few if name.endswith((".jpg", ".png", ".xml"))]
    assert len(pictures) == 12 * 4
    assert all(few[name] == many[name] for name in pictures)


def test_seed_split_and_number_each_make_another_image():
    other = DATA.model_copy(update={"data_seed": 6})
    images = [demo_scene("trainaug", 0, DATA), demo_scene("val", 0, DATA), demo_scene("trainaug", len(CLASSES), DATA)]
    images.append(demo_scene("trainaug", 0, other))
    assert len({scene.image.tobytes() for scene in images}) == 4


# ---- VOC layout


def test_splits(demo):
    trainaug, train, val, test = (VocDataset(demo, split) for split in ("trainaug", "train", "val", "test"))
    assert [len(split) for split in (trainaug, train, val, test)] == [48, 16, 16, 4]
    assert train.ids == trainaug.ids[:16]
    assert not set(val.ids) & set(trainaug.ids) and not set(test.ids) & set(trainaug.ids + val.ids)
    assert trainaug.classes == CLASSES and len(CLASSES) == 6
    for split in (trainaug, train, val):
        check(split)
    assert not any(test.mask_path(i).exists() for i in range(len(test)))
    assert test.labels.any(axis=1).all()


@pytest.mark.parametrize("split", ["trainaug", "val"])
def test_labels_and_subtypes_agree_with_the_masks(demo, split):
    dataset = VocDataset(demo, split)
    for i, labels in enumerate(dataset.labels):
        present = set(np.unique(dataset.mask(i))) - {0, IGNORE}
        assert present == set(np.flatnonzero(labels) + 1)
        np.testing.assert_array_equal(dataset.subtypes[i] >= 0, labels == 1)
    assert dataset.subtypes.max() < len(FORMS)


def test_every_class_has_images_of_its_own(demo):
    for split, least in (("trainaug", 6), ("train", 2), ("val", 2)):
        assert VocDataset(demo, split).labels.sum(0).min() >= least


def test_boxes_and_size(demo):
    for i, scene in enumerate(scenes(16)):
        tree = ElementTree.parse(demo / "Annotations" / f"trainaug_{i:05d}.xml").getroot()
        assert tree.findtext("filename") == f"trainaug_{i:05d}.jpg"
        assert [tree.findtext(f"size/{tag}") for tag in ("width", "height", "depth")] == ["64", "64", "3"]
        for number, item in enumerate(tree.findall("object"), start=1):
            left, top, right, bottom = (int(item.findtext(f"bndbox/{tag}")) for tag in ("xmin", "ymin", "xmax", "ymax"))
            inside = scene.instances == number
            assert not np.delete(inside, np.s_[left - 1 : right], axis=1).any()
            assert not np.delete(inside, np.s_[top - 1 : bottom], axis=0).any()
            assert all(edge.any() for edge in (inside[top - 1], inside[bottom - 1]))
            assert all(edge.any() for edge in (inside[:, left - 1], inside[:, right - 1]))


def test_file_formats(demo):
    with Image.open(demo / "JPEGImages" / "val_00000.jpg") as picture:
        assert picture.size == (64, 64) and picture.mode == "RGB"
        assert [part[1:3] for part in picture.layer] == [(1, 1)] * 3  # no chroma subsampling
    for folder in ("SegmentationClass", "Parts"):
        with Image.open(demo / folder / "val_00000.png") as mask:
            assert mask.mode == "P"
            assert mask.getpalette() == palette().ravel().tolist()


# ---- masks


def test_parts_lie_inside_the_objects(demo):
    dataset = VocDataset(demo, "trainaug")
    for i in range(len(dataset)):
        mask, parts = dataset.mask(i), dataset.parts(i)
        assert set(np.unique(parts)) <= {0, HEAD, BODY, THIN}
        np.testing.assert_array_equal(parts > 0, (mask > 0) & (mask != IGNORE))


def test_outline_is_one_pixel_wide_and_takes_nothing_from_the_object_in_front():
    for scene in scenes(16):
        mask = truth(scene)
        size = len(mask)
        for row, column in np.ndindex(size, size):
            near = [(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)]
            depths = [scene.instances[at] for at in near if min(at) >= 0 and max(at) < size]
            assert (mask[row, column] == IGNORE) == (max(depths) > scene.instances[row, column])
        front = scene.instances == scene.instances.max()
        assert not (mask[front] == IGNORE).any()


def test_every_object_shows_its_head_and_enough_of_itself():
    # the classifier is told of an object, so there must be something to see
    for scene in (demo_scene("val", i, DATA) for i in range(120)):
        for number, thing in enumerate(scene.things, start=1):
            parts = scene.parts[scene.instances == number]
            assert thing.visible > 0.25 and (parts == BODY).any()


def test_what_the_scenes_contain():
    many = scenes(240)
    count = np.array([len(scene.things) for scene in many])
    assert np.abs(np.bincount(count, minlength=4)[1:] / 240 - [0.65, 0.30, 0.05]).max() < 0.08
    covered = np.mean([scene.instances > 0 for scene in many])
    parts = np.bincount(np.concatenate([scene.parts[scene.instances > 0] for scene in many]))
    assert 0.15 < covered < 0.3
    assert 0.12 < parts[HEAD] / parts.sum() < 0.25
    assert 0.04 < parts[THIN] / parts.sum() < 0.10
    companions = {kind.name: kind.companion for kind in KINDS}
    assert all(companions[companions[name]] == name for name in CLASSES)
    assert {kind.family for kind in KINDS} == set(FAMILIES) and len(CONTEXTS) == 4


# ---- pretext task


def hue(colours):
    """Colours without their brightness."""
    return np.asarray(colours) / np.sum(colours, axis=-1, keepdims=True)


def test_the_ground_that_is_told_is_the_one_that_is_drawn():
    data = DataSettings(source="generated", trainaug=32, train=8, val=1)
    told, near = contexts("trainaug", data), hue([np.add(context.near, context.second) for context in CONTEXTS])
    seen = []
    for i in range(32):
        scene = demo_scene("trainaug", i, data)
        ground = scene.image[-12:][scene.instances[-12:] == 0]
        seen.append(np.linalg.norm(hue(np.median(ground, axis=0)) - near, axis=1).argmin())
    assert np.mean(told == seen) > 0.9 and len(set(told)) == len(near)


def test_pretext_images_are_balanced_and_reproducible():
    images, targets = pretext_images(80, seed=3, size=32)
    assert images.shape == (80, 32, 32, 3) and images.dtype == np.uint8 and targets.shape == (80, 3)
    for column, names in zip(targets.T, VOCABULARY, strict=True):
        np.testing.assert_array_equal(np.bincount(column), [80 // len(names)] * len(names))
    again, same_targets = pretext_images(80, seed=3, size=32)
    assert (again == images).all() and (same_targets == targets).all()
    assert not (pretext_images(80, seed=4, size=32)[0] == images).all()


# ---- bad input


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"image_size": 8}, r"data\.image_size = 8: .*greater than or equal to 32"),
        ({"train": 400}, r"train \(400\) must not exceed trainaug \(160\)"),
        ({"val": 0}, "val must be at least 1 image, got 0"),
        ({"trainaug": 0, "train": 0}, "trainaug must be at least 1 image, got 0"),
        ({"data_seed": -1}, r"data\.data_seed = -1: .*greater than or equal to 0"),
    ],
)
def test_impossible_settings(wrong, message):
    with pytest.raises(SettingsError, match=message):
        load("demo", {f"data.{name}": value for name, value in wrong.items()})


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(ValueError, match="new or empty folder"):
        write_demo(tmp_path, DATA, progress=False)
