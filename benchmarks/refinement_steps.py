"""Time and peak memory of CAM fusion and dense CRF at VOC size against a direct reading of the published method.

`python benchmarks/refinement_steps.py`: a 500 x 375 image, 8 passes, 20 + 200 maps, 3 classes present. Fusion as
published enlarges all 220 maps of each pass to the size of the image; here only maps of present classes are enlarged,
after the two of a scale are added. The CRF is the same library in both. `benchmarks/random_walk.py` measures the walk.
"""

import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F

from thesislib.refinement.crf import PSA, crf_available, dense_crf

HEIGHT, WIDTH, STRIDE = 375, 500, 8
SCALES = (1.0, 0.5, 1.5, 2.0)
MAPS, PRESENT = 220, 3


def responses(count: int) -> list[torch.Tensor]:
    """Response maps of each scale, plain and mirrored: `(2, count, h, w)`."""
    generator = torch.Generator().manual_seed(0)
    sizes = [(-(-round(HEIGHT * s) // STRIDE), -(-round(WIDTH * s) // STRIDE)) for s in SCALES]
    return [torch.randn(2, count, *size, generator=generator) for size in sizes]


def enlarge(maps: torch.Tensor) -> torch.Tensor:
    """To the size of the image."""
    return F.interpolate(maps, (HEIGHT, WIDTH), mode="bilinear", align_corners=False)


def published() -> None:
    """Every map of every pass enlarged, then added up."""
    total = torch.zeros(MAPS, HEIGHT, WIDTH)
    for scale in responses(MAPS):
        for mirrored, maps in enumerate(scale.relu()):
            large = enlarge(maps[None])[0]
            total += large.flip(-1) if mirrored else large


def present_only() -> None:
    """Maps of present classes alone, a scale's two added before one enlargement."""
    total = torch.zeros(PRESENT, HEIGHT, WIDTH)
    for scale in responses(MAPS):
        plain, mirrored = scale[:, :PRESENT].relu()
        total += enlarge((plain + mirrored.flip(-1))[None])[0]


def crf() -> None:
    """10 iterations on 4 labels."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    scores = rng.random((PRESENT + 1, HEIGHT, WIDTH)).astype(np.float32)
    dense_crf(image, scores / scores.sum(0), PSA)


STEPS: dict[str, Callable[[], None]] = {"published": published, "present_only": present_only, "crf": crf}


def main() -> None:
    """Each step in a process of its own, so that the memory is its own too."""
    for name in STEPS:
        if name != "crf" or crf_available():
            print(subprocess.check_output([sys.executable, __file__, name], text=True).strip())


def measure(name: str) -> None:
    """Best time of three, and how much the process grew."""
    torch.set_num_threads(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = []
    for _ in range(3):
        start = time.perf_counter()
        STEPS[name]()
        times.append(time.perf_counter() - start)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{name:13} {min(times):7.3f} s  {grown:7.0f} MiB")


if __name__ == "__main__":
    measure(sys.argv[1]) if len(sys.argv) > 1 else main()
