"""The rows of notebook 24: those of Table 2.1, and what each control differs in."""

from dataclasses import replace

import numpy as np
import pytest

from companion import settings
from companion.experiments import row_stages
from companion.experiments.catalogue import experiment
from companion.settings import Machine, SettingsError
from thesislib.objectives import ClassifierObjective

EVERY = ["pixel", "logit", "logit_max", "raised", "logit_raised", "entropy_alone", "concentration_alone", "other_map"]


def of(notebook="24_terms", **parameters):
    return experiment(notebook, settings.load("demo"), range(3), Machine(device="cpu", crf=False), parameters)


def keys(chosen):
    return {
        stage.key for stage in row_stages.response_map_stages(settings.load("demo"), chosen, [0], Machine()).values()
    }


def test_rows_of_table_2_1_are_the_same_runs():
    table, terms = of("21_response_maps").rows, of().of_table_2_1
    assert {key: row.overrides for key, row in terms.items()} == {key: table[key].overrides for key in terms}
    assert {row.name for row in terms.values()} == {table[key].name for key in terms}
    assert keys(terms.values()) == keys(table[key] for key in terms)


def test_every_control_differs_from_what_it_is_compared_with_in_one_thing():
    chosen = of(trained=EVERY)
    assert [*chosen.controls] == EVERY and len(keys(chosen.rows.values())) == len(chosen.rows)
    assert {claim.row.name for claim in chosen.claims} >= {row.name for row in chosen.controls.values()}
    base = settings.load("demo")
    for claim in chosen.claims:
        one, other = (base.override(row.overrides).classifier for row in (claim.row, claim.reference))
        names = {name for name in type(one).model_fields if getattr(one, name) != getattr(other, name)}
        if not other.lambda_ent:  # how the entropy is read is nothing without its weight
            names -= {"entropy_level", "entropy_score"}
        assert len(names) == 1 or claim.row.name == "both terms, no mixup", claim.text


def test_gradients_of_other_weights_are_kept_under_another_name(tmp_path):
    def name_of(**parameters):
        names = []

        def keep(name, folders, measure):
            names.append(name)
            return [[np.zeros((7, 3))] for _ in folders]

        chosen = replace(of(**parameters), compute=lambda stages: dict.fromkeys(stages, tmp_path), keep=keep)
        assert chosen.pulls
        return names

    assert name_of() == name_of() != name_of(lambda_ent=0.2)


def test_only_asked_controls_are_trained_and_an_unknown_one_is_refused():
    few, many = of(trained=["logit"]), of(trained=EVERY)
    assert len(many.stages()) - len(few.stages()) == 3 * (len(EVERY) - 1)
    assert len(of(trained=[]).stages()) == 3 * len(few.of_table_2_1)
    assert "logit_raised" not in few.rows and not any("raised" in claim.text for claim in few.claims)
    with pytest.raises(SettingsError, match="unknown row 'logits'; did you mean 'logit'"):
        of(trained=["logits"]).stages()


class Images:
    """Six images of one class."""

    classes = ("heron",)

    def __len__(self):
        return 6


def run(right):
    counts = np.array([[right, 3000 - right], [3000 - right, right]])
    return {"confusion": np.stack([counts] * 61), "image_confusion": counts[None]}


def test_changes_nothing_holds_within_the_margin_alone():
    def verdicts(entropy):
        chosen = of(trained=["logit"], margin=1.0)
        level = {row.name: 2000 for row in chosen.rows.values()} | {"mixup + entropy": entropy}
        scores = {name: [run(right + seed) for seed in range(3)] for name, right in level.items()}
        vars(chosen).update(train=scores, val=scores, on_train=Images(), on_val=range(8))
        return [each.verdict for each in chosen.verdicts() if hasattr(each, "verdict")]

    assert verdicts(2001)[0] == "holds" and verdicts(2300)[0] == "opposite"


def test_a_negative_weight_raises_the_entropy():
    chosen = settings.load("demo", {"classifier.lambda_ent": -0.02}).classifier
    assert ClassifierObjective(4, lambda_ent=chosen.lambda_ent).lambda_ent == -0.02
    with pytest.raises(SettingsError, match="greater than or equal to -100"):
        settings.load("demo", {"classifier.lambda_ent": -101})
