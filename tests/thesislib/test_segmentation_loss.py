"""Label sizes and loss of the segmentation network against golden vectors, PIL and brute force."""

import math

import numpy as np
import pytest
import torch
from golden_formulas import f_labels
from PIL import Image
from places import GOLDEN

from thesislib.losses import resize_labels, segmentation_loss


def some_images(*size, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "g_deeplab.npz") as file:
        return dict(file)


@pytest.mark.parametrize("source, stream", [((37, 53), 9701), ((321, 321), 9702)])
def test_golden_label_sizes(golden, source, stream):
    labels = torch.from_numpy(f_labels(*source, 21, stream, True))[None]
    name = "resize_labels_37x53_to" if source == (37, 53) else "resize_labels_321_to"
    compared = 0
    for key, expected in golden.items():
        if key.startswith(name):
            np.testing.assert_array_equal(resize_labels(labels, expected.shape[1:]), expected)
            compared += 1
    assert compared >= 3


@pytest.mark.parametrize("size", [(41, 41), (9, 13), (1, 1), (31, 7), (64, 96), (5, 200), (130, 19)])
def test_label_sizes_are_pils_whatever_the_shape(size):
    labels = np.random.default_rng(0).integers(0, 256, (2, 64, 96), dtype=np.uint8)
    expected = [Image.fromarray(part).resize(size[::-1], Image.Resampling.NEAREST) for part in labels]
    resized = resize_labels(torch.from_numpy(labels), size)
    assert resized.dtype == torch.uint8
    np.testing.assert_array_equal(resized, np.stack(expected))


# The loss.


def test_loss_is_the_sum_over_outputs_of_the_mean_over_counted_cells():
    rng = np.random.default_rng(1)
    sizes = ((5, 7), (2, 3), (4, 5))  # no cell centre lies between two pixels
    outputs = [torch.from_numpy(rng.normal(size=(2, 4, *size)).astype(np.float32)) for size in sizes]
    labels = rng.choice([0, 1, 2, 3, 255], (2, 21, 27)).astype(np.uint8)
    expected = 0.0
    for logits in outputs:
        scores, (height, width), costs = logits.double().numpy(), logits.shape[2:], []
        for image in range(2):
            for i in range(height):
                for j in range(width):
                    label = labels[image, math.floor((i + 0.5) * 21 / height), math.floor((j + 0.5) * 27 / width)]
                    if label != 255:
                        z = scores[image, :, i, j]
                        costs.append(math.log(sum(math.exp(value) for value in z)) - z[label])
        expected += sum(costs) / len(costs)
    assert segmentation_loss(outputs, torch.from_numpy(labels)).item() == pytest.approx(expected, rel=1e-5)


def test_ignored_pixels_have_no_gradient():
    logits = some_images(1, 3, 4, 4).requires_grad_()
    labels = torch.tensor([[0, 1, 2, 255]] * 4, dtype=torch.uint8)[None]
    segmentation_loss([logits], labels).backward()
    assert (logits.grad[..., 3] == 0).all()
    assert (logits.grad[..., :3] != 0).all()


def test_a_batch_of_ignored_pixels_costs_nothing():
    logits = some_images(1, 3, 4, 4).requires_grad_()
    loss = segmentation_loss([logits], torch.full((1, 8, 8), 255, dtype=torch.uint8))
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("wrong", [3, 254, -1])
def test_labels_that_are_no_class_are_refused(wrong):
    labels = torch.tensor([[[0, 2], [255, wrong]]])
    with pytest.raises(ValueError, match=rf"0\.\.2 or be 255.*{wrong}.*number of classes"):
        segmentation_loss([torch.zeros(1, 3, 2, 2)], labels)
