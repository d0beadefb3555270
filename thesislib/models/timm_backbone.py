"""Any convolutional network of timm as a backbone, with the strides, maps and normalisation that timm gives it.

Not a network of the thesis; Wightman, "PyTorch Image Models", 2019. What a training keeps is the counterpart of what
psa keeps in ResNet-38: the stem and every stage before the last, BatchNorm, and depthwise weights, which hold a
hundredth of all weights and take a sixth of a step on a processor.

Deliberate differences from timm: frozen BatchNorm is folded into the convolutions for good; dilated depthwise
convolutions run on sub-grids; the maps for AffinityNet are divided by their root mean square, since unlike those of
ResNet-38 they come without normalisation.
"""

import difflib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from thesislib.data.transforms import Preprocessing
from thesislib.models.backbone import Tap
from thesislib.models.folding import fold
from thesislib.models.freezing import FreezableNorms
from thesislib.models.subgrids import SubgridConv2d, is_depthwise, is_dilated_depthwise

PREFIX = "timm/"
FINEST_TAP = 4  # pixels per cell; what lies before has seen too little of the image
EMBEDDED = (32, 32, 64, 128)  # channels that AffinityNet makes of the last four maps
AFFINITY_GRID = 8
RMS_EPS = 1e-6
PROBE = (96, 128)  # rows and columns of the image that shows strides


