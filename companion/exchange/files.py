"""Response maps and masks in the files of other projects: `.npy` of psa and irn, paletted PNG, and our own `.npz`.

Thesis step 1 and 2 (2.3.1, 2.3.3, 3.3.1, 3.3.3). The layouts are those that the published scripts write and read:

    psa   `infer_cls.py` writes `<id>.npy`, a dictionary: class 0 to 19 -> its map at image size, divided by its
          maximum + 1e-5; `infer_aff.py` reads it. (The dictionaries in its `out_la_crf` and `out_ha_crf` count from
          background: they are no response maps, and nothing in them says so.)
    irn   `step/make_cam.py` writes `<id>.npy`, a dictionary: `keys`, the classes of the image in ascending order;
          `cam`, their maps at a quarter of the image size, rounded up; `high_res`, those at image size; each divided
          by its maximum + 1e-5. `step/cam_to_ir_label.py` reads `high_res`, `step/make_sem_seg_labels.py` `cam`.
    ours  `<id>.npz` with `classes` and un-normalised `maps` of stage `response_maps`.
    masks `<id>.png` of palette indices.

Deliberate differences: `cam` is made of the maps that were already added up over scales at image size, where irn adds
them up at a quarter of it; keys are an array, where irn's are a tensor; strangers' files are read by
`companion.datasets.pickles`, never unpickled.
"""

import pickle
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F
from tqdm.auto import tqdm

from companion.datasets.pickles import read_object
from companion.exchange.result_files import image_size, mask_problems, refuse, results_folder
from thesislib import cam
from thesislib.data.voc import VOC_CLASSES, DataError, find_root, read_classes

Layout = Literal["psa", "irn"]
ROUNDING = 1e-5
"""By how much a map may leave its range; it is clipped."""
STRIDE = 4
"""Of irn's `cam`."""
OLDEST_PICKLE = 3  # read by every Python 3


class PresentMaps(NamedTuple):
    """Classes of an image, from 0 and without background, and a non-negative map of each at image size."""

    classes: Int64[np.ndarray, " p"]
    maps: Float[Tensor, "p height width"]


# --- Reading ----------------------------------------------------------------------------------------------------------


def read_maps(path: Path, num_classes: int, size: tuple[int, int] | None = None) -> Float[Tensor, "c height width"]:
    """Normalised maps `(C, H, W)` from a file of any of the layouts, 0 for the classes that it leaves out.

    Ours are normalised here; those of psa and irn are taken as they are, like their own scripts do.

    Args:
        path: `.npz` (ours) or `.npy` (psa, irn).
        num_classes: C, without background.
        size: height and width of the image; None takes that of the maps.

    Raises:
        DataError: the file is unreadable, in none of the layouts, or its maps are of another size, of other classes,
            not finite, negative, or in `.npy` larger than 1, by more than rounding.
    """
    present = read_present(path, num_classes, size)
    maps = torch.zeros(num_classes, *present.maps.shape[1:])
    maps[torch.from_numpy(present.classes)] = present.maps if path.suffix == ".npy" else cam.normalize(present.maps)
    return maps


def read_present(path: Path, num_classes: int, size: tuple[int, int] | None = None) -> PresentMaps:
    """The maps that a file holds, as they are stored; arguments and errors as `read_maps`."""
    classes, maps = _read_pickled(path, size) if path.suffix == ".npy" else _read_own(path)
    if classes.dtype.kind not in "iu" or classes.ndim != 1 or len(set(classes.tolist())) != len(classes):
        raise DataError(f"{path}: expected the numbers of different classes, got {classes}")
    if classes.size and not 0 <= classes.min() <= classes.max() < num_classes:
        raise DataError(f"{path}: expected classes 0 to {num_classes - 1} (without background), got {classes}")
    expected = (len(classes), *(size or maps.shape[1:]))
    if maps.dtype.kind != "f" or maps.ndim != 3 or maps.shape != expected:
        raise DataError(
            f"{path}: expected maps of numbers of shape {expected} (classes, height, width of the image), "
            f"got {maps.dtype} of shape {maps.shape}"
        )
    if maps.size and not (np.isfinite(maps).all() and maps.min() >= -ROUNDING):
        raise DataError(f"{path}: expected finite maps from 0 up, got {maps.min()} to {maps.max()}")
    if path.suffix == ".npy" and maps.size and maps.max() > 1 + ROUNDING:
        raise DataError(
            f"{path}: expected maps normalised to 0..1, got values up to {maps.max()}; divide each by its maximum "
            "(maps of 0 and 255 come from the released SC-CAM script, which stores its drawing: S18)"
        )
    clipped = maps.astype(np.float32).clip(0, 1 if path.suffix == ".npy" else None)
    return PresentMaps(classes.astype(np.int64), torch.from_numpy(clipped))


