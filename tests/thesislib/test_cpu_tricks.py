"""Exact tricks for processors: folding BatchNorm and dilated depthwise convolutions on sub-grids."""

import pytest
import torch
from torch import nn

from thesislib.models.folding import fold, followers
from thesislib.models.subgrids import SubgridConv2d, is_dilated_depthwise


@pytest.mark.parametrize("size", [(8, 12), (9, 13), (7, 10), (1, 3)])
@pytest.mark.parametrize(("kernel", "dilation"), [(3, 2), (5, 2), (3, 4), (5, 3)])
def test_sub_grids_give_output_and_gradients_of_the_dilated_convolution(size, kernel, dilation):
    generator = torch.Generator().manual_seed(0)
    conv = nn.Conv2d(6, 6, kernel, padding=dilation * (kernel // 2), dilation=dilation, groups=6)
    assert is_dilated_depthwise(conv)
    maps = torch.randn(2, 6, *size, generator=generator).requires_grad_()
    results = []
    for layer in (conv, SubgridConv2d.of(conv)):
        output = layer(maps)
        weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(1))
        gradients = torch.autograd.grad((output * weights).sum(), [maps, *layer.parameters()])
        results.append([output, *gradients])
    for expected, received in zip(*results, strict=True):
        torch.testing.assert_close(received, expected, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        assert torch.equal(SubgridConv2d.of(conv)(maps), conv(maps))  # the forward pass alone stays as it is


def test_sub_grids_stand_for_dilated_depthwise_convolutions_alone():
    dilated = {"padding": 2, "dilation": 2}
    assert not is_dilated_depthwise(nn.Conv2d(6, 6, 3, padding=1, groups=6))
    assert not is_dilated_depthwise(nn.Conv2d(6, 6, 3, **dilated))
    assert not is_dilated_depthwise(nn.Conv2d(6, 6, 3, 2, **dilated, groups=6))
    assert not is_dilated_depthwise(nn.Conv2d(6, 6, 3, padding=1, dilation=2, groups=6))


class _Block(nn.Module):
    """A BatchNorm before and behind a convolution, and one behind a sum."""

    def __init__(self):
        super().__init__()
        self.before, self.conv = nn.BatchNorm2d(3), nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.behind, self.summed = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x):
        return self.summed(x + self.behind(self.conv(self.before(x))))


def test_batch_norm_is_folded_where_it_follows_a_convolution():
    block = _Block()
    generator = torch.Generator().manual_seed(0)
    for name, tensor in block.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5 * ("var" in name))
    block.eval()
    maps = torch.randn(2, 3, 5, 7, generator=generator)
    expected = block(maps)
    assert followers(block, lambda: block(maps)) == [(block.conv, "behind")]
    assert fold(block, lambda: block(maps)) == [block.conv]
    assert isinstance(block.behind, nn.Identity) and isinstance(block.before, nn.BatchNorm2d)
    torch.testing.assert_close(block(maps), expected)
