"""The check of a GPU at tiny sizes on the processor, its arithmetic, and what is read from its results."""

import itertools
import json
import os
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch
from places import ROOT
from torch.utils.data import Dataset

from companion.analysis import gpu_results
from companion.cli import doctor
from companion.cli import main as cli
from companion.cost import operations
from companion.cost import tables as performance
from companion.cost import work as costs
from companion.cost.gpu import check as gpu_check
from companion.cost.gpu import projection
from companion.cost.gpu import steps as gpu_work
from companion.cost.gpu.measurements import Measurement
from companion.pipeline.stages import classifier as classifier_stage
from companion.pipeline.training import optimisation
from companion.settings import load
from thesislib import training
from thesislib.batches import Batches
from thesislib.models.classifier import parameter_groups

CLASSIFIER = costs.CLASSIFIER.format(crop=448)
OPTIONAL = ("ipykernel", "papermill", "nbformat", "nbconvert", "IPython", "dask", "distributed", "pydensecrf", "jinja2")
TINY = gpu_work.tiny_scale()


def record(*entries, **fields):
    hardware = {"gpu": "Some GPU", "memory_gib": 24.0}
    base = {"tiny": False, "started": "2030-01-01", "hardware": hardware, "commit": "abc", "projection": None}
    return base | {"measurements": list(entries)} | fields


def training_entry(kind=CLASSIFIER, seconds=1.0, accumulate=1, reserved=None, precision="bf16", **fields):
    group = "training" if accumulate == 1 else "training, in parts"
    entry = {"group": group, "name": f"{kind} {accumulate}", "state": "measured", "kind": kind, "unit": "step"}
    entry |= {"precision": precision, "seconds": seconds, "accumulate": accumulate, "images": 16}
    entry |= {"images_per_s": 16 / seconds, "tflop_per_s": 35 / seconds, "peak_gib": reserved}
    return entry | {"reserved_gib": reserved, "first_call_s": 2.0} | fields


def inference_entry(kind, seconds=1.0, images=1, reserved=None, precision="bf16"):
    entry = training_entry(kind, seconds, reserved=reserved, precision=precision)
    return entry | {"group": "inference", "name": f"{kind} {images}", "unit": "image", "images": images}


# --- The check itself -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_everything_is_measured_with_the_core_dependencies_alone(tmp_path):
    hidden = f"import sys; sys.modules.update(dict.fromkeys({OPTIONAL!r}))"
    code = f"{hidden}; from companion.cost.gpu.check import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "--tiny", "--output", str(tmp_path / "results.json")],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "report skipped, for ipykernel is not installed" in done.stdout
    found = gpu_results.read(tmp_path / "results.json")
    unmeasured = {entry["name"]: entry["error"] for entry in found["measurements"] if entry["state"] != "measured"}
    assert list(unmeasured) == [costs.CRF] and "pip install pydensecrf2" in unmeasured[costs.CRF]
    kinds = {entry["kind"] for entry in gpu_results.measured(found) if "kind" in entry}
    assert kinds >= {work.kind.name for work in costs.whole_thesis()} - {costs.CRF}
    assert found["tiny"] and found["versions"]["torch"] and found["commit"]
    assert all(entry["share_of_peak"] > 0 for entry in gpu_results.measured(found, "training", "training, fp32"))
    demo = performance.demo(found)
    assert {"CAM", "Mixup-CAM"} <= set(demo["row"]) and demo["bf16 minus fp32"].notna().any()
    for table in (performance.throughput, performance.in_parts, performance.effects, performance.loading):
        assert len(table(found)) >= 2
    assert "processor, fp32" not in demo  # the numbers there are the demo's, these are another preset's
    assert gpu_results.newest(tmp_path) is None  # tiny networks say nothing about a card


