"""What an experiment is: the question of one notebook, asked by whoever runs, plans, counts or shows it.

An experiment knows its rows, its stages, and the tables, figures and verdicts made of them. Its own parameters are its
fields; their values come from the parameters cell of its notebook. Making one checks all that can be wrong before
anything is computed, so `thesis run`, `reproduce`, `batch` and the cost count refuse what the notebook would refuse.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from companion.datasets.demo.scenes import CLASSES
from companion.datasets.published import open_split
from companion.experiments.training_seeds import seeds_in_words
from companion.pipeline import artefacts
from companion.pipeline.stages import data as data_stage
from companion.pipeline.store import Stage
from companion.settings import Machine, Settings
from companion.settings.project import project_root
from thesislib.data.voc import DataError, VocDataset, find_root, read_classes

SCORED = ("train", "val")
"""Splits of which maps and masks are scored."""
Compute = Callable[[Mapping[Any, Stage]], Mapping[Any, Path]]
"""Computes what the store lacks of stages; returns the folder of each by the same name."""


Measure = Callable[[Sequence[Path]], Iterable[Sequence[np.ndarray]]]
"""Measures something on the maps, masks or weights in folders of artefacts: for each folder some arrays."""
Keep = Callable[[str, Sequence[Path], Measure], list[Sequence[np.ndarray]]]
"""`keep(name, folders, measure)`: what is measured on each folder, known also where the folder is a published one.

It is kept artefact by artefact, so the name says all that it depends on but the artefact.
"""


CHOOSE_ROWS = ("only_rows", "walked_rows")
"""Parameters that name the rows to compute, of experiments that have them; empty: all."""
IN_FULL: Mapping[str, Any] = {**dict.fromkeys(CHOOSE_ROWS, ()), "step_2": True}
"""The values of parameters, of experiments that have them, with which all is asked that was declared."""


class NoTruth(DataError):
    """Data without the masks that an experiment would score with."""


def _measured(name: str, folders: Sequence[Path], measure: Measure) -> list[Sequence[np.ndarray]]:
    return [*measure(folders)]


def _nothing(stages: Mapping[Any, Stage]) -> Mapping[Any, Path]:
    raise RuntimeError("this experiment was made to plan, not to compute: give it `compute`")


@dataclass(frozen=True, kw_only=True, eq=False)
class Experiment(ABC):
    """The question of one notebook.

    Args:
        settings: of the preset with overrides, without a seed.
        seeds: training seeds, ascending.
        machine: where stages run.
        compute: computes stages; not needed to plan.
        keep: keeps what is measured on maps, masks or weights.

    Class attributes:
        notebook: its name without `.ipynb`.
        reproduces: the tables and figures of the thesis that it holds, such as `table-2.1`.
        needs_truth: splits that it scores, so that every image of them needs a mask.
        beyond: whether it asks what the thesis leaves open; `thesis reproduce` runs it only when told to.
    """

    notebook: ClassVar[str]
    reproduces: ClassVar[tuple[str, ...]] = ()
    needs_truth: ClassVar[tuple[str, ...]] = ()
    beyond: ClassVar[bool] = False

    settings: Settings
    seeds: Sequence[int]
    machine: Machine
    compute: Compute = _nothing
    keep: Keep = _measured

    @abstractmethod
    def stages(self) -> list[Stage]:
        """All that the notebook needs computed, without what these stages build on."""

    @classmethod
    def settings_of(cls, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Settings by dotted name that follow from the notebook's own parameters."""
        return {"data.data_seed": parameters["data_seed"]} if "data_seed" in parameters else {}

    def check_truth(self) -> None:
        """See that the images of the user's folder have the masks that scores need.

        Raises:
            NoTruth: some have none; with counts.
        """
        for split in self.needs_truth if self.machine.data_root else ():
            images = open_split(self.machine.data_root, split)
            if lacking := [name for i, name in enumerate(images.ids) if not images.has_mask(i)]:
                raise NoTruth(
                    f"{self.notebook} scores {split}, but {len(lacking)} of its {len(images)} images have no mask in "
                    f"{images.root / 'SegmentationClass'}, such as {lacking[0]}: add masks, or shorten {split}.txt to "
                    "images that have one; 00_quickstart and 01_data need none"
                )

    @property
    def generated(self) -> bool:
        """Whether the images are generated."""
        return not self.machine.data_root and self.settings.data.source == "generated"

    @property
    def data_note(self) -> str:
        """What the data are, in words; empty where the notebook knows best."""
        return ""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, known before anything is computed."""
        return read_classes(find_root(self.machine.data_root)) if self.machine.data_root else CLASSES

    def images(self, split: str) -> VocDataset:
        """A split of the data, generated first if it has to be."""
        root = self.machine.data_root or self.data_folder / artefacts.DATASET
        return open_split(root, split, cache=self.generated)

    @cached_property
    def data_folder(self) -> Path:
        """Of the stage of the data."""
        return self.compute({"data": data_stage.stage(self.settings, self.machine)})["data"]

    def unasked(self, family: Callable[[Self], Sequence[Any]]) -> int:
        """How many claims of a family were declared and are not asked, for a parameter or the lack of the CRF."""
        every: dict[str, Any] = {name: value for name, value in IN_FULL.items() if hasattr(self, name)}
        machine = self.machine.model_copy(update={"crf": True})
        return len(family(replace(self, machine=machine, **every))) - len(family(self))

    def of_each(self, name: str, measure: Callable[[Path], Any], folders: Iterable[Path]) -> list[np.ndarray]:
        """A measure of each folder, kept under a name (`Keep`)."""
        found = self.keep(name, [*folders], lambda given: [[np.asarray(measure(folder))] for folder in given])
        return [values for (values,) in found]

    def of_one(self, name: str, folder: Path, measure: Callable[[], Sequence[np.ndarray]]) -> Sequence[np.ndarray]:
        """Some arrays measured on one folder, kept under a name (`Keep`)."""
        (found,) = self.keep(name, [folder], lambda given: [measure()])
        return found

    @cached_property
    def on_train(self) -> VocDataset:
        """The images of train."""
        return self.images("train")

    @cached_property
    def on_val(self) -> VocDataset:
        """The images of val."""
        return self.images("val")

    # --- What captions say ---

    @property
    def threshold(self) -> float:
        """The fixed background threshold."""
        return self.settings.cam.background

    @property
    def seeds_in_words(self) -> str:
        """How many seeds, such as `3 seeds`, or which."""
        return seeds_in_words(self.seeds)

    @property
    def over(self) -> str:
        """Over how many seeds, and what is shown of them."""
        return self.seeds_in_words + (" (mean and 95 % interval)" if len(self.seeds) > 1 else "")

    @property
    def means(self) -> str:
        """`over` for what is shown without an interval, such as `means of 3 seeds`."""
        return f"means of {self.seeds_in_words}" if len(self.seeds) > 1 else self.seeds_in_words

    @property
    def both(self) -> str:
        """How many images of train and of val."""
        return f"{len(self.on_train)} images of train and {len(self.on_val)} of val"


def in_project(file: str) -> str:
    """A path as notebooks understand it: relative to the project's root."""
    return str(project_root() / file) if file else ""
