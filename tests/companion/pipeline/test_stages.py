import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from killed import compare_cut_with_undisturbed
from linked_store import linked_store
from PIL import Image
from voc_folder import make_voc

from companion.analysis.methods import MIXUP_CAM
from companion.pipeline import artefacts, engine
from companion.pipeline.artefacts import ResponseMaps
from companion.pipeline.stages import affinity, backbone, classifier, data, response_maps, segmentation
from companion.pipeline.store import Stage, Store
from companion.settings import Machine, Settings, SettingsError, load
from thesislib import cam, metrics
from thesislib.data.transforms import to_tensor
from thesislib.data.voc import DataError, VocDataset
from thesislib.models.classifier import CamClassifier
from thesislib.models.weights import load_weights, save_weights

HERE = Machine(device="cpu")


@pytest.fixture(scope="module")
def computed(shared_store: Store) -> tuple[Store, Stage, Settings]:
    settings = load("smoke", MIXUP_CAM.overrides)
    stage = response_maps.stage(settings, HERE)
    engine.run([stage], shared_store)
    return shared_store, stage, settings


def _model(computed: tuple[Store, Stage, Settings], classes: int) -> CamClassifier:
    store, stage, settings = computed
    model = CamClassifier(backbone.build(settings.backbone), classes)
    load_weights(model, store.folder(stage.inputs["classifier"]) / artefacts.CLASSIFIER_WEIGHTS)
    return model.eval()


def test_stored_maps_are_those_of_the_stored_weights(computed: tuple[Store, Stage, Settings]) -> None:
    store, stage, settings = computed
    images = VocDataset(store.folder(stage.inputs["data"]) / artefacts.DATASET, "val")
    model = _model(computed, len(images.classes))
    for i in (0, 5):
        labels = torch.from_numpy(images.labels[i])
        expected = cam.response_maps(model, images.image(i), labels, scales=settings.cam.scales)
        stored = ResponseMaps.read(store.folder(stage), images.ids[i]).of_classes(len(images.classes))
        torch.testing.assert_close(stored, expected, rtol=1e-4, atol=1e-5)


def test_stored_counts_give_the_scores_of_the_stored_maps(computed: tuple[Store, Stage, Settings]) -> None:
    store, stage, settings = computed
    images = VocDataset(store.folder(stage.inputs["data"]) / artefacts.DATASET, "train")
    scores = np.load(store.folder(stage) / artefacts.SCORES)
    matrix = metrics.ConfusionMatrix(len(images.classes) + 1)
    for i, name in enumerate(images.ids):
        maps = ResponseMaps.read(store.folder(stage), name).of_classes(len(images.classes))
        matrix.update(images.mask(i), cam.label_map(cam.normalize(maps), settings.cam.background).numpy())
    at = int(np.searchsorted(metrics.THRESHOLDS, settings.cam.background))
    np.testing.assert_array_equal(scores["train/confusion"][at], matrix.counts)
    np.testing.assert_array_equal(scores["train/image_confusion"].sum(axis=0), matrix.counts)
    assert scores["train/logits"].shape == scores["train/labels"].shape == images.labels.shape
    assert (scores["train/part_covered"] <= scores["train/part_total"]).all()


