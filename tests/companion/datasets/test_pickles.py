"""No stranger's pickle can run code, and what is no map is refused."""

import contextlib
import functools
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from companion.datasets import pickles
from companion.exchange import files as exchange
from thesislib.data.voc import DataError

SIZE = (23, 31)


class _Call:
    """Pickled as a call of any function."""

    def __init__(self, function, *arguments) -> None:
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def _harm(path: Path) -> list[object]:
    make_file = f"import pathlib; pathlib.Path({str(path)!r}).touch()"
    inner = pickle.dumps(_Call(exec, make_file))
    return [
        _Call(os.system, f"touch {path}"),
        _Call(exec, make_file),
        _Call(eval, f"open({str(path)!r}, 'w')"),
        _Call(functools.partial, os.system, f"touch {path}"),
        _Call(torch.load, str(path), None),
        _Call(torch.storage._load_from_bytes, inner),
        _Call(np.load, str(path), None, True),
        _Call(getattr, "text", "upper"),
        _Call(path.touch),
    ]


def _write_pickled(path: Path, pickled: bytes) -> None:
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        file.write(pickled)


@pytest.mark.parametrize("number", [0, 1, 2, 5, 8])
def test_numpy_itself_would_run_them(number: int, tmp_path) -> None:
    _write_pickled(tmp_path / "hostile.npy", pickle.dumps(_harm(tmp_path / "harmed")[number], 3))
    with contextlib.suppress(Exception):
        np.load(tmp_path / "hostile.npy", allow_pickle=True)
    assert (tmp_path / "harmed").exists()


@pytest.mark.parametrize("number", range(9))
@pytest.mark.parametrize("protocol", [3, 4])
def test_a_hostile_pickle_is_refused_and_nothing_of_it_runs(number: int, protocol: int, tmp_path) -> None:
    path, flag = tmp_path / "hostile.npy", tmp_path / "harmed"
    harm = _harm(flag)[number]
    for content in (harm, {0: harm}, {"keys": np.array([0]), "high_res": harm}):
        wrapped = np.empty((), object)
        wrapped[()] = content
        for pickled in (pickle.dumps(wrapped, protocol), pickle.dumps(harm, protocol)):
            _write_pickled(path, pickled)
            with pytest.raises(DataError, match=r"could run any code|cannot read .*hostile\.npy"):
                exchange.read_maps(path, 3, SIZE)
            assert not flag.exists()


def test_the_refusal_names_what_the_file_asked_for(tmp_path) -> None:
    np.save(tmp_path / "a.npy", {0: _Call(os.system, "true")}, allow_pickle=True)
    with pytest.raises(DataError, match=r"a\.npy asks for posix\.system, which could run any code"):
        pickles.read_object(tmp_path / "a.npy")


def test_arrays_of_objects_and_state_for_stand_ins_are_refused(tmp_path) -> None:
    path = tmp_path / "a.npy"
    build = b"\x80\x03cnumpy\nndarray\n)R}X\x01\x00\x00\x00aK\x01sb."  # ndarray().__dict__.update({"a": 1})
    structure = pickle.dumps({0: np.zeros(2, [("a", "f4"), ("b", "O")])}, 3)
    for pickled in (build, structure, pickle.dumps({0: np.array([{}, 1], object)}, 3), pickle.dumps({0: b"x"}, 3)):
        _write_pickled(path, pickled)
        with pytest.raises(DataError):
            pickles.read_object(path)
    endless: dict = {}
    endless[0] = endless
    _write_pickled(path, pickle.dumps(endless, 3))
    with pytest.raises(DataError, match="found dict"):
        pickles.read_object(path)


def test_a_damaged_file_is_an_error_or_still_numbers(tmp_path) -> None:
    path, rng = tmp_path / "a.npy", np.random.default_rng(0)
    np.save(path, {"keys": torch.tensor([1]), "high_res": np.ones((1, 2, 3), np.float32)}, allow_pickle=True)
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(300):
        damaged = whole.copy()
        at = rng.integers(0, len(whole), 3)
        damaged[at] = rng.integers(0, 256, 3)
        path.write_bytes(damaged[: rng.integers(1, len(whole) + 1) if rng.random() < 0.3 else None].tobytes())
        try:
            exchange.read_maps(path, 3)
        except DataError as error:
            assert "a.npy" in str(error)


def test_a_tensor_cannot_reach_beyond_its_numbers(tmp_path) -> None:
    np.save(tmp_path / "a.npy", {"keys": torch.arange(3)}, allow_pickle=True)
    content = (tmp_path / "a.npy").read_bytes()
    assert pickles.read_object(tmp_path / "a.npy")["keys"].tolist() == [0, 1, 2]
    size = struct.pack("<2sB", b"K\x00", ord("K")) + b"\x03\x85"  # offset 0, size (3,)
    assert content.count(size) == 1
    (tmp_path / "a.npy").write_bytes(content.replace(size, size.replace(b"\x03", b"\x7f")))
    with pytest.raises(DataError, match="out of bounds"):
        pickles.read_object(tmp_path / "a.npy")
