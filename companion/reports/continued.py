"""What a report says that goes on from published results: how many of its own are published, and of which seeds."""

from collections.abc import Iterable

from companion.experiments.training_seeds import in_ranges
from companion.pipeline.provenance import hardware_in_words
from companion.pipeline.published import ContinuedStore
from companion.pipeline.store import Stage


def in_words(store: ContinuedStore, stages: Iterable[Stage]) -> str:
    """How many of these results are published ones, of which seeds, and with what they were computed."""
    wanted = {stage.key: stage for stage in stages}
    borrowed, sources = store.borrowed(wanted.values()), store.sources(wanted.values())
    if not borrowed and not sources:
        return (
            f"No result behind this page is a published one: in {store.published.root.parent.name} there are none of "
            "these settings, data, seeds and versions, or all that are needed were computed here."
        )
    origins = [store.provenance(stage) for stage in [*borrowed, *sources]]
    commits = ", ".join(sorted({origin["commit"] for origin in origins}))
    machines = " and ".join(sorted({hardware_in_words(origin["hardware"]) for origin in origins}))
    made_of = f", from published labels of sub-categories ({len(sources)} stages)" if sources else ""
    return (
        f"{len(borrowed)} of the {len(wanted)} results behind this page are published ones, "
        f"{_of_seeds([*borrowed, *sources])}computed at commit {commits} on {machines}; the others were computed "
        f"here{made_of}. What is drawn from maps, masks or weights of published ones is left out."
    )


def _of_seeds(stages: Iterable[Stage]) -> str:
    seeds = {each.bound["seed"] for stage in stages for each in stage.upstream() if "seed" in each.bound}
    return f"of seed{'s' if len(seeds) > 1 else ''} {in_ranges(sorted(seeds))}, " if seeds else ""
