"""Exhibits of an experiment in the order in which a notebook shows them."""

from companion.analysis.claims import Verdict
from companion.experiments.exhibits import Figure, KeyNumber, Note, Table


def flat(shown):
    """All exhibits of what is given to `Notebook.show`; functions are called."""
    if shown is None:
        return []
    if isinstance(shown, Table | Figure | KeyNumber | Note | Verdict):
        return [shown]
    return flat(shown()) if callable(shown) else [each for some in shown for each in flat(some)]
