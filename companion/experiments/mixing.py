"""What in mixup does it: softer labels, mixed images or both, and whether other ways to mix do better.

Thesis section 2.3.1 takes mixup as it is; label smoothing is named as future work. Every row differs from plain CAM in
what a batch is made of alone: no row has a term of chapter 2. A temperature that is fitted afterwards calibrates a
classifier and leaves its maps as they are. Nothing here corresponds to published code; the ways to mix are those of
`thesislib.mixing`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch

from companion.analysis import families, maps, measures, temperature
from companion.analysis.claims import Claim, Row, interaction, points, versus, within
from companion.analysis.families import Judged
from companion.analysis.forward import square
from companion.analysis.maps import over_seeds
from companion.analysis.methods import PLAIN_CAM, against_plain, regularisers
from companion.analysis.statistics import mean_interval
from companion.drawing import image_grids
from companion.experiments import printed
from companion.experiments.compared_maps import ComparedMaps
from companion.experiments.declared import primary
from companion.experiments.exhibits import Exhibit, Figure, Note, Table
from companion.experiments.own_rows import check_plain, check_trained
from companion.settings import SettingsError
from thesislib.mixing import MIXINGS

MIXING, SMOOTHING = "classifier.mixing", "classifier.label_smoothing"
NAMES = {
    "mixup": "mixup",
    "hard_labels": "mixed images, hard labels",
    "labels_only": "mixed labels, images as they are",
    "cutmix": "CutMix",
    "fmix": "FMix",
}
MASKS = ("cutmix", "fmix")
COOLED = ("cam", "mixup")
"""The rows whose maps are divided by a temperature."""
SIDE, SHOWN_SEED = 160, 2  # of the pictures of mixed images, pixels; of what they are mixed by


@dataclass(frozen=True, kw_only=True, eq=False)
class Mixing(ComparedMaps):
    """Plain CAM, every way to mix, and label smoothing.

    Args:
        alpha: of mixup and of the ways that take it apart.
        alpha_of_masks: of CutMix and FMix.
        smoothings: eps of label smoothing, the last of them with mixup too.
    """

    notebook: ClassVar = "42_mixing"
    beyond: ClassVar = True

    alpha: float
    alpha_of_masks: float
    smoothings: Sequence[float]

    @cached_property
    def every_row(self) -> Mapping[str, Row]:
        """The rows by key: plain CAM, the ways to mix, and each eps of label smoothing.

        Raises:
            SettingsError: no eps or one that is not above 0, a classifier from a file, or a regulariser or way to mix
                that is already set.
        """
        check_plain(self.settings)
        check_trained(self.settings, "this notebook")
        chosen = self.settings.classifier
        if chosen.mixing != "mixup" or chosen.label_smoothing or not self.smoothings or min(self.smoothings) <= 0:
            raise SettingsError(
                f"{MIXING} and {SMOOTHING} are what the rows differ in: leave them alone, and give smoothings above 0, "
                "such as [0.1]"
            )
        mixed = {
            key: Row(name, regularisers(self.alpha_of_masks if key in MASKS else self.alpha) | {MIXING: key})
            for key, name in NAMES.items()
        }
        smoothed = {f"smooth_{eps:g}": self._smoothed("", PLAIN_CAM.overrides, eps) for eps in self.smoothings}
        both = self._smoothed("mixup + ", mixed["mixup"].overrides, self.smoothings[-1])
        return {"cam": PLAIN_CAM} | mixed | smoothed | {"both": both}

    def _smoothed(self, before: str, overrides: Mapping[str, Any], eps: float) -> Row:
        return Row(f"{before}label smoothing {eps:g}", {**overrides, SMOOTHING: eps})

    @property
    def smooth(self) -> str:
        """The key of the row with the smoothing that mixup has beside it too."""
        return f"smooth_{self.smoothings[-1]:g}"

    @property
    def claim(self) -> Claim:
        """The primary claim, which the thesis makes too."""
        rows = self.every_row
        return Claim("Mixup improves the response maps", rows["mixup"], rows["cam"], primary=True)

    @property
    def thesis(self) -> Mapping[str, float]:
        cam = printed.table_2_1()["cam"]
        return {versus(self.claim): float(cam["Mixup L_cls"] - cam["AffinityNet (plain CAM)"])}

    @property
    def claims(self) -> Sequence[Claim]:
        """What takes mixup apart, and what might do better."""
        asked = (
            ("Mixed images under hard labels improve on plain CAM", "hard_labels", "cam"),
            ("Mixed labels over images as they are improve on plain CAM", "labels_only", "cam"),
            ("It takes the labels: mixup does better than with hard ones", "mixup", "hard_labels"),
            ("It takes the images: mixup does better than mixed labels alone", "mixup", "labels_only"),
            ("Label smoothing improves on plain CAM", self.smooth, "cam"),
            ("Label smoothing adds to mixup", "both", "mixup"),
            ("CutMix does better than mixup", "cutmix", "mixup"),
            ("FMix does better than mixup", "fmix", "mixup"),
        )
        return self.asked(Claim(text, self.every_row[ours], self.every_row[theirs]) for text, ours, theirs in asked)

    @property
    def claims_of_completeness(self) -> Sequence[Claim]:
        return [self.claim, *against_plain(self.claims)]

    # --- Scores ---

    @property
    def compared(self) -> Sequence[Claim]:
        """Every row against plain CAM, and the pairs of `claims` beside these."""
        plain = self.rows["cam"]
        above = [Claim("", row, plain) for key, row in self.rows.items() if key != "cam"]
        return [*above, *(claim for claim in self.claims if claim.reference != plain)]

    @cached_property
    def leads(self) -> Mapping[str, list[float]]:
        """`compared` in the primary reading, one value a seed, and last the interaction, where it can be had."""
        last = {"label smoothing, mixup and both: interaction": self.interaction} if self.has(self.square) else {}
        return {**super().leads, **last}

    @property
    def square(self) -> Sequence[str]:
        """The keys of the rows with and without mixup and smoothing."""
        return "both", "mixup", self.smooth, "cam"

    @cached_property
    def interaction(self) -> list[float]:
        """What smoothing adds to mixup minus what it adds to plain CAM, in the primary reading, one value a seed."""
        return interaction(self.moved, *(self.rows[key].name for key in self.square))

    @cached_property
    def temperatures(self) -> Mapping[str, list[float]]:
        """Fitted on train, by row name, one a seed."""
        return {row: [temperature.fitted(run) for run in runs] for row, runs in self.train.items()}

    @cached_property
    def cooled(self) -> Mapping[str, np.ndarray]:
        """`temperature.MAPS` on val by row name, `(seeds, 3)`."""
        found = {}
        for row in (self.rows[key].name for key in COOLED):
            of_seeds = zip(self.seeds, self.temperatures[row], strict=True)
            found[row] = np.stack([self._cooled(self.folders[row, seed], fitted) for seed, fitted in of_seeds])
        return found

    def _cooled(self, folder: Path, fitted: float) -> np.ndarray:
        measure = partial(temperature.divided_maps, folder, self.on_val, fitted, self.threshold)
        return self.of_one(f"maps divided by a temperature, at {self.threshold}", folder, lambda: [measure()])[0]

    # --- Exhibits, in the order of the notebook ---

    def what_differs(self) -> Table:
        """The settings of the rows."""
        return self.settings_of_rows(
            "What distinguishes the rows; everything else is the preset's. mixup_alpha is that of every way to mix; 0: "
            "nothing is mixed.",
            weights=("label_smoothing",),
        )

    def pictures(self) -> Figure:
        """Two images of trainaug, mixed in every way that changes them."""
        images = self.images("trainaug")
        first, second = measures.first_alone(images.labels)[:2]
        chosen = np.stack([square(images.image(i), SIDE) for i in (first, second)])
        pixels, labels = torch.from_numpy(chosen).permute(0, 3, 1, 2).float(), torch.eye(2)
        panels = [image_grids.Panel(chosen[0], "one image"), image_grids.Panel(chosen[1], "its partner")]
        for key in ("mixup", *MASKS):
            rng = np.random.default_rng(SHOWN_SEED)
            mixed, soft, _ = MIXINGS[key](pixels, labels, 1.0, rng)
            picture = mixed[0].permute(1, 2, 0).round().byte().numpy()
            panels.append(image_grids.Panel(picture, f"{NAMES[key]}: {soft[0, 0]:.2f}, {soft[0, 1]:.2f}"))
        return Figure(
            image_grids.grid([panels]),
            "mixed",
            "Two images of trainaug, and what mixup, CutMix and FMix make of the first with the second as its partner "
            "(alpha 1); above each the labels of both that it is trained with.",
            "Five pictures: two images, their overlay, the first with a rectangle of the second, and both in patches.",
        )

    def verdicts(self) -> Iterator[Exhibit]:
        """Does mixup improve the maps, and by what?"""
        yield primary(self.claim, self.moved, self.on_val.classes, self.thesis[versus(self.claim)], None)
        yield Note(families.NOTE)
        left_out = self.unasked(lambda each: each.claims)
        yield from families.alone([*self.secondary()], self.on_val.classes, left_out)
        yield self.lines("Every row against plain CAM, what takes mixup apart, and whether smoothing adds to it")

    def secondary(self) -> Iterator[Judged]:
        """What takes mixup apart, not yet corrected."""
        yield from map(self.judged_as_primary, self.claims)
        if self.has(self.square):
            text = "Mixup and label smoothing add up: what smoothing adds to mixup and to plain CAM differs by at most "
            yield within(text + points(self.margin), mean_interval(self.interaction), self.margin), None

    def table(self) -> Table:
        """Every row in both readings, and its classifier."""
        frame = maps.overview(self.train, self.val)
        return Table(
            frame.join(maps.table(self.val, {"calibration error val": measures.calibration_error})),
            "mixing",
            f"Unrefined response maps with the true image labels: mIoU in per cent on train at the fixed threshold "
            f"{self.threshold}, and on val at the threshold that is best on train (in the column before); mean average "
            f"precision of the image labels, and expected calibration error of their probabilities; {self.both}, "
            f"{self.over}.",
            best=["mIoU train", "mIoU val", "mAP val"],
            lowest=["calibration error val"],
            formats={"best threshold": ".2f"},
        )

    def calibrated(self) -> Table:
        """A temperature fitted on train: calibration before and after."""
        cells = {}
        for row, runs in self.val.items():
            fitted = self.temperatures[row]
            after = [temperature.calibration_error(*both) for both in zip(runs, fitted, strict=True)]
            before = [measures.calibration_error(run) for run in runs]
            values = {"temperature": fitted, "error before": before, "error after": after}
            cells[row] = {head: over_seeds(found) for head, found in values.items()}
        return Table(
            pd.DataFrame.from_dict(cells, orient="index", dtype=object).rename_axis("method"),
            "temperature",
            f"A temperature that is fitted after training to the image labels of {len(self.on_train)} images of train, "
            f"and the expected calibration error in per cent on {len(self.on_val)} images of val before and after the "
            f"logits are divided by it; {self.over}.",
            lowest=["error before", "error after"],
            formats={"temperature": ".2f"},
            note="The images of train were trained on, so a classifier that over-fits them is sure there with reason.",
        )

    def unchanged(self) -> Iterator[Exhibit]:
        """The maps of two rows before and after they are divided by the temperature."""
        cells = {
            row: {head: over_seeds(found[:, at].tolist()) for at, head in enumerate(temperature.MAPS)}
            for row, found in self.cooled.items()
        }
        yield Table(
            pd.DataFrame.from_dict(cells, orient="index", dtype=object).rename_axis("method"),
            "divided_maps",
            f"Response maps divided by the temperature, of {len(self.on_val)} images of val: the largest change of any "
            f"value of a normalised map, which lies in 0 to 1, and mIoU in per cent at the fixed threshold "
            f"{self.threshold} before and after; {self.over}.",
            formats={temperature.MAPS[0]: ".1e"},
        )
        most = max(found[:, 0].max() for found in self.cooled.values())
        apart = max(np.abs(found[:, 1] - found[:, 2]).max() for found in self.cooled.values())
        yield Note(
            f"No value of a normalised map changes by more than {most:.0e}, and that only because 10⁻⁵ is added to the "
            f"maximum by which a map is divided; mIoU changes by {apart:.3f} points at most. So "
            "calibration as such cannot be what improves response maps: a division calibrates a classifier and leaves "
            "its maps as they are. What mixup does to maps it must do while the network learns."
        )
