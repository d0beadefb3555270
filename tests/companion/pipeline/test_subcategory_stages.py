"""Chapter 3 as stages: which labels a round is trained on, what it starts from, and which of its epochs are kept."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from killed import compare_cut_with_undisturbed, compare_with_undisturbed
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from voc_folder import make_voc

from companion.pipeline import artefacts, engine, published
from companion.pipeline.artefacts import ClassFeatures, Features, ResponseMaps, Subcategories
from companion.pipeline.stages import backbone, classifier, response_maps, rounds, subcategories
from companion.pipeline.store import Job, Progress, Stage, Store
from companion.settings import Machine, Settings, SettingsError, SubcategorySettings, load
from thesislib import cam
from thesislib.clustering import cluster, subcategory_labels
from thesislib.data.transforms import to_tensor
from thesislib.data.voc import VocDataset
from thesislib.models.classifier import CamClassifier
from thesislib.models.weights import load_weights
from thesislib.subcategories import colour_histogram, finch

HERE = Machine(device="cpu")
K = 2
OTHERS: dict[str, dict[str, object]] = {
    "pooled": {},
    "under_map": {"features": "under_map"},
    "initial": {"features": "initial"},
    "colours": {"features": "colours"},
    "soft": {"labels": "soft", "tau": 3},
    "uniform": {"labels": "uniform"},
    "silhouette": {"number": "silhouette", "k": 3},
    "finch": {"number": "finch"},
    "dealt": {"number": "finch", "labels": "random"},
}


def at(number: int, /, **more: object) -> Settings:
    return load("smoke", {"subcategories.round": number} | {f"subcategories.{name}": v for name, v in more.items()})


class Computed:
    """Two rounds of preset smoke, and every kind of labels."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.labels = {kind: rounds.labels_stage(at(2, labels=kind), HERE) for kind in ("clusters", "random", "parent")}
        self.labels["true"] = rounds.labels_stage(at(2, labels="true"), HERE)
        self.others = {name: rounds.labels_stage(at(1, **chosen), HERE) for name, chosen in OTHERS.items()}
        self.trained = rounds.trained_stage(at(2), HERE)
        self.without = rounds.trained_stage(at(2, labels="none"), HERE)
        self.features = rounds.features_stage(at(1), HERE)
        self.maps = {
            head: response_maps.stage(at(2).override({"cam.head": head, "cam.splits": ("val",)}), HERE)
            for head in ("parent", "merged")
        }
        self.shared = rounds.trained_stage(at(1, **OTHERS["soft"]), HERE)
        wanted = [*self.labels.values(), *self.others.values(), self.trained, self.without, self.shared]
        engine.run([*wanted, *self.maps.values()], self.store)
        self.images = VocDataset(self.store.folder(self.trained.inputs["data"]) / artefacts.DATASET, "trainaug")

    def found(self, name: str) -> Subcategories:
        return Subcategories.read(self.store.folder(self.others[name]))

    def given(self, name: str, above: str) -> Path:
        return self.store.folder(self.others[name].inputs[above])

    def assignments(self, kind: str) -> np.ndarray:
        return np.load(self.store.folder(self.labels[kind]) / artefacts.SUBCATEGORIES)["assignments"]

    def model(self, stage: Stage, k: int) -> CamClassifier:
        model = CamClassifier(backbone.build(at(0).backbone), len(self.images.classes), k)
        load_weights(model, self.store.folder(stage) / artefacts.CLASSIFIER_WEIGHTS)
        return model.eval()

    def job(self, stage: Stage, folder: Path) -> Job:
        return Job(folder, {name: self.store.folder(each) for name, each in stage.inputs.items()}, HERE, Progress())


@pytest.fixture(scope="module")
def computed(shared_store: Store) -> Computed:
    return Computed(shared_store)


# --- Labels -----------------------------------------------------------------------------------------------------------


