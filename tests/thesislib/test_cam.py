"""Response maps against golden vectors, a direct reading of the published steps, and properties."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from golden_formulas import f_image, fill_weights
from PIL import Image
from places import GOLDEN
from torch import nn
from torch.nn import functional as F

from thesislib.cam import label_map, merge_subcategories, normalize, response_maps, response_maps_batch
from thesislib.data.transforms import to_tensor
from thesislib.models.classifier import CamClassifier
from thesislib.models.resnet38 import ResNet38

PRESENT = [1, 6, 19]
BACKGROUNDS = (0.15, 0.30, 0.50)


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "d_fusion_formula.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def model():
    """A small network whose response changes its sign inside every map."""
    classifier = CamClassifier(ResNet38(width=1 / 64), 4).eval()
    fill_weights(classifier)
    with torch.no_grad():
        typical = classifier(to_tensor(f_image(45, 37, 9101))[None]).pooled[0]
        weight = classifier.fc8.weight[:, :, 0, 0]
        weight -= torch.outer(weight @ typical, typical) / typical.square().sum()
    return classifier


class Recorded(nn.Module):
    """Gives recorded maps of one image, pass by pass (plain, mirrored), and others where a class is absent."""

    def __init__(self, passes):
        super().__init__()
        self.passes = iter(passes)

    def forward(self, images):
        maps = torch.full((len(images), 20, *images.shape[2:]), 7.0)
        maps = F.interpolate(maps, (24, 32))
        maps[0, PRESENT] = torch.from_numpy(next(self.passes))
        maps[1, PRESENT] = torch.from_numpy(next(self.passes)).flip(-1)
        return SimpleNamespace(response=maps)


def test_fusion_agrees_with_the_published_code(golden):
    labels = torch.from_numpy(golden["label"])
    maps = response_maps(Recorded(golden["in20_present"]), f_image(24, 32, 1), labels)
    normalized = normalize(maps)
    np.testing.assert_allclose(normalized[PRESENT], golden["norm_cam_present"], atol=1e-6, rtol=0)
    assert not normalized[labels == 0].any()
    for background in BACKGROUNDS:
        np.testing.assert_array_equal(label_map(normalized, background), golden[f"seg_map_th{background:.2f}"])


def test_merged_subcategories_agree_with_the_published_code(golden):
    maps = torch.zeros(20, 10, 24, 32)
    maps[PRESENT] = torch.from_numpy(golden["in200_present"]).sum(dim=0).unflatten(0, (3, 10))
    merged = merge_subcategories(maps.flatten(0, 1), k=10)
    np.testing.assert_allclose(merged[PRESENT], golden["merged200_present"], atol=1e-6, rtol=0)
    for background in BACKGROUNDS:
        np.testing.assert_array_equal(label_map(merged, background), golden[f"seg_map200_th{background:.2f}"])


def maps_step_by_step(model, image, labels, scales, flip):
    """Fact by fact: resize, normalise, mirror, one pass each, rectify, enlarge, turn back, mask, sum."""
    height, width = image.shape[:2]
    total = np.zeros((len(labels), height, width))
    for scale in scales:
        small = Image.fromarray(image).resize((round(width * scale), round(height * scale)), Image.Resampling.BICUBIC)
        pixels = (np.asarray(small) / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
        for mirrored in (False, True)[: 1 + flip]:
            view = pixels[:, ::-1] if mirrored else pixels
            inputs = torch.from_numpy(np.ascontiguousarray(view.transpose(2, 0, 1), np.float32))[None]
            with torch.no_grad():
                response = model(inputs).response.clamp(min=0)
            maps = F.interpolate(response, size=(height, width), mode="bilinear", align_corners=False)[0].numpy()
            total += (maps[:, :, ::-1] if mirrored else maps) * np.asarray(labels)[:, None, None]
    return total


@pytest.mark.parametrize(("scales", "flip"), [((1.0, 0.5, 1.5, 2.0), True), ((1.0, 0.5), False), ((1.3,), True)])
def test_response_maps_agree_with_the_published_steps(model, scales, flip):
    image, labels = f_image(45, 37, 9101), torch.tensor([1.0, 0.0, 1.0, 1.0])
    maps = response_maps(model, image, labels, scales=scales, flip=flip)
    expected = maps_step_by_step(model, image, labels, scales, flip)
    assert maps.shape == (4, 45, 37) and maps.dtype == torch.float32
    assert (expected[[0, 2, 3]].max(axis=(1, 2)) > 0).all()
    np.testing.assert_allclose(maps, expected, atol=1e-5 * expected.max(), rtol=0)


def test_a_batch_gives_the_maps_of_its_images(model):
    images = np.stack([f_image(32, 40, stream) for stream in range(3)])
    labels = torch.tensor([[1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]])
    maps = response_maps_batch(model, images, labels)
    singles = torch.stack([response_maps(model, *example) for example in zip(images, labels, strict=True)])
    torch.testing.assert_close(maps, singles, atol=1e-5 * float(maps.max()), rtol=0)
    assert not maps[labels == 0].any() and maps[labels == 1].any()


def test_mirroring_an_image_mirrors_its_maps(model):
    image, labels = f_image(32, 40, 7), torch.ones(4)
    maps, mirrored = response_maps(model, image, labels), response_maps(model, image[:, ::-1].copy(), labels)
    torch.testing.assert_close(mirrored.flip(-1), maps, atol=1e-5 * float(maps.max()), rtol=0)


def test_a_model_in_training_is_evaluated_and_its_modes_restored(model):
    image, labels = f_image(24, 24, 5), torch.ones(4)
    expected = response_maps(model, image, labels)
    statistics = model.backbone.bn7.running_mean.clone()
    model.train()
    model.backbone.bn7.eval()
    maps = response_maps(model, image, labels)
    assert torch.equal(maps, expected) and not maps.requires_grad
    assert model.training and model.dropout.training and not model.backbone.bn7.training
    assert torch.equal(model.backbone.bn7.running_mean, statistics)
    model.eval()


def test_a_scale_that_leaves_no_pixel_is_refused(model):
    with pytest.raises(ValueError, match="leaves nothing of an image of 40 x 4 pixels"):
        response_maps(model, f_image(4, 40, 0), torch.ones(4), scales=(0.1,))


def test_normalized_maps_lie_in_the_unit_interval_and_empty_ones_stay_empty():
    maps = torch.rand(5, 6, 7, generator=torch.Generator().manual_seed(0)) * 50
    maps[2] = 0
    normalized = normalize(maps)
    assert normalized.min() >= 0 and normalized.max() < 1
    assert not normalized[2].any()
    torch.testing.assert_close(normalized[0] * (maps[0].max() + 1e-5), maps[0])


def test_label_map_is_the_arg_max_with_a_constant_background():
    rng = np.random.default_rng(0)
    maps = rng.choice([0, 0.1, 0.15, 0.2, 0.9], (4, 30, 40)).astype(np.float32)
    for background in (0.0, 0.1, 0.15, 0.9):
        stacked = np.concatenate([np.full((1, 30, 40), background, np.float32), maps])
        labels = label_map(torch.from_numpy(maps), background)
        assert labels.dtype == torch.uint8
        np.testing.assert_array_equal(labels, stacked.argmax(axis=0))


def test_merging_needs_whole_blocks():
    with pytest.raises(ValueError, match="K = 3, got 4 maps"):
        merge_subcategories(torch.zeros(4, 2, 2), k=3)
