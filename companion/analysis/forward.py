"""One image through a classifier: tensor shapes, maps by scale, and the network in words.

Thesis section 2.3, equation 2.1. Nothing here is trained or stored; the published counterpart is `infer_cls.py` of
jiwoon-ahn/psa.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from companion.pipeline.stages import backbone, classifier
from companion.pipeline.store import Job, Progress
from companion.settings import CamSettings, Machine, Settings
from thesislib import cam
from thesislib.data.transforms import to_tensor
from thesislib.models.classifier import CamClassifier, ClassifierOutput
from thesislib.models.published import network_name


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
    return f"{network_name(chosen.network)}{width}{convolution}\nstride {chosen.stride}"


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
    batch = to_tensor(image, model.preprocessing)[None].to(next(model.parameters()).device)
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
