"""Every experiment by its notebook: what `thesis run`, `reproduce`, `batch`, the cost count and the notebooks ask."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from companion.experiments import parameters as checks
from companion.experiments.both_methods import BothMethods
from companion.experiments.clusters import Clusters
from companion.experiments.conditions import Conditions
from companion.experiments.contrast import Contrast
from companion.experiments.data import Data
from companion.experiments.experiment import Compute, Experiment, Keep
from companion.experiments.later_steps import LaterSteps
from companion.experiments.mixing import Mixing
from companion.experiments.number_of_subcategories import NumberOfSubcategories
from companion.experiments.own_images import OwnImages
from companion.experiments.parameters import Parameter
from companion.experiments.peers import Peers
from companion.experiments.performance import Performance
from companion.experiments.positive_controls import PositiveControls
from companion.experiments.quickstart import Quickstart
from companion.experiments.rounds import Table32
from companion.experiments.sensitivity import Sensitivity
from companion.experiments.subcategory_kinds import SubcategoryKinds
from companion.experiments.table_2_1 import Table21
from companion.experiments.table_3_1 import Table31
from companion.experiments.tables_2_2_and_2_3 import Tables22And23
from companion.experiments.tables_3_3_and_3_4 import Tables33And34
from companion.experiments.terms import Terms
from companion.experiments.training_seeds import check_seeds
from companion.settings import Machine, Settings, SettingsError, check_effect, load
from companion.settings.project import NOTEBOOKS

KINDS: tuple[type[Experiment], ...] = (
    Quickstart,
    Data,
    OwnImages,
    Table21,
    Sensitivity,
    Tables22And23,
    Terms,
    PositiveControls,
    Conditions,
    Table31,
    NumberOfSubcategories,
    Table32,
    Clusters,
    Tables33And34,
    BothMethods,
    Mixing,
    SubcategoryKinds,
    Contrast,
    Peers,
    LaterSteps,
    Performance,
)
EXPERIMENTS = {kind.notebook: kind for kind in KINDS}


BEYOND = "beyond"
"""What stands for all experiments beyond the thesis where notebooks are named."""


def of_the_thesis() -> list[str]:
    """The notebooks that are executed where none is named: all but those beyond the thesis."""
    return [name for name, kind in EXPERIMENTS.items() if not kind.beyond]


def notebooks_of(named: str) -> list[str]:
    """The notebook that holds a table or figure such as `table-3.2`, or those of `BEYOND`; other names stay."""
    if named.lower() == BEYOND:
        return [name for name, kind in EXPERIMENTS.items() if kind.beyond]
    return [name for name, kind in EXPERIMENTS.items() if named.lower() in kind.reproduces] or [named]


def kind_of(notebook: str) -> type[Experiment]:
    """What a notebook of the project asks.

    Raises:
        SettingsError: the catalogue does not have it.
    """
    if notebook not in EXPERIMENTS:
        raise SettingsError(f"{notebook} has no experiment: add it to catalogue.EXPERIMENTS")
    return EXPERIMENTS[notebook]


def experiment(
    notebook: str,
    settings: Settings,
    seeds: Sequence[int],
    machine: Machine,
    parameters: Mapping[str, Any] | None = None,
    compute: Compute | None = None,
) -> Experiment:
    """The experiment of a notebook; parameters that are not given have the value of its parameters cell.

    Args:
        notebook: its name without `.ipynb`.
        settings: of the preset with overrides, and with `Experiment.settings_of` the parameters.
        seeds: training seeds.
        machine: where stages run.
        parameters: of the notebook; those that are not the experiment's own decide nothing here.
        compute: computes stages; not needed to plan.

    Raises:
        SettingsError: a parameter or setting has a value that the notebook would refuse too.
    """
    values = {name: each.value for name, each in checks.declared(NOTEBOOKS / f"{notebook}.ipynb").items()}
    return _made(kind_of(notebook), settings, seeds, machine, {**values, **(parameters or {})}, compute)


def asked(
    kind: type[Experiment],
    declared: Mapping[str, Parameter],
    given: Mapping[str, Any],
    compute: Compute | None = None,
    keep: Keep | None = None,
    crf: bool | None = None,
) -> Experiment:
    """The experiment that a notebook asks with its parameters, settings and machine included.

    Args:
        kind: what the notebook asks.
        declared: the parameters of its cell.
        given: other values of them; `preset`, `overrides` and so on among them.
        compute: computes stages; not needed to plan.
        keep: keeps what is measured on what they computed.
        crf: whether stages that need the dense CRF are planned; None: where this machine has it.

    Raises:
        SettingsError: an ill-typed parameter, or a value outside its range.
    """
    values = {name: each.value for name, each in declared.items()} | dict(given)
    own = {name: value for name, value in values.items() if name not in checks.COMMON}
    checks.check_types(own, declared)
    checks.check_values(own)
    seeds = check_seeds(values["seeds"])
    overrides = checks.check_overrides(values["overrides"])
    drawn = {"data.data_seed": own["data_seed"]} if own.get("data_seed") else {}
    check_effect(drawn | overrides, values["data_root"])
    chosen = kind.settings_of(own) | overrides
    settings = load(values["preset"], chosen, profile=own.get("profile", "released"))
    machine = Machine(data_root=str(checks.existing_folder(values["data_root"]) or ""), crf=crf)
    made = _made(kind, settings, seeds, machine, own, compute, keep)
    made.check_truth()
    return made


def _made(
    kind: type[Experiment],
    settings: Settings,
    seeds: Sequence[int],
    machine: Machine,
    parameters: Mapping[str, Any],
    compute: Compute | None,
    keep: Keep | None = None,
) -> Experiment:
    own = {field.name for field in fields(kind)} - {field.name for field in fields(Experiment)}
    chosen = {name: value for name, value in parameters.items() if name in own}
    running: dict[str, Any] = {"compute": compute, "keep": keep}
    running = {name: function for name, function in running.items() if function}
    return kind(settings=settings, seeds=seeds, machine=machine, **running, **chosen)
