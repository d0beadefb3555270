"""What every stage writes to its folder in the store: names of files, and how they are read and written.

Whoever reads a result of a stage (later stages, analysis, drawing, exchange) reads it here. Files of arrays are NumPy's
`.npz` without pickles, weights are safetensors, masks are VOC's paletted PNGs. A file that a stage writes image by
image is there whole or not at all, so that a stage that was cut short goes on after the last one.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from jaxtyping import Float, Float16, Float32, Float64, Int16, UInt8
from torch import Tensor

from companion.datasets.published import check_there
from thesislib.data import voc
from thesislib.files import write_whole

DATASET = "dataset"
"""Stage `data`, where images are generated: a folder in VOC layout."""
DATASET_FACTS = "dataset.json"
"""Stage `data`, where the images are a folder of the user's: classes and numbers of images."""
BACKBONE_WEIGHTS = "backbone.safetensors"
PRETEXT_ACCURACY = "accuracy.json"
CLASSIFIER_WEIGHTS = "classifier.safetensors"
SECOND_WEIGHTS = "second.safetensors"
"""Stage `recam`: of the second classifier, beside those of the first."""
AFFINITY_WEIGHTS = "affinity.safetensors"
SEGMENTER_WEIGHTS = "segmenter.safetensors"
HISTORY = "history.npz"
FEATURES = "features.npz"
SUBCATEGORIES = "subcategories.npz"
SCORES = "scores.npz"
MAPS = "maps"
AFFINITY_SCORES = "scores"
REFINED = "refined"
MASKS = "masks"
SEGMENTATIONS = ("plain", "crf")
"""Stage `segmentation`: folders of masks without and with the dense CRF."""


def epoch_weights(epoch: int) -> str:
    """Stage `classifier`: weights after that many epochs; those that are used are `CLASSIFIER_WEIGHTS`."""
    return f"epoch-{epoch:03}.safetensors"


def kept_epochs(folder: Path) -> list[int]:
    """Epochs after which a classifier's weights were kept beside those that are used."""
    return [int(file.stem[-3:]) for file in sorted(folder.glob("epoch-*"))]


# --- One file a stage -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Features:
    """Stage `features`: what the heads see of every image of `trainaug`, `(N, D)` float32."""

    features: Float[np.ndarray, "n d"]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """From the folder of the stage; raises `LeftOut` where they are not published."""
        check_there(folder / FEATURES, "features")
        with np.load(folder / FEATURES) as stored:
            return cls(stored["features"])

    def write(self, folder: Path) -> None:
        """To the folder of the stage."""
        np.savez(folder / FEATURES, features=self.features)


@dataclass(frozen=True)
class ClassFeatures:
    """Stage `class_features`: another feature for each class of an image of `trainaug`.

    Attributes:
        features: `(P, D)`, a row for each pair of image and class in it, image by image.
        classes: `(P,)` of the pairs.
    """

    features: Float[np.ndarray, "p d"]
    classes: UInt8[np.ndarray, " p"]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """From the folder of the stage; raises `LeftOut` where they are not published."""
        check_there(folder / FEATURES, "features")
        with np.load(folder / FEATURES) as stored:
            return cls(stored["features"], stored["classes"])

    def write(self, folder: Path) -> None:
        """To the folder of the stage."""
        _write_arrays(folder / FEATURES, {"features": self.features, "classes": self.classes})

    def of_classes(self, number: int) -> list[Float[np.ndarray, "n_c d"]]:
        """Those of each class, in the order of the images."""
        return [self.features[self.classes == c] for c in range(number)]


@dataclass(frozen=True)
class Subcategories:
    """Stage `subcategories`: the cluster of every image of `trainaug` within each class.

    Attributes:
        assignments: `(N, C)`, -1 where the class is absent.
        k: K, clusters of each class.
        distances: `(N, C)` of each image to its centroid, NaN where the class is absent; None for the controls.
        soft: `(N, C*K)` labels that share an image among clusters; None where it belongs to one.
    """

    assignments: Int16[np.ndarray, "n c"]
    k: int
    distances: Float64[np.ndarray, "n c"] | None = None
    soft: Float32[np.ndarray, "n ck"] | None = None

    @classmethod
    def read(cls, folder: Path) -> Self:
        """From the folder of the stage."""
        with np.load(folder / SUBCATEGORIES) as stored:
            distances, soft = (stored[name] if name in stored.files else None for name in ("distances", "soft"))
            return cls(stored["assignments"], int(stored["k"]), distances, soft)

    def write(self, folder: Path) -> None:
        """To the folder of the stage."""
        arrays = {"assignments": self.assignments, "k": np.array(self.k)}
        more = {"distances": self.distances, "soft": self.soft}
        _write_arrays(folder / SUBCATEGORIES, arrays | {name: a for name, a in more.items() if a is not None})


