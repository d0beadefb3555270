"""What a notebook's parameters cell declares, and the check that nothing else was passed to it.

papermill writes a mistyped `-p` name into the notebook, warns, and runs on with the default. Here the settings cell
refuses every plain literal in the namespace that it was not given.
"""

import ast
import io
import json
import math
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from types import NoneType
from typing import Any

from companion.datasets.layout import find_layout
from companion.settings import Settings, SettingsError, names, nearest, parse_override
from companion.settings.project import project_root

COMMON = ("preset", "seeds", "overrides", "data_root", "runs_dir", "reports_dir", "published_dir")
COUNTS = ("images_shown", "failures_shown")
WIDTHS = ("margin", "band")
_LITERALS = (str, int, float, bool, list, tuple, dict, NoneType)
_IPYTHON = ("In", "Out")
_SEEN = "_thesis_notebook"


@dataclass(frozen=True)
class Parameter:
    """One line of a parameters cell: `name = value  # help`."""

    name: str
    value: Any
    help: str


def declared(notebook: Path) -> dict[str, Parameter]:
    """The parameters of a notebook, in order: those of its cell tagged `parameters`.

    Raises:
        SettingsError: no cell is tagged, or it holds something else than assignments of plain literals.
    """
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if "parameters" in cell["metadata"].get("tags", ()):
            try:
                return read_cell("".join(cell["source"]))
            except (SyntaxError, ValueError) as error:
                said = f"the parameters cell must assign plain literals only ({error})"
                raise SettingsError(f"{notebook}: {said}") from None
    raise SettingsError(f"{notebook}: no cell is tagged `parameters`, so nothing can be passed to this notebook")


def read_cell(source: str) -> dict[str, Parameter]:
    """The parameters that a cell declares, in order.

    papermill's own inspection is for the eye: it loses a line with `=` or `#` in its value, such as
    `overrides = ["cam.background=0.2"]`, which the cell of injected parameters may well hold.

    >>> read_cell("seeds = 3  # how many")["seeds"]
    Parameter(name='seeds', value=3, help='how many')

    Raises:
        ValueError: the cell holds something else than assignments of plain literals.
    """
    comments = dict(_comments(source))
    found = {}
    for statement in ast.parse(source).body:
        if (name := _target(statement)) is None:
            raise ValueError(f"line {statement.lineno} of the parameters cell is not `name = literal`")
        value = ast.literal_eval(statement.value)  # type: ignore[attr-defined]
        found[name] = Parameter(name, value, comments.get(statement.end_lineno or 0, ""))
    return found


def check_names(namespace: dict[str, Any], declared: Mapping[str, Any]) -> None:
    """Refuse public names of the namespace that hold a plain literal and were not declared.

    The first time in a kernel every such name is refused. When the settings cell is run again, later cells may have
    left literals of their own; then only names that the parameters cells in IPython's history assign are refused.

    Raises:
        SettingsError: names the undeclared name and the nearest declared one.
    """
    public = [name for name in namespace if not name.startswith("_") and name not in _IPYTHON]
    suspects = [name for name in public if isinstance(namespace[name], _LITERALS) and name not in declared]
    if _SEEN in namespace:
        suspects = [name for name in suspects if name in _assigned_by_cells(namespace, declared)]
    if suspects:
        name = suspects[0]
        raise SettingsError(
            f"unknown parameter {name!r}{nearest(name, list(declared))}. In a running kernel, also `del {name}` or "
            "restart it; variables of your own belong below the settings cell"
        )
    namespace[_SEEN] = True


def check_types(values: Mapping[str, Any], declared: Mapping[str, Parameter]) -> None:
    """Refuse a value of another type than the default in the parameters cell, such as the text that `-p` passes.

    Raises:
        SettingsError: names the parameter, its value and its default.
    """
    for name, value in values.items():
        default = declared[name].value
        if default is not None and not _same_type(value, default):
            raise SettingsError(
                f"parameter {name} = {value!r} is of type {type(value).__name__}, "
                f"expected {type(default).__name__} like the default {default!r}"
            )


def check_values(own: Mapping[str, Any]) -> None:
    """Refuse in any notebook what shows nothing, lets no difference count as none, or asks for the same twice.

    Raises:
        SettingsError: names the parameter and what it must be.
    """
    for name, value in own.items():
        if name in COUNTS and value < 1:
            raise SettingsError(f"parameter {name} = {value!r}: must be at least 1")
        if name in WIDTHS and not 0 < value < math.inf:
            raise SettingsError(f"parameter {name} = {value!r}: must be positive and finite")
        if isinstance(value, list | tuple) and (repeated := [each for each in value if value.count(each) > 1]):
            raise SettingsError(f"parameter {name} = {value!r}: {repeated[0]!r} is there twice")


def check_overrides(overrides: Any) -> dict[str, Any]:
    """Overrides as dotted names, from a dict or from `name=value` strings.

    >>> check_overrides(["classifier.lambda_ent=0.02"])
    {'classifier.lambda_ent': 0.02}
    """
    if isinstance(overrides, Mapping):
        return dict(overrides)
    if isinstance(overrides, list | tuple) and all(isinstance(line, str) for line in overrides):
        return dict(parse_override(line) for line in overrides)
    raise SettingsError(
        f"parameter overrides = {overrides!r}: expected a dict such as {{'classifier.mixup_alpha': 0.4}} "
        "or a list of 'name=value' strings"
    )


def folder(name: str, value: Any) -> Path:
    """The folder that parameter `name` gives, from the project's root."""
    if not isinstance(value, str | Path) or not str(value).strip():
        raise SettingsError(f"parameter {name} = {value!r}: expected the path of a folder")
    return (project_root() / Path(value).expanduser()).resolve()


def existing_folder(data_root: Any) -> Path | None:
    """The folder of the data, which can be used as it is, or None where none is given."""
    if data_root is None or data_root == "":
        return None
    path = folder("data_root", data_root)
    if not path.is_dir():
        raise SettingsError(f"parameter data_root = {str(data_root)!r}: there is no folder {path}")
    find_layout(path)
    return path


def differences(settings: Settings, reference: Settings) -> dict[str, tuple[Any, Any]]:
    """Dotted names whose values differ, as (here, in the reference); preset, profile and seed apart."""
    apart = ("preset", "profile", "seed")
    both = {name: (attrgetter(name)(settings), attrgetter(name)(reference)) for name in names() if name not in apart}
    return {name: (here, there) for name, (here, there) in both.items() if here != there}


def _same_type(value: Any, default: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    if isinstance(default, list | tuple):
        return isinstance(value, list | tuple) and _same_types(value, default)
    return isinstance(value, type(default))


def _same_types(values: Sequence[Any], defaults: Sequence[Any]) -> bool:
    """Whether each value could be one of the defaults; without defaults nothing is known."""
    return not defaults or all(any(_same_type(value, default) for default in defaults) for value in values)


def _assigned_by_cells(namespace: Mapping[str, Any], declared: Mapping[str, Any]) -> set[str]:
    """Names that executed cells assign which hold plain literals only, at least one of them declared."""
    names: set[str] = set()
    for source in namespace.get("In", ()):
        try:
            cell = {_target(statement) for statement in ast.parse(source).body}
        except SyntaxError:
            continue
        if None not in cell and cell & set(declared):
            names |= {name for name in cell if name}
    return names


def _target(statement: ast.stmt) -> str | None:
    """The name to which a statement assigns a plain literal; None where it does something else."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            pass
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            pass
        case _:
            return None
    try:
        ast.literal_eval(value)
    except ValueError:
        return None
    return name


def _comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("# ").strip()
