"""Reader of MXNet's `.params` files in pure NumPy, and the names that ResNet-38 has in them.

Serves the ImageNet initialisation of thesis sections 2.4.1 and 3.4.1. The binary format is that of
`src/ndarray/ndarray.cc` and `include/mxnet/tuple.h` in apache/mxnet; the names are those of
`util/symbol/resnet_v2.py` in itijyou/ademxapp, mapped as by `network/resnet38d.py` of jiwoon-ahn/psa.

Deliberate differences: no MXNet is needed, and a damaged file is an error instead of a crash.
"""

import math
import re
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

_LIST_MAGIC = 0x112
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_MAX_DIMENSIONS = 32
_DENSE, _UNDEFINED = 0, -1
_BFLOAT16 = 12
_DTYPES = {
    0: "<f4", 1: "<f8", 2: "<f2", 3: "u1", 4: "<i4", 5: "i1", 6: "<i8", 7: "?",
    8: "<i2", 9: "<u2", 10: "<u4", 11: "<u8", _BFLOAT16: "<u2",
}  # fmt: skip


def read_mxnet_params(path: str | Path) -> dict[str, np.ndarray]:
    """Read an MXNet NDArray list (`.params`), format versions V0 to V3.

    Returns:
        Arrays by their name in the file (`arg:conv1a_weight`), or by position (`"0"`, `"1"`) where the file has no
        names. bfloat16 becomes float32; entries without an array ("none") are left out.

    Raises:
        OSError: no readable file.
        ValueError: not such a file, truncated, with bytes left over, or with sparse arrays.
    """
    file = _ParamsFile(Path(path))
    if (magic := file.number("<u8")) != _LIST_MAGIC:
        raise file.error(f"it starts with {magic:#x} instead of {_LIST_MAGIC:#x}, so it is no MXNet NDArray list")
    file.number("<u8")  # reserved
    arrays = [file.array() for _ in range(file.number("<u8"))]
    names = [file.name() for _ in range(file.number("<u8"))]
    if names and len(names) != len(arrays):
        raise file.error(f"it holds {len(arrays)} arrays but {len(names)} names")
    if file.left:
        raise file.error(f"{file.left} bytes are left over after the last name")
    if len(set(names)) != len(names):
        raise file.error("a name occurs twice")
    names = names or [str(index) for index in range(len(arrays))]
    return {name: array for name, array in zip(names, arrays, strict=True) if array is not None}


class _ParamsFile:
    """A cursor over the bytes of a `.params` file that refuses to read past the end."""

    def __init__(self, path: Path) -> None:
        self.path, self.data, self.offset = path, path.read_bytes(), 0

    @property
    def left(self) -> int:
        return len(self.data) - self.offset

    def error(self, problem: str) -> ValueError:
        return ValueError(f"{self.path}: {problem}. Expected an MXNet .params file; download or copy it again.")

    def numbers(self, dtype: str, count: int) -> Shaped[np.ndarray, " n"]:
        size = count * np.dtype(dtype).itemsize
        if count < 0 or size > self.left:
            raise self.error(f"{size} bytes are announced at byte {self.offset}, {self.left} are there")
        values = np.frombuffer(self.data, dtype, count, self.offset)
        self.offset += size
        return values

    def number(self, dtype: str) -> int:
        return int(self.numbers(dtype, 1)[0])

    def name(self) -> str:
        start = self.offset
        try:
            return self.numbers("u1", self.number("<u8")).tobytes().decode()
        except UnicodeDecodeError:
            raise self.error(f"the name at byte {start} is not UTF-8") from None

    def shape(self, dtype: str, dimensions: int) -> list[int]:
        if dimensions > _MAX_DIMENSIONS:
            raise self.error(f"an array at byte {self.offset} has {dimensions} dimensions or an unknown magic number")
        shape = [int(size) for size in self.numbers(dtype, dimensions)]
        if min(shape, default=0) < 0:
            raise self.error(f"the array before byte {self.offset} has the shape {shape}")
        return shape

    def array(self) -> Shaped[np.ndarray, "..."] | None:
        """The next array of the file; None for one without data."""
        magic = self.number("<u4")
        if magic in (_V2, _V3) and (storage := self.number("<i4")) not in (_DENSE, _UNDEFINED):
            raise self.error(f"the array before byte {self.offset} is sparse (storage type {storage}), not dense")
        if magic in (_V1, _V2, _V3):
            dimensions = self.number("<i4")
            if dimensions == (-1 if magic == _V3 else 0):
                return None
            shape = self.shape("<i8", dimensions)
        elif magic == 0:
            return None
        else:  # V0 has no magic number: it starts with the number of dimensions
            shape = self.shape("<u4", magic)
        self.numbers("<i4", 2)  # device type and number
        return self.values(shape)

    def values(self, shape: list[int]) -> Shaped[np.ndarray, "..."]:
        flag = self.number("<i4")
        if flag not in _DTYPES:
            raise self.error(f"the array before byte {self.offset} has the unknown type number {flag}")
        flat = self.numbers(_DTYPES[flag], math.prod(shape))
        if flag == _BFLOAT16:
            flat = (flat.astype(np.uint32) << 16).view(np.float32)
        return flat.reshape(shape).astype(flat.dtype.newbyteorder("="))


_MXNET_BLOCK = re.compile(r"(?:arg|aux):(res|bn)([0-9])(?:a|b([0-9]+))_(branch[0-9ab]+)_(\w+)")
_MXNET_BN7 = re.compile(r"(?:arg|aux):bn7_(\w+)")
_MXNET_KINDS = {
    "weight": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_var": "running_var",
}


def mxnet_to_resnet38(name: str) -> str | None:
    """The `ResNet38` tensor that an array of the ImageNet file belongs to; None for its 1000-class layer.

    >>> mxnet_to_resnet38("arg:res4b5_branch2b1_weight"), mxnet_to_resnet38("aux:bn6a_branch2b2_moving_var")
    ('b4_5.conv_branch2b1.weight', 'b6.bn_branch2b2.running_var')

    Raises:
        ValueError: the name is none of ResNet-38's.
    """
    if name == "arg:conv1a_weight":
        return "conv1a.weight"
    if name in ("arg:linear1000_weight", "arg:linear1000_bias"):
        return None
    if (match := _MXNET_BN7.fullmatch(name)) and match[1] in _MXNET_KINDS:
        return f"bn7.{_MXNET_KINDS[match[1]]}"
    if (match := _MXNET_BLOCK.fullmatch(name)) and match[5] in _MXNET_KINDS:
        layer, stage, block, branch, kind = match.groups()
        number = f"_{block}" if block else ""
        return f"b{stage}{number}.{'conv' if layer == 'res' else 'bn'}_{branch}.{_MXNET_KINDS[kind]}"
    raise ValueError(f"{name!r} is no array of ResNet-38; expected names such as 'arg:res2a_branch2a_weight'")
