"""What each notebook needs computed, and which tables and figures of the thesis it holds.

A plan (`NOTEBOOKS`) takes as keywords those of its notebook's parameters that decide which stages there are, or
that can be wrong in a way that the notebook would notice late.
"""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from companion.analysis.methods import ALPHA, LAMBDA_CON, LAMBDA_ENT
from companion.datasets.demo.scenes import CLASSES
from companion.experiments import row_stages as experiments
from companion.experiments.catalogue import experiment
from companion.experiments.chapter_3 import ROUNDS
from companion.pipeline.store import Stage
from companion.settings import Machine, Settings
from companion.settings.project import project_root
from thesislib.data.voc import find_root, read_classes


def first_steps(
    settings: Settings,
    seeds: Sequence[int],
    machine: Machine,
    *,
    steps: int = 3,
    image: str = "",
    image_labels: Sequence[str] = (),
) -> list[Stage]:
    """What `00_quickstart` shows, with the first seed: classifiers, then the networks of the later steps.

    Those are of the last of its rows; step 2 is AffinityNet, step 3 the segmentation.

    Raises:
        SettingsError: another number of steps, or no or unknown labels of a picture.
        DataError: a picture that cannot be used.
    """
    own = {"steps": steps, "image": image, "image_labels": image_labels}
    return experiment("00_quickstart", settings, seeds, machine, own).stages()


def data(settings: Settings, seeds: Sequence[int], machine: Machine) -> list[Stage]:
    """What `01_data` shows: the data alone."""
    return experiment("01_data", settings, seeds, machine).stages()


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
    rows = experiments.table_2_1(settings, extra_rows, alpha=alpha, lambda_ent=lambda_ent, lambda_con=lambda_con)
    maps = experiments.response_map_stages(settings, rows, seeds, machine)
    return [*maps.values(), *experiments.refined_stages(settings, rows, seeds, machine).values()]


def chapter_2_sensitivity(
    settings: Settings,
    seeds: Sequence[int],
    machine: Machine,
    *,
    alphas: Sequence[float] = (0, 0.1, 0.2, 0.4, 0.8),
    lambda_ents: Sequence[float] = (0, 0.005, 0.02, 0.05, 0.2),
    lambda_cons: Sequence[float] = (0, 5e-5, 2e-4, 5e-4, 2e-3),
    alpha: float = ALPHA,
    lambda_ent: float = LAMBDA_ENT,
    lambda_con: float = LAMBDA_CON,
    lambda_ent_of_c: float = LAMBDA_ENT,
) -> list[Stage]:
    """What `22_sensitivity` needs: plain CAM and every row of Fig. 2.5."""
    grids = {"alphas": alphas, "lambda_ents": lambda_ents, "lambda_cons": lambda_cons}
    defaults = {"alpha": alpha, "lambda_ent": lambda_ent, "lambda_con": lambda_con}
    own = grids | defaults | {"lambda_ent_of_c": lambda_ent_of_c}
    return experiment("22_sensitivity", settings, seeds, machine, own).stages()


def chapter_2_segmentation(
    settings: Settings,
    seeds: Sequence[int],
    machine: Machine,
    *,
    extra_rows: Mapping[str, dict[str, Any]] | None = None,
    coco_weights: str = "",
) -> list[Stage]:
    """What `23_segmentation` needs: all steps of plain CAM and Mixup-CAM, and the upper bound."""
    own = {"extra_rows": extra_rows or {}, "coco_weights": coco_weights}
    return experiment("23_segmentation", settings, seeds, machine, own).stages()


def chapter_3_response_maps(
    settings: Settings,
    seeds: Sequence[int],
    machine: Machine,
    *,
    rounds: int = ROUNDS,
    extra_rows: Mapping[str, dict[str, Any]] | None = None,
) -> list[Stage]:
    """What `31_response_maps` needs: the maps of every row of Table 3.1, refined too, and the merged ones (A17)."""
    own = {"rounds": rounds, "extra_rows": extra_rows or {}}
    return experiment("31_response_maps", settings, seeds, machine, own).stages()


def chapter_3_number(
    settings: Settings, seeds: Sequence[int], machine: Machine, *, after_round: int = 1
) -> list[Stage]:
    """What `32_number_of_subcategories` needs: the maps of every K, and of K = 1 with a second head."""
    return experiment("32_number_of_subcategories", settings, seeds, machine, {"after_round": after_round}).stages()


def chapter_3_rounds(
    settings: Settings, seeds: Sequence[int], machine: Machine, *, rounds: int = ROUNDS
) -> list[Stage]:
    """What `33_rounds` needs: the maps of every round and kept epoch, and what its clusters are measured on."""
    return experiment("33_rounds", settings, seeds, machine, {"rounds": rounds}).stages()


def chapter_3_clusters(
    settings: Settings,
    seeds: Sequence[int],
    machine: Machine,
    *,
    rounds: int = ROUNDS,
    classes_shown: Sequence[str] = (),
    images_per_cluster: int = 6,
) -> list[Stage]:
    """What `34_clusters` needs: clusters of every round, the features of those of the last, and its classifier.

    Raises:
        SettingsError: too few rounds or images, or a class that the data do not have.
    """
    own = {"rounds": rounds, "classes_shown": classes_shown, "images_per_cluster": images_per_cluster}
    return experiment("34_clusters", settings, seeds, machine, own).stages()


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
    own = {"rounds": rounds, "extra_rows": extra_rows or {}, "coco_weights": coco_weights}
    return experiment("35_segmentation", settings, seeds, machine, own).stages()


def performance(settings: Settings, seeds: Sequence[int], machine: Machine, *, results: str = "") -> list[Stage]:
    """What `51_performance` needs: nothing, since it counts operations and shows what was measured elsewhere.

    Raises:
        ValueError: a file of results that cannot be read.
    """
    return experiment("51_performance", settings, seeds, machine, {"results": results}).stages()


NOTEBOOKS = {
    "00_quickstart": first_steps,
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


def _classes(machine: Machine) -> tuple[str, ...]:
    """Names of the classes in the data: in the folder, or in the generated images."""
    return read_classes(find_root(machine.data_root)) if machine.data_root else CLASSES


def _in_project(file: str) -> str:
    """A path as notebooks understand it: relative to the project's root."""
    return str(project_root() / file) if file else ""
