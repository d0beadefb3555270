"""MXNet's parameter files: fixtures of genuine MXNet, every type and version, and damaged files."""

import os
import struct

import numpy as np
import pytest
import torch
from mxnet_files import FLAGS, V1, V2, V3, listed, packed, write
from places import TESTS

from thesislib.models.weights import read_mxnet_params

FIXTURES = TESTS / "weight_fixtures"


@pytest.fixture(scope="module")
def tiny():
    with np.load(FIXTURES / "tiny.npz") as file:
        return dict(file)


@pytest.mark.parametrize("name", ["tiny.params", "tiny_v0.params", "tiny_v1.params"])
def test_files_of_every_version_hold_the_same_arrays(name, tiny):
    arrays = read_mxnet_params(FIXTURES / name)
    assert set(arrays) == set(tiny)
    for key, expected in tiny.items():
        assert arrays[key].dtype == expected.dtype
        np.testing.assert_array_equal(arrays[key], expected)


def test_unnamed_arrays_are_numbered(tiny):
    arrays = read_mxnet_params(FIXTURES / "tiny_unnamed.params")
    assert list(arrays) == ["0", "1"]
    np.testing.assert_array_equal(arrays["0"], tiny["u8"])
    np.testing.assert_array_equal(arrays["1"], tiny["arg:conv1a_weight"])


@pytest.mark.parametrize("version", [0, V1, V2, V3])
@pytest.mark.parametrize("dtype", FLAGS)
def test_every_type_is_read_as_it_was_written(tmp_path, version, dtype):
    array = np.array([[0, 1, 2], [3, 100, 0]]).astype(dtype)
    read = read_mxnet_params(write(tmp_path, listed([packed(array, version)], ["a"])))["a"]
    assert read.dtype == array.dtype
    assert read.flags.writeable
    np.testing.assert_array_equal(read, array)


def test_bfloat16_becomes_float32(tmp_path):
    values = np.array([1.0, -2.5, 0.15625, 3e38], np.float32)
    halves = (values.view(np.uint32) >> 16).astype(np.uint16)
    read = read_mxnet_params(write(tmp_path, listed([packed(halves, flag=12)], ["a"])))["a"]
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, torch.from_numpy(halves).view(torch.bfloat16).float().numpy())
    np.testing.assert_array_equal(read[:3], values[:3])


def test_scalars_of_v3_have_data_and_arrays_without_data_are_left_out(tmp_path):
    scalar = packed(np.array(2.5, np.float32), V3)
    nothing = [
        struct.pack("<Iii", V3, -1, -1),
        struct.pack("<Iii", V2, -1, 0),
        struct.pack("<Ii", V1, 0),
        struct.pack("<I", 0),
    ]
    arrays = read_mxnet_params(write(tmp_path, listed([*nothing, scalar], ["a", "b", "c", "d", "e"])))
    assert list(arrays) == ["e"]
    assert arrays["e"].shape == ()
    assert arrays["e"] == 2.5


ONE = np.ones(3, np.float32)


@pytest.mark.parametrize(
    "content, message",
    [
        (listed([packed(ONE)], ["a"], magic=0x113), "starts with 0x113 instead of 0x112"),
        (listed([packed(ONE)], ["a"]) + b"\0", "1 bytes are left over"),
        (listed([packed(ONE), packed(ONE)], ["a"]), "2 arrays but 1 names"),
        (listed([packed(ONE)], ["a", "b"]), "1 arrays but 2 names"),
        (listed([packed(ONE), packed(ONE)], ["a", "a"]), "a name occurs twice"),
        (listed([struct.pack("<I33I", 33, *[1] * 33)], ["a"]), "33 dimensions"),
        (listed([struct.pack("<I", 0xDEADBEEF)], ["a"]), "unknown magic number"),
        (listed([struct.pack("<Iii33q", V2, 0, 33, *[1] * 33)], ["a"]), "33 dimensions"),
        (listed([struct.pack("<Iii", V2, 0, -1)], ["a"]), "announced"),
        (listed([struct.pack("<Iii2q", V2, 0, 2, 3, -1)], ["a"]), r"shape \[3, -1\]"),
        (listed([struct.pack("<Iii2qiii", V2, 0, 2, 2**40, 2**40, 1, 0, 0)], ["a"]), "announced"),
        (listed([struct.pack("<I4Iiii", 4, *[2**32 - 1] * 4, 1, 0, 0)], ["a"]), "announced"),
        (listed([packed(ONE, flag=13)], ["a"]), "unknown type number 13"),
        (listed([struct.pack("<Iii", V2, 1, 2)], ["a"]), r"sparse \(storage type 1\)"),
        (listed([struct.pack("<Iii", V2, 2, 2)], ["a"]), r"sparse \(storage type 2\)"),
        (struct.pack("<QQQ", 0x112, 0, 2**63), "announced"),
        (listed([packed(ONE)])[:-8] + struct.pack("<QQ", 1, 2**62), "announced"),
        (listed([packed(ONE)])[:-8] + struct.pack("<QQ", 1, 1) + b"\xff", "not UTF-8"),
        (b"", "announced"),
    ],
)
def test_files_that_are_not_whole_lists_are_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=message) as error:
        read_mxnet_params(write(tmp_path, content))
    assert "file.params" in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, step", [("tiny_v0.params", 1), ("tiny_unnamed.params", 1), ("tiny.params", 5), ("tiny_v1.params", 5)]
)
def test_a_file_cut_anywhere_is_refused(tmp_path, name, step):
    content = (FIXTURES / name).read_bytes()
    path = write(tmp_path, content)
    for length in reversed(range(0, len(content), step)):
        os.truncate(path, length)
        with pytest.raises(ValueError, match="announced"):
            read_mxnet_params(path)


def test_a_file_with_wrong_bytes_is_read_or_refused_but_never_crashes(tmp_path):
    rng = np.random.default_rng(0)
    content = (FIXTURES / "tiny_v0.params").read_bytes()
    for _ in range(300):
        damaged = bytearray(content)
        for position in rng.integers(0, len(content), 3):
            damaged[position] = rng.integers(256)
        try:
            read_mxnet_params(write(tmp_path, damaged))
        except ValueError as error:
            assert "file.params" in str(error)
