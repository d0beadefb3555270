"""Which results of gpu-check 51_performance shows, and what it says of them."""

import json

import pytest

from companion import settings
from companion.analysis import gpu_results
from companion.cost import exhibits
from companion.experiments.catalogue import experiment
from companion.experiments.exhibits import KeyNumber, Note
from companion.settings import Machine

NO_GPU = "No GPU was measured yet"


def of(results=""):
    return experiment("51_performance", settings.load("demo"), range(3), Machine(device="cpu"), {"results": results})


@pytest.fixture
def measured(tmp_path):
    """A check in which one measurement was skipped and the hours are known."""
    record = {
        "tiny": False,
        "started": "2030-01-02T03:04",
        "commit": "abc",
        "projection": {"hours": {}, "gpu_hours": 7},
    }
    record["hardware"] = {"gpu": "Some GPU", "memory_gib": 24.0}
    record["measurements"] = [{"name": "a step", "state": "skipped", "error": "the minutes were over"}]
    path = tmp_path / "some.json"
    path.write_text(json.dumps(record))
    return path


def test_without_results_there_are_counts_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_results, "FOLDER", tmp_path)
    assert exhibits.throughput(of()).text.startswith(NO_GPU)
    assert [*exhibits.measured(of()), *exhibits.hours(of())] == []
    assert of().data_note.endswith("the commonest size of VOC")


def test_the_named_results_are_shown_with_where_they_are_from(measured):
    found = of(str(measured))
    assert found.data_note.endswith("; measured on Some GPU, 24 GiB, 2030-01-02, commit abc")
    hours, missing = exhibits.hours(found)
    assert isinstance(hours, KeyNumber) and hours.value == 7 and hours.note.endswith(found.measured_on)
    assert missing == Note("Not measured: a step: the minutes were over")


def test_results_that_cannot_be_read_are_refused_while_planning(measured):
    assert of(str(measured)).stages() == []
    measured.write_text("[]")
    with pytest.raises(ValueError, match=r"some\.json holds no results of gpu-check"):
        of(str(measured)).stages()