def test_features_are_the_pooled_map_of_the_round_before(computed: Computed) -> None:
    stored = Features.read(computed.store.folder(computed.features)).features
    model = computed.model(computed.features.inputs["classifier"], K)
    for i in (0, 7):
        conv6 = model.backbone(to_tensor(computed.images.image(i))[None]).conv6
        np.testing.assert_allclose(stored[i], conv6.mean((2, 3))[0].detach(), rtol=1e-4, atol=1e-6)


def test_features_cut_short_continue_to_the_same_bits(tmp_path: Path, shared_store: Store) -> None:
    machine = Machine(device="cpu", checkpoint_minutes=0, batch_pixels=5 * 64 * 64)  # batches of 5, 5 and 2
    stage = rounds.features_stage(at(0), machine)
    compare_cut_with_undisturbed(tmp_path, shared_store, stage, artefacts.FEATURES, at=2)


def test_clusters_are_k_means_of_the_features_of_each_class(computed: Computed) -> None:
    features = Features.read(computed.store.folder(computed.features)).features
    found = computed.assignments("clusters")
    assert computed.labels["clusters"].inputs["features"].key == computed.features.key
    for c, present in enumerate(computed.images.labels.T > 0):
        assert (found[~present, c] == -1).all()
        if present.sum() >= K:
            expected = KMeans(K, n_init=10, random_state=0).fit_predict(features[present])
            assert adjusted_rand_score(expected, found[present, c]) == 1


def test_random_labels_have_the_sizes_of_the_clusters(computed: Computed) -> None:
    clusters, dealt = computed.assignments("clusters"), computed.assignments("random")
    assert (clusters != dealt).any()
    for c in range(clusters.shape[1]):
        np.testing.assert_array_equal(np.sort(clusters[:, c]), np.sort(dealt[:, c]))
        np.testing.assert_array_equal(clusters[:, c] < 0, dealt[:, c] < 0)


def test_parent_labels_are_those_of_the_classes(computed: Computed) -> None:
    folder = computed.store.folder(computed.labels["parent"])
    np.testing.assert_array_equal(classifier.read_labels(folder, computed.images), computed.images.labels)


def test_the_labels_that_are_trained_on_are_those_of_the_golden_test(computed: Computed, tmp_path: Path) -> None:
    features = Features.read(computed.store.folder(computed.features)).features
    folder = computed.store.folder(computed.labels["clusters"])
    expected = subcategory_labels(features, computed.images.labels, K, seed=0)
    np.testing.assert_array_equal(classifier.read_labels(folder, computed.images), expected)
    found = Subcategories.read(folder)
    Subcategories(np.roll(found.assignments, 1, axis=0), K).write(tmp_path)
    with pytest.raises(ValueError, match="each class of an image needs one sub-category"):
        classifier.read_labels(tmp_path, computed.images)


def test_true_sub_types_are_those_of_the_generator(computed: Computed) -> None:
    assert computed.images.subtypes is not None
    np.testing.assert_array_equal(computed.assignments("true"), computed.images.subtypes)
    folder = computed.store.folder(computed.labels["true"])
    assert classifier.read_labels(folder, computed.images).shape[1] == 6 * 4


def test_kinds_of_labels_are_different_questions(computed: Computed) -> None:
    assert len({stage.key for stage in computed.labels.values()}) == len(computed.labels)


def test_true_sub_types_of_own_images_are_refused(tmp_path: Path) -> None:
    root = make_voc(tmp_path / "own")
    lists = root / "ImageSets" / "Segmentation"
    shutil.copy(lists / "train.txt", lists / "trainaug.txt")
    machine = Machine(device="cpu", data_root=str(root))
    with pytest.raises(SettingsError, match="generated images"):
        rounds.labels_stage(at(1, labels="true"), machine)


def test_round_0_has_no_labels() -> None:
    with pytest.raises(SettingsError, match=r"subcategories\.round to 1"):
        rounds.labels_stage(at(0), HERE)


