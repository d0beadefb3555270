"""Masks of photographs without labels, by the segmentation network of a run of `thesis masks`.

Thesis 2.4.3 and 3.4.3: DeepLab-v2 trained on the pseudo-masks, and a dense CRF.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from companion.datasets import own
from companion.datasets.labels.images import find_images
from companion.datasets.reduced import reduced
from companion.exchange import mask_files
from companion.experiments.own_images import METHODS
from companion.pipeline.stages import affinity, segmentation
from companion.reports.masks import Run
from thesislib.data.voc import DataError, read_image
from thesislib.files import write_whole
from thesislib.refinement.crf import DEEPLAB, dense_crf


def segment(run: Run, given: Sequence[Path], output: Path) -> int:
    """Write masks of images without labels by the segmentation network of a run, trained first if it is not there.

    Args:
        run: that is finished.
        given: files, or folders of images.
        output: a folder.

    Returns:
        How many images.

    Raises:
        DataError: a file that is missing or no image.
    """
    found = [*_new(given, output)]
    images = dict(found)
    if twice := [str(path) for name, path in found if images[name] != path]:
        raise DataError(f"images of one name in several places, such as {twice[0]}: give one folder at a time")
    chosen = run.settings.override(METHODS[run.method].overrides | {"seed": run.seed})
    stage = segmentation.segmenter_stage(chosen, run.machine)
    folder = run.compute({"segmenter": stage})["segmenter"]
    classes = len(run.experiment.all_images.classes) + 1
    backbone = segmentation.shared_backbone(chosen).get("backbone")
    model = segmentation.load(folder, chosen.segmentation, classes, run.machine, backbone)
    params = affinity.crf_params(DEEPLAB, chosen.crf)
    files = mask_files.targets(list(images))
    for name, path in tqdm(images.items(), "writing masks", unit="image"):
        picture = read_image(path)
        small = np.array(reduced(picture, own.SHORTEST))
        sharpened = dense_crf(small, segmentation.predict(model, small, run.machine.precision), params)
        mask = sharpened.argmax(dim=0).to(torch.uint8).numpy()
        mask_files.write(output, files[name], picture, mask_files.enlarged(mask, picture.shape[:2]))
    write_whole(output / "classes.txt", lambda file: file.write((run.folder / "classes.txt").read_bytes()))
    return len(images)


def _new(given: Sequence[Path], output: Path) -> Iterator[tuple[str, Path]]:
    """Name and file of every new image, all readable."""
    for place in given:
        if place.is_dir():
            yield from ((image, place / image) for image in find_images(place, [output])[0])
        elif place.is_file():
            yield place.name, place
        else:
            raise DataError(f"no image or folder {place}: give photographs, or folders of them")
