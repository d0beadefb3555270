"""Where do the thesis' two methods stand beside others with the same supervision, AdvCAM above all?

AdvCAM (`thesislib.advcam`, with its source) makes other maps from the classifier of plain CAM, for many times the cost
of the maps. The thesis' headline method changes the training instead and leaves the maps as they are. Who has a
classifier wants to know which of the two to pay for, so the primary claim sets Mixup-CAM against AdvCAM, and whatever
AdvCAM's paper says of itself is checked beside it: better maps than CAM, with more recall and less precision. A control
moves the image as far, to other pixels than the gradient names.

The claim was written down when AdvCAM and plain CAM of seed 0 of the demo had been seen, and Mixup-CAM on the demo was
known from Table 2.1: seeds 0 to 2 of the demo explore, others confirm.

SEAM's equivariance term and ReCAM (`thesislib.equivariance`, `thesislib.recam`) came later, when seeds 0 to 5 of all
rows above had been seen; their claims were written down before maps of either were scored. SEAM's paper starts from
maps of CAM that both miss parts of objects and spread beyond them, and shows its own as more consistent over rescaling;
its control sees the smaller copies too, without the term. ReCAM's starts from maps of CAM that invade the area of other
classes and miss parts of their own; its control is the same classifier, trained on for as long without the second one.
Its maps with the weights of the first classifier alone came last, when all else had been seen, and nothing is claimed
of them: on a seed that is not shown, channels whose weights are both negative had turned out to light up other classes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import ClassVar

import pandas as pd

from companion.analysis import families, maps, measures, mechanism, rescaling
from companion.analysis.claims import Claim, Row, judged, paired
from companion.analysis.families import Judged
from companion.analysis.maps import over_seeds
from companion.analysis.mechanism import Mechanism
from companion.analysis.methods import MIXUP_CAM, PLAIN_CAM, regularisers
from companion.experiments.chapter_3 import sc_cam
from companion.experiments.compared_maps import ComparedMaps
from companion.experiments.declared import primary
from companion.experiments.exhibits import Exhibit, Note, Table
from companion.experiments.own_rows import check_plain, check_trained
from companion.settings import SettingsError

OF_TERM = ("seam", "copies")
"""The rows that differ in SEAM's term alone."""
RECALL, PRECISION = "mean recall at the fixed threshold", "mean precision at the fixed threshold"
CONFUSED = "objects' pixels under another object's class, of those under an object's, at the fixed threshold, down"
PUBLISHED = {
    "advcam": (
        Mechanism("AdvCAM finds more of the objects", RECALL, measures.mean_recall),
        Mechanism("AdvCAM is less precise", f"{PRECISION}, down", measures.mean_precision, -1),
    ),
    "seam": (
        Mechanism("SEAM finds more of the objects", RECALL, measures.mean_recall),
        Mechanism("SEAM is more precise", PRECISION, measures.mean_precision),
    ),
    "recam": (
        Mechanism("ReCAM finds more of the objects", RECALL, measures.mean_recall),
        Mechanism("ReCAM confuses classes less", CONFUSED, measures.confused, -1),
    ),
}
"""What the paper of a row says of its maps beside those of CAM, or of what is wrong with those of CAM."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Peers(ComparedMaps):
    """Plain CAM, Mixup-CAM, SC-CAM, AdvCAM and ReCAM on the classifier of plain CAM, SEAM's term, and controls.

    Args:
        alpha, lambda_ent, lambda_con: of Mixup-CAM.
        rounds: of SC-CAM.
        steps: of AdvCAM; that many maps are added up.
        step_size: largest change of a pixel in a step of AdvCAM, in units of the normalised image.
        copy_scale: of the sides of SEAM's smaller copies.
        lambda_er: weight of SEAM's equivariance term.
        recam_epochs: for which ReCAM trains the classifier on.
    """

    notebook: ClassVar = "45_peers"
    beyond: ClassVar = True

    alpha: float
    lambda_ent: float
    lambda_con: float
    rounds: int
    steps: int
    step_size: float
    copy_scale: float
    lambda_er: float
    recam_epochs: int

    @cached_property
    def every_row(self) -> Mapping[str, Row]:
        """The methods, then the controls.

        Raises:
            SettingsError: AdvCAM without a step that moves the image, SEAM without a copy or a weight, ReCAM without an
                epoch or a weight, not even one round, a classifier from a file, or a regulariser, round, climb, copy or
                epoch of ReCAM that is already set.
        """
        check_plain(self.settings)
        check_trained(self.settings, "this notebook")
        if self.settings.classifier.copy_scale or min(self.copy_scale, self.lambda_er) <= 0:
            raise SettingsError(
                "SEAM's term is what a row has and the others lack: leave classifier.copy_scale at 0, and give "
                "copy_scale and lambda_er above 0, such as 0.3 and 1"
            )
        if self.settings.recam.epochs or self.settings.recam.weight <= 0 or self.recam_epochs < 1:
            raise SettingsError(
                "ReCAM is what a row has and the others lack: leave recam.epochs at 0 and recam.weight above 0, and "
                "give recam_epochs of at least 1, such as 4"
            )
        if self.settings.cam.climb_steps or self.steps < 2:
            raise SettingsError(
                "AdvCAM is what a row has and the others lack: leave cam.climb_steps at 0, and give steps of at least 2"
            )
        climb = PLAIN_CAM.overrides | {"cam.climb_steps": self.steps, "cam.climb_size": self.step_size}
        shuffled = climb | {"cam.climb_direction": "shuffled"}
        onwards = PLAIN_CAM.overrides | {"recam.epochs": self.recam_epochs}
        copies = PLAIN_CAM.overrides | {"classifier.copy_scale": self.copy_scale}
        return {
            "cam": PLAIN_CAM,
            "mixup_cam": Row(
                MIXUP_CAM.name, regularisers(self.alpha, self.lambda_ent, self.lambda_con), MIXUP_CAM.printed
            ),
            "sc_cam": sc_cam(self.rounds),
            "advcam": Row("AdvCAM", climb),
            "seam": Row("SEAM's equivariance", copies | {"classifier.lambda_er": self.lambda_er}),
            "recam": Row("ReCAM", onwards),
            "shuffled": Row("AdvCAM, shuffled steps", shuffled, control=True),
            "copies": Row("smaller copies alone", copies, control=True),
            "onwards": Row("CAM, trained on", onwards | {"recam.weight": 0}, control=True),
            "first": Row("ReCAM, first weights", onwards | {"cam.recam_weights": "first"}, control=True),
        }

    @property
    def claim(self) -> Claim:
        text = "Training with mixup and its terms does more for the maps than AdvCAM, which trains nothing"
        return Claim(text, self.every_row["mixup_cam"], self.every_row["advcam"], primary=True)

    @property
    def others(self) -> Sequence[Claim]:
        """What else is asked of rows of maps."""
        asked = (
            ("It matters where AdvCAM changes the image", "advcam", "shuffled"),
            ("SEAM's term does more than its smaller copies", *OF_TERM),
            ("ReCAM's second classifier does more than further training", "recam", "onwards"),
        )
        rows = self.every_row
        first = Claim("Sub-categories do more for the maps than AdvCAM", rows["sc_cam"], rows["advcam"])
        controls = [Claim(text, rows[row], rows[reference], control=True) for text, row, reference in asked]
        return [*self.asked([first]), *self.peers.values(), *self.asked(controls)]

    @property
    def peers(self) -> Mapping[str, Claim]:
        """That a row of others is better than plain CAM, by its key."""
        texts = {
            "advcam": "AdvCAM improves the maps of plain CAM",
            "seam": "SEAM's equivariance improves the maps of plain CAM",
            "recam": "ReCAM improves the maps of plain CAM",
        }
        rows = self.every_row
        return {key: Claim(text, rows[key], rows["cam"]) for key, text in texts.items() if self.has([key, "cam"])}

    @property
    def compared(self) -> Sequence[Claim]:
        alone = [Claim("", self.every_row[key], self.every_row["cam"]) for key in ("mixup_cam", "sc_cam")]
        return [self.claim, *self.others, *self.asked(alone)]

    @property
    def claims_of_completeness(self) -> Sequence[Claim]:
        return [*self.peers.values()]  # those of the thesis' methods are asked beside their tables

    # --- Exhibits, in the order of the notebook ---

    def what_differs(self) -> Table:
        """The settings of the rows."""
        return self.settings_of_rows(
            f"What distinguishes the rows; everything else is the preset's. AdvCAM adds up {self.steps} maps of the "
            f"classifier of plain CAM at each scale, between which no pixel changes by more than {self.step_size:g} of "
            "the normalised image; shuffled, the same changes are made at other pixels. SEAM's classifier also sees a "
            f"copy of every image with sides of {self.copy_scale:g} of its own, and so does its control. ReCAM "
            "and its control train the classifier of plain CAM on; its maps have the product of the weights of two "
            "classifiers, or those of the first.",
            weights=("lambda_ent", "lambda_con", "cam.climb_size", "copy_scale", "lambda_er"),
        )

    def verdicts(self) -> Iterator[Exhibit]:
        """What does more, and does what the papers of others say hold here?"""
        yield primary(self.claim, self.moved, self.on_val.classes, None, None)
        yield Note(families.NOTE)
        left_out = self.unasked(lambda each: [*each.others, *(found for key in each.peers for found in PUBLISHED[key])])
        yield from families.alone([*self.secondary()], self.on_val.classes, left_out)
        yield self.lines("What training gains, what climbing gains, and what others gain")

    def secondary(self) -> Iterator[Judged]:
        """The other claims of maps, and what the papers of others say of theirs, not yet corrected."""
        yield from map(self.judged_as_primary, self.others)
        for key, claim in self.peers.items():
            for found in mechanism.verdicts(claim, PUBLISHED[key], self.train, "train"):
                yield found, None

    def precision_and_recall(self) -> Table:
        """What the mIoU of each row is made of."""
        confused = maps.table(self.train, {"confused": measures.confused})
        return Table(
            maps.precision_and_recall(self.train).join(confused),
            "precision_and_recall",
            f"Mean precision and recall over classes in per cent, and of the objects' pixels under an object's class "
            f"those under another's, unrefined maps of {len(self.on_train)} images of train at the fixed threshold "
            f"{self.threshold}, {self.over}.",
            best=["mIoU", "precision", "recall"],
            lowest=["confused"],
        )

    def rescaled(self) -> Iterator[Exhibit]:
        """Does SEAM's term do what it is for, on images that were not trained on?"""
        if not self.has(OF_TERM):
            return
        names = [self.rows[key].name for key in OF_TERM]
        measure = partial(
            rescaling.disagreement,
            images=self.on_val,
            settings=self.settings,
            machine=self.machine,
            scale=self.copy_scale,
        )
        found = self.measured(f"disagreement with maps of copies at {self.copy_scale:g}, val", measure, names)
        values = {row: [float(value) for value in of_row] for row, of_row in found.items()}
        cells = {row: {"difference": over_seeds(of_row)} for row, of_row in values.items()}
        yield Table(
            pd.DataFrame.from_dict(cells, orient="index", dtype=object).rename_axis("method"),
            "rescaled",
            f"Mean difference of the maps of an image, made smaller, and of the image made smaller, in per cent of a "
            f"map's range; sides of {self.copy_scale:g}, classes that are present, {len(self.on_val)} images of val, "
            f"{self.over}.",
            lowest=["difference"],
        )
        text = "With SEAM's term maps change less with the size of the image (mean difference, val, down)"
        less = judged(f"{text}: {' against '.join(names)}", paired(*values.values()), sign=-1, of_interest=None)
        yield from families.corrected([less])
