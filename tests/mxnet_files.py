"""A writer of MXNet's format, kept apart from the reader: one array, then the list around the arrays."""

import struct

V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
FLAGS = {"float32": 0, "float64": 1, "float16": 2, "uint8": 3, "int32": 4, "int8": 5, "int64": 6, "bool": 7}
FLAGS |= {"int16": 8, "uint16": 9, "uint32": 10, "uint64": 11}


def packed(array, version=V2, flag=None):
    shape = struct.pack(f"<i{array.ndim}q", array.ndim, *array.shape)
    head = {
        0: struct.pack(f"<I{array.ndim}I", array.ndim, *array.shape),
        V1: struct.pack("<I", V1) + shape,
        V2: struct.pack("<Ii", V2, 0) + shape,
        V3: struct.pack("<Ii", V3, 0) + shape,
    }[version]
    return head + struct.pack("<iii", 2, 1, FLAGS[array.dtype.name] if flag is None else flag) + array.tobytes()


def listed(arrays, names=(), magic=0x112):
    text = b"".join(struct.pack("<Q", len(name.encode())) + name.encode() for name in names)
    return struct.pack("<QQQ", magic, 0, len(arrays)) + b"".join(arrays) + struct.pack("<Q", len(names)) + text


def write(folder, content, name="file.params"):
    (folder / name).write_bytes(content)
    return folder / name
