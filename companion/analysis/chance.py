"""What seeds and images can decide: the tables beside the verdicts on Tables 2.1 to 2.3, 3.1 to 3.4, Fig. 2.5 and 3.4.

The thesis prints single runs. Its steps of 0.2 to 0.8 mIoU points between response maps are of the size by which others
report the same code to differ from run to run, so a report says what its own runs can tell apart: the power of its
seeds to see the printed difference in every report with verdicts on mIoU, the bootstrap over images for Tables 2.1 to
2.3, 3.1, 3.3 and 3.4. Nothing here corresponds to published code.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int64

from companion.analysis import measures
from companion.analysis.bootstrap import OverImages, bootstrap_difference, bootstrap_miou
from companion.analysis.chain import Chain, short
from companion.analysis.claims import Claim, Sweep, seed_differences, seed_values, versus
from companion.analysis.maps import over_seeds
from companion.analysis.measures import Measure, Scores
from companion.analysis.methods import PLAIN_CAM
from companion.analysis.power import MOST_SEEDS, OF_INTEREST, power_of, seeds_for_margin, seeds_needed
from companion.analysis.sensitivity import from_default
from companion.analysis.statistics import ASSUMPTION, Interval, mean_interval, sign_flip_test

FIXED_BEFORE = (
    "The number of seeds is fixed before any of them is computed, and all that are computed are reported: to add seeds "
    "until a claim holds would make any claim hold in the end."
)
SEED_COLUMNS = (
    "difference",
    "standard deviation",
    "smallest step decided",
    "p, sign flips",
    "least p possible",
    "to be seen",
    "power",
    "seeds for 80 %",
)
DIFFERENCE, DEVIATION, REACH, CHANCE, LEAST, SOUGHT, POWER, NEEDED = SEED_COLUMNS
SEEDS_FORMATS = {DIFFERENCE: "+.1f", CHANCE: ".3f", LEAST: ".3f", SOUGHT: ".1f", POWER: ".2f"}
SEEDS_NOTE = (
    f"{ASSUMPTION} Smallest step decided: how far the interval reaches to either side; with these seeds anything "
    "smaller stays undecided. The thesis' steps of 0.2 to 0.8 points between rows of Table 2.1 are no larger than what "
    "others report between runs of the same code: response maps of 48.1 to 50.1 mIoU with the same scripts (SIPE issue "
    "9, CLIMS issue 17), about 2 points to either side over seeds (TransCAM issue 3). The sign-flip test assumes only "
    "that without an effect a difference is as likely as its negative; its p cannot be less than 2 / 2ⁿ with n seeds, "
    "so it never reaches 5 % with fewer than six. To be seen: the difference that the thesis prints, or "
    f"{OF_INTEREST:g} point, the smallest of interest here, where it prints none. Power: the chance of a t test with "
    "these seeds to tell it from 0 at 5 %, with the standard deviation seen; seeds for 80 %: the fewest with which it "
    f"is .8. Both are estimates, as the deviation is one. {FIXED_BEFORE}"
)
MARGIN_NOTE = (
    "Seeds for the margin: the fewest whose interval would lie within the margin with a chance of .8 if there were no "
    "difference at all."
)
IMAGES_NOTE = (
    "Over seeds: 95 % t interval, what another training changes. Over images: 95 % percentile interval of 2,000 "
    "bootstrap draws of the same number of images, mean over the seeds, what another choice of images changes; with a "
    "single seed it is the only interval there is, and it says nothing of another training. A class that a draw leaves "
    "out is not in its mean, so with few images the interval lies too high."
)


def differences(
    claims: Sequence[Claim], scores: Scores, measure: Measure = measures.fixed_miou
) -> dict[str, list[float]]:
    """By how much the first row of each claim is above the second, one value a seed."""
    return {versus(claim): seed_differences(scores, claim.row.name, claim.reference.name, measure) for claim in claims}


def after_steps(
    chains: Mapping[str, Chain], row: str, reference: str = PLAIN_CAM.name, measure: Measure = measures.fixed_miou
) -> dict[str, list[float]]:
    """By how much one row is above another after every step of every split, one value a seed."""
    return {
        f"after {short(step)}, {split}": seed_differences(scores, row, reference, measure)
        for split, chain in chains.items()
        for step, scores in chain.items()
    }


def along(sweep: Sweep, scores: Scores) -> dict[str, list[float]]:
    """By how much each value of a sweep is above plain CAM, and above the default."""
    rows = [row for row in sweep.rows.values() if row.overrides != PLAIN_CAM.overrides]
    others = [sweep.rows[each.value] for each in from_default(sweep, scores)]
    pairs = [(row, PLAIN_CAM) for row in rows] + [(row, sweep.rows[sweep.default]) for row in others]
    return differences([Claim("", row, reference) for row, reference in pairs], scores)


def of_seeds(
    found: Mapping[str, Sequence[float]],
    generator: np.random.Generator | None = None,
    margin: float | None = None,
    printed: Mapping[str, float | None] | None = None,
) -> pd.DataFrame:
    """What the seeds say about each difference: interval, deviation, sign-flip test, and what they could have seen.

    Args:
        found: paired differences by name, one value a seed, as from `differences`.
        generator: for the test with more than 16 seeds.
        margin: adds how many seeds would show that the difference is at most that.
        printed: differences of the thesis by the same names, where it has them.
    """
    lines = {}
    for name, values in found.items():
        interval = mean_interval(values)
        test = sign_flip_test(values, generator or np.random.default_rng(0))
        single = interval.n == 1
        sought = abs((printed or {}).get(name) or 0) or OF_INTEREST
        lines[name] = {
            DIFFERENCE: interval,
            DEVIATION: None if single else interval.std,
            REACH: None if single else (interval.high - interval.low) / 2,
            CHANCE: None if single else test.p,
            LEAST: None if single else test.least,
            SOUGHT: sought,
            POWER: power_of(interval, sought),
            NEEDED: _needed(interval, seeds_needed(interval, sought)),
        }
        if margin is not None:
            lines[name][f"seeds for the margin of {margin:g}"] = _needed(interval, seeds_for_margin(interval, margin))
    shown = [*SEED_COLUMNS, *([f"seeds for the margin of {margin:g}"] if margin is not None else [])]
    columns = {name: pd.Series({line: lines[line][name] for line in lines}, dtype=object) for name in shown}
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
        line: dict[str, Interval | OverImages | None] = {
            "mIoU, over seeds": over_seeds(seed_values(scores, name)),
            "mIoU, over images": bootstrap_miou(_counts(scores, name), np.random.default_rng(seed)),
        }
        if name != reference:
            line[f"minus {reference}, over seeds"] = over_seeds(seed_differences(scores, name, reference))
            line[f"minus {reference}, over images"] = bootstrap_difference(
                _counts(scores, name), _counts(scores, reference), np.random.default_rng(seed)
            )
        lines[name] = line
    frame = pd.DataFrame.from_dict(lines, orient="index").astype(object)
    return frame.where(frame.notna(), None).rename_axis("method")


def of_images_after(chain: Chain, steps: Sequence[str], names: Sequence[str]) -> pd.DataFrame:
    """`of_images` after several steps of the chain on one split, one row a method and step."""
    found = {step: of_images(chain[step], names) for step in steps}
    frame = pd.concat(found, names=["after step"]).swaplevel()
    return frame.loc[[(name, step) for name in names for step in steps]]


def seeds_table(
    found: Mapping[str, Sequence[float]],
    what: str,
    of: str,
    margin: float | None = None,
    printed: Mapping[str, float | None] | None = None,
) -> dict[str, Any]:
    """The table of `of_seeds` as arguments of `Notebook.table`.

    Args:
        found: paired differences in mIoU points.
        what: in words, such as `paired differences at the fixed threshold 0.2`.
        of: images, stage and seeds.
        margin, printed: as for `of_seeds`.
    """
    return {
        "frame": of_seeds(found, margin=margin, printed=printed),
        "name": "seeds",
        "caption": f"What seeds can decide: {what}, in mIoU points, and the power to see the printed ones; {of}.",
        "formats": SEEDS_FORMATS,
        "note": SEEDS_NOTE if margin is None else f"{SEEDS_NOTE} {MARGIN_NOTE}",
    }


def images_table(frame: pd.DataFrame, of: str) -> dict[str, Any]:
    """The table of `of_images` or `of_images_after` as arguments of `Notebook.table`; `of`: images, stage, seeds."""
    return {
        "frame": frame,
        "name": "images",
        "caption": f"What the choice of images contributes: mIoU in per cent, and differences in points; {of}.",
        "formats": images_formats(),
        "note": IMAGES_NOTE,
    }


def images_formats(reference: str = PLAIN_CAM.name) -> dict[str, str]:
    """Formats of the table of `of_images`: differences with their sign."""
    return dict.fromkeys((f"minus {reference}, over seeds", f"minus {reference}, over images"), "+.1f")


def _counts(scores: Scores, name: str) -> Int64[np.ndarray, "s n c c"]:
    return np.stack([run["image_confusion"] for run in scores[name]]).astype(np.int64)


def _needed(interval: Interval, needed: int | None) -> int | str | None:
    if needed is not None or interval.n == 1 or not interval.std:
        return needed
    return f"more than {MOST_SEEDS:,}"
