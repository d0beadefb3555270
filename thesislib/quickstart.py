"""A few images step by step: what `00_quickstart` and the diagrams of Fig. 2.2 and 3.2 show.

Thesis section 2.3, equation 2.1. Nothing here is trained or stored; the published counterpart is `infer_cls.py` of
jiwoon-ahn/psa.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from thesislib import cam
from thesislib.data.transforms import to_tensor
from thesislib.data.voc import DataError, read_image
from thesislib.models.classifier import CamClassifier, ClassifierOutput
from thesislib.models.registry import NETWORKS
from thesislib.pairs import RADIUS
from thesislib.settings import CamSettings, Machine, Settings, SettingsError, nearest
from thesislib.stages import backbone, classifier
from thesislib.store import Job, Progress

SMALLEST_SIDE = 32  # pixels, of a picture that is shown up to its response map
LONGEST_SIDE = 500  # pixels, that of VOC; a larger picture is made smaller


def load_classifier(settings: Settings, folder: Path, num_classes: int, machine: Machine) -> CamClassifier:
    """The classifier in the folder of a `classifier` stage, in evaluation mode on the machine's device."""
    job = Job(folder, {"classifier": folder}, machine, Progress())
    return classifier.load(job, settings.backbone, settings.classifier, num_classes).to(machine.torch_device)


def untrained_classifier(settings: Settings, num_classes: int, num_subcategories: int = 0) -> CamClassifier:
    """A classifier of these settings with initial weights: right in its shapes, in nothing else."""
    features = settings.classifier.feature_channels
    network = backbone.build(settings.backbone)
    return CamClassifier(network, num_classes, num_subcategories, feature_channels=features).eval()


def describe(settings: Settings) -> str:
    """The network of these settings that gives the features, in words, a line each."""
    chosen, features = settings.backbone, settings.classifier.feature_channels
    width = "" if chosen.width == 1 else f"\nwidth 1/{1 / chosen.width:g}"
    convolution = f"\n3×3 conv, {features}" if features else ""
    return f"{NETWORKS[chosen.network]}{width}{convolution}\nstride {chosen.stride}"


def square(image: UInt8[np.ndarray, "h w 3"], side: int) -> UInt8[np.ndarray, "side side 3"]:
    """The middle of an image, resized to `side` by `side` pixels."""
    height, width = image.shape[:2]
    edge = min(height, width)
    left, top = (width - edge) // 2, (height - edge) // 2
    middle = Image.fromarray(image).crop((left, top, left + edge, top + edge))
    return np.array(middle.resize((side, side), Image.Resampling.BICUBIC))


def forward_shapes(model: CamClassifier, image: UInt8[np.ndarray, "h w 3"]) -> dict[str, tuple[int, ...]]:
    """Tensor shapes of one image on its way through the classifier (Fig. 2.2, 3.2), without the batch.

    `sub_head` and `sub_logits` are there where the classifier has sub-categories.
    """
    batch, features, output = _forward(model, image)
    tensors = {"image": batch, "features": features, "pooled": output.pooled}
    tensors |= {"logits": output.logits, "response": output.response}
    if output.sub_logits is not None:
        tensors["sub_logits"] = output.sub_logits
    shapes = {name: tuple(tensor.shape[1:]) for name, tensor in tensors.items()}
    heads = {"head": model.fc8, "sub_head": model.fc8_sub}
    return shapes | {name: tuple(head.weight.shape[:2]) for name, head in heads.items() if head is not None}


def shape_table(shapes: Mapping[str, tuple[int, ...]]) -> pd.DataFrame:
    """The shapes of `forward_shapes` in the order of the pass, with the symbols of the thesis."""
    steps = {
        "image": "image, normalised (x)",
        "features": "features of the backbone, f = E(x)",
        "pooled": "their spatial mean",
        "logits": "logits, one a class (z)",
        "response": "response maps, one a class (M)",
    }
    cells = {text: " × ".join(map(str, shapes[name])) for name, text in steps.items()}
    return pd.DataFrame({"shape": cells}).rename_axis("tensor")


def logit_is_mean(model: CamClassifier, image: UInt8[np.ndarray, "h w 3"]) -> bool:
    """Whether the logits equal the spatial means of the un-rectified maps, which (2.1) implies."""
    output = _forward(model, image)[2]
    return torch.allclose(output.logits, output.response.mean(dim=(2, 3)), rtol=1e-3, atol=1e-4)


def _forward(model: CamClassifier, image: UInt8[np.ndarray, "h w 3"]) -> tuple[Tensor, Tensor, ClassifierOutput]:
    """The normalised image as a batch, its features, and what the classifier makes of them."""
    batch = to_tensor(image)[None].to(next(model.parameters()).device)
    with torch.no_grad():
        return batch, model.features(batch), model(batch)


def maps_by_scale(
    model: CamClassifier, image: UInt8[np.ndarray, "h w 3"], labels: UInt8[np.ndarray, " c"], settings: CamSettings
) -> dict[float, Float[Tensor, "c h w"]]:
    """The response maps of one image at each scale of the settings; their sum is the fused map (2.1)."""
    present = torch.from_numpy(labels)
    return {
        scale: cam.response_maps(model, image, present, scales=[scale], flip=settings.flip).cpu()
        for scale in settings.scales
    }


def fuse(maps: Mapping[float, Float[Tensor, "c h w"]]) -> Float[Tensor, "c h w"]:
    """The sum of the maps of all scales, not normalised."""
    return torch.stack([*maps.values()]).sum(dim=0)


def check_steps(steps: int) -> None:
    """How many of the three steps are shown.

    Raises:
        SettingsError: another number.
    """
    if steps not in (1, 2, 3):
        raise SettingsError(f"steps = {steps}: expected 1 (response maps), 2 (pseudo-masks) or 3 (segmentation)")


def smallest_side(stride: int, steps: int) -> int:
    """Pixels that a picture needs: for step 2 as many cells as the pairs of the random walk span."""
    return max(SMALLEST_SIDE, stride * (2 * RADIUS - 1)) if steps >= 2 else SMALLEST_SIDE


def own_picture(
    path: str | Path, labels: Sequence[str], classes: Sequence[str], smallest: int = SMALLEST_SIDE
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, " c"]]:
    """An image file of the user's and the classes that are said to be in it, as a label vector.

    Args:
        path: of the file.
        labels: names of the classes in it.
        classes: names of all that the classifier knows.
        smallest: pixels that both sides need, see `smallest_side`.

    Raises:
        SettingsError: no class is given, or one that the classifier does not know; names the nearest.
        DataError: the file is missing, not an image, or too small.
    """
    if not labels:
        raise SettingsError(f"image_labels is empty: name the classes in {path}, of {', '.join(classes)}")
    for name in labels:
        if name not in classes:
            raise SettingsError(f"image_labels: unknown class {name!r}{nearest(str(name), list(classes))}")
    picture = read_image(Path(path).expanduser())
    if max(picture.shape[:2]) > LONGEST_SIDE:
        smaller = Image.fromarray(picture)
        smaller.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        picture = np.asarray(smaller)
    if min(picture.shape[:2]) < smallest:
        raise DataError(
            f"{path} has {picture.shape[1]} x {picture.shape[0]} pixels, {LONGEST_SIDE} at most being used; expected "
            f"sides of at least {smallest}"
        )
    return picture, np.isin(classes, list(labels)).astype(np.uint8)
