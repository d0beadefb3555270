"""Array shapes are checked while tests run; one torch thread a process, since pytest-xdist runs several.

Tests share one store, and those that take long are begun first.
"""

import pytest
import torch
from jaxtyping import install_import_hook

install_import_hook(
    ["thesislib", "companion.analysis", "companion.drawing", "companion.exchange"], "shape_checks.checked"
)
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory, worker_id: str):  # type: ignore[no-untyped-def]
    """A store for all processes that run tests: a stage is computed once, and what is in it is only read."""
    from companion.pipeline.store import Store  # not above: the hook is to see every import

    base = tmp_path_factory.getbasetemp()
    return Store((base if worker_id == "master" else base.parent) / "shared_runs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first, so that no process is left alone with one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
