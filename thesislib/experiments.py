"""Each table and figure of the thesis as the stages it needs.

Their rows are in `rows`, whose public names can be had from here. A plan (`NOTEBOOKS`) takes as keywords those of its
notebook's parameters that decide which stages there are. Stages that need the dense CRF are left out on a
machine without its library, so that the rest still runs.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from thesislib import exploration
from thesislib.crf import crf_available
from thesislib.data.protocol import supervision_masks
from thesislib.data.voc import VocDataset
from thesislib.exploration import ROUNDS
from thesislib.parameters import project_root
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
from thesislib.stages import affinity, backbone, pseudo_masks, response_maps, segmentation, subcategories
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
    return _of_each(subcategories.trained_stage, settings, rows, seeds, machine)


def response_map_stages(
    settings: Settings, rows: Iterable[Row], seeds: Sequence[int], machine: Machine
) -> dict[tuple[str, int], Stage]:
    """The response maps of every row and training seed, by row name and seed."""
    return _of_each(response_maps.stage, settings, rows, seeds, machine)


def _has_crf(machine: Machine) -> bool:
    return crf_available() if machine.crf is None else machine.crf


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


def quickstart(
    settings: Settings, seeds: Sequence[int], machine: Machine, *, image: str = "", weights: str = ""
) -> list[Stage]:
    """What `00_quickstart` shows, with the first seed: classifiers, then the later steps of the last of its rows.

    A picture of one's own, or given weights, are shown without the later steps.
    """
    rows = quickstart_rows(settings)
    wanted = [classifier_stages(settings, rows, seeds[:1], machine)]
    if not (image or weights):
        wanted.append(mask_stages(settings, rows[-1:], seeds[:1], machine, "val"))
        wanted.append(segmentation_stages(settings, rows[-1:], seeds[:1], machine))
    return [stage for stages in wanted for stage in stages.values()]


def data(settings: Settings, seeds: Sequence[int], machine: Machine) -> list[Stage]:
    """What `01_data` shows: the data alone."""
    return [data_stage.stage(settings, machine)]


def chapter_2_response_maps(
    settings: Settings,
    seeds: Sequence[int],
    machine: Machine,
    *,
    extra_rows: Mapping[str, dict[str, Any]] | None = None,
    alpha: float = ALPHA,
    lambda_ent: float = LAMBDA_ENT,
    lambda_con: float = LAMBDA_CON,
) -> list[Stage]:
    """What `21_response_maps` needs: the response maps of every row of Table 2.1, as they are and refined."""
    rows = table_2_1(settings, extra_rows, alpha=alpha, lambda_ent=lambda_ent, lambda_con=lambda_con)
    maps = response_map_stages(settings, rows, seeds, machine)
    return [*maps.values(), *refined_stages(settings, rows, seeds, machine).values()]


def upper_bound(machine: Machine) -> list[Row]:
    """The fully supervised row, where every image of trainaug has a true mask; else nothing."""
    if machine.data_root:
        images = VocDataset(machine.data_root, "trainaug")
        if not all(path.is_file() for path in supervision_masks(images)):
            return []
    return [SUPERVISED]


def refined_stages(
    settings: Settings, rows: Iterable[Row], seeds: Sequence[int], machine: Machine
) -> dict[tuple[str, int], Stage]:
    """The random walk of every row and seed on the splits with response maps; none without the CRF library."""

    def step(chosen: Settings, machine: Machine, label: str) -> Stage:
        return pseudo_masks.refined_stage(chosen, machine, chosen.cam.splits, label)

    return _of_each(step, settings, rows, seeds, machine) if _has_crf(machine) else {}


def mask_stages(
    settings: Settings, rows: Iterable[Row], seeds: Sequence[int], machine: Machine, split: str
) -> dict[tuple[str, int], Stage]:
    """The pseudo-masks of every row and seed on one split; none without the CRF library."""

    def step(chosen: Settings, machine: Machine, label: str) -> Stage:
        return pseudo_masks.masks_stage(chosen, machine, split, label)

    return _of_each(step, settings, rows, seeds, machine) if _has_crf(machine) else {}


def segmentation_stages(
    settings: Settings, rows: Iterable[Row], seeds: Sequence[int], machine: Machine
) -> dict[tuple[str, int], Stage]:
    """The segmentation of every row and seed; none without the CRF library."""
    return _of_each(segmentation.stage, settings, rows, seeds, machine) if _has_crf(machine) else {}


def chapter_2_sensitivity(
    settings: Settings,
    seeds: Sequence[int],
    machine: Machine,
    *,
    alphas: Sequence[float] = ALPHAS,
    lambda_ents: Sequence[float] = LAMBDA_ENTS,
    lambda_cons: Sequence[float] = LAMBDA_CONS,
    alpha: float = ALPHA,
    lambda_ent: float = LAMBDA_ENT,
    lambda_con: float = LAMBDA_CON,
    lambda_ent_of_c: float = LAMBDA_ENT,
) -> list[Stage]:
    """What `22_sensitivity` needs: plain CAM and every row of Fig. 2.5."""
    sweeps = figure_2_5(
        settings,
        alphas=alphas,
        lambda_ents=lambda_ents,
        lambda_cons=lambda_cons,
        alpha=alpha,
        lambda_ent=lambda_ent,
        lambda_con=lambda_con,
        lambda_ent_of_c=lambda_ent_of_c,
    )
    rows = [PLAIN_CAM, *(row for sweep in sweeps for row in sweep.rows.values())]
    return list(response_map_stages(settings, rows, seeds, machine).values())


def chapter_2_segmentation(
    settings: Settings,
    seeds: Sequence[int],
    machine: Machine,
    *,
    extra_rows: Mapping[str, dict[str, Any]] | None = None,
    coco_weights: str = "",
) -> list[Stage]:
    """What `23_segmentation` needs: all steps of plain CAM and Mixup-CAM, and the upper bound."""
    rows = segmentation_rows(settings, extra_rows, coco_weights=_in_project(coco_weights))
    return _whole_chain(settings, rows, seeds, machine)


def _whole_chain(settings: Settings, rows: list[Row], seeds: Sequence[int], machine: Machine) -> list[Stage]:
    """Maps, refined maps, pseudo-masks and segmentation of every row, and the segmentation of the upper bound."""
    wanted = [
        response_map_stages(settings, rows, seeds, machine),
        refined_stages(settings, rows, seeds, machine),
        mask_stages(settings, rows, seeds, machine, "trainaug"),
        mask_stages(settings, rows, seeds, machine, "val"),
        segmentation_stages(settings, [*rows, *upper_bound(machine)], seeds, machine),
    ]
    return [stage for stages in wanted for stage in stages.values()]


def cluster_stages(
    settings: Settings, rounds: Iterable[int], seeds: Sequence[int], machine: Machine
) -> dict[tuple[int, int], Stage]:
    """The sub-category labels of every round (1 or later) and seed; those of round r come from the network before."""
    return _of_rounds(subcategories.stage, settings, rounds, seeds, machine)


def feature_stages(
    settings: Settings, rounds: Iterable[int], seeds: Sequence[int], machine: Machine
) -> dict[tuple[int, int], Stage]:
    """The features of all training images under the network of every round (0 or later) and seed."""
    return _of_rounds(subcategories.features_stage, settings, rounds, seeds, machine)


def _of_rounds(
    step: Callable[[Settings, Machine, str], Stage],
    settings: Settings,
    rounds: Iterable[int],
    seeds: Sequence[int],
    machine: Machine,
) -> dict[tuple[int, int], Stage]:
    rows = [Row(str(number), {"subcategories.round": number}) for number in rounds]
    return {(int(name), seed): stage for (name, seed), stage in _of_each(step, settings, rows, seeds, machine).items()}


def chapter_3_response_maps(
    settings: Settings,
    seeds: Sequence[int],
    machine: Machine,
    *,
    rounds: int = ROUNDS,
    extra_rows: Mapping[str, dict[str, Any]] | None = None,
) -> list[Stage]:
    """What `31_response_maps` needs: the maps of every row of Table 3.1, refined too, and the merged ones (A17)."""
    rows = exploration.table_3_1(settings, extra_rows, rounds=rounds, generated=not machine.data_root)
    maps = response_map_stages(settings, [*rows, exploration.merged(rounds)], seeds, machine)
    return [*maps.values(), *refined_stages(settings, rows, seeds, machine).values()]


def chapter_3_number(
    settings: Settings, seeds: Sequence[int], machine: Machine, *, after_round: int = 1
) -> list[Stage]:
    """What `32_number_of_subcategories` needs: the maps of every K, and of K = 1 with a second head."""
    sweep = exploration.figure_3_4(settings, after_round=after_round)
    rows = [*sweep.rows.values(), exploration.trained_parent(after_round)]
    return list(response_map_stages(settings, rows, seeds, machine).values())


def chapter_3_rounds(
    settings: Settings, seeds: Sequence[int], machine: Machine, *, rounds: int = ROUNDS
) -> list[Stage]:
    """What `33_rounds` needs: the maps of every round and kept epoch, and what its clusters are measured on."""
    kept = exploration.checkpoints(settings, rounds=rounds).values()
    rows = {row.name: row for row in (*exploration.table_3_2(settings, rounds=rounds), *kept)}
    wanted = [
        response_map_stages(settings, rows.values(), seeds, machine).values(),
        _clusters(settings, rounds, seeds, machine),
    ]
    return [stage for stages in wanted for stage in stages]


def chapter_3_clusters(
    settings: Settings, seeds: Sequence[int], machine: Machine, *, rounds: int = ROUNDS
) -> list[Stage]:
    """What `34_clusters` needs: clusters, features and the classifier of the last round."""
    trained = classifier_stages(settings, [exploration.sc_cam(rounds)], seeds, machine)
    return [*trained.values(), *_clusters(settings, rounds, seeds, machine)]


def _clusters(settings: Settings, rounds: int, seeds: Sequence[int], machine: Machine) -> list[Stage]:
    """Features of every round, and the clusters found in them."""
    features = feature_stages(settings, range(rounds + 1), seeds, machine)
    return [*features.values(), *cluster_stages(settings, range(1, rounds + 2), seeds, machine).values()]


def chapter_3_segmentation(
    settings: Settings,
    seeds: Sequence[int],
    machine: Machine,
    *,
    rounds: int = ROUNDS,
    extra_rows: Mapping[str, dict[str, Any]] | None = None,
    coco_weights: str = "",
) -> list[Stage]:
    """What `35_segmentation` needs: all steps of plain CAM and SC-CAM, and the upper bound."""
    coco = _in_project(coco_weights)
    rows = exploration.segmentation_rows(settings, extra_rows, rounds=rounds, coco_weights=coco)
    return _whole_chain(settings, rows, seeds, machine)


def performance(settings: Settings, seeds: Sequence[int], machine: Machine) -> list[Stage]:
    """What `51_performance` needs: nothing, since it counts operations and shows what was measured elsewhere."""
    return []


NOTEBOOKS = {
    "00_quickstart": quickstart,
    "01_data": data,
    "21_response_maps": chapter_2_response_maps,
    "22_sensitivity": chapter_2_sensitivity,
    "23_segmentation": chapter_2_segmentation,
    "31_response_maps": chapter_3_response_maps,
    "32_number_of_subcategories": chapter_3_number,
    "33_rounds": chapter_3_rounds,
    "34_clusters": chapter_3_clusters,
    "35_segmentation": chapter_3_segmentation,
    "51_performance": performance,
}
"""The notebooks and what each needs computed, so that `thesis reproduce` can do it beforehand and in parallel."""

RESULTS = {
    "21_response_maps": ("table-2.1", "fig-2.1", "fig-2.2", "fig-2.3", "fig-2.4", "fig-2.6"),
    "22_sensitivity": ("fig-2.5",),
    "23_segmentation": ("table-2.2", "table-2.3", "fig-2.7", "fig-2.8"),
    "31_response_maps": ("table-3.1", "fig-3.1", "fig-3.2", "fig-3.3"),
    "32_number_of_subcategories": ("fig-3.4",),
    "33_rounds": ("table-3.2",),
    "34_clusters": ("fig-3.5", "fig-3.6", "fig-3.9", "fig-3.10", "fig-3.11"),
    "35_segmentation": ("table-3.3", "table-3.4", "fig-3.7", "fig-3.8", "fig-3.12", "fig-3.13"),
}
"""The tables and figures of the thesis that each notebook holds."""


def notebook_of(result: str) -> str:
    """The notebook that holds a table or figure such as `table-3.2`; other names are returned as they are."""
    return next((name for name, held in RESULTS.items() if result.lower() in held), result)


TRAINED = {
    "backbone": lambda settings, machine: backbone.stage(settings, machine),
    "classifier": subcategories.trained_stage,
    "affinity": affinity.stage,
    "segmenter": segmentation.segmenter_stage,
}
"""The stages that train a network, which several GPUs can share."""


def stages_of(
    names: Iterable[str],
    settings: Settings,
    seeds: Sequence[int],
    machine: Machine,
    parameters: Mapping[str, Any] | None = None,
) -> list[Stage]:
    """All stages that these notebooks need, each once.

    Args:
        names: of notebooks.
        settings: of the preset with overrides, and with `own_settings` of the parameters.
        seeds: training seeds.
        machine: where they will be computed.
        parameters: of the notebooks, where they are not the defaults; a plan takes those that matter to it.

    Raises:
        SettingsError: a parameter or setting has a value that the notebook would refuse too.
    """
    wanted: dict[str, Stage] = {}
    for name in names:
        plan = NOTEBOOKS[name]
        known = [key for key, kind in inspect.signature(plan).parameters.items() if kind.kind == kind.KEYWORD_ONLY]
        own = {key: value for key, value in (parameters or {}).items() if key in known}
        wanted |= {stage.key: stage for stage in plan(settings, seeds, machine, **own)}
    return list(wanted.values())


def own_settings(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by dotted name that follow from a notebook's own parameters, as in its settings cell.

    >>> own_settings({"data_seed": 1, "alpha": 0.4})
    {'data.data_seed': 1}
    """
    found = {}
    if "data_seed" in parameters:
        found["data.data_seed"] = parameters["data_seed"]
    if "weights" in parameters:
        found["classifier.weights"] = _in_project(parameters["weights"])
    return found


def _in_project(file: str) -> str:
    """A path as notebooks understand it: relative to the project's root."""
    return str(project_root() / file) if file else ""
