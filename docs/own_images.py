"""The README's picture of `thesis masks`: an image with its labels, its response map and its mask, all generated.

    python docs/own_images.py

takes the stages of `10_own_images` on the demo from the store `runs`, or computes them, and draws the first image of
trainaug with two classes into `own_images.png` beside this file.
"""

import argparse
import io
from pathlib import Path

from PIL import Image

from companion.drawing import image_grids
from companion.drawing.all_steps import STRENGTH, coloured
from companion.drawing.image_grids import Panel
from companion.experiments.own_images import OwnImages
from companion.pipeline import artefacts, engine
from companion.pipeline.store import Store
from companion.settings import Machine, load

PICTURE = Path(__file__).with_suffix(".png")
WIDTH = 660


def main() -> None:
    """Compute what is missing, and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    store = Store(parser.parse_args().runs_dir.resolve())
    asked = OwnImages(
        settings=load("demo"),
        seeds=[0],
        machine=Machine(),
        compute=lambda stages: {name: engine.run([stage], store)[stage.key] for name, stage in stages.items()},
        method="cam",
        images_shown=1,
    )
    images = asked.all_images
    chosen = next(i for i, labels in enumerate(images.labels) if labels.sum() == 2)
    (example,) = image_grids.examples(images, [chosen], {"CAM": asked.folders["maps"]})
    mask = artefacts.read_mask(asked.folders["masks"], images.ids[chosen])
    strongest = example.maps["CAM"].amax(dim=0).numpy()
    figure = image_grids.grid(
        [
            [
                Panel(example.image, f"labels: {example.title}"),
                Panel(image_grids.overlay(example.image, strongest, STRENGTH), "response map"),
                Panel(coloured(example.image, mask, STRENGTH), "mask"),
            ]
        ]
    )
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=200)
    with Image.open(content) as drawn:
        picture = drawn.convert("RGB")
    picture.thumbnail((WIDTH, WIDTH), Image.Resampling.LANCZOS)
    few_colours = picture.quantize(method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)  # keeps the bright ones
    few_colours.save(PICTURE, optimize=True)
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
