"""A file is there whole or not at all."""

import os
from pathlib import Path
from typing import BinaryIO

import pytest

from thesislib import files
from thesislib.files import write_whole


def _half(file: BinaryIO) -> None:
    file.write(b"ha")
    file.flush()
    raise OSError("no more")


def test_failed_attempt_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with pytest.raises(OSError, match="no more"):
        write_whole(path, _half)
    assert not list(tmp_path.iterdir())
    write_whole(path, lambda file: file.write(b"first"))
    with pytest.raises(OSError, match="no more"):
        write_whole(path, _half)
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_left_over_of_a_killed_attempt_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.bin.writing").write_bytes(b"longer than what comes after it")
    write_whole(tmp_path / "a.bin", lambda file: file.write(b"whole"))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.bin": b"whole"}


def test_the_content_is_on_the_disk_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = tmp_path / "a.bin", []

    def fsync(descriptor: int) -> None:
        seen.append((os.fstat(descriptor).st_size, path.exists()))

    monkeypatch.setattr(files.os, "fsync", fsync)
    write_whole(path, lambda file: file.write(b"whole"))
    assert seen == [(5, False)]


def test_others_may_read_the_file_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    write_whole(tmp_path / "a.bin", lambda file: file.write(b""))
    assert (tmp_path / "a.bin").stat().st_mode == (tmp_path / "other").stat().st_mode
