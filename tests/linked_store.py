"""A store of one's own whose artefacts are links to those that tests share (fixture `shared_store`)."""

from collections.abc import Iterable
from pathlib import Path

from companion.pipeline import engine
from companion.pipeline.store import Stage, Store


def linked_store(stages: Iterable[Stage], shared: Store, root: Path) -> Store:
    """A store under `root` with these stages and all upstream, and nothing else; computes what `shared` lacks."""
    wanted = engine.in_order(stages)
    engine.run(wanted, shared)
    own = Store(root)
    for stage in wanted:
        place = own.folder(stage)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(shared.folder(stage), target_is_directory=True)
    return own
