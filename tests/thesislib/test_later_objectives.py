"""Self-regularisation in steps 2 and 3 against loops over pixels and pairs."""

import numpy as np
import pytest
import torch
from torch import nn

from thesislib.later_objectives import AffinityObjective, SegmentationObjective
from thesislib.losses import resize_labels
from thesislib.mixing import draw_mix
from thesislib.models.affinitynet import AffinityNet
from thesislib.models.resnet38 import ResNet38
from thesislib.refinement import affinity_entropy
from thesislib.refinement.pairs import pair_offsets, source_shape

B, C, ALPHA, WEIGHT = 3, 4, 1.0, 0.3


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(seed):
    rng = np.random.default_rng(seed)
    return rng.beta(ALPHA, ALPHA), rng.permutation(B)


# --- The segmentation network -----------------------------------------------------------------------------------------


class Segmenter(nn.Module):
    """Logits at two sizes, and those that stand for their maximum, by one convolution."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.conv = nn.Conv2d(3, C, 3)

    def forward(self, images):
        return [self.conv(images), self.conv(images[..., ::2, ::2]), 2 * self.conv(images)]


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter()


@pytest.fixture(scope="module")
def masked():
    masks = torch.randint(C, (B, 10, 12), generator=generator()).to(torch.uint8)
    masks[torch.rand(masks.shape, generator=generator(1)) < 0.3] = 255
    return [torch.randn(B, 3, 10, 12, generator=generator(2)), masks]


def pixel_loss(logits, masks):
    """Mean cross-entropy of the pixels that are not ignored, by a loop over them."""
    losses = []
    for i, r, c in np.ndindex(*masks.shape):
        if masks[i, r, c] != 255:
            p = np.exp(logits[i, :, r, c]) / np.exp(logits[i, :, r, c]).sum()
            losses.append(-np.log(p[masks[i, r, c]]))
    return np.mean(losses)


@pytest.mark.parametrize("seed", range(3))
def test_the_loss_of_every_pixel_is_mixed_and_what_one_image_ignores_the_other_may_not(segmenter, masked, seed):
    images, masks = masked
    weight, partner = drawn(seed)
    outputs = segmenter(weight * images + (1 - weight) * images[partner])
    wanted = 0
    for each in outputs:
        logits, cells = each.detach().double().numpy(), resize_labels(masks, each.shape[2:]).numpy()
        wanted += weight * pixel_loss(logits, cells) + (1 - weight) * pixel_loss(logits, cells[partner])
    found = SegmentationObjective(ALPHA)(segmenter, masked, np.random.default_rng(seed))
    assert found.keys() == {"segmentation"}
    assert found["segmentation"].item() == pytest.approx(wanted, rel=1e-5)


def test_the_entropy_is_that_of_the_fused_prediction_normalised_as_in_advent(segmenter, masked):
    found = SegmentationObjective(lambda_ent=WEIGHT)(segmenter, masked, np.random.default_rng(0))
    p = segmenter(masked[0])[-1].detach().double().softmax(dim=1).numpy()
    n, c, h, w = p.shape
    wanted = -(p * np.log2(p)).sum() / (n * h * w * np.log2(c))
    assert found["entropy"].item() == pytest.approx(WEIGHT * wanted, rel=1e-5)
    undecided = Segmenter()
    for parameter in undecided.parameters():
        nn.init.zeros_(parameter)
    even = SegmentationObjective(lambda_ent=1)(undecided, masked, np.random.default_rng(0))
    assert even["entropy"].item() == pytest.approx(1)


# --- AffinityNet ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return AffinityNet(ResNet38(width=1 / 64), generator=generator()).eval()


@pytest.fixture(scope="module")
def labelled():
    labels = torch.tensor([0, 1, 2, 255], dtype=torch.uint8)[torch.randint(4, (B, 6, 10), generator=generator(1))]
    return [torch.randn(B, 3, 48, 80, generator=generator(2)), labels]


def pair_loss(affinity, labels):
    """A quarter for pairs of the background, a quarter for those of one class, half for others, by a loop over them."""
    found = {"background": [], "foreground": [], "different": []}
    rows, columns = source_shape(*labels.shape[1:])
    for i, (p, (dy, dx)) in [(i, each) for i in range(B) for each in enumerate(pair_offsets())]:
        for n, (r, c) in enumerate(np.ndindex(rows, columns)):
            source, target = labels[i, r, c + 4], labels[i, r + dy, c + 4 + dx]
            if 255 in (source, target):
                continue
            alike = "foreground" if source else "background"
            a = affinity[i, p, n]
            found[alike if source == target else "different"].append(-np.log(a if source == target else 1 - a))
    return sum(np.mean(found[kind]) * share for kind, share in zip(found, (0.25, 0.25, 0.5), strict=True))


@pytest.mark.parametrize("of_maps", [False, True])
def test_the_loss_of_every_pair_is_mixed_over_mixed_images_or_mixed_maps(network, labelled, of_maps):
    images, labels = labelled
    weight, partner = drawn(0)
    inputs = network.levels(images) if of_maps else [images]
    mixed = [weight * each + (1 - weight) * each[partner] for each in inputs]
    affinity = network.affinities(network.embed(mixed)) if of_maps else network(*mixed)
    pairs = affinity.detach().double().numpy()
    wanted = weight * pair_loss(pairs, labels.numpy()) + (1 - weight) * pair_loss(pairs, labels.numpy()[partner])
    objective = AffinityObjective(ALPHA, lambda_ent=WEIGHT, of_maps=of_maps)
    found = objective(network, [*inputs, labels], np.random.default_rng(0))
    assert found["affinity"].item() == pytest.approx(wanted, rel=1e-3)  # the published loss adds 1e-5 to logarithms
    entropy = -(pairs * np.log2(pairs) + (1 - pairs) * np.log2(1 - pairs)).mean()
    assert found["entropy"].item() == pytest.approx(WEIGHT * entropy, rel=1e-3)


def test_pairs_of_equal_cells_have_no_entropy_and_a_finite_gradient():
    distance = torch.zeros(1, 2, 3, requires_grad=True)
    entropy = affinity_entropy((-distance).exp())
    entropy.backward()
    assert entropy.item() == pytest.approx(0, abs=1e-4)
    assert distance.grad.isfinite().all()


# --- Both -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_hard_labels_are_those_of_the_image_that_weighs_more(segmenter, masked, seed):
    images, masks = masked
    weight, partner = drawn(seed)
    mixed, whose = weight * images + (1 - weight) * images[partner], masks if weight >= 0.5 else masks[partner]
    found = SegmentationObjective(ALPHA, "hard_labels")(segmenter, masked, np.random.default_rng(seed))
    alone = SegmentationObjective()(segmenter, [mixed, whose], np.random.default_rng(seed))
    assert torch.equal(found["segmentation"], alone["segmentation"])


def test_without_mixup_nothing_is_drawn_and_another_way_to_mix_is_refused():
    rng = np.random.default_rng(0)
    assert draw_mix(B, 0, rng).loss(torch.sum, torch.ones(B)) == B
    assert rng.random() == np.random.default_rng(0).random()
    with pytest.raises(ValueError, match="mixup, hard_labels; got 'fmix'"):
        draw_mix(B, 0.2, rng, "fmix")
