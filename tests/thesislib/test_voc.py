"""Folders in VOC layout: what is read, what is refused, and what stands for the data in artefact keys."""

import shutil

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps
from voc_folder import make_voc, write_annotation, write_indices, write_split

from companion.datasets.checks import check
from thesislib.data.pictures import read_size
from thesislib.data.voc import (
    VOC_CLASSES,
    DataError,
    VocDataset,
    colorize,
    counts_per_class,
    palette,
    read_image,
    read_mask,
    read_names,
    write_mask,
)

PRINTED_COLOURS = {  # the values that VOC's own files have
    0: (0, 0, 0),
    1: (128, 0, 0),
    2: (0, 128, 0),
    3: (128, 128, 0),
    4: (0, 0, 128),
    5: (128, 0, 128),
    6: (0, 128, 128),
    7: (128, 128, 128),
    8: (64, 0, 0),
    15: (192, 128, 128),
    20: (0, 64, 128),
    255: (224, 224, 192),
}


@pytest.fixture
def voc(tmp_path):
    return make_voc(tmp_path)


# ---- what is read


def test_classes_and_palette():
    assert len(VOC_CLASSES) == 20
    assert [VOC_CLASSES[i - 1] for i in (1, 11, 15, 20)] == ["aeroplane", "diningtable", "person", "tvmonitor"]
    colours = palette()
    assert {index: tuple(colours[index].tolist()) for index in PRINTED_COLOURS} == PRINTED_COLOURS
    for index, colour in enumerate(colours):
        bits = f"{index:08b}"[::-1]
        assert colour.tolist() == [int(bits[channel::3].ljust(8, "0"), 2) for channel in range(3)]


def test_any_folder_above_will_do(voc, tmp_path):
    datasets = [VocDataset(root, "train") for root in (voc, voc.parent, tmp_path, str(tmp_path))]
    assert {dataset.root for dataset in datasets} == {voc}


def test_images_masks_and_labels(voc):
    dataset = VocDataset(voc, "train")
    assert len(dataset) == 4
    assert dataset.classes == VOC_CLASSES
    assert dataset.image(0).shape == (24, 32, 3)
    assert dataset.size(0) == (24, 32)
    assert set(np.unique(dataset.mask(1))) == {0, 15, 255}
    assert dataset.image(0)[dataset.mask(0) == 1].mean() > dataset.image(0)[dataset.mask(0) == 0].mean() + 60
    assert dataset.labels.sum() == 4
    assert dataset.labels[0, 0] == dataset.labels[1, 14] == 1


def test_the_list_sets_the_order(voc):
    ids = ["2000_000003", "2000_000000"]
    write_split(voc, "some", ids)
    dataset = VocDataset(voc, "some")
    assert dataset.ids == tuple(ids)
    assert dataset.labels.argmax(axis=1).tolist() == [14, 0]


def test_labels_take_every_object_and_no_part(voc):
    (voc / "Annotations" / "2000_000000.xml").write_text(
        "<annotation><object><name>person</name><difficult>0</difficult>"
        "<part><name>head</name></part><part><name>hand</name></part></object>"
        "<object><name> dog </name><difficult>1</difficult><truncated>1</truncated></object>"
        "<object><name>dog</name></object><object><name/></object></annotation>"
    )
    row = VocDataset(voc, "train").labels[0]
    assert [VOC_CLASSES[c] for c in row.nonzero()[0]] == ["dog", "person"]
    assert row.max() == 1


def test_masks_are_indices_whatever_the_palette(tmp_path):
    mask = np.arange(256, dtype=np.uint8).reshape(16, 16)
    write_indices(tmp_path / "strange.png", mask)
    write_mask(tmp_path / "voc.png", mask)
    Image.fromarray(mask).save(tmp_path / "plain.png")
    for name in ("strange", "voc", "plain"):
        np.testing.assert_array_equal(read_mask(tmp_path / f"{name}.png"), mask)
    with Image.open(tmp_path / "voc.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.array(image.convert("RGB")), colorize(mask))


@pytest.mark.parametrize("mode", ["RGB", "1", "I;16", "LA"])
def test_masks_of_other_modes_are_refused(tmp_path, mode):
    Image.new(mode, (8, 8)).save(tmp_path / "mask.png")
    with pytest.raises(DataError, match=r"mask\.png.*mode.*palette indices"):
        read_mask(tmp_path / "mask.png")


def test_own_classes(tmp_path):
    dataset = VocDataset(make_voc(tmp_path, n=5, classes=("kite", "crab", "lamp")), "train")
    assert dataset.classes == ("kite", "crab", "lamp")
    assert dataset.labels.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]]
    check(dataset, full=True)


