"""Counted operations against the stages' own computations, and the plan of the whole thesis on VOC."""

import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from places import ROOT
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from companion.cost import complexity, operations
from companion.cost import work as costs
from companion.cost.gpu.inference import pictures
from companion.cost.gpu.steps import tiny_scale
from companion.experiments.catalogue import BEYOND, notebooks_of, of_the_thesis
from companion.pipeline import engine
from companion.pipeline.stages import affinity
from companion.pipeline.stages import classifier as classifier_stage
from companion.pipeline.stages import segmentation as segmentation_stage
from companion.pipeline.store import Stage
from companion.settings import Machine, SettingsError, load
from thesislib import cam
from thesislib.refinement.pairs import pair_offsets, source_shape
from thesislib.refinement.random_walk import _coefficients, _sparse, _transition_stencil

TINY = tiny_scale().settings
VOC = load("voc2012")
SIZE = (48, 64)


def counted(work):
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def by_hand(model: nn.Module, crop: int) -> int:
    """Operations of a training step on one image, from the layers' own sizes: forward, and what needs a gradient."""
    total = 0

    def add(layer: nn.Conv2d, inputs, output) -> None:
        nonlocal total
        one = 2 * layer.in_channels * math.prod(layer.kernel_size) * output.numel()
        total += one * (1 + layer.weight.requires_grad + inputs[0].requires_grad)

    hooks = [layer.register_forward_hook(add) for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    output = model.train()(torch.zeros(1, 3, crop, crop))
    for hook in hooks:
        hook.remove()
    heads = [model.fc8] + ([model.fc8_sub] if model.fc8_sub is not None else [])
    maps = output.response.numel() * 2 * model.fc8.in_channels
    assert all(head.kernel_size == (1, 1) for head in heads)
    return total - 2 * maps  # the maps are computed, but the plain loss has no gradient through them


@pytest.mark.parametrize("k", [0, 3])
def test_operations_of_a_training_step_are_those_of_its_layers(k):
    chosen = TINY.override({"classifier.batch_size": 1, "classifier.frozen": True})
    assert operations.classifier_step(chosen, 48, k) == by_hand(operations.classifier(chosen, k), 48)


def test_a_step_of_the_stages_own_objective_counts_the_same():
    chosen, model = TINY.classifier, operations.classifier(TINY, 2)
    images, labels = torch.randn(4, 3, 48, 48), torch.ones(4, 20 * 3)
    objective = classifier_stage.objective(chosen, 20, lambda_sub=5)

    def step() -> None:
        terms = objective(model.train(), [images, labels], np.random.default_rng(0))
        torch.stack(list(terms.values())).sum().backward()

    assert counted(step) == operations.classifier_step(TINY, 48, 2)


def test_response_maps_count_what_their_computation_does():
    image, labels = pictures(1, SIZE)[0], torch.ones(20)
    model = operations.classifier(TINY)
    chosen = TINY.cam
    done = counted(lambda: cam.response_maps(model, image, labels, scales=chosen.scales, flip=chosen.flip))
    assert done == operations.response_maps(TINY, SIZE)


def test_segmentation_counts_what_its_computation_does():
    model = operations.segmenter(TINY).eval()
    done = counted(lambda: segmentation_stage.predict(model, pictures(1, SIZE)[0]))
    assert done == operations.segmentation(TINY, SIZE)


def test_the_walk_counts_the_products_and_entries_that_it_has():
    assert len(_coefficients(2**8)) - 1 == operations.WALK_PRODUCTS
    height, width = 7, 12
    pairs = torch.full((len(pair_offsets()), math.prod(source_shape(height, width))), 0.5, dtype=torch.float64)
    stencil = _transition_stencil(pairs, height, width, radius=5, beta=1)
    assert _sparse(stencil, 5)._nnz() == operations.neighbours(height, width)


def test_full_size_networks_are_counted_without_their_memory():
    step = operations.classifier_step(VOC, 448)
    weights = 105e6  # nearly all of them on 56 x 56 cells, forward and twice backward; few are frozen
    assert 0.95 < step / (16 * 56 * 56 * weights * 6) < 1.2
    assert operations.classifier_step(VOC, 224) == pytest.approx(step / 4, rel=1e-4)


def test_an_affinity_net_on_a_frozen_backbone_trains_its_own_layers_alone():
    head = load("voc2012", {"affinity.trained": "head"})
    channels, cells = ((512, 64), (1024, 128), (4096, 256)), 63 * 63  # images of 500 x 500, maps that are there already
    products = sum(of_map * embedded for of_map, embedded in channels)
    step = 2 * 8 * cells * (2 * products + 3 * 448 * 448)  # forward; backward: weights, and f9 its input too
    assert operations.affinity_step(head) == step
    assert operations.affinity_maps(head) > operations.features(head) / 2
    of_stage = {work.kind.name: work.units for work in costs.work_of(affinity.stage(head, Machine(crf=True)), head)}
    assert of_stage == {costs.FEATURES: 10_582, costs.AFFINITY: 8 * (10_582 // 8)}


# --- The plan ---------------------------------------------------------------------------------------------------------


def test_work_of_a_stage_is_images_and_steps_of_voc():
    stages = {stage.name: stage for stage in costs.planned(VOC)["23_segmentation"]}
    kinds = {name: {work.kind.name: work.units for work in costs.work_of(stage, VOC)} for name, stage in stages.items()}
    assert kinds["affinity"] == {costs.AFFINITY: 8 * (10_582 // 8)}
    assert kinds["segmenter"] == {costs.SEGMENTER: 19 * 1058}
    assert kinds["segmentation"] == {costs.TEST: 1449, costs.CRF: 1449}
    assert kinds["affinity_labels"] == {costs.CRF: 2 * 10_582}
    assert kinds["data"] == kinds["backbone"] == {}


def test_a_converted_network_costs_nothing_and_an_unknown_stage_is_refused():
    given = load("voc2012", {"classifier.weights": "res38_cls.pth", "affinity.weights": "res38_aff.pth"})
    machine = Machine(crf=True)
    assert [costs.work_of(build(given, machine), given) for build in (classifier_stage.stage, affinity.stage)] == [
        []
    ] * 2
    with pytest.raises(ValueError, match="stage 'smoothed_maps' has no cost"):
        costs.work_of(Stage("smoothed_maps", 1, print, {}), VOC)


def test_all_rows_of_the_tables_are_planned_whether_or_not_the_crf_is_here(monkeypatch):
    costs.planned.cache_clear()
    monkeypatch.setitem(sys.modules, "pydensecrf", None)
    table = costs.result_table()
    assert table.loc["21_response_maps", ["classifiers", "AffinityNets"]].tolist() == [7, 5]  # none of controls
    # Three panels of four values; b and c share their defaults, and alpha = 0 is plain CAM.
    assert table.loc["22_sensitivity", "classifiers"] == 3 * 4 - 1
    # plain, ours, fully supervised; of SC-CAM also on masks without CRF
    assert table.loc[["23_segmentation", "35_segmentation"], "DeepLabs"].tolist() == [3, 4]
    assert table.loc["33_rounds", "classifiers"] == 4
    assert "01_data" not in table.index and "51_performance" not in table.index


def test_what_notebooks_share_is_counted_once():
    table = costs.result_table()
    everything, alone = table.iloc[-1], table.iloc[:-1]
    whole = costs.whole_thesis()
    assert everything["PFLOP"] == pytest.approx(sum(work.units * work.flops for work in whole) / 1e15)
    assert alone["PFLOP"].max() < everything["PFLOP"] < alone["PFLOP"].sum()
    twice = {work.kind: work.units for work in costs.whole_thesis(VOC, seeds=2)}
    assert twice == {work.kind: 2 * work.units for work in whole}
    assert costs.whole_thesis(VOC, seeds=(100, 107)) == costs.whole_thesis(VOC, seeds=2)


def test_hours_are_units_times_measured_seconds_and_missing_without_a_measurement():
    works = [costs.Work(costs.Kind("a", "step"), 7200, 1), costs.Work(costs.Kind("b", "image"), 10, 1)]
    assert costs.hours(works, {"a": 0.5}) == {"a": 1.0, "b": None}


def test_sub_categories_of_a_round_are_those_of_its_labels():
    clusters = SimpleNamespace(settings={"k": 10, "seed": 0}, inputs={})
    assert costs._subcategories(SimpleNamespace(inputs={})) == 0
    assert costs._subcategories(SimpleNamespace(inputs={"subcategories": clusters})) == 10
    dealt = SimpleNamespace(settings={"seed": 0}, inputs={"clusters": clusters})
    assert costs._subcategories(SimpleNamespace(inputs={"subcategories": dealt})) == 10
    parent = SimpleNamespace(settings={"labels": "parent"}, inputs={})
    assert costs._subcategories(SimpleNamespace(inputs={"subcategories": parent})) == 1


def test_what_the_methods_add_to_plain_cam():
    plain, mixed, explored = complexity.table().itertuples(index=False, name=None)
    frame = complexity.table()
    assert [*frame[complexity.TRAININGS]] == [1, 1, 4]
    channels, outputs = 4096, 20 * 10  # of ResNet-38, of the second head
    heads = frame[complexity.PARAMETERS].diff().iloc[2] * 1e6
    assert heads == pytest.approx(channels * outputs) and frame[complexity.LATER].nunique() == 1
    assert 0 < frame.loc["Mixup-CAM", complexity.SHARE] < 1 and plain[0] == mixed[0] == pytest.approx(
        35.53e3 / 16, rel=1e-3
    )
    step = 10_582 // 16
    trained = step * (15 * 35.53 + 3 * 61 * 8.88) / 1e3
    assert explored[4] == pytest.approx(trained + 3 * 10_582 * 0.75 / 1e3, rel=0.01)
    assert explored[5] == pytest.approx(explored[4] / plain[4])


def test_operations_beside_the_network_grow_with_its_images():
    one, other = complexity.beside_the_network(64, 8), complexity.beside_the_network(64, 8, batch=4)
    assert one == pytest.approx(other, rel=0.01)
    assert complexity.beside_the_network(64, 8) >= 3 * 3 * 64 * 64  # two products and a sum a value


def test_markdown_has_a_line_for_every_stage_and_notebook():
    text = costs.markdown()
    for name in (*(work.kind.name for work in costs.whole_thesis()), *costs.result_table().index):
        assert sum(line.startswith(f"| {name} |") for line in text.splitlines()) == 1


def test_readme_prints_the_same_operations():
    readme = (ROOT / "README.md").read_text()
    lines = costs.markdown().partition("\n\n")[0].splitlines()[2:]
    assert lines and not [line for line in lines if line.replace("%", " %") not in readme]


def test_readme_says_what_is_beyond_the_thesis_and_the_whole_leaves_it_out():
    readme, table = (ROOT / "README.md").read_text(), costs.result_table()
    for name in notebooks_of(BEYOND):
        assert f"{name} {table.loc[name, 'PFLOP']:,.0f} PFLOP" in readme
        assert name not in of_the_thesis()


def test_counting_reads_no_file():
    stages = [stage for planned in costs.planned(VOC).values() for stage in planned]
    assert {"data", "backbone", "segmenter"} <= {stage.name for stage in stages}
    assert not any(stage.is_bound for stage in stages)
    with pytest.raises(SettingsError, match="needs data: give data_root"):
        engine.bind(stages)
