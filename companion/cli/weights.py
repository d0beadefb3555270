"""`thesis weights`: the published weight files that the project knows, and any file recognised, verified, converted."""

import argparse
from pathlib import Path


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
    from companion.weights.description import row
    from thesislib.models.published import WEIGHT_FILES

    rows = [row(entry) for entry in WEIGHT_FILES]
    widths = {name: max(len(name), *(len(each[name]) for each in rows)) for name in rows[0]}
    for each in ({name: name.upper() for name in widths}, *rows):
        print("  ".join(f"{each[name]:{width}}" for name, width in widths.items()).rstrip())
    return 0


def import_weights(options: argparse.Namespace) -> int:
    """Convert a file that is whole and known, and say what it is and how to use it."""
    from companion.weights import description as weight_files
    from companion.weights.recognition import recognise
    from thesislib.models.weights import save_weights

    target = _target(options.file, options.output)
    found = recognise(options.file)
    if target != options.file:
        entry = weight_files.published(found)
        about = {"name": entry.name if entry else "", "layout": found.network.layout}
        save_weights(found.model, target, {key: value for key, value in about.items() if value})
    for key, text in weight_files.report(options.file, target, found).items():
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
