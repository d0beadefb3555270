"""The commands `thesis submit`, `thesis score` and `thesis export`: results in the files of others and of the server.

They need a folder of results and, but for the store's own, a data folder in VOC layout; no settings and no store.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from thesislib.data.voc import VocDataset
from thesislib.files import write_whole

COMPETITIONS = ("comp5", "comp6")
LAYOUTS = ("psa", "irn")


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add the three commands to those of `thesis`."""
    sub = _add(commands, "submit", submit, "write and verify the archive of predictions for the VOC test server")
    sub.add_argument("folder", type=Path, help="<id>.png for each test image, or a run of stage segmentation")
    sub.add_argument("--root", type=Path, help="data with the test list and images; without it sizes are not compared")
    sub.add_argument("--output", type=Path, default=Path("results.zip"), help="a .zip, .tar or .tar.gz")
    sub.add_argument("--comp", choices=COMPETITIONS, default="comp6", help="comp5: VOC data alone")
    sub.add_argument("--plain", action="store_true", help="of a run, the predictions before the CRF")

    sub = _add(commands, "score", score, "score anybody's masks or response maps")
    sub.add_argument(
        "folder",
        type=Path,
        help="<id>.png (masks: indices, or colours of VOC or of a colours.csv there), <id>.npz (our maps) or <id>.npy "
        "(maps of psa or irn), or a run",
    )
    sub.add_argument("--root", type=Path, required=True, help="folder in VOC layout with the truth")
    sub.add_argument("--split", default="val", help="a list of that folder")
    sub.add_argument("--background", type=float, default=0.15, help="fixed threshold of response maps")
    sub.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    sub.add_argument("--workers", type=int, help="processes; default: one per core where there are many images")

    sub = _add(commands, "export", export, "write response maps in the layout of psa or irn, or copy verified masks")
    sub.add_argument("folder", type=Path, help="a run of stage response_maps or pseudo_masks")
    sub.add_argument("--layout", choices=LAYOUTS, required=True)
    sub.add_argument("--output", type=Path, required=True, metavar="DIR", help="a new or empty folder")
    sub.add_argument("--root", type=Path, help="data of these images, to compare sizes and classes with")


def _add(
    commands: argparse._SubParsersAction, name: str, command: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    sub: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    sub.set_defaults(command=command)
    return sub


def submit(options: argparse.Namespace) -> int:
    """Write the archive and say what is in it."""
    from companion.exchange import submission

    images = VocDataset(options.root, "test") if options.root else None
    count = submission.write_submission(options.folder, options.output, images, comp=options.comp, plain=options.plain)
    compared = "" if images else "; sizes were not compared with the images (give --root)"
    print(f"{options.output}: {count} predictions for {options.comp}, read back and verified{compared}")
    return 0


def score(options: argparse.Namespace) -> int:
    """Print the scores, and write them as JSON where asked to."""
    from companion.exchange import scoring as folder_scores

    images = VocDataset(options.root, options.split)
    if options.json and not options.json.absolute().parent.is_dir():
        raise ValueError(f"--json {options.json}: there is no folder {options.json.parent}; create it first")
    found = folder_scores.score_folder(options.folder, images, background=options.background, workers=options.workers)
    print(folder_scores.as_text(found))
    if options.json:
        text = json.dumps(folder_scores.as_json(found), indent=1, allow_nan=False) + "\n"
        write_whole(options.json, lambda file: file.write(text.encode()))
    return 0


def export(options: argparse.Namespace) -> int:
    """Write the other layout and say how many files."""
    from companion.exchange import files as exchange

    for kind, count in exchange.export(options.folder, options.layout, options.output, root=options.root).items():
        print(f"{options.output}: {count} {kind} for {options.layout}")
    return 0
