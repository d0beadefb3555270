"""Algorithm 1: sub-category exploration as a loop of features, clusters, labels and training.

Thesis 3.3.2; published code: `script.sh` of Juliachang/SC-CAM, which calls `extract_feature.py`,
`create_pseudo_label.py` and `train_cls.py` by turns. Round 0 is the plain classifier, trained here (A14); every later
round trains anew from the initial weights (A13).

`subcategories.features = plain` is a control for both chapters together: the regularised classifier learns the
sub-labels that SC-CAM without regularisers finds, round for round.
"""

from typing import NamedTuple

from companion.pipeline.stages import classifier, clustered_features, recam, subcategories
from companion.pipeline.store import Stage
from companion.settings import Machine, Settings, SettingsError

WITHOUT_REGULARISERS = {
    "classifier.mixup_alpha": 0,
    "classifier.mixing": "mixup",
    "classifier.label_smoothing": 0,
    "classifier.lambda_ent": 0,
    "classifier.lambda_con": 0,
    "classifier.extra_term": "",
    "classifier.lambda_extra": 0,
}
"""The classifier that chapter 2 regularises."""


class Round(NamedTuple):
    """A round of Algorithm 1: its classifier, and the sub-category labels that it was trained with."""

    classifier: Stage
    labels: Stage | None = None


def algorithm_1(settings: Settings, machine: Machine, label: str = "") -> list[Round]:
    """All rounds from 0 to `subcategories.round`.

    Raises:
        SettingsError: true sub-types of images that are not generated.
    """
    chosen, clustered = settings.subcategories, _clustered(settings)
    rounds = explored = [Round(classifier.stage(_with(settings, round=0), machine, label))]
    if clustered != settings:
        explored = algorithm_1(clustered, machine, label)
    for r in range(1, chosen.round + 1):
        of_round = _with(settings, round=r)
        features = clustered_features.stage(clustered, machine, explored[r - 1].classifier, label)
        clusters = subcategories.clusters_stage(clustered, machine, features, label)
        labels = subcategories.labels_stage(of_round, machine, clusters, label)
        start = rounds[r - 1].classifier if chosen.init == "previous" else None
        rounds.append(Round(classifier.stage(of_round, machine, label, labels, start), labels))
    return rounds


def _clustered(settings: Settings) -> Settings:
    """The method whose features are clustered: that of `settings`, but for the controls."""
    if settings.subcategories.features == "plain":
        settings = _with(settings.override(WITHOUT_REGULARISERS), features="own")
    if settings.subcategories.labels == "random":  # a control, which shuffles the clusters that the method itself finds
        settings = _with(settings, labels="clusters")
    return settings


def trained_stage(settings: Settings, machine: Machine, label: str = "") -> Stage:
    """The classifier of round `subcategories.round`, with it all rounds before it, and what `recam` makes of it."""
    trained = algorithm_1(settings, machine, label)[-1].classifier
    return recam.stage(settings, machine, trained, label) if settings.recam.epochs else trained


def labels_stage(settings: Settings, machine: Machine, label: str = "") -> Stage:
    """The sub-category labels with which round `subcategories.round` (1 or later) is trained.

    Raises:
        SettingsError: round 0, which has none, or true sub-types of images that are not generated.
    """
    labels = algorithm_1(settings, machine, label)[-1].labels
    if labels is None:
        raise SettingsError("round 0 has no sub-category labels: set subcategories.round to 1 or more")
    return labels


def features_stage(settings: Settings, machine: Machine, label: str = "") -> Stage:
    """Pooled features of all training images under the network of round `subcategories.round`."""
    return subcategories.features_stage(settings, machine, trained_stage(settings, machine, label), label)


def _with(settings: Settings, **changes: object) -> Settings:
    return settings.override({f"subcategories.{name}": value for name, value in changes.items()})
