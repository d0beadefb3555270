"""What is said of a weight file: what it is, what it is for, and the setting that takes it.

Serves `thesis weights` and says what `models.registry` and `models.recognition` know. Nothing here corresponds to
published code.
"""

import shlex
from collections.abc import Iterator
from pathlib import Path

from companion.settings import SegmentationSettings
from companion.weights.recognition import Recognised
from thesislib.data.transforms import CAFFE, IMAGENET
from thesislib.models.published import Network, WeightFile

INPUT = {IMAGENET: "RGB, mean and deviation of ImageNet", CAFFE: "BGR, mean subtracted"}
NO_SETTING = "no setting takes it; in Python, thesislib.models.weights.load_weights(model, FILE)"


def row(entry: WeightFile) -> dict[str, str]:
    """A published file by the headings of the list."""
    return {
        "name": entry.name,
        "file": " or ".join(entry.files) or "(any)",
        "network": str(entry.network),
        "checksum": entry.checksum,
        "input": INPUT[entry.preprocessing],
        "use": " ".join(usage(entry.network, init=entry.init)) or "Python: load_weights(model, FILE)",
        "expected": entry.score,
        "for": entry.purpose,
        "licence": entry.licence,
        "source": entry.source,
    }


def report(file: Path, target: Path, found: Recognised) -> dict[str, str]:
    """What is known of the file, by the word under which it is printed."""
    entry = published(found)
    used = usage(found.network, str(target.resolve()), entry.init if entry else "")
    said = {
        "file": str(file),
        "network": str(found.network),
        "is": _identity(found),
        "verified": f"{found.tensors} tensors, all that the network has, all numbers finite",
    }
    if entry:
        said |= {
            "for": entry.purpose,
            "expected": entry.score,
            "input": INPUT[entry.preprocessing],
            "licence": entry.licence,
            "source": entry.source,
        }
    said["written"] = "nothing, the file is one of ours" if target == file else str(target)
    said["use"] = " ".join(f"--set {shlex.quote(setting)}" for setting in used) or NO_SETTING
    return said


def published(found: Recognised) -> WeightFile | None:
    """The one published file that it can be."""
    return found.origins[0] if len(found.origins) == 1 else None


def _identity(found: Recognised) -> str:
    names = " or ".join(entry.name for entry in found.origins)
    if not names:
        return "none of the published files (thesis weights list)"
    if found.certain:
        return names
    return f"{names}, by its tensors; no checksum is published that would tell it from another training"


def usage(network: Network, file: str = "FILE", init: str = "") -> Iterator[str]:
    """The settings, as `name=value`, with which a file of this network is used; none where no setting takes it.

    >>> from thesislib.models import published
    >>> list(usage(published.get("resnet50-imagenet-v1").network))
    ['backbone.network=resnet50', 'backbone.weights=FILE']
    """
    if network.head == "DeepLab-v2":
        return
    part = "segmentation" if network.trunk == "ResNet-101" else "backbone"
    taken_by = {"": part, "classifier": "classifier", "AffinityNet": "affinity"}[network.head]
    if network.trunk == "ResNet-50":
        yield "backbone.network=resnet50"
    if network.width != 1:
        yield f"{part}.width={network.width:g}"
    if network.feature_channels:
        yield f"classifier.feature_channels={network.feature_channels}"
    yield f"{taken_by}.weights={file}"
    if part == "segmentation" and network.blocks != SegmentationSettings().blocks:
        yield f"segmentation.blocks={list(network.blocks)}".replace(" ", "")
    if network.layout:
        yield f"segmentation.layout={network.layout}"
    if init:
        yield f"segmentation.init={init}"
