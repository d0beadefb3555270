"""Notebook 43: its rows differ in their sub-labels alone, which of them are absent, and how labels are compared."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score

from companion import settings
from companion.analysis import labellings
from companion.experiments.catalogue import experiment
from companion.pipeline.artefacts import Subcategories
from companion.pipeline.stages import rounds
from companion.settings import Machine, SettingsError

HERE = Machine(device="cpu", crf=False)
DEMO = settings.load("demo")


def of(chosen=DEMO, machine=HERE, **given):
    return experiment("43_subcategories", chosen, range(3), machine, given)


def test_every_row_is_a_training_of_its_own_in_round_1_from_the_same_plain_classifier():
    asked = of(taus=[2], adaptive=["finch"])
    others = ["under_map", "initial", "colours", "soft_2", "uniform", "random", "finch", "finch_random", "true"]
    assert [*asked.rows] == ["cam", "pooled", *others]
    trained = {key: rounds.trained_stage(DEMO.override(row.overrides), HERE) for key, row in asked.rows.items()}
    assert len({stage.key for stage in trained.values()}) == len(trained)
    for key, stage in trained.items():
        above = {each.key for each in stage.upstream() if each.name == "classifier"} - {stage.key}
        assert above <= {trained["cam"].key}
        given = {name: each.key for name, each in stage.inputs.items() if name != "subcategories"}
        assert given == {name: each.key for name, each in trained["cam"].inputs.items()}, key
    assert trained["pooled"].key == rounds.trained_stage(DEMO.override({"subcategories.round": 1}), HERE).key


@pytest.mark.parametrize("preset", ["demo", "voc2012"])
def test_every_output_of_a_second_head_has_the_same_weight(preset):
    chosen = settings.load(preset)
    asked = of(chosen)
    outputs = dict.fromkeys(asked.rows, chosen.subcategories.k) | {"true": 4}
    assert ("true" in asked.rows) == (preset == "demo")
    for key, row in asked.rows.items():
        weight = chosen.override(row.overrides).subcategories.weight
        assert weight / outputs[key] == pytest.approx(chosen.subcategories.weight / chosen.subcategories.k), key


def test_true_sub_types_are_absent_with_images_of_ones_own(tmp_path):
    machine = Machine(device="cpu", crf=False, data_root=str(tmp_path))
    assert "true" not in of(machine=machine).rows


def test_each_row_is_compared_with_random_labels_of_its_own_numbers():
    asked = of(adaptive=["silhouette"])
    claims = asked.against_random
    assert all(claim.control for claim in claims)
    dealt = {claim.row.name: claim.reference.name for claim in claims}
    assert dealt.pop("K by silhouette") == "random, K by silhouette"
    assert {*dealt.values()} == {"random"} and not dealt.keys() & {"uniform", "random", "CAM"}
    primary = [claim for claim in asked.compared if claim.primary]
    assert [(claim.row, claim.reference) for claim in primary] == [(asked.rows["under_map"], asked.rows["pooled"])]


@pytest.mark.parametrize(
    "given", [{"features": "colours"}, {"labels": "random"}, {"number": "finch"}], ids=lambda given: next(iter(given))
)
def test_what_the_rows_differ_in_cannot_be_set_beside_them(given):
    with pytest.raises(SettingsError, match="are what the rows differ in"):
        of(settings.load("demo", {f"subcategories.{name}": value for name, value in given.items()})).stages()
    with pytest.raises(SettingsError, match=r"subcategories\.number.*'silhouette' or 'finch'"):
        of(adaptive=["kmeans"]).stages()


# --- How labels differ and agree --------------------------------------------------------------------------------------


def test_labels_are_described_by_their_sizes_and_shares():
    hard = Subcategories(np.array([[0, -1], [0, 0], [2, 0], [2, -1]], np.int16), 3)
    assert labellings.number(hard) == (2 + 1) / 2
    assert labellings.largest(hard) == (50 + 100) / 2
    assert labellings.shared(hard) == 1
    shares = np.array([[0.5, 0.5, 0, 0, 0, 0], [1, 0, 0, 0, 0.5, 0.5]], np.float32)
    soft = Subcategories(np.array([[0, -1], [0, 1]], np.int16), 3, soft=shares)
    assert labellings.shared(soft) == pytest.approx((2 + 1 + 2) / 3)
    assert labellings.number(soft) == 2 and labellings.largest(soft) == (75 + 50) / 2
    assert [*labellings.table({"hard": [hard], "soft": [soft]}).index] == ["hard", "soft"]


def test_agreement_is_ami_of_every_pair_within_each_class():
    rng = np.random.default_rng(0)
    labels = rng.random((60, 2)) < 0.7
    made = [np.where(labels, rng.integers(0, 3, labels.shape), -1).astype(np.int16) for _ in range(4)]
    found = {"a": [Subcategories(made[0], 3), Subcategories(made[1], 3)], "b": [Subcategories(made[2], 3)] * 2}
    frame = labellings.agreement(found, {"known": made[3].astype(np.int64)})
    pairs = {"b": (made[2], made[2]), "known": (made[3], made[3])}
    for other, of_seeds in pairs.items():
        expected = [
            adjusted_mutual_info_score(one[present, c], two[present, c])
            for one, two in zip(made[:2], of_seeds, strict=True)
            for c, present in enumerate(labels.T)
        ]
        assert frame.loc["a", other] == pytest.approx(np.mean(expected))
    assert frame.loc["b", "a"] == frame.loc["a", "b"]
