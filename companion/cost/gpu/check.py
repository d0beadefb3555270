"""Measures a GPU with this project's own stages in a few minutes, and writes what it found as JSON.

    python -m companion.cost.gpu.check [--output results.json] [--minutes 8]

needs a CUDA GPU and the core dependencies alone: no notebooks, no Dask; without the CRF's library its time is left out.
The most important comes first, what does not fit into the minutes is skipped, and what fails, by lack of memory for
one, is recorded with its error; the rest goes on. Afterwards `51_performance` is executed on the results where the
dependencies of notebooks are installed, else it is said how to. Nothing here corresponds to published code.
"""

import argparse
import datetime
import platform
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from companion.analysis import gpu_results
from companion.cost.gpu import projection
from companion.cost.gpu.measurements import Measurement, plan
from companion.cost.gpu.steps import GIB, Scale, clean_memory, full_scale, tiny_scale
from companion.pipeline.provenance import provenance
from companion.reports.record import write_json
from companion.settings import load
from companion.settings.project import NOTEBOOKS, project_root

NOTEBOOK = "51_performance"
MINUTES = 8.0
RESERVE = 20  # seconds of them for what comes before and after the measurements


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status: 0 measured, 1 no measurement or no report by an error, 2 no GPU."""
    parser = argparse.ArgumentParser(
        prog="python -m companion.cost.gpu.check", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--output", type=Path, help="results file; default benchmarks/gpu/<GPU>-<date>.json")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="no measurement is begun that would end later")
    parser.add_argument("--reports-dir", type=Path, help="where the report is written; default reports")
    text = "narrow networks and small images on the processor: tests the check, measures nothing of use"
    parser.add_argument("--tiny", action="store_true", help=text)
    options = parser.parse_args(arguments)
    if not options.tiny and not torch.cuda.is_available():
        print(
            f"gpu-check: PyTorch {torch.__version__} finds no CUDA GPU on this machine ({platform.machine()}). Run it "
            "on a machine with one, with a CUDA build of PyTorch and a driver (`nvidia-smi` must list the GPU)",
            file=sys.stderr,
        )
        return 2
    scale = tiny_scale() if options.tiny else full_scale()
    output = options.output or _default_output(options.tiny)
    with tempfile.TemporaryDirectory() as folder:
        record = check(scale, options.minutes, Path(folder), output)
    print(projection.summary(record))
    print(f"\n{output.resolve()}")
    if not gpu_results.measured(record):
        return 1
    return 0 if report(output.resolve(), options.reports_dir or _default_reports(options.tiny)) else 1


def report(results: Path, reports_dir: Path) -> bool:
    """Execute the notebook that shows the results, as `thesis run` does; False if it stopped with an error.

    Without the dependencies of notebooks nothing is executed, and what is missing and what to do is printed.
    """
    try:
        import ipykernel  # noqa: F401  # its process executes the notebook

        from companion.reports import driver, jobs, site
    except ImportError as error:
        print(
            f"report skipped, for {error.name} is not installed: copy the results to a machine with the project "
            f"(`pip install '.[reports]'`), then `thesis run {NOTEBOOK} -p results {results}`"
        )
        return True
    job = jobs.Job(NOTEBOOK, NOTEBOOKS / f"{NOTEBOOK}.ipynb", {"results": str(results)}, reports_dir.resolve(), "demo")
    outcomes = driver.make([job], notebooks_dir=NOTEBOOKS)
    print(f"\n{driver.summary(outcomes)}\n\n{job.reports_dir / job.preset / site.INDEX}")
    return not outcomes[0].error


def check(scale: Scale, minutes: float, folder: Path, output: Path) -> dict[str, Any]:
    """Take all measurements that fit into the minutes; the results file is whole after each of them."""
    deadline = time.monotonic() + 60 * minutes - (RESERVE if scale.gpu else 0)
    record: dict[str, Any] = (
        {"tiny": not scale.gpu, "minutes": minutes, "started": _now()} | machine() | {"measurements": []}
    )
    for measurement in plan(scale, folder):
        entry = measure(measurement, deadline - time.monotonic(), scale)
        if entry.get("tflop_per_s") and (highest := gpu_results.peak(record)):
            entry["share_of_peak"] = entry["tflop_per_s"] / highest
        record["measurements"].append(entry)
        write_json(output, record)
        print(f"{entry['state']:8} {measurement.name}{_aside(entry)}", flush=True)
    projected = projection.projected(record, load("voc2012")) if scale.gpu else None
    record |= {"finished": _now(), "projection": projected}
    write_json(output, record)
    return record


def measure(measurement: Measurement, seconds_left: float, scale: Scale) -> dict[str, Any]:
    """An entry of the results: `state` is `measured`, `failed` with its `error`, or `skipped`."""
    entry: dict[str, Any] = {"group": measurement.group, "name": measurement.name}
    if seconds_left < (measurement.expected if scale.gpu else 0):
        return entry | {"state": "skipped", "error": "the minutes were over"}
    start = time.monotonic()
    with clean_memory(scale):
        try:
            entry |= {"state": "measured"} | measurement.run()
        except Exception as error:  # whatever it is, the others may still work
            lines = f"{type(error).__name__}: {error}".strip().splitlines()
            entry |= {"state": "failed", "error": " ".join(lines[:3])}
    return entry | {"took_s": round(time.monotonic() - start, 2)}


def machine() -> dict[str, Any]:
    """Commit, versions, and the GPU with its memory."""
    found = provenance()
    found["versions"] |= {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    if torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        found["hardware"] |= {
            "memory_gib": card.total_memory / GIB,
            "capability": f"{card.major}.{card.minor}",
            "multiprocessors": card.multi_processor_count,
            "tf32_convolutions": torch.backends.cudnn.allow_tf32,
            "tf32_products": torch.backends.cuda.matmul.allow_tf32,
        }
    return found


def _default_output(tiny: bool) -> Path:
    if tiny:
        return Path(tempfile.gettempdir()) / "gpu_check_tiny.json"
    name = re.sub(r"[^a-z0-9]+", "-", torch.cuda.get_device_name().lower()).strip("-")
    return gpu_results.FOLDER / f"{name}-{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M}.json"


def _default_reports(tiny: bool) -> Path:
    return Path(tempfile.gettempdir()) / "gpu_check_tiny" if tiny else project_root() / "reports"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _aside(entry: dict[str, Any]) -> str:
    """The main numbers of an entry as they are printed behind its name."""
    if entry["state"] != "measured":
        return f": {entry['error']}"
    units = {"images_per_s": "images/s", "tflop_per_s": "TFLOP/s", "peak_gib": "GiB", "loaded_per_s": "images/s loaded"}
    units |= {"trained_per_s": "images/s trained"}
    said = [f"{entry[name]:.4g} {unit}" for name, unit in units.items() if entry.get(name)]
    said += [f"mIoU {split} {value:.1f}" for split, value in entry.get("miou", {}).items()]
    return f": {', '.join(said)}" if said else ""


if __name__ == "__main__":
    sys.exit(main())
