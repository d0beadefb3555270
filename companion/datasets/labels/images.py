"""The image files of a folder, and the one that a label file means when it names one in its own way."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from companion.datasets.labels.entries import is_hidden
from thesislib.data.pictures import IMAGE_SUFFIXES
from thesislib.data.voc import DataError


def find_images(folder: Path, without: Iterable[Path] = ()) -> tuple[list[str], list[str]]:
    """Images in a folder and below it, and all other files, as paths relative to it with `/` in order.

    Args:
        folder: to look through.
        without: folders in it that are left out.

    Raises:
        DataError: there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise DataError(f"no folder {folder}: give --images, the folder with the photographs")
    left_out = [path.resolve() for path in without]
    images: list[str] = []
    others: list[str] = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not any(path.resolve().is_relative_to(each) for each in left_out):
            is_image = path.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(name)
            (images if is_image else others).append(name.as_posix())
    if not images:
        raise DataError(f"no image in {folder}: expected {', '.join(IMAGE_SUFFIXES)}, in any case")
    return images, others


class ImageNames:
    """Finds the file that is meant by a name with or without folders and suffix, in any case."""

    def __init__(self, files: Sequence[str]) -> None:
        self._whole: dict[str, set[str]] = defaultdict(set)
        self._last: dict[str, set[str]] = defaultdict(set)
        for file in files:
            name = file.casefold()
            for known in (name, bare(name)):
                self._whole[known].add(file)
                self._last[known.rpartition("/")[2]].add(file)

    def find(self, name: str) -> set[str]:
        """The files that may be meant: one, none, or several that cannot be told apart.

        >>> ImageNames(["cats/A.JPG", "dogs/b.png"]).find("C:\\\\data\\\\cats\\\\a.jpg")
        {'cats/A.JPG'}
        """
        parts = PurePosixPath(name.strip().replace("\\", "/").casefold()).parts
        for first in range(len(parts)):
            tail = "/".join(parts[first:])
            if found := self._whole.get(tail) or self._whole.get(bare(tail)):
                return found
        return (self._last.get(parts[-1]) or self._last.get(bare(parts[-1])) or set()) if parts else set()


def bare(name: str) -> str:
    """A name without the suffix of an image.

    >>> bare("cats/a.1.JPG"), bare("a.1")
    ('cats/a.1', 'a.1')
    """
    stem, dot, suffix = name.rpartition(".")
    return stem if stem and f"{dot}{suffix}".lower() in IMAGE_SUFFIXES else name
