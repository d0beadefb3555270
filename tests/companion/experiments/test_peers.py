"""Notebook 45: what its rows differ in, what its claims compare, and what its rows cost."""

from unittest import mock

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from companion import settings
from companion.cost import exhibits, operations, work
from companion.cost.gpu.inference import pictures
from companion.cost.gpu.steps import tiny_scale
from companion.experiments import parameters, peers
from companion.experiments.catalogue import experiment
from companion.settings import CamSettings, Machine, SettingsError
from thesislib import cam
from thesislib.advcam import Climbing

DEMO = settings.load("demo")


def of(chosen=DEMO, **given):
    return experiment("45_peers", chosen, range(3), Machine(device="cpu", crf=False), given)


def test_advcam_has_the_classifier_of_plain_cam_and_its_control_other_directions_alone():
    asked = of(steps=5, step_size=0.5)
    rows = {key: DEMO.override(row.overrides) for key, row in asked.rows.items()}
    assert [*rows] == [
        "cam",
        "mixup_cam",
        "sc_cam",
        "advcam",
        "seam",
        "recam",
        "shuffled",
        "copies",
        "onwards",
        "first",
    ]
    climb = {"cam.climb_steps": (5, 0), "cam.climb_size": (0.5, 0.08)}
    assert parameters.differences(rows["advcam"], rows["cam"]) == climb
    direction = {"cam.climb_direction": ("shuffled", "gradient")}
    assert parameters.differences(rows["shuffled"], rows["advcam"]) == direction
    plain, climbed = (asked.maps[asked.rows[key].name, 0] for key in ("cam", "advcam"))
    assert plain.key != climbed.key and plain.inputs["classifier"].key == climbed.inputs["classifier"].key


def test_seam_has_the_term_beside_the_copies_that_its_control_has_alone():
    asked = of(copy_scale=0.5, lambda_er=2)
    rows = {key: DEMO.override(row.overrides) for key, row in asked.rows.items()}
    assert parameters.differences(rows["copies"], rows["cam"]) == {"classifier.copy_scale": (0.5, 0)}
    assert parameters.differences(rows["seam"], rows["copies"]) == {"classifier.lambda_er": (2, 0)}
    (controlled,) = (claim for claim in asked.others if claim.reference is asked.rows["copies"])
    assert controlled.control and controlled.row is asked.rows["seam"]


def test_recam_goes_on_from_the_classifier_of_plain_cam_and_its_control_does_without_its_term():
    asked = of(recam_epochs=3)
    rows = {key: DEMO.override(row.overrides) for key, row in asked.rows.items()}
    assert parameters.differences(rows["recam"], rows["cam"]) == {"recam.epochs": (3, 0)}
    assert parameters.differences(rows["onwards"], rows["recam"]) == {"recam.weight": (0, 1)}
    first = parameters.differences(rows["first"], rows["recam"])
    assert first == {"cam.recam_weights": ("first", "product")}
    trained = {asked.maps[asked.rows[key].name, 0].inputs["classifier"].key for key in ("first", "recam")}
    assert len(trained) == 1
    plain, recam, onwards = (asked.maps[asked.rows[key].name, 0] for key in ("cam", "recam", "onwards"))
    for trained in (recam.inputs["classifier"], onwards.inputs["classifier"]):
        assert trained.name == "recam" and trained.inputs["classifier"].key == plain.inputs["classifier"].key
    assert recam.key != onwards.key
    (controlled,) = (claim for claim in asked.others if claim.reference is asked.rows["onwards"])
    assert controlled.control and controlled.row is asked.rows["recam"]


def test_every_peer_is_compared_with_plain_cam_and_with_what_its_paper_says():
    asked = of()
    assert peers.PUBLISHED.keys() == asked.peers.keys()
    assert all(claim in asked.others and claim.row is asked.rows[key] for key, claim in asked.peers.items())