class TimmBackbone(FreezableNorms):
    """A network of timm without its classification head; a `Backbone`.

    Args:
        name: timm's, such as `tf_efficientnet_lite0`; a tag behind a dot, such as `resnet50.a1_in1k`, is allowed.
        stride: pixels per cell of the features; later stages are dilated instead of strided.
        tensors: timm's state of the whole network, which is folded; without it, weights are random until loaded.

    Shapes:
        images `(B, 3, H, W)`, normalised RGB -> the features `(B, channels, h, w)` with `ceil(H / stride)` rows.

    Raises:
        ValueError: timm has no such network, it has no map of features, its stride cannot be had, or `tensors` are
            those of another one.
    """

    def __init__(self, name: str, *, stride: int = 16, tensors: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        self.name, self.stride = name, stride
        self.network: Any = create(name, stride).eval()
        if tensors is not None:
            _fill(self.network, tensors, name)
        maps, features = self._probe()
        self.channels = features[0]
        self.leaves_out_begun_cells = self._rounds_down()
        self.indices = [index for index, (_, own) in enumerate(maps) if own >= FINEST_TAP][-len(EMBEDDED) :]
        embedded = EMBEDDED[-len(self.indices) :]
        self.taps = tuple(Tap(*maps[index], width) for index, width in zip(self.indices, embedded, strict=True))
        self.grid = _grid(self.taps, stride)
        self.preprocessing = _preprocessing(self.network)
        self.early = self._layers_before_last_stage(len(maps))
        self._folded = fold(self.network, lambda: self.network.forward_features(_probe_image(self.network)))
        for path, layer in list(self.network.named_modules()):
            if is_dilated_depthwise(layer):
                self.network.set_submodule(path, SubgridConv2d.of(layer))
        self.train(self.training)

    def freeze(self) -> "TimmBackbone":
        """Fix every stage before the last, BatchNorm (folded or not), and depthwise weights."""
        self.frozen = True
        for layer in (*self._norms(), *filter(is_depthwise, self.network.modules())):
            layer.requires_grad_(False)
        for path, layer in self.network.named_modules():
            if path in self.early:
                for parameter in layer.parameters(recurse=False):
                    parameter.requires_grad_(False)
        for conv in self._folded:
            conv.get_parameter("bias").requires_grad_(False)
        self.train(self.training)
        return self

    def features(self, images: Float[Tensor, "b 3 height width"]) -> Float[Tensor, "b d h w"]:
        """The deepest map, with the convolution behind the last stage where the network has one."""
        return self.network.forward_features(self._prepared(images))

    def levels(self, images: Float[Tensor, "b 3 height width"]) -> list[Tensor]:
        """The last maps of at least 4 pixels a cell, at most four, each image's divided by its root mean square."""
        maps = self.network.forward_intermediates(
            self._prepared(images), indices=self.indices, intermediates_only=True, output_fmt="NCHW"
        )
        return [each / (each.square().mean((1, 2, 3), keepdim=True) + RMS_EPS).sqrt() for each in maps]

    def forward(self, images: Float[Tensor, "b 3 height width"]) -> Float[Tensor, "b d h w"]:
        """As `features`."""
        return self.features(images)

    def _prepared(self, images: Tensor) -> Tensor:
        """Images of whole cells, padded by the mean colour, for networks that leave out a begun one or refuse it."""
        if self.leaves_out_begun_cells:
            height, width = images.shape[2:]
            images = F.pad(images, (0, -width % self.stride, 0, -height % self.stride))
        if torch.is_grad_enabled():
            return images
        return images.contiguous(memory_format=torch.channels_last)  # the same numbers, a fifth faster

    def _probe(self) -> tuple[list[tuple[int, int]], tuple[int, int]]:
        """Channels and stride of each stage's map and of the features.

        Raises:
            ValueError: they are no maps, or have another stride.
        """
        image = _probe_image(self.network)
        try:
            with torch.no_grad():
                features, maps = self.network.forward_intermediates(image, output_fmt="NCHW")
            shapes = [(each.shape[1], _stride_of(each)) for each in (*maps, features)]
        except (AttributeError, AssertionError, IndexError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(f"timm's {self.name} gives no map of features ({error}); {_ADVICE}") from error
        if shapes[-1][1] != self.stride or len(shapes) < 3:
            raise ValueError(
                f"timm's {self.name} has stride {shapes[-1][1]} where backbone.stride = {self.stride} was asked for; "
                f"set backbone.stride to that, or {_ADVICE}"
            )
        return shapes[:-1], shapes[-1]

    def _rounds_down(self) -> bool:
        rows, columns = (size + 1 for size in PROBE)
        try:
            with torch.no_grad():
                cells = self.network.forward_features(_probe_image(self.network, rows, columns)).shape[2:]
        except RuntimeError:  # it adds maps that differ by the begun cell
            return True
        return cells != (-(-rows // self.stride), -(-columns // self.stride))

    def _layers_before_last_stage(self, stages: int) -> set[str]:
        """Names of the layers that the last stage but one has run when it is done."""
        image = _probe_image(self.network)

        def run() -> object:
            return self.network.forward_intermediates(
                image, indices=[stages - 2], intermediates_only=True, stop_early=True
            )

        return _executed(self.network, run)


_ADVICE = "choose a convolutional network of any stride, such as timm/tf_efficientnet_lite0 or timm/resnet50"


def create(name: str, stride: int) -> nn.Module:
    """timm's network without classification head and pooling, with random weights.

    One whose stride cannot be chosen has its own.

    Raises:
        ValueError: timm has no network of this name (the nearest are named), or none with this stride.
    """
    import timm  # takes a second; only settings that name a network of timm need it

    check_name(name)
    make = partial(timm.create_model, name, pretrained=False, num_classes=0, global_pool="")
    try:
        try:
            return make(output_stride=stride)
        except TypeError as error:
            if "unexpected keyword argument 'output_stride'" not in str(error):
                raise
            return make()
    except (TypeError, AssertionError, ValueError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"timm's {name} cannot have stride {stride} ({error}); {_ADVICE}") from error


def check_name(name: str) -> None:
    """Refuse names that timm does not know.

    Raises:
        ValueError: with the nearest names.
    """
    import timm

    known = timm.list_models()
    if name.partition(".")[0] not in known or ("." in name and name not in timm.list_pretrained()):
        near = difflib.get_close_matches(name, [*known, *timm.list_pretrained()], n=3, cutoff=0.5)
        raise ValueError(f"timm has no network {name!r}; the nearest are {', '.join(near) or 'none'}")


def _fill(network: Any, tensors: Mapping[str, Tensor], name: str) -> None:
    """Load timm's own state; its classification head is left out."""
    heads = network.pretrained_cfg.get("classifier") or ()
    heads = (heads,) if isinstance(heads, str) else tuple(heads)
    kept = {key: tensor for key, tensor in tensors.items() if not key.startswith(tuple(f"{head}." for head in heads))}
    expected = network.state_dict()
    missing = [key for key in expected if key not in kept and not key.endswith("num_batches_tracked")]
    unknown = [key for key in kept if key not in expected]
    other = [key for key, tensor in kept.items() if key in expected and tensor.shape != expected[key].shape]
    if missing or unknown or other:
        listed = [
            f"{len(keys)} {kind} ({', '.join(keys[:5])}{', ...' if len(keys) > 5 else ''})"
            for kind, keys in (("missing", missing), ("unknown", unknown), ("of another shape", other))
            if keys
        ]
        raise ValueError(f"the weights are not those of timm's {name}: {'; '.join(listed)}; name the network they fit")
    network.load_state_dict(kept, strict=False)


def _probe_image(network: nn.Module, rows: int = PROBE[0], columns: int = PROBE[1]) -> Tensor:
    return torch.zeros(1, 3, rows, columns, device=next(network.parameters()).device)


def _stride_of(maps: Tensor) -> int:
    _, _, rows, columns = maps.shape
    if PROBE[0] // rows != PROBE[1] // columns:
        raise ValueError(f"a map of {rows} x {columns} cells from an image of {PROBE[0]} x {PROBE[1]} pixels")
    return PROBE[0] // rows


def _grid(taps: tuple[Tap, ...], stride: int) -> int:
    """8 pixels a cell where a map has them, as in the thesis; else the finest that is not finer."""
    return min((tap.stride for tap in taps if tap.stride >= AFFINITY_GRID), default=stride)


def _preprocessing(network: nn.Module) -> Preprocessing:
    from timm.data import resolve_model_data_config

    config = resolve_model_data_config(network)
    return Preprocessing(tuple(config["mean"]), tuple(config["std"]))


def _executed(network: nn.Module, run: Callable[[], object]) -> set[str]:
    """Names of the layers with parameters of their own that a forward pass runs."""
    names: set[str] = set()
    handles = [
        layer.register_forward_pre_hook(lambda *_, name=name: names.add(name))
        for name, layer in network.named_modules()
        if next(layer.parameters(recurse=False), None) is not None
    ]
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    return names