def test_features_that_are_not_finite_stop_the_stage(computed: Computed, tmp_path: Path) -> None:
    broken = tmp_path / "features"
    broken.mkdir()
    features = Features.read(computed.store.folder(computed.features)).features.copy()
    features[3, 5] = np.nan
    np.savez(broken / artefacts.FEATURES, features=features)
    job = computed.job(computed.labels["clusters"], tmp_path)
    with pytest.raises(ValueError, match="1 of 12 images are not finite"):
        subcategories.compute_clusters(
            Job(tmp_path, {**job.inputs, "features": broken}, HERE, Progress()), K, computed.trained.settings["seed"]
        )


# --- What else a sub-category could be --------------------------------------------------------------------------------


def test_features_under_maps_weight_each_cell_by_the_map_of_the_class(computed: Computed) -> None:
    stored = ClassFeatures.read(computed.given("under_map", "class_features"))
    model = computed.model(rounds.trained_stage(at(0), HERE), 0)
    pairs = np.argwhere(computed.images.labels)
    np.testing.assert_array_equal(stored.classes, pairs[:, 1])
    for row in (0, 9, len(pairs) - 1):
        image, c = pairs[row].tolist()
        with torch.no_grad():
            output = model(to_tensor(computed.images.image(image))[None])
            features = model.features(to_tensor(computed.images.image(image))[None])[0]
        weights = output.response[0, c].clamp(min=0)
        weights = weights if weights.any() else torch.ones_like(weights)
        expected = (features * weights).sum((1, 2)) / weights.sum()
        np.testing.assert_allclose(stored.features[row], expected, rtol=1e-4, atol=1e-5)


def test_initial_features_and_colours_know_no_labels_of_these_images(computed: Computed) -> None:
    initial = Features.read(computed.given("initial", "features")).features
    network = backbone.build(at(0).backbone).eval()
    load_weights(network, computed.store.folder(backbone.stage(at(0), HERE)) / artefacts.BACKBONE_WEIGHTS)
    with torch.no_grad():
        expected = network.features(to_tensor(computed.images.image(3))[None]).mean((2, 3))[0]
    np.testing.assert_allclose(initial[3], expected, rtol=1e-4, atol=1e-6)
    colours = Features.read(computed.given("colours", "features")).features
    np.testing.assert_array_equal(colours[5], colour_histogram(computed.images.image(5)))
    for name in ("initial", "colours"):
        assert "classifier" not in {stage.name for stage in computed.others[name].upstream()}


def test_every_other_feature_is_clustered_class_by_class(computed: Computed) -> None:
    labels = computed.images.labels
    for name in ("initial", "colours"):
        features = Features.read(computed.given(name, "features")).features
        np.testing.assert_array_equal(computed.found(name).assignments, cluster(features, labels, K, 0).assignments)
    of_classes = ClassFeatures.read(computed.given("under_map", "class_features")).of_classes(labels.shape[1])
    for c, given in enumerate(of_classes):
        expected = cluster(given, np.ones((len(given), 1)), K, 0).assignments[:, 0]
        np.testing.assert_array_equal(computed.found("under_map").assignments[labels[:, c] > 0, c], expected)


def test_soft_labels_share_the_clusters_of_pooled_features_and_are_trained_on(computed: Computed) -> None:
    soft, labels = computed.found("soft"), computed.images.labels
    np.testing.assert_array_equal(soft.assignments, computed.found("pooled").assignments)
    trained_on = classifier.read_labels(computed.store.folder(computed.others["soft"]), computed.images)
    np.testing.assert_array_equal(trained_on, soft.soft)
    np.testing.assert_allclose(trained_on.reshape(*labels.shape, K).sum(axis=2), labels, atol=1e-6)
    assert ((trained_on > 0.01) & (trained_on < 0.99)).any()
    uniform = classifier.read_labels(computed.store.folder(computed.others["uniform"]), computed.images)
    np.testing.assert_array_equal(uniform, np.repeat(labels / K, K, axis=1).astype(np.float32))
    assert {stage.name for stage in computed.others["uniform"].upstream()} == {"data", "subcategories"}


