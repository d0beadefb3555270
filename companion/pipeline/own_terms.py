"""Regularisers of the user's own, `module:function`: imported as they are on disk, and known by their whole module.

Nothing here corresponds to published code.
"""

import hashlib
import importlib
import inspect
import linecache
from types import ModuleType

from companion.settings import SettingsError
from thesislib.objectives import ExtraTerm

_SOURCES: dict[str, str] = {}


def load_term(name: str) -> ExtraTerm:
    """A regulariser of the user's own: `module:function`, called with the classifier's output and the labels.

    Raises:
        SettingsError: it cannot be imported.
    """
    module, _, function = name.partition(":")
    try:
        return getattr(_as_on_disk(module)[0], function)
    except (ImportError, AttributeError, ValueError, OSError, TypeError) as error:
        raise SettingsError(
            f"classifier.extra_term = {name!r} cannot be imported ({error}); write module:function of a Python file "
            "and put the module's folder on PYTHONPATH"
        ) from error


def _as_on_disk(name: str) -> tuple[ModuleType, str]:
    """A module and its text; imported again in a process, such as a notebook's, that knows an older text."""
    module = importlib.import_module(name)
    linecache.checkcache()
    source = inspect.getsource(module)
    if _SOURCES.setdefault(name, source) != source:
        module = importlib.reload(module)
        _SOURCES[name] = source
    return module, source


def source_hash(name: str) -> str:
    """What the function's module says, helpers and constants too, so that an edited one is a new question."""
    if not name:
        return ""
    load_term(name)
    return hashlib.sha256(_as_on_disk(name.partition(":")[0])[1].encode()).hexdigest()[:16]
