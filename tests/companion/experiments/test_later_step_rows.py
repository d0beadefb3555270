"""Notebook 46: what its rows differ in, that a later step is all they compute anew, and what its claims compare."""

import pytest

from companion import settings
from companion.analysis import chain
from companion.analysis.claims import versus
from companion.cost import exhibits, work
from companion.experiments import parameters
from companion.experiments.catalogue import experiment
from companion.settings import Machine, SettingsError

DEMO = settings.load("demo")


def of(chosen=DEMO, notebook="46_later_steps", crf=True, **given):
    return experiment(notebook, chosen, range(3), Machine(device="cpu", crf=crf), given)


def test_each_row_differs_from_plain_training_in_one_network_alone():
    asked = of(alpha=0.4, lambda_ent=0.1)
    rows = {key: DEMO.override(row.overrides) for key, row in asked.rows.items()}
    changed = {key: parameters.differences(each, rows["plain"]) for key, each in rows.items()}
    assert changed.pop("supervised") == {"segmentation.supervision": ("truth", "pseudo")}
    for step in ("affinity", "segmentation"):
        mixup = {f"{step}.mixup_alpha": (0.4, 0)}
        entropy = {f"{step}.lambda_ent": (0.1, 0)}
        assert changed.pop(f"{step}_mixup") == mixup
        assert changed.pop(f"{step}_both") == mixup | entropy
        assert changed.pop(f"{step}_images") == mixup | {f"{step}.mixing": ("hard_labels", "mixup")}
    assert changed == {"plain": {}, "affinity_entropy": {"affinity.lambda_ent": (0.1, 0)}}


def test_all_rows_have_the_maps_of_plain_cam_and_those_of_deeplab_the_same_masks():
    planned = of().planned
    tables = of(notebook="23_segmentation").planned
    plain = [tables["maps"]["CAM", seed].key for seed in range(3)]
    assert [stage.key for stage in planned["maps"].values()] == plain
    for (_, seed), stage in planned["refined"].items():
        assert stage.inputs["maps of val"].key == tables["refined"]["CAM", seed].inputs["maps of val"].key
    masks = tables["segmented"]["CAM", 0].inputs["segmenter"].inputs["masks"].key
    trained = {row: stage.inputs["segmenter"] for (row, seed), stage in planned["segmented"].items() if not seed}
    taught = {row: stage.inputs["masks"].key for row, stage in trained.items() if "masks" in stage.inputs}
    assert {*taught.values()} == {masks} and {*trained} - {*taught} == {"fully supervised"}
    assert len({stage.key for stage in trained.values()}) == len(trained) == 5
    shared = {stage.key for stage in of(notebook="23_segmentation").stages()}
    ours = {row: stage.key in shared for (row, _), stage in (planned["refined"] | planned["segmented"]).items()}
    assert {row for row, known in ours.items() if known} == {"plain", "fully supervised"}


def test_the_primary_claim_is_of_the_segmentation_network_and_rows_left_out_have_no_claims():
    (primary,) = of().primary_claim
    assert versus(primary.claim) == "mixup in DeepLab > plain"
    assert (primary.split, primary.step, primary.primary) == ("val", chain.SEGMENTED, True)
    asked = of(only_rows=["plain", "segmentation_mixup"])
    assert [(each.step, versus(each.claim)) for each in asked.secondary] == [
        (chain.SHARPENED, "mixup in DeepLab > plain")
    ]
    assert (asked.primary_claim, asked.controls) == ([primary], [])
    assert {row for row, _ in asked.planned["refined"]} == {"plain"}


def test_a_network_costs_at_full_size_what_its_stages_do_however_it_is_trained():
    frame = exhibits.of_networks(of()).frame
    voc = settings.load("voc2012")
    planned = of(voc).planned
    for network, step, own in (
        ("AffinityNet", "refined", {"affinity", "refined_maps"}),
        ("DeepLab", "segmented", {"segmenter", "segmentation"}),
    ):
        for (row, _), stage in planned[step].items():
            works = work.total([each for each in stage.upstream() if each.name in own], voc)
            together = sum(each.units * each.flops for each in works) / work.PETA
            assert frame.loc[network, "together"] == pytest.approx(together), row


def test_without_the_crf_library_the_maps_alone_are_planned():
    assert {stage.name for stage in of(crf=False).stages()} == {"response_maps"}


@pytest.mark.parametrize(
    ("overrides", "given", "message"),
    [
        ({"segmentation.mixup_alpha": 0.1}, {}, "are what the rows differ in"),
        ({"affinity.lambda_ent": 0.1}, {}, "are what the rows differ in"),
        ({}, {"alpha": 0}, "give alpha and lambda_ent above 0"),
        ({"affinity.weights": "aff.pth"}, {}, "leave affinity.weights empty"),
        ({}, {"only_rows": ["plain"]}, "segmentation_mixup is what the other rows are compared with"),
    ],
)
def test_what_the_rows_differ_in_cannot_be_set_or_left_out(overrides, given, message):
    with pytest.raises(SettingsError, match=message):
        of(settings.load("demo", overrides), **given).stages()
