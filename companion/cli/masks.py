"""`thesis masks`: photographs and their labels become masks, and a finished run makes masks of new photographs."""

import argparse
from pathlib import Path

from companion import settings
from companion.cli import data as cli_data
from companion.settings import SettingsError

METHODS = ("cam", "mixup-cam", "sc-cam")
WHY = "cam (default), for on VOC's photographs of animals neither of the others was better: docs/photographs.md"


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add `masks`."""
    text = "make masks of photographs from the labels of what is on them; or of new ones with a run that is finished"
    sub = commands.add_parser("masks", help=text, description=text)
    sub.set_defaults(command=masks)
    cli_data.add_own_images(sub)
    sub.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for masks, report and the run")
    sub.add_argument("--method", choices=METHODS, default="cam", help=WHY)
    sub.add_argument("--maps", action="store_true", help="write the response maps too, a grey PNG a class")
    sub.add_argument("--model", type=Path, metavar="DIR", help="the --output of a finished run, for the images below")
    sub.add_argument("new", type=Path, nargs="*", metavar="NEW_IMAGE", help="photographs or folders without labels")
    sub.add_argument("--preset", default="own", help="settings; own, for photographs, by default")
    sub.add_argument("--seed", type=int, default=0, help="training seed")
    sub.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting")
    sub.add_argument("--workers", type=int, default=1, help="processes that read the photographs")


def masks(options: argparse.Namespace) -> int:
    """Make masks of labelled photographs, or of new ones with `--model`."""
    from companion.reports import masks as run_of

    if options.model or options.new:
        return _new_images(options)
    if not (options.images and options.labels):
        raise ValueError("`thesis masks` needs --images and --labels; or --model and new images")
    run_of.check_crf()
    overrides = dict(map(settings.parse_override, options.set))
    settings.check_effect(overrides, str(options.images))
    chosen = settings.load(options.preset, {"affinity.split": "trainaug"} | overrides)
    run = run_of.Run(options.output.resolve(), options.images.resolve(), options.method, options.seed, chosen)
    made = cli_data.make_own(options.images, options.labels, run.data, None, options.workers, options.truth)
    truth = run_of.read_truth(run, made, options.truth, print) if options.truth else None
    _check_number(chosen, len(made.labels.shown))
    print(f"{run_of.missing(run)} stages to compute; started again, the command goes on where it stood", flush=True)
    page = run_of.make(run, made, truth=truth, maps=options.maps)
    print(page)
    return 0


def _check_number(chosen: settings.Settings, images: int) -> None:
    """Refuse fewer images than a batch of any training."""
    for section in ("classifier", "affinity", "segmentation"):
        batch = getattr(chosen, section).batch_size
        if images < batch:
            raise SettingsError(
                f"{images} images show a class, fewer than {section}.batch_size = {batch}: add images, or give "
                f"--set {section}.batch_size={max(1, images // 2)}"
            )


def _new_images(options: argparse.Namespace) -> int:
    from companion.reports import masks as run_of
    from companion.reports import new_masks

    if not (options.model and options.new):
        raise ValueError("masks of new images need both --model, the --output of a finished run, and the images")
    if options.images or options.labels or options.truth or options.maps:
        raise ValueError("--images, --labels, --truth and --maps train a run; new images need --model alone")
    run_of.check_crf()
    written = new_masks.segment(run_of.read(options.model.resolve()), options.new, options.output.resolve())
    print(f"{options.output.resolve()}: masks and overlays of {written} images")
    return 0
