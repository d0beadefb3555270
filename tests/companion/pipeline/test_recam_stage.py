"""Stage `recam`: what it starts from, what it leaves, and the maps that are made with it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from killed import compare_with_undisturbed
from linked_store import linked_store

from companion.pipeline import artefacts
from companion.pipeline.stages import classifier, response_maps, rounds
from companion.pipeline.store import Stage, Store
from companion.settings import Machine, Settings, SettingsError, load
from thesislib import cam
from thesislib.data.transforms import to_tensor
from thesislib.data.voc import VocDataset
from thesislib.models.classifier import CamClassifier
from thesislib.models.weights import load_weights, read_tensors

HERE = Machine(device="cpu")
ON = {"recam.epochs": 1, "cam.splits": ("val",)}


def trained_on(folder: Path, shared: Store, overrides: dict[str, Any]) -> tuple[Store, Stage, Settings]:
    """The stage of maps of a classifier that is trained on for an epoch, whose own stage is computed."""
    settings = load("smoke", ON | overrides)
    maps = response_maps.stage(settings, HERE)
    onwards = maps.inputs["classifier"]
    store = linked_store(onwards.inputs.values(), shared, folder / "runs")
    store.compute(onwards)
    return store, maps, settings


def plain(settings: Settings, folder: Path, classes: int) -> CamClassifier:
    model = classifier.build(settings.backbone, settings.classifier, classes, seed=0, k=0).eval()
    load_weights(model, folder / artefacts.CLASSIFIER_WEIGHTS)
    return model


@pytest.mark.parametrize(("weight", "weights"), [(1, "product"), (1, "first"), (0, "product")])
def test_maps_have_the_weights_of_both_classifiers_and_logits_of_the_first(
    tmp_path: Path, shared_store: Store, weight: float, weights: str
) -> None:
    overrides = {"recam.weight": weight, "cam.recam_weights": weights}
    store, stage, settings = trained_on(tmp_path, shared_store, overrides)
    maps, trained = store.compute(stage), store.folder(stage.inputs["classifier"])
    images = VocDataset(store.folder(stage.inputs["data"]) / artefacts.DATASET, "val")
    model = plain(settings, trained, len(images.classes))
    with torch.no_grad():
        logits = [model(to_tensor(images.image(i), model.preprocessing)[None]).logits[0] for i in range(len(images))]
        if weight and weights == "product":
            model.fc8.weight *= read_tensors(trained / artefacts.SECOND_WEIGHTS)["weight"]
    np.testing.assert_allclose(artefacts.read_scores(maps, "val")["logits"], torch.stack(logits), rtol=1e-4, atol=1e-5)
    expected = cam.response_maps(
        model, images.image(5), torch.from_numpy(images.labels[5]), scales=settings.cam.scales, flip=settings.cam.flip
    )
    stored = artefacts.ResponseMaps.read(maps, images.ids[5]).of_classes(len(images.classes))
    torch.testing.assert_close(stored, expected, rtol=1e-4, atol=1e-5)
    terms = {"classification", "re-activation"} if weight else {"classification"}
    assert np.load(trained / artefacts.HISTORY).keys() == terms
    assert (trained / artefacts.SECOND_WEIGHTS).exists() == bool(weight)


def test_it_starts_from_the_trained_classifier_and_from_other_initial_weights_than_that(
    tmp_path: Path, shared_store: Store
) -> None:
    store, stage, settings = trained_on(tmp_path, shared_store, {"recam.learning_rate": 1e-12})
    onwards = stage.inputs["classifier"]
    before, after = (store.folder(each) for each in (onwards.inputs["classifier"], onwards))
    for name, tensor in read_tensors(before / artefacts.CLASSIFIER_WEIGHTS).items():
        torch.testing.assert_close(read_tensors(after / artefacts.CLASSIFIER_WEIGHTS)[name], tensor)
    second = read_tensors(after / artefacts.SECOND_WEIGHTS)["weight"]
    initial = classifier.build(settings.backbone, settings.classifier, len(second), settings.seed, k=0).fc8.weight
    assert second.std().item() == pytest.approx(initial.std().item(), rel=0.2)
    assert abs(np.corrcoef(second.flatten(), initial.detach().flatten())[0, 1]) < 0.2


def test_what_it_is_trained_with_belongs_to_its_key_alone() -> None:
    overrides = [{}, {"recam.learning_rate": 0.1, "recam.weight": 2}]
    assert len({response_maps.stage(load("smoke", each), HERE).key for each in overrides}) == 1
    assert len({response_maps.stage(load("smoke", ON | each), HERE).key for each in overrides}) == 2


def test_it_goes_on_from_any_round_and_gives_the_maps_of_classes_alone() -> None:
    settings = load("smoke", ON | {"subcategories.round": 1})
    trained = rounds.trained_stage(settings, HERE)
    assert trained.name == "recam"
    assert trained.inputs["classifier"].key == rounds.trained_stage(load("smoke", {"subcategories.round": 1}), HERE).key
    with pytest.raises(SettingsError, match="maps of ReCAM are those of classes"):
        settings.override({"cam.head": "merged"})


@pytest.mark.parametrize("overrides", [{}, ON | {"recam.weight": 0}])
def test_weights_of_two_classifiers_need_two(overrides: dict[str, float]) -> None:
    assert "recam_weights" not in load("smoke").cam.model_dump()
    with pytest.raises(SettingsError, match=r"give recam\.epochs and recam\.weight above 0"):
        load("smoke", overrides | {"cam.recam_weights": "first"})


@pytest.mark.parametrize("overrides", [{"recam.weight": -1}, {"recam.epochs": -1}, {"recam.batch_size": 0}])
def test_values_out_of_range_are_named(overrides: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=f"{next(iter(overrides))} = .*greater than or equal to"):
        load("smoke", overrides)


def test_a_batch_that_the_images_do_not_fill_is_refused_before_anything_is_trained() -> None:
    stage = rounds.trained_stage(load("smoke", ON | {"recam.batch_size": 13}), HERE)
    assert stage.check is not None
    with pytest.raises(SettingsError, match=r"recam\.batch_size"):
        stage.check(stage)


@pytest.mark.slow
def test_killed_in_the_middle_it_continues_to_the_same_bits(tmp_path: Path, shared_store: Store) -> None:
    files = [artefacts.CLASSIFIER_WEIGHTS, artefacts.SECOND_WEIGHTS, artefacts.HISTORY]
    compare_with_undisturbed(tmp_path, shared_store, rounds.trained_stage, {"recam.epochs": 12}, files)