def test_the_number_of_clusters_follows_the_class_and_a_control_has_it_too(computed: Computed) -> None:
    features = Features.read(computed.given("finch", "features")).features
    found, dealt = computed.found("finch").assignments, computed.found("dealt").assignments
    for c, present in enumerate(computed.images.labels.T > 0):
        np.testing.assert_array_equal(found[present, c], finch(features[present], K)[0])
        np.testing.assert_array_equal(np.sort(found[:, c]), np.sort(dealt[:, c]))
    assert computed.found("silhouette").assignments.max() <= 2


def test_settings_of_other_sub_categories_leave_old_keys_at_their_defaults() -> None:
    new = {"features", "number", "tau"}
    assert not new & SubcategorySettings().model_dump().keys()
    assert new <= SubcategorySettings(features="colours", number="finch", tau=2).model_dump().keys()
    assert rounds.labels_stage(at(1), HERE).settings == {"k": K, "seed": 0}


# --- Rounds -----------------------------------------------------------------------------------------------------------


def test_the_plain_classifier_does_not_depend_on_settings_of_later_rounds() -> None:
    plain = rounds.trained_stage(at(0), HERE).key
    assert plain == classifier.stage(load("smoke"), HERE).key
    assert plain == rounds.trained_stage(at(0, k=7, weight=1, epochs=9), HERE).key


def test_each_round_clusters_the_features_of_the_round_before() -> None:
    keys = []
    trained = rounds.trained_stage(at(3), HERE)
    while "subcategories" in trained.inputs:
        keys.append(trained.key)
        assert "previous" not in trained.inputs  # A13: every round from the initial weights
        trained = trained.inputs["subcategories"].inputs["features"].inputs["classifier"]
    assert len(set(keys)) == 3
    assert trained.key == rounds.trained_stage(at(0), HERE).key
    assert keys[-1] == rounds.trained_stage(at(1), HERE).key


def test_every_k_clusters_the_same_features() -> None:
    few, many = (rounds.labels_stage(at(1, k=k), HERE) for k in (2, 3))
    assert few.key != many.key
    assert few.inputs["features"].key == many.inputs["features"].key


def test_controls_train_with_the_schedule_of_the_round() -> None:
    settings = {"epochs": 6, "used": (2, 4), "crop": 32, "checkpoints": (1,)}
    for kind in ("clusters", "random", "parent", "true", "none"):
        chosen = rounds.trained_stage(at(2, labels=kind, **settings), HERE).settings
        assert chosen["used_epoch"] == 4
        assert chosen["classifier"].epochs == 6
        assert chosen["classifier"].augmentation.crop == 32


def test_rounds_beyond_the_published_ones_use_the_last_epoch() -> None:
    used = [load("voc2012", {"subcategories.round": r}).subcategories.used_epoch for r in (1, 2, 3, 4)]
    assert used == [31, 41, 51, 51]


def test_both_losses_are_recorded_and_a_round_without_second_head_has_one(computed: Computed) -> None:
    terms = {}
    for name, stage in {"clusters": computed.trained, "none": computed.without}.items():
        terms[name] = set(np.load(computed.store.folder(stage) / artefacts.HISTORY))
    assert terms == {"clusters": {"classification", "sub-categories"}, "none": {"classification"}}


