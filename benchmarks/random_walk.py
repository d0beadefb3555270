"""Time and peak memory of the random walk, the stencil of `thesislib.refinement.random_walk` against dense squaring.

    python benchmarks/random_walk.py [--device cuda] [--rows 3] [--no-dense]

The dense reference is written from the published steps: an n x n matrix of pair affinities, its elementwise power, its
columns divided by their sums, squared eight times, applied to the scores. Each line is measured in a process of its
own with one thread. Memory is what the walk needs on top of its inputs, at its peak.
"""

import argparse
import ctypes
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from thesislib.refinement.pairs import pair_offsets, source_shape
from thesislib.refinement.random_walk import random_walk

RADIUS, BETA, LOG2_STEPS = 5, 8, 8
PUBLISHED_SIZE = (47, 63)  # an image of 375 x 500 pixels at stride 8
SIZES = ((24, 32), PUBLISHED_SIZE, (94, 126), (188, 252))


def inputs(height: int, width: int, rows: int, device: str) -> tuple[Tensor, Tensor]:
    """Random scores, and the affinity of a smooth random embedding: 0.3 to 1."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, 448, height // 4, width // 4, generator=generator)
    embedding = F.interpolate(coarse, (height, width), mode="bilinear")[0]
    source_rows, source_columns = source_shape(height, width, RADIUS)
    left = RADIUS - 1
    source = embedding[:, :source_rows, left : left + source_columns]
    affinity = [
        (source - embedding[:, dy : dy + source_rows, left + dx : left + dx + source_columns]).abs().mean(0).neg().exp()
        for dy, dx in pair_offsets(RADIUS)
    ]
    scores = torch.rand(rows, height, width, generator=generator)
    return scores.to(device), torch.stack(affinity).flatten(1).to(device)


def dense_walk(scores: Tensor, pair_affinity: Tensor) -> Tensor:
    """The published way, in the precision of its inputs."""
    height, width = scores.shape[1:]
    matrix = torch.eye(height * width, dtype=scores.dtype, device=scores.device)
    cells = torch.arange(height * width, device=scores.device).reshape(height, width)
    source = cells[: 1 - RADIUS, RADIUS - 1 : 1 - RADIUS].flatten()
    for (dy, dx), affinity in zip(pair_offsets(RADIUS), pair_affinity, strict=True):
        target = source + dy * width + dx
        matrix[source, target] = affinity
        matrix[target, source] = affinity
    transition = matrix**BETA
    transition = transition / transition.sum(0, keepdim=True)
    for _ in range(LOG2_STEPS):
        transition = transition @ transition
    return (scores.flatten(1) @ transition).reshape(scores.shape)


def stencil_walk(scores: Tensor, pair_affinity: Tensor) -> Tensor:
    """Ours."""
    return random_walk(scores, pair_affinity, radius=RADIUS, beta=BETA, log2_steps=LOG2_STEPS)


def measured(walk: Callable[[Tensor, Tensor], Tensor], size: tuple[int, int], rows: int, device: str) -> list[float]:
    """Seconds (best of up to five runs within ten seconds) and peak MiB of a walk."""
    torch.set_num_threads(1)
    walk(*inputs(9, 13, rows, device))  # loads the libraries
    scores, affinity = inputs(*size, rows, device)
    before = reset_peak(device)
    seconds: list[float] = []
    while len(seconds) < 5 and sum(seconds) < 10:
        start = time.perf_counter()
        walk(scores, affinity)
        if device != "cpu":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return [min(seconds), (peak(device) - before) / 2**20]


def reset_peak(device: str) -> int:
    """Bytes in use; the peak counts from here."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # what the inputs left behind would hide what the walk takes
    Path("/proc/self/clear_refs").write_text("5")  # Linux: resets VmHWM to the present size
    return peak(device)


def peak(device: str) -> int:
    """Largest number of bytes in use since `reset_peak`."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated()
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def in_own_process(function: Callable[..., list[float]], *arguments: object) -> list[float]:
    """The result of a function, run in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def differences(rows: int, device: str) -> list[float]:
    """Largest difference of ours and of the dense walk from the dense walk in double precision."""
    torch.set_num_threads(1)
    scores, affinity = inputs(*PUBLISHED_SIZE, rows, device)
    exact = dense_walk(scores.double(), affinity.double())
    return [float((walk(scores, affinity) - exact).abs().max()) for walk in (stencil_walk, dense_walk)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rows", type=int, default=3, help="score rows: background and present classes")
    parser.add_argument("--no-dense", action="store_true", help="leave the dense walk out")
    options = parser.parse_args()
    print(f"{options.rows} rows, {options.device}\n{'map':>9} {'cells':>6} {'walk':>8} {'seconds':>9} {'peak MiB':>9}")
    times = {}
    for size in SIZES:
        for name, walk in (("stencil", stencil_walk), ("dense", dense_walk)):
            if name == "dense" and (options.no_dense or size[0] > PUBLISHED_SIZE[0]):
                continue
            seconds, memory = in_own_process(measured, walk, size, options.rows, options.device)
            times[name, size] = seconds
            print(
                f"{size[0]:>4}x{size[1]:<4} {size[0] * size[1]:>6} {name:>8} {seconds:9.4f} {memory:9.1f}", flush=True
            )
    if not options.no_dense:
        ratio = times["dense", PUBLISHED_SIZE] / times["stencil", PUBLISHED_SIZE]
        ours, dense = in_own_process(differences, options.rows, options.device)
        print(f"stencil {ratio:.0f} times faster on {PUBLISHED_SIZE[0]} x {PUBLISHED_SIZE[1]} cells")
        print(f"largest difference from double precision: stencil {ours:.1e}, dense {dense:.1e}")


if __name__ == "__main__":
    main()
