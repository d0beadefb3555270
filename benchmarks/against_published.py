"""Time and memory of our steps against a direct reading of the published method, as one JSON file.

    python benchmarks/against_published.py

writes `benchmarks/against_published.json`, which `51_performance` shows. An image of 500 x 375, one thread, every
measurement in a process of its own. What is compared is in `random_walk.py` and `refinement_steps.py` beside this file.
"""

import json
import platform
import time
from pathlib import Path

import random_walk
import refinement_steps
import torch

from companion.pipeline.provenance import commit

OUTPUT = Path(__file__).with_suffix(".json")
ROWS = 3  # background and two classes


def fusion(name: str) -> list[float]:
    """Seconds (best of three) and peak MiB of one way to fuse response maps."""
    torch.set_num_threads(1)
    step, seconds = refinement_steps.STEPS[name], []
    before = random_walk.reset_peak("cpu")
    for _ in range(3):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return [min(seconds), (random_walk.peak("cpu") - before) / 2**20]


def main() -> None:
    """Measure both ways of both steps and write the file."""
    size = random_walk.PUBLISHED_SIZE
    walks = (random_walk.stencil_walk, random_walk.dense_walk)
    ways = {
        "random walk": [(random_walk.measured, walk, size, ROWS, "cpu") for walk in walks],
        "fusion of 20 + 200 response maps": [(fusion, name) for name in ("present_only", "published")],
    }
    steps = {}
    for name, (ours, published) in ways.items():
        (our_seconds, our_memory), (seconds, memory) = (
            random_walk.in_own_process(function, *arguments) for function, *arguments in (ours, published)
        )
        steps[name] = {"seconds": our_seconds, "published_seconds": seconds}
        steps[name] |= {"mib": our_memory, "published_mib": memory}
        print(f"{name}: {our_seconds:.4f} s instead of {seconds:.4f}, {our_memory:.0f} MiB instead of {memory:.0f}")
    record = {"steps": steps, "machine": platform.machine(), "torch": torch.__version__, "commit": commit()}
    OUTPUT.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
