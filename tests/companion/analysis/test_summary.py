"""Summaries of a data set against counts in loops, on a tiny folder and on generated images."""

import numpy as np
import pytest
from voc_folder import make_voc, write_annotation

from companion.analysis import data_summary as summary
from companion.datasets.demo.generator import write_demo
from companion.settings import DataSettings
from thesislib.data.voc import VocDataset
from thesislib.metrics import PARTS

CLASSES = ("heron", "fox", "snail")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = make_voc(tmp_path_factory.mktemp("data"), n=5, classes=CLASSES)
    write_annotation(root, "2000_000000", ["heron", "fox"])
    write_annotation(root, "2000_000001", CLASSES)
    (root / "SegmentationClass" / "2000_000004.png").unlink()
    return root


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    root = tmp_path_factory.mktemp("demo")
    write_demo(
        root, DataSettings(source="generated", image_size=32, trainaug=40, train=12, val=4, test=1), progress=False
    )
    return VocDataset(root, "trainaug")


def test_split_summary_counts_images_masks_and_labels(folder):
    line = summary.split_summary({"train": VocDataset(folder, "train")}).loc["train"]
    assert line.to_dict() == {
        "images": 5, "with mask": 4, "1 class": 3, "2 classes": 1, "3 or more": 1, "labels": 8,
    }  # fmt: skip


def test_class_summary_counts_images_by_class(folder):
    frame = summary.class_summary({"train": VocDataset(folder, "train")})
    assert frame["train"].to_dict() == {"heron": 3, "fox": 3, "snail": 2}


def test_labels_carry_at_most_a_bit_each_and_together_no_more_than_their_sum(folder):
    labels = VocDataset(folder, "train").labels
    bits = summary.label_bits(labels)
    np.testing.assert_allclose(bits[0], -0.6 * np.log2(0.6) - 0.4 * np.log2(0.4))
    assert 0 < summary.joint_label_bits(labels) < bits.sum()
    assert summary.joint_label_bits(np.array([[0, 0], [0, 1], [1, 0], [1, 1]])) == pytest.approx(2)
    assert summary.joint_label_bits(np.ones((4, 2))) == 0


def test_pixels_of_the_generated_images_by_class_and_part(generated):
    frame = summary.pixel_summary(generated.classes, summary.count_pixels(generated))
    assert frame["share of pixels"].sum() == pytest.approx(100)
    masks = np.stack([generated.mask(i) for i in range(len(generated))])
    parts = np.stack([generated.parts(i) for i in range(len(generated))])
    for c, name in enumerate(generated.classes, start=1):
        assert frame.loc[name, "share of pixels"] == pytest.approx(100 * (masks == c).sum() / (masks != 255).sum())
        shown = [(mask == c).sum() / (mask != 255).sum() for mask in masks if (mask == c).any()]
        assert frame.loc[name, "area where present"] == pytest.approx(100 * np.mean(shown))
        on = parts[(masks == c) & (parts > 0)]
        for p, part in enumerate(PARTS, start=1):
            assert frame.loc[name, part] == pytest.approx(100 * (on == p).mean())


def test_a_folder_of_photographs_has_no_parts_and_no_subtypes(folder):
    images = VocDataset(folder, "val")
    images.ids = images.ids[:4]
    frame = summary.pixel_summary(images.classes, summary.count_pixels(images))
    assert list(frame) == ["share of pixels", "area where present"]
    assert summary.subtype_counts(images) is None and summary.of_each_subtype(images, 0) == []


def test_each_subtype_is_shown_once_alone_if_possible(generated):
    counts = summary.subtype_counts(generated)
    for c in range(len(generated.classes)):
        assert counts[c].sum() == (generated.subtypes[:, c] >= 0).sum()
        chosen = summary.of_each_subtype(generated, c)
        kinds = generated.subtypes[chosen, c]
        assert kinds.tolist() == np.flatnonzero(counts[c]).tolist()
        for i, kind in zip(chosen, kinds, strict=True):
            alone = generated.labels[generated.subtypes[:, c] == kind].sum(axis=1) == 1
            assert (generated.labels[i].sum() == 1) == alone.any()
