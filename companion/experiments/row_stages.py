"""The stages that the rows of tables and figures need, by row and training seed.

Stages that need the dense CRF are left out on a machine without its library, so that the rest still runs.
"""

from collections.abc import Callable, Iterable, Sequence

from companion.analysis.claims import Row
from companion.analysis.methods import SUPERVISED
from companion.datasets.published import is_supervised, open_split
from companion.pipeline.stages import affinity, backbone, pseudo_masks, response_maps, segmentation
from companion.pipeline.stages.rounds import features_stage, labels_stage, trained_stage
from companion.pipeline.store import Stage
from companion.settings import Machine, Settings
from thesislib.refinement.crf import crf_available


def of_each(
    step: Callable[[Settings, Machine, str], Stage],
    settings: Settings,
    rows: Iterable[Row],
    seeds: Sequence[int],
    machine: Machine,
) -> dict[tuple[str, int], Stage]:
    """What `step` makes of settings, machine and label, for every row and training seed, by row name and seed."""
    return {
        (row.name, seed): step(settings.override(row.overrides | {"seed": seed}), machine, f"{row.name}, seed {seed}")
        for row in rows
        for seed in seeds
    }


def classifier_stages(
    settings: Settings, rows: Iterable[Row], seeds: Sequence[int], machine: Machine
) -> dict[tuple[str, int], Stage]:
    """The classifier of every row and training seed, by row name and seed."""
    return of_each(trained_stage, settings, rows, seeds, machine)


def response_map_stages(
    settings: Settings, rows: Iterable[Row], seeds: Sequence[int], machine: Machine
) -> dict[tuple[str, int], Stage]:
    """The response maps of every row and training seed, by row name and seed."""
    return of_each(response_maps.stage, settings, rows, seeds, machine)


def has_crf(machine: Machine) -> bool:
    """Whether the stages can be planned that need the dense CRF."""
    return crf_available() if machine.crf is None else machine.crf


def upper_bound(machine: Machine) -> dict[str, Row]:
    """The fully supervised row as `supervised`, where every image of trainaug has a true mask; else nothing."""
    if machine.data_root and not is_supervised(open_split(machine.data_root, "trainaug")):
        return {}
    return {"supervised": SUPERVISED}


def refined_stages(
    settings: Settings, rows: Iterable[Row], seeds: Sequence[int], machine: Machine
) -> dict[tuple[str, int], Stage]:
    """The random walk of every row and seed on the splits with response maps; none without the CRF library."""

    def step(chosen: Settings, machine: Machine, label: str) -> Stage:
        return pseudo_masks.refined_stage(chosen, machine, chosen.cam.splits, label)

    return of_each(step, settings, rows, seeds, machine) if has_crf(machine) else {}


def mask_stages(
    settings: Settings, rows: Iterable[Row], seeds: Sequence[int], machine: Machine, split: str
) -> dict[tuple[str, int], Stage]:
    """The pseudo-masks of every row and seed on one split; none without the CRF library."""

    def step(chosen: Settings, machine: Machine, label: str) -> Stage:
        return pseudo_masks.masks_stage(chosen, machine, split, label)

    return of_each(step, settings, rows, seeds, machine) if has_crf(machine) else {}


def affinity_stages(
    settings: Settings, rows: Iterable[Row], seeds: Sequence[int], machine: Machine
) -> dict[tuple[str, int], Stage]:
    """The AffinityNet of every row and seed; none without the CRF library."""
    return of_each(affinity.stage, settings, rows, seeds, machine) if has_crf(machine) else {}


def segmenter_stages(
    settings: Settings, rows: Iterable[Row], seeds: Sequence[int], machine: Machine
) -> dict[tuple[str, int], Stage]:
    """The segmentation network of every row and seed; none without the CRF library."""
    return of_each(segmentation.segmenter_stage, settings, rows, seeds, machine) if has_crf(machine) else {}


def segmentation_stages(
    settings: Settings, rows: Iterable[Row], seeds: Sequence[int], machine: Machine
) -> dict[tuple[str, int], Stage]:
    """The segmentation of every row and seed; none without the CRF library."""
    return of_each(segmentation.stage, settings, rows, seeds, machine) if has_crf(machine) else {}


def cluster_stages(
    settings: Settings, rounds: Iterable[int], seeds: Sequence[int], machine: Machine
) -> dict[tuple[int, int], Stage]:
    """The sub-category labels of every round (1 or later) and seed; those of round r come from the network before."""
    return _of_rounds(labels_stage, settings, rounds, seeds, machine)


def feature_stages(
    settings: Settings, rounds: Iterable[int], seeds: Sequence[int], machine: Machine
) -> dict[tuple[int, int], Stage]:
    """The features of all training images under the network of every round (0 or later) and seed."""
    return _of_rounds(features_stage, settings, rounds, seeds, machine)


def _of_rounds(
    step: Callable[[Settings, Machine, str], Stage],
    settings: Settings,
    rounds: Iterable[int],
    seeds: Sequence[int],
    machine: Machine,
) -> dict[tuple[int, int], Stage]:
    rows = [Row(str(number), {"subcategories.round": number}) for number in rounds]
    return {(int(name), seed): stage for (name, seed), stage in of_each(step, settings, rows, seeds, machine).items()}


TRAINED: dict[str, Callable[[Settings, Machine], Stage]] = {
    "backbone": backbone.stage,
    "classifier": trained_stage,
    "affinity": affinity.stage,
    "segmenter": segmentation.segmenter_stage,
}
"""The stages that train a network, which several GPUs can share."""
