"""VOC 2012 and SBD with nine images, the facts about them, and their archives."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from archive_server import pack
from scipy.io import savemat
from scipy.sparse import csc_array
from voc_folder import write_annotation, write_mask_and_image, write_split

from companion.datasets.voc2012.downloads import Archive
from companion.datasets.voc2012.protocol import VOC2012, Benchmark, SplitFacts, ids_checksum
from thesislib.data.voc import VOC_CLASSES, DataError

# a-c: VOC's train, d-e: its val, f-i: images without a mask of VOC. SBD knows c and d too, in lists of its own.
TRAIN, VAL, SBD_TRAIN, SBD_VAL = list("abc"), list("de"), list("cfgd"), list("hie")
TRAINAUG = list("abcfghi")
CLASS_OF = dict(zip("abcdefghi", ["cat", "dog", "cat", "dog", "cat", "dog", "person", "person", "cat"], strict=True))
SIZE = (20, 30)
VOC_TAR, SBD_TGZ = "VOCtrainval.tar", "benchmark.tgz"


def write_sources(folder: Path) -> None:
    """`VOCdevkit/VOC2012` and `benchmark_RELEASE/dataset` as their archives hold them."""
    root = folder / "VOCdevkit" / "VOC2012"
    for sub in ("JPEGImages", "Annotations", "SegmentationClass", "ImageSets/Segmentation"):
        (root / sub).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, kind in CLASS_OF.items():
        write_mask_and_image(root, name, VOC_CLASSES.index(kind) + 1, SIZE, rng)
        write_annotation(root, name, [kind, "head"])
        if name not in TRAIN + VAL:
            (root / "SegmentationClass" / f"{name}.png").unlink()
    for split, ids in (("train", TRAIN), ("val", VAL), ("trainval", TRAIN + VAL)):
        write_split(root, split, ids)
    dataset = folder / "benchmark_RELEASE" / "dataset"
    for sub in ("cls", "img", "inst"):
        (dataset / sub).mkdir(parents=True)
    for split, ids in (("train", SBD_TRAIN), ("val", SBD_VAL)):
        (dataset / f"{split}.txt").write_text("\n".join(ids) + "\n")
        for name in ids:
            write_mat(dataset / "cls" / f"{name}.mat", sbd_mask(name))
            (dataset / "img" / f"{name}.jpg").write_bytes(b"not needed")


def sbd_mask(name: str) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    mask[3:9, 4:-5] = VOC_CLASSES.index(CLASS_OF[name]) + 1
    return mask


def write_mat(path: Path, mask: np.ndarray) -> None:
    """SBD's structure: a struct with the mask, 20 sparse boundary maps, and the classes present."""
    boundaries = np.empty((20, 1), object)
    for c in range(20):
        boundaries[c, 0] = csc_array(mask == c + 1).astype(bool)
    present = np.setdiff1d(mask, [0]).reshape(-1, 1)
    savemat(path, {"GTcls": {"Boundaries": boundaries, "Segmentation": mask, "CategoriesPresent": present}})


def facts(ids: list[str]) -> SplitFacts:
    counts = [sum(CLASS_OF[name] == kind for name in ids) for kind in VOC_CLASSES]
    return SplitFacts(len(ids), ids_checksum(ids), tuple(counts))


def benchmark_of(voc: Archive, sbd: Archive) -> Benchmark:
    splits = {
        "trainaug": facts(TRAINAUG),
        "train": facts(TRAIN),
        "val": facts(VAL),
        "test": SplitFacts(3, ids_checksum("xyz")),
    }
    return replace(VOC2012, name="small VOC", voc=voc, sbd=sbd, sbd_images={"train": 4, "val": 3}, splits=splits)


def archives(folder: Path) -> dict[str, bytes]:
    """Both data sets packed as their sources pack them."""
    write_sources(folder)
    return {
        VOC_TAR: pack({f"VOCdevkit/{name}": content for name, content in contents(folder / "VOCdevkit").items()}),
        SBD_TGZ: pack(
            {f"benchmark_RELEASE/{name}": content for name, content in contents(folder / "benchmark_RELEASE").items()},
            mode="w:gz",
        ),
    }


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def voc(root: Path) -> Path:
    return root / "VOCdevkit" / "VOC2012"


def state(root: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.stat().st_mtime_ns, p.stat().st_size) for p in root.rglob("*")}


def error_of(function, *arguments, **options) -> str:
    with pytest.raises(DataError) as caught:
        function(*arguments, **options)
    return str(caught.value)
