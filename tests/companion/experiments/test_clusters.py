"""Fig. 3.5, 3.6 and 3.9 to 3.11: what is refused before anything is computed, and what is shown of which data."""

import made_results
import numpy as np
import pytest
from exhibit_list import flat

from companion import settings
from companion.analysis.claims import Verdict
from companion.experiments import clusters
from companion.experiments.clusters import Clusters
from companion.experiments.exhibits import KeyNumber, Note, Table
from companion.settings import Machine, SettingsError

SMOKE = settings.load("smoke")
QUESTIONS = (
    "in_common", "size_and_ground", "separation", "truth", "projection", "resemblance", "first_and_last", "moves",
    "moves_verdicts", "hypothesis",
)  # fmt: skip


def asked(**more):
    own = {"rounds": 3, "data_seed": 0, "classes_shown": [], "images_per_cluster": 2}
    return Clusters(settings=SMOKE, **{"seeds": (0,), "machine": Machine(device="cpu")} | own | more)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rounds": 1}, "rounds must be at least 2"),
        ({"images_per_cluster": 0}, "images_per_cluster must be at least 1"),
        ({"classes_shown": ["hern"]}, "unknown class 'hern'.*heron"),
    ],
)
def test_what_cannot_be_shown_is_refused_before_anything_is_computed(wrong, message):
    with pytest.raises(SettingsError, match=message):
        asked(**wrong)


def test_the_classes_of_a_folder_are_its_own(tmp_path):
    folder = Machine(device="cpu", data_root=str(made_results.make_data(tmp_path) / "dataset"))
    asked(classes_shown=["snail"], machine=folder)
    with pytest.raises(SettingsError, match="unknown class 'tern'"):
        asked(classes_shown=["tern"], machine=folder)


def test_stages_are_the_clusters_of_every_round_and_the_network_of_the_last():
    found = asked(rounds=2)
    assert [number for number, _ in found.labels] == [1, 2] and [number for number, _ in found.features_before] == [1]
    assert len(found.stages()) == 4 and [name for name, _ in found.classifiers] == ["SC-CAM"]


def shown(experiment):
    """All exhibits of an experiment, by question."""
    return {question: flat(getattr(experiment, question)) for question in QUESTIONS}


@pytest.fixture(scope="module", params=[True, False], ids=["sub-types known", "sub-types unknown"])
def found(request, tmp_path_factory):
    """Whether sub-types are known, and what is shown."""
    folder = tmp_path_factory.mktemp("made")
    compute = made_results.compute(folder)
    if not request.param:
        (subtypes,) = folder.rglob("subtypes.csv")
        subtypes.unlink()
    with pytest.MonkeyPatch.context() as patch:
        grounds = np.arange(9) % 4  # of the images made up here, which no generator has drawn
        patch.setattr("companion.experiments.clusters.contexts", lambda split, data: grounds)
        return request.param, shown(asked(seeds=range(3), compute=compute))


def test_every_picture_has_a_number_beside_it(found):
    known, exhibits = found
    names = {question: [getattr(each, "name", "") for each in answers] for question, answers in exhibits.items()}
    assert names["in_common"] == ["fig_3_5", "fig_3_5_clusters"] and names["projection"] == ["fig_3_6"]
    assert names["first_and_last"] == ["fig_3_9", "fig_3_10", "fig_3_11"]
    assert names["resemblance"][:2] == ["fig_3_6_matrices", "resemblance"]
    assert names["moves"] == ["moves_clusters", *["moves_subtypes"] * known]


def test_what_needs_true_sub_types_is_said_only_where_they_are_known(found):
    known, exhibits = found
    (truth,) = exhibits["truth"]
    assert isinstance(truth, Table if known else Note)
    count = {question: sum(isinstance(e, Verdict) for e in answers) for question, answers in exhibits.items()}
    assert (count["moves_verdicts"], count["hypothesis"]) == ((3, 3) if known else (1, 1))
    numbers = [each for each in exhibits["hypothesis"] if isinstance(each, KeyNumber)]
    assert [each.unit for each in numbers] == [""] * (1 + known)


def test_the_thesis_is_quoted():
    said = clusters.in_the_thesis().splitlines()
    assert said[:2] == ["clusters of each class, K: 10", "rounds: 3"]
    assert said[3] == "classes of Figs 3.9 to 3.11 in the thesis: bird, boat, sheep"
