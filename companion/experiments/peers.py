"""Where do the thesis' two methods stand beside AdvCAM, which has the same supervision and trains nothing?

AdvCAM (`thesislib.advcam`, with its source) makes other maps from the classifier of plain CAM, for many times the cost
of the maps. The thesis' headline method changes the training instead and leaves the maps as they are. Who has a
classifier wants to know which of the two to pay for, so the primary claim sets Mixup-CAM against AdvCAM, and whatever
AdvCAM's paper says of itself is checked beside it: better maps than CAM, with more recall and less precision. A control
moves the image as far, to other pixels than the gradient names.

The claim was written down when AdvCAM and plain CAM of seed 0 of the demo had been seen, and Mixup-CAM on the demo was
known from Table 2.1: seeds 0 to 2 of the demo explore, others confirm.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from jaxtyping import Float64

from companion.analysis import families, maps, measures, mechanism
from companion.analysis.claims import Claim, Row
from companion.analysis.families import Judged
from companion.analysis.maps import over_seeds
from companion.analysis.mechanism import Mechanism
from companion.analysis.methods import MIXUP_CAM, PLAIN_CAM, regularisers
from companion.experiments.chapter_3 import sc_cam
from companion.experiments.compared_maps import ComparedMaps
from companion.experiments.declared import primary
from companion.experiments.exhibits import Exhibit, Note, Table
from companion.experiments.own_rows import check_plain, check_trained
from companion.pipeline.provenance import recorded, upstream
from companion.settings import SettingsError

GIVEN = ("data", "backbone")
"""Stages that all rows share."""
PUBLISHED = (
    Mechanism("AdvCAM finds more of the objects", "mean recall at the fixed threshold", measures.mean_recall),
    Mechanism("AdvCAM is less precise", "mean precision at the fixed threshold, down", measures.mean_precision, -1),
)
"""What AdvCAM's paper says of its maps beside those of CAM."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Peers(ComparedMaps):
    """Plain CAM, Mixup-CAM, SC-CAM, AdvCAM on the classifier of plain CAM, and its control.

    Args:
        alpha, lambda_ent, lambda_con: of Mixup-CAM.
        rounds: of SC-CAM.
        steps: of AdvCAM; that many maps are added up.
        step_size: largest change of a pixel in a step of AdvCAM, in units of the normalised image.
    """

    notebook: ClassVar = "45_peers"
    beyond: ClassVar = True

    alpha: float
    lambda_ent: float
    lambda_con: float
    rounds: int
    steps: int
    step_size: float

    @cached_property
    def rows(self) -> Mapping[str, Row]:
        """The methods, then the control.

        Raises:
            SettingsError: AdvCAM without a step that moves the image, not even one round, a classifier from a file, or
                a regulariser, round or climb that is already set.
        """
        check_plain(self.settings)
        check_trained(self.settings, "this notebook")
        if self.settings.cam.climb_steps or self.steps < 2:
            raise SettingsError(
                "AdvCAM is what a row has and the others lack: leave cam.climb_steps at 0, and give steps of at least 2"
            )
        climb = PLAIN_CAM.overrides | {"cam.climb_steps": self.steps, "cam.climb_size": self.step_size}
        shuffled = climb | {"cam.climb_direction": "shuffled"}
        return {
            "cam": PLAIN_CAM,
            "mixup_cam": Row(
                MIXUP_CAM.name, regularisers(self.alpha, self.lambda_ent, self.lambda_con), MIXUP_CAM.printed
            ),
            "sc_cam": sc_cam(self.rounds),
            "advcam": Row("AdvCAM", climb),
            "shuffled": Row("AdvCAM, shuffled steps", shuffled, control=True),
        }

    @property
    def claim(self) -> Claim:
        """The primary claim."""
        text = "Training with mixup and its terms does more for the maps than AdvCAM, which trains nothing"
        return Claim(text, self.rows["mixup_cam"], self.rows["advcam"], primary=True)

    @property
    def others(self) -> Sequence[Claim]:
        """What else is asked of rows of maps."""
        cam, explored, climbed, shuffled = (self.rows[key] for key in ("cam", "sc_cam", "advcam", "shuffled"))
        control = "It matters where AdvCAM changes the image"
        return [
            Claim("Sub-categories do more for the maps than AdvCAM", explored, climbed),
            Claim("AdvCAM improves the maps of plain CAM", climbed, cam),
            Claim(control, climbed, shuffled, control=True),
        ]

    @property
    def compared(self) -> Sequence[Claim]:
        alone = [Claim("", self.rows[key], self.rows["cam"]) for key in ("mixup_cam", "sc_cam")]
        return [self.claim, *self.others, *alone]

    @property
    def claims_of_completeness(self) -> Sequence[Claim]:
        return [self.others[1]]  # those of the thesis' methods are asked beside their tables

    # --- Exhibits, in the order of the notebook ---

    def what_differs(self) -> Table:
        """The settings of the rows."""
        return Table(
            maps.row_settings([*self.rows.values()], self.settings),
            "rows",
            f"What distinguishes the rows; everything else is the preset's. AdvCAM adds up {self.steps} maps of the "
            f"classifier of plain CAM at each scale, between which no pixel changes by more than {self.step_size:g} of "
            "the normalised image; shuffled, the same changes are made at other pixels.",
            formats={"lambda_ent": "g", "lambda_con": "g", "cam.climb_size": "g"},
        )

    def verdicts(self) -> Iterator[Exhibit]:
        """What does more, and does what AdvCAM's paper says hold here?"""
        yield primary(self.claim, self.moved, self.on_val.classes, None, None)
        yield Note(families.NOTE)
        yield from families.together({"all": [*self.secondary()]}, self.on_val.classes)["all"]
        yield self.lines("What training gains, and what climbing gains")

    def secondary(self) -> Iterator[Judged]:
        """The other claims of maps, and what AdvCAM's paper says of recall and precision, not yet corrected."""
        yield from map(self.judged_as_primary, self.others)
        for found in mechanism.verdicts(self.others[1], PUBLISHED, self.train, "train"):
            yield found, None

    def precision_and_recall(self) -> Table:
        """What the mIoU of each row is made of."""
        return Table(
            maps.precision_and_recall(self.train),
            "precision_and_recall",
            f"Mean precision and recall over classes in per cent, unrefined maps of {len(self.on_train)} images of "
            f"train at the fixed threshold {self.threshold}, {self.over}.",
            best=["mIoU", "precision", "recall"],
        )

    def seconds(self) -> Table:
        """How long the rows took where they were computed."""
        found = self.measured("seconds", _seconds, [row.name for row in self.rows.values()])
        cells = {
            row: dict(zip(("training", "maps"), map(over_seeds, np.transpose(of_row).tolist()), strict=True))
            for row, of_row in found.items()
        }
        return Table(
            pd.DataFrame.from_dict(cells, orient="index", dtype=object).rename_axis("method"),
            "seconds",
            f"Seconds of each row where it was computed: trainings with features and clusters, and the maps of "
            f"{self.both}; {self.over}. What rows share is in each of them; so is other work on the machine.",
            formats={"training": ".0f", "maps": ".0f"},
        )


def _seconds(folder: Path) -> Float64[np.ndarray, " 2"]:
    """Seconds that training and maps of a folder of maps took; NaN for training where its provenance is not here."""
    _, *training = upstream(folder, GIVEN)
    seconds = [recorded(each)["duration_s"] if each else np.nan for each in training]
    return np.array([sum(seconds), recorded(folder)["duration_s"]])
