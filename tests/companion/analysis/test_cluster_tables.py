"""What is in clusters against loops over their images."""

import numpy as np
import pytest
from cluster_data import CLASSES, K, make_images, random_labels, random_round
from voc_folder import make_voc

from companion.analysis import cluster_tables
from companion.pipeline.artefacts import SUBCATEGORIES
from companion.settings import SettingsError
from thesislib.data.voc import VOC_CLASSES, VocDataset


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def found(images):
    return random_round(images.labels, seed=1)


def labelled(folder, classes, labels):
    """A split with these classes and labels."""
    images = VocDataset(make_voc(folder, n=len(labels), classes=classes), "train")
    images.labels = labels
    return images


def test_nearest_are_members_in_order_of_their_distance(found):
    members = [i for i in range(24) if found.assignments[i, 0] == 2]
    expected = sorted(members, key=lambda i: found.distances[i, 0])
    assert found.nearest(0, 2, 3) == expected[:3]
    assert found.nearest(0, 2, 100) == expected


def test_largest_clusters_leave_empty_ones_out(images):
    emptied = random_round(images.labels, seed=1, k=3)._replace(k=5)
    sizes = [int((emptied.assignments[:, 1] == j).sum()) for j in range(5)]
    assert emptied.sizes(1).tolist() == sizes
    largest = emptied.largest(1, 5)
    assert sorted(largest) == [0, 1, 2]
    assert [sizes[j] for j in largest] == sorted(sizes, reverse=True)[:3]
    assert emptied.largest(1, 1) == largest[:1]


def test_clusters_are_read_as_they_were_written(tmp_path, found):
    np.savez(tmp_path / SUBCATEGORIES, assignments=found.assignments, distances=found.distances, k=np.array(K))
    read = cluster_tables.read_rounds({(2, 0): tmp_path})[2, 0]
    assert read.k == K
    np.testing.assert_array_equal(read.assignments, found.assignments)
    np.testing.assert_array_equal(read.distances, found.distances)


def test_labels_of_a_control_are_refused(tmp_path, found):
    np.savez(tmp_path / SUBCATEGORIES, assignments=found.assignments, k=np.array(K))
    with pytest.raises(SettingsError, match=r"leave subcategories\.labels at 'clusters'"):
        cluster_tables.read_rounds({(1, 0): tmp_path})


def test_classes_of_the_thesis_are_shown_where_the_data_have_them(tmp_path):
    of_voc = labelled(tmp_path, VOC_CLASSES, random_labels(5, 20))
    chosen = cluster_tables.choose_classes(of_voc, cluster_tables.FIGURE_3_5)
    assert [VOC_CLASSES[c] for c in chosen] == list(cluster_tables.FIGURE_3_5)


def test_else_those_with_the_most_images_ties_in_order(tmp_path):
    labels = np.array([[1, 0, 1, 1], [0, 1, 1, 1], [0, 0, 1, 0]], np.uint8)
    other = labelled(tmp_path, ("bird", "b", "c", "d"), labels)  # one name of the thesis is not enough
    assert cluster_tables.choose_classes(other, ("bird", "boat", "sheep")) == [2, 3, 0]


def test_wanted_classes_come_first_and_unknown_ones_are_refused(images):
    assert cluster_tables.choose_classes(images, ("bird",), ["snail", "heron"]) == [2, 0]
    with pytest.raises(SettingsError, match="unknown class 'herron'; did you mean 'heron'"):
        cluster_tables.choose_classes(images, ("bird",), ["herron"])


@pytest.mark.parametrize("seed", range(3))
def test_most_accompanied_class_by_counting(seed):
    labels = random_labels(40, 5, seed)
    counts = [sum(1 for row in labels if row[c] and row.sum() > 1) for c in range(5)]
    assert cluster_tables.most_accompanied(labels) == counts.index(max(counts))


def areas_of(images):
    return {c: cluster_tables.object_areas(images, c) for c in range(len(images.classes))}


def test_description_by_a_loop_over_the_images(images, found):
    table = cluster_tables.describe(images, found, {0: [0, 1], 2: [2]}, areas_of(images))
    assert list(table.index) == ["heron 1", "heron 2", "snail 3"]
    for name, c, cluster in (("heron 1", 0, 0), ("heron 2", 0, 1), ("snail 3", 2, 2)):
        members = [i for i in range(len(images)) if found.assignments[i, c] == cluster]
        areas, alone, company = [], [], {other: 0 for other in CLASSES if other != CLASSES[c]}
        for i in members:
            if i:  # image 0 has no mask
                mask = images.mask(i)
                areas.append(100 * np.count_nonzero(mask == c + 1) / np.count_nonzero(mask != 255))
            alone.append(images.labels[i].sum() == 1)
            for other in company:
                company[other] += int(images.labels[i, CLASSES.index(other)])
        row = table.loc[name]
        assert row["images"] == len(members)
        assert row["object area"] == pytest.approx(np.mean(areas))
        assert row["alone"] == pytest.approx(100 * np.mean(alone))
        for other, count in company.items():
            assert (f"{other} {100 * count / len(members):.0f}" in row["most often with"]) == (count > 0)
    assert "long" not in table  # no sub-types


def test_subtypes_are_shared_out_over_each_cluster(images, found, monkeypatch):
    subtypes = np.where(images.labels > 0, np.arange(len(images))[:, None] % 4, -1)
    monkeypatch.setattr(images, "subtypes", subtypes)
    row = cluster_tables.describe(images, found, {1: [0]}, areas_of(images)).loc["fox 1"]
    kinds = subtypes[found.assignments[:, 1] == 0, 1]
    shares = [100 * np.mean(kinds == t) for t in range(4)]
    assert row[["long", "stout", "leaning", "pale"]].tolist() == pytest.approx(shares)


def test_a_cluster_without_masks_has_no_area(images):
    areas = cluster_tables.object_areas(images, 0)
    assert np.isnan(areas[0]) and 0 < areas[3] < 100 and np.isnan(areas[images.labels[:, 0] == 0]).all()


@pytest.mark.parametrize(("rounds", "number", "message"), [(1, 6, "at least 2"), (3, 0, "images_per_cluster")])
def test_too_little_to_show_is_refused(rounds, number, message):
    with pytest.raises(SettingsError, match=message):
        cluster_tables.check_shown(rounds, number)