@pytest.mark.parametrize("text", ["_background_", "Background", "__ignore__", "BACKGROUND "])
def test_background_in_any_spelling_is_no_class(voc, text):
    """Lists of labelling tools begin so; every name would be one too far."""
    (voc / "classes.txt").write_text(f"{text}\nkite\n")
    with pytest.raises(DataError, match=rf"without background, one per line: delete '{text.strip()}'"):
        VocDataset(voc, "train")


@pytest.mark.parametrize("text", ["", "kite\nkite\n", "background\nkite\n", "\n".join(f"c{i}" for i in range(255))])
def test_wrong_class_files_are_refused(voc, text):
    (voc / "classes.txt").write_text(text)
    with pytest.raises(DataError, match=r"classes\.txt must list 1 to 254 different"):
        VocDataset(voc, "train")


def test_test_split_has_images_only(voc):
    dataset = VocDataset(voc, "test")
    assert dataset.image(0).shape == (24, 32, 3)
    check(dataset, labels=False, masks=False, full=True)
    with pytest.raises(DataError, match=r"cannot read mask .*test_0\.png.*use a split that has masks"):
        dataset.mask(0)
    with pytest.raises(DataError, match=r"no annotation .*test_0\.xml"):
        _ = dataset.labels


def test_other_image_suffixes(voc):
    source = voc / "JPEGImages" / "2000_000000.jpg"
    expected = VocDataset(voc, "train").image(0)
    Image.fromarray(expected).save(source.with_suffix(".png"))
    source.unlink()
    np.testing.assert_array_equal(VocDataset(voc, "train").image(0), expected)


@pytest.mark.parametrize("suffix", [".JPG", ".PNG", ".tif", ".bmp", ".Jpeg"])
def test_suffixes_in_any_case(voc, suffix):
    for sub in ("JPEGImages", "SegmentationClass"):
        for path in [*(voc / sub).iterdir()]:
            if sub == "SegmentationClass" and suffix.lower() in (".jpg", ".jpeg"):
                continue
            with Image.open(path) as image:
                image.load()
            path.unlink()
            image.save(path.with_suffix(suffix))
    check(VocDataset(voc, "train"), full=True)
    assert VocDataset(voc, "train").image_path(0).suffix == suffix


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_the_right_way_up(voc, orientation):
    """As a viewer shows them: PIL's own reading of EXIF is the reference."""
    path, exif = voc / "JPEGImages" / "2000_000000.jpg", Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    with Image.open(path) as image:
        image.save(path, exif=exif, quality=95)
    with Image.open(path) as image:
        expected = np.array(ImageOps.exif_transpose(image))
    dataset = VocDataset(voc, "train")
    np.testing.assert_array_equal(dataset.image(0), expected)
    assert dataset.size(0) == expected.shape[:2]
    if orientation >= 5:
        with pytest.raises(DataError, match=r"2000_000000\.png \(24, 32\) for \(32, 24\), turned as its EXIF says"):
            check(dataset, full=True)


