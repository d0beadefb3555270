"""Whether the decoded images of a split fit into the memory of this machine.

A JPEG of VOC takes about as long to decode as to augment, and is decoded anew in every epoch. All 10,582 training
images take 6 GB decoded. Nothing here corresponds to published code.
"""

from pathlib import Path

import numpy as np

from thesislib.data.voc import VocDataset

SHARE = 0.5  # of the available memory that decoded images may take
SAMPLE = 64  # images whose sizes are looked at
WHERE_UNKNOWN = 2**30  # bytes taken to be available where the system does not say


def fits(images: VocDataset, copies: int = 1, available: int | None = None) -> bool:
    """Whether `copies` of all decoded images take at most half of the available memory.

    Args:
        images: a split; the mean size of its images is that of a sample.
        copies: processes that keep the images each for itself.
        available: bytes; default those of this machine.
    """
    limit = available_bytes() if available is None else available
    return copies * decoded_bytes(images) <= SHARE * limit


def decoded_bytes(images: VocDataset) -> int:
    """Bytes of all images of a split as RGB arrays, from the sizes in the headers of a sample."""
    sample = np.linspace(0, len(images) - 1, min(SAMPLE, len(images))).astype(int)
    return round(float(np.mean([3 * np.prod(images.size(int(i))) for i in sample])) * len(images))


def available_bytes(system: Path = Path("/")) -> int:
    """Bytes that a process can still take: what Linux calls available, or what is left of a container's limit.

    Args:
        system: the root of the file system with `proc` and `sys`.
    """
    try:
        lines = (system / "proc/meminfo").read_text(encoding="utf-8").splitlines()
        free = 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return WHERE_UNKNOWN
    return min(free, _left_in_container(system / "sys/fs/cgroup", free))


def _left_in_container(group: Path, unlimited: int) -> int:
    try:
        limit = int((group / "memory.max").read_text(encoding="utf-8"))  # "max" where there is none
        used = int((group / "memory.current").read_text(encoding="utf-8"))
        kept = dict(line.split() for line in (group / "memory.stat").read_text(encoding="utf-8").splitlines())
        return max(0, limit - used + int(kept.get("inactive_file", 0)))  # files that were read count as used
    except (OSError, ValueError):
        return unlimited