def test_previous_round_can_be_the_start(computed: Computed, tmp_path: Path) -> None:
    """With a learning rate of almost nothing the weights stay those of the start."""
    settings = at(2, init="previous").override({"classifier.learning_rate": 1e-30, "classifier.weight_decay": 0})
    stage = rounds.trained_stage(settings, HERE)
    before = stage.inputs["previous"]
    assert before.key == rounds.trained_stage(settings.override({"subcategories.round": 1}), HERE).key
    inputs = {name: computed.store.folder(each) for name, each in computed.trained.inputs.items()}
    inputs["previous"] = computed.store.folder(computed.features.inputs["classifier"])
    stage.compute(Job(tmp_path, inputs, HERE, Progress()), **stage.settings)
    start = safetensors.torch.load_file(inputs["previous"] / artefacts.CLASSIFIER_WEIGHTS)
    trained = safetensors.torch.load_file(tmp_path / artefacts.CLASSIFIER_WEIGHTS)
    for name, tensor in start.items():
        moving = "running" in name or "num_batches" in name  # statistics of BatchNorm follow the batches
        if not moving and name != "fc8_sub.weight":
            torch.testing.assert_close(trained[name], tensor, rtol=0, atol=0, msg=name)
    assert not torch.equal(trained["fc8_sub.weight"], start["fc8_sub.weight"])


def test_the_texts_convolution_gives_the_clustered_features_and_is_handed_on(computed: Computed) -> None:
    """S4, A12, A13: features have its channels, and a round that continues starts from its weights."""
    still = {"classifier.feature_channels": 12, "classifier.learning_rate": 1e-30, "classifier.weight_decay": 0}
    settings = at(1, init="previous").override(still)
    stage, features = rounds.trained_stage(settings, HERE), rounds.features_stage(settings, HERE)
    folders = engine.run([stage, features], computed.store)
    assert Features.read(folders[features.key]).features.shape[1] == 12
    before = computed.store.folder(stage.inputs["previous"])
    start, trained = (
        safetensors.torch.load_file(f / artefacts.CLASSIFIER_WEIGHTS) for f in (before, folders[stage.key])
    )
    for name in ("conv_features.weight", "conv_features.bias", "fc8.weight"):
        torch.testing.assert_close(trained[name], start[name], rtol=0, atol=1e-20)
    assert start["fc8.weight"].shape[1] == 12


# --- Epochs that are kept ---------------------------------------------------------------------------------------------


def test_the_epoch_used_is_the_checkpoint_of_that_epoch(computed: Computed) -> None:
    early = rounds.trained_stage(at(1, used=(1,), labels="parent"), HERE)
    late = rounds.trained_stage(at(1, labels="parent"), HERE)
    folders = engine.run([early, late], computed.store)
    first, last = folders[early.key], folders[late.key]
    assert (first / artefacts.CLASSIFIER_WEIGHTS).read_bytes() == (last / artefacts.epoch_weights(1)).read_bytes()
    assert (first / artefacts.epoch_weights(2)).read_bytes() == (last / artefacts.CLASSIFIER_WEIGHTS).read_bytes()
    assert (first / artefacts.CLASSIFIER_WEIGHTS).read_bytes() != (last / artefacts.CLASSIFIER_WEIGHTS).read_bytes()


def test_maps_can_be_those_of_a_kept_epoch(computed: Computed, tmp_path: Path) -> None:
    stage = response_maps.stage(at(2).override({"cam.epoch": 1}), HERE)
    model = classifier.load(computed.job(stage, tmp_path), at(2).backbone, at(2).classifier, 6, epoch=1)
    kept = computed.store.folder(computed.trained) / artefacts.epoch_weights(1)
    torch.testing.assert_close(model.fc8.weight, safetensors.torch.load_file(kept)["fc8.weight"], rtol=0, atol=0)
    with pytest.raises(SettingsError, match=r"cam\.epoch = 7: .* only after 1;"):
        classifier.load(computed.job(stage, tmp_path), at(2).backbone, at(2).classifier, 6, epoch=7)


def test_epochs_beyond_the_schedule_are_refused() -> None:
    with pytest.raises(SettingsError, match="must not exceed epochs"):
        at(1, used=(3,))


@pytest.mark.slow
def test_round_killed_in_the_middle_continues_to_the_same_bits(tmp_path: Path, shared_store: Store) -> None:
    overrides = {
        "subcategories.round": 1,
        "subcategories.labels": "parent",
        "subcategories.epochs": 16,
        "subcategories.checkpoints": (1, 8),
    }
    files = [artefacts.CLASSIFIER_WEIGHTS, artefacts.HISTORY, *map(artefacts.epoch_weights, (1, 8))]
    compare_with_undisturbed(tmp_path, shared_store, rounds.trained_stage, overrides, files)


