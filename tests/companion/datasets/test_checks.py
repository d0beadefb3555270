"""Every kind of damaged data is found and reported in one error, and the fingerprint follows the data."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image
from voc_folder import make_voc, write_annotation, write_indices, write_split

from companion.datasets.checks import check
from companion.datasets.fingerprints import fingerprint, masks_fingerprint
from thesislib.data.voc import DataError, VocDataset


@pytest.fixture
def voc(tmp_path):
    return make_voc(tmp_path)


def problems_of(root, split="train", **options):
    with pytest.raises(DataError) as caught:
        check(VocDataset(root, split), **options)
    return str(caught.value)


def test_sound_data_pass(voc):
    for split in ("train", "val"):
        check(VocDataset(voc, split))
        check(VocDataset(voc, split), full=True, progress=True)


def test_missing_ids_are_counted_and_the_first_few_named(voc):
    write_split(voc, "train", [f"lost_{i}" for i in range(12)])
    message = problems_of(voc)
    assert "(36 in all)" in message
    for folder in ("JPEGImages", "Annotations", "SegmentationClass"):
        assert f"12 missing in {folder}: copy" in message
    assert "lost_0; lost_1; lost_2; lost_3; lost_4; and 7 more" in message
    assert "lost_5" not in message


def test_files_with_another_suffix_or_case_are_named(voc):
    (voc / "JPEGImages" / "2000_000000.jpg").rename(voc / "JPEGImages" / "2000_000000.heic")
    (voc / "SegmentationClass" / "2000_000001.png").rename(voc / "SegmentationClass" / "2000_000001.jpg")
    message = problems_of(voc)
    assert "take its name out of the list: 2000_000000 (found 2000_000000.heic)" in message
    assert "use a split that has masks: 2000_000001 (found 2000_000001.jpg)" in message


def test_masks_may_be_missing_where_no_truth_is_needed(voc):
    (voc / "SegmentationClass" / "2000_000002.png").unlink()
    assert "1 missing in SegmentationClass" in problems_of(voc)
    check(VocDataset(voc, "train"), masks=False, full=True)


def test_repeated_ids(voc):
    write_split(voc, "train", ["2000_000000", "2000_000001", "2000_000000"])
    assert "1 listed more than once in the split: remove the repetition: 2000_000000" in problems_of(voc)


@pytest.mark.parametrize(
    "text",
    [
        "<annotation><object>",
        "",
        '<!DOCTYPE a [<!ENTITY b "cc"><!ENTITY d "&b;&b;">]><a><name>&d;</name></a>',
    ],
)
def test_malformed_annotations(voc, text):
    path = voc / "Annotations" / "2000_000001.xml"
    path.write_text(text)
    assert f"1 unreadable annotation: cannot read annotation {path}" in problems_of(voc)
    with pytest.raises(DataError, match=r"2000_000001\.xml.*Expected a VOC annotation in XML"):
        _ = VocDataset(voc, "train").labels


def test_annotation_without_a_known_class(voc):
    write_annotation(voc, "2000_000001", ["spaceship", "head"])
    write_annotation(voc, "2000_000002", [])
    message = problems_of(voc)
    assert "2 annotated without a known class (aeroplane, bicycle, bird, ...;" in message
    assert "classes.txt" in message
    assert "2000_000001.xml has head, spaceship; 2000_000002.xml has no <name>" in message
    check(VocDataset(voc, "train"), labels=False, full=True)


@pytest.mark.parametrize("folder", ["JPEGImages", "SegmentationClass"])
@pytest.mark.parametrize("damage", ["truncated", "empty", "text"])
def test_damaged_files_are_found_by_the_full_check(voc, folder, damage):
    path = next((voc / folder).glob("2000_000001.*"))
    content = path.read_bytes()
    path.write_bytes({"truncated": content[: len(content) * 2 // 3], "empty": b"", "text": b"not an image"}[damage])
    check(VocDataset(voc, "train"))
    assert f"{path}" in problems_of(voc, full=True)
    dataset = VocDataset(voc, "train")
    with pytest.raises(DataError, match=path.name):
        dataset.image(1) if folder == "JPEGImages" else dataset.mask(1)


def test_mask_of_another_size(voc):
    write_indices(voc / "SegmentationClass" / "2000_000001.png", np.zeros((32, 24), np.uint8))
    assert "2000_000001.png (32, 24) for (24, 32)" in problems_of(voc, full=True)


def test_mask_values_out_of_range(voc):
    mask = np.zeros((24, 32), np.uint8)
    mask[0, :3] = 20, 21, 254
    write_indices(voc / "SegmentationClass" / "2000_000001.png", mask)
    message = problems_of(voc, full=True)
    assert "1 mask values other than 0..20 and 255: store class indices: 2000_000001.png has 21, 254" in message


def test_everything_comes_in_one_error(voc):
    write_split(voc, "train", [f"2000_{i:06d}" for i in range(5)])
    (voc / "Annotations" / "2000_000000.xml").write_text("<")
    (voc / "JPEGImages" / "2000_000001.jpg").write_bytes(b"")
    Image.new("RGB", (32, 24)).save(voc / "SegmentationClass" / "2000_000001.png")
    write_indices(voc / "SegmentationClass" / "2000_000002.png", np.full((5, 5), 77, np.uint8))
    message = problems_of(voc, full=True)
    assert "(8 in all)" in message
    for words in (
        "missing in JPEGImages",
        "unreadable annotation",
        "1 unreadable:",
        "1 mask of colours",
        "another size",
        "has 77",
    ):
        assert words in message


# ---- fingerprint


def test_fingerprint_does_not_depend_on_the_place(voc, tmp_path):
    shutil.copytree(voc, tmp_path / "elsewhere" / "VOC2012")
    assert fingerprint(voc, ["train", "val"]) == fingerprint(tmp_path / "elsewhere", ["train", "val"])
    assert len(fingerprint(voc, ["train"])) == 16
    assert fingerprint(voc, ["train"]) != fingerprint(voc, ["train", "val"])


@pytest.mark.parametrize("change", ["annotation", "mask", "image", "ids", "classes", "subtypes"])
def test_fingerprint_changes_with_the_data(voc, change):
    before = fingerprint(voc, ["train"])
    if change == "annotation":
        write_annotation(voc, "2000_000000", ["bicycle"])
    elif change == "mask":
        (voc / "SegmentationClass" / "2000_000000.png").unlink()
    elif change == "image":
        (voc / "JPEGImages" / "2000_000000.jpg").write_bytes(b"x")
    elif change == "ids":
        write_split(voc, "train", ["2000_000001", "2000_000000", "2000_000002", "2000_000003"])
    elif change == "classes":
        (voc / "classes.txt").write_text("person\naeroplane\n")
    else:
        (voc / "subtypes.csv").write_text("image_id,class_name,subtype\n")
    assert fingerprint(voc, ["train"]) != before


def test_fingerprint_sees_a_mask_corrected_to_the_same_length(voc):
    path, lengths, found = voc / "SegmentationClass" / "2000_000000.png", set(), set()
    for value in (1, 2):
        write_indices(path, np.full((24, 32), value, np.uint8))
        os.utime(path, ns=(value, value))  # a second write within the clock of the file system would not be seen
        lengths.add(path.stat().st_size)
        found.add(fingerprint(voc, ["train"]))
    assert len(lengths) == 1 and len(found) == 2


def test_masks_for_full_supervision_have_a_fingerprint_of_their_own(voc):
    assert masks_fingerprint(VocDataset(voc, "train")) == ""
    before = fingerprint(voc, ["train"])
    (voc / "SegmentationClassAug").mkdir()
    write_indices(voc / "SegmentationClassAug" / "2000_000000.png", np.ones((24, 32), np.uint8))
    assert masks_fingerprint(VocDataset(voc, "train")) != ""
    assert fingerprint(voc, ["train"]) == before
