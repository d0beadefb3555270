"""Each table and figure of the thesis as the stages it needs.

Their rows are in `rows`, whose public names can be had from here. Stages that need the dense CRF are left out on a
machine without its library, so that the rest still runs.
"""

from collections.abc import Callable, Iterable, Sequence

from thesislib.crf import crf_available
from thesislib.data.voc import VocDataset
from thesislib.rows import (
    ALPHA,
    ALPHAS,
    LAMBDA_CON,
    LAMBDA_CONS,
    LAMBDA_ENT,
    LAMBDA_ENTS,
    MIXUP_CAM,
    PLAIN_CAM,
    SUPERVISED,
    Claim,
    Row,
    Sweep,
    claims_of_table_2_1,
    figure_2_5,
    quickstart_rows,
    regularisers,
    segmentation_rows,
    table_2_1,
)
from thesislib.settings import Machine, Settings
from thesislib.stages import classifier, pseudo_masks, response_maps, segmentation
from thesislib.stages import data as data_stage
from thesislib.store import Stage

__all__ = [
    "ALPHA",
    "ALPHAS",
    "LAMBDA_CON",
    "LAMBDA_CONS",
    "LAMBDA_ENT",
    "LAMBDA_ENTS",
    "MIXUP_CAM",
    "NOTEBOOKS",
    "PLAIN_CAM",
    "SUPERVISED",
    "Claim",
    "Row",
    "Sweep",
    "claims_of_table_2_1",
    "classifier_stages",
    "figure_2_5",
    "mask_stages",
    "quickstart_rows",
    "refined_stages",
    "regularisers",
    "response_map_stages",
    "segmentation_rows",
    "segmentation_stages",
    "stages_of",
    "table_2_1",
    "upper_bound",
]


def classifier_stages(
    settings: Settings, rows: Iterable[Row], seeds: Sequence[int], machine: Machine
) -> dict[tuple[str, int], Stage]:
    """The classifier of every row and training seed, by row name and seed."""
    return _of_each(classifier.stage, settings, rows, seeds, machine)


def response_map_stages(
    settings: Settings, rows: Iterable[Row], seeds: Sequence[int], machine: Machine
) -> dict[tuple[str, int], Stage]:
    """The response maps of every row and training seed, by row name and seed."""
    return _of_each(response_maps.stage, settings, rows, seeds, machine)


def _of_each(
    step: Callable[[Settings, Machine, str], Stage],
    settings: Settings,
    rows: Iterable[Row],
    seeds: Sequence[int],
    machine: Machine,
) -> dict[tuple[str, int], Stage]:
    return {
        (row.name, seed): step(settings.override(row.overrides | {"seed": seed}), machine, f"{row.name}, seed {seed}")
        for row in rows
        for seed in seeds
    }


def quickstart(settings: Settings, seeds: Sequence[int], machine: Machine) -> list[Stage]:
    """What `00_quickstart` shows, with the first seed: classifiers, then the later steps of the last of its rows."""
    rows = quickstart_rows(settings)
    wanted = [
        classifier_stages(settings, rows, seeds[:1], machine),
        mask_stages(settings, rows[-1:], seeds[:1], machine, "val"),
        segmentation_stages(settings, rows[-1:], seeds[:1], machine),
    ]
    return [stage for stages in wanted for stage in stages.values()]


def data(settings: Settings, seeds: Sequence[int], machine: Machine) -> list[Stage]:
    """What `01_data` shows: the data alone."""
    return [data_stage.stage(settings, machine)]


def chapter_2_response_maps(settings: Settings, seeds: Sequence[int], machine: Machine) -> list[Stage]:
    """What `21_response_maps` needs: the response maps of every row of Table 2.1, as they are and refined."""
    rows = table_2_1(settings)
    maps = response_map_stages(settings, rows, seeds, machine)
    return [*maps.values(), *refined_stages(settings, rows, seeds, machine).values()]


def upper_bound(machine: Machine) -> list[Row]:
    """The fully supervised row, where every image of trainaug has a true mask; else nothing."""
    if machine.data_root:
        images = VocDataset(machine.data_root, "trainaug")
        if not all(images.mask_path(i).is_file() for i in range(len(images))):
            return []
    return [SUPERVISED]


def refined_stages(
    settings: Settings, rows: Iterable[Row], seeds: Sequence[int], machine: Machine
) -> dict[tuple[str, int], Stage]:
    """The random walk of every row and seed on the splits with response maps; none without the CRF library."""

    def step(chosen: Settings, machine: Machine, label: str) -> Stage:
        return pseudo_masks.refined_stage(chosen, machine, chosen.cam.splits, label)

    return _of_each(step, settings, rows, seeds, machine) if crf_available() else {}


def mask_stages(
    settings: Settings, rows: Iterable[Row], seeds: Sequence[int], machine: Machine, split: str
) -> dict[tuple[str, int], Stage]:
    """The pseudo-masks of every row and seed on one split; none without the CRF library."""

    def step(chosen: Settings, machine: Machine, label: str) -> Stage:
        return pseudo_masks.masks_stage(chosen, machine, split, label)

    return _of_each(step, settings, rows, seeds, machine) if crf_available() else {}


def segmentation_stages(
    settings: Settings, rows: Iterable[Row], seeds: Sequence[int], machine: Machine
) -> dict[tuple[str, int], Stage]:
    """The segmentation of every row and seed; none without the CRF library."""
    return _of_each(segmentation.stage, settings, rows, seeds, machine) if crf_available() else {}


def chapter_2_sensitivity(settings: Settings, seeds: Sequence[int], machine: Machine) -> list[Stage]:
    """What `22_sensitivity` needs: plain CAM and every row of Fig. 2.5."""
    rows = [PLAIN_CAM, *(row for sweep in figure_2_5(settings) for row in sweep.rows.values())]
    return list(response_map_stages(settings, rows, seeds, machine).values())


def chapter_2_segmentation(settings: Settings, seeds: Sequence[int], machine: Machine) -> list[Stage]:
    """What `23_segmentation` needs: all steps of plain CAM and Mixup-CAM, and the upper bound."""
    rows = segmentation_rows(settings)
    wanted = [
        response_map_stages(settings, rows, seeds, machine),
        refined_stages(settings, rows, seeds, machine),
        mask_stages(settings, rows, seeds, machine, "trainaug"),
        mask_stages(settings, rows, seeds, machine, "val"),
        segmentation_stages(settings, [*rows, *upper_bound(machine)], seeds, machine),
    ]
    return [stage for stages in wanted for stage in stages.values()]


NOTEBOOKS = {
    "00_quickstart": quickstart,
    "01_data": data,
    "21_response_maps": chapter_2_response_maps,
    "22_sensitivity": chapter_2_sensitivity,
    "23_segmentation": chapter_2_segmentation,
}
"""The notebooks and what each needs computed, so that `thesis reproduce` can do it beforehand and in parallel."""


def stages_of(names: Iterable[str], settings: Settings, seeds: Sequence[int], machine: Machine) -> list[Stage]:
    """All stages that these notebooks need, each once."""
    wanted = {stage.key: stage for name in names for stage in NOTEBOOKS[name](settings, seeds, machine)}
    return list(wanted.values())