def dataset_notes(folder: Path) -> list[str]:
    """What a reader has to know of the user's images, from the folder of stage `data`; nothing of generated ones."""
    facts = folder / DATASET_FACTS
    return json.loads(facts.read_text(encoding="utf-8")).get("notes", []) if facts.is_file() else []


def write_history(folder: Path, history: Mapping[str, Sequence[float]]) -> None:
    """The loss terms of every step of a training, each under its name."""
    _write_arrays(folder / HISTORY, {name: np.asarray(values, np.float32) for name, values in history.items()})


def read_history(folder: Path) -> dict[str, np.ndarray]:
    """The loss terms of every step, from the folder of a stage that trains."""
    with np.load(folder / HISTORY) as stored:
        return dict(stored)


def write_scores(folder: Path, scores: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Counts behind every score: by part, which is a split (for `segmentation` `<split>/plain` or `/crf`), and name."""
    arrays = {f"{part}/{name}": values for part, of_part in scores.items() for name, values in of_part.items()}
    _write_arrays(folder / SCORES, arrays)


def read_scores(folder: Path, part: str) -> dict[str, np.ndarray]:
    """Counts of one part by name; empty where the part was not scored."""
    with np.load(folder / SCORES) as stored:
        return {name.removeprefix(f"{part}/"): stored[name] for name in stored.files if name.startswith(f"{part}/")}


def _write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    np.savez(path, **arrays)  # type: ignore[arg-type]


# --- One file an image ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OfImage:
    """Arrays of one image, in `<part>/<id>.npz` of a stage's folder; `classes` `(P,)` are those that are present."""

    part: ClassVar[str]
    called: ClassVar[str]

    classes: UInt8[np.ndarray, " p"]

    @classmethod
    def path(cls, folder: Path, name: str) -> Path:
        """The file of image `name`."""
        return folder / cls.part / f"{name}.npz"

    @classmethod
    def read(cls, folder: Path, name: str) -> Self:
        """The arrays of image `name`.

        Raises:
            FileNotFoundError: the folder is incomplete; names the image.
            LeftOut: they are not published.
        """
        path = cls.path(folder, name)
        check_there(path, cls.called)
        if not path.is_file():
            raise FileNotFoundError(f"no {cls.called} of image {name} in {path.parent}; compute them again")
        with np.load(path) as stored:
            return cls(**{each.name: stored[each.name] for each in fields(cls)})

    def write(self, folder: Path, name: str) -> None:
        """Write the file of image `name`, whole or not at all."""
        path = self.path(folder, name)
        path.parent.mkdir(exist_ok=True)
        arrays: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        write_whole(path, partial(np.savez, **arrays))


@dataclass(frozen=True)
class ResponseMaps(OfImage):
    """Stage `response_maps`: fused, un-normalised `maps` `(P, H, W)` of the present classes."""

    part: ClassVar[str] = MAPS
    called: ClassVar[str] = "response maps"

    maps: Float[np.ndarray, "p h w"]

    def of_classes(self, num_classes: int) -> Float[Tensor, "c h w"]:
        """Maps of all classes, 0 for absent ones."""
        maps = torch.zeros(num_classes, *self.maps.shape[1:])
        maps[torch.from_numpy(self.classes.astype(np.int64))] = torch.from_numpy(self.maps)
        return maps


@dataclass(frozen=True)
class AffinityScores(OfImage):
    """Stage `affinity_labels`: CRF scores `(P+1, H, W)` under the large and the small background score."""

    part: ClassVar[str] = AFFINITY_SCORES
    called: ClassVar[str] = "affinity scores"

    low: Float16[np.ndarray, "p1 h w"]
    high: Float16[np.ndarray, "p1 h w"]


@dataclass(frozen=True)
class RefinedMaps(OfImage):
    """Stage `refined_maps`: `scores` `(P+1, H, W)` after the random walk, background first."""

    part: ClassVar[str] = REFINED
    called: ClassVar[str] = "refined maps"

    scores: Float[np.ndarray, "p1 h w"]


def weights_path(folder: Path, name: str) -> Path:
    """A weight file in the folder of a stage; raises `LeftOut` where it is not published."""
    check_there(folder / name, "weights")
    return folder / name


def mask_path(folder: Path, name: str, part: str = MASKS) -> Path:
    """The mask of image `name`, of stage `pseudo_masks` or of a part of `segmentation`."""
    return folder / part / f"{name}.png"


def read_mask(folder: Path, name: str, part: str = MASKS) -> UInt8[np.ndarray, "h w"]:
    """Palette indices of the mask of image `name`; raises `LeftOut` where it is not published."""
    check_there(mask_path(folder, name, part), "predicted masks")
    return voc.read_mask(mask_path(folder, name, part))


def write_mask(folder: Path, name: str, mask: UInt8[np.ndarray, "h w"], part: str = MASKS) -> None:
    """Write the mask of image `name`, whole or not at all."""
    path = mask_path(folder, name, part)
    path.parent.mkdir(exist_ok=True)
    write_whole(path, partial(voc.write_mask, mask=mask))