def test_without_a_gpu_it_says_so_and_fails(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_check.main([]) == 2
    assert "finds no CUDA GPU" in capsys.readouterr().err


def test_what_is_over_time_is_skipped_and_said(tmp_path, capsys):
    assert gpu_check.main(["--tiny", "--minutes", "0", "--output", str(tmp_path / "results.json")]) == 1
    found = json.loads((tmp_path / "results.json").read_text())
    assert {entry["state"] for entry in found["measurements"]} == {"skipped"}
    assert found["measurements"][0]["error"] == "the minutes were over"
    assert "0 measured" in capsys.readouterr().out


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory. Tried"), ValueError("no good")])
def test_a_failure_is_recorded_with_its_text(error):
    def fail():
        raise error

    entry = gpu_check.measure(Measurement("training", "a step", 1, fail), 10, TINY)
    assert (entry["state"], entry["error"]) == ("failed", f"{type(error).__name__}: {error}")


@pytest.fixture
def measure_here(tmp_path, monkeypatch):
    """The command where the measurements of a GPU are at hand."""
    measured = record(training_entry(), inference_entry(costs.MAPS))

    def check(scale, minutes, folder, output):
        output.write_text(json.dumps(measured))
        return measured

    monkeypatch.setattr(gpu_check, "check", check)
    places = ["--output", str(tmp_path / "some.json"), "--reports-dir", str(tmp_path)]
    return lambda: gpu_check.main(["--tiny", *places])


@pytest.mark.slow
def test_the_report_of_what_was_measured_is_made(measure_here, tmp_path, capsys):
    assert measure_here() == 0
    assert "Some GPU, 24 GiB" in (tmp_path / "demo" / "51_performance.html").read_text()
    assert str(tmp_path / "demo" / "index.html") in capsys.readouterr().out


def test_without_the_dependencies_of_notebooks_the_report_is_said_to_be_skipped(
    measure_here, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "ipykernel", None)
    assert measure_here() == 0
    shown = capsys.readouterr().out
    assert "report skipped, for ipykernel is not installed" in shown
    assert f"thesis run 51_performance -p results {tmp_path / 'some.json'}" in shown
    assert not (tmp_path / "demo").exists()


def test_expected_seconds_keep_a_gpu_within_its_minutes():
    long = Measurement("training", "a step", 30, dict)
    assert gpu_check.measure(long, 29, gpu_work.full_scale())["state"] == "skipped"


# --- What is timed is what the stages do ------------------------------------------------------------------------------


class Fixed(Dataset):
    def __init__(self, batch):
        self.batch = batch

    def __getitem__(self, address):
        return tuple(tensor[address[1]] for tensor in self.batch)


@pytest.mark.parametrize("parts", [1, 2])
def test_the_timed_step_is_that_of_the_training_loop(parts):
    chosen = load(
        "smoke",
        {
            "classifier.schedule": "poly",
            "classifier.epochs": 1,
            "classifier.accumulate": parts,
            "classifier.dropout": 0,
            "classifier.learning_rate": 1e-2,
            "classifier.optimiser": "sgd",
            "backbone.dropout": 0,
        },
    )
    scale = gpu_work.Scale(chosen, (48, 64), {448: 48, 224: 32}, "cpu", 0.01)
    batch = [torch.randn(4, 3, 48, 48), torch.ones(4, 20)]
    objective = classifier_stage.objective(chosen.classifier, 20)
    ours, theirs = (gpu_work.fresh(scale, operations.classifier) for _ in range(2))
    way = gpu_work.Way("fp32", channels_last=False, fused=False, accumulate=parts)
    gpu_work.training_step(scale, ours, objective, chosen.classifier, way)(batch)
    groups = parameter_groups(theirs, 1e-2, chosen.classifier.weight_decay, new_layer_factor=30)
    batches = Batches(Fixed(batch), 4, 4, 1, seed=0, parts=parts)
    training.train(theirs, groups, objective, batches, optimisation(chosen.classifier))
    before = gpu_work.fresh(scale, operations.classifier).fc8.weight
    assert not torch.equal(before, ours.fc8.weight)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)


def test_time_is_the_median_of_several_calls_after_the_first():
    pauses = itertools.chain([0.05], itertools.repeat(0.001))
    timing = gpu_work.timed(lambda: time.sleep(next(pauses)), TINY)
    assert timing.first_call_s >= 0.05 > timing.seconds >= 0.001
    assert timing.repetitions >= 2 and timing.peak_gib is None  # no GPU, no memory of one


# --- What is read from results ----------------------------------------------------------------------------------------


def test_hours_take_networks_in_bf16():
    kinds = {work.kind.name: work for work in costs.whole_thesis()}
    entries = [training_entry(kind, 0.5) for kind, work in kinds.items() if work.kind.unit == "step"]
    entries += [training_entry(CLASSIFIER, 0.1, precision="fp32"), training_entry(CLASSIFIER, 0.4, accumulate=2)]
    entries += [inference_entry(kind, 0.2) for kind, work in kinds.items() if work.kind.unit == "image"]
    entries += [inference_entry(costs.MAPS, 0.01, precision="fp32")]
    found = projection.projected(record(*entries), load("voc2012"))
    assert found["hours"][CLASSIFIER] == pytest.approx(kinds[CLASSIFIER].units * 0.4 / 3600)
    assert found["hours"][costs.MAPS] == pytest.approx(kinds[costs.MAPS].units * 0.2 / 3600)
    gpu = sum(hours for kind, hours in found["hours"].items() if kind != costs.CRF)
    assert found["gpu_hours"] == pytest.approx(gpu)
    assert found["crf_core_hours"] == pytest.approx(kinds[costs.CRF].units * 0.2 / 3600)
    for kind in kinds.keys() - {costs.CRF}:
        without = projection.projected(record(*(entry for entry in entries if entry["kind"] != kind)), load("voc2012"))
        assert without["gpu_hours"] is None and without["hours"][kind] is None
        assert without["hours"].keys() == kinds.keys() and list(without["hours"].values()).count(None) == 1
    nothing = projection.projected(record(), load("voc2012"))
    assert nothing["gpu_hours"] is None and set(nothing["hours"].values()) == {None}
    assert "unknown" in projection.summary(record(projection=nothing))


