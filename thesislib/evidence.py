"""What seeds and images can decide: the tables that stand beside the verdicts on Tables 2.1 to 2.3 and 3.1 to 3.4.

The thesis prints single runs. Its steps of 0.2 to 0.8 mIoU points between response maps are of the size by which others
report the same code to differ from run to run, so a report says what its own runs can tell apart. Nothing here
corresponds to published code.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Int64

from thesislib import scores as score
from thesislib.bootstrap import OverImages, bootstrap_difference, bootstrap_miou
from thesislib.chain import Chain
from thesislib.rows import PLAIN_CAM, Claim
from thesislib.scores import Measure, Scores
from thesislib.statistics import ASSUMPTION, MOST_SEEDS, Interval, mean_interval, seeds_needed, sign_flip_test
from thesislib.tables import over_seeds, versus

SEED_COLUMNS = ("difference", "standard deviation", "p, sign flips", "least p possible", "seeds to settle it")
DIFFERENCE, DEVIATION, CHANCE, LEAST, NEEDED = SEED_COLUMNS
SEEDS_FORMATS = {DIFFERENCE: "+.1f", CHANCE: ".3f", LEAST: ".3f"}
SEEDS_NOTE = (
    f"{ASSUMPTION} The sign-flip test assumes only that without an effect a difference is as likely as its negative; "
    "its p cannot be less than 2 / 2ⁿ with n seeds, so it never reaches 5 % with fewer than six. Last column: the "
    "fewest seeds whose interval would leave 0 out if mean and standard deviation stayed as they are. An estimate: "
    "with so many, one repetition in two would still be undecided."
)
IMAGES_NOTE = (
    "Over seeds: 95 % t interval, what another training changes. Over images: 95 % percentile interval of 2,000 "
    "bootstrap draws of the same number of images, mean over the seeds, what another choice of images changes; with a "
    "single seed it is the only interval there is, and it says nothing of another training. A class that a draw leaves "
    "out is not in its mean, so with few images the interval lies too high."
)


def differences(claims: Sequence[Claim], scores: Scores, measure: Measure = score.fixed_miou) -> dict[str, list[float]]:
    """By how much the first row of each claim is above the second, one value a seed."""
    return {
        versus(claim): _minus(
            [measure(run) for run in scores[claim.row.name]], [measure(run) for run in scores[claim.reference.name]]
        )
        for claim in claims
    }


def after_steps(
    chains: Mapping[str, Chain], row: str, reference: str = PLAIN_CAM.name, measure: Measure = score.fixed_miou
) -> dict[str, list[float]]:
    """By how much one row is above another after every step of every split, one value a seed."""
    return {
        f"after {step.removeprefix('+ ')}, {split}": _minus(
            [measure(run) for run in scores[row]], [measure(run) for run in scores[reference]]
        )
        for split, chain in chains.items()
        for step, scores in chain.items()
    }


def of_seeds(found: Mapping[str, Sequence[float]], generator: np.random.Generator | None = None) -> pd.DataFrame:
    """What the seeds say about each difference: interval, deviation, sign-flip test, and how many would settle it.

    Args:
        found: paired differences by name, one value a seed, as from `differences`.
        generator: for the test with more than 16 seeds.
    """
    lines = {}
    for name, values in found.items():
        interval = mean_interval(values)
        test = sign_flip_test(values, generator or np.random.default_rng(0))
        single = interval.n == 1
        lines[name] = {
            DIFFERENCE: interval,
            DEVIATION: None if single else interval.std,
            CHANCE: None if single else test.p,
            LEAST: None if single else test.least,
            NEEDED: _needed(interval),
        }
    columns = {name: pd.Series({line: lines[line][name] for line in lines}, dtype=object) for name in SEED_COLUMNS}
    return pd.DataFrame(columns).rename_axis("difference of")


def of_images(scores: Scores, names: Sequence[str], reference: str = PLAIN_CAM.name, seed: int = 0) -> pd.DataFrame:
    """mIoU at the fixed threshold and its difference to a reference, each with its interval over seeds and over images.

    Args:
        scores: counts by row and seed, all of the same images.
        names: the rows to show.
        reference: the row that the others are compared with.
        seed: of the bootstrap.
    """
    lines = {}
    for name in names:
        miou = [score.fixed_miou(run) for run in scores[name]]
        line: dict[str, Interval | OverImages | None] = {
            "mIoU, over seeds": over_seeds(miou),
            "mIoU, over images": bootstrap_miou(_counts(scores, name), np.random.default_rng(seed)),
        }
        if name != reference:
            line[f"minus {reference}, over seeds"] = over_seeds(
                _minus(miou, [score.fixed_miou(run) for run in scores[reference]])
            )
            line[f"minus {reference}, over images"] = bootstrap_difference(
                _counts(scores, name), _counts(scores, reference), np.random.default_rng(seed)
            )
        lines[name] = line
    frame = pd.DataFrame.from_dict(lines, orient="index").astype(object)
    return frame.where(frame.notna(), None).rename_axis("method")


def images_formats(reference: str = PLAIN_CAM.name) -> dict[str, str]:
    """Formats of the table of `of_images`: differences with their sign."""
    return dict.fromkeys((f"minus {reference}, over seeds", f"minus {reference}, over images"), "+.1f")


def _counts(scores: Scores, name: str) -> Int64[np.ndarray, "s n c c"]:
    return np.stack([run["image_confusion"] for run in scores[name]]).astype(np.int64)


def _minus(values: Sequence[float], others: Sequence[float]) -> list[float]:
    return [value - other for value, other in zip(values, others, strict=True)]


def _needed(interval: Interval) -> int | str | None:
    needed = seeds_needed(interval)
    if needed is not None or interval.n == 1 or not interval.std:
        return needed
    return f"more than {MOST_SEEDS:,}"
