"""One field of a structure in a MATLAB file of version 5, read so that no damage can make the reader loop or crash.

SBD's masks are such files. `scipy.io.loadmat` reads all of a file, and files with a few bits turned over make it run
for ever or end the process (SIGBUS); here every step consumes bytes that are there, and what is not asked for
is skipped unread. Format: MathWorks, "MAT-File Format", chapter 1 (level 5).
"""

import math
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt8

HEADER = 128
ORDERS = {b"IM": "<", b"MI": ">"}
MATRIX, COMPRESSED = 14, 15
"""Types of elements that hold others."""
STRUCTURE = 2
UINT8, UINT8_VALUES = 9, 2
"""Class of an array, and the type of the element with its values."""
MOST_BYTES = 1 << 28
"""Of what is packed into one element: no mask is so large, damaged files can ask for more than the memory."""


def read_uint8(content: bytes, variable: str, field: str) -> UInt8[np.ndarray, "..."] | None:
    """The array `variable.field`; None where the file has no such variable or field.

    Args:
        content: the whole file.
        variable: name of a structure of one element.
        field: of it, an array of uint8.

    Raises:
        ValueError: not a whole file of version 5, or the field holds something else; without the file's name.
    """
    order = ORDERS.get(content[126:HEADER], "")
    if not order or struct.unpack(f"{order}H", content[124:126]) != (0x100,):
        raise ValueError("it is no MATLAB file of version 5")
    for kind, data in _elements(memoryview(content)[HEADER:], order):
        if kind == COMPRESSED:
            kind, data = next(_elements(_inflated(data), order), (0, memoryview(b"")))
        if kind == MATRIX and (found := _Matrix(data, order)).name == variable:
            inner = found.fields().get(field)
            return None if inner is None else inner.uint8()
    return None


class _Matrix:
    """An array of any class: its flags, shape and name are read, the rest on request."""

    def __init__(self, data: memoryview, order: str) -> None:
        self.order, self.parts = order, list(_elements(data, order))
        if len(self.parts) < 3:
            raise ValueError("an array is cut short")
        flags, shape, name = (part for _, part in self.parts[:3])
        self.kind = struct.unpack_from(f"{order}I", flags.tobytes().ljust(4, b"\0"))[0] & 0xFF
        self.shape = tuple(np.frombuffer(shape[: len(shape) // 4 * 4], f"{order}i4").tolist())
        self.name = name.tobytes().decode("ascii", "replace")

    def fields(self) -> dict[str, "_Matrix"]:
        """Of a structure of one element; empty for anything else."""
        if self.kind != STRUCTURE or self.shape != (1, 1) or len(self.parts) < 5:
            return {}
        (_, length), (_, names) = self.parts[3:5]
        width = int.from_bytes(length.tobytes(), "little" if self.order == "<" else "big")
        if not 0 < width <= len(names):
            raise ValueError("the names of a structure are cut short")
        texts = [names[at : at + width].tobytes() for at in range(0, len(names), width)]
        titles = [text.split(b"\0")[0].decode("ascii", "replace") for text in texts]
        held = [data for kind, data in self.parts[5:] if kind == MATRIX]
        if len(held) < len(titles):
            raise ValueError("a structure is cut short")
        return {title: _Matrix(data, self.order) for title, data in zip(titles, held, strict=False) if len(data)}

    def uint8(self) -> UInt8[np.ndarray, "..."]:
        """The array itself, in the shape that it has in MATLAB."""
        if self.kind != UINT8 or len(self.parts) < 4 or self.parts[3][0] != UINT8_VALUES:
            raise ValueError(f"it is an array of MATLAB's class {self.kind} and shape {self.shape}; expected uint8")
        values = np.frombuffer(self.parts[3][1], np.uint8)
        if min(self.shape, default=-1) < 0 or math.prod(self.shape) != values.size:
            raise ValueError(f"it has {values.size} values for the shape {self.shape}")
        return values.reshape(self.shape, order="F")


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Type and bytes of each element in turn; small ones have both in their tag of eight bytes."""
    at = 0
    while len(data) - at >= 8:
        kind, size = struct.unpack_from(f"{order}II", data, at)
        start, packed = at + 8, kind >> 16
        if packed:
            kind, size, start = kind & 0xFFFF, packed, at + 4
        if start + size > len(data) or packed > 4:
            raise ValueError("it is cut short or damaged")
        yield kind, data[start : start + size]
        at = at + 8 if packed else start + (size if kind == COMPRESSED else -(-size // 8) * 8)


def _inflated(data: memoryview) -> memoryview:
    inflater = zlib.decompressobj()
    content = inflater.decompress(data, MOST_BYTES)
    if not inflater.eof:
        raise ValueError("its compressed part is cut short, damaged or too large")
    return memoryview(content)
