"""Decoded images are kept where memory allows."""

from pathlib import Path

import numpy as np
import pytest
from voc_folder import make_voc, write_mask_and_image, write_split

from companion.datasets import memory
from companion.pipeline.stages import data as data_stage
from companion.pipeline.store import Job, Progress
from companion.settings import Machine
from thesislib.data.voc import VocDataset

GB = 10**9
UNLIMITED = "max\n"


@pytest.fixture
def images(tmp_path):
    return VocDataset(make_voc(tmp_path, n=4, size=(24, 32)), "train")


def system(root: Path, available: int | None = None, limit: str = "", used: int = 0, files: int = 0) -> Path:
    """A root folder with what Linux would say of its memory, and of that of a container."""
    if available is not None:
        (root / "proc").mkdir(parents=True)
        (root / "proc" / "meminfo").write_text(f"MemTotal: 99 kB\nMemAvailable:   {available // 1024} kB\n")
    if limit:
        group = root / "sys" / "fs" / "cgroup"
        group.mkdir(parents=True)
        (group / "memory.max").write_text(limit)
        (group / "memory.current").write_text(f"{used}\n")
        (group / "memory.stat").write_text(f"anon 5\ninactive_file {files}\n")
    return root


def test_decoded_size_is_three_bytes_a_pixel(images):
    assert memory.decoded_bytes(images) == sum(images.image(i).nbytes for i in range(len(images)))


def test_decoded_size_of_many_images_follows_from_a_sample(tmp_path):
    root, rng = make_voc(tmp_path, n=1), np.random.default_rng(0)
    names = [f"image{i:03}" for i in range(200)]
    for i, name in enumerate(names):
        write_mask_and_image(root, name, 1, (24, 32) if i % 2 else (48, 32), rng)
    write_split(root, "train", names)
    exact = 100 * 3 * 32 * (24 + 48)
    assert memory.decoded_bytes(VocDataset(root, "train")) == pytest.approx(exact, rel=0.15)


def test_half_of_the_available_memory_may_be_taken_by_all_copies_together(images):
    needed = 4 * 3 * 24 * 32
    assert memory.fits(images, 1, 2 * needed) and not memory.fits(images, 1, 2 * needed - 1)
    assert memory.fits(images, 3, 6 * needed) and not memory.fits(images, 3, 6 * needed - 1)


def test_available_memory_is_linuxs_or_what_a_container_leaves(tmp_path):
    assert memory.available_bytes(system(tmp_path / "a", 8 * 2**30)) == 8 * 2**30
    assert memory.available_bytes(system(tmp_path / "b", 8 * 2**30, UNLIMITED)) == 8 * 2**30
    left = memory.available_bytes(system(tmp_path / "c", 8 * 2**30, f"{4 * GB}", used=3 * GB, files=GB))
    assert left == 2 * GB  # what was read from files can be dropped
    assert memory.available_bytes(system(tmp_path / "d", 8 * 2**30, f"{4 * GB}", used=5 * GB)) == 0
    assert memory.available_bytes(tmp_path / "not Linux") == memory.WHERE_UNKNOWN


@pytest.mark.parametrize(("workers", "factor", "kept"), [(0, 2, True), (0, 1.9, False), (4, 8, True), (4, 7.9, False)])
def test_a_stage_keeps_images_of_a_folder_where_they_fit(images, workers, factor, kept, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: round(factor * 4 * 3 * 24 * 32))
    monkeypatch.setattr(data_stage.torch.cuda, "device_count", lambda: 0)
    job = Job(tmp_path, {}, Machine(data_root=str(images.root), data_workers=workers), Progress())
    opened = data_stage.open_split(job, "train", cache=True)
    opened.image(0)
    opened.image_path(0).unlink()
    if kept:
        opened.image(0)
    else:
        with pytest.raises(ValueError, match="cannot read image"):
            opened.image(0)
