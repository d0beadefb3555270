"""`thesis weights`: the published weight files that the project knows, and any file recognised, verified, converted."""

import argparse
import shlex
from collections.abc import Iterator
from pathlib import Path

from thesislib.data.transforms import CAFFE, IMAGENET
from thesislib.models import registry
from thesislib.models.recognition import Recognised, recognise
from thesislib.models.registry import Network, WeightFile
from thesislib.models.weights import save_weights
from thesislib.settings import SegmentationSettings

INPUT = {IMAGENET: "RGB, mean and deviation of ImageNet", CAFFE: "BGR, mean subtracted"}
NO_SETTING = "no setting takes it; in Python, thesislib.models.weights.load_weights(model, FILE)"


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add `weights` with its commands `list` and `import`."""
    text = "the published weight files, and what a weight file is"
    kinds = commands.add_parser("weights", help=text, description=text).add_subparsers(required=True, metavar="COMMAND")
    text = "list the published files: checksum, input, how to use, expected score, source (wide: pipe to less -S)"
    sub = kinds.add_parser("list", help=text, description=text)
    sub.set_defaults(command=list_weights)
    text = "recognise a weight file by its tensors, verify it, and convert it to safetensors"
    sub = kinds.add_parser("import", help=text, description=text)
    sub.set_defaults(command=import_weights)
    sub.add_argument("file", type=Path, help=".params of MXNet, .pth of PyTorch, or .safetensors")
    sub.add_argument("--output", type=Path, metavar="FILE.safetensors", help="default: beside the file")


def list_weights(options: argparse.Namespace) -> int:
    """Print the registry as a table."""
    rows = [_row(entry) for entry in registry.WEIGHT_FILES]
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in rows[0]}
    for row in ({name: name.upper() for name in widths}, *rows):
        print("  ".join(f"{row[name]:{width}}" for name, width in widths.items()).rstrip())
    return 0


def _row(entry: WeightFile) -> dict[str, str]:
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


def import_weights(options: argparse.Namespace) -> int:
    """Convert a file that is whole and known, and say what it is and how to use it."""
    target = _target(options.file, options.output)
    found = recognise(options.file)
    if target != options.file:
        entry = _entry(found)
        about = {"name": entry.name if entry else "", "layout": found.network.layout}
        save_weights(found.model, target, {key: value for key, value in about.items() if value})
    for key, text in _report(options.file, target, found).items():
        print(f"{key:10} {text}")
    return 0


def _target(file: Path, output: Path | None) -> Path:
    """Where the converted file goes.

    Raises:
        ValueError: it would not be a .safetensors file, replace a file, or lie in no folder.
    """
    target = output or file.with_suffix(".safetensors")
    if target == file:
        return file
    if target.suffix != ".safetensors":
        raise ValueError(f"--output {target}: expected a name that ends in .safetensors")
    if target.exists():
        raise ValueError(f"{target} exists already: delete it, or give another name with --output")
    if not target.absolute().parent.is_dir():
        raise ValueError(f"--output {target}: there is no folder {target.parent}; create it first")
    return target


def _report(file: Path, target: Path, found: Recognised) -> dict[str, str]:
    """What is known of the file, by the word under which it is printed."""
    entry = _entry(found)
    used = usage(found.network, str(target.resolve()), entry.init if entry else "")
    report = {
        "file": str(file),
        "network": str(found.network),
        "is": _identity(found),
        "verified": f"{found.tensors} tensors, all that the network has, all numbers finite",
    }
    if entry:
        report |= {
            "for": entry.purpose,
            "expected": entry.score,
            "input": INPUT[entry.preprocessing],
            "licence": entry.licence,
            "source": entry.source,
        }
    report["written"] = "nothing, the file is one of ours" if target == file else str(target)
    report["use"] = " ".join(f"--set {shlex.quote(setting)}" for setting in used) or NO_SETTING
    return report


def _entry(found: Recognised) -> WeightFile | None:
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

    >>> list(usage(registry.get("resnet50-imagenet-v1").network))
    ['backbone.network=resnet50', 'backbone.weights=FILE']
    """
    if network.head not in ("", "classifier"):
        return
    part = "segmentation" if network.trunk == "ResNet-101" else "backbone"
    if network.trunk == "ResNet-50":
        yield "backbone.network=resnet50"
    if network.width != 1:
        yield f"{part}.width={network.width:g}"
    if network.feature_channels:
        yield f"classifier.feature_channels={network.feature_channels}"
    yield f"{'classifier' if network.head else part}.weights={file}"
    if part == "segmentation" and network.blocks != SegmentationSettings().blocks:
        yield f"segmentation.blocks={list(network.blocks)}".replace(" ", "")
    if network.layout:
        yield f"segmentation.layout={network.layout}"
    if init:
        yield f"segmentation.init={init}"