def test_settings_that_fit_are_the_fewest_parts_measured_below_the_card():
    entries = [training_entry(CLASSIFIER, 1, parts, 20 / parts) for parts in (1, 2, 4)]
    entries += [training_entry(costs.AFFINITY, 1, parts, 40 / parts) for parts in (1, 2)]
    entries += [inference_entry(kind, 1, count, count) for kind in projection.BATCHED for count in (1, 4, 8)]
    assert projection.fitting(record(*entries), 12) == {
        "classifier.accumulate": 2,
        "THESIS_BATCH_PIXELS": 8 * 375 * 500,
    }
    assert projection.fitting(record(*entries), 48) == {
        "classifier.accumulate": 1,
        "affinity.accumulate": 1,
        "THESIS_BATCH_PIXELS": 8 * 375 * 500,
    }
    assert projection.fitting(record(training_entry()), 12) == {}  # memory was not measured


def test_doctor_prints_what_fits_where_it_was_measured_and_does_not_guess(tmp_path):
    assert "not measured" in doctor.memory_settings(None)
    path = tmp_path / "some.json"
    path.write_text(json.dumps(record(training_entry(reserved=8.0))))
    text = doctor.memory_settings(path)
    assert "classifier.accumulate=1" in text and "Some GPU, 24 GiB" in text
    assert "nothing that was measured fits for affinity.accumulate, segmentation.accumulate" in text


def test_doctor_names_results_that_are_broken_and_goes_on(tmp_path, monkeypatch, capsys):
    (tmp_path / "broken.json").write_text('{"started": ')
    monkeypatch.setattr(gpu_results, "FOLDER", tmp_path)
    assert cli.main(["doctor", "--preset", "voc2012", "--runs-dir", str(tmp_path)]) == 1
    found, advice, *after = capsys.readouterr().out.partition("MISSING GPU memory")[2].splitlines()
    assert "broken.json" in found and "delete that file" in advice
    assert any("disk" in line for line in after)


def test_the_newest_results_of_a_gpu_are_taken(tmp_path):
    for name, started, tiny in (("b", "2029", False), ("a", "2030", False), ("c", "2031", True)):
        (tmp_path / f"{name}.json").write_text(json.dumps(record(started=started, tiny=tiny)))
    assert gpu_results.newest(tmp_path) == tmp_path / "a.json"
    assert gpu_results.newest(tmp_path / "nothing") is None


@pytest.mark.parametrize("text", ["", "[]", '{"started": "2030"}'])
def test_other_files_are_refused_by_name(text, tmp_path):
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(ValueError, match=r"other\.json.*"):
        gpu_results.read(tmp_path / "other.json")


def test_effects_are_relative_to_the_step_as_trained():
    fused = training_entry(seconds=2.0) | {"group": "effect", "name": "without the fused optimiser"}
    fp32 = training_entry(seconds=4.0, precision="fp32") | {"group": "training, fp32"}
    frame = performance.effects(record(training_entry(), training_entry(costs.AFFINITY), fp32, fused))
    assert frame["relative"].to_dict() == {
        "as trained": 1.0,
        "without autocast (fp32)": 0.25,
        "without the fused optimiser": 0.5,
    }


def test_the_demo_is_compared_with_the_committed_numbers_of_a_processor():
    committed = json.loads((ROOT / "benchmarks" / "demo_table_2_1.json").read_text())["miou"]
    entries = [
        {"group": "demo", "name": precision, "state": "measured", "row": "CAM", "precision": precision}
        | {"miou": {split: value + shift for split, value in committed["CAM"].items()}}
        for precision, shift in (("fp32", 0.5), ("bf16", -0.25))
    ]
    frame = performance.demo(record(*entries))
    np.testing.assert_allclose(frame["GPU minus processor, fp32"].to_numpy(float), 0.5)
    np.testing.assert_allclose(frame["bf16 minus fp32"].to_numpy(float), -0.75)


def test_nothing_measured_makes_empty_tables(tmp_path):
    skipped = record({"group": "training", "name": "a step", "state": "skipped", "error": "the minutes were over"})
    for name in ("throughput", "in_parts", "effects", "loading", "demo", "projection"):
        assert isinstance(getattr(performance, name)(skipped), pd.DataFrame)
        assert len(getattr(performance, name)(skipped)) == 0
    assert performance.not_measured(skipped) == ["a step: the minutes were over"]
    performance.throughput_chart(skipped).savefig(tmp_path / "empty.png")


def test_times_beside_the_published_method_are_shown_where_they_were_measured(tmp_path):
    step = {"seconds": 0.5, "published_seconds": 2.0, "mib": 1.0, "published_mib": 8.0}
    (tmp_path / "times.json").write_text(json.dumps({"steps": {"a step": step}}))
    frame = performance.against_published(tmp_path / "times.json")
    assert frame.loc["a step, seconds on one core", "ratio"] == 4
    counted = performance.against_published(tmp_path / "missing.json")
    assert not any("seconds" in name for name in counted.index)
    assert counted.loc["random walk, GFLOP", "ratio"] > 1000
