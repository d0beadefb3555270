"""Files of stages hold what a store of an earlier version holds: the same names, kinds and arrays."""

from pathlib import Path

import numpy as np
import pytest
import torch

from companion.pipeline import artefacts
from companion.pipeline.artefacts import AffinityScores, Features, OfImage, RefinedMaps, ResponseMaps, Subcategories

CLASSES, MAPS = np.array([1, 4], np.uint8), np.random.default_rng(0).random((2, 3, 5), np.float32)
OF_IMAGE: dict[str, tuple[OfImage, dict[str, type]]] = {
    "maps": (ResponseMaps(CLASSES, MAPS), {"classes": np.uint8, "maps": np.float32}),
    "scores": (
        AffinityScores(CLASSES, MAPS.astype(np.float16), 1 - MAPS.astype(np.float16)),
        {"classes": np.uint8, "low": np.float16, "high": np.float16},
    ),
    "refined": (RefinedMaps(CLASSES, MAPS), {"classes": np.uint8, "scores": np.float32}),
}


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as stored:
        return dict(stored)


@pytest.mark.parametrize("part", OF_IMAGE)
def test_arrays_of_an_image_come_back_from_the_file_of_its_name(tmp_path: Path, part: str) -> None:
    written, kinds = OF_IMAGE[part]
    written.write(tmp_path, "2007_000001")
    stored = arrays(tmp_path / part / "2007_000001.npz")
    assert {name: values.dtype for name, values in stored.items()} == kinds
    read = type(written).read(tmp_path, "2007_000001")
    for name in kinds:
        np.testing.assert_array_equal(getattr(read, name), stored[name])


def test_maps_of_absent_classes_are_0() -> None:
    dense = ResponseMaps(CLASSES, MAPS).of_classes(6)
    assert dense.shape == (6, 3, 5) and not dense[[0, 2, 3, 5]].any()
    torch.testing.assert_close(dense[[1, 4]], torch.from_numpy(MAPS))


def test_clusters_come_back_with_and_without_distances(tmp_path: Path) -> None:
    assignments = np.array([[0, -1], [2, 1]], np.int16)
    for distances in (None, np.array([[0.5, np.nan], [1, 2]])):
        Subcategories(assignments, 3, distances).write(tmp_path)
        names = {"assignments", "k"} | ({"distances"} if distances is not None else set())
        stored = arrays(tmp_path / "subcategories.npz")
        assert set(stored) == names and stored["k"].shape == () and stored["assignments"].dtype == np.int16
        read = Subcategories.read(tmp_path)
        assert read.k == 3 and read.assignments.tolist() == assignments.tolist()
        np.testing.assert_equal(read.distances, distances)


def test_features_and_history_come_back(tmp_path: Path) -> None:
    Features(MAPS[0]).write(tmp_path)
    np.testing.assert_array_equal(arrays(tmp_path / "features.npz")["features"], Features.read(tmp_path).features)
    artefacts.write_history(tmp_path, {"classification": [0.5, 0.25], "entropy": [1.0, 2.0]})
    assert arrays(tmp_path / "history.npz")["classification"].dtype == np.float32
    assert {name: values.tolist() for name, values in artefacts.read_history(tmp_path).items()} == {
        "classification": [0.5, 0.25],
        "entropy": [1.0, 2.0],
    }


def test_scores_are_read_part_by_part(tmp_path: Path) -> None:
    artefacts.write_scores(tmp_path, {"train": {}, "val/plain": {"a": MAPS}, "val/crf": {"a": 2 * MAPS, "b": MAPS}})
    assert list(arrays(tmp_path / "scores.npz")) == ["val/plain/a", "val/crf/a", "val/crf/b"]
    assert artefacts.read_scores(tmp_path, "train") == {}
    assert list(artefacts.read_scores(tmp_path, "val/crf")) == ["a", "b"]
    np.testing.assert_array_equal(artefacts.read_scores(tmp_path, "val/crf")["a"], 2 * MAPS)


def test_masks_are_kept_as_indices(tmp_path: Path) -> None:
    mask = np.array([[0, 3], [255, 1]], np.uint8)
    artefacts.write_mask(tmp_path, "a", mask, "crf")
    assert artefacts.mask_path(tmp_path, "a", "crf") == tmp_path / "crf" / "a.png"
    np.testing.assert_array_equal(artefacts.read_mask(tmp_path, "a", "crf"), mask)


def test_checkpoints_of_a_classifier_are_found_by_their_epochs(tmp_path: Path) -> None:
    for epoch in (31, 1, 11):
        (tmp_path / artefacts.epoch_weights(epoch)).touch()
    assert artefacts.kept_epochs(tmp_path) == [1, 11, 31]