# --- Maps -------------------------------------------------------------------------------------------------------------


def test_merged_maps_are_the_strongest_sub_category_of_each_class(computed: Computed) -> None:
    images = VocDataset(computed.images.root, "val")
    model = computed.model(computed.trained, K)
    scales = at(0).cam.scales
    for i in (0, 3):
        stored = ResponseMaps.read(computed.store.folder(computed.maps["merged"]), images.ids[i]).of_classes(6)
        for c in range(6):
            if not images.labels[i, c]:
                assert not stored[c].any()
                continue
            ones = []
            for k in range(K):
                single = CamClassifier(model.backbone, 1)
                single.fc8.weight.data = model.fc8_sub.weight.data[c * K + k][None]  # type: ignore[union-attr]
                ones.append(cam.response_maps(single, images.image(i), torch.ones(1), scales=scales)[0])
            together = torch.stack(ones)
            torch.testing.assert_close(
                stored[c], (together / (together.max() + 1e-5)).amax(dim=0), rtol=1e-4, atol=1e-5
            )


def test_merged_maps_need_sub_categories(computed: Computed) -> None:
    model = computed.model(computed.without, 0)
    picture = VocDataset(computed.images.root, "val").image(0)
    with pytest.raises(SettingsError, match=r"subcategories\.round to 1"):
        response_maps.fused_maps(model, picture[None], torch.ones(1, 6), at(0).override({"cam.head": "merged"}).cam)


def test_released_weights_with_two_heads_can_be_given_as_a_file(computed: Computed, tmp_path: Path) -> None:
    ours = safetensors.torch.load_file(computed.store.folder(computed.trained) / artefacts.CLASSIFIER_WEIGHTS)
    names = {"fc8.weight": "fc8_20.weight", "fc8_sub.weight": "fc8_200.weight"}
    torch.save(
        {names.get(name, name.removeprefix("backbone.")): tensor for name, tensor in ours.items()}, tmp_path / "a.pth"
    )
    given = classifier.stage(load("smoke", {"classifier.weights": str(tmp_path / "a.pth")}), HERE)
    folder = engine.run([given], computed.store)[given.key]
    loaded = safetensors.torch.load_file(folder / artefacts.CLASSIFIER_WEIGHTS)
    assert loaded.keys() == ours.keys()
    torch.testing.assert_close(loaded["fc8_sub.weight"], ours["fc8_sub.weight"], rtol=0, atol=0)
    shutil.rmtree(folder)


def test_published_labels_are_all_that_the_classifier_of_their_round_needs(computed, tmp_path):
    labels, trained = computed.labels["clusters"], computed.trained
    scores = tmp_path / "snapshot" / published.SCORES
    names = [f"{stage.name}/{stage.key}" for stage in (trained.inputs["data"], labels)]
    published.write(scores, names, [computed.store.root], None)
    published.write_mark(scores)
    own = published.open_store(tmp_path / "own", tmp_path / "snapshot")
    assert isinstance(own, published.ContinuedStore)
    assert [stage.name for stage in engine.missing([trained], own)] == ["data", "backbone", "classifier"]
    engine.run([trained], own)
    assert [stage.key for stage in own.sources([trained])] == [labels.key]
    assert not (own.root / "subcategories").exists()
    here, there = (
        safetensors.torch.load_file(store.folder(trained) / artefacts.CLASSIFIER_WEIGHTS)
        for store in (own, computed.store)
    )
    assert all(torch.equal(here[name], there[name]) for name in there)

    (scores / labels.name / labels.key / artefacts.SUBCATEGORIES).unlink()
    shutil.rmtree(own.root)
    assert [stage.name for stage in engine.missing([trained], own)].count("classifier") == 3
