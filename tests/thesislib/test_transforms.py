"""Normalisation and augmentations against torchvision, PIL and properties that must hold."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision.transforms.functional as F
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter

from thesislib.data.augmentation import Augmentation
from thesislib.data.transforms import (
    CAFFE,
    IMAGENET,
    IMAGENET_MEAN,
    IMAGENET_STD,
    augment,
    augment_jointly,
    crop_window,
    draw_geometry,
    to_tensor,
)

NO_JITTER = (0.0, 0.0, 0.0, 0.0)


@pytest.fixture
def image():
    rng = np.random.default_rng(3)
    smooth = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return np.array(Image.fromarray(smooth).resize((42, 30), Image.Resampling.BICUBIC))


def test_normalisation_is_torchvisions(image):
    expected = F.normalize(F.to_tensor(image), IMAGENET_MEAN, IMAGENET_STD)
    torch.testing.assert_close(to_tensor(image), expected)
    assert torch.equal(to_tensor(image), to_tensor(Image.fromarray(image)))
    assert to_tensor(image).is_contiguous()


def test_caffe_preprocessing_is_bgr_bytes_minus_the_mean(image):
    tensor = to_tensor(image, CAFFE)
    expected = image[..., ::-1].astype(np.float64) - [104.008, 116.669, 122.675]
    np.testing.assert_allclose(tensor.permute(1, 2, 0), expected, atol=1e-4)
    assert tensor.is_contiguous()
    assert torch.equal(to_tensor(image, IMAGENET), to_tensor(image))


def test_to_tensor_copies(image):
    before = image.copy()
    to_tensor(image).zero_()
    assert (image == before).all()


def test_images_that_are_not_rgb_are_refused(image):
    with pytest.raises(ValueError, match=r"mode 'L'.*convert"):
        to_tensor(Image.fromarray(image).convert("L"))


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"long_side": (10, 5)}, "long_side"),
        ({"crop": 15}, "crop must be at least 16, got 15"),
        ({"mirror": 1.5}, "mirror must be at most 1, got 1.5"),
        ({"long_side": None, "scales": (0.5, 9.0)}, "scales .* up to 8"),
        ({"long_side": None, "scales": (0.5, 0.0)}, r"scales must be positive .*\(0.5, 0.0\)"),
        ({"long_side": (5, 10), "scales": (0.5, 1.0)}, "long_side or by scales"),
        ({"jitter": (0.1, 0.1, 0.1, 0.6)}, "hue"),
        ({"jitter": (-0.1, 0.1, 0.1, 0.1)}, "jitter"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, named):
    with pytest.raises(ValueError, match=named):
        Augmentation(**wrong)


def test_same_generator_same_view(image):
    settings = Augmentation((20, 60), 32)
    views = [augment(image, np.random.default_rng(seed), settings) for seed in (5, 5, 6)]
    assert torch.equal(views[0], views[1])
    assert not torch.equal(views[0], views[2])
    jointly, _ = augment_jointly(image, [np.zeros(image.shape[:2], np.uint8)], np.random.default_rng(5), settings)
    assert torch.equal(views[0], jointly)


def test_resize_is_bicubic_of_the_long_side(image):
    view = augment(image, np.random.default_rng(0), Augmentation((63, 63), 63, mirror=0.0, jitter=NO_JITTER))
    resized = to_tensor(Image.fromarray(image).resize((63, 45), Image.Resampling.BICUBIC))
    rows = view.abs().sum(dim=(0, 2)).nonzero().flatten()
    assert torch.equal(view[:, rows[0] : rows[0] + 45], resized)


def test_long_side_takes_every_length_of_its_range():
    rng = np.random.default_rng(0)
    shapes = {draw_geometry(30, 20, rng, Augmentation((6, 12), 16))[:2] for _ in range(400)}
    assert shapes == {(long, round(20 * long / 30)) for long in range(6, 13)}


def test_own_size_without_long_side():
    geometry = draw_geometry(30, 20, np.random.default_rng(0), Augmentation(None, 16))
    assert (geometry.height, geometry.width) == (30, 20)


def test_every_scale_is_drawn_equally_often():
    rng = np.random.default_rng(0)
    scales = (0.5, 0.75, 1.0, 1.25, 1.5)
    settings = Augmentation(None, 33, scales=scales)
    shapes = [draw_geometry(60, 40, rng, settings)[:2] for _ in range(1000)]
    counts = [shapes.count((round(60 * scale), round(40 * scale))) for scale in scales]
    assert sum(counts) == 1000
    assert all(150 <= count <= 250 for count in counts)  # 200 expected, deviation 12.6


def test_segmentation_views_are_scaled_padded_with_the_mean_and_ignored_there(image):
    labels = np.kron(np.arange(30)[:, None] % 3, np.ones((1, 42))).astype(np.uint8)
    settings = Augmentation(None, 40, mirror=0.5, jitter=NO_JITTER, scales=(0.5, 1.5))
    rng = np.random.default_rng(2)
    sizes = set()
    for _ in range(60):
        view, (mask,) = augment_jointly(image, [labels], rng, settings, CAFFE)
        assert torch.equal((view == 0).all(dim=0), mask == 255)  # no pixel of the image equals the mean of Caffe
        sizes.add(int((mask != 255).sum()))
    assert sizes == {15 * 21, 40 * 40}


def test_mirror_happens_with_its_probability(image):
    plain = to_tensor(image)
    rng = np.random.default_rng(0)
    settings = Augmentation(None, 42, mirror=0.25, jitter=NO_JITTER)
    mirrored = 0
    for _ in range(400):
        view = augment(image, rng, settings)
        top = int(view.abs().sum(dim=(0, 2)).nonzero()[0])
        visible = view[:, top : top + 30]
        mirrored += torch.equal(visible, plain.flip(-1))
        assert torch.equal(visible, plain) or torch.equal(visible, plain.flip(-1))
    assert 70 <= mirrored <= 130  # 100 expected, deviation 8.7


def test_padding_is_zero_after_normalisation_and_all_offsets_occur(image):
    rng = np.random.default_rng(0)
    offsets = set()
    for _ in range(300):
        view = augment(image, rng, Augmentation(None, 45, mirror=0.0))
        inside = view.abs().sum(dim=0) > 0
        rows, columns = inside.any(dim=1).nonzero().flatten(), inside.any(dim=0).nonzero().flatten()
        assert (len(rows), len(columns)) == (30, 42)
        offsets.add((int(rows[0]), int(columns[0])))
    assert {y for y, _ in offsets} == set(range(16))
    assert {x for _, x in offsets} == set(range(4))


def test_a_window_inside_the_image_takes_all_positions(image):
    rng = np.random.default_rng(0)
    pixels = to_tensor(image)
    settings = Augmentation(None, 26, mirror=0.0, jitter=NO_JITTER)
    positions = {
        (y, x): pixels[:, y : y + 26, x : x + 26] for y, x in itertools.product(range(30 - 26 + 1), range(42 - 26 + 1))
    }
    seen = set()
    for _ in range(500):
        view = augment(image, rng, settings)
        matches = [position for position, window in positions.items() if torch.equal(window, view)]
        assert len(matches) == 1
        seen.update(matches)
    assert {y for y, _ in seen} == set(range(5))
    assert {x for _, x in seen} == set(range(17))


def test_joint_label_maps_stay_on_their_image():
    rng = np.random.default_rng(1)
    colours = np.array([[20, 20, 20], [230, 40, 40], [40, 230, 40]], np.uint8)
    labels = np.kron(rng.integers(0, 3, (5, 7)), np.ones((9, 9))).astype(np.uint8)
    settings = Augmentation((30, 90), 48, jitter=NO_JITTER)
    compared = 0
    for _ in range(60):
        view, (first, second) = augment_jointly(colours[labels], [labels, labels], rng, settings)
        assert torch.equal(first, second)
        mask = first.numpy()
        assert (view.numpy()[:, mask == 255] == 0).all()
        assert set(np.unique(mask)) <= {0, 1, 2, 255}
        distance = ((view[None] - to_tensor(colours[None])[:, 0].T[:, :, None, None]) ** 2).sum(dim=1)
        interior = (minimum_filter(mask, 5) == maximum_filter(mask, 5)) & (mask != 255)
        assert (distance.argmin(dim=0).numpy()[interior] == mask[interior]).all()
        compared += interior.sum()
    assert compared > 5000


def test_label_map_of_another_size_is_refused(image):
    with pytest.raises(ValueError, match=r"\(30, 42\).*\(42, 30\)"):
        picture = Image.fromarray(image)
        augment_jointly(picture, [np.zeros((42, 30), np.uint8)], np.random.default_rng(0), Augmentation(None, 16))


def test_score_maps_share_the_window(image):
    rng = np.random.default_rng(0)
    geometry = draw_geometry(30, 42, rng, Augmentation(None, 36, mirror=0.0))
    scores = torch.arange(30 * 42.0).reshape(1, 30, 42) + 1
    window = crop_window(scores, geometry, fill=0)
    assert window.shape == (1, 36, 36)
    assert (window == 0).sum() == 6 * 36
    assert window[0, -geometry.top, 0] == 1 + geometry.left


@pytest.mark.parametrize(
    ("index", "function", "low", "high"),
    [
        (0, F.adjust_brightness, 0.7, 1.3),
        (1, F.adjust_contrast, 0.7, 1.3),
        (2, F.adjust_saturation, 0.7, 1.3),
        (3, F.adjust_hue, -0.1, 0.1),
    ],
)
def test_each_jitter_is_one_of_torchvisions_results(image, index, function, low, high):
    strength = tuple((0.3, 0.3, 0.3, 0.1)[i] if i == index else 0.0 for i in range(4))
    grid = np.linspace(low, high, 301)
    results = np.stack([np.array(function(Image.fromarray(image), float(value))) for value in grid]).astype(int)
    rng = np.random.default_rng(0)
    found = []
    for _ in range(20):
        view = augment(image, rng, Augmentation(None, 42, mirror=0.0, jitter=strength))
        top = int(view.abs().sum(dim=(0, 2)).nonzero()[0])
        mean, std = torch.tensor(IMAGENET_MEAN)[:, None, None], torch.tensor(IMAGENET_STD)[:, None, None]
        pixels = ((view[:, top : top + 30] * std + mean) * 255).round().to(torch.int64).permute(1, 2, 0).numpy()
        distance = np.abs(results - pixels).max(axis=(1, 2, 3))
        assert distance.min() <= 1  # the grid's nearest factor differs by at most half a step
        found.append(grid[distance.argmin()])
    assert min(found) < low + 0.2 * (high - low)
    assert max(found) > high - 0.2 * (high - low)


def test_colour_changes_come_in_every_order_between_resize_and_normalisation(image, monkeypatch):
    calls = []

    def record(name, picture):
        calls.append((name, picture))
        return picture

    for name in ("adjust_brightness", "adjust_contrast", "adjust_saturation", "adjust_hue"):
        monkeypatch.setattr(F, name, lambda picture, _, name=name: (calls.append((name, picture)), picture)[1])
    rng = np.random.default_rng(0)
    orders = set()
    for _ in range(300):
        calls.clear()
        augment(image, rng, Augmentation((21, 21), 16))
        assert {picture.size for _, picture in calls} == {(21, 15)}
        orders.add(tuple(name for name, _ in calls))
    assert orders == set(itertools.permutations([name for name, _ in calls]))


def test_colour_changes_without_strength_are_left_out(image, monkeypatch):
    monkeypatch.setattr(F, "adjust_hue", None)
    augment(image, np.random.default_rng(0), Augmentation((21, 21), 16, jitter=(0.3, 0.3, 0.3, 0.0)))


# --- The crop first ---------------------------------------------------------------------------------------------------

VIEWS = [
    Augmentation((20, 60), 24, jitter=NO_JITTER),
    Augmentation((20, 60), 40, jitter=NO_JITTER),
    Augmentation(None, 26, jitter=NO_JITTER),
    Augmentation(None, 40, scales=(0.5, 0.75, 1.5), jitter=NO_JITTER),
]
LEVEL = 1 / 255 / min(IMAGENET_STD)


def both_orders(image, labels, settings, seed):
    return [
        augment_jointly(image, labels, np.random.default_rng(seed), replace(settings, order=order))
        for order in ("published", "crop_first")
    ]


@pytest.mark.parametrize("settings", VIEWS)
def test_with_the_crop_first_the_same_pixels_come_out(image, settings):
    labels = np.kron(np.arange(30)[:, None] % 3, np.ones((1, 42))).astype(np.uint8)
    for seed in range(60):
        (published, windows), (cropped, others) = both_orders(image, [labels], settings, seed)
        difference = (cropped - published).abs()
        assert (difference < 1e-6).float().mean() > 0.95
        assert difference.max() < 2.01 * LEVEL  # PIL rounds to 8 bits after the rows and after the columns
        assert torch.equal((cropped == 0).all(dim=0), (published == 0).all(dim=0))  # the padding
        assert torch.equal(windows[0], others[0])


@pytest.mark.parametrize("kind", [0, 2, 3])
def test_with_the_crop_first_changes_of_single_pixels_are_the_same(image, kind):
    strengths = tuple((0.3, 0.3, 0.3, 0.1)[i] if i == kind else 0.0 for i in range(4))
    settings = Augmentation(None, 26, jitter=strengths)  # at its own size, so that no interpolation rounds
    for seed in range(20):
        (published, _), (cropped, _) = both_orders(image, [], settings, seed)
        assert torch.equal(cropped, published)


def test_with_the_crop_first_contrast_pulls_towards_the_mean_grey_of_the_crop(image):
    settings = Augmentation(None, 20, mirror=0.0, jitter=(0.0, 0.3, 0.0, 0.0), order="crop_first")
    different = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        geometry = draw_geometry(30, 42, rng, settings)
        rng.permutation(4)
        factor = float(rng.uniform(0.7, 1.3))
        window = image[geometry.top : geometry.top + 20, geometry.left : geometry.left + 20]
        expected = to_tensor(F.adjust_contrast(Image.fromarray(window), factor))
        (published, _), (cropped, _) = both_orders(image, [], settings, seed)
        assert torch.equal(cropped, expected)
        different += not torch.equal(cropped, published)
    assert different > 10


def test_a_window_that_holds_the_whole_image_does_not_depend_on_the_order(image):
    for seed in range(20):
        (published, _), (cropped, _) = both_orders(image, [], Augmentation((30, 60), 64), seed)
        assert torch.equal(cropped, published)