def test_training_terms_are_recorded_at_every_step(computed: tuple[Store, Stage, Settings]) -> None:
    store, stage, settings = computed
    history = np.load(store.folder(stage.inputs["classifier"]) / artefacts.HISTORY)
    steps = settings.classifier.epochs * (settings.data.trainaug // settings.classifier.batch_size)
    assert {name: len(history[name]) for name in history} == dict.fromkeys(
        ("classification", "entropy", "concentration"), steps
    )


def test_the_first_of_two_views_is_the_image_of_one(tmp_path: Path) -> None:
    images = VocDataset(make_voc(tmp_path), "train")
    chosen = load("smoke").classifier
    preprocessing = backbone.build(load("smoke").backbone).preprocessing
    pairs = chosen.model_copy(update={"views": 2})
    one, two = (classifier.TrainingImages(images, each, 0, preprocessing)[1, 2][0] for each in (chosen, pairs))
    assert torch.equal(two[0], one) and not torch.equal(two[0], two[1])


def test_a_trained_classifier_can_be_given_as_a_file(computed: tuple[Store, Stage, Settings], tmp_path: Path) -> None:
    store, stage, settings = computed
    file = store.folder(stage.inputs["classifier"]) / artefacts.CLASSIFIER_WEIGHTS
    given = response_maps.stage(settings.override({"classifier.weights": str(file)}), HERE)
    assert all(upstream.name != "backbone" for upstream in given.upstream())
    engine.run([given], store)
    for path in (store.folder(stage) / artefacts.MAPS).iterdir():
        other = np.load(store.folder(given) / artefacts.MAPS / path.name)
        np.testing.assert_array_equal(np.load(path)["maps"], other["maps"])


@pytest.mark.parametrize("at", [2, 4])
def test_maps_and_logits_cut_short_continue_to_the_same_bits(tmp_path: Path, shared_store: Store, at: int) -> None:
    """6 images of train in batches of 3, then 8 of val: reports 1-2 and 3-5."""
    machine = Machine(device="cpu", checkpoint_minutes=0, batch_pixels=3 * 64 * 64)
    stage = response_maps.stage(load("smoke", MIXUP_CAM.overrides), machine)
    compare_cut_with_undisturbed(tmp_path, shared_store, stage, artefacts.SCORES, at)


@pytest.mark.parametrize("scales", [(1, 0.5), (0.5,)])
def test_logits_are_those_of_the_images_at_their_own_size_unmirrored(
    tmp_path: Path, shared_store: Store, scales: tuple[float, ...]
) -> None:
    settings = load("smoke", {"cam.scales": scales, "cam.flip": True, "cam.splits": ("train",)})
    stage = response_maps.stage(settings, HERE)
    store = linked_store(stage.inputs.values(), shared_store, tmp_path / "runs")
    found = artefacts.read_scores(store.compute(stage), "train")["logits"]
    images = VocDataset(store.folder(stage.inputs["data"]) / artefacts.DATASET, "train")
    weights = store.folder(stage.inputs["classifier"]) / artefacts.CLASSIFIER_WEIGHTS
    model = classifier.build(settings.backbone, settings.classifier, len(images.classes), seed=0, k=0)
    load_weights(model, weights)
    with torch.no_grad():
        expected = [model.eval()(to_tensor(images.image(i), model.preprocessing)[None]).logits[0] for i in range(6)]
    np.testing.assert_allclose(found, torch.stack(expected), rtol=1e-4, atol=1e-5)


def test_files_of_weights_are_found_from_another_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, path = load("smoke"), tmp_path / "here" / "weights.safetensors"
    path.parent.mkdir()
    save_weights(affinity.build(chosen.backbone), path)
    monkeypatch.chdir(path.parent)
    given = {
        backbone.stage: {"backbone.weights": path.name},
        classifier.stage: {"classifier.weights": path.name},
        affinity.stage: {"affinity.weights": path.name},
        segmentation.segmenter_stage: {
            "segmentation.weights": path.name,
            "segmentation.init": "imagenet",
            "segmentation.supervision": "truth",
        },
    }
    stages = [step(chosen.override(overrides), HERE) for step, overrides in given.items()]
    assert [stage.file for stage in stages] == [str(path)] * 4
    assert segmentation.segmenter_stage(chosen.override({"segmentation.supervision": "truth"}), HERE).file == ""
    monkeypatch.chdir(tmp_path)
    assert Store(tmp_path / "runs").compute(stages[2]).is_dir()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"classifier.weights": "/nowhere.pth"}, "no weight file"),
        ({"backbone.weights": "/nowhere.params"}, "no weight file"),
        ({"classifier.extra_term": "no_such_module:f"}, "cannot be imported"),
        ({"classifier.extra_term": "math:no_such_function"}, "cannot be imported"),
        ({"classifier.batch_size": 13}, r"batch_size = 13, but data\.trainaug has 12 images: lower classifier"),
    ],
)
def test_missing_files_and_terms_are_found_before_anything_runs(overrides: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        engine.bind([response_maps.stage(load("smoke", overrides), HERE)])


def test_initial_weights_that_do_not_fit_or_hold_no_numbers_are_found_before_anything_runs(tmp_path: Path) -> None:
    chosen, path = load("smoke"), tmp_path / "weights.safetensors"
    network = backbone.build(chosen.backbone)
    given = chosen.override({"backbone.weights": str(path)})
    save_weights(network, path)
    engine.bind([response_maps.stage(given, HERE)])
    wider = given.override({"backbone.width": 1 / 16})
    with pytest.raises(SettingsError, match=r"backbone\.weights: .*weights\.safetensors does not fit the model"):
        engine.bind([response_maps.stage(wider, HERE)])
    network.state_dict()["bn7.bias"][3] = torch.nan
    save_weights(network, path)
    with pytest.raises(SettingsError, match=r"1 tensors hold numbers that are not finite: bn7\.bias; .* get it again"):
        engine.bind([response_maps.stage(given, HERE)])
    path.write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(SettingsError, match=r"weights\.safetensors is not a whole safetensors file .*copy"):
        engine.bind([response_maps.stage(given, HERE)])


def test_paper_scale_asks_for_data_and_weights(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="data_root"):
        engine.bind([response_maps.stage(load("voc2012"), HERE)])
    machine = Machine(data_root=str(_voc(tmp_path)), device="cpu")
    with pytest.raises(SettingsError, match=r"backbone\.weights is empty.*lite0.*data\.source=generated"):
        engine.bind([response_maps.stage(load("voc2012"), machine)])


def _voc(folder: Path) -> Path:
    root = make_voc(folder)
    lists = root / "ImageSets" / "Segmentation"
    for split in ("trainaug", "train", "val"):
        (lists / f"{split}.txt").write_text((lists / "train.txt").read_text())
    return root


def test_a_folder_of_ones_own_goes_through_the_same_stages(tmp_path: Path) -> None:
    root = _voc(tmp_path / "own")
    stage = response_maps.stage(load("smoke"), Machine(data_root=str(root), device="cpu"))
    store = Store(tmp_path / "runs")
    engine.run([stage], store)
    images = VocDataset(root, "train")
    assert len(list((store.folder(stage) / artefacts.MAPS).iterdir())) == len(images)
    assert np.load(store.folder(stage) / artefacts.SCORES)["val/confusion"].shape == (61, 21, 21)


def test_a_broken_folder_stops_before_training(tmp_path: Path) -> None:
    root = _voc(tmp_path / "own")
    images = sorted((root / "JPEGImages").iterdir())
    images[0].unlink()
    store = Store(tmp_path / "runs")
    stage = response_maps.stage(load("smoke"), Machine(data_root=str(root), device="cpu"))
    with pytest.raises(engine.RunFailed, match="missing in JPEGImages") as error:
        engine.run([stage], store)
    assert images[0].stem in str(error.value)
    assert not list((tmp_path / "runs").glob("classifier/*"))
    with pytest.raises(DataError, match="no data folder"):
        engine.bind([response_maps.stage(load("smoke"), Machine(data_root=str(tmp_path / "nowhere"), device="cpu"))])


def test_changed_data_are_a_new_question(tmp_path: Path) -> None:
    machine = Machine(data_root=str(_voc(tmp_path / "own")), device="cpu")
    before = data.stage(load("smoke"), machine).key
    assert data.stage(load("smoke"), machine).key == before
    annotation = next((tmp_path / "own").rglob("Annotations/*.xml"))
    annotation.write_text(annotation.read_text().replace("aeroplane", "boat").replace("person", "boat"))
    assert data.stage(load("smoke"), machine).key != before


def test_the_files_of_a_plan_are_read_once_and_anew_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    _voc(tmp_path)
    monkeypatch.setattr(data, "fingerprint", lambda root, splits: read.append(root) or str(len(read)))

    def described() -> list[Stage]:
        chosen, machine = load("smoke"), Machine(data_root=str(tmp_path), device="cpu")
        return [response_maps.stage(chosen.override({"seed": seed}), machine) for seed in (0, 1)]

    first, again = described(), described()
    assert read == [] and first[0].description == again[0].description != again[1].description
    engine.bind(first)
    engine.bind(first)
    assert read == [str(tmp_path)] and len({stage.inputs["data"].key for stage in first}) == 1
    engine.bind(again)
    assert len(read) == 2 and again[0].key != first[0].key
    pickled = pickle.loads(pickle.dumps(first[0]))
    assert pickled.key == first[0].key and len(read) == 2


def test_batches_hold_every_image_once_beside_images_of_its_size(tmp_path: Path) -> None:
    root = make_voc(tmp_path, n=9)
    for i in (1, 2, 6, 8):
        Image.new("RGB", (20 + i // 4, 30)).save(root / "JPEGImages" / f"2000_{i:06d}.jpg")
    images = VocDataset(root, "train")
    wanted = [0, 1, 2, 3, 5, 6, 7, 8]
    height, width = images.size(0)
    batches = data.batches_of_one_size(images, wanted, 3 * height * width + 1)
    assert sorted(i for batch in batches for i in batch) == wanted
    assert all(len({images.size(i) for i in batch}) == 1 for batch in batches)
    of_first_size = [len(batch) for batch in batches if images.size(batch[0]) == (height, width)]
    assert sorted(of_first_size) == [1, 3]
    assert len(data.batches_of_one_size(images, wanted, 1)) == len(wanted)


def test_missing_maps_name_the_image(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no response maps of image 2007_000001"):
        ResponseMaps.read(tmp_path, "2007_000001")


TERM = "def term(output, labels):\n    return {}\n"


@pytest.fixture
def own_term(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_term", raising=False)
    (tmp_path / "own_term.py").write_text(TERM.format("output.response.square().mean()"))
    return tmp_path / "own_term.py"


def _with_term(weight: float = 1.0) -> Stage:
    overrides = {"classifier.extra_term": "own_term:term", "classifier.lambda_extra": weight, "classifier.epochs": 1}
    return classifier.stage(load("smoke", overrides), HERE)


def test_own_term_takes_part_in_training(own_term: Path, tmp_path: Path, shared_store: Store) -> None:
    store = linked_store(_with_term().inputs.values(), shared_store, tmp_path / "runs")
    history = np.load(engine.run([_with_term()], store)[_with_term().key] / artefacts.HISTORY)
    assert (history["extra"] > 0).all()


@pytest.mark.parametrize("edited", ["WEIGHT = 2\n", "WEIGHT = 1\n\n\ndef helper():\n    return 1\n"])
def test_whatever_is_edited_in_the_module_of_a_term_is_a_new_question(own_term: Path, edited: str) -> None:
    """In this very process too, which has imported the module before."""
    text = TERM.format("WEIGHT * output.logits.square().mean()")
    own_term.write_text("WEIGHT = 1\n" + text)
    before = _with_term().key
    own_term.write_text(edited + text)
    assert _with_term().key != before
    own_term.write_text("WEIGHT = 1\n" + text)
    assert _with_term().key == before


def test_term_that_is_edited_after_the_plan_is_not_trained_under_the_key_of_the_old(
    own_term: Path, tmp_path: Path, shared_store: Store
) -> None:
    planned = _with_term()
    store = linked_store(planned.inputs.values(), shared_store, tmp_path / "runs")
    engine.bind([planned])
    own_term.write_text(TERM.format("output.logits.square().mean()"))
    with pytest.raises(engine.RunFailed, match=r"own_term:term.* was edited .* start again"):
        engine.run([planned], store)


def test_infinite_term_stops_with_its_step_and_is_not_tried_again(
    own_term: Path, tmp_path: Path, shared_store: Store
) -> None:
    own_term.write_text(TERM.format("output.logits.sum() / 0"))
    store = linked_store(_with_term().inputs.values(), shared_store, tmp_path / "runs")
    with pytest.raises(engine.RunFailed, match="not finite at step 0") as error:
        engine.run([_with_term()], store)
    assert "lower the learning rate" in str(error.value)
