"""Some rows of a table alone, and their maps without step 2: what is planned, claimed, and refused."""

from typing import Any

import pytest

from companion.experiments.catalogue import experiment
from companion.experiments.compared_maps import ComparedMaps
from companion.experiments.response_maps import ResponseMaps
from companion.settings import Machine, SettingsError, load

TABLES = {"21_response_maps": "mixup_cam", "31_response_maps": "sc_cam"}
BEYOND = {
    "41_both_methods": ["cam", "both"],
    "42_mixing": ["cam", "mixup"],
    "43_subcategories": ["pooled", "under_map"],
    "44_contrast": ["two_views", "contrast_0.1"],
    "45_peers": ["mixup_cam", "advcam"],
}
"""The rows of the primary claim."""


def asked(notebook: str, **parameters: Any) -> ResponseMaps:
    found = experiment(notebook, load("smoke"), (0, 1), Machine(device="cpu", crf=True), parameters)
    assert isinstance(found, ResponseMaps)
    return found


def beyond(notebook: str, **parameters: Any) -> ComparedMaps:
    found = experiment(notebook, load("smoke"), (0, 1), Machine(device="cpu"), parameters)
    assert isinstance(found, ComparedMaps)
    return found


@pytest.mark.parametrize(("notebook", "method"), TABLES.items())
def test_the_two_rows_alone_keep_their_stages_and_the_primary_claim(notebook: str, method: str) -> None:
    two, every = asked(notebook, only_rows=["cam", method], step_2=False), asked(notebook)
    assert [*two.rows] == ["cam", method]
    assert two.walks == {} and every.walks
    assert {stage.description for stage in two.stages()} < {stage.description for stage in every.stages()}
    assert len(two.stages()) == 4  # two rows, two seeds
    (claim,) = two.claims
    assert claim.primary and claim.text in [each.text for each in every.claims]


def test_the_rows_whose_maps_are_refined_can_be_fewer() -> None:
    every, some = asked("21_response_maps"), asked("21_response_maps", walked_rows=["cam", "mixup_cam"])
    assert {name for name, _ in some.walks} == {"CAM", "Mixup-CAM"} and len(some.maps) == len(every.maps)
    assert [claim.text for claim in some.claims_of_walked] == ["All three together improve the response maps"]
    assert some.with_terms is None and every.with_terms == ("Mixup-CAM", "mixup")


def test_claims_are_those_of_the_rows_that_are_asked_for() -> None:
    some = asked("21_response_maps", only_rows=["cam", "mixup", "mixup_cam"])
    assert [(claim.row.name, claim.reference.name) for claim in some.claims] == [
        ("mixup", "CAM"),
        ("Mixup-CAM", "CAM"),
        ("Mixup-CAM", "mixup"),
    ]


def test_rows_of_the_user_can_be_chosen_too() -> None:
    own = {"mixup 0.4": {"classifier.mixup_alpha": 0.4}}
    some = asked("21_response_maps", extra_rows=own, only_rows=["cam", "mixup_cam", "own: mixup 0.4"])
    assert [row.name for row in some.scored] == ["CAM", "Mixup-CAM", "mixup 0.4"]


@pytest.mark.parametrize("parameter", ["only_rows", "walked_rows"])
@pytest.mark.parametrize(
    ("chosen", "said"),
    [(["cam", "mixup_cma"], "mixup_cam"), (["mixup", "mixup_cam"], "cam is what the other rows are compared with")],
)
def test_rows_that_do_not_exist_or_are_needed_are_refused(parameter: str, chosen: list[str], said: str) -> None:
    with pytest.raises(SettingsError, match=f"{parameter}: .*{said}"):
        asked("21_response_maps", **{parameter: chosen}).stages()


@pytest.mark.parametrize("notebook", BEYOND)
def test_beyond_the_thesis_the_two_rows_of_the_primary_claim_can_be_asked_for_alone(notebook: str) -> None:
    two, every = beyond(notebook, only_rows=BEYOND[notebook]), beyond(notebook)
    assert [*two.rows] == BEYOND[notebook]
    assert {stage.description for stage in two.stages()} < {stage.description for stage in every.stages()}
    assert two.claim.primary and two.claim == every.claim
    names = {row.name for row in two.rows.values()}
    assert all({claim.row.name, claim.reference.name} <= names for claim in two.compared)
    assert [claim for claim in every.compared if {claim.row.name, claim.reference.name} <= names] == [*two.compared]


@pytest.mark.parametrize("notebook", BEYOND)
def test_beyond_the_thesis_a_row_of_the_primary_claim_cannot_be_left_out(notebook: str) -> None:
    with pytest.raises(SettingsError, match=f"only_rows: {BEYOND[notebook][1]} is what the other rows are compared"):
        beyond(notebook, only_rows=BEYOND[notebook][:1]).stages()


def test_the_interaction_needs_all_four_rows() -> None:
    three = beyond("41_both_methods", only_rows=["cam", "mixup_cam", "both"])
    assert not three.has(["sc_cam"])
    assert [claim.reference.name for claim in three.compared] == ["CAM", "CAM", "Mixup-CAM"]


def test_claims_that_are_left_out_count_in_their_family() -> None:
    some, every = beyond("42_mixing", only_rows=["cam", "mixup", "fmix"]), beyond("42_mixing")
    assert [claim.text for claim in some.claims] == ["FMix does better than mixup"]  # type: ignore[attr-defined]
    assert some.unasked(lambda each: each.claims) == 7 and every.unasked(lambda each: each.claims) == 0  # type: ignore[attr-defined]
    assert some.unasked(lambda each: each.claims_of_completeness) == 3  # mixed images, mixed labels, and smoothing


def test_claims_on_rows_that_do_not_walk_count_in_the_family_of_table_2_1() -> None:
    every, some = asked("21_response_maps"), asked("21_response_maps", walked_rows=["cam", "mixup_cam"])
    declared = [len(each.declared) for each in (every, some)]  # type: ignore[attr-defined]
    assert declared == [7 + 5 + 7 + 5, 7 + 2 + 1 + 1]
    assert some.unasked(lambda each: each.declared) == 13  # type: ignore[attr-defined]


@pytest.mark.parametrize(("notebook", "number"), [("21_response_maps", 24), ("31_response_maps", 10)])
def test_a_walk_that_is_not_asked_for_makes_no_other_claim_easier(notebook: str, number: int) -> None:
    def whole(**parameters: object) -> int:
        chosen = asked(notebook, **parameters)
        return len(chosen.declared) + chosen.unasked(lambda each: each.declared)  # type: ignore[attr-defined]

    two = ["cam", TABLES[notebook]]
    ways: list[dict[str, object]] = [{}, {"step_2": False}, {"only_rows": two}, {"only_rows": two, "step_2": False}]
    assert [whole(**way) for way in ways] == [number] * 4
