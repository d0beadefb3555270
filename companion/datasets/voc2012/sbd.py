"""The Semantic Boundaries Dataset (Hariharan et al. 2011): lists that make `trainaug`, masks for an upper bound on it.

Thesis 2.4.1 and 3.4.1: 10,582 training images. SBD's released folder is
`benchmark_RELEASE/dataset/{train.txt, val.txt, img/*.jpg, cls/*.mat, inst/*.mat}`. Deliberate differences from
published code, which takes a finished list: it is made from its sources (torchvision's `train_noval` is another,
smaller one). SBD's masks are coarser than VOC's and have no 255, so VOC's are preferred where both exist.
"""

import shutil
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from companion.datasets.checks import Share
from companion.datasets.voc2012.matlab import read_uint8
from companion.datasets.voc2012.protocol import AUGMENTED_MASKS
from thesislib.data.pictures import read_size
from thesislib.data.voc import VOC_CLASSES, DataError, read_ids, write_mask

LISTS = ("train.txt", "val.txt")
_PLACES = ("benchmark_RELEASE/dataset", "SBD", "sbd", ".")


def find_sbd(root: Path) -> Path | None:
    """The folder with SBD's `train.txt` and `val.txt` in or below `root`, if there is one."""
    folders = (root / place for place in _PLACES)
    return next((folder for folder in folders if all((folder / name).is_file() for name in LISTS)), None)


def has_masks(sbd: Path | None) -> bool:
    """Whether this folder of SBD has its class masks."""
    return sbd is not None and (sbd / "cls").is_dir()


def is_wanted(name: str, *, masks: bool) -> bool:
    """Whether a file of SBD's archive is used: its lists, and its class masks if they are asked for.

    >>> is_wanted("benchmark_RELEASE/dataset/cls/2008_000002.mat", masks=False)
    False
    """
    parts = name.removeprefix("./").split("/")
    is_list = parts[-2:-1] == ["dataset"] and parts[-1] in LISTS
    return is_list or (masks and parts[-3:-1] == ["dataset", "cls"])


def sbd_lists(sbd: Path) -> dict[str, set[str]]:
    """Ids of SBD's own splits `train` and `val`; neither is VOC's."""
    try:
        return {Path(name).stem: set((sbd / name).read_text(encoding="utf-8").split()) for name in LISTS}
    except (OSError, UnicodeError) as error:
        raise DataError(f"cannot read the lists of SBD in {sbd}: {error}. Copy them from its archive") from error


def trainaug_ids(root: Path, sbd: Path) -> list[str]:
    """Sorted ids of `trainaug`: all of SBD and VOC's `train`, without VOC's `val`."""
    return sorted(set.union(set(read_ids(root, "train")), *sbd_lists(sbd).values()) - set(read_ids(root, "val")))


def read_sbd_mask(path: Path) -> UInt8[np.ndarray, "h w"]:
    """Class indices 0..20 of a file in SBD's `cls`; raises `DataError` if it is missing or has no such mask."""
    try:
        mask = read_uint8(path.read_bytes(), "GTcls", "Segmentation")
    except (OSError, ValueError, zlib.error) as error:
        raise DataError(f"cannot read SBD's mask {path}: {error}") from error
    if mask is None:
        raise DataError(f"{path} holds no mask of SBD; expected GTcls.Segmentation, as in its folder cls")
    if mask.ndim != 2:
        raise DataError(f"SBD's mask {path} is of shape {mask.shape}; expected (height, width)")
    if mask.max(initial=0) > len(VOC_CLASSES):
        raise DataError(f"SBD's mask {path} has the value {mask.max()}; expected class indices 0..{len(VOC_CLASSES)}")
    return mask


def write_masks(root: Path, sbd: Path, ids: Sequence[str], *, share: Share = map, progress: bool = False) -> None:
    """Fill `SegmentationClassAug` with the masks that it lacks: copies of VOC's, else SBD's as paletted PNGs.

    Raises:
        DataError: every mask that is missing, unreadable or of another size than its image is counted, the first
            few are named; the others are written.
    """
    (root / AUGMENTED_MASKS).mkdir(exist_ok=True)
    outcomes = share(partial(_write_mask, root, sbd), ids)
    shown = tqdm(outcomes, AUGMENTED_MASKS, len(ids), unit="mask", disable=not progress)
    problems = [outcome for outcome in shown if outcome]
    if problems:
        raise DataError(
            f"{len(problems)} of {len(ids)} masks cannot be made: {'; '.join(problems[:5])}. "
            f"Replace what is wrong in {sbd / 'cls'} by the files of SBD's archive"
        )


def _write_mask(root: Path, sbd: Path, name: str) -> str:
    """Write one mask; what is wrong with it, else nothing."""
    target, voc = (root / folder / f"{name}.png" for folder in (AUGMENTED_MASKS, "SegmentationClass"))
    part = target.with_suffix(".part")
    if voc.is_file():
        shutil.copyfile(voc, part)
    else:
        try:
            mask = read_sbd_mask(sbd / "cls" / f"{name}.mat")
            size = read_size(root / "JPEGImages" / f"{name}.jpg")
        except (DataError, OSError) as error:
            return str(error)
        if mask.shape != size:
            return f"SBD's mask of {name} has (height, width) {mask.shape}, its image {size}"
        write_mask(part, mask)
    part.replace(target)
    return ""