def _read_own(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(path) as stored:
            if not {"classes", "maps"} <= set(stored.files):
                raise DataError(f"{path} holds {', '.join(stored.files)}; expected the arrays classes and maps")
            return stored["classes"], stored["maps"]
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"cannot read {path}: {error}. Copy or compute it again") from error
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: expected plain arrays without pickles, got something else ({error})") from error


def _read_pickled(path: Path, size: tuple[int, int] | None) -> tuple[np.ndarray, np.ndarray]:
    content = read_object(path)
    if isinstance(content, dict) and {"keys", "high_res"} <= content.keys():
        return np.asarray(content["keys"]), np.asarray(content["high_res"])
    if not isinstance(content, dict) or not all(isinstance(key, int) for key in content):
        raise DataError(
            f"{path}: expected psa's dictionary of class to map, or irn's with keys and high_res; got "
            + (f"a dictionary with {', '.join(map(str, content))}" if isinstance(content, dict) else "no dictionary")
        )
    if not content:
        return np.zeros(0, np.int64), np.zeros((0, *(size or (1, 1))), np.float32)
    maps = [np.asarray(of_class) for of_class in content.values()]
    if len({of_class.shape for of_class in maps}) > 1:
        raise DataError(f"{path}: maps of different sizes {sorted({of_class.shape for of_class in maps})}")
    return np.array(list(content)), np.stack(maps)


# --- Writing ----------------------------------------------------------------------------------------------------------


def write_psa(path: Path, present: PresentMaps) -> None:
    """Store un-normalised maps as psa's `infer_cls.py` does."""
    maps = cam.normalize(present.maps).numpy()
    _write_dictionary(path, {int(c): of_class for c, of_class in zip(present.classes, maps, strict=True)})


def write_irn(path: Path, present: PresentMaps) -> None:
    """Store un-normalised maps as irn's `step/make_cam.py` does; `cam` is a tensor, for irn's scripts need one."""
    order = np.argsort(present.classes)
    maps = present.maps[torch.from_numpy(order)]
    quarter = [(side - 1) // STRIDE + 1 for side in maps.shape[1:]]
    small = F.interpolate(maps[None], quarter, mode="bilinear", align_corners=False)[0]
    high_res = cam.normalize(maps).numpy()
    _write_dictionary(path, {"keys": present.classes[order], "cam": cam.normalize(small), "high_res": high_res})


def _write_dictionary(path: Path, content: dict[Any, Any]) -> None:
    """As `np.save` would, but readable under NumPy 1 too, which psa and irn run with."""
    wrapped = np.empty((), object)
    wrapped[()] = content
    # NumPy 2 renamed the module of this function; the old name is known to both.
    pickled = pickle.dumps(wrapped, OLDEST_PICKLE).replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n", 1)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        file.write(pickled)


def export(
    folder: Path, layout: Layout, output: Path, *, root: Path | None = None, progress: bool = True
) -> dict[str, int]:
    """Write the response maps of a folder in another project's layout, or copy its masks once they are verified.

    Args:
        folder: of stage `response_maps` or `pseudo_masks`, or its part with the files.
        layout: of response maps; masks are the same in both.
        output: a new or empty folder; it appears when complete.
        root: data in VOC layout; each file must be of one of its images and have its size.
        progress: show a progress bar.

    Returns:
        Number of files by what they are, `response maps` or `masks`.

    Raises:
        DataError: nothing to export, files that are wrong, or images that are not in `root`.
        ValueError: `output` has content.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ValueError(f"{output} must be a new or empty folder; choose another or empty it")
    folder = results_folder(folder)
    sources = sorted(folder.glob("*.npz")) or sorted(folder.glob("*.png"))
    if not sources:
        raise DataError(f"{folder} has no response maps (.npz) and no masks (.png): give a run of one of these stages")
    root = find_root(root) if root else None
    sizes = {path.stem: image_size(root, path.stem) for path in sources} if root else {}
    num_classes = len(read_classes(root) if root else VOC_CLASSES)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as unfinished:
        whole = Path(unfinished) / output.name
        whole.mkdir()
        problems: dict[str, list[str]] = {}
        for path in tqdm(sources, desc=f"export to {layout}", unit="image", disable=not progress):
            size = sizes.get(path.stem)
            if path.suffix == ".npz":
                write = write_psa if layout == "psa" else write_irn
                write(whole / f"{path.stem}.npy", read_present(path, num_classes, size))
            else:
                problems[path.name] = mask_problems(path.read_bytes(), num_classes, size, paletted=True, void=True)
                shutil.copyfile(path, whole / path.name)
        refuse(f"masks in {folder} that cannot be exported:", problems)
        if output.exists():
            output.rmdir()
        whole.rename(output)
    return {"response maps" if sources[0].suffix == ".npz" else "masks": len(sources)}
