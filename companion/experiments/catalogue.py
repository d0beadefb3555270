"""Every experiment by its notebook: what `thesis run`, `reproduce`, `batch`, the cost count and the notebooks ask."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from companion.experiments import parameters as cells
from companion.experiments.data import Data
from companion.experiments.experiment import Compute, Experiment
from companion.experiments.number_of_subcategories import NumberOfSubcategories
from companion.experiments.sensitivity import Sensitivity
from companion.experiments.table_2_1 import Table21
from companion.experiments.table_3_1 import Table31
from companion.experiments.tables_2_2_and_2_3 import Tables22And23
from companion.experiments.tables_3_3_and_3_4 import Tables33And34
from companion.settings import Machine, Settings
from companion.settings.project import NOTEBOOKS

KINDS: tuple[type[Experiment], ...] = (
    Data,
    Table21,
    Sensitivity,
    Tables22And23,
    Table31,
    NumberOfSubcategories,
    Tables33And34,
)
EXPERIMENTS = {kind.notebook: kind for kind in KINDS}


def notebook_of(result: str) -> str:
    """The notebook that holds a table or figure such as `table-3.2`; other names are returned as they are."""
    return next((name for name, kind in EXPERIMENTS.items() if result.lower() in kind.reproduces), result)


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
    kind = EXPERIMENTS[notebook]
    own = {field.name for field in fields(kind)} - {field.name for field in fields(Experiment)}
    values = {name: each.value for name, each in cells.declared(NOTEBOOKS / f"{notebook}.ipynb").items()}
    chosen = {name: value for name, value in {**values, **(parameters or {})}.items() if name in own}
    planned = {} if compute is None else {"compute": compute}
    return kind(settings=settings, seeds=seeds, machine=machine, **planned, **chosen)