def test_the_primary_claim_sets_training_against_climbing():
    asked = of()
    primary, *others = asked.compared
    assert primary.primary and not any(claim.primary for claim in others)
    assert (primary.row, primary.reference) == (asked.rows["mixup_cam"], asked.rows["advcam"])


@pytest.mark.parametrize(("overrides", "steps"), [({"cam.climb_steps": 3}, 9), ({}, 1)])
def test_what_the_rows_differ_in_cannot_be_set_or_left_out(overrides, steps):
    with pytest.raises(SettingsError, match=r"cam\.climb_steps at 0"):
        of(settings.load("demo", overrides), steps=steps).stages()


@pytest.mark.parametrize(
    ("overrides", "given"),
    [
        ({"classifier.copy_scale": 0.5}, {}),
        ({}, {"lambda_er": 0.0}),
        ({}, {"lambda_er": -1.0}),
        ({}, {"copy_scale": 0.0}),
    ],
)
def test_seam_needs_a_weight_and_a_copy_that_other_rows_lack(overrides, given):
    with pytest.raises(SettingsError, match=r"give copy_scale and lambda_er above 0"):
        of(settings.load("demo", overrides), **given).stages()


@pytest.mark.parametrize(
    ("overrides", "given"), [({"recam.epochs": 2}, {}), ({"recam.weight": 0}, {}), ({}, {"recam_epochs": 0})]
)
def test_recam_needs_an_epoch_and_a_weight_and_other_rows_have_none(overrides, given):
    with pytest.raises(SettingsError, match=r"leave recam\.epochs at 0 and recam\.weight above 0"):
        of(settings.load("demo", overrides), **given).stages()


def test_all_rows_are_trained():
    with pytest.raises(SettingsError, match=r"trains each of its rows: leave classifier\.weights empty"):
        of(settings.load("demo", {"classifier.weights": "some.pth"})).stages()


def test_plain_maps_keep_their_keys_and_merged_ones_do_not_climb():
    assert not {"climb_steps", "climb_size", "climb_direction"} & CamSettings().model_dump().keys()
    with pytest.raises(SettingsError, match="maps of AdvCAM are those of classes"):
        settings.load("demo", {"cam.climb_steps": 3, "cam.head": "merged"})


def test_operations_of_a_climb_are_those_of_its_computation():
    chosen = tiny_scale().settings
    model, present = operations.classifier(chosen), torch.eye(20)[0]
    climb = Climbing(model, present[None], steps=3)
    counter = FlopCounterMode(display=False)
    counter.mod_tracker = mock.MagicMock(parents={"Global"})  # which cannot follow gradients of images alone
    with counter:
        scales, flip = chosen.cam.scales, chosen.cam.flip
        cam.response_maps(climb, pictures(1, (48, 64))[0], present, scales=scales, flip=flip)
    assert counter.get_total_flops() == operations.climbed_maps(chosen, 3, (48, 64))


def test_rows_cost_what_their_stages_do():
    frame = exhibits.of_rows(of(steps=3)).frame
    plain, mixed, explored, climbed, seam, recam, shuffled, copies, onwards, first = frame.itertuples(index=False)
    assert plain == mixed and climbed == shuffled and seam == copies and seam.maps == plain.maps
    assert seam.training / plain.training == pytest.approx(1 + 0.3**2, rel=0.01)
    assert first == recam and plain.training < onwards.training < recam.training < onwards.training * 1.001
    assert (onwards.training - plain.training) / plain.training == pytest.approx(4 / 15, rel=0.01)
    assert climbed.training == plain.training < explored.training
    assert climbed.maps / plain.maps > 3 * operations.CLASSES
    voc = settings.load("voc2012")
    of_plain = experiment("45_peers", voc, range(1), Machine()).maps["CAM", 0]
    together = sum(each.units * each.flops for each in work.total(of_plain.upstream(), voc)) / work.PETA
    assert plain.together == pytest.approx(together)
