"""What each exact trick saves on one core: folded BatchNorm, sub-grids, frozen layers without gradients, kept maps.

`OMP_NUM_THREADS=1 python benchmarks/cpu_tricks.py`: EfficientNet-Lite0 at stride 16 with random weights; training on
batches of 16 crops of 160 pixels, response maps of images of 256 x 192. Equality: tests/thesislib/test_cpu_tricks.py
and test_timm_backbone.py. CPU milliseconds an image, the best of some repeats.
"""

import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from thesislib.models.affinitynet import AffinityNet
from thesislib.models.folding import fold
from thesislib.models.subgrids import SubgridConv2d, is_depthwise, is_dilated_depthwise
from thesislib.models.timm_backbone import TimmBackbone, create

NETWORK, STRIDE = "tf_efficientnet_lite0", 16
BATCH, CROP, IMAGE = 16, 160, (192, 256)
SCALES = (0.5, 1, 1.5, 2)
REPEATS = 5


def milliseconds(work: Callable[[], object], images: int) -> float:
    """CPU time an image, the best of some repeats."""
    work()
    spent = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return 1000 * min(spent) / images


def networks() -> Iterator[tuple[str, nn.Module]]:
    """The network after each trick, one after the other; BatchNorm is in evaluation mode from the start."""
    network = create(NETWORK, STRIDE).eval()
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    yield "timm's, BatchNorm in evaluation mode", network
    for norm in norms:
        norm.requires_grad_(False)
    yield "its parameters frozen", network
    for conv in fold(network, lambda: network.forward_features(torch.zeros(1, 3, 96, 128))):
        conv.get_parameter("bias").requires_grad_(False)
    yield "folded into the convolutions", network
    early = TimmBackbone(NETWORK, stride=STRIDE).early
    for path in early:
        for parameter in network.get_submodule(path).parameters(recurse=False):
            parameter.requires_grad_(False)
    yield "stages before the last frozen", network
    for layer in filter(is_depthwise, network.modules()):
        layer.requires_grad_(False)
    yield "depthwise weights frozen", network
    for path, layer in list(network.named_modules()):
        if is_dilated_depthwise(layer):
            network.set_submodule(path, SubgridConv2d.of(layer))
    yield "dilated depthwise on sub-grids", network


def train(network: nn.Module, images: Tensor) -> None:
    """Forward and backward through the pooled features."""
    network.zero_grad(set_to_none=True)
    network.forward_features(images).mean((2, 3)).square().sum().backward()  # type: ignore[operator]


def main() -> None:
    """Print a line for each trick, and what maps that are kept save AffinityNet."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    crops = torch.randn(BATCH, 3, CROP, CROP, generator=generator)
    sizes = [tuple(round(side * scale) for side in IMAGE) for scale in SCALES]
    pictures = [torch.randn(2, 3, *size, generator=generator) for size in sizes]
    print("ms an image", "training", *(f"scale {scale:g}" for scale in SCALES), sep="  ")
    for name, network in networks():
        step = milliseconds(lambda network=network: train(network, crops), BATCH)
        with torch.no_grad():
            maps = [milliseconds(lambda n=network, x=x: n.forward_features(x), len(x)) for x in pictures]  # type: ignore[misc]
        print(f"{name:38} {step:7.1f} ", *(f"{each:7.1f}" for each in maps))
    with torch.no_grad():
        last = [milliseconds(lambda x=x: network.forward_features(x), len(x)) for x in channels_last(network, pictures)]
    print(f"{'channels-last':38} {'':7} ", *(f"{each:7.1f}" for each in last))
    model = AffinityNet(TimmBackbone(NETWORK, stride=STRIDE)).eval()
    image = torch.randn(8, 3, *IMAGE, generator=generator)
    with torch.no_grad():
        levels = model.levels(image)
        once = milliseconds(lambda: model.levels(image), len(image))
    head = milliseconds(lambda: model.affinities(model.embed(levels)).sum().backward(), len(image))
    print(f"AffinityNet: maps of an image {once:.1f}, computed once; its head forward and backward {head:.1f}")


def channels_last(network: nn.Module, pictures: list[Tensor]) -> list[Tensor]:
    """The same network (in place) and images in the other order of memory."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return [picture.contiguous(memory_format=torch.channels_last) for picture in pictures]


if __name__ == "__main__":
    main()
