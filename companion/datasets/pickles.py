"""The dictionaries in `.npy` files of psa and irn, read without running what a pickle may ask for.

A pickle can name any function of the machine and have it called, so files of strangers are never unpickled as NumPy
would with `allow_pickle`. Here the few names such files need stand for classes of this module, which only keep what
they are given; arrays are built afterwards from their bytes, and any other name is refused. No published counterpart:
jiwoon-ahn/psa and jiwoon-ahn/irn (`infer_aff.py`, `step/eval_cam.py`) trust their own files.
"""

import io
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib import format as npy

from thesislib.data.voc import DataError

MAXIMUM_DEPTH = 4  # nested dictionaries


def read_object(path: Path) -> Any:
    """What `np.save` stored: dictionaries, numbers, strings and arrays; tensors become arrays.

    Raises:
        DataError: the file is damaged, or holds anything else.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "cam.npy"
    >>> np.save(path, {14: np.ones((1, 2), np.float32)}, allow_pickle=True)
    >>> read_object(path)
    {14: array([[1., 1.]], dtype=float32)}
    """
    try:
        with path.open("rb") as file:
            if npy.read_magic(file) == (1, 0) and npy.read_array_header_1_0(file)[2] == np.dtype(object):
                return _plain(_Unpickler(file).load(), depth=MAXIMUM_DEPTH)
        return np.load(path, allow_pickle=False)
    except _Refused as error:
        raise DataError(
            f"{path} asks for {error}, which could run any code: only dictionaries of numbers, strings and arrays are "
            "read. Store arrays alone, or ask whoever made the file what it is"
        ) from error
    except Exception as error:  # a damaged or hostile pickle can raise anything
        raise DataError(f"cannot read {path}: {error or type(error).__name__}. Copy or compute it again") from error


class _Refused(pickle.UnpicklingError):
    """A name that is not on the list."""


class _Kept:
    """What is kept of an object that a pickle describes: its arguments; no state unless a subclass takes it."""

    __slots__ = ("arguments",)

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __setstate__(self, state: Any) -> None:
        raise _Refused(f"changes to {type(self).__name__.strip('_')}")


class _Dtype(_Kept):
    """`numpy.dtype(code)`, then its byte order."""

    __slots__ = ("order",)

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]

    def value(self) -> np.dtype:
        code = self.arguments[0]
        if not re.fullmatch(r"[biuf]\d{1,2}", code) or self.order not in ("<", ">", "|", "="):
            raise ValueError(f"expected arrays of numbers, got type {code!r}")
        return np.dtype(code).newbyteorder(self.order)


class _Array(_Kept):
    """`numpy.ndarray`, empty at first, then its version, shape, type, order and bytes."""

    __slots__ = ("state",)

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def value(self, depth: int) -> Any:
        _, shape, dtype, is_fortran, content = self.state
        if dtype.arguments[0].startswith("O"):  # the dictionary itself, which `np.save` wraps in an array
            if shape != ():
                raise ValueError(f"expected one dictionary, got an array of objects of shape {shape}")
            return _plain(content[0], depth)
        return np.frombuffer(content, dtype.value()).reshape(shape, order="F" if is_fortran else "C")


class _Scalar(_Kept):
    """One NumPy number: its type and bytes."""

    def value(self) -> Any:
        dtype, content = self.arguments
        return np.frombuffer(content, dtype.value()).item()


class _Storage(_Kept):
    """The numbers behind a tensor, in torch's own format, which torch reads without pickles of its own."""

    def value(self) -> torch.Tensor:
        storage = torch.load(io.BytesIO(self.arguments[0]), map_location="cpu", weights_only=True)
        if not isinstance(storage, torch.storage.TypedStorage):
            raise ValueError(f"expected the storage of a tensor, got {type(storage).__name__}")
        return torch.tensor([], dtype=storage.dtype).set_(storage)


class _Tensor(_Kept):
    """A tensor as an array: its storage, offset, size and strides; what follows concerns gradients."""

    def value(self) -> np.ndarray:
        storage, offset, size, strides, *_ = self.arguments
        return torch.as_strided(storage.value(), size, strides, offset).numpy()


_STANDS_FOR: dict[tuple[str, str], type] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.multiarray", "scalar"): _Scalar,
    ("numpy", "ndarray"): _Kept,
    ("numpy", "dtype"): _Dtype,
    ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
    ("torch.storage", "_load_from_bytes"): _Storage,
    ("collections", "OrderedDict"): dict,
}


class _Unpickler(pickle.Unpickler):
    """Knows the names of `_STANDS_FOR` alone."""

    def find_class(self, module: str, name: str) -> Any:
        found = _STANDS_FOR.get((module.replace("numpy._core", "numpy.core"), name))  # NumPy 2, NumPy 1
        if found is None:
            raise _Refused(f"{module}.{name}")
        return found


def _plain(kept: Any, depth: int) -> Any:
    """Numbers, strings, dictionaries and arrays from what the pickle described."""
    if isinstance(kept, dict) and depth:
        return {_plain(key, 0): _plain(value, depth - 1) for key, value in kept.items()}
    if isinstance(kept, _Array) and depth:
        return kept.value(depth - 1)
    if isinstance(kept, _Tensor | _Scalar):
        return kept.value()
    if isinstance(kept, bool | int | float | str):
        return kept
    raise ValueError(f"expected a dictionary of numbers, strings and arrays, found {type(kept).__name__.strip('_')}")
