"""One folder a class, as torchvision's `ImageFolder` has it: an image shows the class whose folder it lies in."""

from pathlib import Path

from companion.datasets.labels.entries import Entry, Source, is_hidden, refuse
from companion.datasets.labels.images import find_images
from thesislib.data.voc import DataError


def read(folder: Path) -> Source:
    """Labels by the folder that an image, or the folder it lies in, is in.

    Raises:
        DataError: images beside the class folders, or a class folder without an image.
    """
    images, _ = find_images(folder)
    beside = [image for image in images if "/" not in image]
    kept = {image.split("/")[0] for image in images if "/" in image}
    folders = [path.name for path in folder.iterdir() if path.is_dir() and not is_hidden(Path(path.name))]
    empty = sorted(set(folders) - kept)
    refuse(
        f"class folders of {folder}",
        [("images beside the class folders: move each into one", image) for image in beside]
        + [("classes without an image, empty folders: delete them", name) for name in empty],
    )
    if not kept:
        raise DataError(f"{folder} has no folder with images; expected one for each class")
    return Source("one folder a class", [Entry(image, (image.split("/")[0],), f"{folder}/{image}") for image in images])