def test_a_turned_tiff(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(np.arange(72, dtype=np.uint8).reshape(4, 6, 3)).save(tmp_path / "a.tif", exif=exif)
    assert read_size(tmp_path / "a.tif") == read_image(tmp_path / "a.tif").shape[:2] == (6, 4)


def test_16_bits_keep_their_levels(tmp_path):
    ramp = np.linspace(0, 65_535, 64).astype(np.uint16)[None]
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    levels = read_image(tmp_path / "ramp.png")[0, :, 0]
    np.testing.assert_array_equal(levels, np.round(np.linspace(0, 255, 64)))
    Image.fromarray(ramp.astype(np.float32)).save(tmp_path / "ramp.tif")
    with pytest.raises(DataError, match=r"ramp\.tif has 32-bit values; expected 8 or 16 bits"):
        read_image(tmp_path / "ramp.tif")


@pytest.mark.parametrize("encoding", ["gbk", "cp949", "shift_jis", "utf-16", "latin-1"])
def test_annotations_in_any_encoding_of_python(voc, encoding):
    path = voc / "Annotations" / "2000_000000.xml"
    comment = {"latin-1": "é"}.get(encoding, "\u4e00")
    text = f'<?xml version="1.0" encoding="{encoding}"?><a><object><name>dog</name></object><x>{comment}</x></a>'
    path.write_bytes(text.encode(encoding))
    assert read_names(path) == ["dog"]


def test_unknown_encodings_are_named_with_their_file(voc):
    path = voc / "Annotations" / "2000_000000.xml"
    path.write_text('<?xml version="1.0" encoding="klingon-8"?><a/>')
    with pytest.raises(DataError, match=r"2000_000000\.xml: unknown encoding: klingon-8\. Store it in UTF-8"):
        read_names(path)
    (voc / "Annotations" / "2000_000001.xml").write_text("<a>")
    with pytest.raises(DataError, match="2 unreadable annotation"):
        check(VocDataset(voc, "train"))


def test_cache_reads_once_and_cannot_be_spoiled(voc):
    dataset = VocDataset(voc, "train", cache=True)
    image, mask = dataset.image(0), dataset.mask(0)
    before = image.copy(), mask.copy()
    shutil.rmtree(voc / "JPEGImages")
    image[:], mask[:] = 0, 0
    np.testing.assert_array_equal(dataset.image(0), before[0])
    np.testing.assert_array_equal(dataset.mask(0), before[1])


def test_parts_and_subtypes_of_generated_data(voc):
    plain = VocDataset(voc, "train")
    assert plain.parts(0) is None
    assert plain.subtypes is None
    (voc / "Parts").mkdir()
    write_mask(voc / "Parts" / "2000_000001.png", np.full((24, 32), 2, np.uint8))
    (voc / "subtypes.csv").write_text(
        "image_id,class_name,subtype\n2000_000001,person,3\n2000_000001,person,1\n2000_000000,aeroplane,0\n"
        "9999_000000,person,2\n2000_000002,unknown,2\n"
    )
    dataset = VocDataset(voc, "train")
    assert (dataset.parts(1) == 2).all()
    assert dataset.subtypes[1, 14] == 3
    assert dataset.subtypes[0, 0] == 0
    assert (dataset.subtypes >= 0).sum() == 2


def test_counts_per_class(voc):
    write_annotation(voc, "2000_000000", ["aeroplane", "person", "person"])
    counts = counts_per_class(VocDataset(voc, "train"))
    assert counts.images[[0, 14]].tolist() == [2, 3]
    assert counts.together[0, 14] == counts.together[14, 0] == 1
    np.testing.assert_array_equal(counts.together.diagonal(), counts.images)


# ---- what is refused before any work starts


def test_missing_and_wrong_folders(voc, tmp_path):
    with pytest.raises(DataError, match=r"no data folder at .*nowhere.*give the folder that holds VOCdevkit"):
        VocDataset(tmp_path / "nowhere", "train")
    with pytest.raises(DataError, match=r"JPEGImages, Annotations, ImageSets/Segmentation.*found 2000_0.*Extract"):
        VocDataset(voc / "Annotations", "train")
    shutil.rmtree(voc / "Annotations")
    with pytest.raises(DataError, match=r"VOC2012 lacks Annotations\. Expected"):
        VocDataset(tmp_path, "train")


def test_missing_split_names_those_there_are(voc):
    with pytest.raises(DataError, match=r"no split 'trian'.*trian\.txt is missing.*: test, train, val"):
        VocDataset(voc, "trian")
    with pytest.raises(DataError, match=r"trainaug.*made from VOC and SBD"):
        VocDataset(voc, "trainaug")


@pytest.mark.parametrize("name", ["elsewhere/2000_000000.jpg", "2000_000000 two words", "..\\2000_000000"])
def test_lists_of_paths_are_refused(voc, name):
    write_split(voc, "odd", ["2000_000001", name])
    with pytest.raises(DataError, match=r"odd\.txt must have one image name per line"):
        VocDataset(voc, "odd")


@pytest.mark.parametrize(
    "line",
    [
        "2000_000001.jpg",
        "2000_000001.JPG",
        "2000_000001 -1",
        "2000_000001  1",
        "2000_000001  0",
        "2000_000001,1",
        "JPEGImages/2000_000001.jpg",
        "/JPEGImages/2000_000001.jpg /SegmentationClassAug/2000_000001.png",
    ],
)
def test_lists_as_voc_and_irn_and_other_tools_write_them(voc, line):
    write_split(voc, "odd", ["2000_000000", line])
    assert VocDataset(voc, "odd").ids == ("2000_000000", "2000_000001")


def test_empty_split(voc):
    write_split(voc, "empty", ["  "])
    with pytest.raises(DataError, match=r"empty\.txt lists no image"):
        VocDataset(voc, "empty")


def test_binary_list(voc):
    (voc / "ImageSets" / "Segmentation" / "binary.txt").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(DataError, match=r"cannot read .*binary\.txt"):
        VocDataset(voc, "binary")
